"""Maps of several stages in one frame, one selection across them, and what is known of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import streamlit as st

from features import embed
from features.claim import MANIFEST
from features.datasets import ImageSet, labels
from features.engine import without_logits
from features.errors import FeatureError
from features.store import FeatureSet, StoreError
from viz import sidebar, widgets
from viz.cached import server
from viz.cached.elsewhere import is_upload
from viz.cached.embed import maps_work, opened_features
from viz.cached.extract import features_work
from viz.cached.made import made
from viz.cached.pictures import SHEET_COLUMNS, sheet_rows, sheet_work
from viz.components.point_map import Details, Panel, Pictures, Texts, point_map
from viz.pages.embed import colouring, image, lists, own_table, scores, selected
from viz.pages.embed.own_table import OwnTable
from viz.pages.embed.shown import Shown, on_sheet, sheet_of

MAP = "embedding"
STAGES, METHOD, FOLDER = "frame", "map", "features"  # in links
METHOD_BEFORE = "method"  # in links of before, where Saliency's has the same name
FRAME = ("stem", "pool")  # beside the stages
FEW_FOR_TEARS = 100_000  # images whose neighbours travel with the map
TEARS = 5
LOOKED_FOR = 12  # pictures of features from a folder, to see whether they are still there
VIEWS = ("Selection", "Image", "Scores", "Lists")


@dataclass(frozen=True, eq=False)
class Subject:
    """What the page is about, before its features are there: they may take a while, and controls stand meanwhile.

    stages: those that can be shown; first: those that are shown first. predicts: whether there are predictions.
    read: waits for the features, and puts the visitor's own table beside them.
    """

    images: ImageSet
    stages: Sequence[str]
    first: Sequence[str]
    predicts: bool
    read: Callable[[OwnTable], Shown]


def render() -> None:
    """Maps of pooled features; a lasso, a click or a list chooses images, on all maps at once and for all pages."""
    st.title("How the network arranges images")
    with widgets.show_errors():
        subject = _subject()
        with st.container(horizontal=True, vertical_alignment="bottom"):
            stages = _choose_stages(subject)
            settings, own, whole = _settings(subject.images)
            colour = colouring.choose(subject.images, subject.predicts, (*subject.images.columns, *own.columns))
        shown = subject.read(own)
        widgets.rejected(shown.features.rejected)
        maps = _maps(shown, stages, settings)
        if whole:
            _draw(shown, maps, colour)
            return
        left, right = st.columns([2, 1], gap="medium")
        with left:
            _draw(shown, maps, colour)
        with right:
            _panel(shown, maps)


def _subject() -> Subject:
    """Features of a folder, if one was typed or is in the link, else the sidebar's network and images."""
    folder = st.session_state.get(FOLDER, st.query_params.get(FOLDER))
    if not folder:
        return _of_network()
    try:
        return _of_folder(folder)
    except FeatureError:
        _type_folder()  # else no control would stand by which to correct the path
        raise


def _type_folder() -> None:
    st.text_input(
        "Features from a folder", key=FOLDER, bind="query-params", placeholder="of the network and images",
        help="What `extract` wrote, or Parquet with a column of vectors that another program made (timm, DINO, "
        "CLIP), on the machine that runs the app.",
    )  # fmt: skip


def _of_network() -> Subject:
    """The sidebar's network and images."""
    model, images = sidebar.model(), sidebar.images(selected=False)
    stages = model.network.stage_names

    def read(own: OwnTable) -> Shown:
        server.ask(sheet_work(images, sheet_rows(len(images))))  # made while the features are read
        features = widgets.awaited(features_work(model, images), f"Reading {len(images):,} images")
        return made(Shown.from_network, model, images, features, not is_upload(images), own)

    return Subject(images, [FRAME[0], *stages, FRAME[1]], stages, model.network.classifier is not None, read)


