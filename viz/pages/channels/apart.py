"""Which channels set the selected images apart from all others, or from another selection."""

import numpy as np
import streamlit as st

from features import channels
from features.channels import Apart, Channels, Layer
from features.selection import Selection
from viz import sidebar, widgets
from viz.cached.channels import responses_work
from viz.cached.made import drawn, made
from viz.cached.patches import patches_work
from viz.components import patch_tiles
from viz.figures import channels as figures
from viz.pages.channels.place import choose_layer, go
from viz.pages.channels.tiles import tile_of
from viz.picking import held
from viz.picking.overlays import OPACITY
from viz.picking.shown import Shown

MOST, PICTURED = 12, 6  # channels in the figure, and of these with a picture
REST, BESIDE, TABLE = "all other images", "selected beside", "channels apart"


def show(shown: Shown) -> None:
    """The selection of all pages beside the rest of the set, channel by channel of a layer."""
    selected = sidebar.selection(shown.whole)
    if selected is None:
        st.info(
            "Nothing is selected. Select images here (a channel's, a click on a picture), on the pages Embedding, "
            "Evaluation or Compare: then this view shows which channels set them apart from the others.",
            icon=":material/select:",
        )
        return
    others = _beside(shown)
    what = f"Measuring channels on {len(shown.whole):,} images"
    told: Channels = widgets.awaited(responses_work(shown.model, shown.whole), what)
    layer = choose_layer(shown)
    apart = made(_apart, told, layer, selected.rows, None if others is None else others.rows)
    _say(apart, told, shown)
    widgets.chart(drawn(figures.set_apart, apart, MOST), "channels that set a selection apart")
    st.caption(
        f"The {min(MOST, len(apart.auroc))} channels of {layer} that tell the selected images from the others best, by "
        "AUROC: how often a selected image has the larger mean over positions of two, one of each side; below 0.5 the "
        "selected ones have less. Left, the difference of means with its 95 % interval, of each channel by itself "
        "(Welch's t; filled where 0 lies outside). Of many channels and few images some stand out by chance."
    )
    _pictures(shown, told, told.layer(layer), apart)
    _table(shown, apart)


def _beside(shown: Shown) -> Selection | None:
    """What the selection is compared with; None for all other images."""
    named = sidebar.named_selections(shown.whole)
    if not named:
        return None
    held.prepare(BESIDE, held.among((REST, *named)), REST)
    name = st.selectbox("Beside", (REST, *named), key=BESIDE, width=320)
    held.hold(BESIDE, name)
    return named.get(name)


def _apart(told: Channels, layer: str, rows: np.ndarray, others: np.ndarray | None) -> Apart:
    """As `channels.apart`, of selections that are told by their rows."""
    images, count = str(told.provenance.images_digest), len(told.ids)
    beside = None if others is None else Selection(images, others, count)
    return channels.apart(told, layer, Selection(images, rows, count), beside)


def _say(apart: Apart, told: Channels, shown: Shown) -> None:
    sampled = "" if told.is_exact else f" Counted are the {len(told.sample_rows):,} images whose own numbers are kept."
    st.markdown(
        f"**{apart.n_images:,}** selected images beside **{apart.n_others:,}** others of "
        f"{widgets.escape(shown.whole.name)}.{sampled}"
    )


def _pictures(shown: Shown, told: Channels, layer: Layer, apart: Apart) -> None:
    """The patch that excites each of the first channels most of all images; a click opens the channel."""
    numbers = apart.order[:PICTURED]
    rows, positions = layer.top.rows[numbers, 0], layer.top.positions[numbers, 0]
    work = patches_work(shown.model, shown.whole, layer.name, rows.tolist(), positions)
    pictures = widgets.arriving(work, "Making small pictures")
    if pictures is None:
        return
    there = [at for at, picture in enumerate(pictures) if picture is not None]
    noted = sidebar.noted_images(shown.whole)
    known = {} if noted is None else noted.of
    made_of = [
        tile_of(
            picture,
            f"channel {numbers[at]}: {apart.auroc[numbers[at]]:.3f}",
            shown.whole.label_name(int(rows[at])),
            told.ids[rows[at]],
            f"What excites channel {numbers[at]} most: {told.ids[rows[at]]}. Click to open the channel.",
            noted=known.get(int(rows[at])),
        )
        for at in there
        if (picture := pictures[at])
    ]
    patch_tiles(made_of, OPACITY, "patches apart", lambda at, more: go(layer.name, int(numbers[there[at]])))
    st.caption("What excites the first of them most, of all images, with its AUROC. A click opens the channel.")


def _table(shown: Shown, apart: Apart) -> None:
    table = made(Apart.table, apart)

    def chosen() -> None:
        rows = st.session_state[TABLE].selection.rows
        if rows:
            go(apart.layer, int(table["channel"].iloc[rows[0]]))

    st.dataframe(
        table.drop(columns="layer"), hide_index=True, key=TABLE, on_select=chosen, selection_mode="single-row",
        column_config={"auroc": st.column_config.NumberColumn(format="%.3f")},
    )  # fmt: skip
    widgets.downloads(table, f"channels-apart-{apart.layer}-{shown.model.spec.name}")
