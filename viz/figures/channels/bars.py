"""Draws numbers of a few named things, a bar each."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from viz import theme

LONG_NAME = 22


def bars(names: Sequence[str], values: np.ndarray, title: str, said: Sequence[str] = ()) -> go.Figure:
    """One bar a name, the first on top. title: of the axis of values. said: what the pointer tells of each more."""
    texts = [theme.plain(text) for text in (said or names)]
    figure = go.Figure(
        go.Bar(
            x=values, y=np.arange(len(names)), orientation="h", hovertext=texts,
            marker_color=[theme.BLUE if value >= 0 else theme.RED for value in values],
            hovertemplate="%{hovertext}: %{x:.3g}<extra></extra>",
        )
    )  # fmt: skip
    theme.style(figure, 90 + 23 * max(2, len(names)))
    figure.layout.margin.update(l=10, t=10)
    figure.update_xaxes(title=title)
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=[theme.plain(short(name)) for name in names], automargin=True,
        range=[len(names) - 0.5, -0.5], showgrid=False, zeroline=False,
    )  # fmt: skip
    return figure


def at_both_ends(values: np.ndarray, first: int, last: int) -> np.ndarray:
    """The numbers (k,) of the largest `first` and the smallest `last` of some values, in falling order; all of few."""
    order = np.argsort(-values, kind="stable")
    return order if len(order) <= first + last else np.concatenate([order[:first], order[-last:]])


def short(name: str) -> str:
    """A name that leaves room for what stands beside it."""
    return name if len(name) <= LONG_NAME else f"{name[: LONG_NAME - 1]}…"
