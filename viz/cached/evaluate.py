"""How far a network can be relied on: scores, retrieval by its features, novelty of other images."""

import numpy as np

from features import evaluate
from features.datasets import ImageSet
from features.networks import zoo
from features.store import FeatureSet
from viz.cached.elsewhere import placed
from viz.cached.estimates import queue_of
from viz.jobs import Work, kind_of

SECONDS_A_PAIR = 1e-7  # and stage, of retrieval on two cores; the order of magnitude is enough to choose a queue
SECONDS_A_SCORE = 0.003  # an image and stage, of novelty


def evaluation_work(model: zoo.Model, images: ImageSet, way: str | None) -> Work:
    """Scores of all images. way: how labels are matched with classes, None for what tells most."""
    key = f"evaluation {model.key} {images.digest} {way}"
    work = Work(key, lambda: evaluate.evaluate(model, images, way), queue_of(model, images))
    return placed(work, "evaluation", model=model, images=images, way=way)


def retrieval_work(model: zoo.Model, features: FeatureSet, durable: bool = True) -> Work:
    """Retrieval by every stage's features, whose images have labels. durable: whether these may outlive the server."""
    labels = labels_of(features)
    assert labels is not None  # the page asks for it where there are some
    stages = dict(features.stages)
    work = Work(
        f"retrieval {model.key} {features.provenance.images_digest}",
        lambda: evaluate.retrieval(stages, labels),
        kind_of(SECONDS_A_PAIR * len(features) ** 2 * len(stages)),
    )
    return placed(work, "retrieval", {"stages": stages, "labels": labels}, durable)


def novelty_work(model: zoo.Model, known: FeatureSet, others: FeatureSet, durable: bool = True) -> Work:
    """How the others are told from known images."""
    work = Work(
        f"novelty {model.key} {known.provenance.images_digest} {others.provenance.images_digest}",
        lambda: evaluate.novelty(known, others),
        kind_of(SECONDS_A_SCORE * (len(known) + len(others)) * len(known.stages)),
    )
    return placed(work, "novelty", {"known": known, "others": others}, durable)


def labels_of(features: FeatureSet) -> np.ndarray | None:
    """(N,) int64, or (N, K) bool where images have any number of labels; None without labels."""
    return features.labels if features.label_sets is None else features.label_sets
