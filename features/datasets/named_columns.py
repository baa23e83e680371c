"""The columns of a table of images: those that somebody names, and those that it has."""

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from features.errors import DatasetError

FILE_NAME = "file name"  # stands for the labels that are in the names of files, as if these were a column


@dataclass(frozen=True)
class Columns:
    """Columns of a list that are not to be guessed: of the paths, and the labels (several of 0 and 1 with commas)."""

    path: str = ""
    label: str = ""

    @classmethod
    def of(cls, path: str, labels: Sequence[str]) -> "Columns":
        """A column of paths, '' where it is guessed, and any number of labels."""
        if len(labels) < 2:
            return cls(path, "".join(labels))
        row = io.StringIO()
        csv.writer(row, lineterminator="").writerow(labels)  # a name may have a comma itself
        return cls(path, row.getvalue())

    def labels(self, known: Collection[str]) -> list[str]:
        """The names of the columns of labels. known: of the table."""
        if not self.label or self.label in known:
            return [self.label] if self.label else []
        return [name.strip() for name in next(csv.reader([self.label], skipinitialspace=True))]


@dataclass(frozen=True)
class TableColumns:
    """The columns of the table that tells a set's images.

    names: of all. path, labels: those that were taken. path is None where the images themselves stand in the table or
    FILE_NAME stands for one, and '' where it is not known.
    """

    names: tuple[str, ...]
    path: str | None = ""
    labels: tuple[str, ...] = ()


@contextmanager
def telling(columns: Sequence[str]) -> Iterator[None]:
    """Have a DatasetError tell the columns of a table, since naming another of them may help."""
    try:
        yield
    except DatasetError as error:
        error.columns = error.columns or tuple(columns)
        raise
