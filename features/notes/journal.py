"""What was done to notes: acts of one person at one time, each with the changes that it made, none ever rewritten."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from features.errors import FeatureError

LABEL, NOTE, TAG = "label", "note", "tag:"  # what can be noted of an image; behind TAG stands its name
YES = "yes"  # the value of a tag that an image has
DO, UNDO, REDO = "do", "undo", "redo"
MOST_LETTERS = {LABEL: 500, NOTE: 20_000, TAG: 100}


class NotesError(FeatureError):
    """Notes cannot be read, written, undone or merged."""


@dataclass(frozen=True)
class Change:
    """Something else is noted of an image. digest: of its content. before, after: None for nothing."""

    digest: str
    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Act:
    """Changes that were made at once.

    uid: tells it from all others, on whatever machine. at: the time, UTC in ISO 8601. by: whose it is. what: in words.
    kind: DO, UNDO or REDO; of: the act that is undone or done again, '' for none.
    """

    uid: str
    at: str
    by: str
    what: str
    kind: str
    of: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Seen:
    """Where an image was when something was noted of it.

    size: bytes of its file, None where it has none. id, place: as `ImageSet` has them. source: the set's name. label:
    what that said of it, None for nothing.
    """

    digest: str
    size: int | None
    id: str
    place: str
    source: str
    label: str | None


def field_of(kind: str, name: str = "") -> str:
    """The field of a tag by its name, or of another kind. Raises NotesError for a name that is none."""
    if kind != TAG:
        return kind
    name = name.strip()
    if len(name.splitlines()) != 1 or ";" in name or len(name) > MOST_LETTERS[TAG] or not _is_text(name):
        raise NotesError(
            f"A tag is called {name[:60]!r}. Wanted a name of 1 to {MOST_LETTERS[TAG]} letters in one line, without "
            "semicolons, which stand between tags in exported tables."
        )
    return f"{TAG}{name}"


def tag_of(field: str) -> str | None:
    """The name of the tag that a field is, None for other fields."""
    return field.removeprefix(TAG) if field.startswith(TAG) else None


def value_of(field: str, text: str | None) -> str | None:
    """What is written of a text: without blanks around it, None for nothing. Raises NotesError for too long a one."""
    text = (text or "").strip()
    kind = TAG if field.startswith(TAG) else field
    if kind not in MOST_LETTERS:
        raise NotesError(f"Nothing is noted under {field!r}. Wanted {LABEL}, {NOTE} or {TAG} with a name behind it.")
    if not _is_text(text):
        raise NotesError(f"The {kind.strip(':')} {text[:40]!r} has letters that are none. Write it anew.")
    if kind == LABEL and len(text.splitlines()) > 1:
        raise NotesError(f"The label {text[:40]!r} has several lines. Give it in one.")
    if len(text) > MOST_LETTERS[kind]:
        raise NotesError(f"The {kind.strip(':')} has {len(text):,} letters. Wanted at most {MOST_LETTERS[kind]:,}.")
    return text or None


def _is_text(text: str) -> bool:
    """Whether it can be written down: names of files may have bytes that are no letters."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def in_words(fields: Mapping[str, str | None], n_images: int) -> str:
    """What is done to images, as a history tells it: 'tagged blurred, relabelled cat: 12 images'."""
    told = []
    for field, value in fields.items():
        if (tag := tag_of(field)) is not None:
            told.append(f"tagged {tag}" if value else f"took away the tag {tag}")
        elif field == LABEL:
            told.append(f"relabelled {value}" if value else "took back the corrected label")
        else:
            told.append("wrote a note" if value else "took away the note")
    return f"{', '.join(told)}: {n_images:,} image{'' if n_images == 1 else 's'}"


def undone(acts: Iterable[Act]) -> set[str]:
    """The acts whose changes were undone and not done again, by their uids."""
    gone: set[str] = set()
    for act in acts:
        if act.kind == UNDO:
            gone.add(act.of)
        elif act.kind == REDO:
            gone.discard(act.of)
    return gone
