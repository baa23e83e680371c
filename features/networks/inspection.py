"""Says what lies in a file of weights: which networks, what is known of each, and what tensors do not tell."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from features.errors import WeightsError
from features.networks import checkpoint, norms, spellings
from features.networks.checkpoint import Checkpoint, printable
from features.networks.inference import Inferred
from features.networks.parts import Part

LISTED = 8  # of names


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

    metadata: what a safetensors file says of itself. n_training: how many tensors are an optimizer's or a schedule's.
    """

    path: Path
    format: str
    networks: tuple[Network, ...]
    n_tensors: int
    metadata: dict[str, str]
    n_training: int = 0

    def summary(self) -> str:
        """What kind of file it is, and how many tensors it has."""
        left = f", of which {self.n_training:,} of its training (optimizer) are left aside" * bool(self.n_training)
        return f"{self.format}, {self.n_tensors:,} tensors{left}"


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
    training = sum(bool(spellings.TRAINING.search(name)) for name in file.records)
    return Inspection(file.path, file.format, networks, len(file.records), dict(file.metadata), training)


def described(network: Network, main: bool) -> list[str]:
    """What is known of a network in a file, what is not, and what lies beside it, in lines.

    main: whether it is the one that is taken where nothing is said.
    """
    part = network.part
    where = f"at {printable(part.name)!r}" if part.name else "at the top"
    copy = "; a copy that follows another's training" if part.copy else ""
    lines = [
        f"{'network' if main else 'another network'} {where}, spelled as {part.title}",
        f"  {part.parameters:,} numbers in its blocks{copy}",
    ]
    if network.inferred is None:
        return [*lines, f"  not understood: {network.problem}"]
    architecture = network.inferred.architecture
    lines.append(f"  known from its tensors{' and modules' * network.is_whole}: {architecture.describe()}")
    if network.has_open_norms:
        lines.append(
            "  its norms keep no running statistics: group norms, or batch norms without what they need to be run"
        )
    if untold := [f"{choice.words(architecture)} ({choice.option})" for choice in network.inferred.untold]:
        lines.append(f"  not told by them, and taken as usual: {'; '.join(untold)}")
    return [*lines, *_beside(part)]


def _beside(part: Part) -> Iterator[str]:
    """The heads of a network, of which one is taken, and what is no part of it."""
    if len(part.heads) > 1:
        taken = f"{printable(part.head_name)} is taken" if part.head else "none is taken, since nothing tells which"
        yield f"  heads: {printable(', '.join(part.heads[:LISTED]))}; {taken}. Choose one with --head"
    if part.left:
        rest = f" and {len(part.left) - LISTED} more" if len(part.left) > LISTED else ""
        yield f"  left aside: {printable(', '.join(part.left[:LISTED]))}{rest}"


def _understood(file: Checkpoint, part: Part) -> Network:
    try:
        checkpoint.need_understood(part)
        inferred = file.inferred_of(part)
        is_open = "norm_groups" not in inferred.told and norms.are_open(part, file.parts)
        return Network(part, inferred, "", file.modules is not None, is_open)
    except WeightsError as error:
        return Network(part, None, str(error))
