"""Measures methods over image sets."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from features.datasets import ImageSet, Rejected
from features.datasets.decoding import batches
from features.errors import DatasetError, FeatureError
from features.faithfulness.baselines import BASELINES, measurable
from features.faithfulness.metrics import STEPS, Curves, rank_correlations
from features.faithfulness.of_maps import NOISE, RADIUS, SAMPLES, MapMetrics
from features.faithfulness.randomisation import drawn_anew
from features.faithfulness.trial import Trial
from features.progress import Progress, Task, finish
from features.saliency import ClassTarget, Explainer, Options, SaliencyMaps, Tap, Taps


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

    methods: of `measurable`. tap: a stage or block, None for the last stage; pixel methods are of the input. thorough:
    whether to measure infidelity, sensitivity and the randomisation check, which take most of the time.
    Raises DatasetError if no image can be read, FeatureError as `saliency.explain`.
    """
    explainer.model.need_classifier()
    if not methods:
        raise FeatureError("No method is named. Name at least one.")
    known = measurable()
    methods = tuple(dict.fromkeys(known.need(method).name for method in methods))
    trials_of: dict[str, list[Trial]] = {method: [] for method in methods}
    size = max(1, min(16, len(images)))
    rejected: list[Rejected] = []
    done, total = 0, len(images) * len(methods)
    preprocessing, device = explainer.model.spec.preprocessing, str(explainer.device)
    with closing(batches(images, preprocessing, size, device=device)) as stream:
        for batch in stream:
            rejected += batch.rejected
            if not len(batch.rows):
                done += batch.seen * len(methods)
                continue
            ids = tuple(images.ids[row] for row in batch.rows)
            # The same draws for every method, so that none depends on which others are measured.
            draw = _Draw(batch.pixels, tap, seed + int(batch.rows[0]))
            measured: list[tuple[Trial, SaliencyMaps]] = []
            for method in methods:
                trial, maps = _trial(explainer, draw, method, steps, thorough)
                measured.append((replace(trial, ids=ids), maps))
                trials_of[method].append(measured[-1][0])
                done += batch.seen
                yield Progress(done, total, "image", method)
            if thorough:
                for part in _randomise(explainer, draw, measured, seed):
                    yield Progress(done, total, "image", f"{part} drawn anew")
    if not trials_of[methods[0]]:
        raise DatasetError(f"None of the {len(images)} images could be read; the first: {rejected[0].reason}")
    return tuple(replace(_joined(trials, images), rejected=tuple(rejected)) for trials in trials_of.values())


@dataclass(frozen=True, eq=False)
class _Draw:
    """Images (N, C, H, W) whose maps are compared at one place, and the seed of all that is drawn for them."""

    pixels: Tensor
    tap: str | None
    seed: int

    def maps(
        self, explainer: Explainer, method: str, class_ids: np.ndarray | None = None, number: int = 0
    ) -> tuple[SaliencyMaps, Sequence[Tap] | None]:
        """Maps for given classes or the predicted ones, and the taps to ask for again. number: of draws before."""
        targets = [ClassTarget(None if class_ids is None else int(class_ids[row])) for row in range(len(self.pixels))]
        chosen = measurable().need(method)
        taps = None if chosen.taps is Taps.INPUT else [Tap(self.tap or explainer.network.stage_names[-1])]
        return finish(chosen.run(explainer, self.pixels, targets, taps, Options(seed=self.seed + number))), taps


def _trial(explainer: Explainer, draw: _Draw, method: str, steps: int, thorough: bool) -> tuple[Trial, SaliencyMaps]:
    """What is measured of a method's maps with the intact network, and these."""
    maps, taps = draw.maps(explainer, method)
    ((tap, values),) = maps.maps.items()
    metrics = MapMetrics(explainer, draw.pixels, maps)
    trial = metrics.trial(maps, tap, steps)
    if not thorough:
        return trial, maps
    settings = {"seed": draw.seed, "samples": SAMPLES, "noise": NOISE, "radius": RADIUS}
    measured = replace(
        trial,
        infidelity=metrics.infidelity(values, draw.seed),
        sensitivity=None if method in BASELINES else metrics.sensitivity(method, taps, draw.seed),
        provenance=trial.provenance.with_settings(**settings),
    )
    return measured, maps


def _randomise(
    explainer: Explainer, draw: _Draw, measured: Sequence[tuple[Trial, SaliencyMaps]], seed: int
) -> Iterator[str]:
    """Add the randomisation check to trials, given with their maps; each part is named before it is measured."""
    # One such network at a time: they are as large as the intact one.
    for part, other in drawn_anew(explainer, seed):
        yield part
        for trial, maps in measured:
            trial.randomised[part] = _correlations(maps, other, draw, len(trial.randomised) + 1)


def _correlations(own: SaliencyMaps, other: Explainer, draw: _Draw, number: int) -> np.ndarray:
    """(N,) of maps with those of another network, for the classes that the first one predicts."""
    drawn, _ = draw.maps(other, own.method, own.class_ids, number)
    ((tap, values),) = own.maps.items()
    return rank_correlations(values, drawn.maps[tap])


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
        provenance=replace(first.provenance, images=images.name, images_digest=images.digest),
    )
