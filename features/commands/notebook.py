"""A workspace as a notebook."""

import argparse
from pathlib import Path

from features.commands.common import Commands, command
from features.commands.workspace import need_new


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    notebook = command(
        commands, "notebook", _notebook, "Write a Jupyter notebook that makes the figures of a workspace."
    )
    notebook.add_argument("name", metavar="WORKSPACE", help="as `workspace list` has it")
    notebook.add_argument("--out", type=Path, required=True, metavar="FILE", help="a new file, as views.ipynb")


def _notebook(options: argparse.Namespace) -> None:
    from features.files import write_whole
    from features.workspace import Shelf
    from viz.reports.workspace import exhibits_of, notebook

    need_new(options.out)
    workspace = Shelf().need(options.name)
    write_whole(options.out, notebook(workspace).encode())
    figures = sum(len(exhibits_of(view)) for view in workspace.views)
    print(f"{options.out}: {figures:,} figures of {len(workspace.views):,} views")
