"""The folder in which workspaces are kept: each a file of its own, deleted ones aside until they are wanted back."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from features import files
from features.notes import author
from features.workspace.workspace import UID, Workspace, WorkspaceError, decode, encode

DELETED, KEPT_DELETED = "deleted", 50
WAIT_SECONDS = 10.0


class Shelf:
    """Workspaces by their names, the one that was saved last first."""

    def __init__(self, folder: Path | None = None) -> None:
        """folder: None for that in a person's data folder. It need not be there."""
        self.folder = folder or files.data_folder() / "workspaces"

    def all(self) -> list[Workspace]:
        """Those that can be read. A damaged file hides no other; `damaged` names it."""
        return _latest_first(workspace for _, workspace in self._read(self.folder) if isinstance(workspace, Workspace))

    def damaged(self) -> list[str]:
        """Why files of this folder cannot be read, in sentences."""
        return [str(error) for _, error in self._read(self.folder) if isinstance(error, WorkspaceError)]

    def deleted(self) -> list[Workspace]:
        """Those that can be had back, the one that was deleted last first."""
        read = [(path.stat().st_mtime_ns, each) for path, each in self._read(self.folder / DELETED)]
        read.sort(key=lambda pair: pair[0], reverse=True)
        return [each for _, each in read if isinstance(each, Workspace)]

    def need(self, name: str) -> Workspace:
        """By its name. Raises WorkspaceError with all names if there is none."""
        known = self.all()
        for each in known:
            if each.name == name:
                return each
        names = ", ".join(each.name for each in known) or "there are none yet"
        raise WorkspaceError(f"There is no workspace called {name!r}. Choose one of these: {names}.")

    def save(self, workspace: Workspace, replacing: bool = False) -> Workspace:
        """Keep a workspace; returns it as it is kept. replacing: whether another of its name may go, to be had back.

        Raises WorkspaceError if there is another one of its name, or the folder cannot be written to.
        """
        with self._locked():
            return self._save(workspace, replacing)

    def change(self, name: str, made: Callable[[Workspace | None], Workspace]) -> Workspace:
        """Keep what is made of the workspace of a name, of None where there is none; returns it as it is kept.

        Nobody else changes it meanwhile. Raises WorkspaceError as `save`.
        """
        with self._locked():
            return self._save(made(next((each for each in self.all() if each.name == name), None)))

    def _save(self, workspace: Workspace, replacing: bool = False) -> Workspace:
        others = [each for each in self.all() if each.name == workspace.name and each.uid != workspace.uid]
        if others and not replacing:
            raise WorkspaceError(f"There is a workspace called {workspace.name!r} already. Choose another name.")
        saved = workspace.stamped(author())
        decode(encode(saved), f"The workspace {workspace.name!r}")  # before it takes the place of one that is sound
        for each in others:
            self._put_aside(each)
        files.write_whole(self._path(saved), encode(saved), durable=True)
        return saved

    def rename(self, name: str, new: str) -> Workspace:
        """Raises WorkspaceError as `need` and `save`."""
        workspace = self.need(name)
        return workspace if name == new else self.save(replace(workspace, name=new.strip()))

    def delete(self, name: str) -> Workspace:
        """Put a workspace aside, from where `restore` has it back. Raises WorkspaceError as `need`."""
        with self._locked():
            workspace = self.need(name)
            self._put_aside(workspace)
        return workspace

    def restore(self, name: str | None = None) -> Workspace:
        """Have the workspace back that was deleted last, of a name if one is given. Raises WorkspaceError if there is
        none, or another one is called so meanwhile."""
        with self._locked():
            gone = [each for each in self.deleted() if name in (None, each.name)]
            if not gone:
                which = "" if name is None else f" called {name!r}"
                raise WorkspaceError(f"No workspace{which} was deleted. `workspace list` has those that are there.")
            if any(each.name == gone[0].name for each in self.all()):
                raise WorkspaceError(f"There is a workspace called {gone[0].name!r} again. Rename that first.")
            self._path(gone[0], DELETED).replace(self._path(gone[0]))
        return gone[0]

    def _put_aside(self, workspace: Workspace) -> None:
        files.make_folder(self.folder / DELETED)
        target = self._path(workspace, DELETED)
        self._path(workspace).replace(target)
        os.utime(target)
        for old in self.deleted()[KEPT_DELETED:]:
            self._path(old, DELETED).unlink(missing_ok=True)

    def _path(self, workspace: Workspace, inside: str = "") -> Path:
        return self.folder / inside / f"{workspace.uid}.json"

    def _read(self, folder: Path) -> Iterator[tuple[Path, Workspace | WorkspaceError]]:
        for path in sorted(files.entries(folder)):
            if path.suffix != ".json" or not UID.fullmatch(path.stem):
                continue
            with suppress(FileNotFoundError):  # deleted just now
                try:
                    workspace = decode(path.read_bytes(), str(path))
                    yield path, replace(workspace, uid=path.stem)
                except WorkspaceError as error:
                    yield path, error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, whatever processes there are."""
        try:
            files.make_folder(self.folder)
            with FileLock(self.folder / ".lock", timeout=WAIT_SECONDS):
                yield
        except Timeout as error:
            raise WorkspaceError(f"Another process is writing to {self.folder}. Try again when it is done.") from error
        except OSError as error:
            raise WorkspaceError(
                f"{self.folder} cannot be written to: {error.strerror or error}. Set XDG_DATA_HOME to another folder."
            ) from error


def _latest_first(workspaces: Iterator[Workspace]) -> list[Workspace]:
    return sorted(workspaces, key=lambda each: each.saved, reverse=True)
