"""Channels of the chosen network, one after another or all of a layer, in views."""

from collections.abc import Callable

import streamlit as st

from features.channels import Channels
from viz import widgets
from viz.cached.channels import responses_work
from viz.pages.channels import apart, depth, first_filters, networks, one, one_image, ranking, sought
from viz.pages.channels.place import IMAGE, ONE, VIEW
from viz.picking.shown import Shown

OF_CHANNELS: dict[str, Callable[[Shown, Channels], None]] = {  # of what was measured of a set
    "ranking": ranking.show,
    ONE: one.show,
    "along depth": depth.show,
}
OF_NETWORK: dict[str, Callable[[Shown], None]] = {  # for which nothing need have been measured
    IMAGE: one_image.show,
    "filters": first_filters.show,
    "activation maximisation": sought.show,
    "selection": apart.show,
    "networks": networks.show,
}
VIEWS = (*OF_CHANNELS, *OF_NETWORK)


def render() -> None:
    """What every channel answers to: all of a layer, a single one, and what each is good for."""
    st.title("What a channel sees")
    with widgets.show_errors():
        shown = Shown.of_sidebar()
        view = st.segmented_control(
            "Look at", VIEWS, default=VIEWS[0], key=VIEW, bind="query-params", required=True, wrap=True
        )
        with widgets.show_errors():  # of a view alone
            if view in OF_NETWORK:
                OF_NETWORK[view](shown)
            else:
                OF_CHANNELS[view or VIEWS[0]](shown, _measured(shown))
        widgets.camera()


def _measured(shown: Shown) -> Channels:
    """What all channels answered to the images; the page waits for it here."""
    name, images = widgets.escape(shown.model.spec.name), shown.images
    told: Channels = widgets.awaited(
        responses_work(shown.model, images), f"Measuring channels on {len(images):,} images"
    )
    n_channels = sum(layer.n_channels for layer in told.layers)
    sampled = "" if told.is_exact else f" Quantiles and AUROC are of {len(told.sample_rows):,} images drawn of them."
    st.markdown(
        f"The {n_channels:,} channels of **{name}** on **{told.n_images:,}** images of {widgets.escape(images.name)}."
        f"{sampled}"
    )
    widgets.rejected(told.rejected)
    return told
