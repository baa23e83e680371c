"""Takes a folder for one run: one writer at a time, nothing of others touched, room on the disk."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from features import files
from features.store.manifest import MANIFEST, PARTS, Manifest, StoreError, read_manifest

# What a run that was killed while it wrote leaves behind.
LEFT_BEHIND = re.compile(r"\.(part-\d+\.parquet|manifest\.json|rejected\.parquet|rows\.parquet)\.[0-9a-f]{32}\.tmp")
LOCK, MAKING = ".lock", ".making"  # MAKING stands in a folder whose files are being written in one go


class Claim:
    """A folder that is this run's alone until it is closed.

    old: the manifest of an earlier run with the same settings, or None.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Raises StoreError if the folder is of a run with other settings, holds other things, cannot be written or
        is being written by another process.
        """
        self.folder, self.manifest = folder, manifest
        with clear_errors(folder):
            self._need_ours()  # before a lock is left in a stranger's folder
            files.make_folder(folder)
            # Let go of by the system if this process dies. Object stores have none.
            self._lock = FileLock(folder / LOCK, timeout=0) if files.is_local(folder) else nullcontext()
            try:
                self._lock.__enter__()
            except Timeout as error:
                raise StoreError(
                    f"Another run is writing to {folder}. Wait for it, or choose another folder."
                ) from error
            try:
                self.old = self._earlier()
            except BaseException:
                self.close()
                raise

    @property
    def finished(self) -> Manifest | None:
        """The manifest of an earlier run that came to its end."""
        return self.old if self.old is not None and self.old.complete else None

    def _earlier(self) -> Manifest | None:
        self._need_ours()
        for entry in files.entries(self.folder):
            if LEFT_BEHIND.fullmatch(entry.name):
                entry.unlink()
        if not (self.folder / MANIFEST).exists():
            return None
        old = read_manifest(self.folder)
        self._need_same(old)
        if old.complete:
            (self.folder / MAKING).unlink(missing_ok=True)
        return old

    def _need_ours(self) -> None:
        names = {entry.name for entry in files.entries(self.folder) if not LEFT_BEHIND.fullmatch(entry.name)}
        if names - {LOCK, PARTS} and not names & {MANIFEST, MAKING}:
            raise StoreError(f"{self.folder} holds other things than features. Choose a new or an empty folder.")

        if PARTS in names and MANIFEST not in names and self.manifest.format == "parquet":
            raise StoreError(
                f"{self.folder} holds a run in another format that was not finished. Run the command that began it "
                "again, or choose another folder."
            )

    def _need_same(self, old: Manifest) -> None:
        one, other = old.without_results(), self.manifest.without_results()
        one |= one.pop("settings")
        other |= other.pop("settings")
        differs = [f"{name} was {_short(one.get(name))} and is {_short(other.get(name))}"
                   for name in one | other if one.get(name) != other.get(name)]  # fmt: skip
        if differs:
            raise StoreError(
                f"{self.folder} holds the features of another run: {'; '.join(differs)}. "
                "Use the same settings to go on with it, or choose another folder."
            )

    def need_room(self, size: int) -> None:
        """Raises StoreError if the disk has less than `size` bytes free; other stores are not asked."""
        if not files.is_local(self.folder):
            return
        free = shutil.disk_usage(self.folder).free
        if size > free:
            raise StoreError(
                f"The features take about {size / 2**20:,.1f} MiB, but {self.folder} has {free / 2**20:,.1f} MiB "
                "free. Choose another folder, fewer stages or fewer images."
            )

    @contextmanager
    def making(self) -> Iterator[None]:
        """While files are written that count only together with the manifest: a run that dies here is done again."""
        with clear_errors(self.folder):
            (self.folder / MAKING).touch()
            yield
            (self.folder / MAKING).unlink()

    def close(self) -> None:
        """Let others write to the folder."""
        self._lock.__exit__(None, None, None)

    def __enter__(self) -> "Claim":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def clear_errors(folder: Path) -> Iterator[None]:
    """Turn what the system says of a folder into a StoreError."""
    try:
        with files.reached(folder):
            yield
    except OSError as error:  # also Arrow's
        reason = error.strerror or str(error)
        raise StoreError(
            f"The features cannot be written to {folder}: {reason}. Mend this and run the same command again: parts "
            "that are finished stay."
        ) from error


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
