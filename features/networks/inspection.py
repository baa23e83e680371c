"""Says what lies in a file of weights: which networks, what is known of each, and what tensors do not tell."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from features.errors import FeatureError, WeightsError
from features.networks import card, checkpoint, norms, spellings
from features.networks.architecture import Architecture
from features.networks.checkpoint import Checkpoint, printable
from features.networks.choices import BY_FIELD
from features.networks.inference import Inferred
from features.networks.parts import Part

LISTED = 8  # of names


@dataclass(frozen=True, eq=False)
class Network:
    """One residual network in a file.

    inferred: None where it is not understood; problem: why, or ''. is_whole: whether the file has its modules too.
    has_open_norms: whether nothing tells that its norms, which keep no statistics, are group norms. is_said: whether
    it is known by what the file says of itself, since no tensors tell layer norms from group norms.
    """

    part: Part
    inferred: Inferred | None
    problem: str = ""
    is_whole: bool = False
    has_open_norms: bool = False
    is_said: bool = False


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
    own = _without_batch_norms(file)
    networks = tuple(_understood(file, part, own if number == 0 else None) for number, part in enumerate(file.parts))
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
    source = "what the file says of itself" if network.is_said else f"its tensors{' and modules' * network.is_whole}"
    lines.append(f"  known from {source}: {architecture.describe()}")
    if network.has_open_norms:
        lines.append(
            "  its norms keep no running statistics: group norms, or batch norms without what they need to be run"
        )
    if untold := [f"{choice.words(architecture)} ({choice.option})" for choice in network.inferred.untold]:
        lines.append(f"  not told by them, and taken as usual: {'; '.join(untold)}")
    return lines if network.is_said else [*lines, *_beside(part)]


def _beside(part: Part) -> Iterator[str]:
    """The heads of a network, of which one is taken, and what is no part of it."""
    if len(part.heads) > 1:
        taken = f"{printable(part.head_name)} is taken" if part.head else "none is taken, since nothing tells which"
        yield f"  heads: {printable(', '.join(part.heads[:LISTED]))}; {taken}. Choose one with --head"
    if part.left:
        rest = f" and {len(part.left) - LISTED} more" if len(part.left) > LISTED else ""
        yield f"  left aside: {printable(', '.join(part.left[:LISTED]))}{rest}"


def _without_batch_norms(file: Checkpoint) -> Architecture | None:
    """What one of our own files says of a network without batch norms, which its tensors do not tell."""
    if not card.is_described(file.metadata):
        return None
    try:
        said = card.described(file.metadata).architecture
    except FeatureError:  # which is told when it is loaded
        return None
    return None if said.norm == "batch" else said


def _understood(file: Checkpoint, part: Part, own: Architecture | None) -> Network:
    if own is not None:
        return Network(part, Inferred(own, frozenset(BY_FIELD)), is_said=True)
    try:
        checkpoint.need_understood(part)
        inferred = file.inferred_of(part)
        is_open = inferred.told.isdisjoint({"norm", "norm_groups"}) and norms.are_open(part, file.parts)
        return Network(part, inferred, "", file.modules is not None, is_open)
    except WeightsError as error:
        return Network(part, None, str(error))
