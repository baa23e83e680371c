"""Values as JSON inside a page: what comes out is what went in, and nothing ends the script."""

import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tests.viz.reports.documents import HOSTILE
from viz.reports.encoding import figure_json, script_json, table_json


def decoded(column):
    return [column["words"][code] for code in column["codes"]] if isinstance(column, dict) else column


def test_texts_come_back_and_hold_no_sign_of_html():
    told = script_json({HOSTILE: [HOSTILE, "<!--", "\udcff"]})
    assert json.loads(told) == {HOSTILE: [HOSTILE, "<!--", "\udcff"]}
    assert not set("<>&\u2028\udcff") & set(told)


def test_numbers_of_numpy_are_numbers_and_what_is_not_finite_is_null():
    told = script_json([np.float32(0.5), np.int64(3), np.bool_(True), float("nan"), np.inf, None, np.arange(2)])
    assert json.loads(told) == [0.5, 3, True, None, None, None, [0, 1]]


def test_a_figure_keeps_its_traces_and_layout_but_not_the_look_and_six_digits():
    figure = go.Figure(go.Heatmap(z=np.array([[1 / 3, np.nan]]), x=["a", "b"]), {"height": 300, "width": 500})
    told = json.loads(figure_json(figure))
    assert told["layout"] == {"height": 300}
    assert told["data"][0]["z"] == [[0.333333, None]]
    assert json.loads(figure_json(go.Figure(go.Bar(y=np.float32([0.1])))))["data"][0]["y"] == [0.1]


def test_a_table_comes_back_and_texts_that_recur_stand_once():
    table = pd.DataFrame(
        {"id": [f"image {n}" for n in range(50)], "class": ["cat", "dog"] * 25, "p": np.arange(50) / 7}
    )
    told = json.loads(table_json(table))
    assert told["columns"] == ["id", "class", "p"]
    assert [decoded(column) for column in told["values"]] == [table[name].tolist() for name in table]
    assert told["values"][1]["words"] == ["cat", "dog"]
    assert json.loads(table_json(table[:0]))["values"] == [[], [], []]
