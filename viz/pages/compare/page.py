"""Two or more networks on the sidebar's images: who does better, at what cost, and of which images."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from features.compare import Comparison, Pair, need_number
from features.datasets import ImageSet
from features.errors import WeightsError
from features.networks import catalogue, naming
from features.networks.zoo import Model
from viz import sidebar, widgets
from viz.cached.compare import comparison_work, report
from viz.cached.made import drawn
from viz.figures import compare as figures
from viz.picking.tiles import tiles
from viz.reports.compare import words

FIRST = ("resnet20-fashion", "plain20-fashion")
KEY, PAIR, CELL = "compared", "pair", "right"  # in links
SHOWN, SLICES = 36, 20


def render() -> None:
    """Networks beside each other, then two of them image by image."""
    st.title(words.TITLE)
    with widgets.show_errors():
        images, whole = sidebar.images(), sidebar.images(selected=False)
        names = _choose()
        need_number(len(names))
        models = [_loaded(name) for name in names]
        told = widgets.awaited(comparison_work(models, images), f"Comparing on {len(images):,} images")
        widgets.rejected(told.rejected)
        _networks(told)
        pair = _choose_pair(told)
        _verdict(pair)
        _images(told, pair, images, whole)
        left, right = st.columns(2, gap="medium")
        with left:
            _slices(pair)
        with right:
            _similarity(pair)
        widgets.downloads(told.table(), "comparison")
        widgets.report_download("comparison", lambda: report(told, models, images))
        widgets.camera()


def _choose() -> list[str]:
    """The networks' names, as `naming.parse` reads them."""
    asked = st.session_state.get(KEY) or []
    return st.multiselect(
        "Networks", list(dict.fromkeys([*catalogue.names(), *asked])), default=None if asked else FIRST, key=KEY,
        bind="query-params", accept_new_options=True, max_selections=10,
        help="Type others: a path of weights on the machine that runs the app, or a network with a lesion "
        "(resnet20-fashion?lesion=without:layer3.0).",
    )  # fmt: skip


def _loaded(name: str) -> Model:
    asked = naming.parse(name)
    for file in (asked.weights, asked.classes):
        if file is not None:
            sidebar.inside_roots(str(file), "weights", WeightsError)
    return sidebar.loaded(asked)


def _networks(told: Comparison) -> None:
    left, right = st.columns([4, 3], gap="medium", vertical_alignment="center")
    with left:
        st.dataframe(pd.DataFrame(words.rows(told)), hide_index=True)
        st.caption(widgets.escape(words.networks(told)))
    with right:
        widgets.chart(drawn(figures.cost, told.contenders), "cost")


def _choose_pair(told: Comparison) -> Pair:
    titles = [words.pair(pair) for pair in told.pairs]
    if len(titles) == 1:
        return told.pairs[0]
    if st.session_state.get(PAIR) not in (None, *titles):
        del st.session_state[PAIR]  # of the networks before these
    return told.pairs[titles.index(st.selectbox("Two of them", titles, key=PAIR, bind="query-params"))]


def _verdict(pair: Pair) -> None:
    st.subheader(widgets.escape(words.pair(pair)))
    st.markdown(widgets.escape(words.verdict(pair)))
    with st.container(horizontal=True, gap="medium"):
        for name, value, meaning in words.facts(pair.agreement):
            st.metric(name, value, width="content", help=meaning)


def _images(told: Comparison, pair: Pair, images: ImageSet, whole: ImageSet) -> None:
    """Images by who is right; a click selects them for all pages."""
    one, other = (next(each for each in told.contenders if each.name == name) for name in (pair.first, pair.second))
    masks = {
        words.ONLY_FIRST: one.correct & ~other.correct, words.ONLY_SECOND: ~one.correct & other.correct,
        words.NEITHER: ~one.correct & ~other.correct, words.BOTH: one.correct & other.correct,
    }  # fmt: skip
    titles = words.cells(pair)
    cell = st.segmented_control(
        "Right of", words.BY_RIGHT, default=words.BY_RIGHT[0], key=CELL, bind="query-params", required=True,
        format_func=lambda name: f"{titles[name]} ({int(masks[name].sum()):,})",
    )  # fmt: skip
    rows = np.flatnonzero(masks[cell or words.BY_RIGHT[0]])
    if not len(rows):
        st.caption("There are none.")
        return
    if st.button(f"Select {len(rows):,}", icon=":material/select:", help="For all pages, and with a link."):
        sidebar.select(whole, _numbers(whole, [told.ids[row] for row in rows]))
        st.rerun()
    names = [each.predictions.take(rows[:SHOWN]).names for each in (one, other)]
    texts = [
        f"{told.labels[row]}: {first or 'nothing'} | {second or 'nothing'}"
        for row, first, second in zip(rows[:SHOWN], *names, strict=True)
    ]
    tiles(images, _numbers(images, [told.ids[row] for row in rows[:SHOWN]]), texts, "disagreements")
    shown = f" The first {SHOWN} of {len(rows):,}." if len(rows) > SHOWN else ""
    st.caption(f"{widgets.escape(words.below(pair))}{shown}")


def _numbers(images: ImageSet, ids: Sequence[str]) -> np.ndarray:
    """The numbers of some images in a set, by their ids."""
    numbers = {image_id: number for number, image_id in enumerate(images.ids)}
    return np.array([numbers[image_id] for image_id in ids], np.int64)


def _slices(pair: Pair) -> None:
    st.markdown("**Where they differ**")
    if not pair.slices:
        st.caption(words.NO_SLICES)
        return
    widgets.chart(drawn(figures.slices, pair.slices[:SLICES]), "slices")
    st.caption(widgets.escape(words.slices(pair, SLICES)))


def _similarity(pair: Pair) -> None:
    st.markdown("**How alike their stages are**")
    widgets.chart(drawn(figures.similarity, pair.similarity, pair.first, pair.second), "similarity")
    st.caption(words.SIMILARITY)
