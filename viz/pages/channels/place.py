"""Which layer and which of its channels the page is about; both are in its link."""

from dataclasses import dataclass

import streamlit as st

from features.channels import Channels, ChannelSweep, Evidence
from viz.cached import server
from viz.cached.channels import evidence_of, layers_of, n_channels, responses_work
from viz.picking.shown import Shown

VIEW, LAYER, CHANNEL = "channels view", "layer", "channel"  # in links
ENOUGH = 5  # images of a class in the median, for its AUROC to tell anything
ONE = "one channel"  # the view that is of one


@dataclass(frozen=True)
class Place:
    """A channel of a layer, 'stem' or a block."""

    layer: str
    channel: int


def choose_layer(shown: Shown) -> str:
    """A layer, along depth: 'stem' or a block."""
    names = layers_of(shown.model)
    if st.session_state.get(LAYER) not in (None, *names):
        del st.session_state[LAYER]  # of the network before this one
    return st.select_slider("Layer", names, value=names[-1], key=LAYER, bind="query-params")


def choose(shown: Shown) -> Place:
    """A layer and one of its channels."""
    left, right = st.columns([3, 1], gap="large", vertical_alignment="bottom")
    with left:
        layer = choose_layer(shown)
    with right:
        return Place(layer, _choose_channel(n_channels(shown.model, layer)))


def _choose_channel(count: int) -> int:
    if st.session_state.get(CHANNEL, 0) >= count:
        st.session_state[CHANNEL] = 0  # a layer below has fewer
    return int(st.number_input(f"Channel, 0 to {count - 1:,}", 0, count - 1, step=1, key=CHANNEL, bind="query-params"))


def go(layer: str, channel: int) -> None:
    """Open one channel, in a callback: before the page runs again."""
    st.session_state.update({VIEW: ONE, LAYER: layer, CHANNEL: int(channel)})


def few_images(told: Channels) -> str:
    """What must be known of AUROCs where classes have few images, as a sentence; '' where they have enough."""
    count = told.classes.median_count
    if not told.classes.names or count >= ENOUGH:
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


def known_of(
    shown: Shown, told: Channels, layer: str, class_name: str | None = None, swept: ChannelSweep | None = None
) -> Evidence:
    """All that is known of a layer's channels. swept: accuracy without each, where it was measured."""
    model, digest = shown.model, shown.images.digest
    return evidence_of(model.key, digest, layer, class_name, swept is not None, model, told, swept)
