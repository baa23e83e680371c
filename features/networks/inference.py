"""Reads the structure of a network off its layers: everything that their shapes tell, and what they do not."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

from features.errors import FeatureError, WeightsError
from features.networks import heads, signatures, spellings
from features.networks.architecture import Architecture
from features.networks.choices import CHOICES, Choice
from features.networks.containers import TensorRecord
from features.networks.layers import CONV, NORM, Layer
from features.networks.layout import AVERAGE
from features.networks.parts import Part
from features.networks.stages import BlockLayers

KERNELS = {(3, 3): "basic", (1, 3, 1): "bottleneck"}
MAX_INPUTS = 16


@dataclass(frozen=True, eq=False)
class Inferred:
    """What the layers of a network tell of it, the rest as usual. told: fields that what lies beside it tells."""

    architecture: Architecture
    told: frozenset[str] = frozenset()

    @property
    def untold(self) -> tuple[Choice, ...]:
        """What leaves no trace in this network's tensors and changes what they compute."""
        return tuple(
            choice for choice in CHOICES if choice.field not in self.told and choice.matters(self.architecture)
        )


def infer(part: Part) -> Inferred:
    """The architecture of a network in a file.

    Raises WeightsError, with the reason, for what is no residual network.
    """
    blocks = [block for stage in part.stages for block in stage]
    kind = _kind(blocks, part)
    if part.title == spellings.FLAT and len(part.stages) == 1:
        raise _refused(part, "has all its blocks in one list and of one width, so that nothing tells where strides lie")
    norm = _norm(blocks, part)
    preactivation = norm != "none" and _is_preactivation(part)
    of_stem = [layer for layer in part.stem if layer.kind == NORM]
    if part.last and of_stem and part.last[0].width == of_stem[-1].width:
        raise _refused(part, "has a first norm and a last one of the same width, and nothing tells which is which")
    late = kind == "basic" and _widens_late(blocks, part)
    inner = tuple(stage[0].convs[-1 if late else -2].width for stage in part.stages)
    outputs = tuple(stage[0].convs[-1].width for stage in part.stages)
    groups = _groups(part, inner)
    _need_chain(part, groups)
    stem = _stem(part)
    shortcut, pool = _shortcut(part)
    if norm != "none" and not preactivation and (bare := _without_norm(part)):
        raise _refused(part, f"has a shortcut with a convolution and no norm, {bare}")
    widths = tuple(conv.width for conv in _convs(part.stem))
    of_head = head_layers(part)
    head = heads.plan(of_head)
    if heads.may_go_around(of_head):
        raise _refused(part, f"has a head, {part.head_name}, that may go around some of its layers")
    if norm == "group" and part.last and not preactivation and head:
        raise _refused(part, "has a norm before its head that may be one of groups or of a layer")
    head_pool, told_pool = _head_pool(part, outputs[-1], preactivation)
    attention, attention_widths = _attention(part)
    try:
        architecture = Architecture(
            block=kind,
            blocks=tuple(map(len, part.stages)),
            inner=inner,
            outputs=outputs,
            stem=stem,
            stem_width=widths[-1],
            stem_widths=widths[:-1],
            stem_norm=None if norm == "none" else len(part.stem) == 2 * len(widths),
            stem_pool="conv" if part.stem_pool else None,
            shortcut=shortcut,
            groups=groups,
            in_channels=_convs(part.stem)[0].shape[1],
            classes=head[-1] if head else None,
            head_widths=head[:-1],
            head_pool=head_pool,
            head_start=heads.start(of_head) if head else "linear",
            shortcut_pool=pool,
            widened_at="last" if late else "first",
            stride_at="last" if late else "middle",
            strides=tuple(1 + _widens(stage[0]) for stage in part.stages) if late else (),
            preactivation=preactivation,
            last_norm=None if norm == "none" else preactivation and bool(part.last),
            norm=norm,
            norm_groups=_norm_groups(norm, (*widths, *inner, *outputs)),
            bias=_has_bias(part, norm, preactivation),
            attention=attention,
            attention_widths=attention_widths,
        )
        architecture, told = signatures.applied(part, architecture)
        told |= told_pool | _told_of_norms(blocks, norm)
        return Inferred(architecture, told if heads.may_begin_with_an_activation(of_head) else told | {"head_start"})
    except FeatureError as error:
        raise _refused(part, f"cannot be built: {error}") from error


