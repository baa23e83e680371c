"""Features as a kind of result: which folder holds some, also of those that earlier versions left."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from features import files
from features.claim import MANIFEST, Claim, Held, Kind, present_in, read_json
from features.store.formats import FORMATS, PARQUET, names_of
from features.store.manifest import EARLIER_PARTS, KIND, Manifest, StoreError, manifest_of

# What an earlier version left in a folder: its lock, the mark of a format that is being written, files cut off.
EARLIER_MARKS = (".lock", ".making")
EARLIER_HALVES = re.compile(r"\.(part-\d+\.parquet|manifest\.json|rejected\.parquet|rows\.parquet)\.[0-9a-f]{32}\.tmp")


def claimed(folder: Path, manifest: Manifest, replace: bool = False) -> Claim:
    """A folder that is this run's alone until it is closed, for what a manifest says.

    replace: whether features of another run may be replaced. Raises StoreError as `Claim` does.
    """
    if manifest.format == PARQUET and not replace and _earlier_parts(folder) and not (folder / MANIFEST).exists():
        raise StoreError(
            f"{folder} holds a run in another format that was not finished. Run the command that began it again, "
            "choose another folder, or replace it with --replace."
        )
    return Claim(folder, FEATURES, manifest.differing(), replace)


def _settings(content: Mapping[str, Any]) -> dict[str, Any]:
    return manifest_of(content).differing()


def _complete(content: Mapping[str, Any]) -> bool:
    return manifest_of(content).complete


def _earlier(folder: Path, name: str) -> Held | None:
    """What an earlier version left: features, or a run that was stopped."""
    present = present_in(folder)
    # It made its marks empty, and only where it had found an empty folder.
    marks = {name for name in EARLIER_MARKS if name in present and _is_empty_file(present[name])}
    marks |= {name for name in present if EARLIER_HALVES.fullmatch(name)}
    parts = _earlier_parts(folder)
    left = frozenset(
        marks | {f"{EARLIER_PARTS}/{file}" for file in (files.tree(folder / EARLIER_PARTS) if parts else ())}
    )
    if MANIFEST in present:
        manifest = _manifest_in(folder)
        if manifest is None:
            return None
        names = frozenset(name for name in names_of(manifest) if (folder / name).exists())
        return Held(manifest.differing(), names, manifest.complete, manifest.content(), leftovers=left)
    if parts is None:
        # Killed before it wrote anything; its lock, which may be anyone's, stays where it is.
        return Held({}, frozenset(), False, {}, partial=True) if set(present) == {".lock"} == marks else None
    written = set(present) - marks - {EARLIER_PARTS}
    known = set().union(*(names_of(parts, name) for name in FORMATS))
    if written and (".making" not in marks or written - known):
        return None
    settings = {name: value for name, value in parts.differing().items() if name != "format"}
    return Held(settings, frozenset(written), False, {}, partial=True, leftovers=left)


def _earlier_parts(folder: Path) -> Manifest | None:
    """What the parts are of from which an earlier version was to make another format."""
    inner = folder / EARLIER_PARTS
    if not files.is_local(folder) or not inner.is_dir() or inner.is_symlink():
        return None
    manifest = _manifest_in(inner)
    known = set(EARLIER_MARKS) if manifest is None else names_of(manifest).union(EARLIER_MARKS)
    strange = [name for name in files.tree(inner) if name not in known and not EARLIER_HALVES.fullmatch(name)]
    return None if strange else manifest


def _manifest_in(folder: Path) -> Manifest | None:
    try:
        return manifest_of(read_json(folder / MANIFEST) or {})
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _is_empty_file(path: Path) -> bool:
    return path.is_file() and not path.stat().st_size


FEATURES = Kind(KIND, "features", error=StoreError, settings=_settings, complete=_complete, earlier=_earlier)
