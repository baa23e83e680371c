"""Maps of features."""

from features import embed
from features.networks import zoo
from features.store import FeatureSet
from viz.cached.server import ask
from viz.jobs import Job, Work, kind_of


def moved_features(before: FeatureSet, after: FeatureSet, stage: str) -> embed.Moved:
    """Where a stage's features lie and where they go."""
    return embed.moved(before.stages[stage], after.stages[stage])


SECONDS_A_POINT = 0.002  # of UMAP's layout on two cores; the order of magnitude is enough to choose a queue


def embed_job(
    model: zoo.Model, features: FeatureSet, stage: str, method: str, neighbours: int, min_dist: float, seed: int
) -> Job:
    """A map of one stage's features."""
    made_of = f"{model.key} {features.provenance.images_digest}"
    return ask(
        Work(
            f"embed {made_of} {stage} {method} {neighbours} {min_dist} {seed}",
            lambda: embed.project(
                features.stages[stage],
                method,
                neighbours,
                min_dist,
                seed,
                features.provenance.with_settings(stage=stage),
            ),
            kind_of(SECONDS_A_POINT * len(features)),
        )
    )
