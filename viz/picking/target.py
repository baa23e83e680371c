"""What is explained of which picture: the controls that choose it, and the maps that explain it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from features import saliency
from features.errors import FeatureError
from features.networks import zoo
from features.predictions import likeliest
from features.saliency import METHODS, ClassTarget, SaliencyMaps, Speed, StageTarget, Tap
from viz import sidebar, widgets
from viz.cached.saliency import EXPLAIN, framed_picture, saliency_maps, saliency_work
from viz.cached.server import jobs
from viz.picking.picture import Chosen, from_set, show_image

PREDICTED, NOTHING, RUNNER_UP = "the predicted class", "nothing", "the runner-up"
LENGTH, LIKENESS = "length of features", "likeness to another image"


@dataclass(frozen=True, eq=False)
class Explained:
    """A target of a picture, for one network.

    key: what tells the target from others. before_waiting: draws what can be seen while the page waits for maps; it
    may be called more than once.
    """

    model: zoo.Model
    chosen: Chosen
    target: saliency.Target
    key: str
    before_waiting: Callable[[], None] = lambda: None

    def maps(self, method: str, taps: Sequence[Tap] | None = None) -> SaliencyMaps:
        """The maps by any method; the page waits here for one that takes long."""
        if METHODS[method].speed is not Speed.MOMENT:
            return self.result(EXPLAIN, method, METHODS[method].title)
        digest, picture = self.chosen.digest, self.chosen.picture
        given = None if taps is None else tuple(taps)
        return saliency_maps(self.model.key, digest, self.key, method, given, self.target, self.model, picture)

    def result(self, task: str, method: str, what: str) -> Any:
        """What comes of a task of `saliency_work`, of this picture and target; the page waits here. what: it does."""
        chosen = self.chosen
        work = saliency_work(
            task, self.model, chosen.digest, chosen.picture, self.target, self.key, method, chosen.durable
        )
        if not jobs().has_result(work):  # the page ends at the wait, and nothing can be drawn behind it
            self.before_waiting()
        return widgets.awaited(work, what)

    @property
    def stages(self) -> list[str]:
        """Those that the target depends on."""
        names = list(self.model.network.stage_names)
        return names[: names.index(self.target.stage) + 1] if isinstance(self.target, StageTarget) else names

    @property
    def blocks(self) -> list[str]:
        """Those of these stages."""
        return [name for name, _ in self.model.network.blocks() if name.split(".")[0] in self.stages]


def of_class(model: zoo.Model, chosen: Chosen, index: int | None = None, against: int | None = None) -> Explained:
    """A class's logit, None for the predicted class, alone or against another's."""
    return Explained(model, chosen, ClassTarget(index, against), f"class {index} {against}")


def logits_of(model: zoo.Model, chosen: Chosen) -> np.ndarray:
    """(K,) what a network says of a picture, by a forward pass of its own, kept with its maps."""
    logits = of_class(model, chosen).maps(saliency.CAM).logits
    assert logits is not None  # of a class target
    return logits[0]


def choose_target(model: zoo.Model, chosen: Chosen) -> Explained:
    """Choose a class, one against another, or what a stage makes of the picture."""
    numbered = numbered_classes(model)
    left, right = st.columns(2)
    with left:
        classes = [] if model.network.classifier is None else [PREDICTED, *numbered]
        picked = st.selectbox(
            "Explain", [*classes, LENGTH, LIKENESS], key="class", bind="query-params",
            help="Type to search. The bars show the five likeliest classes. The last two ask what a stage makes of the "
            "image, whatever the classifier does with it.",
        )  # fmt: skip
    with right:
        if picked in (LENGTH, LIKENESS):
            names = list(model.network.stage_names)
            stage = st.selectbox("at stage", names, index=len(names) - 1, key="target stage", bind="query-params")
        else:
            other = st.selectbox(
                "against", [NOTHING, RUNNER_UP, *numbered], key="against", bind="query-params",
                help="Explains by how much one logit exceeds the other: what speaks for this class rather than that "
                "one.",
            )  # fmt: skip
    if picked == LENGTH:
        return Explained(model, chosen, StageTarget(stage), f"length {stage}")
    if picked == LIKENESS:
        return _choose_other(model, chosen, stage)
    index = None if picked == PREDICTED else numbered.index(picked)
    return of_class(model, chosen, index, _against(model, chosen, index, other))


def _against(model: zoo.Model, chosen: Chosen, index: int | None, other: str) -> int | None:
    """The class that `index` (None: the predicted one) is set against; None for no other."""
    numbered = numbered_classes(model)
    if other == NOTHING:
        return None
    against = None if other == RUNNER_UP else numbered.index(other)
    if index is None or against is None:
        order = likeliest(logits_of(model, chosen)[None], 2)[0].tolist()
        index = order[0] if index is None else index
        if other == RUNNER_UP:
            against = next(each for each in order if each != index)  # one logit, too, is of two classes
    if against == index:
        raise FeatureError(f"{numbered[index]} cannot be set against itself. Choose another class.")
    return against


def _choose_other(model: zoo.Model, chosen: Chosen, stage: str) -> Explained:
    images = sidebar.images()
    if "other" not in st.session_state and "other" not in st.query_params:
        st.session_state["other"] = min(1, len(images) - 1)  # the first is the one that is explained at first
    left, right = st.columns([2, 1])
    with left:
        other = from_set(images, "Number of the other image", "other")
    with right:
        show_image(other, "the other picture")
    if other.digest == chosen.digest:
        st.info("This is the image itself: nothing could make it more alike, so that its maps are zero everywhere.")
    target = StageTarget(stage, framed_picture(model, other.picture), other.name)
    return Explained(model, chosen, target, f"likeness {stage} {other.digest}")


def class_names(model: zoo.Model) -> list[str]:
    """What its classes are called, K names."""
    return list(model.spec.classes)


def numbered_classes(model: zoo.Model) -> list[str]:
    """Class names that differ: ImageNet has two classes called maillot."""
    return [f"{name} ({index})" for index, name in enumerate(class_names(model))]
