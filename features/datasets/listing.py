"""What a source holds, file by file, and which of the files are images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from features.datasets import kinds
from features.datasets.image_set import FileOpener, ImageSet, set_digest, spelled
from features.datasets.kinds import Aside
from features.errors import DatasetError
from features.sources import EXTENSIONS


@dataclass(frozen=True, eq=False)
class Listing:
    """The files of a source, in the order that their set will have.

    name:   what the set is called. where: the source, as errors call it.
    names:  of the files, inside the source. marks: what changes when a file does.
    read:   number of a file -> its bytes, and what to call it in an error. Raises ImageError.
    locate: number of a file -> where it lies (`ImageSet.uri`).
    head:   number of a file -> its first bytes; None where that takes long.
    file:   number of a file -> its path and name, as `FileOpener.path`.
    aside:  what was not even listed, and why. notes: what is to be told of the source as a whole.
    paths:  the names as their folders tell classes and splits, where these are others, as of numbered shards.
    labels: what is said of each file's class; None where folders tell it.
    is_shard: whether the source is one of several that only cut a set into parts, so that its name means no class.
    """

    name: str
    where: str
    names: Sequence[str]
    marks: Sequence[str]
    read: Callable[[int], tuple[bytes, str]]
    locate: Callable[[int], str]
    head: Callable[[int], bytes] | None = None
    aside: tuple[Aside, ...] = ()
    notes: tuple[str, ...] = ()
    paths: Sequence[str] | None = None
    labels: Sequence[object] | None = None
    is_shard: bool = False
    file: Callable[[int], tuple[str, str]] | None = None

    def part(self, numbers: Sequence[int]) -> "Listing":
        """Some of the files, by their numbers."""
        head, file = self.head, self.file
        return replace(
            self,
            names=[self.names[number] for number in numbers],
            marks=[self.marks[number] for number in numbers],
            read=lambda index: self.read(numbers[index]),
            locate=lambda index: self.locate(numbers[index]),
            head=None if head is None else lambda index: head(numbers[index]),
            file=None if file is None else lambda index: file(numbers[index]),
            paths=None if self.paths is None else [self.paths[number] for number in numbers],
            labels=None if self.labels is None else [self.labels[number] for number in numbers],
        )


@dataclass(frozen=True)
class Choice:
    """Which split to take (`splits.chosen`). where: the source, as sentences call it."""

    split: str | None
    order: Sequence[str]
    where: str


def images_among(listing: Listing) -> tuple[ImageSet, list[int]]:
    """The images among some files, without labels, and which of the files they are."""
    numbers, aside = kinds.sorted_out(listing.names, listing.head)
    if not numbers:
        raise DatasetError(
            f"{listing.where} holds no images ({', '.join(EXTENSIONS)}). Is it the right place?"
            f"{''.join(f' {each}' for each in (*listing.aside, *aside)[:3])}"
        )
    ids = [spelled(listing.names[number]) for number in numbers]
    opened = ImageSet(
        listing.name,
        tuple(ids),
        None,
        (),
        set_digest(ids, [listing.marks[number] for number in numbers]),
        FileOpener(listing.read, listing.file).take(numbers),
        lambda index: listing.locate(numbers[index]),
        aside=(*listing.aside, *aside),
        notes=listing.notes,
    )
    return opened, numbers
