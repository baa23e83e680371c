"""All channels of a layer in the order of any measure, each by its top patch; a click opens one."""

import pandas as pd
import streamlit as st

from features.channels import RANKINGS, Channels, ChannelSweep, Evidence, Ranked, Ranking, usual
from viz import sidebar, widgets
from viz.cached import server
from viz.cached.channels import sweep_work
from viz.cached.made import made
from viz.cached.patches import SHEET_COLUMNS, patch_sheet_work
from viz.components import picture_grid
from viz.components.point_map import media_address
from viz.pages.channels.place import choose_layer, few_images, go, known_of
from viz.picking import held
from viz.picking.shown import Shown

TABLE, ORDER, CLASS = "channels of a layer", "order", "order class"
OF_CLASSES = ("auroc", "class-auroc", "class-difference")
TALLEST = 560  # px of the pictures before they scroll


def show(shown: Shown, told: Channels) -> None:
    """The order, the channels' top patches, and their numbers as a table."""
    left, right = st.columns([3, 2], gap="large", vertical_alignment="bottom")
    with left:
        layer = choose_layer(shown)
    swept = _swept(shown, layer)
    known = known_of(shown, told, layer, None, swept)
    with right, st.container(horizontal=True, vertical_alignment="bottom"):
        few = few_images(told)
        ranking = _choose(known, usual(told).name)
        class_name = _choose_class(ranking, known)
    if class_name is not None:
        known = known_of(shown, told, layer, class_name, swept)
    ranked = made(Ranking.of, ranking, known)
    if few and ranking.name in OF_CLASSES:
        st.warning(few, icon=":material/help:")
    _pictures(shown, told, layer, ranked)
    about = f" {class_name}" if class_name is not None else ""
    st.caption(
        f"The {len(ranked.channels):,} channels of {layer} by {ranking.title}{widgets.escape(about)}: {ranking.means}. "
        "Each by the patch that excites it most of all images, with its number and value. A click opens it."
    )
    _table(shown, told, layer, ranking, ranked)
    if swept is None and shown.model.network.classifier is not None:
        _offer_sweep(shown, layer, known)


def _choose(known: Evidence, first: str) -> Ranking:
    options = [ranking.name for ranking in RANKINGS.values() if ranking.can_rank(known)]
    held.prepare(ORDER, held.among(options), first)
    name = st.selectbox("Order by", options, key=ORDER, format_func=lambda name: RANKINGS.need(name).title)
    held.hold(ORDER, name)
    return RANKINGS.need(name)


def _choose_class(ranking: Ranking, known: Evidence) -> str | None:
    """Of an order that is about a class, which."""
    if ranking.classes is None:
        return None
    names = ranking.classes(known)
    held.prepare(CLASS, held.among(names), names[0])
    name = st.selectbox("Class", names, key=CLASS)
    held.hold(CLASS, name)
    return name


def _pictures(shown: Shown, told: Channels, layer: str, ranked: Ranked) -> None:
    top = told.layer(layer).top
    work = patch_sheet_work(shown.model, shown.images, layer, top.rows[:, 0].tolist(), top.positions[:, 0])
    sheet = widgets.arriving(work, "The channels' top patches")
    if sheet is None:
        return
    numbers = ranked.channels.tolist()
    noted = sidebar.noted_images(shown.images)
    of = {} if noted is None else noted.of
    tops = [of.get(row) for row in top.rows[numbers, 0].tolist()]
    titles = [
        f"{number}: {value:.3g}{'' if known is None else sidebar.noting.in_brackets(known)}"
        for number, value, known in zip(numbers, ranked.values.tolist(), tops, strict=True)
    ]
    address = media_address(sheet, f"patches of {layer}", "image/jpeg")
    with st.container(key="patches"):
        picture_grid(address, SHEET_COLUMNS, numbers, titles, "top patches", lambda at: go(layer, numbers[at]), TALLEST)


def _table(shown: Shown, told: Channels, layer: str, ranking: Ranking, ranked: Ranked) -> None:
    table = made(_table_of, told, layer, ranking, ranked)

    def chosen() -> None:
        rows = st.session_state[TABLE].selection.rows
        if rows:
            go(layer, int(table["channel"].iloc[rows[0]]))

    seen = table.drop(columns=["layer", "n_images", "q05", "q25", "q75", "q95", "top_row", "top_column"])
    st.dataframe(
        seen.dropna(axis=1, how="all"), hide_index=True, key=TABLE, on_select=chosen, selection_mode="single-row",
        column_config={"silent": st.column_config.NumberColumn(format="percent"),
                       "auroc": st.column_config.NumberColumn(format="%.3f")},
    )  # fmt: skip
    st.caption(
        "Means over images and positions; lowest, median and highest of the maxima over positions; the class with the "
        "highest AUROC, with its difference of means and 95 % interval. A ticked row opens the channel."
    )
    widgets.downloads(table, f"channels-{layer}-{shown.model.spec.name}")


def _table_of(told: Channels, layer: str, ranking: Ranking, ranked: Ranked) -> pd.DataFrame:
    """The layer's table in the order, with what it is ordered by where the table has no such column."""
    table = told.layer_table(layer).iloc[ranked.channels].reset_index(drop=True).rename(columns={"q50": "median"})
    if ranking.name not in ("index", "mean", "highest", "silent"):
        table.insert(2, ranking.title, ranked.values)
    return table


def _swept(shown: Shown, layer: str) -> ChannelSweep | None:
    """What is lost without each channel, where that was measured."""
    if shown.model.network.classifier is None:
        return None
    work = sweep_work(shown.model, shown.images, layer)
    if not server.jobs().has_result(work):
        return None
    run = server.ask(work).run
    return run.result if run is not None and run.error is None else None


def _offer_sweep(shown: Shown, layer: str, known: Evidence) -> None:
    work = sweep_work(shown.model, shown.images, layer)
    count = known.layer.n_channels
    if widgets.start(work, f"Measure accuracy without each of the {count:,} channels"):
        swept = widgets.arriving(work, f"Predicting {len(shown.images):,} images without each channel of {layer}")
        if swept is not None:
            st.rerun()  # with one order more