def _of_folder(typed: str) -> Subject:
    """Features that lie in a folder, whose path the visitor typed. Raises FeatureError if they cannot be opened."""
    path = sidebar.inside_roots(typed, "features", StoreError)
    if not path.exists():  # a pattern, or a place in an archive
        raise StoreError(f"There are no features at {typed}. Name a folder or a Parquet file.")
    told = path / MANIFEST
    # A part of a folder may be written anew, of which the folder's own time says nothing.
    files = [told] if told.is_file() else [path, *(path.iterdir() if path.is_dir() else ())]
    stamp = max(file.lstat().st_mtime for file in files)
    shown = made(Shown.from_folder, opened_features(str(path), stamp))
    stages = without_logits(shown.features.stages)
    first = [name for name in stages if name not in FRAME] or stages
    st.caption(widgets.told(f"Features from {path}, in place of the sidebar's network and images."))
    return Subject(shown.images, stages, first, shown.features.predictions is not None, partial(made, _beside, shown))


def _beside(shown: Shown, own: OwnTable) -> Shown:
    return replace(shown, own=own)


def _choose_stages(subject: Subject) -> list[str]:
    known, first = subject.stages, subject.first
    if (earlier := st.query_params.get("stage")) in known and STAGES not in st.query_params:
        st.session_state.setdefault(STAGES, [earlier])  # a link from when the page showed one
    if not set(st.session_state.get(STAGES) or []) <= set(known):
        del st.session_state[STAGES]  # the network before this one had others
    default = None if STAGES in st.session_state else first
    stages = st.pills("Stages", known, selection_mode="multi", default=default, key=STAGES, bind="query-params")
    return [name for name in known if name in stages] or [known[-1]]


def _choose_method() -> str:
    titles = {method.title: name for name, method in embed.METHODS.items()}
    if METHOD not in st.query_params and (earlier := st.query_params.get(METHOD_BEFORE, "")) in titles:
        del st.query_params[METHOD_BEFORE]
        st.session_state.setdefault(METHOD, titles[earlier])
        st.query_params[METHOD] = embed.METHODS[st.session_state[METHOD]].title
    method = st.segmented_control(
        "Method",
        tuple(embed.METHODS),
        default=None if METHOD in st.session_state else "umap",
        format_func=lambda name: embed.METHODS[name].title,
        key=METHOD,
        bind="query-params",
        required=True,
    )
    return method or "umap"


def _settings(images: ImageSet) -> tuple[embed.MapSettings, OwnTable, bool]:
    method = _choose_method()
    with st.popover("Settings", icon=":material/tune:"):
        neighbours = st.slider("Neighbours", 2, 100, 15, key="neighbours", bind="query-params")
        min_dist = st.slider("Minimal distance (UMAP)", 0.0, 1.0, 0.1, key="min_dist", bind="query-params")
        seed = st.number_input(
            "Seed", 0, 10_000, 0, key="seed", bind="query-params",
            help="One seed gives one map. Above 20,000 images, whose neighbours are searched for by an index, another "
            "number of processors gives another.",
        )  # fmt: skip
        _type_folder()
        own = own_table.with_notes(own_table.choose(images), images)
    whole = st.toggle("Wide", key="wide", bind="query-params", help="The map alone, over the whole width.")
    return embed.MapSettings(method, int(neighbours), float(min_dist), int(seed)), own, whole


def _maps(shown: Shown, stages: Sequence[str], settings: embed.MapSettings) -> embed.StageMaps:
    """The maps that were asked for; until they are there, those by principal components, which take a moment."""
    features = shown.features
    work = maps_work(shown.made_of, features, stages, settings, shown.durable)
    if embed.METHODS[settings.method].linear:
        return widgets.awaited(work, f"Laying out {len(features):,} points")
    title = embed.METHODS[settings.method].title
    simple = embed.MapSettings("pca", settings.neighbours, seed=settings.seed)
    by_components = maps_work(shown.made_of, features, stages, simple, shown.durable)
    if not server.jobs().knows(work):  # what takes a moment goes first, since one work waits for another
        widgets.awaited(by_components, "Principal components")
    maps = widgets.arriving(work, f"{title} of {len(features):,} points")
    if maps is not None:
        return maps
    st.caption(f"Principal components are shown until {title} is there.")
    return widgets.awaited(by_components, "Principal components")


