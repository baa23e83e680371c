"""Notes and image sets: which images of a set have some, and writing some of its images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.datasets import ImageSet, Rejected
from features.datasets.corrections import Corrections
from features.datasets.image_set import JOIN
from features.datasets.kinds import spelled
from features.notes.book import Book
from features.notes.contents import Content, candidates, contents
from features.notes.current import ImageNotes, Notes
from features.notes.journal import LABEL, Act, NotesError, Seen
from features.progress import Task
from features.selection import Selection

TAGGED, RELABELLED, WITH_NOTE = "tags", "corrected label", "note"  # columns of tables


@dataclass(frozen=True, eq=False)
class NotedImages:
    """The images of a set of which something is noted.

    images: the set's `pictures_digest`. n_images: N. of: by their numbers.
    """

    images: str
    n_images: int
    of: Mapping[int, ImageNotes]

    def __len__(self) -> int:
        return len(self.of)

    def selection(self, tag: str | None = None, relabelled: bool = False, with_note: bool = False) -> Selection:
        """Those with a tag, a corrected label, a note; with all of these that are asked for."""
        rows = [
            row for row, each in self.of.items()
            if (tag is None or tag in each.tags)
            and (not relabelled or each.label is not None)
            and (not with_note or each.note)
        ]  # fmt: skip
        return Selection(self.images, np.array(sorted(rows), np.int64), self.n_images)

    def tags(self) -> dict[str, int]:
        """How many of the images have each tag."""
        return Notes(0, {str(row): each for row, each in self.of.items()}).tags

    def corrections(self, images: ImageSet) -> Corrections:
        """The corrected labels, several of an image where the set has any number of them, parted by ';'."""
        many = images.label_sets is not None
        told = {row: each.label for row, each in sorted(self.of.items()) if each.label is not None}
        labels = tuple(_names(label) if many else (label,) for label in told.values())
        return Corrections(self.images, np.array([*told], np.int64), labels)

    def columns(self) -> dict[str, np.ndarray]:
        """As tables of the set have them: name -> (N,) texts, None for nothing. Empty columns are absent."""
        told = {
            TAGGED: lambda each: JOIN.join(each.tags),
            RELABELLED: lambda each: each.label,
            WITH_NOTE: lambda each: each.note,
        }
        columns = {}
        for name, of in told.items():
            column = np.full(self.n_images, None, object)
            for row, each in self.of.items():
                column[row] = of(each) or None
            if any(value is not None for value in column[[*self.of]]):
                columns[name] = column
        return columns


def noted_in(images: ImageSet, notes: Notes) -> Task[NotedImages]:
    """Which images of a set have notes.

    Of files on this machine those alone are read whose size one of the noted images has; the digests of what lies in
    archives and tables are kept once they were computed (`contents`).
    """
    told = yield from contents(images, candidates(images, notes.sizes))
    of = {row: notes.of[each.digest] for row, each in told.of.items() if each.digest in notes.of}
    return NotedImages(images.pictures_digest, len(images), of)


def write(
    book: Book, images: ImageSet, rows: Sequence[int], values: Mapping[str, str | None], by: str | None = None
) -> Task[Act | None]:
    """Note the same of some images of a set, by their numbers: field -> value, None for nothing.

    Raises NotesError if one of them cannot be read: then nothing is noted.
    """
    told = yield from contents(images, rows)
    need_all(told.rejected, len(rows))
    return record(book, images, told.of, values, by)


def record(
    book: Book, images: ImageSet, of: Mapping[int, Content], values: Mapping[str, str | None], by: str | None = None
) -> Act | None:
    """As `write`, of images whose contents are known, by their numbers."""
    if LABEL in values and values[LABEL] and images.label_sets is not None:
        values = {**values, LABEL: JOIN.join(_names(values[LABEL] or ""))}
    every = {(each.digest, field): value for each in of.values() for field, value in values.items()}
    return book.write(every, (seen(images, row, each) for row, each in of.items()), by=by)


def seen(images: ImageSet, row: int, of: Content) -> Seen:
    """Where an image is, and what its source says of it, which corrections of the set do not."""
    label = None if images.uncorrected else images.label_name(row)
    return Seen(of.digest, of.size, images.ids[row], spelled(images.uri(row)), spelled(images.name), label)


def need_all(rejected: Sequence[Rejected], n_images: int) -> None:
    """Raises NotesError if some images could not be read."""
    if rejected:
        raise NotesError(
            f"{len(rejected):,} of {n_images:,} images cannot be read, so that nothing tells them from others "
            f"({rejected[0].reason}). Leave them out."
        )


def _names(label: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in label.split(JOIN) if name.strip()))
