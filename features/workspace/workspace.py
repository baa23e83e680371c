"""A workspace: a network, images, selections of these and views of pages, under a name."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
import numpy as np

from features.datasets import Columns, ImageSet, open_images
from features.datasets.corrections import corrected
from features.errors import FeatureError
from features.notes import Book, noted_in
from features.progress import Task
from features.selection import Selection

VERSION = 1
FIRST = "anatomy"  # the page that stands at the app's own address
MOST_BYTES = 64 * 2**20
PAGE = re.compile(r"[a-z_]{1,40}")
UID = re.compile(r"[0-9a-f]{32}")
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Text = Annotated[str, msgspec.Meta(max_length=20_000)]
Path_ = Annotated[str, msgspec.Meta(max_length=4096)]
Row = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class WorkspaceError(FeatureError):
    """A workspace cannot be kept, opened, handed over or shown."""


@dataclass(frozen=True)
class Network:
    """name: as `naming.parse` reads it. digest: SHA-256 of its weights, '' where that is not known."""

    name: Path_
    digest: Path_ = ""


@dataclass(frozen=True)
class Images:
    """Where images come from.

    source: as `datasets.open_images` takes it. limit: of a balanced sample, None for all. name, digest, n_images: of
    the set that was opened, as its source labels it. path_column, label_column: of a list, '' where they are guessed.
    """

    source: Path_
    name: Text
    digest: Path_
    n_images: Row
    limit: Row | None = None
    path_column: Text = ""
    label_column: Text = ""

    def open(self) -> ImageSet:
        """The set as it is now. Raises DatasetError if it cannot be opened."""
        opened = open_images(self.source, columns=Columns(self.path_column, self.label_column))
        return opened if self.limit is None else opened.sample(self.limit)


@dataclass(frozen=True)
class Content:
    """What tells an image from others wherever it lies: digest and size as of `notes.Content`."""

    digest: Path_
    size: Row | None = None


@dataclass(frozen=True)
class Chosen:
    """A selection of the images. rows: their numbers, ascending. contents: of each, once it was handed over."""

    name: Name
    rows: list[Row]
    contents: list[Content | None] = field(default_factory=list)

    def of(self, images: Images) -> Selection:
        """The same as pages have it."""
        return Selection(images.digest, np.array(self.rows, np.int64), images.n_images)


@dataclass(frozen=True)
class View:
    """A page as it stood: its name in the address, and what stands behind the question mark there.

    network: that it shows, None for the workspace's. selection: of the workspace's, if the page is about that alone, ''
    for all images. corrected: whether labels are those that were corrected.
    """

    page: Name
    state: dict[Name, list[Path_]]
    title: Name
    caption: Text = ""
    network: Network | None = None
    selection: Text = ""
    corrected: bool = False

    @property
    def link(self) -> str:
        """The address of the page inside the app."""
        place = "/" if self.page == FIRST else f"/{self.page}"
        return f"{place}?{urlencode(self.state, doseq=True)}" if self.state else place

    def one(self, name: str, default: str = "") -> str:
        """The value of something of which there is one."""
        return (self.state.get(name) or [default])[0]


@dataclass(frozen=True)
class Workspace:
    """What a person works on. uid: tells it from others, whatever their names. saved: UTC in ISO 8601; by: whose."""

    name: Name
    network: Network
    images: Images
    selections: list[Chosen] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    note: Text = ""
    uid: Path_ = ""
    saved: Path_ = ""
    by: Text = ""
    version: int = VERSION

    def describe(self) -> str:
        """What it holds, in a line."""
        parts = [self.network.name, f"{self.images.n_images:,} images of {self.images.name}"]
        parts += [_count(len(self.selections), "selection"), _count(len(self.views), "view")]
        compared = sum(view.page == "compare" for view in self.views)
        parts += [f"{_count(compared, 'comparison')}"] if compared else []
        return ", ".join(parts) + (", a note" if self.note else "")

    def images_of(self, view: View, images: ImageSet, book: Book) -> Task[ImageSet]:
        """The images that a view is about. images: the workspace's; book: what corrected labels are from."""
        if view.corrected:
            noted = yield from noted_in(images, book.notes())
            images = corrected(images, noted.corrections(images))
        if not view.selection:
            return images
        chosen = next(each for each in self.selections if each.name == view.selection)
        return images.select(Selection(images.pictures_digest, np.array(chosen.rows, np.int64), len(images)))

    def with_view(self, view: View) -> "Workspace":
        """The same with a view, in place of one of its title."""
        return replace(self, views=[*(each for each in self.views if each.title != view.title), view])

    def stamped(self, by: str) -> "Workspace":
        """The same as of now."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        return replace(self, uid=self.uid or uuid.uuid4().hex, saved=at, by=by)


def encode(workspace: Workspace) -> bytes:
    """As JSON, which `decode` reads."""
    return msgspec.json.format(msgspec.json.encode(workspace), indent=1)


def decode(data: bytes, where: str) -> Workspace:
    """A workspace of its file's bytes. where: the file, as errors call it. Raises WorkspaceError if it is none."""
    if len(data) > MOST_BYTES:
        raise WorkspaceError(f"{where} has more than {MOST_BYTES // 2**20} MiB, which no workspace has. Leave it out.")
    try:
        version = msgspec.json.decode(data, type=_Version).version
        if version > VERSION:
            raise WorkspaceError(
                f"{where} was written by a later version of this program (layout {version}, wanted at most {VERSION}). "
                "Open it with that."
            )
        if version < 1:
            raise WorkspaceError(f"{where} is no workspace: its layout is {version}. Take an earlier copy.")
        workspace = msgspec.json.decode(data, type=Workspace)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise WorkspaceError(f"{where} is no workspace, or a damaged one ({error}). Take an earlier copy.") from error
    wrong = _contradiction(workspace)
    if wrong:
        raise WorkspaceError(f"{where} is no workspace, or a damaged one ({wrong}). Take an earlier copy.")
    return workspace


@dataclass(frozen=True)
class _Version:
    version: int


def _contradiction(workspace: Workspace) -> str:
    """What cannot be in a workspace though its types are right; '' for nothing."""
    if workspace.uid and not UID.fullmatch(workspace.uid):
        return "its uid is none"
    page = next((view.page for view in workspace.views if not PAGE.fullmatch(view.page)), None)
    if page is not None:
        return f"{page[:40]!r} is no page"
    for each in workspace.selections:
        if each.rows != sorted({*each.rows}) or (each.rows and each.rows[-1] >= workspace.images.n_images):
            return f"the selection {each.name!r} has images that there are not"
        if each.contents and len(each.contents) != len(each.rows):
            return f"the selection {each.name!r} tells the contents of other images"
    known = {each.name for each in workspace.selections}
    if any(view.selection and view.selection not in known for view in workspace.views):
        return "a view is of a selection that there is not"
    return ""


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def state_of(pairs: Mapping[str, Any]) -> dict[str, list[str]]:
    """What stands behind the question mark of an address, as views have it."""
    return {
        name: [*map(str, value)] if isinstance(value, list | tuple) else [str(value)] for name, value in pairs.items()
    }
