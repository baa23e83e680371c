"""What a kind of result is, and which result lies in a folder."""

import errno
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features import files
from features.claim.staging import MADE_BY, Staging, inner_name, read_json, target_of
from features.errors import FeatureError

MANIFEST = "manifest.json"
WRITTEN = "written"  # in a manifest: the names of all files of the result
TOLD = 6  # differences in a sentence
DIGEST = re.compile(r'"[0-9a-f]{64}"')
REMEDIES = {
    errno.ENOSPC: "Make room, and run the same command again",
    errno.EDQUOT: "Make room, and run the same command again",
    errno.EACCES: "Choose a folder that you may write to",
    errno.EPERM: "Choose a folder that you may write to",
    errno.EROFS: "Choose a folder that can be written to",
}


@dataclass(frozen=True)
class Held:
    """A result that lies in a folder.

    settings: what it was made with; None where an earlier version kept none of them.
    partial: whether settings that are not among them are not known. names: its files, inside the folder.
    complete: whether it came to its end. content: its manifest.
    leftovers: names of what runs of an earlier version left behind.
    """

    settings: Mapping[str, Any] | None
    names: frozenset[str]
    complete: bool
    content: Mapping[str, Any]
    partial: bool = False
    leftovers: frozenset[str] = frozenset()


def _settings(content: Mapping[str, Any]) -> Mapping[str, Any]:
    return content["settings"]


def _complete(content: Mapping[str, Any]) -> bool:
    return True


def _nothing(folder: Path, name: str) -> Held | None:
    return None


@dataclass(frozen=True)
class Kind:
    """A kind of result.

    name: stands in manifests. title: in sentences. error: what is raised.
    endings: of the files of a result that has a name, beside its manifest NAME.json; () for a kind that takes a whole
        folder. spare: of files that a complete result can do without.
    settings, complete: of a manifest; by default its 'settings', and that it is there.
    earlier: what an earlier version left in a folder (by a name), whose manifests do not tell their kind; None if
        that is nothing of this kind.
    """

    name: str
    title: str
    error: type[FeatureError] = FeatureError
    endings: tuple[str, ...] = ()
    spare: tuple[str, ...] = ()
    settings: Callable[[Mapping[str, Any]], Mapping[str, Any]] = _settings
    complete: Callable[[Mapping[str, Any]], bool] = _complete
    earlier: Callable[[Path, str], Held | None] = _nothing

    @contextmanager
    def errors(self, folder: Path) -> Iterator[None]:
        """Turn what the system says of a folder into this kind's error."""
        try:
            with files.reached(folder):
                yield
        except OSError as error:  # also Arrow's
            reason = error.strerror or str(error)
            remedy = REMEDIES.get(error.errno or 0, "Mend this, and run the same command again")
            where = target_of(folder)
            raise self.error(f"The {self.title} cannot be written to {where}: {reason}. {remedy}.") from error


def need_kind(folder: Path, kind: Kind, name: str = "") -> Mapping[str, Any] | None:
    """What the staging folder says of a run under way there, None if there is none; nothing is written.

    Raises the kind's error if the folder belongs to another kind of result, or holds other things.
    """
    with kind.errors(folder):
        files.need_no_file(folder)
        staging = Staging(folder, name)
        owner = staging.owner()
        if owner and owner.get("kind") != kind.name:
            raise _of_others(folder, kind, f"an unfinished result of the kind {owner.get('kind')!r}")
        if not owner:  # else files of two results may lie there until a journal is finished
            held_in(folder, kind, name)
        return owner


def unfinished(folder: Path) -> bool:
    """Whether a run is under way in a folder, or was stopped there. Raises FeatureError as `need_kind` may."""
    return bool(Staging(folder).owner())


def begun_with(folder: Path) -> dict[str, Any]:
    """The settings of a run that is under way in a folder, or was stopped there; {} if there is none."""
    owner = Staging(folder).owner() or {}
    settings = owner.get("settings")
    return settings if isinstance(settings, dict) else {}


def present_in(folder: Path, name: str = "") -> dict[str, Path]:
    """What a folder holds, by names, but for the hidden folder of a run under way."""
    hidden = Staging(folder, name).folder.name
    return {entry.name: entry for entry in files.entries(folder) if entry.name != hidden}


def held_in(folder: Path, kind: Kind, name: str) -> Held | None:
    """The result that lies in a folder. Raises the kind's error if something else does."""
    manifest = manifest_name(name)
    if name and (folder / MANIFEST).exists():
        raise _of_others(folder, kind, f"{MANIFEST} says that it is one result's alone")
    if name and (whole := Staging(folder).owner()):  # whose manifest will say so
        raise _of_others(folder, kind, f"an unfinished result of the kind {whole.get('kind')!r}")
    content = read_json(folder / manifest) or {}
    if content.get("made_by") == MADE_BY and content.get("kind") != kind.name:
        raise _of_others(folder, kind, f"a result of the kind {content.get('kind')!r}")
    try:
        if content.get("made_by") == MADE_BY:
            names = frozenset(map(inner_name, content[WRITTEN]))
            held: Held | None = Held(kind.settings(content), names, kind.complete(content), content)
        else:
            held = kind.earlier(folder, name)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _of_others(folder, kind, f"{manifest} is damaged") from error
    present = set(present_in(folder, name))
    if name:
        present &= {manifest, *(f"{name}{ending}" for ending in kind.endings)}
        present -= held.names | {manifest} if held else set()
    if present and (name or held is None):
        raise _of_others(folder, kind, ", ".join(sorted(present)[:3]))
    return held


def _of_others(folder: Path, kind: Kind, what: str) -> FeatureError:
    where = "another name, or a new or an empty folder" if kind.endings else "a new or an empty folder"
    return kind.error(f"{folder} holds other things than {kind.title} ({what}). Choose {where}.")


def manifest_name(name: str) -> str:
    return f"{name}.json" if name else MANIFEST


def same(held: Held, settings: Mapping[str, Any]) -> bool:
    return held.settings is not None and not _differing(held, settings)


def _differing(held: Held, settings: Mapping[str, Any]) -> list[str]:
    before = held.settings or {}
    names = before if held.partial else {**before, **settings}
    return [name for name in names if before.get(name) != settings.get(name)]


def differences(held: Held, settings: Mapping[str, Any]) -> str:
    """Which settings differ, in words: the first few of them."""
    before, names = held.settings or {}, _differing(held, settings)
    told = [f"{name} was {_short(before.get(name))} and is {_short(settings.get(name))}" for name in names[:TOLD]]
    rest = [f"and {len(names) - TOLD} more"] if len(names) > TOLD else []
    return "; ".join([*told, *rest])


def _short(value: object) -> str:
    text = json.dumps(value)
    if DIGEST.fullmatch(text):
        return f"{text[1:13]}..."
    return text if len(text) <= 60 else f"{text[:57]}..."
