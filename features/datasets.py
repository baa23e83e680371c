"""Opens a source of images (sample, folder, zip, torchvision set) as one lazy, ordered, labelled ImageSet."""

import hashlib
import os
import re
import threading
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from features import images
from features.errors import DatasetError, ImageError

SAMPLE = "sample"
SAMPLE_FILE = Path(__file__).parent / "bundled" / "fashion-mnist-sample.zip"


@dataclass(frozen=True)
class Rejected:
    """An image that could not be read, and why."""

    id: str
    reason: str


@dataclass(frozen=True, eq=False)
class ImageSet:
    """An ordered set of images that are opened when they are asked for.

    ids:         one unique string per image: its path inside the source.
    labels:      (N,) int64 indices into class_names, or None for unlabelled images.
    class_names: the names of the labels, sorted, or in torchvision's order; empty for unlabelled images.
    digest:      hexadecimal SHA-256 of the ids, sizes and times or checksums; changes when the set changes.
    place:       where an image lies, with '{}' for its id; fsspec's spelling for members of a zip.
    """

    name: str
    ids: tuple[str, ...]
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    digest: str
    opener: Callable[[int], Image.Image]
    place: str = "{}"

    def __len__(self) -> int:
        return len(self.ids)

    def open(self, index: int) -> Image.Image:
        """Image number `index`, upright RGB. Raises ImageError if its file is damaged or gone."""
        return self.opener(index)

    def uri(self, index: int) -> str:
        """Where image number `index` lies: a path, 'zip://MEMBER::PATH', or 'torchvision:SET/SPLIT/NUMBER'."""
        return self.place.replace("{}", self.ids[index])

    def label_name(self, index: int) -> str | None:
        """The label of image number `index`, or None."""
        return None if self.labels is None else self.class_names[self.labels[index]]

    def take(self, indices: Sequence[int]) -> "ImageSet":
        """The images at `indices`, in that order."""
        chosen = [int(index) for index in indices]
        picked = hashlib.sha256(f"{self.digest}{chosen}".encode()).hexdigest()
        return replace(
            self,
            ids=tuple(self.ids[index] for index in chosen),
            labels=None if self.labels is None else self.labels[chosen],
            digest=picked,
            opener=lambda index: self.opener(chosen[index]),
        )

    def sample(self, limit: int, seed: int = 0) -> "ImageSet":
        """At most `limit` images in their old order, as many of each class as of any other if there are enough."""
        if limit >= len(self):
            return self
        order = np.random.default_rng(seed).permutation(len(self))
        if self.labels is not None:
            # Deal the classes out in turn: every image is ranked within its class, and low ranks go first.
            shuffled = self.labels[order]
            by_class = np.argsort(shuffled, kind="stable")
            starts = np.searchsorted(shuffled[by_class], shuffled[by_class])
            rank = np.empty(len(self), dtype=np.int64)
            rank[by_class] = np.arange(len(self)) - starts
            order = order[np.argsort(rank, kind="stable")]
        return self.take(np.sort(order[:limit]).tolist())


def open_images(source: str, data_root: str | None = None, download: bool = False) -> ImageSet:
    """Open a source of images.

    source: 'sample' (the bundled Fashion-MNIST test images), a folder (flat, or one folder per class), a .zip
        of the same, or 'torchvision:NAME' / 'torchvision:NAME:SPLIT' (CIFAR10:test, FashionMNIST:train, ...).
    data_root: where the torchvision set lies. download: let torchvision fetch it if it is not there.
    Raises DatasetError if there is nothing to open.
    """
    if source == SAMPLE:
        return replace(_open_zip(SAMPLE_FILE), name="Fashion-MNIST sample")
    if source.startswith("torchvision:"):
        return _open_torchvision(source, data_root, download)
    path = Path(source).expanduser()
    if path.is_dir():
        return _open_folder(path)
    if path.is_file() and zipfile.is_zipfile(path):
        return _open_zip(path)
    what = "is not a folder or a zip" if path.exists() else "does not exist"
    raise DatasetError(
        f"{source!r} {what}. Give a folder of images, a .zip, 'torchvision:NAME' or '{SAMPLE}' for the bundled images."
    )


