"""Measures methods over image sets."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from features.datasets import ImageSet, Rejected
from features.decoding import batches
from features.errors import DatasetError, FeatureError
from features.faithfulness.judging import NOISE, RADIUS, RANDOM, SAMPLES, Judge, random_like
from features.faithfulness.measures import STEPS, Curves, rank_correlation
from features.faithfulness.randomised import drawn_anew
from features.faithfulness.trial import Trial
from features.progress import Progress, Task, finish
from features.saliency import ATTRIBUTIONS, METHODS, ClassTarget, Explainer, SaliencyMaps, Tap, explain


def measure(
    explainer: Explainer,
    images: ImageSet,
    methods: Sequence[str],
    tap: str | None = None,
    steps: int = STEPS,
    seed: int = 0,
    thorough: bool = True,
) -> Task[tuple[Trial, ...]]:
    """One trial a method, over an image set, for the class that is predicted for each image.

    methods: of saliency.METHODS and ATTRIBUTIONS, or 'random' for maps that know nothing. tap: a stage or block, None
    for the last stage; pixel methods are of the input. thorough: whether to measure infidelity, sensitivity and the
    randomisation check, which take most of the time.
    Raises DatasetError if no image can be read, FeatureError as `saliency.explain`.
    """
    explainer.model.need_classifier()
    if not methods:
        raise FeatureError("No method is named. Name at least one.")
    known = (*METHODS, *ATTRIBUTIONS, RANDOM)
    if unknown := [method for method in methods if method not in known]:
        raise FeatureError(f"{unknown[0]!r} cannot be measured. Choose of {', '.join(known)}.")
    found: dict[str, list[Trial]] = {method: [] for method in methods}
    size = max(1, min(16, len(images)))
    rejected: list[Rejected] = []
    done = 0
    randomised = list(drawn_anew(explainer, seed)) if thorough else []
    with closing(batches(images, explainer.model.spec.preprocessing, size)) as stream:
        for batch in stream:
            rejected += batch.rejected
            for method in methods:
                if len(batch.rows):
                    ids = tuple(images.ids[row] for row in batch.rows)
                    # The same draws for every method, so that none depends on which others are measured.
                    drawn = seed + int(batch.rows[0])
                    trial = _trial(explainer, batch.pixels, ids, method, tap, steps, drawn, randomised)
                    found[method].append(trial)
                done += batch.seen
                yield Progress(done, len(images) * len(methods), "image", method)
    if not found[methods[0]]:
        raise DatasetError(f"None of the {len(images)} images could be read; the first: {rejected[0].reason}")
    return tuple(replace(_joined(trials, images), rejected=tuple(rejected)) for trials in found.values())


def _trial(
    explainer: Explainer,
    pixels: Tensor,
    ids: tuple[str, ...],
    method: str,
    tap: str | None,
    steps: int,
    seed: int,
    randomised: Sequence[tuple[str, Explainer]],
) -> Trial:
    found, taps = _maps(explainer, pixels, None, method, tap, seed)
    (place, maps) = next(iter(found.maps.items()))
    judging = Judge(explainer, pixels, found)
    trial = replace(judging.trial(found, place, steps), ids=ids)
    if not randomised:
        return trial
    correlations = {}
    for number, (part, other) in enumerate(randomised, start=1):
        drawn, _ = _maps(other, pixels, found.class_ids, method, tap, seed + number)
        pairs = zip(maps, drawn.maps[place], strict=True)
        correlations[part] = np.array([rank_correlation(one, two) for one, two in pairs])
    return replace(
        trial,
        infidelity=judging.infidelity(maps, seed),
        sensitivity=None if method == RANDOM else judging.sensitivity(method, taps, seed),
        randomised=correlations,
        provenance={**trial.provenance, "seed": seed, "samples": SAMPLES, "noise": NOISE, "radius": RADIUS},
    )


def _maps(
    explainer: Explainer, pixels: Tensor, class_ids: np.ndarray | None, method: str, tap: str | None, seed: int
) -> tuple[SaliencyMaps, Sequence[Tap] | None]:
    """Maps at one tap, for given classes or the predicted ones, and the taps to ask for again."""
    targets = [ClassTarget(None if class_ids is None else int(class_ids[row])) for row in range(len(pixels))]
    taps = [Tap(tap or explainer.network.stage_names[-1])] if method in METHODS or method == RANDOM else None
    if method != RANDOM:
        return finish(explain(explainer, pixels, targets, method, taps)), taps
    found = explainer.maps(pixels, targets, "gradcam", taps)
    return random_like(found, seed), taps


def _joined(trials: Sequence[Trial], images: ImageSet) -> Trial:
    """One trial of the trials of several batches, of which each image counts alike."""
    first = trials[0]

    def joined(values: Callable[[Trial], Any]) -> np.ndarray:
        return np.concatenate([values(trial) for trial in trials])

    return replace(
        first,
        ids=tuple(name for trial in trials for name in trial.ids),
        curves=Curves(first.curves.shares, joined(lambda t: t.curves.deletion), joined(lambda t: t.curves.insertion)),
        full=joined(lambda t: t.full),
        seen=joined(lambda t: t.seen),
        infidelity=None if first.infidelity is None else joined(lambda t: t.infidelity),
        sensitivity=None if first.sensitivity is None else joined(lambda t: t.sensitivity),
        randomised={part: np.concatenate([trial.randomised[part] for trial in trials]) for part in first.randomised},
        provenance={**first.provenance, "images": images.name, "images_digest": images.digest},
    )
