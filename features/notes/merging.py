"""Two people's notes made one: what only one of them changed is taken, and where both did, somebody chooses."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from features.notes.book import Book
from features.notes.incoming import Incoming, Key
from features.notes.journal import NOTE, Act, NotesError

MINE, THEIRS, BOTH = CHOICES = ("mine", "theirs", "both")
COLUMNS = ("digest", "field", "id", "mine", "theirs", "theirs by", "theirs at", "choice")


@dataclass(frozen=True)
class Conflict:
    """Both changed the same to something else. by, at: whose theirs is, and since when."""

    digest: str
    field: str
    id: str
    mine: str | None
    theirs: str | None
    by: str
    at: str

    @property
    def key(self) -> Key:
        return self.digest, self.field

    @property
    def choices(self) -> tuple[str, ...]:
        """What can be chosen: of two notes also both, one below the other."""
        return CHOICES if self.field == NOTE and self.mine and self.theirs else (MINE, THEIRS)

    def chosen(self, choice: str) -> str | None:
        """What is noted then. Raises NotesError for a choice that there is not."""
        if choice not in self.choices:
            raise NotesError(
                f"Between the {self.field} {self.mine!r} and {self.theirs!r} of {self.id} was chosen {choice!r}. "
                f"Choose one of {', '.join(self.choices)}."
            )
        return {MINE: self.mine, THEIRS: self.theirs, BOTH: f"{self.mine}\n{self.theirs}"}[choice]


@dataclass(frozen=True, eq=False)
class Merge:
    """What becomes of two people's notes. taken: what only they changed. same: how many both have alike."""

    incoming: Incoming
    taken: Mapping[Key, str | None]
    conflicts: tuple[Conflict, ...]
    same: int

    def describe(self) -> str:
        """What is merged, in a sentence."""
        n_images = len({digest for digest, _ in self.taken})
        return (
            f"{len(self.taken):,} changes of {n_images:,} images are taken from {self.incoming.name}, "
            f"{self.same:,} are the same in both, {len(self.conflicts):,} contradict each other."
        )


def merge(incoming: Incoming, book: Book) -> Merge:
    """Three-way: of each image and field, what stands here, there, and stood there when both were the same."""
    current = book.current(incoming.values)
    taken: dict[Key, str | None] = {}
    conflicts, same = [], 0
    for key, theirs in incoming.values.items():
        mine, base = current[key], incoming.base.get(key)
        if mine == theirs:
            same += 1
        elif mine == base:
            taken[key] = theirs
        elif theirs != base:
            seen = incoming.seen.get(key[0])
            conflicts.append(
                Conflict(*key, seen.id if seen else key[0][:12], mine, theirs, *incoming.told.get(key, ("", "")))
            )
    return Merge(incoming, taken, tuple(sorted(conflicts, key=lambda each: (each.id, each.field))), same)


def apply(merged: Merge, book: Book, choices: Mapping[Key, str], by: str | None = None) -> Act | None:
    """Write a merge, as one act that can be undone. choices: of CHOICES, for every conflict.

    Raises NotesError if a conflict has no choice, or something was noted since the merge was made: nothing is written.
    """
    open_ones = [each for each in merged.conflicts if each.key not in choices]
    if open_ones:
        raise NotesError(
            f"{len(open_ones):,} conflicts are not resolved, the first: {told(open_ones[0])}. Choose for each or all."
        )
    values = {**merged.taken, **{each.key: each.chosen(choices[each.key]) for each in merged.conflicts}}
    digests = {digest for digest, _ in values}
    seen = [each for digest, each in merged.incoming.seen.items() if digest in digests]
    n_images = f"{len(digests):,} image{'' if len(digests) == 1 else 's'}"
    base = merged.incoming.base
    standing = {**{key: base.get(key) for key in merged.taken}, **{each.key: each.mine for each in merged.conflicts}}
    return book.write(values, seen, f"merged {merged.incoming.name}: {n_images}", by, merged.incoming.uids, standing)


def need_choice(choice: str) -> None:
    """Raises NotesError for a choice that there is not."""
    if choice not in CHOICES:
        raise NotesError(f"Conflicts cannot be resolved by {choice!r}. Choose one of {', '.join(CHOICES)}.")


def told(conflict: Conflict) -> str:
    """A conflict in words."""
    whose = f" (by {conflict.by})" if conflict.by else ""
    return f"the {conflict.field} of {conflict.id} is {conflict.mine!r} here and {conflict.theirs!r} there{whose}"


def as_csv(conflicts: tuple[Conflict, ...]) -> str:
    """Conflicts as a table, whose last column is to be filled in with a choice."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for each in conflicts:
        table.writerow((each.digest, each.field, each.id, each.mine or "", each.theirs or "", each.by, each.at, ""))
    return text.getvalue()


def choices_of(path: Path) -> dict[Key, str]:
    """What was chosen in such a table. Raises NotesError if it is none."""
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
        return {(row["digest"], row["field"]): row["choice"].strip() for row in rows if row["choice"].strip()}
    except (OSError, ValueError, KeyError, AttributeError, csv.Error) as error:
        raise NotesError(
            f"{path} tells no choices ({error}). Wanted the table that `notes merge --conflicts` writes, with its last "
            f"column filled in by {', '.join(CHOICES)}."
        ) from error
