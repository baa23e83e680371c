"""A page with a map of a few points at known places, for tests in a browser. ?panels=P&points=N."""

import numpy as np
import streamlit as st

from viz.components.point_map import Colours, Details, Gesture, Panel, Texts, point_map, selected_after

NAMES = ("left", "right", "nowhere")


def panels(n_points: int, n_panels: int) -> list[Panel]:
    """Half of the points near (-1, 0), half near (1, 0); the first at (-1, 0) and the last at (1, 0) itself."""
    random = np.random.default_rng(0)
    points = random.uniform(-0.2, 0.2, (n_points, 2))
    points[[0, -1]] = 0
    points[: n_points // 2, 0] -= 1
    points[n_points // 2 :, 0] += 1
    neighbours = np.stack([np.roll(np.arange(n_points), step) for step in (1, 2)], axis=1)
    return [
        Panel(f"p{number}", f"Panel {number}", points * (1 - 2 * (number % 2)) + 7, f"trust 0.{number}", neighbours)
        for number in range(n_panels)
    ]


def main() -> None:
    st.set_page_config("Map", layout="wide")
    n_points, n_panels = (int(st.query_params.get(name, default)) for name, default in (("points", 200), ("panels", 1)))
    maps = panels(n_points, n_panels)
    labels = (np.arange(n_points) >= n_points // 2).astype(int)
    if st.checkbox("by number"):
        colours = Colours(np.linspace(0, 1, n_points), ["#ff0000", "#0000ff"], title="number")
    else:
        colours = Colours(labels, ["#ff0000", "#0000ff", "#00ff00"], NAMES, title="side")

    def apply(gesture: Gesture) -> None:
        st.session_state["said"] = f"{gesture.kind} {gesture.mode} {gesture.panel} {gesture.row} {gesture.category}"
        st.session_state["selected"] = selected_after(gesture, maps, colours, st.session_state.get("selected"))

    selected = st.session_state.get("selected")
    texts = Texts.of(f"point {row}\nside: {NAMES[label]}" for row, label in enumerate(labels))
    if not st.checkbox("hide"):
        point_map(maps, colours, selected, "map", apply, Details(texts, height=600))
    with st.container(key="answer"):
        st.text(f"{0 if selected is None else int(selected.sum())} chosen, {st.session_state.get('said', 'nothing')}")


main()
