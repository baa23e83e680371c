"""The images that excite a channel most, least and at quantiles, with what of each it sees."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import streamlit as st

from features import channels, rasters
from features.channels import Channels, Examples, chosen
from features.channels.results import QUANTILES
from features.notes import ImageNotes
from viz import sidebar, widgets
from viz.cached.channels import examples_work
from viz.cached.made import made
from viz.cached.patches import PatchPicture, patches_work
from viz.components import PatchTile, patch_tiles
from viz.pages.channels.place import IMAGE, VIEW, Place
from viz.pages.channels.tiles import tile_of
from viz.picking import held
from viz.picking.overlays import OPACITY
from viz.picking.picture import looked_at
from viz.picking.shown import Shown

KINDS = MOST, QUANTILE, LEAST = "most", "at quantiles", "least"
EXCITED, WHERE = "excited", "where"  # in links
HEAT_SIDE = 112


@dataclass(frozen=True, eq=False)
class Excited:
    """Images in the order in which they are shown.

    rows: (R,), numbers in the set that was measured. values: (R,), the maxima of the channel. positions: (R, 2), where
    they are in the map. notes: (R,), what each is among all. examples: with the maps, None where these are not shown.
    """

    rows: np.ndarray
    values: np.ndarray
    positions: np.ndarray
    notes: tuple[str, ...]
    examples: Examples | None


def show(shown: Shown, told: Channels, place: Place) -> None:
    """The images as tiles, a click on which selects one, and ways to select many."""
    st.subheader("Images that excite it")
    held.prepare(EXCITED, held.among(KINDS), MOST)
    held.prepare(WHERE, held.truth, False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        picked = st.segmented_control(
            "Images", KINDS, key=EXCITED, required=True, label_visibility="collapsed", width="content"
        )
        where = st.toggle(
            "Where in the image", key=WHERE,
            help="The channel's map over each image: how strongly it answers at which position.",
        )  # fmt: skip
    which = picked or MOST
    held.hold(EXCITED, which)
    held.hold(WHERE, str(where).lower())
    excited = _excited(shown, told, place, which, where)
    if excited is None:
        return
    pictures = widgets.awaited(
        patches_work(shown.model, shown.images, place.layer, excited.rows.tolist(), excited.positions),
        "Making small pictures",
    )
    _tiles(shown, excited, pictures)
    st.caption(_caption(shown, place, pictures, which, where))
    _select(shown, told, place, excited, which)


def _excited(shown: Shown, told: Channels, place: Place, which: str, where: bool) -> Excited | None:
    """None while maps are waited for."""
    layer = told.layer(place.layer)
    examples = None
    if which == QUANTILE:
        rows = made(channels.rows_at, told, place.layer, place.channel, QUANTILES, 3)  # (Q, E)
        notes = tuple(f"{share:.0%} · " for share in QUANTILES for _ in range(rows.shape[1]))
        rows = rows.ravel()
    else:
        extremes = layer.top if which == MOST else layer.bottom
        rows, notes = extremes.rows[place.channel], ("",) * extremes.rows.shape[1]
    if which == QUANTILE or where:
        what = f"Maps of {len(rows)} images"
        examples = widgets.arriving(examples_work(shown.model, shown.images, place.layer, place.channel, rows), what)
        if examples is None and which == QUANTILE:
            return None
    if examples is not None:
        read = np.isin(rows, examples.rows)
        rows, notes = rows[read], tuple(note for note, there in zip(notes, read, strict=True) if there)
        return Excited(rows, examples.values, examples.positions, notes, examples if where else None)
    return Excited(rows, extremes.values[place.channel], extremes.positions[place.channel], notes, None)


def _tiles(shown: Shown, excited: Excited, pictures: tuple[PatchPicture | None, ...]) -> None:
    selection = sidebar.selection(shown.whole)
    marked = np.zeros(len(shown.images), bool) if selection is None else selection.mask[shown.rows]
    heats = [""] * len(excited.rows)
    if excited.examples is not None:
        limit = max(float(excited.values.max()), 0.0)
        heats = [made(_heat, each, limit) for each in excited.examples.maps]
    noted = sidebar.noted_images(shown.images)
    known = {} if noted is None else noted.of
    there = [at for at, picture in enumerate(pictures) if picture is not None]
    tiles = [_tile(shown, excited, at, picture, heats[at], marked, known) for at in there if (picture := pictures[at])]
    rows = excited.rows[there].tolist()
    patch_tiles(tiles, OPACITY, "excitations", lambda at, more: shown.pick(rows[at], more))
    if len(there) < len(pictures):
        st.caption(f"{len(pictures) - len(there)} of these images cannot be opened any more.")


def _heat(values: np.ndarray, limit: float) -> str:
    heat = rasters.heat_map(values, (HEAT_SIDE, HEAT_SIDE), limit=limit)
    return rasters.data_uri(rasters.jpeg(heat, 88))


def _tile(
    shown: Shown, excited: Excited, at: int, picture: PatchPicture, heat: str, marked: np.ndarray,
    known: Mapping[int, ImageNotes],
) -> PatchTile:  # fmt: skip
    row, name = int(excited.rows[at]), shown.images.ids[excited.rows[at]]
    label = shown.images.label_name(row)
    y, x = excited.positions[at].tolist()
    about = f"{name}, label {label}" if label else name
    return tile_of(
        picture,
        f"{excited.notes[at]}{excited.values[at]:.3g}",
        label,
        name,
        f"{about}: row {y}, column {x} of the map. Click to select it.",
        heat,
        bool(marked[row]),
        known.get(row),
    )


def _caption(shown: Shown, place: Place, pictures: tuple[PatchPicture | None, ...], which: str, where: bool) -> str:
    field = channels.fields(shown.model)[place.layer]
    order = {
        MOST: "The images with the highest maxima of all, the highest first",
        LEAST: "The images with the lowest maxima of all, the lowest first",
        QUANTILE: "Images at the quantiles of the maxima: so many of all stay below",
    }[which]
    cropped = any(picture is not None and picture.crop for picture in pictures)
    clipped = any(picture is not None and picture.clipped for picture in pictures)
    parts = [
        f"{order}. The box is the receptive field of the position with the maximum, {field.size} × {field.size} of the "
        f"{field.side} × {field.side} pixels that the network is given; "
        + ("beside it the field enlarged." if cropped else "the ring is its centre."),
        f"Dashed sides{' and hatches' * cropped}: it goes on beyond what the network is given." if clipped else "",
        "Maps share one scale, black is 0." if where else "",
        "A click selects an image for all pages, with Shift one more."
        if shown.images is shown.whole
        else "A click chooses the image that Saliency and the view of one image show.",
    ]
    return " ".join(part for part in parts if part)


def _select(shown: Shown, told: Channels, place: Place, excited: Excited, which: str) -> None:
    """Ways to make the channel's images the selection of all pages."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            f"Select these {len(np.unique(excited.rows))}", icon=":material/select:",
            on_click=shown.select, args=(np.unique(excited.rows),),
        )  # fmt: skip
        if (image := looked_at()) is not None and image in excited.rows:
            st.button(
                "All maps of the image clicked last", icon=":material/grid_on:",
                on_click=lambda: st.session_state.update({VIEW: IMAGE}),
            )  # fmt: skip
        silent = chosen.silent(told, place.layer, place.channel)
        if 0 < len(silent) < told.n_images:
            st.button(
                f"Select the {len(silent):,} that leave it silent", icon=":material/select:",
                on_click=shown.select, args=(silent.rows,),
            )  # fmt: skip
        with st.popover("Select by quantile", icon=":material/percent:"):
            low, high = st.slider("Share of images below", 0, 100, (90, 100), format="%d %%", key="quantiles selected")
            between = chosen.between(told, place.layer, place.channel, low / 100, high / 100)
            st.button(
                f"Select {len(between):,} images", icon=":material/select:", key="select between",
                on_click=shown.select, args=(between.rows,),
            )  # fmt: skip
            if not told.is_exact:
                st.caption(f"Of the {len(told.sample_rows):,} images whose own numbers are kept.")
