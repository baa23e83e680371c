"""How the labels of the images are matched with the network's classes, and another way where there is one."""

import numpy as np
import pandas as pd
import streamlit as st

from features.datasets import ImageSet, labels
from features.errors import DatasetError
from viz import widgets
from viz.cached.made import made
from viz.picking.shown import Shown

MATCHED, AUTOMATIC = "matched", "what fits"


def choose(shown: Shown) -> tuple[labels.Matched | None, str | None]:
    """How labels are matched, None where they cannot be, which is said; and the way that the visitor wants, if any."""
    options = (AUTOMATIC, *labels.ways(shown.model.spec, shown.images))
    if st.session_state.get(MATCHED) not in (None, *options):
        del st.session_state[MATCHED]  # of the images or the network before these
    with st.popover("Labels", icon=":material/link:", help="How labels were matched with the network's classes."):
        chosen = st.selectbox(
            "Labels are classes", options, key=MATCHED, bind="query-params",
            help="What fits: by name, by WordNet id or by number, and in order where nothing else tells.",
        )  # fmt: skip
        way = None if chosen in (None, AUTOMATIC) else chosen
        try:
            matched = labels.match_labels(shown.model.spec, shown.images, way)
        except DatasetError as error:
            return _refused(error)
        st.markdown(f"They were matched **{matched.how}**.")
        st.dataframe(made(pairs_of, matched, shown.images), hide_index=True, height=300)
    return matched, way


def _refused(error: DatasetError) -> tuple[None, None]:
    st.caption(widgets.told(str(error)))
    return None, None


def say(matched: labels.Matched, shown: Shown) -> None:
    """What a visitor must know of how labels were matched: whether by a guess."""
    if matched.guessed:
        others = len(labels.ways(shown.model.spec, shown.images)) > 1
        more = " Another way can be chosen under Labels." if others else ""
        st.warning(f"{widgets.told(matched.guessed)}{more}", icon=":material/help:")
    elif matched.how != labels.BY_NAME:
        st.caption(matched.said)


def pairs_of(matched: labels.Matched, images: ImageSet) -> pd.DataFrame:
    """One row per label that occurs: the class that it is, and its number."""
    names, places = [], []
    for label, name in enumerate(images.class_names):
        if matched.classes is not None and images.labels is not None:
            rows = np.flatnonzero(images.labels == label)
            place = matched.classes[rows[0]] if len(rows) else None
        else:
            place = _place_of_set(matched, images, label)
        if place is not None:
            names.append(name)
            places.append(int(place))
    return pd.DataFrame({"label": names, "class": [matched.names[place] for place in places], "number": places})


def _place_of_set(matched: labels.Matched, images: ImageSet, label: int) -> int | None:
    """The class of one of an image's labels: the one that all images with it have."""
    assert matched.sets is not None
    assert images.label_sets is not None
    rows = images.label_sets[:, label]
    return int(matched.sets[rows].all(axis=0).argmax()) if rows.any() else None
