"""What a visitor has chosen on the maps: combined, described, exported."""

import io
import re
import zipfile
from base64 import b64decode
from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from features import embed
from features.errors import FeatureError
from features.selection import Selection
from features.store import FeatureSet
from viz import sidebar, widgets
from viz.cached.made import drawn, made
from viz.cached.pictures import PART_LIMIT, SHEET_COLUMNS, part_work
from viz.components import picture_grid
from viz.components.point_map import Colours, Gesture, Panel, media_address, selected_after
from viz.figures import embed as figures
from viz.pages.embed import apart, filters, image
from viz.pages.embed.shown import Shown, on_sheet, sheet_of

TITLED = 5000  # pictures, of which a title travels with each
EXPORTED = 2000  # images in a zip


def apply(shown: Shown, panels: Sequence[Panel], colours: Colours, gesture: Gesture) -> None:
    """Make of a gesture on the map the selection of all pages. A click also brings the image up beside the map."""
    chosen = sidebar.selection(shown.images)
    before = None if chosen is None else chosen.mask[shown.points]
    after = selected_after(gesture, panels, colours, before)
    image.take(shown, np.flatnonzero(after))
    if gesture.kind == "point" and gesture.mode == "replace":
        image.look_at(shown, gesture.row)


def show(shown: Shown, maps: embed.StageMaps) -> None:
    """What is selected, what it consists of beside the rest, and what can be done with it."""
    chosen = sidebar.selection(shown.images)
    points = None if chosen is None else np.flatnonzero(chosen.mask[shown.points])
    _search(shown, points)
    if (passing := filters.popover(shown, maps, points)) is not None:
        image.take(shown, passing)
        st.rerun()
    if chosen is None or points is None:
        st.subheader("Nothing selected yet")
        if sidebar.selects_of_others():
            st.caption("What is selected is of other images, and comes back with them.")
        st.caption(
            "The images inside your lasso appear here, on every map at once. They stay selected on all pages, and "
            "with a link."
        )
        _named(shown, None)
        return
    st.subheader(f"{len(chosen):,} of {len(shown.images):,} images selected")
    if shown.correct is not None and len(points):
        right = int(shown.correct[points].sum())
        st.markdown(f"{right:,} of them are classified correctly, {len(points) - right:,} are not.")
    _actions(shown, chosen, points)
    _thumbnails(shown, points)
    st.markdown("**Where the group falls apart**")
    widgets.chart(
        drawn(figures.cohesion, made(_cohesion, maps, chosen.key, tuple(points.tolist())), len(points) / len(shown)),
        "cohesion",
    )
    st.caption(
        "At each stage the share of the selected images' nearest neighbours that are selected too. The dotted line is "
        "what chance would give."
    )
    _mix(shown, points)
    if st.toggle("What sets it apart", key="apart", bind="query-params"):
        apart.show(shown, maps, points)


def _cohesion(maps: embed.StageMaps, _key: str, points: tuple[int, ...]) -> dict[str, float]:
    k = min(projection.graph.k for projection in maps.values()) - 1
    return embed.cohesion(maps, np.array(points, np.int64), k)


def _search(shown: Shown, points: np.ndarray | None) -> None:
    text = st.text_input(
        "Search", key="search", placeholder="part of a name, label or prediction", label_visibility="collapsed"
    )
    if not text.strip():
        return
    hits = made(_hits, shown.features, text.strip().lower())
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{len(hits):,} images", width="content")
        if len(hits) and st.button("Select them", key="select hits", type="tertiary"):
            image.take(shown, hits)
            st.rerun()
        if len(hits) and points is not None and st.button("Add them", key="add hits", type="tertiary"):
            image.take(shown, np.union1d(points, hits))
            st.rerun()


def _hits(features: FeatureSet, text: str) -> np.ndarray:
    table = features.table()
    columns = [table[name].fillna("").astype(str).str.lower() for name in ("id", "label", "pred")]
    return np.flatnonzero(np.logical_or.reduce([column.str.contains(text, regex=False) for column in columns]))


def _actions(shown: Shown, chosen: Selection, points: np.ndarray) -> None:
    with st.container(horizontal=True):
        if st.button("Clear", icon=":material/close:"):
            sidebar.choose(None)
            st.rerun()
        if st.button("The rest", icon=":material/flip:", help="Select all others instead."):
            sidebar.choose(chosen.rest())
            st.rerun()
        with st.popover("Export", icon=":material/download:"):
            _export(shown, points)
        with st.popover("Names", icon=":material/bookmark:"):
            _named(shown, chosen)
    if shown.model is not None:  # else the other pages are about other images
        st.caption(
            "Saliency, Channels, Evaluation, Residual branches and Features can be about the selection alone: choose "
            "so in the sidebar."
        )


