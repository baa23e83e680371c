"""A list of images, column by column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SHOWN = 40  # characters of a cell in a sentence


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of a list of images.

    where: the list, as errors call it. columns: name -> (N,) cells: texts, numbers, truth values, lists or None.
    named: whether the list itself names its columns; else they are called 'column 1' and so on.
    """

    where: str
    columns: Mapping[str, Sequence[Any]]
    named: bool

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def said(self) -> str:
        """The columns' names, each with its first cell: 'path (cat/0.jpg), label (cat)'."""
        first = {name: str(cells[0]) if len(cells) else "" for name, cells in self.columns.items()}
        return ", ".join(
            f"{name} ({cell if len(cell) <= SHOWN else f'{cell[:SHOWN]}...'})" for name, cell in first.items()
        )


def numbered(count: int) -> list[str]:
    """Names for columns that have none."""
    return [f"column {number}" for number in range(1, count + 1)]


def different(names: Sequence[str]) -> list[str]:
    """The same names, with a number behind each that stood there before; 'column 3' for an empty one."""
    seen: dict[str, int] = {}
    result = []
    for number, name in enumerate(names, start=1):
        bare = name.strip() or f"column {number}"
        seen[bare] = seen.get(bare, 0) + 1
        result.append(bare if seen[bare] == 1 else f"{bare} ({seen[bare]})")
    return result


def plain(cell: str) -> str:
    """A path as it is called here: without blanks around it, a first './' and Windows' backslashes."""
    bare = cell.strip()
    if "\\" in bare:
        bare = bare.replace("\\", "/")
    while bare.startswith("./"):
        bare = bare[2:].lstrip("/")
    return bare
