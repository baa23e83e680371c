"""Values as JSON that may stand in a script of an HTML page: figures, tables of data."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 6  # of numbers in figures, more than a screen shows


def script_json(value: Any) -> Markup:
    """JSON without a sign that could end the script that it stands in; what is not finite is null."""
    text = json.dumps(_plain(value), allow_nan=False, separators=(",", ":"))  # in ASCII, whatever the texts hold
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def figure_json(figure: go.Figure) -> Markup:
    """Traces and layout, without the look that Plotly, or who has changed its default, gives all figures."""
    layout = figure.layout.to_plotly_json()
    kept = {name: value for name, value in layout.items() if name not in ("template", "width")}
    # By traces, since the whole figure would give arrays in base64, with all their digits.
    return script_json(_rounded({"data": [trace.to_plotly_json() for trace in figure.data], "layout": kept}))


def table_json(table: "pd.DataFrame") -> Markup:
    """A table by its columns. Texts that occur again and again stand once: a column is values, or words and codes."""
    return script_json(
        {"columns": [str(name) for name in table], "values": [_column(table[name].tolist()) for name in table]}
    )


def _column(values: list[Any]) -> Any:
    words = list(dict.fromkeys(values)) if all(isinstance(value, str) for value in values) else values
    if 2 * len(words) >= len(values):
        return values
    codes = {word: number for number, word in enumerate(words)}
    return {"words": words, "codes": [codes[value] for value in values]}


def _plain(value: Any) -> Any:
    """As JSON knows it."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(each) for each in (value.tolist() if isinstance(value, np.ndarray) else value)]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _rounded(value: Any) -> Any:
    """Numbers of a figure to DIGITS digits, float32 too, whose digits beyond are none."""
    if isinstance(value, Mapping):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_rounded(each) for each in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float | np.floating) else value
