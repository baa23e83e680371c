"""Draws what a network is made of."""

import re

import plotly.graph_objects as go

from features.anatomy import Anatomy, Part
from viz import theme

BOX = 0.78
ROOMY = 6


def network(anatomy: Anatomy) -> go.Figure:
    """One row per stage: a box per block, with its shortcut as an arch above it, and the shape at the
    row's end.
    """
    rows = _rows(anatomy)
    widest = max(len(parts) for _, parts in rows)
    figure = go.Figure()
    for number, (name, parts) in enumerate(rows):
        y = -1.5 * number
        figure.add_annotation(x=-0.62, y=y, text=f"<b>{name}</b>", showarrow=False, xanchor="right", font={"size": 14})
        figure.add_annotation(
            x=len(parts) - 0.4,
            y=y,
            text=theme.shape(parts[-1].outputs),
            showarrow=False,
            xanchor="left",
            font={"size": 13},
        )
        for index, part in enumerate(parts):
            _box(figure, part, index, y)
            if widest <= ROOMY:
                figure.add_annotation(x=index, y=y, text=_inside(part), showarrow=False, font={"size": 13})
    for kind in dict.fromkeys(part.shortcut for part in anatomy.parts if part.shortcut):
        figure.add_scatter(
            x=[None], y=[None], mode="lines", name=f"{kind} shortcut" if kind != "none" else "no shortcut",
            line={"color": theme.SHORTCUT_COLOURS[kind], "width": 3},
        )  # fmt: skip
    theme.style(figure, 90 + 84 * len(rows))
    figure.update_xaxes(visible=False, range=[-0.8 - 0.1 * widest, widest - 0.3 + 0.13 * widest], fixedrange=True)
    figure.update_yaxes(visible=False, range=[-1.5 * len(rows) + 0.8, 0.9], fixedrange=True)
    figure.update_layout(legend={"y": -0.02, "x": 0}, margin={"l": 10, "r": 10, "t": 10, "b": 10})
    return figure


def _inside(part: Part) -> str:
    """The convolutions of a part in few words."""
    words = [
        _signs(layer.removeprefix("conv ").split(", stride")[0]) for layer in part.layers if layer.startswith("conv")
    ]
    return "<br>".join(words) or "pool, fully connected"


def _rows(anatomy: Anatomy) -> list[tuple[str, list[Part]]]:
    rows: dict[str, list[Part]] = {}
    for part in anatomy.parts:
        rows.setdefault(part.stage or part.name, []).append(part)
    return list(rows.items())


def _box(figure: go.Figure, part: Part, x: float, y: float) -> None:
    colour = theme.SHORTCUT_COLOURS.get(part.shortcut, theme.GREY)
    left, right = x - BOX / 2, x + BOX / 2
    figure.add_shape(
        type="rect", x0=left, x1=right, y0=y - 0.36, y1=y + 0.36, line={"color": colour, "width": 1.5},
        fillcolor=colour, opacity=0.22, layer="below",
    )  # fmt: skip
    if part.shortcut and part.shortcut != "none":
        figure.add_shape(
            type="path",
            path=f"M {left - 0.08} {y} C {left - 0.05} {y + 0.95}, {right + 0.05} {y + 0.95}, {right + 0.08} {y}",
            line={"color": colour, "width": 2.5},
        )
    field = f"<br>sees {part.receptive_field} px, every {part.stride} px" if part.receptive_field else ""
    shortcut = f"<br>shortcut: {part.shortcut}" if part.shortcut else ""
    figure.add_scatter(
        x=[x], y=[y], mode="markers", marker={"size": 26, "opacity": 0}, showlegend=False,
        hovertemplate=f"<b>{part.name}</b><br>{theme.shape(part.inputs)} to {theme.shape(part.outputs)}<br>"
        + "<br>".join(map(_signs, part.layers))
        + f"{shortcut}<br>{theme.count(part.parameters)} parameters, {theme.count(part.macs)} multiply-adds{field}"
        + "<extra></extra>",
    )  # fmt: skip


