"""Draws how far a network can be relied on: confusion, reliability, retrieval along depth, novelty of other images."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme

if TYPE_CHECKING:
    from features.evaluate import Calibration, Evaluation, Novelty, Retrieval, Scored, Separating
    from features.shares import Share
    from features.store import FeatureSet

MOST_CLASSES = 40  # of a heat map; of more, those with the most mistakes
MOST_NUMBERED = 20  # whose cells say how many images they hold
TICKS = (0.0, 0.01, 0.05, 0.2, 0.5, 1.0)
BLUES = ((0.0, "rgba(0, 114, 178, 0)"), (1.0, theme.BLUE))
DARK = 0.25  # share of a cell whose colour wants white numbers
HISTOGRAM_BINS = 40
LONG_NAME = 18


def shown_classes(confusion: np.ndarray) -> np.ndarray:
    """The classes (k,) of a confusion matrix (K, K) that its heat map shows, ascending: those that occur in it.

    Of more than MOST_CLASSES those that take part in the most mistakes.
    """
    mistakes = confusion.sum(0) + confusion.sum(1) - 2 * confusion.diagonal()
    occur = np.flatnonzero((confusion.sum(0) + confusion.sum(1)) > 0)
    first = occur[np.argsort(-mistakes[occur], kind="stable")][:MOST_CLASSES]
    return np.sort(first)


def confusion(counts: np.ndarray, support: np.ndarray, names: Sequence[str], one_each: bool) -> go.Figure:
    """Shares of each class's images (rows) that were predicted as each class (columns). A point lies on every cell.

    counts: (k, k), of the classes that are shown, support: (k,) all images of each. one_each: whether exactly one class
    is predicted of an image, so that rows add up. Points are numbered row by row.
    """
    shares = counts / np.maximum(support[:, None], 1)  # (k, k)
    titles = [theme.plain(_short(name)) for name in names]
    places = list(range(len(titles)))
    word = "predicted as" if one_each else "given"
    heat = go.Heatmap(
        x=places, y=places, z=np.sqrt(shares), zmin=0, zmax=1, colorscale=BLUES, hoverinfo="skip", xgap=1, ygap=1,
        showscale=len(titles) > MOST_NUMBERED,
        colorbar={
            "title": {"text": "share of<br>its images"}, "tickvals": np.sqrt(TICKS).tolist(), "thickness": 10,
            "ticktext": [f"{tick:.0%}" for tick in TICKS], "outlinewidth": 0, "len": 0.75, "tickfont": {"size": 11},
        },
    )  # fmt: skip
    figure = go.Figure([_cells(counts, shares, names, word), heat])
    if len(titles) <= MOST_NUMBERED:
        _number(figure, counts, shares)
    theme.style(figure, 160 + max(220, 34 * len(titles) if len(titles) <= MOST_NUMBERED else 18 * len(titles)))
    figure.layout.margin.update(l=10, r=10, t=10, b=10)
    axis = {"tickvals": places, "ticktext": titles, "showgrid": False, "zeroline": False, "automargin": True}
    figure.layout.xaxis.update(
        axis, title=word, tickangle=-45 if len(titles) > 4 else 0, range=[-0.5, len(titles) - 0.5]
    )
    figure.layout.yaxis.update(axis, title="label", range=[len(titles) - 0.5, -0.5])
    figure.layout.update(hovermode="closest", hoverdistance=-1, clickmode="event+select", dragmode=False)
    return figure


def confusion_of(evaluation: "Evaluation") -> go.Figure:
    """The same of an evaluation: of all classes that occur, or of those with the most mistakes."""
    classes = shown_classes(evaluation.confusion)
    names = [evaluation.class_names[index] for index in classes]
    support = np.array([evaluation.of_class(int(index)).sum() for index in classes])
    one_each = evaluation.predictions.assigned is None
    return confusion(evaluation.confusion[np.ix_(classes, classes)], support, names, one_each)


def _cells(counts: np.ndarray, shares: np.ndarray, names: Sequence[str], word: str) -> go.Scatter:
    """A point in every cell, unseen, since the cells of a heat map cannot be selected."""
    size = len(names)
    rows, columns = np.divmod(np.arange(size * size), size)
    hover = [
        f"label {theme.plain(names[row])}<br>{word} {theme.plain(names[column])}<br>"
        f"{counts[row, column]:,} images, {shares[row, column]:.1%} of the label"
        for row, column in zip(rows, columns, strict=True)
    ]
    unseen = {"marker": {"opacity": 0}}
    return go.Scatter(
        x=columns, y=rows, mode="markers", marker={"size": 26, "opacity": 0}, selected=unseen, unselected=unseen,
        hovertext=hover, hovertemplate="%{hovertext}<extra></extra>", showlegend=False,
    )  # fmt: skip


def _number(figure: go.Figure, counts: np.ndarray, shares: np.ndarray) -> None:
    """Write the counts (k, k) into their cells, on dark ones in white, else in the colour of all text.

    As annotations, since the text of points would fade when one is selected.
    """
    figure.layout.annotations = [
        {
            "x": column, "y": row, "text": f"{counts[row, column]:,}", "showarrow": False,
            "font": {"size": 12} | ({"color": "white"} if shares[row, column] > DARK else {}),
        }
        for row, column in zip(*np.nonzero(counts), strict=True)
    ]  # fmt: skip


def _short(name: str) -> str:
    return name if len(name) <= LONG_NAME else f"{name[: LONG_NAME - 1]}…"


def reliability(told: "Calibration", decisions: bool) -> go.Figure:
    """Accuracy beside confidence in groups of one width, over how many answers each holds.

    decisions: whether an answer is that of one label, so that confidence is its probability and accuracy how often it
    holds.
    """
    groups = told.equal_width
    width = 1 / len(groups.counts)
    middles = (np.arange(len(groups.counts)) + 0.5) * width
    known = groups.counts > 0
    figure = make_subplots(2, 1, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.06)
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dot", "color": theme.GREY}, name="as sure as right",
        hoverinfo="skip", row=1, col=1,
    )  # fmt: skip
    figure.add_bar(
        x=middles[known], y=groups.accuracy[known], width=width * 0.94, name="equal width",
        marker={"color": theme.faint(theme.BLUE), "line": {"color": theme.BLUE, "width": 1}}, row=1, col=1,
        customdata=np.stack([groups.hits[known], groups.counts[known], groups.confidence[known]], axis=1),
        hovertemplate="%{customdata[0]:,} of %{customdata[1]:,} right: %{y:.1%}<br>confidence %{customdata[2]:.1%}"
        "<extra></extra>",
    )  # fmt: skip
    mass = told.equal_mass
    figure.add_scatter(
        x=mass.confidence[mass.counts > 0], y=mass.accuracy[mass.counts > 0], mode="lines+markers", name="equal mass",
        line={"color": theme.ORANGE}, marker={"size": 7}, row=1, col=1,
        hovertemplate="confidence %{x:.1%}, right %{y:.1%}<extra>equal mass</extra>",
    )  # fmt: skip
    figure.add_bar(
        x=middles, y=groups.counts / groups.counts.sum(), width=width * 0.94, marker={"color": theme.GREY},
        showlegend=False, hovertemplate="%{y:.1%} of the answers<extra></extra>", row=2, col=1,
    )  # fmt: skip
    theme.style(figure, 460)
    figure.layout.margin.update(t=10)
    for axis in (figure.layout.xaxis2, figure.layout.yaxis2):
        axis.gridcolor = axis.zerolinecolor = theme.GRID
    figure.layout.xaxis.update(range=[0, 1])
    figure.layout.xaxis2.update(range=[0, 1], tickformat=".0%", title="probability" if decisions else "confidence")
    figure.layout.yaxis.update(range=[0, 1.02], tickformat=".0%", title="label holds" if decisions else "accuracy")
    figure.layout.yaxis2.update(tickformat=".0%", title="answers", rangemode="tozero", nticks=4)
    figure.layout.legend.update(y=-0.16)
    return figure


def reliability_of(evaluation: "Evaluation") -> go.Figure:
    """The same of an evaluation."""
    return reliability(evaluation.calibration, evaluation.predictions.assigned is not None)


def retrieval(of_stages: "Mapping[str, Retrieval]") -> go.Figure:
    """Recall at 1, 5, 10 with 95 % intervals, and the mean average precision, stage by stage."""
    stages = list(of_stages)
    figure = go.Figure()
    ranks = next(iter(of_stages.values())).recall
    for k, colour in zip(ranks, (theme.BLUE, theme.GREEN, theme.SKY), strict=False):
        shares = [each.recall[k] for each in of_stages.values()]
        figure.add_scatter(
            x=stages, y=[share.value for share in shares], name=f"recall at {k}", mode="lines+markers",
            marker={"color": colour, "size": 8}, error_y=_bars([share.value for share in shares], shares),
            hovertemplate="%{x}: %{y:.1%}<extra>recall at " + str(k) + "</extra>",
        )  # fmt: skip
    figure.add_scatter(
        x=stages, y=[each.mean_average_precision for each in of_stages.values()], name="mean average precision",
        mode="lines+markers", marker={"color": theme.ORANGE, "symbol": "diamond", "size": 9},
        hovertemplate="%{x}: %{y:.1%}<extra>mean average precision</extra>",
    )  # fmt: skip
    theme.style(figure, 380)
    figure.layout.yaxis.update(title="share of queries, precision", range=[0, 1.03], tickformat=".0%")
    return figure


def retrieval_of(_features: "FeatureSet", of_stages: "Mapping[str, Retrieval]") -> go.Figure:
    """The same, beside the features that it is of."""
    return retrieval(of_stages)


def _bars(values: Sequence[float], shares: "Sequence[Share | Separating]") -> dict[str, Any]:
    """Error bars from values to the ends of their intervals."""
    ends = [share.interval for share in shares]
    return {
        "type": "data", "symmetric": False, "thickness": 1.5, "width": 3,
        "array": [high - value for value, (_, high) in zip(values, ends, strict=True)],
        "arrayminus": [value - low for value, (low, _) in zip(values, ends, strict=True)],
    }  # fmt: skip


def areas(told: "Novelty", titles: Mapping[str, str]) -> go.Figure:
    """The area below the ROC curve of every score with its 95 % interval, stage by stage; at 'logits' those of outputs.

    titles: of the scores, by name.
    """
    figure = go.Figure()
    stages = [*dict.fromkeys(each.stage for each in told.scored if each.stage), "logits"]
    symbols = dict(zip(titles, (*theme.SYMBOLS, *theme.SYMBOLS), strict=False))
    for number, (name, title) in enumerate(titles.items()):
        scored = list(told.of(name))
        values = [each.separating.auroc for each in scored]
        figure.add_scatter(
            x=[each.stage or "logits" for each in scored], y=values, name=title, mode="lines+markers",
            marker={"color": theme.category_colour(number), "symbol": symbols[name], "size": 9},
            error_y=_bars(values, [each.separating for each in scored]),
            hovertemplate="%{x}: AUROC %{y:.3f}<extra>" + title + "</extra>",
        )  # fmt: skip
    figure.add_hline(0.5, line={"dash": "dot", "color": theme.GREY})
    theme.style(figure, 380)
    figure.layout.xaxis.update(categoryorder="array", categoryarray=stages)
    low = min((each.separating.interval[0] for each in told.scored), default=0.5)
    figure.layout.yaxis.update(title="AUROC", range=[max(0, min(0.45, low - 0.03)), 1.02])
    return figure


def histogram(scored: "Scored", title: str, known: str, others: str) -> go.Figure:
    """How a score is distributed over both sets, and the threshold that keeps 95 % of the known images."""
    both = np.concatenate([scored.known, scored.others])
    low, high = np.quantile(both, [0.002, 0.998])  # a single far image would leave one bar
    edges = np.linspace(low, high if high > low else low + 1, HISTOGRAM_BINS + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    figure = go.Figure()
    for values, name, colour in ((scored.known, known, theme.BLUE), (scored.others, others, theme.ORANGE)):
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        figure.add_bar(
            x=middles, y=counts / len(values), name=theme.plain(name), marker={"color": colour}, opacity=0.6,
            width=edges[1] - edges[0],
            hovertemplate="%{x:.4g}: %{y:.1%}<extra>" + theme.plain(name) + "</extra>",
        )  # fmt: skip
    threshold = scored.separating.threshold
    if edges[0] <= threshold <= edges[-1]:
        figure.add_vline(
            threshold, line={"dash": "dash", "color": theme.GREY}, annotation_text="95 % of the known",
            annotation_position="top",
        )  # fmt: skip
    theme.style(figure, 330)
    figure.layout.update(barmode="overlay", bargap=0)
    figure.layout.margin.update(t=36)
    where = f" at {scored.stage}" if scored.stage else ""
    figure.layout.xaxis.update(title=f"{title}{where}, higher is more novel")
    figure.layout.yaxis.update(title="share of the set", tickformat=".0%")
    return figure
