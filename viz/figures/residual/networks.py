"""Draws the blocks of several networks side by side."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from features.residual import BlockStatistics, blocks
from viz import theme

COLUMNS = {
    "ratio_median": "|F| / |x|, median",
    "cosine_median": "cos(F, x), median",
    "branch_share": "branch's share of the variance",
    "sparsity": "zeros in the output",
    "cka": "CKA of input and output",
    "class_mean_accuracy": "accuracy of the nearest class mean",
    "effective_rank": "effective rank",
    "kurtosis": "kurtosis of channel sizes",
}  # of `residual.blocks`, for comparisons: what each is called on an axis


def compare(networks: Mapping[str, BlockStatistics], column: str) -> go.Figure:
    """A number of every block of several networks along relative depth, 0 for the first block and 1 for the last.

    column: a column of `residual.blocks`.
    """
    figure = go.Figure()
    for number, (name, statistics) in enumerate(networks.items()):
        table = blocks(statistics)
        figure.add_scatter(
            x=np.linspace(0, 1, len(table)), y=table[column], name=theme.plain(name), mode="lines+markers",
            line={"color": theme.category_colour(number)},
            marker={"symbol": theme.SYMBOLS[number % len(theme.SYMBOLS)], "size": 8},
            text=table["block"], hovertemplate="%{text}: %{y:.3g}<extra>" + theme.plain(name) + "</extra>",
        )  # fmt: skip
    theme.style(figure, 420)
    figure.update_xaxes(title="relative depth", range=[-0.03, 1.03])
    figure.update_yaxes(title=COLUMNS[column])
    return figure
