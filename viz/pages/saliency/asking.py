"""What is explained of which picture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from features import saliency
from features.errors import FeatureError
from features.networks import zoo
from features.progress import Task
from features.saliency import METHODS, ClassTarget, SaliencyMaps, StageTarget, Tap
from viz import sidebar, widgets
from viz.cached.saliency import framed_picture, saliency_job, saliency_maps
from viz.choosing import Chosen, from_set, show_image
from viz.jobs import Job

PREDICTED, NOTHING, RUNNER_UP = "the predicted class", "nothing", "the runner-up"
LENGTH, LIKENESS = "length of features", "likeness to another image"
QUICK = tuple(name for name, method in METHODS.items() if method.weights is not None)
SLOW = ("scorecam", *saliency.ATTRIBUTIONS)
ABOUT = METHODS | saliency.ATTRIBUTIONS


@dataclass(frozen=True, eq=False)
class Asked:
    """What is explained of which picture. key: what tells the target from others."""

    model: zoo.Model
    chosen: Chosen
    target: saliency.Target
    key: str

    def maps(self, method: str, taps: Sequence[Tap] | None = None) -> SaliencyMaps:
        """The maps by any method; the page waits here for one that takes long."""
        if method in SLOW:
            return widgets.result(self.job(saliency.explain, method), ABOUT[method].title)
        digest, picture = self.chosen.digest, self.chosen.picture
        given = None if taps is None else tuple(taps)
        return saliency_maps(self.model.key, digest, self.key, method, given, self.target, self.model, picture)

    def job(self, ask: Callable[..., Task[Any]], method: str) -> Job:
        """As `analyses.saliency_job`, of this picture and target."""
        chosen = self.chosen
        return saliency_job(ask, self.model, chosen.digest, chosen.picture, self.target, self.key, method)

    @property
    def stages(self) -> list[str]:
        """Those that the target depends on."""
        names = list(self.model.network.stage_names)
        return names[: names.index(self.target.stage) + 1] if isinstance(self.target, StageTarget) else names

    @property
    def blocks(self) -> list[str]:
        """Those of these stages."""
        return [name for name, _ in self.model.network.blocks() if name.split(".")[0] in self.stages]


def of_class(model: zoo.Model, chosen: Chosen, index: int | None = None, against: int | None = None) -> Asked:
    return Asked(model, chosen, ClassTarget(index, against), f"class {index} {against}")


def choose_target(model: zoo.Model, chosen: Chosen, predicted: SaliencyMaps | None) -> Asked:
    """predicted: maps for the predicted class, None if the network has no classes."""
    numbered = numbered_classes(model)
    left, right = st.columns(2)
    with left:
        classes = [] if predicted is None else [PREDICTED, *numbered]
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
        return Asked(model, chosen, StageTarget(stage), f"length {stage}")
    if picked == LIKENESS:
        return _choose_other(model, chosen, stage)
    assert predicted is not None  # without classes one of these two was picked
    class_id = None if picked == PREDICTED else numbered.index(picked)
    against = numbered.index(other) if other in numbered else None
    if other == RUNNER_UP and predicted.logits is not None:
        explained = int(predicted.class_ids[0]) if class_id is None else class_id
        against = next((int(index) for index in np.argsort(-predicted.logits[0]) if index != explained), None)
        if against is None:
            raise FeatureError("This network has one class, so there is none to set it against. Choose nothing.")
    explained = int(predicted.class_ids[0]) if class_id is None else class_id
    if against == explained:
        raise FeatureError(f"{numbered[explained]} cannot be set against itself. Choose another class.")
    return of_class(model, chosen, class_id, against)


def _choose_other(model: zoo.Model, chosen: Chosen, stage: str) -> Asked:
    images = sidebar.images()
    if "other" not in st.session_state and "other" not in st.query_params:
        st.session_state["other"] = min(1, len(images) - 1)  # the first is the one that is explained at first
    left, right = st.columns([2, 1])
    with left:
        other = from_set(images, "Number of the other image", "other")
    with right:
        show_image(other)
    if other.digest == chosen.digest:
        st.info("This is the image itself: nothing could make it more alike, so that its maps are zero everywhere.")
    target = StageTarget(stage, framed_picture(model, other.picture), other.name)
    return Asked(model, chosen, target, f"likeness {stage} {other.digest}")


def class_names(model: zoo.Model) -> list[str]:
    return [model.spec.class_name(index) for index in range(model.spec.architecture.classes or 0)]


def numbered_classes(model: zoo.Model) -> list[str]:
    """Class names that differ: ImageNet has two classes called maillot."""
    return [f"{name} ({index})" for index, name in enumerate(class_names(model))]
