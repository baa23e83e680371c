"""The part on a page: what goes to the browser, and when."""

import json

import numpy as np
import pytest
from streamlit import runtime
from streamlit.testing.v1 import AppTest

from features.errors import FeatureError
from viz.components.point_map import Colours, Details, Panel, Pictures, Texts, modules, point_map
from viz.components.point_map.component import HERE

POINTS = np.arange(12, dtype=np.float32).reshape(6, 2)


def page():
    import numpy as np
    import streamlit as st

    from viz.components.point_map import Colours, Details, Panel, Texts, point_map, selected_after

    points = np.arange(12, dtype=np.float32).reshape(6, 2)
    panels = [Panel("one", "One", points), Panel("two", "Two", points[::-1], "trust 0.9", np.zeros((6, 3), int))]
    if st.checkbox("by confidence"):
        colours = Colours(np.linspace(0, 1, 6), ["black", "white"], title="confidence")
    else:
        colours = Colours(np.array([0, 0, 1, 1, 2, -1]), ["red"], ["a", "b", "c"], title="label")

    def apply(gesture):
        heard = st.session_state.setdefault("heard", [])
        heard.append(gesture.serial)
        st.session_state["selected"] = selected_after(gesture, panels, colours, st.session_state.get("selected"))

    details = Details(Texts.of(map(str, range(6))), total=np.int64(60), height=500)
    point_map(panels, colours, st.session_state.get("selected"), "map", apply, details)


@pytest.fixture
def app():
    app = AppTest.from_function(page, default_timeout=30).run()
    assert not app.exception
    return app


def sent(app: AppTest) -> dict:
    (part,) = app.get("bidi_component")
    return json.loads(part.proto.json)


def addresses(data: dict) -> dict[str, str]:
    alone = {name: data[name] for name in ("script", "colours", "legend", "selected", "texts", "pictures")}
    return alone | {
        f"{panel['name']} {part}": panel[part] for panel in data["panels"] for part in ("points", "neighbours")
    }


def test_only_addresses_and_plain_numbers_travel_with_a_run(app):
    data = sent(app)
    assert (data["count"], data["total"], data["chosen"], data["height"], data["handled"]) == (6, 60, 0, 500, 0)
    assert [panel["k"] for panel in data["panels"]] == [0, 3]
    there = addresses(data)
    assert [name for name, address in there.items() if not address] == ["selected", "pictures", "one neighbours"]
    assert len(json.dumps(data)) < 2000


def test_other_colours_leave_points_and_texts_where_they_are(app):
    before = addresses(sent(app))
    after = addresses(sent(app.checkbox[0].check().run()))
    assert {name for name in before if before[name] != after[name]} == {"colours", "legend"}


def test_a_selection_is_one_bit_a_row_and_leaves_the_rest_where_it_is():
    app = AppTest.from_function(page, default_timeout=30)
    app.session_state["selected"] = np.array([False, True, False, False, False, True])
    data = sent(app.run())
    assert data["chosen"] == 2
    app.session_state["selected"] = np.zeros(6, bool)
    before, after = addresses(data), addresses(sent(app.run()))
    assert {name for name in before if before[name] != after[name]} == {"selected"}
    assert after["selected"] == ""


def test_outside_an_app_nothing_is_kept():
    assert not runtime.exists()
    assert modules.address(HERE / "browser", "map.js") == ""


def test_every_module_imports_what_is_there_and_is_needed():
    needed = dict(modules._sources(HERE / "browser", "map.js"))
    assert needed.keys() == {path.name for path in (HERE / "browser").glob("*.js")}
    order = list(needed)
    for name, source in needed.items():
        imported = modules._IMPORT.findall(source)
        assert all(order.index(each) < order.index(name) for each in imported)
        assert source.count(" from ") >= len(imported)


@pytest.mark.parametrize(
    ("panels", "colours", "selected", "details", "said"),
    [
        ([], 6, None, Details(), "at least one map"),
        ([Panel("a", "A", POINTS)] * 2, 6, None, Details(), "different names"),
        ([Panel("a", "A", POINTS)], 5, None, Details(), "the map 'a' 6, the colours 5"),
        ([Panel("a", "A", POINTS), Panel("b", "B", POINTS[:4])], 6, None, Details(), "the map 'b' 4"),
        ([Panel("a", "A", POINTS, values=np.zeros(3))], 6, None, Details(), "the values of 'a' 3"),
        ([Panel("a", "A", POINTS)], 6, np.zeros(7, bool), Details(), "the selection 7"),
        ([Panel("a", "A", POINTS)], 6, np.zeros(6, int), Details(), r"A selection is \(N,\) bool, but got int64"),
        ([Panel("a", "A", POINTS)], 6, None, Details(Texts.of(["x"])), "the texts 1"),
        ([Panel("a", "A", POINTS)], 6, None, Details(pictures=Pictures((), 1, 1, np.zeros(2, int))), "the pictures 2"),
    ],
)
def test_parts_of_other_images_are_told(panels, colours, selected, details, said):
    with pytest.raises(FeatureError, match=said):
        point_map(panels, Colours(np.zeros(colours), ["red"]), selected, "map", lambda gesture: None, details)
