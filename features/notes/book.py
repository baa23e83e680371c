"""The one file in which a person's notes are kept: a small SQLite database, to which things are only added."""

import getpass
import sqlite3
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from features import files
from features.notes.current import Notes, noted
from features.notes.journal import DO, REDO, UNDO, Act, Change, NotesError, Seen, in_words, undone, value_of
from features.notes.layout import opened, written

CURRENT = "SELECT image, field, after, max(act) AS act FROM changes GROUP BY image, field"  # SQLite: the row of the max


def author() -> str:
    """Who writes, as this machine knows them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a number without a name, as in some containers
        return "unknown"


class Book:
    """A file of notes. It is opened for each act and closed again, so that threads and processes may share it."""

    def __init__(self, path: Path | None = None) -> None:
        """path: None for the usual file. It need not be there: the first act makes it."""
        self.path = (path or files.notes_file()).absolute()

    def version(self) -> int:
        """The number of the last act, 0 for none: another one after every act. Raises NotesError as `notes`."""
        with opened(self.path) as file:
            return 0 if file is None else _version(file)

    def notes(self) -> Notes:
        """What is noted now. Raises NotesError if the file is damaged, of a later version or no file of notes."""
        with opened(self.path) as file:
            if file is None:
                return Notes(0, {})
            file.execute("BEGIN")  # all that follows is of one moment
            version = _version(file)
            standing = file.execute(
                f"SELECT digest, field, after, at, author FROM ({CURRENT}) AS now JOIN acts ON acts.number = now.act "
                "JOIN images ON images.number = now.image WHERE after IS NOT NULL"
            ).fetchall()
            seen = file.execute(
                "SELECT digest, size, id, place, source, label FROM images "
                "LEFT JOIN places ON places.image = images.number ORDER BY places.number"
            ).fetchall()
        names = ("size", "id", "place", "source", "given")
        last = {digest: dict(zip(names, known, strict=True)) for digest, *known in seen if known[1] is not None}
        return replace(noted(standing, last), version=version)

    def current(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str | None]:
        """What stands under each (digest, field), None for nothing."""
        with opened(self.path) as file:
            return {key: None if file is None else _value(file, *key) for key in keys}

    def acts(self, most: int | None = None) -> list[Act]:
        """What was done, the last first, with its changes. most: so many at most."""
        with opened(self.path) as file:
            if file is None:
                return []
            file.execute("BEGIN")
            limit = -1 if most is None else most
            rows = file.execute("SELECT * FROM acts ORDER BY number DESC LIMIT ?", (limit,)).fetchall()
            return [_act(file, *row) for row in rows]

    def undone(self) -> set[str]:
        """The acts that were undone and not done again, by their uids."""
        with opened(self.path) as file:
            rows = (
                () if file is None else file.execute("SELECT uid, at, author, what, kind, of FROM acts ORDER BY number")
            )
            return undone(map(_bare, rows))

    def merged(self) -> set[str]:
        """The acts of other people's files that were merged into this one, by their uids; not those of a merge that was
        undone, which can be asked for again."""
        gone = self.undone()
        question = "SELECT merged.uid, acts.uid FROM merged JOIN acts ON acts.number = merged.act"
        with opened(self.path) as file:
            return set() if file is None else {uid for uid, act in file.execute(question) if act not in gone}

    def write(
        self,
        values: Mapping[tuple[str, str], str | None],
        seen: Iterable[Seen] = (),
        what: str = "",
        by: str | None = None,
        merged: Iterable[str] = (),
        standing: Mapping[tuple[str, str], str | None] | None = None,
    ) -> Act | None:
        """Note something: all of it, or nothing.

        values: (digest, field) -> what it is to be, None for nothing. seen: where the images are, for those who look
        for them by name. what: of the act, in words; by default what it does. merged: as of `Book.merged`. standing:
        what the values were when somebody decided on them, None where that is no matter. Returns the act, None where
        nothing changes. Raises NotesError if a value is none, something else stands, or the file cannot be written.
        """
        wanted = {(digest, field): value_of(field, value) for (digest, field), value in values.items()}
        with written(self.path) as file:
            before = {key: _value(file, *key) for key in wanted}
            if standing is not None and any(before[key] != value for key, value in standing.items()):
                raise NotesError("Something else was noted of these images meanwhile. Look at them, and do it again.")
            changes = [Change(*key, before[key], after) for key, after in wanted.items() if before[key] != after]
            known = list(merged)
            if not changes and not known:
                return None
            what = what or in_words(
                {each.field: each.after for each in changes}, len({each.digest for each in changes})
            )
            act = _append(file, DO, "", what, by, changes, {each.digest: each for each in seen})
            last = "INSERT OR REPLACE INTO merged SELECT ?, max(number) FROM acts"
            file.executemany(last, [(uid,) for uid in known])
        return act

    def undo(self, uid: str | None = None, by: str | None = None) -> Act:
        """Take an act back, by another act that does the opposite. uid: None for the last of one's own that stands.

        Raises NotesError if there is none, or something that it changed has been changed again since.
        """
        return self._turn(UNDO, uid, by)

    def redo(self, uid: str | None = None, by: str | None = None) -> Act:
        """Do once more what was undone. uid: None for the last act of one's own that was undone. Raises as `undo`."""
        return self._turn(REDO, uid, by)

    def _turn(self, kind: str, uid: str | None, by: str | None) -> Act:
        by = by or author()
        with written(self.path) as file:
            act = _named(file, kind, uid, by)
            for change in act.changes:
                stands = _value(file, change.digest, change.field)
                if stands != (change.after if kind == UNDO else change.before):
                    raise NotesError(_changed_since(file, change, act, kind))
            turned = [
                Change(each.digest, each.field, each.after, each.before) if kind == UNDO else each
                for each in act.changes
            ]  # fmt: skip
            word = "undone" if kind == UNDO else "done again"
            return _append(file, kind, act.uid, f"{word}: {act.what}", by, turned, {})


