"""What a channel does to the rest of the network: who reads it, what it adds to logits, what is lost without it."""

import numpy as np
import streamlit as st

from features import channels
from features.channels import ChannelLesion, Contributions, Evidence
from features.errors import FeatureError
from viz import sidebar, widgets
from viz.cached.channels import layers_of, sweep_work
from viz.cached.extract import features_work
from viz.cached.made import drawn, made
from viz.figures import channels as figures
from viz.pages.channels.place import Place, go
from viz.picking.shown import Shown

SHOWN, FIRST, LAST = 12, 8, 4


def passed_on(shown: Shown, known: Evidence, place: Place) -> None:
    """Who reads it: channels of the next block, or of the last layer the classifier."""
    last = layers_of(shown.model)[-1]
    if place.layer == last:
        st.subheader("What it adds to the logits")
        try:
            _logits(shown, known, place)
        except FeatureError as error:  # of the network, which all else can be told of
            st.caption(widgets.told(str(error)))
        return
    st.subheader("Which channels read it")
    _readers(known, place)
    st.caption(
        f"What a channel adds to the logits is exact only of the last layer, {last}: what lies between {place.layer} "
        "and the classifier is not linear. What is lost without this channel can be measured."
    )


def _readers(known: Evidence, place: Place) -> None:
    """Which channels of the next block read it, and where its shortcut hands it on to."""
    read = known.readers
    if read is None:
        st.caption("The next block has no convolution that reads it.")
        return
    _next(read, place)
    numbers, strengths = read.of(place.channel, SHOWN)
    if len(numbers):
        names = [f"channel {number}" for number in numbers.tolist()]
        widgets.chart(drawn(figures.bars, tuple(names), strengths, "norm of the weights"), "readers of a channel")
        rank = 1 + int((read.strengths > read.strengths[place.channel]).sum())
        st.caption(
            f"The channels of the first convolution of {read.block}'s branch that read it most strongly: the Euclidean "
            "norm over positions of their weights, the norm behind them folded in. By all weights that read it, "
            f"it is number {rank:,} of {len(read.strengths):,}."
        )


def _next(read: channels.Readers, place: Place) -> None:
    """Buttons to the channels of the next block's output that the shortcut hands it on to."""
    passed = int(read.passed[place.channel])
    targets = [passed] if passed >= 0 else []
    words = f"{read.block} hands it on, by its shortcut, as"
    if read.projection is not None and len(read.projection):
        targets = np.argsort(-read.projection[:, place.channel], kind="stable")[:FIRST].tolist()
        words = f"The projection of {read.block}'s shortcut reads it most for"
    if not targets:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(words, width="content")
        for target in targets:
            st.button(
                f"channel {target}", key=f"go to {read.block} {target}", icon=":material/arrow_forward:",
                type="tertiary", on_click=go, args=(read.block, target),
            )  # fmt: skip


def _logits(shown: Shown, known: Evidence, place: Place) -> None:
    """What it adds to every class's logit, exactly."""
    made_of = known.contributions or _of_pool(shown)
    if made_of is None:
        return
    values = made_of.values[:, place.channel]  # (K,)
    order = figures.at_both_ends(values, FIRST, LAST)
    ranks = 1 + (made_of.values[order] > values[order, None]).sum(1)
    names = [made_of.class_names[index] for index in order]
    said = [
        f"{name}: number {rank:,} of its {made_of.values.shape[1]:,} channels"
        for name, rank in zip(names, ranks.tolist(), strict=True)
    ]
    widgets.chart(drawn(figures.bars, tuple(names), values[order], "added to the logit", tuple(said)), "logits of it")
    pooled = "Its mean over positions" if known.contributions else "What the head pools of it"
    some = f" The {FIRST} highest and {LAST} lowest of {len(values):,} classes." if len(order) < len(values) else ""
    st.caption(
        f"{pooled} times the classifier's weight, as the mean over the images: with the biases, the sums "
        f"over all channels are the mean logits, exactly.{some}"
    )
    widgets.downloads(made(Contributions.table, made_of), f"logits-{shown.model.spec.name}")


def _of_pool(shown: Shown) -> Contributions | None:
    """By what the head pools, where that is not the means of the channels."""
    shown.model.need_classifier()
    features = widgets.arriving(features_work(shown.model, shown.images), f"Reading {len(shown.images):,} images")
    return None if features is None else made(channels.contributions, shown.model, features.stages["pool"])


def lesion(shown: Shown, place: Place) -> None:
    """Accuracy without it, when somebody asks for it, and the network without it for all pages."""
    st.subheader("Without it")
    if shown.model.network.classifier is None:
        st.caption(f"{widgets.escape(shown.model.spec.name)} has no classifier, so nothing is predicted without it.")
        return
    work = sweep_work(shown.model, shown.images, place.layer, (place.channel,))
    what = f"Predicting {len(shown.images):,} images without it"
    if widgets.start(work, "Measure what is lost without it"):
        swept = widgets.arriving(work, what)
        if swept is not None:
            _lost(swept)
    text = str(ChannelLesion(place.layer, (place.channel,)))
    st.button(
        "Have all pages show the network without it", icon=":material/content_cut:", type="tertiary",
        on_click=sidebar.take_lesion, args=(text,), disabled=bool(sidebar.lesion()),
        help=f"Writes {text} into the field Lesion of the sidebar, where it can be taken out again.",
    )  # fmt: skip


def _lost(swept: channels.ChannelSweep) -> None:
    with st.container(horizontal=True, gap="medium"):
        if swept.judged:
            lost = 100 * (swept.accuracy[0] - swept.intact_accuracy)
            st.metric("Accuracy with it", f"{swept.intact_accuracy:.2%}", width="content")
            st.metric("Accuracy without it", f"{swept.accuracy[0]:.2%}", f"{lost:+.2f} points", width="content")
            change = swept.true_probability[0] - swept.intact_true_probability
            st.metric(
                "Probability of the label", f"{swept.true_probability[0]:.2%}", f"{100 * change:+.2f} points",
                width="content", help="Its mean over images, without the channel.",
            )  # fmt: skip
        st.metric("Same prediction", f"{swept.agreement[0]:.2%}", width="content", help="Share of images.")
    st.caption(
        "The channel is set to 0 at every position, and all that lies above it is computed anew."
        + ("" if swept.judged else " The labels are not the network's classes, so there is no accuracy.")
    )
