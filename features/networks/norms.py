"""Of which kind norms are that keep no running statistics: group norms, or batch norms that lost theirs."""

from collections.abc import Sequence

from features.errors import WeightsError
from features.networks import spellings
from features.networks.inert_modules import Modules, class_of
from features.networks.layers import COUNTER, NORM, STATISTICS, Layer
from features.networks.parts import Part

GROUPS = 32  # what nearly all networks with group norms have (Wu & He 2018, arXiv:1803.08494)
LOST = (
    "a residual network whose norms have no running statistics, as dict(model.named_parameters()) leaves them out; "
    "batch norms cannot be run without"
)
WAYS_OUT = "Save torch.save(model.state_dict(), ...), or say that they are group norms with --norm-groups N"
TAKEN = (
    f"GroupNorm of {GROUPS} groups (--norm-groups), since the file keeps no running statistics: if it was trained with "
    "BatchNorm, the file lacks its statistics and cannot be used; save model.state_dict(), not its parameters()"
)


def are_open(part: Part, others: Sequence[Part]) -> bool:
    """Whether a network's norms keep no statistics and nothing beside them tells that they are group norms.

    Their names do, and statistics beside them, without which no batch norm is saved by a state_dict. others: networks
    in the same file, whose statistics tell nothing. Raises WeightsError for instance norms.
    """
    norms = _norms(part)
    if any(norm.has_statistics for norm in norms) or not norms:
        return False
    if any(map(spellings.INSTANCE_NORM.search, (norm.name for norm in norms))):
        where = f" at {part.name[:80]!r}" if part.name else ""
        raise WeightsError(
            f"the network{where} has instance norms ({norms[0].name}) by its names alone. Say so with --norm instance"
        )
    if any(COUNTER in norm.tensors for norm in norms):
        return True
    prefix = f"{part.name}." if part.name else ""
    elsewhere = tuple(f"{each.name}." for each in others if each.name not in ("", part.name))
    elsewhere = tuple(path for path in elsewhere if not prefix.startswith(path))
    kept = any(
        name.startswith(prefix) and not name.startswith(elsewhere) and name.endswith((*STATISTICS, COUNTER))
        for name in part.left
    )
    beside = any(layer.kind == NORM and layer.has_statistics for layer in (*part.stem, *part.last, *part.head))
    return not (kept or beside or all(spellings.GROUP_NORM.search(norm.name) for norm in norms))


def batch_norms_told_by(part: Part, others: Sequence[Part], modules: Modules | None) -> str:
    """What in a file tells that the norms of a network are batch norms, in words; '' where nothing does."""
    norms = _norms(part)
    if any(COUNTER in norm.tensors for norm in norms):
        return "their counters of batches"
    if any(map(spellings.BATCH_NORM.search, (norm.name for norm in norms))):
        return f"their name ({norms[0].name})"
    classes = {class_of(modules.by_path.get(modules.path(norm) or "")) for norm in norms} if modules else set()
    if batch := next((name for name in sorted(classes) if "Batch" in name), ""):
        return f"their class ({batch})"
    same = (each for each in others if each is not part and any(norm.has_statistics for norm in _norms(each)))
    if other := next(same, None):
        return f"the batch norms of the network at {other.name[:60]!r} in the same file"
    return ""


def _norms(part: Part) -> list[Layer]:
    return [norm for stage in part.stages for block in stage for norm in block.norms]
