"""Compares two networks' features by a measure: pair by pair of matrices, or all layers with all layers."""

from dataclasses import asdict, dataclass, replace

import numpy as np

from features.errors import FeatureError
from features.progress import Progress, Task, finish
from features.similarity.hsic import LEAST_IMAGES
from features.similarity.layers import Layers, checked, need_images, need_same_set
from features.similarity.measures import MEASURES, Measure
from features.similarity.table import LEVEL, Similarity, chance_of


@dataclass(frozen=True)
class Resampling:
    """How chance and intervals are told: permutations of images, half-samples of them, 0 for neither; their seed."""

    permutations: int = 20
    half_samples: int = 0
    seed: int = 0


def similarity(x: np.ndarray, y: np.ndarray, measure: str = "cka") -> float:
    """How alike features x (N, D) and y (N, E) of the same images are, in the measure's range; of all N images.

    Raises FeatureError for another number of images, fewer than 4, values that are not finite, features that are the
    same for all images, or, by unbiased CKA, such as make all pairs of images alike.
    """
    chosen = MEASURES.need(measure)
    checked(x, "The first")
    checked(y, "The second")
    if len(x) != len(y):
        raise FeatureError(
            f"The same images are compared, but got {len(x)} and {len(y)} rows. Extract both from one image set."
        )
    need_images(len(x))
    value = chosen.compare(chosen.prepare(x), chosen.prepare(y))
    if np.isnan(value):
        raise FeatureError(
            f"{chosen.title} has no value: one of the two has the same features for all images, or images of which "
            "every pair is as alike as any other. Features that vary are needed: choose another layer or more images."
        )
    return value


def compared(
    left: Layers, right: Layers, measure: str = "cka", resampling: Resampling | None = None
) -> Task[Similarity]:
    """Every layer of one network with every layer of another, of all images or a sample of `most_images` of them.

    Raises FeatureError for other images, fewer than 4, or features that are no finite rows.
    """
    chosen, settings = MEASURES.need(measure), resampling or Resampling()
    need_same_set(left, right)
    need_images(len(left.ids))
    rows = sample(len(left.ids), chosen.most_images, settings.seed)
    n_halves = settings.half_samples if len(rows) >= 2 * LEAST_IMAGES else 0
    values, shuffled = yield from _values(chosen, left, right, rows, settings)
    low = high = np.full(values.shape, np.nan)
    if n_halves:
        halves = np.empty((n_halves, *values.shape))
        for number, half in enumerate(half_samples(rows, n_halves, settings.seed)):
            yield Progress(number, n_halves, "sample", f"interval of {chosen.title}")
            halves[number], _ = finish(_values(chosen, left, right, half, replace(settings, permutations=0)))
        low, high = interval(values, halves, chosen)
    chance, limit, p_values = chance_of(values, shuffled, chosen.is_distance)
    made = {"measure": chosen.name, "n_images": len(rows), **asdict(settings)}
    return Similarity(
        measure=chosen.name,
        rows=left.names,
        columns=right.names,
        values=values,
        low=low,
        high=high,
        chance=chance,
        chance_limit=limit,
        p_values=p_values,
        n_images=len(rows),
        left=left.provenance.with_settings(**made),
        right=right.provenance.with_settings(**made),
    )


def sample(n_images: int, most: int, seed: int) -> np.ndarray:
    """(M,) rows, ascending: all, or `most` of more at random."""
    if n_images <= most:
        return np.arange(n_images)
    return np.sort(np.random.default_rng(seed).permutation(n_images)[:most])


def half_samples(rows: np.ndarray, count: int, seed: int) -> list[np.ndarray]:
    """Halves (M // 2,) of rows (M,) at random, without any twice.

    Samples with replacement would hold copies of images, which are alike in every network and each other's neighbours:
    all measures would come out too near. Halves spread as the whole does about the truth (Shao & Wu 1989,
    doi:10.1214/aos/1176347263: the jackknife that deletes d of n, with d = n / 2, whose factor (n - d) / d is 1).
    """
    rng = np.random.default_rng(seed)
    return [np.sort(rng.permutation(rows)[: len(rows) // 2]) for _ in range(count)]


def interval(values: np.ndarray, halves: np.ndarray, measure: Measure) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval (R, C) each of values (R, C) by those (S, R, C) of half-samples, within the measure's range.

    Deviations are taken about the halves' own mean: of half the images a biased measure is another one.
    """
    deviations = halves - halves.mean(axis=0)
    low, high = np.quantile(deviations, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    bounds = measure.lowest, measure.highest
    return np.clip(values + low, *bounds), np.clip(values + high, *bounds)


def _values(
    measure: Measure, left: Layers, right: Layers, rows: np.ndarray, settings: Resampling
) -> Task[tuple[np.ndarray, np.ndarray]]:
    """Of images (M,): the values (R, C), and those of permutations (P, R, C)."""
    steps = len(left.names) * (1 + settings.permutations)
    yield Progress(0, steps, "layer", measure.title)
    ones = [measure.prepare(left.rows(name, rows)) for name in left.names]
    others = ones if left is right else [measure.prepare(right.rows(name, rows)) for name in right.names]
    rng = np.random.default_rng(settings.seed)
    tables = np.empty((1 + settings.permutations, len(ones), len(others)))
    for number, table in enumerate(tables):
        order = rng.permutation(len(rows))
        moved = [other.permuted(order) for other in others] if number else others
        for row, one in enumerate(ones):
            table[row] = [measure.compare(one, other) for other in moved]
            yield Progress(number * len(ones) + row + 1, steps, "layer", measure.title)
    return tables[0], tables[1:]