def _refused(part: Part, why: str) -> WeightsError:
    """The reason, with a way out: the one that it names, or that of timm's networks or of networks from code."""
    where = f" at {part.name[:80]!r}" if part.name else ""
    out = "" if ". " in why else f". {way_out(part.may_be_timms)}"
    return WeightsError(f"the network{where} {why}{out}")


def way_out(may_be_timms: bool) -> str:
    """What to do with a network that is not read from its tensors. may_be_timms: whether it is called as timm's are."""
    if may_be_timms:
        return "If it is one of timm's, name it with --model timm:NAME"
    return "Build it in Python, and give the module to features.networks.canonical"


def _convs(layers: Sequence[Layer]) -> list[Layer]:
    return [layer for layer in layers if layer.kind == CONV]


def _kind(blocks: Sequence[BlockLayers], part: Part) -> str:
    kernels = {tuple(conv.shape[2] for conv in block.convs) for block in blocks}
    if len(kernels) > 1 or (only := kernels.pop()) not in KERNELS:
        raise _refused(part, f"has blocks of convolutions {_listed(kernels) or only}, where 3-3 or 1-3-1 are read")
    return KERNELS[only]


def _widens_late(blocks: Sequence[BlockLayers], part: Part) -> bool:
    """Whether basic blocks that change their width do so in their last convolution, and not in their first."""
    widening = [block for block in blocks if _widens(block)]
    late = {block.convs[0].shape[1] == block.convs[0].width for block in widening}
    if len(late) > 1:
        raise _refused(part, "has blocks that widen in their first convolution, and others that do in their last")
    return late == {True}


def _widens(block: BlockLayers) -> bool:
    return block.convs[0].shape[1] != block.convs[-1].width


def _listed(kernels: set[tuple[int, ...]]) -> str:
    return ", ".join("-".join(map(str, each)) for each in sorted(kernels))


def head_layers(part: Part) -> tuple[Layer, ...]:
    """The layers of the head. A norm behind the last stage is one of them but in pre-activation networks.

    There the pooling comes first, which makes no difference to a norm.
    """
    if not part.last or not part.head or _is_preactivation(part):
        return part.head
    return (*part.last, *part.head)


def _head_pool(part: Part, channels: int, preactivation: bool) -> tuple[str, frozenset[str]]:
    """What pools before the head, and the field's name if that is told and not only likely."""
    if not part.head:
        return AVERAGE, frozenset()
    ways = heads.pools(part.head, channels)
    if not preactivation and part.last and heads.inputs_of(part.head) != channels:
        raise _refused(part, "has a norm before the pool of a head that takes maxima, where it lies behind a mean")
    if len(ways) == 2 and part.may_be_timms:
        ways = ways[::-1]
    return ways[0], frozenset({"head_pool"} if len(ways) == 1 else ())


def _is_preactivation(part: Part) -> bool:
    """Norms lie behind their convolutions, or before them, which their widths tell where a block changes its width."""
    blocks = [block for stage in part.stages for block in stage]
    norms = [norm.width for block in blocks for norm in block.norms]
    behind = [conv.width for block in blocks for conv in block.convs]
    before = [
        width for block in blocks for width in (block.convs[0].shape[1], *(conv.width for conv in block.convs[:-1]))
    ]
    if norms == behind:
        alike = bool(part.last) and part.last[0].has_statistics == blocks[0].norms[0].has_statistics
        projects = any(layer.kind == NORM for block in blocks for layer in block.shortcut)
        return norms == before and alike and not projects
    if norms == before:
        return True
    raise _refused(part, "has norms that are as wide as neither what comes before them nor what follows")


def may_have_norms_before_or_behind(part: Part) -> bool:
    """Whether neither the norms' widths tell whether they lie before or behind their convolutions, nor projections."""
    blocks = [block for stage in part.stages for block in stage]
    widths = {width for block in blocks for conv in block.convs for width in (conv.width, block.convs[0].shape[1])}
    return len(widths) == 1 and not any(block.shortcut for block in blocks)


