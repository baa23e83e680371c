"""Says what lies in a file of weights: which networks, what is known of each, and what tensors do not tell."""

from dataclasses import dataclass
from pathlib import Path

from features.errors import WeightsError
from features.networks import containers
from features.networks.containers.tensors import need_bounds
from features.networks.flatten import tensors_of
from features.networks.inference import Structure, infer
from features.networks.parts import Part, parts_of

SENTENCE = 480  # characters


@dataclass(frozen=True, eq=False)
class Network:
    """One residual network in a file. structure: None where it is not understood; problem: why, or ''."""

    part: Part
    structure: Structure | None
    problem: str = ""


@dataclass(frozen=True, eq=False)
class Inspection:
    """What lies in a file. format: as of containers.Content. networks: the main one first. n_tensors: in all.

    metadata: what a safetensors file says of itself.
    """

    path: Path
    format: str
    networks: tuple[Network, ...]
    n_tensors: int
    metadata: dict[str, str]


def inspect(path: Path) -> Inspection:
    """Look into a file of weights without running anything in it.

    Raises WeightsError, in one sentence of at most 500 characters, for what is no file of weights, or holds no residual
    network.
    """
    path = Path(path).expanduser()
    content = containers.read(path)
    try:
        records = tensors_of(content)
        need_bounds(records, path.stat().st_size)
        networks = tuple(map(_understood, parts_of(records)))
        if not networks:
            named = ", ".join(name[:60] for name in list(records)[:6])
            raise WeightsError(f"{len(records):,} tensors, but no residual network among them: {named or 'none'}")
    except WeightsError as error:
        raise WeightsError(_sentence(path.name, str(error))) from error
    return Inspection(path, content.format, networks, len(records), dict(content.metadata))


def _understood(part: Part) -> Network:
    try:
        if part.unexplained:
            raise WeightsError(f"has layers that are not understood: {', '.join(part.unexplained[:4])}")
        strange = next((layer.name for stage in part.stages for block in stage for layer in block.others), None)
        if strange is not None:
            raise WeightsError(
                f"has blocks with a part that is not understood: {strange or 'a parameter of their own'}"
            )
        return Network(part, infer(part))
    except WeightsError as error:
        return Network(part, None, str(error))


def _sentence(name: str, reason: str) -> str:
    text = reason if reason.startswith(name) else f"{name[:80]} holds {reason}"
    text = text if text.endswith(".") else f"{text}."
    return text if len(text) <= SENTENCE else f"{text[: SENTENCE - 4]} ..."