def _open_folder(root: Path) -> ImageSet:
    root = root.resolve()
    files = sorted(_walk(root))
    marks = [_mark(file) for file in files]
    ids = [file.relative_to(root).as_posix() for file in files]

    def opener(index: int) -> Image.Image:
        try:
            data = files[index].read_bytes()
        except OSError as error:
            raise ImageError(f"{ids[index]} cannot be read: {error.strerror}. Is the folder still there?") from error
        return images.decode(data, ids[index])

    return replace(_label(root.name, str(root), ids, marks, opener), place=f"{root}/{{}}")


def stamp(path: Path) -> str:
    """Hexadecimal SHA-256 that changes when the files at a path do: names, sizes and times, without opening them."""
    if not path.is_dir():
        return _digest([path.name], [_mark(path)])
    files = sorted(_walk(path.resolve()))
    return _digest([str(file) for file in files], [_mark(file) for file in files])


def _mark(file: Path) -> str:
    """What changes when a file does."""
    try:
        status = file.stat()
    except OSError:  # a link to nowhere: opening it says so, and the other images are not lost
        return "unreadable"
    return f"{status.st_size} {status.st_mtime_ns}"


def _walk(root: Path) -> list[Path]:
    found = []

    def unreadable(error: OSError) -> None:
        raise DatasetError(f"The folder {error.filename} cannot be read: {error.strerror}. Allow it, or move it away.")

    for folder, subfolders, names in os.walk(root, onerror=unreadable):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        found += [Path(folder, name) for name in names if _looks_like_image(name)]
    return found


def _looks_like_image(name: str) -> bool:
    hidden = any(part.startswith(".") for part in PurePosixPath(name).parts)
    return not hidden and name.lower().endswith(images.EXTENSIONS)


def _open_zip(path: Path) -> ImageSet:
    # One handle for each set, guarded: ZipFile objects are not safe to read from several threads or processes.
    lock = threading.Lock()
    handles: dict[int, zipfile.ZipFile] = {}
    entries = _image_entries(path)

    def opener(index: int) -> Image.Image:
        entry = entries[index]
        if entry.file_size > images.MAX_BYTES:
            raise ImageError(f"{entry.filename} unpacks to {entry.file_size:,} bytes. Make it smaller.")
        with lock:
            process = os.getpid()
            try:
                if process not in handles:
                    handles[process] = zipfile.ZipFile(path)
                with handles[process].open(entry) as member:  # what it says of its size may be a lie
                    data = member.read(images.MAX_BYTES + 1)
            except Exception as error:  # damaged members raise many kinds, from zlib's to NotImplementedError
                raise ImageError(f"{entry.filename} cannot be unpacked: {error}. Make the zip again.") from error
        return images.decode(data, entry.filename)

    ids = [entry.filename for entry in entries]
    found = _label(path.stem, str(path), ids, [f"{e.file_size} {e.CRC}" for e in entries], opener)
    return replace(found, place=f"zip://{{}}::{path.resolve()}")


def _image_entries(path: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}  # of two of one name the later counts
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise DatasetError(f"{path} cannot be opened as a zip: {error}. Make or copy it again.") from error
    return [entries[name] for name in sorted(entries) if _looks_like_image(name)]


def _label(name: str, where: str, ids: list[str], marks: list[str], opener: Callable[[int], Image.Image]) -> ImageSet:
    if not ids:
        raise DatasetError(f"{where} holds no images ({', '.join(images.EXTENSIONS)}). Is it the right place?")
    names = _class_names(ids)
    labels = None
    class_names: tuple[str, ...] = ()
    if names is not None:
        class_names = tuple(sorted(set(names)))
        position = {class_name: index for index, class_name in enumerate(class_names)}
        labels = np.array([position[class_name] for class_name in names], dtype=np.int64)  # (N,)
    return ImageSet(name, tuple(ids), labels, class_names, _digest(ids, marks), opener)


WORDNET = re.compile(r"n\d{8}_(.+)\.\w+")


