"""Maps of features, and what is known of them."""

from collections.abc import Sequence

import numpy as np

from features import embed
from features.networks import zoo
from features.store import FeatureSet
from viz.cached.elsewhere import placed
from viz.jobs import Work, kind_of

SECONDS_A_POINT = 0.002  # of UMAP's layout on two cores; the order of magnitude is enough to choose a queue
SECONDS_A_PROBE = 0.001  # an image, of a linear probe


def moved_features(before: FeatureSet, after: FeatureSet, stage: str) -> embed.Moved:
    """Where a stage's features lie and where they go."""
    return embed.moved(before.stages[stage], after.stages[stage])


def maps_work(
    model: zoo.Model, features: FeatureSet, stages: Sequence[str], settings: embed.MapSettings, durable: bool = True
) -> Work:
    """Maps of some stages, laid on each other. durable: whether these may outlive the server."""
    values, provenance = {name: features.stages[name] for name in stages}, features.provenance
    linear = embed.METHODS[settings.method].linear
    work = Work(
        f"maps {_made_of(model, features)} {' '.join(stages)} {settings}",
        lambda: embed.stage_maps(values, settings, provenance),
        kind_of(0 if linear else SECONDS_A_POINT * len(features) * len(stages)),
    )
    attached = {"stages": values, "provenance": provenance}
    return placed(work, "maps", attached, durable, **settings.as_dict())


def reseeded_work(model: zoo.Model, features: FeatureSet, maps: embed.StageMaps, durable: bool = True) -> Work:
    """How far the maps are from those of another seed."""
    values = {name: features.stages[name] for name in maps}
    settings = next(iter(maps.values())).settings
    linear = embed.METHODS[settings.method].linear
    work = Work(
        f"reseeded {_made_of(model, features)} {' '.join(maps)} {settings}",
        lambda: embed.reseeded(values, maps),
        kind_of(0 if linear else SECONDS_A_POINT * len(features) * len(maps)),
    )
    return placed(work, "reseeded", {"stages": values, "maps": maps}, durable)


def separation_work(
    model: zoo.Model, features: FeatureSet, maps: embed.StageMaps, stage: str, durable: bool = True
) -> Work:
    """How a stage's features tell the labels apart, which the images must have one each of."""
    values, graph, labels = features.stages[stage], maps[stage].graph, features.labels
    assert labels is not None  # the page asks for it where there are some
    work = Work(
        f"separation {_made_of(model, features)} {stage} {maps[stage].settings.neighbours}",
        lambda: embed.separation(values, graph, labels, features.class_names),
        kind_of(SECONDS_A_PROBE * min(len(features), 5000)),
    )
    attached = {"features": values, "graph": graph, "labels": labels}
    return placed(work, "separation", attached, durable, class_names=list(features.class_names))


def _made_of(model: zoo.Model, features: FeatureSet) -> str:
    return f"{model.key} {features.provenance.images_digest}"


def rows_in(features: FeatureSet, rows: np.ndarray) -> np.ndarray:
    """(N,) bool: which of the images whose features there are stand among some rows of their set."""
    return np.isin(features.rows, rows)
