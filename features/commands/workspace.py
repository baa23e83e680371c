"""Workspaces: what they hold, handed over and taken in, as a report."""

import argparse
import sys
from pathlib import Path

from features.commands.common import Commands, command, loaded, print_table, show
from features.errors import FeatureError


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    workspace = command(
        commands, "workspace", _list, "Network, images, selections and views under a name, as the app saves them."
    )
    workspace.set_defaults(action=None)
    actions = workspace.add_subparsers(
        dest="action", metavar="ACTION", help="what to do; each has a --help (default: list)"
    )
    command(actions, "list", _list, "List the workspaces of this machine, and what they hold.")
    for word, run, text in (
        ("show", _show, "Tell what a workspace holds, and whether all of it is still there."),
        ("delete", _delete, "Put a workspace aside; `restore` has it back."),
    ):
        command(actions, word, run, text).add_argument("name", metavar="NAME", help="as `list` has it")
    restore = command(actions, "restore", _restore, "Have a workspace back that was deleted.")
    restore.add_argument("name", nargs="?", metavar="NAME", help="as it was called (default: the last)")
    rename = command(actions, "rename", _rename, "Call a workspace something else.")
    rename.add_argument("name", metavar="NAME", help="as `list` has it")
    rename.add_argument("new", metavar="NEW", help="another name")
    export = command(actions, "export", _export, "Write a workspace as a zip that another machine opens.")
    export.add_argument("name", metavar="NAME", help="as `list` has it")
    export.add_argument("--to", type=Path, required=True, metavar="FILE", help="a new file")
    export.add_argument("--without-notes", action="store_true", help="leave out what was noted of its images")
    take = command(actions, "import", _import, "Take in a workspace that somebody exported.")
    take.add_argument("file", type=Path, metavar="FILE", help="a zip as `export` writes it")
    take.add_argument("--images", metavar="SOURCE", help="where its images are here")
    take.add_argument("--weights", type=Path, metavar="FILE", help="where its weights are here")
    take.add_argument("--name", metavar="NAME", help="what to call it (default: as it is called)")
    take.add_argument("--notes", type=Path, metavar="FILE", help="write its notes to a table, for `notes merge`")
    report = command(actions, "report", _report, "Write the views of a workspace as one HTML file.")
    report.add_argument("name", metavar="NAME", help="as `list` has it")
    report.add_argument("--to", type=Path, required=True, metavar="FILE", help="a new file")


def _list(options: argparse.Namespace) -> None:
    from features.workspace import Shelf

    shelf = Shelf()
    rows: list[tuple[str, ...]] = [("name", "saved (UTC)", "by", "holds")]
    rows += [(each.name, each.saved[:16].replace("T", " "), each.by, each.describe()) for each in shelf.all()]
    print_table(rows) if len(rows) > 1 else print(f"there are no workspaces in {shelf.folder}")
    for said in shelf.damaged():
        print(said, file=sys.stderr)


def _show(options: argparse.Namespace) -> None:
    from features.workspace import Shelf, problems

    workspace = Shelf().need(options.name)
    print(f"{workspace.name}: {workspace.describe()}\nsaved {workspace.saved} by {workspace.by}")
    print(f"network  {workspace.network.name}\nimages   {workspace.images.source}")
    for each in workspace.selections:
        print(f"selected {len(each.rows):,}: {each.name}")
    for view in workspace.views:
        print(f"view     {view.title}: {view.link}")
    if workspace.note:
        print(f"\n{workspace.note}")
    for problem in problems(workspace):
        print(problem.said, file=sys.stderr)


def _delete(options: argparse.Namespace) -> None:
    from features.workspace import Shelf

    print(f"{Shelf().delete(options.name).name} is put aside; `workspace restore` has it back")


def _restore(options: argparse.Namespace) -> None:
    from features.workspace import Shelf

    print(f"{Shelf().restore(options.name).name} is back")


def _rename(options: argparse.Namespace) -> None:
    from features.workspace import Shelf

    print(f"{options.name} is called {Shelf().rename(options.name, options.new).name}")


def need_new(path: Path) -> None:
    """Raises FeatureError if a file would be written over, or stands in no folder."""
    if path.exists():
        raise FeatureError(f"There is a file {path} already. Name a new one.")
    if not path.absolute().parent.is_dir():
        raise FeatureError(f"There is no folder {path.absolute().parent}. Make it, or choose another one.")


def _export(options: argparse.Namespace) -> None:
    from features.files import write_whole
    from features.notes import Book
    from features.workspace import Shelf, packed

    need_new(options.to)
    workspace = Shelf().need(options.name)
    write_whole(options.to, show(packed(workspace, None if options.without_notes else Book())))
    print(f"{options.to}: {workspace.describe()}")


def _import(options: argparse.Namespace) -> None:
    from dataclasses import replace

    from features.files import write_whole
    from features.workspace import (
        MISSING,
        Shelf,
        WorkspaceError,
        problems,
        unpacked,
        with_images,
        with_weights,
    )
    from features.workspace.packing import MOST_PACKED

    if options.notes is not None:
        need_new(options.notes)
    with options.file.open("rb") as file:
        package = unpacked(file.read(MOST_PACKED + 1), str(options.file))
    workspace = replace(package.workspace, name=options.name or package.workspace.name, uid="")
    if options.weights is not None:
        workspace = with_weights(workspace, options.weights.absolute())
    missing = [each for each in problems(workspace) if each.kind == MISSING]
    if any(options.images is None or each.of != "images" for each in missing):
        said = " ".join(each.said for each in missing)
        raise WorkspaceError(f"{said} `workspace import` takes --images SOURCE and --weights FILE.")
    moved = show(with_images(workspace, options.images))
    saved = Shelf().save(moved.workspace)
    if options.notes is not None and package.notes:
        write_whole(options.notes, package.notes)
    if moved.describe():
        print(moved.describe(), file=sys.stderr)
    print(f"{saved.name}: {saved.describe()}")


def _report(options: argparse.Namespace) -> None:
    from features.files import write_whole
    from features.networks import naming
    from features.notes import Book
    from features.workspace import Shelf, need_sound
    from viz.reports.workspace import report

    need_new(options.to)
    workspace = Shelf().need(options.name)
    need_sound(workspace)
    images = workspace.images.open()
    file = show(report(workspace, images, lambda name: loaded(naming.parse(name), images), Book()))
    write_whole(options.to, file)
    print(f"{options.to}: {len(workspace.views):,} views, {len(file) / 1e6:,.1f} MB")
