"""Two or more networks on the sidebar's images: who does better, at what cost, and of which images."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from features.compare import Agreement, Comparison, Pair, need_number
from features.datasets import ImageSet
from features.errors import WeightsError
from features.networks import catalogue, naming
from features.networks.zoo import Model
from viz import sidebar, widgets
from viz.cached.compare import comparison_work
from viz.cached.made import drawn
from viz.figures import compare as figures
from viz.picking.tiles import tiles

FIRST = ("resnet20-fashion", "plain20-fashion")
KEY, PAIR, CELL = "compared", "pair", "right"  # in links
BY_RIGHT = ("only the first", "only the second", "neither", "both")
SHOWN, SLICES = 36, 20


def render() -> None:
    """Networks beside each other, then two of them image by image."""
    st.title("Which network does better, and where")
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
        st.dataframe(_table(told), hide_index=True)
        st.caption(
            f"On {len(told.ids):,} images of {widgets.escape(told.images)}; intervals of 95 % (Wilson 1927). "
            "F1 is the mean over the classes that occur, ECE by how much confidence and accuracy differ (Guo et al. "
            "2017). "
            + (
                "No network is right more often than each other by more than chance would have it."
                if told.best is None
                else "★ is right more often than each other, by more than chance (McNemar's test, Holm 1979)."
            )
        )
    with right:
        widgets.chart(drawn(figures.cost, told.contenders), "cost")


def _table(told: Comparison) -> pd.DataFrame:
    best = told.best
    return pd.DataFrame(
        [
            {
                "network": each.name + (" ★" if each is best else ""),
                "accuracy": f"{each.accuracy.value:.2%}",
                "95 %": "{:.1%} to {:.1%}".format(*each.accuracy.interval),
                "F1": f"{each.macro_f1:.3f}",
                "ECE": f"{each.calibration_error:.1%}",
                "parameters": f"{each.parameters:,}",
                "GFLOPs": f"{each.macs / 1e9:.3g}",
            }
            for each in told.contenders
        ]
    )


def _choose_pair(told: Comparison) -> Pair:
    titles = [f"{pair.second} beside {pair.first}" for pair in told.pairs]
    if len(titles) == 1:
        return told.pairs[0]
    if st.session_state.get(PAIR) not in (None, *titles):
        del st.session_state[PAIR]  # of the networks before these
    return told.pairs[titles.index(st.selectbox("Two of them", titles, key=PAIR, bind="query-params"))]


def _verdict(pair: Pair) -> None:
    told, (low, high) = pair.agreement, pair.agreement.interval
    first, second = widgets.escape(pair.first), widgets.escape(pair.second)
    st.subheader(f"{second} beside {first}")
    st.markdown(
        f"{second} is right {abs(told.difference):.2%} {'more' if told.difference >= 0 else 'less'} often "
        f"(95 % interval {low:+.1%} to {high:+.1%}). " + _meaning(told)
    )
    with st.container(horizontal=True, gap="medium"):
        st.metric(
            "McNemar's p", f"{told.p_value:.3g}", width="content",
            help="How likely so uneven a split of the images on which only one is right is by chance.",
        )  # fmt: skip
        st.metric(
            "Error consistency", f"{told.kappa:.2f}", width="content",
            help="Cohen's kappa of who is right: 1 for the same errors, 0 for what chance gives (Geirhos et al. 2020).",
        )  # fmt: skip
        if told.churn is not None:
            st.metric(
                "Other classes", f"{told.churn:.1%}", width="content", help="Of which they say different classes."
            )


def _meaning(told: Agreement) -> str:
    if told.p_value < 0.05:
        return "That is more than chance would have it."
    return "So small a difference is within what chance gives on as many images."


def _images(told: Comparison, pair: Pair, images: ImageSet, whole: ImageSet) -> None:
    """Images by who is right; a click selects them for all pages."""
    one, other = (next(each for each in told.contenders if each.name == name) for name in (pair.first, pair.second))
    masks = {
        "only the first": one.correct & ~other.correct, "only the second": ~one.correct & other.correct,
        "neither": ~one.correct & ~other.correct, "both": one.correct & other.correct,
    }  # fmt: skip
    titles = {
        "only the first": f"only {pair.first}", "only the second": f"only {pair.second}", "neither": "neither",
        "both": "both",
    }  # fmt: skip
    cell = st.segmented_control(
        "Right of", BY_RIGHT, default=BY_RIGHT[0], key=CELL, bind="query-params", required=True,
        format_func=lambda name: f"{titles[name]} ({int(masks[name].sum()):,})",
    )  # fmt: skip
    rows = np.flatnonzero(masks[cell or BY_RIGHT[0]])
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
    st.caption(f"Below each its label, then what {pair.first} and {pair.second} say.{shown}")


def _numbers(images: ImageSet, ids: Sequence[str]) -> np.ndarray:
    """The numbers of some images in a set, by their ids."""
    numbers = {image_id: number for number, image_id in enumerate(images.ids)}
    return np.array([numbers[image_id] for image_id in ids], np.int64)


def _slices(pair: Pair) -> None:
    st.markdown("**Where they differ**")
    if not pair.slices:
        st.caption("No group of ten images or more that a label or a column of the set tells apart.")
        return
    widgets.chart(drawn(figures.slices, pair.slices[:SLICES]), "slices")
    sure = sum(each.differs for each in pair.slices)
    st.caption(
        f"The accuracy of {widgets.escape(pair.second)} minus that of the other in the {min(SLICES, len(pair.slices))} "
        f"surest of {len(pair.slices):,} slices. Coloured: {sure or 'none'}, which chance would hardly bring about "
        "among so many (McNemar's test, Holm 1979). Intervals hold all at once 95 times of a hundred (Bonferroni)."
    )


def _similarity(pair: Pair) -> None:
    st.markdown("**How alike their stages are**")
    widgets.chart(drawn(figures.similarity, pair.similarity, pair.first, pair.second), "similarity")
    st.caption(
        "Unbiased linear CKA of pooled features (Kornblith et al. 2019; Song et al. 2012): 1 where one is the other "
        "but for rotation and scale, 0 for strangers. It does not see what a linear map of one could still tell of the "
        "other."
    )
