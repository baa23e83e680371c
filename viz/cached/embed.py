"""Maps of features."""

from features import embed
from features.networks import zoo
from features.store import FeatureSet
from viz.cached.elsewhere import placed
from viz.jobs import Work, kind_of


def moved_features(before: FeatureSet, after: FeatureSet, stage: str) -> embed.Moved:
    """Where a stage's features lie and where they go."""
    return embed.moved(before.stages[stage], after.stages[stage])


SECONDS_A_POINT = 0.002  # of UMAP's layout on two cores; the order of magnitude is enough to choose a queue


def embed_work(
    model: zoo.Model,
    features: FeatureSet,
    stage: str,
    method: str,
    neighbours: int,
    min_dist: float,
    seed: int,
    durable: bool = True,
) -> Work:
    """A map of one stage's features. durable: whether these may outlive the server."""
    made_of = f"{model.key} {features.provenance.images_digest}"
    values, provenance = features.stages[stage], features.provenance.with_settings(stage=stage)
    work = Work(
        f"embed {made_of} {stage} {method} {neighbours} {min_dist} {seed}",
        lambda: embed.project(values, method, neighbours, min_dist, seed, provenance),
        kind_of(SECONDS_A_POINT * len(features)),
    )
    attached = {"features": values, "provenance": provenance}
    settings = {"method": method, "n_neighbors": neighbours, "min_dist": min_dist, "seed": seed}
    return placed(work, "embed", attached, durable, **settings)
