"""Draws small pictures side by side: patches that excite channels, and filters."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from PIL import Image
from plotly.subplots import make_subplots

from features import rasters
from viz import theme

if TYPE_CHECKING:
    from features.channels import Channels, Filters

COLUMNS, SIDE = 8, 96  # pictures in a row; pixels of each


def pictures(shown: Mapping[str, np.ndarray]) -> go.Figure | None:
    """Pictures (h, w, 3) uint8 cut to squares, each under its name; None for none."""
    if not shown:
        return None
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    names = [theme.plain(name) for name in shown]
    figure = make_subplots(rows, columns, subplot_titles=names, horizontal_spacing=0.01, vertical_spacing=0.2 / rows)
    for at, picture in enumerate(shown.values()):
        square = np.asarray(rasters.square(Image.fromarray(picture), SIDE))
        figure.add_image(
            source=rasters.data_uri(rasters.png(square)), row=at // columns + 1, col=at % columns + 1, hoverinfo="skip"
        )
    figure.update_annotations(font_size=11)
    return _bare(figure, rows * (SIDE + 40) + 30)


def pictures_of(_told: "Channels", shown: Mapping[str, np.ndarray]) -> go.Figure | None:
    """The same of several channels, beside what was measured."""
    return pictures(shown)


def patches_of(_told: "Channels", _channel: tuple[str, int], shown: Mapping[str, np.ndarray]) -> go.Figure | None:
    """The same of one channel, beside what was measured and which it is."""
    return pictures(shown)


def filters_of(_filters: "Filters", sheet: np.ndarray) -> go.Figure:
    """A sheet (H, W, 3) uint8 of the filters of the first layer, beside these."""
    figure = go.Figure()
    figure.add_image(source=rasters.data_uri(rasters.png(sheet)), hoverinfo="skip")
    return _bare(figure, min(sheet.shape[0], 720) + 20)


def _bare(figure: go.Figure, height: int) -> go.Figure:
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure.update_layout(height=height, margin={"l": 0, "r": 0, "t": 30 if height > 60 else 10, "b": 0})