def _export(shown: Shown, points: np.ndarray) -> None:
    widgets.downloads(_table(shown, points), "selection")
    st.download_button(
        "List of the files",
        lambda: "\n".join(shown.features.uris[point] for point in points) + "\n",
        file_name="selection.txt", mime="text/plain", icon=":material/download:", on_click="ignore",
        help="Every command takes it as its SOURCE.",
    )  # fmt: skip
    if len(points) <= EXPORTED:
        st.download_button(
            "The images (zip)",
            lambda: _zipped(shown, points),
            file_name="selection.zip", mime="application/zip", icon=":material/download:", on_click="ignore",
        )  # fmt: skip
    else:
        st.caption(f"A zip is made of at most {EXPORTED:,} images.")


def _table(shown: Shown, points: np.ndarray) -> pd.DataFrame:
    more = {name: values[points] for name, values in shown.columns.items() if name not in shown.table}
    return shown.table.iloc[points].rename(columns={"pred": "prediction"}).assign(**more)


def _zipped(shown: Shown, points: np.ndarray) -> bytes:
    """The images as PNG files, in a folder for each label."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for point in points:
            try:
                picture = shown.images.open(int(shown.points[point]))
            except FeatureError:  # gone since it was read
                continue
            file = io.BytesIO()
            picture.save(file, "PNG")
            archive.writestr(f"{_folder_name(shown.label(point))}/{point:06d}.png", file.getvalue())
    return buffer.getvalue()


def _folder_name(label: str | None) -> str:
    """A label as the name of one folder, which leads nowhere else and that every system can have."""
    name = re.sub(r'[\x00-\x1f/\\:*?"<>|]', "-", label or "")
    return name.strip(" .")[:100] or "images"


def _named(shown: Shown, chosen: Selection | None) -> None:
    """Selections that were given names, by whichever visitor of the server, and what can be made of two."""
    names = sidebar.named_selections(shown.images)
    if chosen is not None:
        name = st.text_input(
            "Call this selection", key="selection name", placeholder="a name",
            help="Names stay on the machine that runs the app, for whoever opens these images there.",
        )  # fmt: skip
        if name.strip() and st.button("Keep", key="keep selection"):
            sidebar.give_name(name.strip(), chosen)
            st.rerun()
    for name, other in names.items():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{widgets.escape(name)} ({len(other):,})", width="content")
            results = {"only": other}
            if chosen is not None:
                results |= {"and": chosen & other, "or": chosen | other, "without": chosen - other}
            for word, result in results.items():
                if st.button(f"{word} ({len(result):,})", key=f"{word} {name}", type="tertiary"):
                    sidebar.choose(result)
                    st.rerun()
            if st.button("", icon=":material/delete:", key=f"forget {name}", type="tertiary", help="Forget this name."):
                sidebar.take_name(shown.images, name)
                st.rerun()


def _thumbnails(shown: Shown, points: np.ndarray) -> None:
    """All that is selected, to scroll through; a click brings an image up beside the map."""
    numbers = on_sheet(shown)[points]
    sheet = None
    if (numbers < 0).any():  # of a large set: what was made at once is shown until the selection's own are there
        sheet = widgets.arriving(part_work(shown.images, shown.points[points]), "Small pictures of the selection")
    n_selected = len(points)
    if sheet is not None:
        points, part = points[:PART_LIMIT], "selection"
        numbers = np.arange(len(points))
    else:
        sheet, part = widgets.awaited(sheet_of(shown), "Making small pictures"), "all pictures"
        points, numbers = points[numbers >= 0], numbers[numbers >= 0]
    if len(points) < n_selected:
        st.caption(f"Small pictures of {len(points):,} of them.")
    # By an address: as a link with its content it would travel again with every selection.
    address = media_address(made(_jpeg, sheet), f"sheet of {part}", "image/jpeg")
    titles = [shown.caption(point) for point in points[:TITLED]]
    with st.container(key="thumbnails"):
        picture_grid(
            address, SHEET_COLUMNS, numbers.tolist(), titles, "selected pictures",
            lambda place: image.look_at(shown, int(points[place])),
        )  # fmt: skip


def _jpeg(link: str) -> bytes:
    return b64decode(link.partition(",")[2])


def _mix(shown: Shown, points: np.ndarray) -> None:
    """Labels and predictions of the selection beside those of all images."""
    for column, title in (("label", "Labels"), ("pred", "Predictions")):
        if shown.table[column].notna().any():
            st.markdown(f"**{title}** of the selection beside all images")
            widgets.chart(drawn(figures.mix, shown.table[column].to_numpy(object), points), f"mix {column}")
