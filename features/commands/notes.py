"""Tags, notes and corrected labels of images."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from features.commands.common import (
    MINE,
    SOURCE_HELP,
    Commands,
    Parser,
    add_source,
    command,
    corrected,
    names,
    positive,
    print_table,
    show,
)
from features.errors import DatasetError, FeatureError

if TYPE_CHECKING:
    from features.datasets import ImageSet
    from features.notes import Book, Notes

LIST = "list"  # a format of `export`, beside those of the notes themselves
SHOWN, ID_LETTERS, NOTE_LETTERS = 200, 40, 40


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    notes = command(commands, "notes", _show, "Tag, note and relabel images; undo, export and merge what was noted.")
    notes.add_argument("--file", type=Path, metavar="FILE", help="of notes (default: your own, in the data folder)")
    notes.set_defaults(action=None)
    actions = notes.add_subparsers(dest="action", metavar="ACTION", help="what to do; each has --help (default: show)")
    _add_show(actions)
    _add_write(actions)
    for word, run, text in (("undo", _undo, "Take an act back."), ("redo", _redo, "Do again what was undone.")):
        turn = command(actions, word, run, text)
        turn.add_argument("act", nargs="?", metavar="ACT", help="as `history` lists it (default: your last)")
        turn.add_argument("--by", metavar="NAME", help="who does it (default: your name on this machine)")
    history = command(actions, "history", _history, "Tell who noted what, and when.")
    history.add_argument("--most", type=positive, default=20, metavar="N", help="acts (default: %(default)s)")
    _add_export(actions)
    merge = command(actions, "merge", _merge, "Take in what somebody else noted; you choose between what contradicts.")
    merge.add_argument("other", type=Path, metavar="FILE", help="of notes, or a table as `export` writes it")
    merge.add_argument("--resolve", metavar="CHOICE", help="mine or theirs for all conflicts, both for two notes")
    merge.add_argument(
        "--conflicts", type=Path, metavar="FILE", help="write them as a table, to choose in its last column"
    )
    merge.add_argument("--choices", type=Path, metavar="FILE", help="such a table with choices")


def _add_show(actions: Commands) -> None:
    told = command(actions, "show", _show, "List what is noted.")
    told.add_argument("--tag", metavar="NAME", help="images with this tag alone")
    told.add_argument("--json", action="store_true", help="print only JSON on standard output")


def _add_write(actions: Commands) -> None:
    write = command(actions, "write", _write, "Note the same of images.")
    write.add_argument("images", nargs="+", metavar="IMAGE", help=f"image files, or one set: {SOURCE_HELP}")
    write.add_argument("--only", type=names, metavar="A,B", help="of a set these images, by their ids")
    write.add_argument("--tag", action="append", default=[], metavar="NAME", help="give them a tag")
    write.add_argument("--untag", action="append", default=[], metavar="NAME", help="take a tag away")
    write.add_argument("--label", metavar="NAME", help="what they are; '' for what their source says")
    write.add_argument("--note", metavar="TEXT", help="a text; '' for none")
    write.add_argument("--by", metavar="NAME", help="who notes it (default: your name on this machine)")


def _add_export(actions: Commands) -> None:
    export: Parser = command(
        actions, "export", _export, f"Write notes as a table, or images with corrected labels as a list ({LIST})."
    )
    export.add_argument("--format", default="csv", metavar="NAME", help=f"csv, jsonl or {LIST} (default: %(default)s)")
    export.add_argument("--to", type=Path, metavar="FILE", help="a new file (default: standard output)")
    add_source(export, required=False)


def _book(options: argparse.Namespace) -> "Book":
    from features.notes import Book

    return Book(options.file)


def _show(options: argparse.Namespace) -> None:
    tag = getattr(options, "tag", None)
    notes = _book(options).notes().where(lambda each: not each.is_empty and (tag is None or tag in each.tags))
    if getattr(options, "json", False):
        sys.stdout.write(_table("jsonl", notes))
        return
    rows: list[tuple[str, ...]] = [("image", "label", "corrected to", "tags", "note", "by", "at")]
    for each in sorted(notes.of.values(), key=lambda each: (each.id, each.digest))[:SHOWN]:
        name = each.id or each.digest[:12]
        rows.append(
            (
                name[-ID_LETTERS:], each.given or "", each.label or "", ", ".join(each.tags),
                " ".join(each.note.split())[:NOTE_LETTERS], each.by, each.at[:16].replace("T", " "),
            )
        )  # fmt: skip
    if not len(notes):
        print(f"nothing is noted in {_book(options).path}")
        return
    print_table(rows)
    if len(notes) > SHOWN:
        print(f"... and {len(notes) - SHOWN:,} more: --json, and `export`, have all")
    print(f"\n{len(notes):,} images in {_book(options).path}")


def _table(format: str, notes: "Notes") -> str:
    from features.notes import FORMATS

    return FORMATS.need(format).write(notes)


def _write(options: argparse.Namespace) -> None:
    from features.datasets import open_files
    from features.notes import LABEL, NOTE, TAG, YES, field_of, write

    values: dict[str, str | None] = {field_of(TAG, name): YES for name in options.tag}
    values |= {field_of(TAG, name): None for name in options.untag}
    values |= {name: text for name, text in ((LABEL, options.label), (NOTE, options.note)) if text is not None}
    if not values:
        raise FeatureError("Nothing is to be noted. Give --tag, --untag, --label or --note.")
    if options.only == []:
        raise FeatureError("--only names no image. Give ids, or leave it out for all images of the set.")
    images = open_files(options.images)
    rows = range(len(images)) if options.only is None else _rows(images, options.only)
    act = show(write(_book(options), images, list(rows), values, options.by))
    print("nothing changes: all of this is noted already" if act is None else f"{act.uid[:8]}  {act.what}")


def _rows(images: "ImageSet", ids: list[str]) -> list[int]:
    numbers = {image_id: number for number, image_id in enumerate(images.ids)}
    absent = [each for each in ids if each not in numbers]
    if absent:
        raise DatasetError(f"{images.name} has no image {absent[0]!r}. Name images as the app and `extract` do.")
    return [numbers[each] for each in ids]


def _undo(options: argparse.Namespace) -> None:
    print(_book(options).undo(_uid(options), options.by).what)


def _redo(options: argparse.Namespace) -> None:
    print(_book(options).redo(_uid(options), options.by).what)


def _uid(options: argparse.Namespace) -> str | None:
    """The whole uid of an act of which the beginning was given."""
    if options.act is None:
        return None
    fitting = [act.uid for act in _book(options).acts() if act.uid.startswith(options.act)]
    if len(fitting) > 1:
        raise FeatureError(f"{len(fitting)} acts begin with {options.act!r}. Give more of its letters.")
    return fitting[0] if fitting else options.act


def _history(options: argparse.Namespace) -> None:
    book = _book(options)
    gone = book.undone()
    rows: list[tuple[str, ...]] = [("act", "at (UTC)", "by", "what", "")]
    rows += [
        (act.uid[:8], act.at[:19].replace("T", " "), act.by, act.what, "undone" if act.uid in gone else "")
        for act in book.acts(options.most)
    ]
    print_table(rows)


def _export(options: argparse.Namespace) -> None:
    from features.files import write_whole

    if options.to is not None and options.to.exists():
        raise FeatureError(f"There is a file {options.to} already. Name a new one.")
    text = _exported(options)
    if options.to is None:
        sys.stdout.write(text)
    else:
        write_whole(options.to, text.encode())


def _exported(options: argparse.Namespace) -> str:
    from features.commands.common import columns_of
    from features.datasets import opening
    from features.notes import as_list, noted_in

    notes = _book(options).notes()
    if options.source is None:
        if options.format == LIST:
            raise FeatureError("A list is of the images of a set. Name it: notes export --format list SOURCE.")
        return _table(options.format, notes)
    images = show(opening(options.source, options.data_root, options.download, columns=columns_of(options)))
    if options.format == LIST:
        options.corrections = options.corrections or (MINE if options.file is None else str(options.file))
        return as_list(corrected(options, images))
    noted = {each.digest for each in show(noted_in(images, notes)).of.values()}
    return _table(options.format, notes.where(lambda each: each.digest in noted))


def _merge(options: argparse.Namespace) -> None:
    from features.files import write_whole
    from features.notes import apply, incoming, merge, merging

    book = _book(options)
    merged = merge(show(incoming(options.other, book)), book)
    print(merged.describe(), file=sys.stderr)
    choices = merging.choices_of(options.choices) if options.choices else {}
    if options.resolve is not None:
        merging.need_choice(options.resolve)
        choices = {each.key: options.resolve for each in merged.conflicts} | choices
    if options.conflicts is not None:
        write_whole(options.conflicts, merging.as_csv(merged.conflicts).encode())
    for each in merged.conflicts[:SHOWN]:
        if each.key not in choices:
            print(f"  {merging.told(each)}", file=sys.stderr)
    act = apply(merged, book, choices)
    print("nothing changes: all of this is noted already" if act is None else f"{act.uid[:8]}  {act.what}")
