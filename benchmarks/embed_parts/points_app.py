"""A page of random clusters for `embed_page.py`: drawn by the app's map of points, or by Plotly.

The address tells what is drawn: ?points=N&panels=P&by=map|plotly. Without points the page only imports what it needs.
"""

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from viz import theme
from viz.components.point_map import Colours, Details, Gesture, Panel, Texts, point_map, selected_after

CLUSTERS = 10


@st.cache_resource
def clusters(n_points: int, n_panels: int) -> tuple[list[Panel], Colours, Texts]:
    random = np.random.default_rng(0)
    labels = np.sort(random.integers(0, CLUSTERS, n_points))
    panels = []
    for number in range(n_panels):
        centres = random.normal(0, 4, (CLUSTERS, 2))
        points = (centres[labels] + random.normal(0, 1, (n_points, 2))).astype(np.float32)
        panels.append(Panel(f"layer{number}", f"layer{number}", points))
    names = [f"class {number}" for number in range(CLUSTERS)]
    texts = Texts.of(f"images/{row:07d}.png\nlabel: class {label}" for row, label in enumerate(labels))
    return panels, Colours(labels, theme.CATEGORIES, names, title="label"), texts


@st.cache_resource
def figure(n_points: int) -> go.Figure:
    (panel,), colours, _ = clusters(n_points, 1)
    x, y = panel.points.T
    marker = {"color": colours.values, "size": 4, "colorscale": "Turbo"}
    return go.Figure(go.Scattergl(x=x, y=y, mode="markers", marker=marker, hoverinfo="none"), {"dragmode": "lasso"})


def main() -> None:
    st.set_page_config("Points", layout="wide")
    n_points, n_panels = (int(st.query_params.get(name, default)) for name, default in (("points", 0), ("panels", 1)))
    if not n_points:
        st.write("ready")
    elif st.query_params.get("by") == "plotly":
        chart = st.plotly_chart(figure(n_points), key="map", on_select="rerun", selection_mode="lasso", height=760)
        answer(len(chart.selection.point_indices))
    else:
        draw(n_points, n_panels)


def draw(n_points: int, n_panels: int) -> None:
    panels, colours, texts = clusters(n_points, n_panels)

    def apply(gesture: Gesture) -> None:
        st.session_state["selected"] = selected_after(gesture, panels, colours, st.session_state.get("selected"))

    selected = st.session_state.get("selected")
    point_map(panels, colours, selected, "map", apply, Details(texts, height=760))
    answer(0 if selected is None else int(selected.sum()))


def answer(chosen: int) -> None:
    """First thing after the map, where thumbnails would come."""
    with st.container(key="answer"):
        st.text(f"{chosen} chosen")


main()
