"""Draws what a network is made of."""

import re
from typing import Any

import plotly.graph_objects as go

from features.anatomy import Anatomy, Part
from viz import theme

BOX = 0.78
ROOMY = 6
SHORTCUTS = {
    "identity": "identity: x itself",
    "projection": "projection: 1×1 convolution and batch norm",
    "padding": "padding: every second pixel, new channels zero",
}


def network(anatomy: Anatomy) -> go.Figure:
    """One row per stage: a box per block, with its shortcut as an arch above it, and the shape at the
    row's end.
    """
    rows = _rows(anatomy)
    widest = max(len(parts) for _, parts in rows)
    # Collected first: a figure checks all its shapes again with every one that is added.
    shapes: list[dict[str, Any]] = []
    texts: list[dict[str, Any]] = []
    places = []
    for number, (name, parts) in enumerate(rows):
        y = -1.5 * number
        texts.append(_text(-0.62, y, f"<b>{name}</b>", 14, xanchor="right"))
        texts.append(_text(len(parts) - 0.4, y, theme.shape(parts[-1].outputs), xanchor="left"))
        for x, part in enumerate(parts):
            places.append((x, y, _hover(part)))
            shapes += _box(part, x, y)
            if widest <= ROOMY:
                texts.append(_text(x, y, _inside(part)))
    x, y, hover = zip(*places, strict=True)
    figure = go.Figure()
    figure.add_scatter(
        x=x, y=y, mode="markers", marker={"size": 26, "opacity": 0}, showlegend=False,
        text=hover, hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    for kind in dict.fromkeys(part.shortcut for part in anatomy.parts if part.shortcut):
        figure.add_scatter(
            x=[None], y=[None], mode="lines", name=f"{kind} shortcut" if kind != "none" else "no shortcut",
            line={"color": theme.SHORTCUT_COLOURS[kind], "width": 3},
        )  # fmt: skip
    theme.style(figure, 90 + 84 * len(rows))
    figure.update_xaxes(visible=False, range=[-0.8 - 0.1 * widest, widest - 0.3 + 0.13 * widest], fixedrange=True)
    figure.update_yaxes(visible=False, range=[-1.5 * len(rows) + 0.8, 0.9], fixedrange=True)
    figure.update_layout(
        shapes=shapes, annotations=texts, legend={"y": -0.02, "x": 0}, margin={"l": 10, "r": 10, "t": 10, "b": 10}
    )
    return figure


def _text(x: float, y: float, text: str, size: int = 13, **options: Any) -> dict[str, Any]:
    return {"x": x, "y": y, "text": text, "showarrow": False, "font": {"size": size}, **options}


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


def _box(part: Part, x: float, y: float) -> list[dict[str, Any]]:
    """The shapes of a part: its box, and its shortcut as an arch."""
    colour = theme.SHORTCUT_COLOURS.get(part.shortcut, theme.GREY)
    left, right = x - BOX / 2, x + BOX / 2
    box = {
        "type": "rect", "x0": left, "x1": right, "y0": y - 0.36, "y1": y + 0.36,
        "line": {"color": colour, "width": 1.5}, "fillcolor": colour, "opacity": 0.22, "layer": "below",
    }  # fmt: skip
    if part.shortcut in ("", "none"):
        return [box]
    path = f"M {left - 0.08} {y} C {left - 0.05} {y + 0.95}, {right + 0.05} {y + 0.95}, {right + 0.08} {y}"
    return [box, {"type": "path", "path": path, "line": {"color": colour, "width": 2.5}}]


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
    shapes: list[dict[str, Any]] = [
        {
            "type": "circle" if half[x] < 0.4 else "rect", "x0": x - half[x], "x1": x + half[x], "y0": -0.32,
            "y1": 0.32, "line": {"color": theme.GREY, "width": 1.2}, "fillcolor": theme.GREY, "opacity": 0.2,
            "layer": "below",
        }
        for x in range(len(steps))
    ]  # fmt: skip
    texts = [_text(x, 0, text, 12) for x, text in enumerate(steps)]
    texts += [_arrow(x - 1 + half[x - 1], x - half[x]) for x in range(1, len(steps))]
    if part.shortcut != "none":
        colour = theme.SHORTCUT_COLOURS[part.shortcut]
        path = f"M 0 0.32 C 0 1.35, {plus} 1.35, {plus} 0.36"
        shapes.append({"type": "path", "path": path, "line": {"color": colour, "width": 3}})
        texts.append(_text(plus / 2, 1.28, f"shortcut, {SHORTCUTS[part.shortcut]}"))
    texts.append(_text(plus / 2, -0.62, "branch F(x)"))
    figure = theme.style(go.Figure(), 210)
    figure.update_xaxes(visible=False, range=[-0.6, len(steps) - 0.3], fixedrange=True)
    figure.update_yaxes(visible=False, range=[-0.9, 1.6], fixedrange=True)
    figure.update_layout(shapes=shapes, annotations=texts, margin={"l": 5, "r": 5, "t": 5, "b": 5})
    return figure


def _wrap(layer: str) -> str:
    return _signs(layer).replace(", ", "<br>").replace(" norm", "<br>norm")


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
