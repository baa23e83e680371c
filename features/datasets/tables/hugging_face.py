"""Image sets that Hugging Face's library `datasets` knows: from its cache on this machine, or as it has saved them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from features.datasets.columns import column_of
from features.datasets.image_set import FileOpener, ImageSet, set_digest
from features.datasets.listing import Choice
from features.datasets.named_columns import Columns, TableColumns, telling
from features.datasets.splits import Splits
from features.datasets.tables.table_columns import Told, of_split_told, told_of
from features.datasets.values import LABEL_NAMES, Labels
from features.errors import DatasetError, ImageError
from features.sources import HUGGING_FACE

SAVED = ("dataset_dict.json", "dataset_info.json")  # what `save_to_disk` writes


def is_saved(path: Path) -> bool:
    """Whether a folder is one that `save_to_disk` wrote."""
    return any((path / name).is_file() for name in SAVED)


def open_hugging_face(source: str, choice: Choice, columns: Columns, download: bool = False) -> ImageSet:
    """'hf:NAME' with a name of the hub's, of which a copy lies in the cache, or a folder that `save_to_disk` wrote.

    download: fetch what is not in the cache. columns: that of the labels, where it is not to be guessed. Raises
    DatasetError if the library is not installed, does not know the set, or this has no images or no such column.
    """
    name = source.removeprefix(HUGGING_FACE)
    tables = _tables(name, download)
    parts = {part: _Column(source, table, columns.label) for part, table in tables.items()}
    first = next(iter(parts.values()))
    if columns.path not in ("", first.images):
        raise DatasetError(f"{source} has no list of paths. Leave --path-column away.")
    rows = [(part, row) for part, table in tables.items() for row in range(len(table))]
    ids = tuple(f"{part}/{row:07d}" for part, row in rows)

    def read(index: int) -> tuple[bytes, str]:
        part, row = rows[index]
        return parts[part].read(row, ids[index]), ids[index]

    marks = [f"{part} {getattr(table, '_fingerprint', len(table))}" for part, table in tables.items()]
    label, further = first.label, first.further()
    told = told_of(_cells(tables, label), first.classes, "", label) if label else Told(Labels([None] * len(rows)))
    opened = ImageSet(
        name,
        ids,
        None,
        (),
        set_digest([source, *tables, *filter(None, [columns.label])], ["", *marks, *[""] * bool(columns.label)]),
        FileOpener(read),
        lambda index: f"{HUGGING_FACE}{name}/{ids[index]}",
        columns={each: column_of(_cells(tables, each)) for each in further},
        table=TableColumns(first.others(), None, (label,) if label else ()),
    )
    with telling(first.others()):
        return of_split_told(opened, Splits([part for part, _ in rows]), told, choice)


def _cells(tables: Mapping[str, Any], column: str) -> list:
    """The values of a column of all splits, None where one has no such column."""
    return [
        value for table in tables.values()
        for value in (table[column][:] if column in table.features else [None] * len(table))
    ]  # fmt: skip


def _tables(name: str, download: bool) -> dict[str, Any]:
    """The splits of a set and their rows."""
    try:
        import datasets
    except ImportError as error:
        raise DatasetError(f"{HUGGING_FACE}{name} needs the library: pip install datasets.") from error
    try:
        path = Path(name).expanduser()
        with _quiet(datasets, download):
            opened = datasets.load_from_disk(str(path)) if is_saved(path) else datasets.load_dataset(name)
    except Exception as error:  # the library and those below it raise many kinds
        way = "Name another" if download else "Name another, or add --download where there is a network"
        raise DatasetError(f"{HUGGING_FACE}{name} cannot be opened: {str(error)[:300]} {way}.") from error
    tables = dict(opened) if isinstance(opened, dict) else {"all": opened}
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
    """The images of one split. label: the column of their labels, '' for none; classes: what its numbers stand for.

    asked: that of the labels, '' where it is guessed.
    """

    def __init__(self, source: str, table: Any, asked: str) -> None:
        import datasets

        self._kinds = table.features
        self.images = next((name for name, kind in self._kinds.items() if isinstance(kind, datasets.Image)), None)
        if self.images is None:
            raise DatasetError(f"{source} has no column of images, only {json.dumps(list(self._kinds))}. Name another.")
        self._table = table.cast_column(self.images, datasets.Image(decode=False))
        if asked and asked not in self.others():
            raise DatasetError(
                f"{source} has no column {asked!r}, which --label-column names. It has: {', '.join(self.others())}."
            )
        self.label = asked or next((name for name in LABEL_NAMES if name in self._kinds), "")
        kind = self._kinds.get(self.label)
        kind = getattr(kind, "feature", kind)  # of a list
        self.classes = tuple(kind.names) if isinstance(kind, datasets.ClassLabel) else ()

    def others(self) -> tuple[str, ...]:
        """The columns beside that of the images."""
        return tuple(name for name in self._kinds if name != self.images)

    def further(self) -> list[str]:
        """The columns that say something else of each image, in one word or number."""
        import datasets

        return [
            name for name, kind in self._kinds.items()
            if name != self.label and (isinstance(kind, datasets.ClassLabel) or (
                isinstance(kind, datasets.Value) and not kind.dtype.startswith(("binary", "large_binary"))
            ))
        ]  # fmt: skip

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