def block(part: Part) -> go.Figure:
    """Inside one block: the branch's layers in a line, the shortcut above them, and where the two meet."""
    figure = go.Figure()
    steps = ["x", *(_wrap(layer) for layer in part.layers), "<b>+</b>", "ReLU"]
    colour = theme.SHORTCUT_COLOURS[part.shortcut]
    plus = len(steps) - 2
    for index, text in enumerate(steps):
        small = text in ("x", "<b>+</b>")
        half = 0.2 if small else 0.42
        figure.add_shape(
            type="circle" if small else "rect", x0=index - half, x1=index + half, y0=-0.32, y1=0.32,
            line={"color": theme.GREY, "width": 1.2}, fillcolor=theme.GREY, opacity=0.2, layer="below",
        )  # fmt: skip
        figure.add_annotation(x=index, y=0, text=text, showarrow=False, font={"size": 12})
        if index:
            _arrow(figure, index - 1 + (0.2 if index == 1 or index == plus + 1 else 0.42), index - half)
    if part.shortcut != "none":
        figure.add_shape(
            type="path", path=f"M 0 0.32 C 0 1.35, {plus} 1.35, {plus} 0.36", line={"color": colour, "width": 3}
        )
        label = {
            "identity": "identity: x itself",
            "projection": "projection: 1×1 convolution and batch norm",
            "padding": "padding: every second pixel, new channels zero",
        }[part.shortcut]
        figure.add_annotation(x=plus / 2, y=1.28, text=f"shortcut, {label}", showarrow=False, font={"size": 13})
    figure.add_annotation(x=plus / 2, y=-0.62, text="branch F(x)", showarrow=False, font={"size": 13})
    theme.style(figure, 210)
    figure.update_xaxes(visible=False, range=[-0.6, len(steps) - 0.3], fixedrange=True)
    figure.update_yaxes(visible=False, range=[-0.9, 1.6], fixedrange=True)
    figure.update_layout(margin={"l": 5, "r": 5, "t": 5, "b": 5})
    return figure


def _wrap(layer: str) -> str:
    return _signs(layer).replace(", ", "<br>").replace(" norm", "<br>norm")


def _signs(layer: str) -> str:
    """'conv 3x3, 16->32' with real signs."""
    return re.sub(r"(\d)x(\d)", r"\1×\2", layer).replace("->", " → ")


def _arrow(figure: go.Figure, start: float, end: float) -> None:
    figure.add_annotation(
        x=end, y=0, ax=start, ay=0, xref="x", yref="y", axref="x", ayref="y", showarrow=True,
        arrowside="end", arrowhead=2,
        arrowwidth=1.3, arrowcolor=theme.GREY, text="",
    )  # fmt: skip


def budget(anatomy: Anatomy) -> go.Figure:
    """Where the parameters and the multiply-adds are, part by part."""
    names = [part.name for part in anatomy.parts]
    figure = go.Figure()
    for label, values, colour in (
        ("parameters", [part.parameters / anatomy.parameters for part in anatomy.parts], theme.BLUE),
        ("multiply-adds", [part.macs / anatomy.macs for part in anatomy.parts], theme.ORANGE),
    ):
        figure.add_bar(x=names, y=values, name=label, marker_color=colour)
    figure.update_layout(barmode="group")
    figure.update_yaxes(title="share of the whole", tickformat=".0%")
    return theme.style(figure, 300)


def training_curve(curve: list[dict[str, float]]) -> go.Figure:
    """Accuracy per epoch on training batches (augmented) and on held-out images."""
    figure = go.Figure()
    epochs = [point["epoch"] for point in curve]
    for field, name, colour in (
        ("train_accuracy", "training batches (augmented)", theme.ORANGE),
        ("test_accuracy", "test images", theme.BLUE),
    ):
        figure.add_scatter(
            x=epochs, y=[point[field] for point in curve], mode="lines+markers", name=name, line_color=colour
        )
    figure.update_xaxes(title="epoch")
    figure.update_yaxes(title="accuracy", tickformat=".0%")
    return theme.style(figure, 300)
