"""What has become of what a workspace names: whether its network and its images are still there and still the same."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from features.datasets import ImageSet
from features.errors import DatasetError
from features.files import digest_of
from features.networks import catalogue, naming
from features.notes.contents import candidates, contents
from features.progress import Task
from features.selection import Selection, keep
from features.sources import HUGGING_FACE, SAMPLE, TORCHVISION, split_of
from features.workspace.workspace import Chosen, Content, Images, Network, View, Workspace, WorkspaceError

MISSING, CHANGED = "missing", "changed"
WEIGHTS, SOURCE = "weights", "images"
SHOWN = 3


@dataclass(frozen=True)
class Problem:
    """Something that a workspace names is not as it was. of: WEIGHTS or SOURCE; kind: MISSING or CHANGED; said: what is
    wrong and the way out, as a sentence."""

    of: str
    kind: str
    said: str


def problems(workspace: Workspace, may_read: Callable[[str], bool] = lambda path: True) -> list[Problem]:
    """What is missing, or has changed since. may_read: whether a real path may be read; what may not is missing."""
    networks = [workspace.network, *(view.network for view in workspace.views if view.network is not None)]
    told = [_of_network(each, may_read) for each in dict.fromkeys(networks)]
    return [each for each in (*told, _of_images(workspace.images, may_read)) if each is not None]


def _of_network(network: Network, may_read: Callable[[str], bool]) -> Problem | None:
    name = naming.parse(network.name)
    if name.weights is None:
        if name.name is not None and not catalogue.is_known(name.name):
            said = f"This version knows no network called {name.name}. Name another with --weights."
            return Problem(WEIGHTS, MISSING, said)
        return None
    if not name.weights.exists() or not may_read(str(name.weights.resolve())):
        told = f" (SHA-256 {network.digest[:12]}...)" if network.digest else ""
        return Problem(WEIGHTS, MISSING, f"There are no weights at {name.weights}{told}. Say where they are now.")
    if network.digest and name.weights.is_file() and digest_of(name.weights) != network.digest:
        said = f"{name.weights} holds other weights than when this was saved. Say where those are."
        return Problem(WEIGHTS, CHANGED, said)
    return None


def _of_images(images: Images, may_read: Callable[[str], bool]) -> Problem | None:
    place = split_of(images.source)[0]
    named = place == SAMPLE or place.startswith((TORCHVISION, HUGGING_FACE))
    if not named and not may_read(place if "://" in place else str(Path(place).expanduser().resolve())):
        return Problem(SOURCE, MISSING, f"{images.source} may not be read here. Say where the images are.")
    try:
        opened = images.open()
    except DatasetError as error:
        said = f"The images of {images.source} cannot be opened. {error} Say where they are now."
        return Problem(SOURCE, MISSING, said)
    if opened.digest != images.digest:
        n_images = f"{len(opened):,} images now, {images.n_images:,} then"
        said = (
            f"The images of {images.source} have changed since this was saved ({n_images}). Take them as they are now: "
            "selections are looked for by what their images are."
        )
        return Problem(SOURCE, CHANGED, said)
    return None


def with_weights(workspace: Workspace, path: Path) -> Workspace:
    """The same with its weights elsewhere. Raises WorkspaceError if these are others."""
    if not path.exists():
        raise WorkspaceError(f"There is nothing at {path}. Name the file of weights.")
    wanted = workspace.network.digest
    if wanted and path.is_file() and digest_of(path) != wanted:
        raise WorkspaceError(f"{path} holds other weights than this was saved with (SHA-256 {wanted[:12]}...).")
    name = replace(naming.parse(workspace.network.name), weights=path)
    moved = replace(workspace, network=replace(workspace.network, name=str(name)))
    return _views(
        moved, lambda view: {"weights": [str(path)]} if "weights" in view.state and view.network is None else {}
    )


def with_contents(workspace: Workspace) -> Task[Workspace]:
    """The same with what tells the images of its selections from others, so that they are known elsewhere.

    An image that cannot be read is kept by its number alone. Raises FeatureError if the set cannot be opened.
    """
    opened = workspace.images.open()
    if opened.digest != workspace.images.digest:
        raise WorkspaceError(f"The images of {workspace.images.source} have changed. Take them as they are now first.")
    rows = sorted({row for each in workspace.selections for row in each.rows})
    told = yield from contents(opened, rows)
    of = {row: Content(each.digest, each.size) for row, each in told.of.items()}
    selections = [replace(each, contents=[of.get(row) for row in each.rows]) for each in workspace.selections]
    return replace(workspace, selections=selections)


@dataclass(frozen=True)
class Moved:
    """A workspace on images that lie elsewhere or are others now. lost: of each selection, how many of its images are
    not among them."""

    workspace: Workspace
    lost: dict[str, int]

    def describe(self) -> str:
        """What could not be taken along, in a sentence; '' for nothing."""
        gone = [f"{number:,} of {name}" for name, number in self.lost.items() if number]
        return f"Images of selections that are not here: {', '.join(gone)}." if gone else ""


def with_images(workspace: Workspace, source: str | None = None) -> Task[Moved]:
    """The same on the images of a source as they are now, whose selections are found by what their images are.

    source: None for its own. Raises FeatureError if it cannot be opened; WorkspaceError if selections were not handed
    over with their contents and the images are others.
    """
    before = workspace.images
    where = replace(before, source=source or before.source)
    opened = where.open()
    after = replace(where, name=opened.name, digest=opened.digest, n_images=len(opened))
    selections, lost = workspace.selections, dict[str, int]()
    if opened.digest != before.digest:
        selections, lost = yield from _located(workspace.selections, opened)
    placed = {
        old.of(before).key: new.of(after) for old, new in zip(workspace.selections, selections, strict=True)
    }  # fmt: skip
    moved = replace(workspace, images=after, selections=selections)
    return Moved(_views(moved, lambda view: _state_on(view, before, after, placed)), lost)


def _located(selections: list[Chosen], images: ImageSet) -> Task[tuple[list[Chosen], dict[str, int]]]:
    """Selections on another set, by the contents of their images; how many images of each are not there."""
    unknown = [each.name for each in selections if each.rows and not each.contents]
    if unknown:
        raise WorkspaceError(
            f"Nothing tells which images the selection {unknown[0]} holds but their numbers in a set that has changed. "
            "Export the workspace where its images are unchanged, or choose them again."
        )
    wanted = {each.digest: each.size for one in selections for each in one.contents if each is not None}
    told = yield from contents(images, candidates(images, wanted.values()))
    rows: dict[str, list[int]] = {}
    for row, each in told.of.items():
        rows.setdefault(each.digest, []).append(row)
    moved, lost = [], {}
    for one in selections:
        known = [each for each in one.contents if each is not None and each.digest in rows]
        lost[one.name] = len(one.rows) - len(known)
        here = sorted({row for each in known for row in rows[each.digest]})
        moved.append(
            replace(one, rows=here, contents=[Content(told.of[row].digest, told.of[row].size) for row in here])
        )
    return moved, lost


def _state_on(view: View, before: Images, after: Images, placed: dict[str, Selection]) -> dict[str, list[str]]:
    """What changes in a view's address. placed: selections as they are now, by the keys of before."""
    state = {}
    if "folder" in view.state and after.source != before.source:
        state["folder"] = [after.source]
    if (chosen := placed.get(view.one("selection"))) is not None:
        state["selection"] = [keep(chosen)]
        if view.selection:  # the control that narrows pages to a selection is told by how many it holds
            state["of"] = [f"{len(chosen):,} selected"]
    return state


def _views(workspace: Workspace, changes: Callable[[View], dict[str, list[str]]]) -> Workspace:
    return replace(
        workspace, views=[replace(view, state={**view.state, **changes(view)}) for view in workspace.views]
    )  # fmt: skip


def kept_selections(workspace: Workspace) -> dict[str, Selection]:
    """Its selections, kept where links and pages look for them."""
    made = {each.name: each.of(workspace.images) for each in workspace.selections if each.rows}
    for selection in made.values():
        keep(selection)
    return made


def need_sound(workspace: Workspace) -> None:
    """Raises WorkspaceError where something is missing or has changed."""
    told = problems(workspace)
    if told:
        raise WorkspaceError(" ".join(each.said for each in told[:SHOWN]))
