"""How the labels of the images were matched with the network's classes, and another way where there is one."""

import streamlit as st

from features.datasets import labels
from features.evaluate import Evaluation
from viz import widgets
from viz.pages.evaluate.shown import Shown

MATCHED, AUTOMATIC = "matched", "what fits"
PAIRS = 400


def choose(shown: Shown) -> str | None:
    """The way that the visitor wants labels to be matched, None for what tells most; in the URL."""
    options = (AUTOMATIC, *labels.ways(shown.model.spec, shown.images))
    if st.session_state.get(MATCHED) not in (None, *options):
        del st.session_state[MATCHED]  # of the images or the network before these
    if len(options) <= 2 and MATCHED not in st.query_params:
        return None
    chosen = st.selectbox(
        "Labels are classes", options, key=MATCHED, bind="query-params", width=200,
        help="How the labels of these images become the network's classes. What fits: by name, by WordNet id, by "
        "number, and in order where nothing else tells.",
    )  # fmt: skip
    return None if chosen in (None, AUTOMATIC) else chosen


def show(evaluation: Evaluation, shown: Shown) -> None:
    """How they were matched, what speaks against it, and each label with its class."""
    if evaluation.labels_guessed:
        st.warning(widgets.escape(evaluation.labels_guessed), icon=":material/help:")
    with st.expander(f"Labels were matched {evaluation.labels_matched}", icon=":material/link:"):
        st.dataframe(_pairs(evaluation, shown), hide_index=True, width="stretch")
        st.caption("Another way can be chosen above where one leads to classes; a list of class names can be given "
                   "with the network's file.")  # fmt: skip


def _pairs(evaluation: Evaluation, shown: Shown) -> list[dict[str, object]]:
    matched = labels.match_labels(shown.model.spec, shown.images, evaluation.labels_matched)
    if matched.classes is not None and shown.images.labels is not None:
        of_labels = dict(zip(shown.images.labels.tolist(), matched.classes.tolist(), strict=True))
        pairs = [(shown.images.class_names[label], place) for label, place in sorted(of_labels.items())]
    else:
        pairs = [(score.name, score.index) for score in evaluation.per_class]
    return [{"label": label, "class": evaluation.class_names[place], "number": place} for label, place in pairs[:PAIRS]]
