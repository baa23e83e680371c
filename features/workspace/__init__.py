"""What a person works on, under a name: a network, images, selections of these, views of pages, a note.

Workspaces lie in the data folder (`Shelf`), each in a file of its own, and are handed over as a zip (`packing`) that
another machine opens: there what is not at its place is asked for, and images are known by their content (`standing`).
"""

from features.workspace.packing import Package, packed, unpacked
from features.workspace.shelf import Shelf
from features.workspace.standing import (
    CHANGED,
    MISSING,
    SOURCE,
    WEIGHTS,
    Moved,
    Problem,
    kept_selections,
    need_sound,
    problems,
    with_contents,
    with_images,
    with_weights,
)
from features.workspace.workspace import (
    Chosen,
    Content,
    Images,
    Network,
    View,
    Workspace,
    WorkspaceError,
    decode,
    encode,
    state_of,
)

__all__ = [
    "CHANGED",
    "MISSING",
    "SOURCE",
    "WEIGHTS",
    "Chosen",
    "Content",
    "Images",
    "Moved",
    "Network",
    "Package",
    "Problem",
    "Shelf",
    "View",
    "Workspace",
    "WorkspaceError",
    "decode",
    "encode",
    "kept_selections",
    "need_sound",
    "packed",
    "problems",
    "state_of",
    "unpacked",
    "with_contents",
    "with_images",
    "with_weights",
]
