"""One picture under a slider that makes it worse: prediction, maps and branches move along."""

from dataclasses import replace

import streamlit as st

from features.predictions import likeliest, probabilities
from features.robustness import FAMILIES, STRENGTHS
from viz import widgets
from viz.cached.made import drawn
from viz.cached.robustness import branch_statistics, framed_model, worse_picture
from viz.figures import robustness as figures
from viz.figures.saliency import top_classes
from viz.pages.saliency.overlays import Shown, Tile, draw
from viz.picking.picture import chosen_of
from viz.picking.target import Explained, class_names, logits_of

NAME = "worse picture"
FAMILY, LEVEL = "corruption", "strength"  # in links
MOVED = "gradcam"


def show(explained: Explained) -> None:
    """The controls, what the network then says, its maps, and how large its branches are beside their shortcuts."""
    moved, level = _worse(explained)
    maps = moved.maps(MOVED)
    left, right = st.columns([1, 1.4], gap="medium")
    with left:
        _prediction(moved)
    with right:
        intact, _ = _of(explained, FAMILIES[next(iter(FAMILIES))].name, 0)
        both = [
            branch_statistics(each.model.key, each.chosen.digest, each.model, each.chosen.picture)
            for each in (intact, moved)
        ]
        widgets.chart(drawn(figures.ratios, *both, level == 0), "worse branches")
        st.caption("How large each branch is beside its shortcut for this picture, as it is and worse.")
    tiles = [Tile(tap.name, values[0], tap) for tap, values in maps.maps.items()]
    meaning = (
        "Grad-CAM of each stage for the picture as it is shown here. For the predicted class the maps follow the "
        "prediction; choose a class above to stay with it."
    )
    title = f"Grad-CAM for {widgets.escape(maps.targets[0])}"
    draw(moved, NAME, title, Shown(tiles, [(moved.model, maps)], meaning))


def _worse(explained: Explained) -> tuple[Explained, int]:
    """The same target of the picture made worse as is chosen, and how strongly."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        family = st.selectbox(
            "Corruption", list(FAMILIES), key=FAMILY, bind="query-params", width=240,
            format_func=lambda name: FAMILIES[name].title,
        )  # fmt: skip
        level = st.slider(
            "Strength", 0, STRENGTHS, 2, key=LEVEL, bind="query-params", width=360,
            help="0 leaves the picture as it is. What the network sees is corrupted, after it was scaled and cut.",
        )  # fmt: skip
        moved, words = _of(explained, family, level)
        st.caption(words, width="content")
    return moved, level


def _of(explained: Explained, family: str, level: int) -> tuple[Explained, str]:
    """The same target of the picture made worse, and how strong that is, in words."""
    model, chosen, kind = explained.model, explained.chosen, FAMILIES[family]
    picture = worse_picture(model.key, chosen.digest, family, level, chosen.name, model, chosen.picture)
    strengths = kind.strengths(model.spec.preprocessing.crop)
    words = f"{strengths[level - 1]:.3g} {kind.unit}" if level else "as it is"
    worse = chosen_of(picture, chosen.name, chosen.label, chosen.durable)
    return replace(explained, model=framed_model(model.key, model), chosen=worse), words


def _prediction(moved: Explained) -> None:
    model = moved.model
    logits = logits_of(model, moved.chosen)  # (K,)
    (chances,) = probabilities(logits[None], model.spec.outputs)  # (K,)
    order = likeliest(logits[None])[0].tolist()
    figure = drawn(top_classes, chances, class_names(model), int(logits.argmax()), order, model.spec.outputs)
    widgets.chart(figure, "worse classes")
    st.caption("What the network says of it then.")
