"""One channel: what excites it, what it tells apart, who reads it, and what is lost without it."""

import streamlit as st

from features.channels import RANKINGS, Channels, Evidence, Layer, Selectivity
from features.channels.results import QUANTILES
from viz import widgets
from viz.cached.made import drawn, made
from viz.figures import channels as figures
from viz.pages.channels import effects, excitation
from viz.pages.channels.place import Place, choose, few_images, known_of
from viz.picking.shown import Shown

RANKED = ("mean", "highest", "auroc", "read")  # of whose orders a channel's place is told


def show(shown: Shown, told: Channels) -> None:
    """Everything that is known of a channel, each with a sentence on how to read it."""
    place = choose(shown)
    known = known_of(shown, told, place.layer)
    _headline(told, known, place)
    excitation.show(shown, told, place)
    left, right = st.columns(2, gap="large")
    with left:
        _classes(shown, told, place)
    with right:
        _responses(told, place)
    left, right = st.columns(2, gap="large")
    with left:
        effects.passed_on(shown, known, place)
    with right:
        effects.lesion(shown, place)


def _headline(told: Channels, known: Evidence, place: Place) -> None:
    layer, channel = told.layer(place.layer), place.channel
    with st.container(horizontal=True, gap="medium"):
        st.metric("Mean", f"{layer.mean[channel]:.3g}", width="content", help="Over images and positions.")
        st.metric("Highest", f"{layer.highest[channel]:.3g}", width="content", help="At any position of any image.")
        st.metric(
            "Silent", f"{layer.silent[channel]:.1%}", width="content",
            help="Share of images without a position above 0.",
        )  # fmt: skip
        if told.classes.names and not few_images(told):
            best = told.selectivity(place.layer).best()
            value = best["auroc"][channel]
            if best["best_class"][channel]:
                st.metric(
                    f"AUROC for {widgets.escape(best['best_class'][channel])}", f"{value:.3f}", width="content",
                    help="How often an image of the class has the larger mean of two, one of the class and one of the "
                    "rest: the class with the highest.",
                )  # fmt: skip
    count = layer.n_channels
    places = [
        f"{RANKINGS.need(name).title} number {RANKINGS.need(name).of(known).rank_of(channel):,}"
        for name in RANKED
        if not RANKINGS.need(name).missing(known) and not (name == "auroc" and few_images(told))
    ]
    height, width = layer.shape[1:]
    st.caption(
        f"A map of {height} × {width} positions an image. Among the {count:,} channels of {place.layer} by "
        f"{', by '.join(places)}."
    )


def _classes(shown: Shown, told: Channels, place: Place) -> None:
    st.subheader("What it tells apart")
    if not told.classes.names:
        st.caption("The images have no labels, so nothing says which classes it tells apart. A labelled set does.")
        return
    selective = told.selectivity(place.layer)
    figure = drawn(figures.selective, selective, place.channel, tuple(told.classes.counts.tolist()))
    widgets.chart(figure, "classes of a channel")
    kinds = "labels" if shown.images.label_sets is not None else "classes"
    st.caption(
        f"Left, by how much the channel's mean over positions is higher on images of a class than on all others, with "
        f"95 % intervals (Welch's t; filled where 0 lies outside). Right, AUROC: 0.5 tells nothing, 1 tells the class "
        f"from the rest without a mistake. {few_images(told)} {_shown_of(len(selective.names), kinds)}"
    )
    table = made(Selectivity.table, selective, place.channel, told.classes)
    with st.popover("All of them", icon=":material/table:"):
        st.dataframe(table, hide_index=True)
        widgets.downloads(table, f"classes-{place.layer}-{place.channel}-{shown.model.spec.name}")


def _shown_of(count: int, kinds: str) -> str:
    first, last = figures.FIRST, figures.LAST
    return f"The {first} highest and {last} lowest of {count:,} {kinds}." if count > first + last else ""


def _responses(told: Channels, place: Place) -> None:
    st.subheader("How strongly images excite it")
    layer = told.layer(place.layer)
    counts, edges = layer.histogram(place.channel)
    values = made(_quantiles, layer, place.channel)
    widgets.chart(drawn(figures.histogram, counts, edges, values), "responses of a channel")
    near = "" if told.is_exact else f" Quantiles are exact to {told.rank_error:.1%} of the images, in 95 % of draws."
    st.caption(
        f"An image's maximum over the positions of its map; dotted lines are quantiles over images. "
        f"{layer.silent[place.channel]:.1%} of them have no position above 0: on these it is silent.{near}"
    )


def _quantiles(layer: Layer, channel: int) -> dict[str, float]:
    return {f"{share:.0%}": float(value) for share, value in zip(QUANTILES, layer.quantiles()[:, channel], strict=True)}
