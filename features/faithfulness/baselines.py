"""Maps that know nothing of the network, to compare methods with, and the list of all that can be measured."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from features.progress import Task
from features.registry import Registry
from features.saliency import METHODS, Explainer, Method, Options, SaliencyMaps, Tap, Taps, Target

RANDOM = "random"


def random_like(maps: SaliencyMaps, seed: int) -> SaliencyMaps:
    """Maps of the same shapes that are drawn, uniformly from 0 to 1."""
    generator = np.random.default_rng(seed)
    drawn = {tap: generator.random(values.shape, np.float32) for tap, values in maps.maps.items()}
    return replace(maps, maps=drawn, method=RANDOM)


def _random(
    explainer: Explainer, pixels: Tensor, targets: Sequence[Target], taps: Sequence[Tap] | None, options: Options
) -> Task[SaliencyMaps]:
    return random_like(explainer.maps(pixels, targets, "gradcam", taps), options.seed)
    yield  # a task that is too short to report


BASELINES = Registry(
    "baseline",
    (
        Method(
            name=RANDOM,
            title="random",
            shows="Numbers that are drawn, whatever the image.",
            paper="no paper: drawn numbers",
            run=_random,
            needs=(),
            taps=Taps.ANY,
        ),
    ),
)


def measurable() -> Registry[Method]:
    """Every method whose maps can be measured, baselines last; the ledger's terms are several maps of one score."""
    comparable = [method for method in METHODS.values() if method.comparable]
    return Registry("measurable method", (*comparable, *BASELINES.values()))
