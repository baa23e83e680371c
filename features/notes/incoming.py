"""What somebody else noted: another file of notes, or a table of images."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from features.datasets import Rejected, folders
from features.datasets.columns import text_of
from features.datasets.image_set import JOIN
from features.notes.book import Book
from features.notes.contents import contents
from features.notes.journal import LABEL, NOTE, TAG, YES, NotesError, Seen, field_of, value_of
from features.notes.layout import errors
from features.progress import Task

MOST_BYTES = 512 * 2**20
HEADER = b"SQLite format 3\0"
Key = tuple[str, str]  # the digest of an image, and a field


@dataclass(frozen=True, eq=False)
class Incoming:
    """What is noted elsewhere.

    name: of the file. values: what stands there. base: what stood there when both were the same; what is not among it
    was nothing. told: (by, at) of each value. uids: the acts that made it so, which are new here. seen: where images
    are.
    """

    name: str
    values: Mapping[Key, str | None]
    base: Mapping[Key, str | None] = field(default_factory=dict)
    told: Mapping[Key, tuple[str, str]] = field(default_factory=dict)
    uids: frozenset[str] = frozenset()
    seen: Mapping[str, Seen] = field(default_factory=dict)


def incoming(path: Path, book: Book) -> Task[Incoming]:
    """What a file tells that `book` does not know yet.

    path: another file of notes; or a table (.csv, .jsonl) as `tables` writes it or by hand, with a column `digest`, or
    `path` of files that are read for it, and any of `label`, `tags`, `note`. Raises NotesError if it is neither.
    """
    with errors(path):
        size = path.stat().st_size
    if not path.is_file():
        raise NotesError(f"{path} is no file. Name a file of notes or a table.")
    if path.resolve() == book.path.resolve():
        raise NotesError(f"{path} is the file that it would be merged into. Name another one.")
    with errors(path), path.open("rb") as file:
        own = file.read(len(HEADER)) == HEADER
    if own:
        return of_book(Book(path), book)
    if size > MOST_BYTES:
        raise NotesError(f"{path} has {size / 2**20:,.0f} MiB. Wanted a table of at most {MOST_BYTES // 2**20} MiB.")
    with errors(path):
        table = path.read_bytes()
    return (yield from of_table(path.name, table, path.parent))


def of_book(theirs: Book, book: Book) -> Incoming:
    """What is new in another file of notes: of each image and field what stands there, and what stood there when both
    were last the same: before the first act that `book` does not know, or as they took it over from `book`."""
    own, taken_over = book.acts(), theirs.merged()
    known = {act.uid for act in own} | book.merged()
    shared = (change for act in own if act.uid in taken_over for change in act.changes)
    from_here = {(change.digest, change.field, change.after) for change in shared}
    notes = theirs.notes()
    base: dict[Key, str | None] = {}
    told: dict[Key, tuple[str, str]] = {}
    values: dict[Key, str | None] = {}
    uids = set()
    for act in reversed(theirs.acts()):
        if act.uid in known:
            continue
        uids.add(act.uid)
        for change in act.changes:
            key = change.digest, change.field
            base.setdefault(key, change.before)
            values[key], told[key] = change.after, (act.by, act.at)
            if (*key, change.after) in from_here:
                base[key] = change.after
    seen = {
        digest: Seen(digest, each.size, each.id, each.place, each.source, each.given)
        for digest, each in notes.of.items()
    }
    return Incoming(theirs.path.name, values, base, told, frozenset(uids), seen)


def of_table(name: str, data: bytes, folder: Path) -> Task[Incoming]:
    """What a table tells. folder: in which its relative paths begin. Raises NotesError if it is none."""
    try:
        text = data.decode("utf-8-sig")
        rows = (
            _json_rows(text)
            if name.lower().endswith((".jsonl", ".ndjson"))
            else list(csv.DictReader(io.StringIO(text)))
        )
    except (ValueError, csv.Error, RecursionError) as error:
        raise NotesError(f"{name} cannot be read as a table: {error}. Wanted CSV, or JSON Lines (.jsonl).") from error
    if not rows or not ({"digest", "path"} & {*rows[0]} and {"label", "tags", "note"} & {*rows[0]}):
        known = ", ".join(map(str, [*rows[0]][:8])) if rows else "nothing"
        raise NotesError(
            f"{name} tells nothing of images: it has {known}. Wanted a column `digest` or `path`, and one of `label`, "
            "`tags`, `note`."
        )
    digests = yield from _digests(name, rows, folder)
    values: dict[Key, str | None] = {}
    told: dict[Key, tuple[str, str]] = {}
    seen: dict[str, Seen] = {}
    for row, (digest, size) in zip(rows, digests, strict=True):
        for noted, value in _values(row):
            if values.setdefault((digest, noted), value) != value:
                raise NotesError(
                    f"{name} says two things of {row.get('id') or row.get('path') or digest}: {noted} is "
                    f"{values[digest, noted]!r} and {value!r}. Leave one."
                )
            told[digest, noted] = (_text(row, "by"), _text(row, "at"))
        place = _text(row, "place") or _text(row, "path")
        if place:
            seen[digest] = Seen(
                digest, size, _text(row, "id") or place, place, _text(row, "source"), _text(row, "given") or None
            )
    return Incoming(name, values, {}, told, frozenset(), seen)


def _json_rows(text: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in text.split("\n") if line.strip()]  # other breaks may stand in a note
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a line is no object")
    # A row leaves out what it does not tell; the first is taken for all.
    names = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in names} for row in rows]


def _digests(name: str, rows: list[dict[str, Any]], folder: Path) -> Task[list[tuple[str, int | None]]]:
    """Of each row the digest and the size of its image; of rows without, of the files that they name."""
    known: list[tuple[str, int | None] | None] = [_told_digest(name, row) for row in rows]
    unknown = [number for number, each in enumerate(known) if each is None]
    if unknown:
        paths = [folder / Path(_text(rows[number], "path")).expanduser() for number in unknown]
        images = folders.of_files(name, paths, [str(path) for path in paths])
        told = yield from contents(images, range(len(images)))
        _need_read(name, told.rejected)
        for place, number in enumerate(unknown):
            known[number] = told.of[place].digest, told.of[place].size
    return [each for each in known if each is not None]


def _told_digest(name: str, row: Mapping[str, Any]) -> tuple[str, int | None] | None:
    digest, size = _text(row, "digest").lower(), _text(row, "size")
    if digest:
        bare = digest.removeprefix("pixels:")
        if len(bare) != 64 or set(bare) - set("0123456789abcdef"):
            raise NotesError(f"{name} has the digest {digest[:80]!r}. Wanted a SHA-256: 64 hexadecimal digits.")
        return digest, int(size) if size.isdecimal() else None
    if not _text(row, "path"):
        raise NotesError(
            f"{name} has a row with neither a digest nor a path ({dict(row)!s:.120}). Fill in one of them."
        )
    return None


def _values(row: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """What a row notes; what it leaves open is no wish to take something away."""
    for noted in (LABEL, NOTE):
        if (value := value_of(noted, _text(row, noted))) is not None:
            yield noted, value
    tags = row.get("tags")
    for tag in tags if isinstance(tags, list) else _text(row, "tags").split(JOIN):
        if str(tag).strip():
            yield field_of(TAG, str(tag)), YES


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None or isinstance(value, dict) else text_of(value)


def _need_read(name: str, rejected: tuple[Rejected, ...]) -> None:
    if rejected:
        raise NotesError(
            f"{len(rejected):,} images that {name} names cannot be read ({rejected[0].reason}). Mend their paths, or "
            "give their digests."
        )
