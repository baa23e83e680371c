"""Families of choices: what a person can choose by name, each family in one list that all others read."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

from features.errors import FeatureError


class Named(Protocol):
    """What a registry holds: a frozen dataclass with a name."""

    @property
    def name(self) -> str: ...


Entry = TypeVar("Entry", bound=Named)


class Registry(Mapping[str, Entry]):
    """Frozen entries by name, in the order in which people see them.

    The command line, the pages, the documentation and the tests read it, so that one entry is all that a new choice
    takes.
    """

    def __init__(self, family: str, entries: Iterable[Entry] = ()) -> None:
        """family: what one of its entries is, as a sentence calls it: 'method'."""
        self.family = family
        self._entries: dict[str, Entry] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Append an entry. Raises ValueError if its name is taken: one of the two would never be seen."""
        if entry.name in self._entries:
            raise ValueError(f"There is a {self.family} called {entry.name!r} already. Give the new one another name.")
        self._entries[entry.name] = entry

    def need(self, name: str) -> Entry:
        """The entry of a name that a person gave. Raises FeatureError with all names if there is none."""
        if name not in self._entries:
            raise FeatureError(f"There is no {self.family} called {name!r}. Choose one of {', '.join(spelled(self))}.")
        return self._entries[name]

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def spelled(names: Iterable[str]) -> list[str]:
    """Names as they stand in a list: in quotation marks where one holds a comma itself."""
    return [repr(name) if "," in name else name for name in names]
