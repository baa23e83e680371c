"""Draws what a network is made of."""

import re
from typing import Any

import plotly.graph_objects as go

from features.networks.anatomy import Anatomy, Part
from viz import theme

BOX, HALF = 0.78, 0.36  # a box is 0.78 wide and 0.72 high, where blocks are 1 apart
ROOMY, FEWEST = 6, 3
MANY = 12
ACCURACIES = (
    ("train_accuracy", "training (augmented)", theme.ORANGE),
    ("held_back_accuracy", "held back", theme.GREEN),
    ("test_accuracy", "test", theme.BLUE),
)
SHORTCUTS = {
    "identity": "identity: x itself",
    "projection": "projection: 1×1 convolution and batch norm",
    "padding": "padding: every second pixel, new channels zero",
}


def network(anatomy: Anatomy) -> go.Figure:
    """One row per stage: its name and the shape after it, then a box per block with its shortcut as an arch."""
    rows = _rows(anatomy)
    widest = max(len(parts) for _, parts in rows)
    places = [(part, x, -1.5 * row) for row, (_, parts) in enumerate(rows) for x, part in enumerate(parts)]
    boxes = _boxes(
        [(x, y) for _, x, y in places],
        [BOX] * len(places),
        [_inside(part) if widest <= ROOMY else "" for part, _, _ in places],
        [theme.SHORTCUT_COLOURS.get(part.shortcut, theme.GREY) for part, _, _ in places],
    )
    figure = go.Figure(boxes.update(hovertext=[_hover(part) for part, _, _ in places]))
    for kind in dict.fromkeys(part.shortcut for part in anatomy.parts if part.shortcut):
        figure.add_scatter(
            x=[None], y=[None], mode="lines", name=f"{kind} shortcut" if kind != "none" else "no shortcut",
            line={"color": theme.SHORTCUT_COLOURS[kind], "width": 3},
        )  # fmt: skip
    # In one go: a figure checks all its shapes again with every one that is added.
    figure.layout.shapes = [_arch(part, x, y) for part, x, y in places if part.shortcut not in ("", "none")]
    figure.layout.annotations = [
        _text(
            0, -1.5 * row, f"<b>{name}</b><br>{theme.shape(parts[-1].outputs)}",
            xref="paper", xanchor="right", xshift=-8, align="right",
        )
        for row, (name, parts) in enumerate(rows)
    ]  # fmt: skip
    _frame(figure, 90 + 84 * len(rows), (-0.6, max(widest, FEWEST) - 0.4), (-1.5 * len(rows) + 0.8, 0.9))
    return figure.update_layout(margin_l=110, legend={"y": -0.02, "x": 0})


def _rows(anatomy: Anatomy) -> list[tuple[str, list[Part]]]:
    rows: dict[str, list[Part]] = {}
    for part in anatomy.parts:
        rows.setdefault(part.stage or part.name, []).append(part)
    return list(rows.items())


def _boxes(centres: list[tuple[float, float]], widths: list[float], texts: list[str], colours: list[str]) -> go.Bar:
    """Boxes with text inside; where they are too narrow for it, the browser leaves it out (see `_frame`)."""
    return go.Bar(
        x=[x for x, _ in centres], y=[2 * HALF] * len(centres), base=[y - HALF for _, y in centres], width=widths,
        marker={"color": [theme.faint(colour) for colour in colours], "line": {"color": colours, "width": 1.5},
                "cornerradius": 4},
        text=texts, textposition="inside", insidetextanchor="middle", textangle=0,
        hovertemplate="%{hovertext}<extra></extra>", showlegend=False,
    )  # fmt: skip


def _frame(figure: go.Figure, height: int, x: tuple[float, float], y: tuple[float, float]) -> None:
    """The look of a drawing: no axes, and text of one size that vanishes where it would not be readable."""
    theme.style(figure, height)
    figure.update_layout(
        margin={"l": 8, "r": 8, "t": 8, "b": 8}, barmode="overlay", uniformtext={"minsize": 9, "mode": "hide"}
    )
    figure.update_xaxes(visible=False, range=x, fixedrange=True)
    figure.update_yaxes(visible=False, range=y, fixedrange=True)


def _text(x: float, y: float, text: str, size: int = 13, **options: Any) -> dict[str, Any]:
    return {"x": x, "y": y, "text": text, "showarrow": False, "font": {"size": size}, **options}


def _inside(part: Part) -> str:
    """The convolutions of a part in few words."""
    words = [
        _signs(layer.removeprefix("conv ").split(", stride")[0]) for layer in part.layers if layer.startswith("conv")
    ]
    return "<br>".join(words) or "pool<br>classifier"