def _bare(row: tuple[str, str, str, str, str, str]) -> Act:
    """An act without its changes, of a row of the table."""
    uid, at, by, what, kind, of = row
    return Act(uid, at, by, what, kind, of, ())


def _version(file: sqlite3.Connection) -> int:
    return int(file.execute("SELECT coalesce(max(number), 0) FROM acts").fetchone()[0])


def _value(file: sqlite3.Connection, digest: str, field: str) -> str | None:
    row = file.execute(
        "SELECT after FROM changes WHERE image = (SELECT number FROM images WHERE digest = ?) AND field = ? "
        "ORDER BY act DESC LIMIT 1",
        (digest, field),
    ).fetchone()
    return None if row is None else row[0]


def _act(file: sqlite3.Connection, number: int, *told: str) -> Act:
    rows = file.execute(
        "SELECT digest, field, before, after FROM changes JOIN images ON images.number = image WHERE act = ?", (number,)
    )
    uid, at, by, what, kind, of = told
    return Act(uid, at, by, what, kind, of, tuple(Change(*row) for row in rows))


def _append(
    file: sqlite3.Connection, kind: str, of: str, what: str, by: str | None, changes: list[Change],
    seen: Mapping[str, Seen],
) -> Act:  # fmt: skip
    act = Act(uuid.uuid4().hex, datetime.now(UTC).isoformat(), by or author(), what, kind, of, tuple(changes))
    told = (act.uid, act.at, act.by, act.what, act.kind, act.of)
    number = file.execute(
        "INSERT INTO acts (uid, at, author, what, kind, of) VALUES (?, ?, ?, ?, ?, ?)", told
    ).lastrowid
    for digest in {each.digest for each in changes}:
        known = seen.get(digest)
        size = None if known is None else known.size
        file.execute("INSERT OR IGNORE INTO images (digest, size) VALUES (?, ?)", (digest, size))
        if known is not None:
            file.execute("UPDATE images SET size = coalesce(size, ?) WHERE digest = ?", (size, digest))
            file.execute(
                "INSERT INTO places (image, place, id, source, label) SELECT number, ?, ?, ?, ? FROM images "
                "WHERE digest = ? ON CONFLICT DO UPDATE SET label = coalesce(excluded.label, label)",
                (known.place, known.id, known.source, known.label, digest),
            )
    file.executemany(
        "INSERT INTO changes (act, image, field, before, after) SELECT ?, number, ?, ?, ? FROM images WHERE digest = ?",
        [(number, each.field, each.before, each.after, each.digest) for each in changes],
    )
    return act


def _named(file: sqlite3.Connection, kind: str, uid: str | None, by: str) -> Act:
    """The act that is to be undone or done again. Raises NotesError if there is none."""
    rows = file.execute("SELECT * FROM acts ORDER BY number").fetchall()
    gone = undone(_bare(row[1:]) for row in rows)
    fitting = [row for row in rows if row[5] == DO and (row[1] in gone) == (kind == REDO)]
    own = [row for row in fitting if (row[3] == by if uid is None else row[1] == uid)]
    if not own:
        word = "undone" if kind == UNDO else "done again"
        which = f"by {by} to be {word}" if uid is None else f"{uid[:40]!r} to be {word}"
        raise NotesError(f"There is no act {which}. The history lists all, and any of them can be named.")
    if kind == REDO and uid is None:  # the one that was undone last
        undoing = [row[6] for row in rows if row[5] == UNDO]
        own.sort(key=lambda row: max(place for place, of in enumerate(undoing) if of == row[1]))
    return _act(file, *own[-1])


def _changed_since(file: sqlite3.Connection, change: Change, act: Act, kind: str) -> str:
    what, by, at = file.execute(
        "SELECT what, author, at FROM acts WHERE number = (SELECT max(act) FROM changes WHERE field = ? AND image = "
        "(SELECT number FROM images WHERE digest = ?))",
        (change.field, change.digest),
    ).fetchone()
    word = "undone" if kind == UNDO else "done again"
    return (
        f"“{act.what}” cannot be {word}: {by} has changed the same since (“{what}”, {at[:16].replace('T', ' ')} UTC). "
        "Undo that first, or note what it should be."
    )
