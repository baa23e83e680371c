"""An ordered set of images."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from features import files
from features.datasets import images
from features.datasets.dealing import ranks, ranks_of_sets
from features.datasets.kinds import Aside
from features.datasets.kinds import spelled as spelled  # with the sets, whose ids are spelled so
from features.datasets.named_columns import Columns, TableColumns
from features.errors import DatasetError, ImageError
from features.selection import Selection, keep
from features.sources import ALL

JOIN = ";"  # between several labels of an image
CORRECTED = "corrected:"  # before the key of corrections, where it tells what was done to a set


@dataclass(frozen=True)
class Rejected:
    """An image that could not be read, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Origin:
    """From where a set can be opened again: a source as `datasets.open_images` takes it, and what was taken of it, of
    that again, and so on: at most so many images, those of a selection, by its key, or all with corrected labels, by
    CORRECTED and the corrections' key.
    """

    source: str
    limits: tuple[int | str, ...] = ()
    columns: Columns = Columns()  # noqa: RUF009  # frozen


@dataclass(frozen=True, eq=False)
class Boxes:
    """Where things are in N images: B boxes.

    images: (B,) int64, the number of each box's image, ascending. labels: (B,) int64 into the set's class_names.
    corners: (B, 4) float32 pixels from the upper left of the image as it is stored: left, top, right, bottom.
    """

    images: np.ndarray
    labels: np.ndarray
    corners: np.ndarray

    def of(self, image: int) -> "Boxes":
        """Those of one image."""
        first, end = np.searchsorted(self.images, [image, image + 1])
        return Boxes(self.images[first:end], self.labels[first:end], self.corners[first:end])

    def take(self, chosen: Sequence[int]) -> "Boxes":
        """Those of some images, which are counted anew."""
        spans = np.searchsorted(self.images, np.add.outer([0, 1], np.asarray(chosen, np.int64)))  # (2, R)
        rows = np.concatenate([np.arange(first, end) for first, end in spans.T] or [np.arange(0)]).astype(np.int64)
        counts = spans[1] - spans[0]
        return Boxes(np.repeat(np.arange(len(chosen)), counts), self.labels[rows], self.corners[rows])


@dataclass(frozen=True, eq=False)
class FileOpener:
    """Opens images whose files are read first and decoded then, so that another process may do the decoding.

    read: number of an image -> its file's bytes, and what to call it in an error. Raises ImageError as `open` does.
    path: number of an image -> its file's absolute path on this machine, and what to call it in an error; None where
    images are no files there, each by itself.
    """

    read: Callable[[int], tuple[bytes, str]]
    path: Callable[[int], tuple[str, str]] | None = None

    def __call__(self, index: int) -> Image.Image:
        return images.decode(*self.read(index))

    def take(self, numbers: Sequence[int]) -> "FileOpener":
        """Of some of the images, which are counted anew."""
        read, path = self.read, self.path
        return FileOpener(
            lambda index: read(numbers[index]), None if path is None else lambda index: path(numbers[index])
        )


