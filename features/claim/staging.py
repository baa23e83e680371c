"""The hidden folder of a result under way: a lock, what is written but not shown yet, the journal that shows it.

    lock          held by the process that writes, let go of by the system if it dies
    claim.json    whose folder this is: of which kind of result, made with which settings
    new/          files of this run; a run that was killed makes them again
    kept/         work that the next run with the same settings goes on with: Parquet parts, the state of a training
    journal.json  there from the moment on at which a result is whole: what is moved to where, and what goes

A result is shown by renames. Whoever finds a journal finishes them, so a kill leaves the earlier result or the new one.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock, Timeout

from features import files
from features.errors import FeatureError

NAME = ".resnet-explorer"
MADE_BY = "resnet-explorer"  # stands in everything that this program claims as its own
LOCK, CLAIM, JOURNAL, NEW, KEPT = "lock", "claim.json", "journal.json", "new", "kept"
# What a run that was killed while it wrote claim.json or journal.json leaves behind.
HALF_WRITTEN = re.compile(r"\.(claim|journal)\.json\.[0-9a-f]{32}\.tmp")
ATTEMPTS = 10


class Busy(Exception):
    """Another process holds the lock."""


class Staging:
    """The hidden folder of a result in `target`, or, where that holds several by name, of the result called `name`."""

    def __init__(self, target: Path, name: str = "") -> None:
        self.target = target
        self.folder = target / (f".{name}{NAME}" if name else NAME)
        self.new, self.kept = self.folder / NEW, self.folder / KEPT
        self._lock: FileLock | None = None

    def owner(self) -> dict[str, Any] | None:
        """What claim.json says, {} where a run was killed before it was written; None where there is no such folder.

        Raises FeatureError if the folder is not of this program.
        """
        if not self.folder.is_dir() and not self.folder.exists() and not self.folder.is_symlink():
            return None
        is_folder = self.folder.is_dir() and not self.folder.is_symlink()
        content = read_json(self.folder / CLAIM) if is_folder else None
        names = {entry.name for entry in files.entries(self.folder) if not HALF_WRITTEN.fullmatch(entry.name)}
        begun = names <= {LOCK}
        ours = names <= {LOCK, CLAIM, JOURNAL, NEW, KEPT} and (content or {}).get("made_by") == MADE_BY
        if not is_folder or not (begun or ours):
            raise FeatureError(f"{self.folder} was not made by this program. Choose another folder.")
        return content or {}

    @property
    def committed(self) -> bool:
        """Whether a whole result waits to be shown."""
        return (self.folder / JOURNAL).exists()

    @property
    def worth_keeping(self) -> bool:
        """Whether there is work that a run could go on with."""
        return any(not PurePosixPath(name).name.startswith(".") for name in files.tree(self.kept))

    def lock(self) -> None:
        """Raises Busy if another process has it. An object store has no locks."""
        for _ in range(ATTEMPTS):
            files.make_folder(self.folder)
            if not files.is_local(self.folder):
                return
            lock = FileLock(self.folder / LOCK, timeout=0, thread_local=False)  # a task may end in another thread
            try:
                lock.acquire()
            except Timeout as error:
                raise Busy from error
            except FileNotFoundError:  # a run that ended took the folder away
                continue
            if (self.folder / LOCK).exists():
                self._lock = lock
                return
            lock.release()  # the same: what is locked is a file without a name
        raise Busy

    def begin(self, owner: Mapping[str, Any]) -> None:
        """Say whose folder this is. What a killed run made goes, its kept work only if that is of another owner."""
        files.remove_all(self.new)
        if self.owner() != owner:
            files.remove_all(self.kept)
            files.write_whole(self.folder / CLAIM, _as_bytes(owner), durable=True)
        for folder in (self.new, self.kept):
            files.make_folder(folder)

    def commit(self, moves: Iterable[tuple[str, str]], deletes: Iterable[str]) -> None:
        """Show a whole result. moves: (name in this folder, name in the target), in their order; deletes: names in the
        target, which go before.
        """
        journal = {"made_by": MADE_BY, "deletes": list(deletes), "moves": [list(pair) for pair in moves]}
        files.write_whole(self.folder / JOURNAL, _as_bytes(journal), durable=True)
        self.recover()

    def recover(self) -> None:
        """Finish what a journal says, if there is one."""
        if not self.committed:
            return
        journal = read_json(self.folder / JOURNAL) or {}
        try:
            moves = {inner_name(name): self.folder / inner_name(source) for source, name in journal["moves"]}
            deletes = [inner_name(name) for name in journal["deletes"]]
        except (KeyError, TypeError, ValueError) as error:
            raise FeatureError(f"{self.folder / JOURNAL} is damaged. Choose another folder.") from error
        # What was moved before a run was killed is no longer here, and must not go from where it is now.
        moved = {name for name, staged in moves.items() if not staged.exists()}
        files.remove(self.target, [name for name in deletes if name not in moved])
        for name, staged in moves.items():
            if name not in moved:
                files.make_folder((self.target / name).parent)
                files.move(staged, self.target / name)
        (self.folder / JOURNAL).unlink()

    def clear(self) -> None:
        """Take everything away but the lock."""
        if self.committed:
            return
        for folder in (self.new, self.kept):
            files.remove_all(folder)
        for entry in files.entries(self.folder):
            if entry.name != LOCK:
                entry.unlink()

    def leave(self) -> None:
        """Let others have the lock; the folder goes if there is nothing in it."""
        try:
            if not self.committed:
                files.remove_all(self.new)
            if self._lock is not None:
                (self.folder / LOCK).unlink(missing_ok=True)
            files.remove_empty(self.folder)
        finally:
            if self._lock is not None:
                self._lock.release()
                self._lock = None


def target_of(folder: Path) -> Path:
    """The folder of a result that is staged in a folder, or the folder itself where nothing is."""
    hidden = [parent for parent in (folder, *folder.parents) if parent.name.endswith(NAME)]
    return hidden[-1].parent if hidden else folder


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; {} where it holds something else, None where there is no file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:  # no JSON, or no text
        return {}
    return content if isinstance(content, dict) else {}


def inner_name(name: str) -> str:
    """The same name of a file inside a folder. Raises FeatureError for one that leads out of it."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise FeatureError(f"The file name {name!r} leads out of its folder, so this folder is not touched.")
    return name


def _as_bytes(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()
