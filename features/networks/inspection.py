"""Says what lies in a file of weights: which networks, what is known of each, and what tensors do not tell."""

from dataclasses import dataclass
from pathlib import Path

from features.errors import WeightsError
from features.networks import checkpoint, norms
from features.networks.checkpoint import Checkpoint
from features.networks.inference import Inferred
from features.networks.parts import Part


@dataclass(frozen=True, eq=False)
class Network:
    """One residual network in a file.

    inferred: None where it is not understood; problem: why, or ''. is_whole: whether the file has its modules too.
    has_open_norms: whether nothing tells that its norms, which keep no statistics, are group norms.
    """

    part: Part
    inferred: Inferred | None
    problem: str = ""
    is_whole: bool = False
    has_open_norms: bool = False


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


def inspect(path: Path, head: str | None = None) -> Inspection:
    """Look into a file of weights without running anything in it.

    head: which to take of networks that have it.
    Raises WeightsError, in one sentence of at most 500 characters, for what is no file of weights, or holds no residual
    network.
    """
    file = checkpoint.read(path, head=head)
    networks = tuple(_understood(file, part) for part in file.parts)
    if not networks:
        file.part  # noqa: B018 (says why there is none)
    return Inspection(file.path, file.format, networks, len(file.records), dict(file.metadata))


def _understood(file: Checkpoint, part: Part) -> Network:
    try:
        checkpoint.need_understood(part)
        inferred = file.inferred_of(part)
        is_open = "norm_groups" not in inferred.told and norms.are_open(part, file.parts)
        return Network(part, inferred, "", file.modules is not None, is_open)
    except WeightsError as error:
        return Network(part, None, str(error))
