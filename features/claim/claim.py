"""A folder, or a name in one, that is taken for one result."""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Any, Self

from features import files
from features.claim.kind import WRITTEN, Held, Kind, differences, held_in, manifest_name, need_kind, same
from features.claim.staging import KEPT, MADE_BY, NEW, Busy, Staging, inner_name


class Claim:
    """A folder, or one name in it, that is this run's alone until it is closed.

    held: the result that lies there. direct: whether files may appear in the folder one by one, since they belong to
    what lies there or nothing does; else they are staged.
    """

    def __init__(
        self, folder: Path, kind: Kind, settings: Mapping[str, Any], replace: bool = False, name: str = ""
    ) -> None:
        """replace: whether an earlier result with other settings may be replaced.

        Raises the kind's error if the folder is of another kind or holds other things, is of a run with other
        settings, cannot be written, or is being written by another process.
        """
        self.folder, self.kind, self.name, self.replace = folder, kind, name, replace
        self.settings = json.loads(json.dumps(settings))
        self._manifest, self._staging = manifest_name(name), Staging(folder, name)
        self._owner = {"made_by": MADE_BY, "kind": kind.name, "settings": self.settings}
        self._closed = False
        self.finished: Mapping[str, Any] | None = None  # the manifest of a complete result with these settings
        with self.errors():
            if need_kind(folder, kind, name) is None:  # before a lock is left in a folder that is refused
                self._need_same(held_in(folder, kind, name))
            try:
                self._lock()
            except OSError:
                if not self._answered():
                    raise
                return
            try:
                self._staging.recover()
                self.held = held_in(folder, kind, name)
                self._need_same(self.held)
                self.direct = self.held is None or same(self.held, self.settings)
                if self.held is not None and self.direct and self.held.complete and not self._lost(self.held):
                    self.finished = self.held.content
                    files.remove(folder, self.held.leftovers)
                else:
                    self._need_no_other_work()
                    self._staging.begin(self._owner)
            except BaseException:
                self.close()
                raise

    def _answered(self) -> bool:
        """Whether a complete result with these settings lies in a folder that cannot be written to."""
        held = held_in(self.folder, self.kind, self.name)
        if held is None or not held.complete or not same(held, self.settings) or self._lost(held):
            return False
        self.held, self.direct, self.finished, self._closed = held, True, held.content, True
        return True

    def redo(self) -> None:
        """Work again on a complete result, part of which turns out to be damaged."""
        with self.errors():
            self.finished = None
            self._staging.begin(self._owner)

    @property
    def kept(self) -> Path:
        """A folder for work that outlives this run if it is stopped, until the next one with the same settings ends."""
        return self._staging.kept

    @property
    def new(self) -> Path:
        """The folder whose files `commit` shows. Nothing in it outlives this run if it is stopped."""
        return self._staging.new

    @contextmanager
    def file(self, name: str) -> Iterator[IO[bytes]]:
        """A new file of the result, to write to."""
        with self.errors():
            path = self.new / inner_name(name)
            files.make_folder(path.parent)
            with path.open("wb") as file:
                yield file

    def write(self, name: str, data: bytes) -> None:
        """Write a new file of the result."""
        with self.file(name) as file:
            file.write(data)

    def commit(self, content: Mapping[str, Any], kept: Mapping[str, str] | None = None) -> None:
        """Show the new files and a manifest, and take away those of an earlier result that are not among them.

        kept: name among the kept files -> name in the folder, of those that are shown as well.
        Raises the kind's error if a file of others stands where one is to be; then nothing is changed.
        """
        with self.errors():
            moves = {f"{NEW}/{name}": name for name in files.tree(self.new)}
            moves |= {f"{KEPT}/{name}": shown for name, shown in (kept or {}).items()}
            names = sorted({*moves.values(), self._manifest})
            earlier = (self.held.names | self.held.leftovers) if self.held else frozenset()
            self._need_free(names, earlier)
            files.write_whole(self.new / self._manifest, self._as_manifest(content, names), durable=True)
            # The manifest goes first and comes last: what is not whole has none.
            last = (f"{NEW}/{self._manifest}", self._manifest)
            gone = sorted((earlier - {*names}) | (earlier & {self._manifest}), key=lambda name: name != self._manifest)
            self._staging.commit([*moves.items(), last], gone)
            self._staging.clear()

    def publish(self, content: Mapping[str, Any], names: Iterable[str], complete: bool) -> None:
        """Write only the manifest, of files that appear in the folder one by one. names: all that there will be."""
        with self.errors():
            data = self._as_manifest(content, sorted({*names, self._manifest}))
            with files.written_whole(self.folder / self._manifest, self.new, durable=True) as file:
                file.write(data)
            if complete and self.held is not None:
                files.remove(self.folder, self.held.leftovers)

    def need_room(self, size: int) -> None:
        """Raises the kind's error if the disk has less than `size` bytes free; other stores are not asked."""
        if not files.is_local(self.folder):
            return
        free = shutil.disk_usage(self.folder).free
        if size > free:
            raise self.kind.error(
                f"The {self.kind.title} take about {size / 2**20:,.1f} MiB, but {self.folder} has "
                f"{free / 2**20:,.1f} MiB free. Make room, or choose another folder."
            )

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what the system says of the folder into the kind's error."""
        with self.kind.errors(self.folder):
            yield

    def close(self) -> None:
        """Let others write to the folder. Work that can be gone on with stays in it."""
        if self._closed:
            return
        self._closed = True
        with suppress(OSError), files.reached(self.folder):  # a disk that fails must not hide why this run ends
            try:
                if self._staging.owner() in ({}, self._owner) and (self.finished or not self._staging.worth_keeping):
                    self._staging.clear()
            finally:
                self._staging.leave()
            if self._created:
                files.remove_empty(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lock(self) -> None:
        self._created = not self.folder.exists()
        try:
            self._staging.lock()
        except OSError:  # a disk that is full or cannot be written to
            with suppress(OSError):
                files.remove_empty(self._staging.folder)
                if self._created:
                    files.remove_empty(self.folder)
            raise
        except Busy as error:
            what = f"{self.name} in {self.folder}" if self.name else str(self.folder)
            raise self.kind.error(
                f"Another run is writing to {what}. Wait for it, or choose another folder."
            ) from error

    def _need_same(self, held: Held | None) -> None:
        if held is None or self.replace or same(held, self.settings):
            return
        if held.settings is None:
            raise self.kind.error(
                f"{self.folder} holds the {self.kind.title} of an earlier version, which did not keep its settings. "
                "Choose another folder, or replace them with --replace."
            )
        raise self.kind.error(
            f"{self.folder} holds the {self.kind.title} of another run: {differences(held, self.settings)}. Use the "
            "same settings to go on with it, choose another folder, or replace it with --replace."
        )

    def _need_no_other_work(self) -> None:
        """Raises the kind's error if work of a run with other settings would be lost."""
        owner = self._staging.owner() or {}
        if not self.replace and owner not in ({}, self._owner) and self._staging.worth_keeping:
            other = Held(owner.get("settings", {}), frozenset(), False, {})
            raise self.kind.error(
                f"{self.folder} holds the unfinished work of another run: {differences(other, self.settings)}. Use "
                "the same settings to go on with it, choose another folder, or start anew with --replace."
            )

    def _lost(self, held: Held) -> bool:
        """Whether files of a result are gone that it cannot do without."""
        names = [name for name in held.names if not name.endswith(self.kind.spare)] if self.kind.spare else held.names
        return files.is_local(self.folder) and not all((self.folder / name).exists() for name in names)

    def _need_free(self, names: Iterable[str], earlier: frozenset[str]) -> None:
        """Raises the kind's error if something of others stands where a file is to be moved to or taken away."""
        for name in {*names, *earlier}:
            path = self.folder / inner_name(name)
            parents = [self.folder / parent for parent in PurePosixPath(name).parents if parent.name]
            in_the_way = [parent for parent in parents if parent.is_symlink() or parent.is_file()]
            if path.is_dir() or (name not in earlier and (path.is_symlink() or path.exists())):
                in_the_way.append(path)
            if in_the_way:
                raise self.kind.error(
                    f"{in_the_way[0]} was not written by the run that this one would replace. Move it away, and run "
                    "the same command again."
                )

    def _as_manifest(self, content: Mapping[str, Any], names: list[str]) -> bytes:
        told = {"settings": self.settings, **content, "made_by": MADE_BY, "kind": self.kind.name, WRITTEN: names}
        return (json.dumps(told, indent=1) + "\n").encode()
