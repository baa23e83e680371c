"""How a file of notes is laid out, and how it is opened: what the system or SQLite says of it becomes a sentence."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from features.notes.journal import NotesError

APPLICATION, VERSION = 0x52784E74, 1  # in the file's header: whose it is ('RxNt'), and which layout it has
WAIT_SECONDS = 10.0  # for another process that writes

# Rows are never changed or taken away, which the file itself sees to. There is no write-ahead log: it wants memory that
# is shared, which folders on a network do not have, and files beside this one, which people forget to copy.
LAYOUT = (
    "CREATE TABLE acts (number INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, at TEXT NOT NULL, author TEXT NOT NULL, "
    "what TEXT NOT NULL, kind TEXT NOT NULL, of TEXT NOT NULL)",
    "CREATE TABLE images (number INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, size INTEGER)",
    "CREATE TABLE changes (act INTEGER NOT NULL REFERENCES acts, image INTEGER NOT NULL REFERENCES images, "
    "field TEXT NOT NULL, before TEXT, after TEXT, PRIMARY KEY (image, field, act)) WITHOUT ROWID",
    "CREATE INDEX changes_of_acts ON changes (act)",
    "CREATE TABLE places (number INTEGER PRIMARY KEY, image INTEGER NOT NULL REFERENCES images, place TEXT NOT NULL, "
    "id TEXT NOT NULL, source TEXT NOT NULL, label TEXT, UNIQUE (image, place))",
    "CREATE TABLE merged (uid TEXT PRIMARY KEY, act INTEGER NOT NULL REFERENCES acts) WITHOUT ROWID",
    *(
        f"CREATE TRIGGER {table}_{word} BEFORE {word} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'to {table} things are only added'); END"
        for table in ("acts", "changes")
        for word in ("DELETE", "UPDATE")
    ),
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection | None]:
    """A file of notes to read; None where there is none yet. Raises NotesError if it cannot be read."""
    with errors(path):
        if not path.exists():
            yield None
            return
        if path.is_dir():
            raise NotesError(f"{path} is a folder. Name a file of notes, or a new one.")
        with closing(_connected(path, "ro")) as file:
            yield file if _need_own(file, path) else None


@contextmanager
def written(path: Path) -> Iterator[sqlite3.Connection]:
    """A file of notes to write to, made if it is not there: all that is written in here is written, or nothing of it.

    Another process that writes is waited for. Raises NotesError if the file cannot be written.
    """
    with errors(path):
        if path.is_dir():
            raise NotesError(f"{path} is a folder. Name a file of notes, or a new one.")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with closing(_connected(path, "rwc")) as file:
            file.execute("BEGIN IMMEDIATE")  # at once the only one who writes, so that what is read before stays true
            try:
                if not _need_own(file, path):
                    for statement in LAYOUT:
                        file.execute(statement)
                yield file
            except BaseException:
                file.execute("ROLLBACK")
                raise
            file.execute("COMMIT")


def _connected(path: Path, mode: str) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode={mode}"
    file = sqlite3.connect(address, timeout=WAIT_SECONDS, isolation_level=None, uri=True)
    file.execute("PRAGMA foreign_keys = ON")
    file.execute("PRAGMA trusted_schema = OFF")  # a file may come from somebody else
    return file


def _need_own(file: sqlite3.Connection, path: Path) -> bool:
    """Whether the file has something in it. Raises NotesError if that is nothing of ours, or of a later version."""
    application, version, tables = (
        file.execute(question).fetchone()[0]
        for question in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    if not tables and not application:
        return False
    if application != APPLICATION:
        raise NotesError(f"{path} is a database of another program. Name a file of notes, or a new one.")
    if version > VERSION:
        raise NotesError(
            f"{path} was written by a later version of this program (layout {version}, wanted at most {VERSION}). "
            "Use that version, or have it export the notes. Nothing was changed."
        )
    return True


@contextmanager
def errors(path: Path) -> Iterator[None]:
    """Turn what SQLite or the system says of a file of notes into NotesError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise NotesError(_why(path, error)) from error
    except sqlite3.DatabaseError as error:
        raise NotesError(
            f"{path} is no file of notes, or a damaged one ({error}). Move it away and merge an export or a copy of it "
            "into a new one. Nothing was changed."
        ) from error
    except OSError as error:
        raise NotesError(
            f"{path} cannot be used for notes: {error.strerror or error}. Name a file in a folder of yours."
        ) from error


def _why(path: Path, error: sqlite3.OperationalError) -> str:
    """What keeps a file from being read or written, and what to do."""
    said = str(error)
    if "locked" in said:
        return (
            f"Another process has been writing to {path} for {WAIT_SECONDS:.0f} seconds. Nothing was noted: try again "
            "when it is done."
        )
    if "readonly" in said or ("unable to open" in said and not os.access(path.parent, os.W_OK)):
        return f"{path} cannot be written to: it or its folder is read-only. Nothing was noted. Name another file."
    if "full" in said:
        return f"The disk of {path} is full. Nothing was noted: make room, and do it again."
    return f"{path} cannot be used for notes: {said}. Nothing was noted. Name another file, or mend this one's folder."