def _groups(part: Part, inner: Sequence[int]) -> int:
    """Groups of the 3x3 convolutions, the same everywhere."""
    counts = set()
    for stage in part.stages:
        for block in stage:
            if len(block.convs) == 3:
                share = block.convs[1].shape[1]
                counts.add(block.convs[0].width // share if share else 0)
    if not counts:
        return 1
    if len(counts) > 1 or not (groups := counts.pop()) or any(width % groups for width in inner):
        raise _refused(part, "has convolutions whose groups differ from stage to stage")
    return groups


def _need_chain(part: Part, groups: int) -> None:
    """Every convolution takes what the one before it puts out."""
    if not part.stem:
        raise _refused(part, "lacks its first convolution, or it leads elsewhere. Save the complete network")
    width = _convs(part.stem)[-1].width
    for number, stage in enumerate(part.stages, start=1):
        for index, block in enumerate(stage):
            taken = width
            for place, conv in enumerate(block.convs):
                share = groups if len(block.convs) == 3 and place == 1 else 1
                if conv.shape[1] * share != taken or conv.shape[2] != conv.shape[3] or 0 in conv.shape:
                    raise _refused(
                        part, f"has a block {index} of stage {number} whose convolution {conv.name or place} takes "
                        f"{conv.shape[1] * share} channels and is given {taken}. Save the complete network"
                    )  # fmt: skip
                taken = conv.width
            for conv in _convs(block.shortcut):
                if conv.shape[:2] != (taken, width) or conv.shape[2:] != (1, 1):
                    raise _refused(part, f"has a shortcut of shape {conv.shape}, where {(taken, width, 1, 1)} is read")
            width = taken


def _stem(part: Part) -> str:
    convs = _convs(part.stem)
    kernels = [conv.shape[2] for conv in convs]
    if convs[0].shape[1] > MAX_INPUTS or not convs[0].shape[1]:
        raise _refused(part, f"takes images of {convs[0].shape[1]} channels, where 1 to {MAX_INPUTS} are read")
    if kernels in ([7], [3]):
        return "imagenet" if kernels == [7] else "cifar"
    if len(kernels) in (2, 3) and set(kernels) == {3}:
        return "deep"
    raise _refused(part, f"begins with convolutions of {kernels} pixels, where one of 7 or 3, or some of 3, are read")


def _shortcut(part: Part) -> tuple[str, str]:
    """The kind of shortcuts where the shape changes, and whether an average pool precedes their convolution."""
    width = _convs(part.stem)[-1].width
    kinds, pooled = set(), set()
    for number, stage in enumerate(part.stages):
        for index, block in enumerate(stage):
            output = block.convs[-1].width
            changes = output != width or (index == 0 and number > 0)
            convs = _convs(block.shortcut)
            if convs and not changes and not (index == 0 and number == 0):
                raise _refused(part, f"has a projection in block {index} of stage {number + 1}, which changes no shape")
            if len(convs) > 1 or (block.shortcut and not convs):
                raise _refused(part, f"has a shortcut of {len(block.shortcut)} layers, where one convolution is read")
            if changes and (index or number or output != width):
                kinds.add("projection" if convs else "padding")
            pooled |= {_comes_behind_a_pool(conv) for conv in convs}
            width = output
    if len(kinds) > 1 and len(part.stages) > 1:
        raise _refused(part, "has projections where some stages begin, and none where others do")
    pool = "average" if pooled == {True} else "none"
    return (kinds.pop() if kinds else "projection"), pool


def _without_norm(part: Part) -> str:
    """A shortcut that has a convolution alone, where the branches have norms; '' if there is none."""
    blocks = (block for stage in part.stages for block in stage)
    return next((block.shortcut[0].name for block in blocks if len(block.shortcut) == 1), "")


def _comes_behind_a_pool(conv: Layer) -> bool:
    """'downsample.1' is a convolution with something without parameters, a pool, before it."""
    return conv.name.rpartition(".")[2] == "1"


def _norm(blocks: Sequence[BlockLayers], part: Part) -> str:
    for block in blocks:
        if len(block.norms) not in (0, len(block.convs)):
            raise _refused(part, f"has blocks with {len(block.convs)} convolutions and {len(block.norms)} norms")
    norms = [norm for block in blocks for norm in block.norms]
    if not norms:
        return "none"
    if any("bias" not in norm.tensors and not norm.has_statistics for norm in norms):
        raise _refused(part, "has weights of one dimension without a bias, as PReLUs have, where norms are read")
    if len(norms) < sum(len(block.convs) for block in blocks):
        raise _refused(part, "has norms in some of its blocks only. Save the complete network")
    kinds = {norm.has_statistics for norm in norms}
    if len(kinds) > 1:
        raise _refused(part, "has norms with running statistics and norms without. Save the complete network")
    return "batch" if kinds.pop() else "group"


def _told_of_norms(blocks: Sequence[BlockLayers], norm: str) -> frozenset[str]:
    """What tensors tell of norms: nothing else stands in their place, and those with statistics are batch norms.

    Of norms without, names alone can say that they are group norms, and no layer or instance norms.
    """
    names = [each.name for block in blocks for each in block.norms]
    if norm == "group" and not all(map(spellings.GROUP_NORM.search, names)):
        return frozenset({"scalars"})
    return frozenset({"scalars", "norm"} | ({"standardised"} if norm != "group" else set()))


def _norm_groups(norm: str, widths: Sequence[int]) -> int:
    """The usual 32, or as many as divide every width."""
    return gcd(32, *widths) if norm == "group" else 32


def _has_bias(part: Part, norm: str, preactivation: bool) -> bool:
    """Whether convolutions need a bias of their own: a batch norm right behind them takes it into its mean."""
    blocks = [block for stage in part.stages for block in stage]
    convs = _convs((*part.stem, *(layer for block in blocks for layer in (*block.convs, *block.shortcut))))
    return any("bias" in conv.tensors for conv in convs) and (norm != "batch" or preactivation)


def _attention(part: Part) -> tuple[str, tuple[int, ...]]:
    """The kind of attention and its width per stage."""
    blocks = [block for stage in part.stages for block in stage]
    having = [block.attention for block in blocks if block.attention]
    if not having:
        return "none", ()
    if len(having) < len(blocks):
        raise _refused(part, "has attention in some of its blocks only")
    weights = [layer.shape for layer in having[0] if "weight" in layer.tensors]
    if len(weights) == 1 and len(weights[0]) == 3:
        return "eca", tuple(stage[0].attention[0].shape[-1] for stage in part.stages)
    squeezes = all(spellings.SQUEEZE.match(layer.name) for layer in having[0])
    if not squeezes and len(weights) == 2:
        raise _refused(
            part, f"has channel attention at {having[0][0].name!r}, of means, or of means and maxima as CBAM's"
        )
    if len(weights) == len(having[0]) == 2 and {len(shape) for shape in weights} <= {2, 4}:
        return "se", tuple(stage[0].attention[0].width for stage in part.stages)
    raise _refused(part, "has attention of a kind that is not known")


def published(part: Part) -> dict[str, TensorRecord]:
    """The tensors of a network under the names that torchvision or timm would give them; the head's apart."""
    named: dict[str, Layer] = {}
    convs, norms = _convs(part.stem), [layer for layer in part.stem if layer.kind == NORM]
    if len(convs) == 1:
        named |= {"conv1": convs[0]}
    else:
        named |= {f"conv1.{3 * number}": conv for number, conv in enumerate(convs)}
        named |= {f"conv1.{3 * number + 1}": norm for number, norm in enumerate(norms[: len(convs) - 1])}
        norms = norms[len(convs) - 1 :]
    named |= {"bn1": norms[0]} if norms else {}
    named |= {f"maxpool.{number}": layer for number, layer in enumerate(part.stem_pool)}
    for number, stage in enumerate(part.stages, start=1):
        for index, block in enumerate(stage):
            named |= _block_layers(f"layer{number}.{index}", block)
    if part.head == head_layers(part) and part.last:  # else the head has taken it
        named |= {"norm": part.last[0]}
    return {
        f"{name}.{own}": record
        for name, layer in named.items()
        for own, record in layer.tensors.items()
        if not own.startswith(("parametrizations", "weight_g", "weight_v"))
    }


def _block_layers(at: str, block: BlockLayers) -> dict[str, Layer]:
    named = {f"{at}.conv{number}": conv for number, conv in enumerate(block.convs, start=1)}
    named |= {f"{at}.bn{number}": norm for number, norm in enumerate(block.norms, start=1)}
    named |= {f"{at}.downsample.{int(layer.kind == NORM)}": layer for layer in block.shortcut}
    if len(block.attention) == 1:
        return named | {f"{at}.se.conv": block.attention[0]}
    return named | {f"{at}.se.fc{number}": layer for number, layer in enumerate(block.attention, start=1)}
