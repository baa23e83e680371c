"""Maps of several stages in one frame, one selection across them, and what is known of it."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import streamlit as st

from features import embed
from features.datasets import labels
from features.networks import zoo
from features.store import FeatureSet
from viz import sidebar, widgets
from viz.cached import server
from viz.cached.elsewhere import is_upload
from viz.cached.embed import maps_work
from viz.cached.extract import features_work
from viz.cached.made import made
from viz.cached.pictures import SHEET_COLUMNS, sheet_job
from viz.components.point_map import Details, Panel, Pictures, Texts, point_map
from viz.pages.embed import colouring, image, lists, scores, selected
from viz.pages.embed.shown import Shown

MAP = "embedding"
STAGES = "frame"  # in links
FRAME = ("stem", "pool")  # beside the stages
FEW_FOR_TEARS = 100_000  # images whose neighbours travel with the map
TEARS = 5
VIEWS = ("Selection", "Image", "Scores", "Lists")


def render() -> None:
    """Maps of pooled features; a lasso, a click or a list chooses images, on all maps at once and for all pages."""
    st.title("How the network arranges images")
    with widgets.show_errors():
        model, images = sidebar.model(), sidebar.images(selected=False)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            stages, settings, whole = _settings(model)
            colour = colouring.choose(model, images)
        sheet_job(images)  # made while the features are read, so that the map need not wait for it
        features = widgets.awaited(features_work(model, images), f"Reading {len(images):,} images")
        shown = Shown(model, images, features, labels.matched(model.spec, images))
        widgets.rejected(features.rejected)
        maps = _maps(model, features, stages, settings, not is_upload(images))
        if whole:
            _draw(shown, maps, colour)
            return
        left, right = st.columns([2, 1], gap="medium")
        with left:
            _draw(shown, maps, colour)
        with right:
            _panel(shown, maps)


def _settings(model: zoo.Model) -> tuple[list[str], embed.MapSettings, bool]:
    known = [FRAME[0], *model.network.stage_names, FRAME[1]]
    if (earlier := st.query_params.get("stage")) in known and STAGES not in st.query_params:
        st.session_state.setdefault(STAGES, [earlier])  # a link from when the page showed one
    if not set(st.session_state.get(STAGES) or []) <= set(known):
        del st.session_state[STAGES]  # the network before this one had others
    stages = st.pills(
        "Stages", known, selection_mode="multi", default=model.network.stage_names, key=STAGES, bind="query-params"
    )
    method = st.segmented_control(
        "Method",
        tuple(embed.METHODS),
        default="umap",
        format_func=lambda name: embed.METHODS[name].title,
        key="method",
        bind="query-params",
        required=True,
    )
    with st.popover("Settings", icon=":material/tune:"):
        neighbours = st.slider("Neighbours", 2, 100, 15, key="neighbours", bind="query-params")
        min_dist = st.slider("Minimal distance (UMAP)", 0.0, 1.0, 0.1, key="min_dist", bind="query-params")
        seed = st.number_input("Seed", 0, 10_000, 0, key="seed", bind="query-params")
    whole = st.toggle("Wide", key="wide", bind="query-params", help="The map alone, over the whole width.")
    chosen = [name for name in known if name in stages] or [model.network.stage_names[-1]]
    return chosen, embed.MapSettings(method, int(neighbours), float(min_dist), int(seed)), whole


def _maps(
    model: zoo.Model, features: FeatureSet, stages: Sequence[str], settings: embed.MapSettings, durable: bool
) -> embed.StageMaps:
    """The maps that were asked for; until they are there, those by principal components, which take a moment."""
    work = maps_work(model, features, stages, settings, durable)
    if embed.METHODS[settings.method].linear:
        return widgets.awaited(work, f"Laying out {len(features):,} points")
    title = embed.METHODS[settings.method].title
    simple = embed.MapSettings("pca", settings.neighbours, seed=settings.seed)
    by_components = maps_work(model, features, stages, simple, durable)
    if not server.jobs().knows(work):  # what takes a moment goes first, since one work waits for another
        widgets.awaited(by_components, "Principal components")
    maps = widgets.arriving(work, f"{title} of {len(features):,} points")
    if maps is not None:
        return maps
    st.caption(f"Principal components are shown until {title} is there.")
    return widgets.awaited(by_components, "Principal components")


def _draw(shown: Shown, maps: embed.StageMaps, colour: str | None) -> None:
    colours = made(colouring.of, shown, maps, colour)
    panels = [made(_one_panel, name, projection, colours) for name, projection in maps.items()]
    chosen = sidebar.selection(shown.images)
    mask = None if chosen is None else np.isin(shown.features.rows, chosen.rows)
    sheet = widgets.result(sheet_job(shown.images), "Making small pictures")
    details = Details(made(_texts, shown.features), _pictures(sheet, shown))
    point_map(panels, colours.colours, mask, MAP, partial(selected.apply, shown, panels, colours.colours), details)
    st.caption(
        "Every point is an image: its stage's output pooled over space, laid out so that similar ones lie close. "
        "Distances between far groups, and the groups' sizes, mean little. Draw a lasso or a box, click a point or a "
        "name in the legend: Shift adds, Ctrl takes away. Lines lead from the point under the pointer to its true "
        "neighbours: long ones are tears of the map."
    )
    if shown.truth is not None and shown.matched.how != labels.BY_NAME and shown.same_names:
        st.caption(f"The labels are the network's classes {shown.matched.how}.")
    if colour == colouring.CORRECTNESS and not shown.same_names:
        said = f"{shown.matched.guessed} If they are other classes, nothing here says what is correct."
        st.warning(widgets.escape(said), icon=":material/help:")


def _one_panel(name: str, projection: embed.Projection, colours: colouring.Colouring) -> Panel:
    trust = projection.trust
    near = projection.graph.indices[:, 1 : TEARS + 1] if len(projection) <= FEW_FOR_TEARS else None
    return Panel(
        name=name,
        title=name,
        points=projection.points,
        note=f"trust {trust.trustworthiness:.3f}, continuity {trust.continuity:.3f}, {trust.recall:.0%} kept",
        neighbours=near,
        values=colours.of_stage.get(name),
    )


def _texts(features: FeatureSet) -> Texts:
    return Texts.of(Shown.lines_of(features))


def _pictures(sheet: str, shown: Shown) -> Pictures:
    rows = -(-len(shown.images) // SHEET_COLUMNS)
    return Pictures((sheet,), SHEET_COLUMNS, rows, shown.features.rows.astype(np.int32))


def _panel(shown: Shown, maps: embed.StageMaps) -> None:
    """What is known of the selection, of one image, of the stages; and lists of images worth a look."""
    view = st.segmented_control(
        "Beside the map", VIEWS, default=VIEWS[0], key="beside", bind="query-params", required=True,
        label_visibility="collapsed",
    )  # fmt: skip
    if view == "Selection":
        selected.show(shown, maps)
    elif view == "Image":
        image.show(shown, maps)
    elif view == "Scores":
        scores.show(shown, maps)
    else:
        lists.show(shown, maps)