@dataclass(frozen=True, eq=False)
class ImageSet:
    """An ordered set of images that are opened when they are asked for.

    ids:         one unique string per image: its path inside the source.
    labels:      (N,) int64 indices into class_names, or None for unlabelled images.
    class_names: the names of the labels, sorted, or in torchvision's order; empty for unlabelled images.
    digest:      hexadecimal SHA-256 of the ids, sizes and times or checksums, and of corrections where labels were
                 corrected; changes when the set changes.
    locate:      where image number i lies (see `uri`); None where its id says so.
    origin:      from where the same set can be opened again; None where nothing tells.
    aside:       what of the source is no part of the set, and why.
    notes:       what was taken for granted when it was opened, in sentences.
    label_sets:  (N, K) bool, which of class_names each image has, where it may have any number; labels is None then.
    columns:     what else its source says of each image: name -> (N,) bool, int64, float64 or texts (None for unknown).
    boxes:       where in the images the labels are, None where nothing tells.
    split:       which split of its source it is ('test', 'all'), '' where there is nothing to choose.
    splits:      those that its source has, with how many images each has.
    table:       the columns of the table that tells its images or their labels, None where none does.
    uncorrected: the digest of the same images as their source labels them, where labels were corrected; else ''.
    """

    name: str
    ids: tuple[str, ...]
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    digest: str
    opener: Callable[[int], Image.Image]
    locate: Callable[[int], str] | None = None
    origin: Origin | None = None
    aside: tuple[Aside, ...] = ()
    notes: tuple[str, ...] = ()
    split: str = ""
    splits: Mapping[str, int] = field(default_factory=dict)
    label_sets: np.ndarray | None = None
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    boxes: Boxes | None = None
    table: TableColumns | None = None
    uncorrected: str = ""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def pictures_digest(self) -> str:
        """What tells the images from others whatever their labels: a selection is of these."""
        return self.uncorrected or self.digest

    def open(self, index: int) -> Image.Image:
        """Image number `index`, upright RGB. Raises ImageError if its file is damaged or gone."""
        return self.opener(index)

    def pictures(self, limit: int = 8) -> list[Image.Image]:
        """Some of the images, the same at every call; those that cannot be read are left out."""
        few = self.sample(2 * limit)
        opened: list[Image.Image] = []
        for index in range(len(few)):
            if len(opened) < limit:
                with suppress(ImageError):
                    opened.append(few.open(index))
        return opened

    def uri(self, index: int) -> str:
        """Where image number `index` lies: a path, 'zip://MEMBER::PATH' or 'tar://MEMBER::PATH' (in an archive inside
        another 'tar://MEMBER::zip://INNER::PATH'), 'parquet://ROW::PATH' (the row of a file), or
        'torchvision:SET/SPLIT/NUMBER'.
        """
        return self.locate(index) if self.locate else self.ids[index]

    def label_name(self, index: int) -> str | None:
        """The label of image number `index`, several with ';' between them, or None."""
        if self.label_sets is not None:
            return joined(self.label_sets[index], self.class_names)
        return None if self.labels is None else self.class_names[self.labels[index]]

    def label_names(self, rows: Sequence[int] | np.ndarray) -> np.ndarray | None:
        """(R,) the labels of some images as `label_name` has them, as objects; None for unlabelled images."""
        if not self.is_labelled:
            return None
        names = np.empty(len(rows), dtype=object)
        names[:] = [self.label_name(int(row)) for row in rows]
        return names

    def describe(self) -> str:
        """What was understood of the source, in a line: '3,400 images, 12 classes, split test of 3'."""
        parts = [f"{len(self):,} image{'s' if len(self) != 1 else ''}"]
        parts.append(self._labels_said())
        if self.split:
            number = len(self.splits)
            parts.append(f"all {number} splits" if self.split == ALL else f"split {self.split} of {number}")
        left = sum(len(each.names) for each in self.aside)
        return ", ".join(parts) + (f"; {left:,} file{'s' if left != 1 else ''} left aside" if left else "")

    def _labels_said(self) -> str:
        if self.label_sets is not None:
            return f"{len(self.class_names):,} labels, {self.label_sets.sum() / max(1, len(self)):.1f} an image"
        return f"{len(self.class_names):,} classes" if self.labels is not None else "without labels"

    @property
    def is_labelled(self) -> bool:
        """Whether labels are known, be it one an image or any number."""
        return self.labels is not None or self.label_sets is not None

    def told(self) -> list[str]:
        """What somebody who opened the set should know: what was taken for granted, and what was left aside."""
        return [*self.notes, *map(str, self.aside)]

    def left_aside(self) -> tuple[Rejected, ...]:
        """Every file of the source that is no part of the set, and why."""
        return tuple(Rejected(name, each.reason) for each in self.aside for name in each.names)

    def take(self, indices: Sequence[int]) -> "ImageSet":
        """The images at `indices`, in that order."""
        chosen = [int(index) for index in indices]
        picked = hashlib.sha256(f"{self.digest}{chosen}".encode()).hexdigest()
        before = self.uncorrected and hashlib.sha256(f"{self.uncorrected}{chosen}".encode()).hexdigest()
        opener = self.opener
        return replace(
            self,
            ids=tuple(self.ids[index] for index in chosen),
            labels=None if self.labels is None else self.labels[chosen],
            digest=picked,
            opener=(opener.take(chosen) if isinstance(opener, FileOpener) else lambda index: opener(chosen[index])),
            locate=lambda index: self.uri(chosen[index]),
            origin=None,
            label_sets=None if self.label_sets is None else self.label_sets[chosen],
            columns={name: values[chosen] for name, values in self.columns.items()},
            boxes=None if self.boxes is None else self.boxes.take(chosen),
            uncorrected=before,
        )

    def select(self, selection: Selection) -> "ImageSet":
        """The images of a selection. Raises DatasetError if that is of another set."""
        if (selection.images, selection.n_images) != (self.pictures_digest, len(self)):
            raise DatasetError(
                f"The selection is of {selection.n_images:,} other images than the {len(self):,} of {self.name}. "
                "Choose the set that it was made on, or choose images again."
            )
        taken = self.take(selection.rows.tolist())
        if self.origin is None:
            return taken
        return replace(taken, origin=replace(self.origin, limits=(*self.origin.limits, keep(selection))))

    def sample(self, limit: int, seed: int = 0) -> "ImageSet":
        """At most `limit` images in their old order, as many of each class as of any other if there are enough.

        Of images with any number of labels each label has at least as many as it would have if all were dealt out in
        turn, and those without a label are dealt out as one.
        """
        if limit >= len(self):
            return self
        order = np.random.default_rng(seed).permutation(len(self))
        if self.labels is not None:
            order = order[np.argsort(ranks(self.labels[order]), kind="stable")]
        elif self.label_sets is not None:
            order = order[np.argsort(ranks_of_sets(self.label_sets[order]), kind="stable")]
        taken = self.take(np.sort(order[:limit]).tolist())
        if self.origin is None or seed != 0:
            return taken
        return replace(taken, origin=replace(self.origin, limits=(*self.origin.limits, limit)))


def joined(has: np.ndarray, names: Sequence[str]) -> str:
    """The labels that an image has as one text, as lists have them. has: (K,) bool."""
    return JOIN.join(names[index] for index in np.flatnonzero(has).tolist())


def with_labels(images: ImageSet, names: Sequence[str], every: Sequence[str] = ()) -> ImageSet:
    """The same images, labelled by the name of each image's class. every: all classes, of which these may be some."""
    class_names = tuple(every or sorted(set(names)))
    position = {class_name: index for index, class_name in enumerate(class_names)}
    labels = np.array([position[class_name] for class_name in names], dtype=np.int64)  # (N,)
    return replace(images, labels=labels, class_names=class_names)


def set_digest(ids: Sequence[str], marks: Sequence[str]) -> str:
    told = hashlib.sha256()
    for image_id, mark in zip(ids, marks, strict=True):
        told.update(f"{image_id}\0{mark}\n".encode("utf-8", "surrogateescape"))
    return told.hexdigest()


@contextmanager
def from_store(path: Path, name: str) -> Iterator[None]:
    """Read an image at a path. Raises DatasetError if a store of others cannot be reached: no image is to blame."""
    try:
        with files.reached(path):
            yield
    except files.Unreachable as error:
        raise DatasetError(f"{name}: {error.strerror}. Run the same again, and what is finished stays.") from error