def _arch(part: Part, x: float, y: float) -> dict[str, Any]:
    """A shortcut, from the left of its box to the right."""
    left, right = x - BOX / 2, x + BOX / 2
    path = f"M {left - 0.08} {y} C {left - 0.05} {y + 0.95}, {right + 0.05} {y + 0.95}, {right + 0.08} {y}"
    return {"type": "path", "path": path, "line": {"color": theme.SHORTCUT_COLOURS[part.shortcut], "width": 2.5}}


def _hover(part: Part) -> str:
    lines = [f"<b>{part.name}</b>", f"{theme.shape(part.inputs)} to {theme.shape(part.outputs)}"]
    lines += map(_signs, part.layers)
    lines += [f"shortcut: {part.shortcut}"] if part.shortcut else []
    lines.append(f"{theme.count(part.parameters)} parameters, {theme.count(part.macs)} multiply-adds")
    lines += [f"sees {part.receptive_field} px, every {part.stride} px"] if part.receptive_field else []
    return "<br>".join(lines)


def block(part: Part) -> go.Figure:
    """Inside one block: the branch's layers in a line, the shortcut above them, and where the two meet."""
    steps = ["x", *(_wrap(layer) for layer in part.layers), "<b>+</b>", "ReLU"]
    plus = len(steps) - 2
    half = [0.2 if text in ("x", "<b>+</b>") else 0.42 for text in steps]
    colour = theme.SHORTCUT_COLOURS[part.shortcut]
    figure = go.Figure(
        _boxes(
            [(x, 0.0) for x in range(len(steps))], [2 * width for width in half], steps, [theme.GREY] * len(steps)
        ).update(hovertext=steps)
    )
    texts = [_arrow(x - 1 + half[x - 1], x - half[x]) for x in range(1, len(steps))]
    if part.shortcut != "none":
        path = f"M 0 {HALF} C 0 1.35, {plus} 1.35, {plus} {HALF}"
        figure.layout.shapes = [{"type": "path", "path": path, "line": {"color": colour, "width": 3}}]
        texts.append(_text(plus / 2, 1.28, f"shortcut, {SHORTCUTS[part.shortcut]}"))
    texts.append(_text(plus / 2, -0.62, "branch F(x)"))
    figure.layout.annotations = texts
    _frame(figure, 250, (-0.6, len(steps) - 0.4), (-0.9, 1.6))
    return figure


def _wrap(layer: str) -> str:
    """A layer in lines so short that they can be read on a telephone."""
    lines = _signs(layer).replace(", ", "<br>").replace(" norm", "<br>norm").replace("conv ", "conv<br>")
    return lines.replace(" → ", " →<br>")


def _signs(layer: str) -> str:
    """'conv 3x3, 16->32' with real signs."""
    return re.sub(r"(\d)x(\d)", r"\1×\2", layer).replace("->", " → ")


def _arrow(start: float, end: float) -> dict[str, Any]:
    return {
        "x": end, "y": 0, "ax": start, "ay": 0, "xref": "x", "yref": "y", "axref": "x", "ayref": "y",
        "showarrow": True, "arrowside": "end", "arrowhead": 2, "arrowwidth": 1.3, "arrowcolor": theme.GREY, "text": "",
    }  # fmt: skip


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
    figure.update_xaxes(tickangle=-60 if len(names) > MANY else None)
    figure.update_yaxes(title="share of the whole", tickformat=".0%")
    theme.style(figure, 320)
    return figure.update_layout(legend={"y": 1.02, "yanchor": "bottom"}, margin={"t": 40, "b": 70})


def training_curve(curve: list[dict[str, float]]) -> go.Figure:
    """Accuracy per epoch on training batches (augmented), on images held back and on test images, as far as they are
    told; of a training without labels the loss.
    """
    figure = go.Figure()
    epochs, told = [point["epoch"] for point in curve], curve[0]
    accuracies = [each for each in ACCURACIES if each[0] in told]
    for field, name, colour in accuracies or [("train_loss", "training batches (augmented)", theme.ORANGE)]:
        figure.add_scatter(
            x=epochs, y=[point[field] for point in curve], mode="lines+markers", name=name, line_color=colour
        )
    figure.update_xaxes(title="epoch", dtick=-(-len(epochs) // 15))
    figure.update_yaxes(**({"title": "accuracy", "tickformat": ".0%"} if accuracies else {"title": "loss"}))
    # Above, where a narrow screen puts its lines below each other and none upon the axis.
    return theme.style(figure, 340).update_layout(legend={"y": 1.02, "yanchor": "bottom"}, margin={"t": 80})