def _class_names(ids: list[str]) -> list[str] | None:
    """Each image's class: the first folder in which paths differ, or from ImageNet's 'n01440764_tench.JPEG'."""
    folders = [PurePosixPath(image_id).parent.parts for image_id in ids]
    common = _common_depth(folders)
    if all(len(parts) > common for parts in folders):
        return [parts[common] for parts in folders]
    matches = [WORDNET.fullmatch(PurePosixPath(image_id).name) for image_id in ids]
    if all(matches):
        return [match.group(1) for match in matches if match]
    return None


def _common_depth(folders: Sequence[tuple[str, ...]]) -> int:
    """How many folders, from the top, all paths have in common."""
    levels = zip(*folders, strict=False)  # ends with the shortest path
    return sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, levels))


def _digest(ids: Sequence[str], marks: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for image_id, mark in zip(ids, marks, strict=True):
        digest.update(f"{image_id}\0{mark}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _open_torchvision(source: str, data_root: str | None, download: bool) -> ImageSet:
    import torchvision

    _, name, split = (source + "::").split(":")[:3]
    factory = getattr(torchvision.datasets, name, None)
    if not isinstance(factory, type) or not issubclass(factory, torchvision.datasets.VisionDataset):
        raise DatasetError(
            f"torchvision has no image set called {name!r}. Try CIFAR10, FashionMNIST or ImageFolder's own path."
        )
    root = Path(data_root or os.environ.get("TORCHVISION_DATA", "data")).expanduser()
    choice = _split_arguments(factory, split)
    split = split or ("test" if choice else "all")
    try:
        data = factory(root=root, **choice, **({"download": True} if download else {}))
    except (RuntimeError, OSError, ValueError, TypeError) as error:
        raise DatasetError(
            f"torchvision's {name} ({split}) cannot be opened under {root.resolve()}: {error} "
            "Name its folder with --data-root, or add --download where there is a network."
        ) from error

    def opener(index: int) -> Image.Image:
        try:
            return images.upright_rgb(data[index][0])
        except Exception as error:  # each set has its own way of failing at a damaged file
            raise ImageError(f"{ids[index]} cannot be read: {error}. Fetch the set again.") from error

    labels = _torchvision_labels(data, name)
    class_names: tuple[str, ...] = ()
    if labels is not None:
        class_names = tuple(map(str, getattr(data, "classes", range(int(labels.max()) + 1))))
    ids = tuple(f"{name}/{split}/{index:06d}" for index in range(len(data)))
    content = "" if labels is None else hashlib.sha256(labels.tobytes()).hexdigest()
    pixels = getattr(data, "data", None)  # MNIST's and CIFAR's kinds hold all their pixels; others lie in files
    kept = isinstance(pixels, np.ndarray) or type(pixels).__name__ == "Tensor"
    what = hashlib.sha256(np.asarray(pixels).tobytes()).hexdigest() if kept else str(root.resolve())
    digest = _digest([f"{name}/{split}", what], [str(len(data)), content])
    return ImageSet(f"{name} {split}", ids, labels, class_names, digest, opener, "torchvision:{}")


def _torchvision_labels(data: Any, name: str) -> np.ndarray | None:
    targets = getattr(data, "targets", getattr(data, "labels", getattr(data, "_labels", None)))
    if targets is None:
        return None
    try:
        labels = np.asarray(targets, dtype=np.int64)
    except (TypeError, ValueError):
        labels = None
    if labels is None or labels.shape != (len(data),):
        raise DatasetError(f"torchvision's {name} has no single class for each image. Choose a set for classification.")
    return labels  # (N,)


def _split_arguments(factory: type, split: str) -> dict[str, str | bool]:
    """torchvision's sets say either train=True/False or split='train'/'test'/'val'."""
    import inspect

    parameters = inspect.signature(factory).parameters
    if "train" in parameters:
        split = split or "test"
        if split not in ("train", "test"):
            raise DatasetError(f"{factory.__name__} has the splits 'train' and 'test', but got {split!r}.")
        return {"train": split == "train"}
    if "split" in parameters:
        return {"split": split or "test"}
    if split:
        raise DatasetError(
            f"torchvision's {factory.__name__} has no split {split!r}, only one set. Leave the split away."
        )
    return {}
