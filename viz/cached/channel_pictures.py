"""Maps of one picture, filters, and pictures that channels are given by activation maximisation."""

from dataclasses import asdict

import numpy as np
import streamlit as st
from PIL import Image

from features import channels, rasters
from features.channels import Ascent, FeatureMaps, Filters, Kernels, Logit
from features.channels.sheets import filter_sheet, map_sheet
from features.networks import zoo
from viz.cached.channels import layers_of
from viz.cached.elsewhere import placed
from viz.cached.estimates import queue_of
from viz.jobs import Work

SHEET_COLUMNS = 16
PASSES = 3  # of a step: the gradient takes twice what the answer does


@st.cache_resource(max_entries=32, show_spinner="Looking at the image")
def feature_maps_of(
    model_key: str, digest: str, layer: str, part: str, logit: Logit | None, _model: zoo.Model, _picture: Image.Image
) -> FeatureMaps:
    """What every channel of a layer makes of a picture. digest: the picture's."""
    return channels.feature_maps(_model, _picture, layer, part, logit)


@st.cache_resource(max_entries=8, show_spinner=False)
def filters_of(model_key: str, _model: zoo.Model) -> Filters:
    """The kernels of the first convolution."""
    return channels.filters(_model)


@st.cache_resource(max_entries=32, show_spinner=False)
def kernels_of(model_key: str, layer: str, convolution: int, channel: int, _model: zoo.Model) -> Kernels:
    """How a channel of any convolution reads its strongest input planes."""
    return channels.kernels(_model, layer, convolution, channel)


def maps_on_a_sheet(values: np.ndarray, colours: str, limit: float | None) -> bytes:
    """Maps (R, h, w) on a sheet of SHEET_COLUMNS, a JPEG."""
    return rasters.jpeg(map_sheet(values, colours, limit, SHEET_COLUMNS), 90)


def filters_on_a_sheet(filters: Filters, order: str) -> bytes:
    """All filters in an order, or all planes of each, on a sheet of SHEET_COLUMNS, a PNG."""
    return rasters.png(filter_sheet(filters, filters.order(order).tolist(), SHEET_COLUMNS))


def kernels_on_a_sheet(kernels: Kernels) -> bytes:
    """Its planes on a sheet of SHEET_COLUMNS, a PNG."""
    return rasters.png(rasters.mosaic([rasters.magnify(each, 63) for each in kernels.pictures()], SHEET_COLUMNS))


def maximisation_work(model: zoo.Model, layer: str, channel: int, ascent: Ascent) -> Work:
    """A picture that a channel answers to."""
    depth = (1 + layers_of(model).index(layer)) / len(layers_of(model))  # what lies above is not computed
    settings = asdict(ascent)
    work = Work(
        f"maximise {model.key} {layer} {channel} {sorted(settings.items())}",
        lambda: channels.maximise(model, layer, channel, ascent),
        queue_of(model, (None,), passes=PASSES * ascent.steps * depth),
    )
    return placed(work, "maximise", model=model, layer=layer, channel=channel, settings=settings)