def _draw(shown: Shown, maps: embed.StageMaps, colour: str | None) -> None:
    colours = made(colouring.of, shown, maps, colour)
    seeds = scores.known_seeds(shown, maps)
    panels = [made(_one_panel, name, projection, colours, seeds.get(name)) for name, projection in maps.items()]
    chosen = sidebar.selection(shown.images)
    mask = None if chosen is None else chosen.mask[shown.points]
    sheet = widgets.arriving(sheet_of(shown), "Making small pictures")  # the map stands before they are there
    pictures = None if sheet is None else _pictures(sheet, on_sheet(shown))
    looked_at = image.looked_at(shown)
    details = Details(made(_texts, shown.features), pictures, ringed=looked_at, pins=image.pins(shown, maps))
    point_map(panels, colours.colours, mask, MAP, partial(selected.apply, shown, panels, colours.colours), details)
    st.caption(
        "Every point is an image: its stage's output pooled over space, laid out so that similar ones lie close. "
        "Distances between far groups, and the groups' sizes, mean little. Draw a lasso or a box, click a point or a "
        "name in the legend: Shift adds, Ctrl takes away. Lines lead from the point under the pointer to its true "
        "neighbours: long ones are tears of the map."
    )
    if shown.model is None and (absent := made(_absent, shown.images)):
        st.warning(widgets.told(absent), icon=":material/image_not_supported:")
    if shown.truth is not None and shown.matched.how != labels.BY_NAME and shown.same_names:
        st.caption(shown.matched.said)
    if colour == colouring.CORRECTNESS and not shown.same_names:
        said = f"{shown.matched.guessed} If they are other classes, nothing here says what is correct."
        st.warning(widgets.told(said), icon=":material/help:")


def _absent(images: ImageSet) -> str:
    """Why pictures of features from a folder are grey squares, as some of them tell; '' where these are there."""
    looked_for = np.unique(np.linspace(0, len(images) - 1, LOOKED_FOR).round().astype(int))
    why = []
    for row in looked_for:
        try:
            images.open(int(row))
        except FeatureError as error:
            why.append(str(error))
    if not why:
        return ""
    return (
        f"{len(why)} of {len(looked_for)} pictures that were looked for cannot be shown, so these are grey squares: "
        f"{why[0]} Points, lists and selections need none of them."
    )


def _one_panel(name: str, projection: embed.Projection, colours: colouring.Colouring, seeds: float | None) -> Panel:
    """seeds: how far another seed's map is from this one, None while nobody has asked."""
    trust = projection.trust
    other = "seeds pending" if seeds is None else f"seeds {seeds:.2f}"
    near = projection.graph.indices[:, 1 : TEARS + 1] if len(projection) <= FEW_FOR_TEARS else None
    return Panel(
        name=name,
        title=name,
        points=projection.points,
        note=f"trust {trust.trustworthiness:.3f}, continuity {trust.continuity:.3f}, {trust.recall:.0%} kept, {other}",
        neighbours=near,
        values=colours.of_stage.get(name),
    )


def _texts(features: FeatureSet) -> Texts:
    return Texts.of(Shown.lines_of(features))


def _pictures(sheet: str, positions: np.ndarray) -> Pictures:
    rows = -(-(int(positions.max(initial=0)) + 1) // SHEET_COLUMNS)
    return Pictures((sheet,), SHEET_COLUMNS, rows, positions.astype(np.int32))


def _panel(shown: Shown, maps: embed.StageMaps) -> None:
    """What is known of the selection, of one image, of the stages; and lists of images worth a look."""
    view = st.segmented_control(
        "Beside the map", VIEWS, default=None if image.BESIDE in st.session_state else VIEWS[0], key=image.BESIDE,
        bind="query-params", required=True, label_visibility="collapsed",
    )  # fmt: skip
    if view == "Selection":
        selected.show(shown, maps)
    elif view == "Image":
        image.show(shown, maps)
    elif view == "Scores":
        scores.show(shown, maps)
    else:
        lists.show(shown, maps)
