"""Which layer and which of its channels the page is about; both are in its link."""

from dataclasses import dataclass

import streamlit as st

from features.channels import Channels, ChannelSweep, Evidence
from viz import widgets
from viz.cached import server
from viz.cached.channels import evidence_of, layers_of, n_channels, responses_work
from viz.picking import held
from viz.picking.shown import Shown

VIEW, LAYER, CHANNEL = "channels view", "layer", "channel"  # in links
ONE, IMAGE = "one channel", "one image"  # views that others lead to


@dataclass(frozen=True)
class Place:
    """A channel of a layer, 'stem' or a block."""

    layer: str
    channel: int


def choose_layer(shown: Shown) -> str:
    """A layer, along depth: 'stem' or a block."""
    names = layers_of(shown.model)
    held.prepare(LAYER, held.among(names), names[-1])
    layer = st.select_slider("Layer", names, key=LAYER)
    held.hold(LAYER, layer)
    return layer


def choose(shown: Shown) -> Place:
    """A layer and one of its channels."""
    left, right = st.columns([3, 1], gap="large", vertical_alignment="bottom")
    with left:
        layer = choose_layer(shown)
    with right:
        return Place(layer, choose_channel(n_channels(shown.model, layer)))


def choose_channel(count: int, default: int = 0) -> int:
    """One of a layer's channels, by its number. default: the one that nobody chose."""
    held.prepare(CHANNEL, held.below(count), default)  # a layer below has fewer
    channel = int(st.number_input(f"Channel, 0 to {count - 1:,}", 0, count - 1, step=1, key=CHANNEL))
    held.hold(CHANNEL, channel)
    return channel


def go(layer: str, channel: int) -> None:
    """Open one channel, in a callback: before the page runs again."""
    st.session_state.update({VIEW: ONE, LAYER: layer, CHANNEL: int(channel)})


def few_images(told: Channels) -> str:
    """What must be known of AUROCs where classes have few images, as a sentence; '' where they have enough."""
    count = told.classes.median_count
    if not told.classes.names or told.classes.are_enough:
        return ""
    images = "1 image" if count == 1 else f"{count:g} images"
    return f"Classes have {images} in the median: the best AUROC of so many classes is near 1 by chance alone."


def measured_of(shown: Shown) -> Channels | None:
    """What all channels answered to the images, where it was measured before."""
    work = responses_work(shown.model, shown.images)
    if not server.jobs().has_result(work):
        return None
    run = server.ask(work).run
    return run.result if run is not None and run.error is None else None


def measured_when_asked(shown: Shown) -> Channels | None:
    """As `measured_of`; where it was not, a button asks for it, and the page goes on below."""
    told = measured_of(shown)
    if told is None:
        work, count = responses_work(shown.model, shown.images), len(shown.images)
        if widgets.start(work, "Measure what channels answer to the set"):
            told = widgets.arriving(work, f"Measuring channels on {count:,} images")
    return told


def known_of(
    shown: Shown, told: Channels, layer: str, class_name: str | None = None, swept: ChannelSweep | None = None
) -> Evidence:
    """All that is known of a layer's channels. swept: accuracy without each, where it was measured."""
    model, digest = shown.model, shown.images.digest
    return evidence_of(model.key, digest, layer, class_name, swept is not None, model, told, swept)
