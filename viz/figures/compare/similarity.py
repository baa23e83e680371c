"""Draws how alike the layers of two networks are, and what is left of one that is stitched to the other."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from viz import theme

if TYPE_CHECKING:
    from features.compare import Stitching
    from features.similarity import Similarity

HEAT = ((0.0, "rgba(0, 114, 178, 0)"), (1.0, theme.BLUE))
DARK = 0.6  # of a cell's share of the scale, above which it wants white numbers
MOST_NUMBERED = 10  # layers of which each cell says its number
LABELLED = 26  # layers that an axis names


def similarity(
    told: "Similarity", first: str, second: str, relative: bool = False, farthest: float | None = None
) -> go.Figure:
    """Every layer of the first network (rows) beside every layer of the second, in the order of depth.

    relative: whether axes are relative depth, for networks of different lengths. farthest: the largest value of a
    distance, of which 0 is the most alike; None of a measure in which 1 is. Colours are clipped to the scale, numbers
    never: unbiased values may lie below 0.
    """
    shares = np.clip(told.values if farthest is None else 1 - told.values / farthest, 0, 1)  # darker, the more alike
    columns, rows = (list(names) for names in (told.columns, told.rows))
    if relative:
        columns, rows = (depths.tolist() for depths in (told.column_depths, told.row_depths))
    ticks = [0, 0.25, 0.5, 0.75, 1]
    figure = go.Figure(
        go.Heatmap(
            z=shares, x=columns, y=rows, zmin=0, zmax=1, colorscale=HEAT,
            hovertext=_texts(told), hovertemplate="%{hovertext}<extra></extra>", xgap=1, ygap=1,
            colorbar={
                "thickness": 10, "outlinewidth": 0, "len": 0.8, "tickvals": ticks,
                "ticktext": [f"{tick if farthest is None else farthest * (1 - tick):g}" for tick in ticks],
            },
        )
    )  # fmt: skip
    if max(told.values.shape) <= MOST_NUMBERED and not relative:
        figure.layout.annotations = [
            {
                "x": column, "y": row, "text": f"{told.values[row, column]:.2f}", "showarrow": False,
                "font": {"size": 12} | ({"color": "white"} if shares[row, column] > DARK else {}),
            }
            for row in range(len(rows))
            for column in range(len(columns))
        ]  # fmt: skip
    theme.style(figure, min(760, 150 + max(16, 44 - len(rows)) * len(rows)))
    for axis, name, layers in ((figure.layout.xaxis, second, columns), (figure.layout.yaxis, first, rows)):
        axis.update(title=theme.plain(name) + (", relative depth" if relative else ""), showgrid=False, automargin=True)
        if not relative:
            axis.update(type="category", dtick=-(-len(layers) // LABELLED))
    figure.layout.yaxis.autorange = "reversed"
    return figure


def _texts(told: "Similarity") -> list[list[str]]:
    """What each cell says when it is pointed at."""

    def cell(row: int, column: int) -> str:
        low, high, chance = (float(values[row, column]) for values in (told.low, told.high, told.chance))
        interval = f" (95 % {low:.3f} to {high:.3f})" if low == low else ""
        beside = f", by chance {chance:.3f}" if chance == chance else ""
        return f"{told.rows[row]} and {told.columns[column]}<br>{told.values[row, column]:.3f}{interval}{beside}"

    return [[cell(row, column) for column in range(len(told.columns))] for row in range(len(told.rows))]


def stitching(told: "Stitching") -> go.Figure:
    """Accuracy with the other's stage in place of its own, stage by stage in both directions, beside its intact one."""
    figure = go.Figure()
    for number, receiver in enumerate(reversed(told.names)):
        joints = [joint for joint in told.joints if joint.receiver == receiver]
        if not joints:
            continue
        colour, name = theme.category_colour(1 - number), theme.plain(receiver)
        places = [f"{joint.stage} → {joint.into}" if joint.stage != joint.into else joint.stage for joint in joints]
        shares = [joint.accuracy for joint in joints]
        figure.add_scatter(
            x=places, y=[share.value for share in shares], mode="lines+markers", name=f"{name} goes on",
            line={"color": colour}, marker={"size": 9, "symbol": ["circle-open" if joint.is_lower_bound else "circle"
                                                                 for joint in joints]},
            error_y={"type": "data", "array": [share.interval[1] - share.value for share in shares],
                     "arrayminus": [share.value - share.interval[0] for share in shares], "thickness": 1.2,
                     "width": 4, "color": colour},
            customdata=[[joint.explained, joint.change.n_images, joint.n_positions] for joint in joints],
            hovertemplate=f"{name} goes on after %{{x}}: %{{y:.1%}} of %{{customdata[1]:,}} images<br>"
            "%{customdata[0]:.1%} of the variance explained, fitted to %{customdata[2]:,} positions<extra></extra>",
        )  # fmt: skip
        figure.add_scatter(
            x=places, y=[joint.intact.value for joint in joints], mode="lines", name=f"{name} intact",
            line={"color": colour, "dash": "dot", "width": 1.2},
            hovertemplate=f"{name} intact: %{{y:.1%}}<extra></extra>",
        )  # fmt: skip
    theme.style(figure, 380)
    figure.layout.yaxis.update(title="accuracy", tickformat=".0%", rangemode="tozero")
    figure.layout.xaxis.update(title="the other's stage in place of its own", type="category")
    return figure
