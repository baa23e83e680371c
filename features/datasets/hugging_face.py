"""Image sets that Hugging Face's library `datasets` knows: from its cache on this machine, or as it has saved them."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from features.datasets import splits
from features.datasets.image_set import FileOpener, ImageSet, set_digest, with_labels
from features.errors import DatasetError, ImageError
from features.sources import HUGGING_FACE

SAVED = ("dataset_dict.json", "dataset_info.json")  # what `save_to_disk` writes
LABELS = ("label", "labels", "fine_label", "class", "category", "target")


def is_saved(path: Path) -> bool:
    """Whether a folder is one that `save_to_disk` wrote."""
    return any((path / name).is_file() for name in SAVED)


def open_hugging_face(source: str, split: str | None, download: bool, order: Sequence[str]) -> ImageSet:
    """'hf:NAME' with a name of the hub's, of which a copy lies in the cache, or a folder that `save_to_disk` wrote.

    split: as of `splits.chosen`. download: fetch what is not in the cache. Raises DatasetError if the library is not
    installed, does not know the set, or this has no images.
    """
    tables = _tables(source.removeprefix(HUGGING_FACE), download)
    every = splits.Splits([name for name, table in tables.items() for _ in range(len(table))])
    columns = {name: _Column(source, name, table) for name, table in tables.items()}
    labelled = {name for name, column in columns.items() if column.labels is not None}
    names = splits.chosen(every, split, labelled, source, order)
    several = len(tables) > 1
    notes = (splits.said(every, names, source),) if split is None and several else ()
    rows = [(name, row) for name in names for row in range(len(tables[name]))]
    ids = tuple(f"{name}/{row:07d}" for name, row in rows)

    def read(index: int) -> tuple[bytes, str]:
        name, row = rows[index]
        return columns[name].read(row, ids[index]), ids[index]

    marks = [f"{name} {getattr(table, '_fingerprint', len(table))}" for name, table in tables.items()]
    opened = ImageSet(
        source.removeprefix(HUGGING_FACE),
        ids,
        None,
        (),
        set_digest([source, *names], ["", *marks[: len(names)]]),
        FileOpener(read),
        lambda index: f"{HUGGING_FACE}{source.removeprefix(HUGGING_FACE)}/{ids[index]}",
        notes=notes,
        split=(split or names[0]) if several else "",
        splits=every.sizes if several else {},
    )
    if not labelled.issuperset(names):
        return opened
    classes = columns[names[0]].classes
    told = [label for name in names for label in columns[name].labels or ()]
    return with_labels(opened, told, classes if set(told) <= set(classes) else ())


def _tables(name: str, download: bool) -> dict[str, Any]:
    """The splits of a set and their rows."""
    try:
        import datasets
    except ImportError as error:
        raise DatasetError(f"{HUGGING_FACE}{name} needs the library: pip install datasets.") from error
    try:
        path = Path(name).expanduser()
        with _quiet(datasets, download):
            found = datasets.load_from_disk(str(path)) if is_saved(path) else datasets.load_dataset(name)
    except Exception as error:  # the library and those below it raise many kinds
        way = "Name another" if download else "Name another, or add --download where there is a network"
        raise DatasetError(f"{HUGGING_FACE}{name} cannot be opened: {str(error)[:300]} {way}.") from error
    tables = dict(found) if isinstance(found, dict) else {"all": found}
    if not sum(map(len, tables.values())):
        raise DatasetError(f"{HUGGING_FACE}{name} holds no rows. Is it the right one?")
    return tables


@contextmanager
def _quiet(datasets: Any, download: bool) -> Iterator[None]:
    """Without progress bars, and without a network unless it may be used."""
    import huggingface_hub.constants as hub

    before = datasets.config.HF_HUB_OFFLINE, hub.HF_HUB_OFFLINE
    bars = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    if not download:
        datasets.config.HF_HUB_OFFLINE = hub.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, hub.HF_HUB_OFFLINE = before
        if not bars:
            datasets.enable_progress_bars()


class _Column:
    """The images and labels of one split."""

    def __init__(self, source: str, split: str, table: Any) -> None:
        import datasets

        kinds = table.features
        self.images = next((name for name, kind in kinds.items() if isinstance(kind, datasets.Image)), None)
        if self.images is None:
            raise DatasetError(f"{source} has no column of images, only {json.dumps(list(kinds))}. Name another.")
        self._table = table.cast_column(self.images, datasets.Image(decode=False))
        self._name = next((name for name in LABELS if name in kinds), None)
        kind = kinds[self._name] if self._name else None
        self.classes = tuple(kind.names) if isinstance(kind, datasets.ClassLabel) else ()

    @cached_property
    def labels(self) -> list[str] | None:
        """Of every row; None where one has none."""
        if self._name is None:
            return None
        values = self._table[self._name][:]
        if self.classes:
            return None if any(v is None or v < 0 for v in values) else [self.classes[value] for value in values]
        return None if any(v is None or isinstance(v, list) for v in values) else list(map(str, values))

    def read(self, row: int, name: str) -> bytes:
        try:
            told = self._table[row][self.images]
            data = told["bytes"] if told else None
            if data is None and told and told["path"]:
                data = Path(told["path"]).read_bytes()
        except Exception as error:  # the library's kinds, and the disk's
            raise ImageError(f"{name} cannot be read: {str(error)[:200]}. Is its file still there?") from error
        if data is None:
            raise ImageError(f"{name} has no bytes. Write the image itself into its row.")
        return data
