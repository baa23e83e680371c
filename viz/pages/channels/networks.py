"""Two networks' channels beside each other: which are most alike, and the images that excite both."""

import pandas as pd
import streamlit as st

from features.channels import Beside, LayerBeside
from features.networks import catalogue
from features.networks.zoo import Model
from viz import sidebar, widgets
from viz.cached.channels import beside_work, layers_of
from viz.cached.made import drawn, made
from viz.figures import channels as figures
from viz.pages.channels.place import go
from viz.picking import held, networks
from viz.picking.shown import Shown
from viz.picking.tiles import tiles

OTHER, BLOCKS, LAYER, OF, PAIR = "beside network", "every block", "beside layer", "channels of", "pair"  # in links
TABLE = "channels most alike"
SHARES = "mutual", "beyond_chance"


def show(shown: Shown) -> None:
    """The network of the sidebar beside another one: all layers at a glance, then channel by channel."""
    name = _choose(shown)
    if name is None:
        st.info(
            f"Choose a network to see which of its channels are most alike those of "
            f"{widgets.escape(shown.model.spec.name)}: another one, the same before training or compression, or with "
            "a lesion.",
            icon=":material/compare_arrows:",
        )
        return
    other = sidebar.typed(name)
    blocks = layers_of(shown.model) == layers_of(other) and _every_block()
    work = beside_work(shown.model, other, shown.images, blocks)
    told: Beside = widgets.awaited(work, f"Reading {len(shown.images):,} images by both networks")
    _overview(told)
    _layer(shown, other, told)


def _choose(shown: Shown) -> str | None:
    """The other network's name; None while none is chosen."""
    held.prepare(OTHER, lambda text: text, None)

    def changed() -> None:
        if st.session_state[OTHER] is None:
            held.drop(OTHER)

    asked = st.session_state[OTHER]
    name = st.selectbox(
        f"Beside {shown.model.spec.name}", list(dict.fromkeys([*catalogue.names(), *([asked] if asked else [])])),
        index=None, key=OTHER, accept_new_options=True, placeholder="a network", help=networks.HELP, on_change=changed,
    )  # fmt: skip
    if name is not None:
        held.hold(OTHER, name)
    return name


def _every_block() -> bool:
    held.prepare(BLOCKS, held.truth, False)
    every = st.toggle("Every block, not only stages", key=BLOCKS)
    held.hold(BLOCKS, every)
    return every


def _overview(told: Beside) -> None:
    widgets.chart(drawn(figures.most_alike, told), "channels of two networks")
    constant = sum(made.n_constant for layer in told.layers for made in layer.matches)
    never = (
        f" {constant:,} channels are the same on all images: they have no correlation and are left out."
        if constant
        else ""
    )
    st.caption(
        f"Every channel with the channel of the other network that it correlates with most (Pearson's r of their means "
        f"over positions, over {told.n_images:,} images; Li et al. 2016, arXiv:1511.07543). Dots are medians over the "
        "channels of a layer, thick bars hold half of them, thin ones 90 %. By chance, with the images of one network "
        f"permuted, 95 % of channels stay below the grey dashes.{never}"
    )
    with st.popover("The numbers", icon=":material/table:"):
        st.dataframe(
            made(Beside.summary, told), hide_index=True,
            column_config={name: st.column_config.NumberColumn(format="percent") for name in SHARES}
            | {name: st.column_config.NumberColumn(format="%.3f") for name in ("median", "limit")},
        )  # fmt: skip
        st.caption("All channels of both networks with their most alike:")
        widgets.downloads(made(Beside.table, told), "channels-beside")


def _layer(shown: Shown, other: Model, told: Beside) -> None:
    """The channels of one layer of one network with their most alike, and the images of a pair."""
    names = [layer.name for layer in told.layers]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="large"):
        held.prepare(LAYER, held.among(names), names[-1])
        name = st.select_slider("Layer", names, key=LAYER, width=420)
        held.hold(LAYER, name)
        held.prepare(OF, held.among(told.names), told.names[0])
        of = st.segmented_control("Channels of", told.names, key=OF, required=True, wrap=True)
        held.hold(OF, of)
    layer, side = told.layer(name), told.names.index(of)
    table = made(_table, told, layer.name, side)
    if not len(table):
        st.caption(f"All channels of {layer.name} are the same on all images, so none is like another.")
        return
    left, right = st.columns([4, 9], gap="medium")
    with left:
        channel = _choose_channel(table)
        st.caption("The surest pairs first. A ticked row shows its pair.")
    with right:
        _pair(shown, told, layer, side, channel)


def _table(told: Beside, name: str, side: int) -> pd.DataFrame:
    """A layer's channels that have a match, the surest first."""
    table = told.table()
    mine = table[(table["layer"] == name) & (table["network"] == told.names[side]) & table["match"].notna()]
    chosen = mine[["channel", "match", "correlation", "mutual"]]
    return chosen.sort_values("correlation", ascending=False, kind="stable").reset_index(drop=True)


def _choose_channel(table: pd.DataFrame) -> int:
    """The channel of the row that is ticked, the first one where none is."""
    event = st.dataframe(
        table, hide_index=True, key=TABLE, on_select="rerun", selection_mode="single-row", height=420,
        column_config={
            "correlation": st.column_config.NumberColumn("r", format="%.3f"),
            "mutual": st.column_config.CheckboxColumn(help="Whether each is the most alike of its most alike."),
        },
    )  # fmt: skip
    rows = event.selection.rows
    return int(table["channel"].iloc[rows[0] if rows and rows[0] < len(table) else 0])


def _pair(shown: Shown, told: Beside, layer: LayerBeside, side: int, channel: int) -> None:
    """The images with the largest means of a channel, and of the one that is most alike."""
    own = layer.matches[side]
    match = int(own.channels[channel])
    mutual = ", and each is the most alike of the other" if own.mutual[channel] else ""
    st.markdown(f"**r = {own.correlations[channel]:.3f}** over {told.n_images:,} images{mutual}.")
    for column, which, number in zip(st.columns(2, gap="medium"), (side, 1 - side), (channel, match), strict=True):
        with column:
            _images(shown, told, layer, which, number)
    st.caption("The images with the largest means over positions of either channel, the largest first.")


def _images(shown: Shown, told: Beside, layer: LayerBeside, which: int, channel: int) -> None:
    """The images of a channel of either network, and what can be done with them."""
    st.markdown(f"**{widgets.escape(told.names[which])}**  \nchannel {channel} of {layer.layers[which]}")
    rows = layer.matches[which].top[channel]
    texts = [shown.images.label_name(row) or told.ids[row] for row in rows.tolist()]
    tiles(shown.images, rows, texts, f"images of {which}")
    with st.container(horizontal=True):
        st.button(
            f"Select these {len(rows)}", icon=":material/select:", key=f"select {which}", type="tertiary",
            on_click=shown.select, args=(rows,),
        )  # fmt: skip
        if which == 0:  # the network that the page is about
            st.button(
                "Open the channel", icon=":material/arrow_forward:", key="open pair", type="tertiary",
                on_click=go, args=(layer.layers[0], channel),
            )  # fmt: skip
