"""Measures maps that are there, by what the network makes of images without, or with only, what they point at."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from features.faithfulness.baselines import random_like
from features.faithfulness.metrics import STEPS, Curves, curves, enlarged, shown_through
from features.faithfulness.trial import Trial
from features.predictions import class_probabilities
from features.progress import Progress, Task, finish
from features.saliency import METHODS, ClassTarget, Explainer, SaliencyMaps, Tap, explain

AT_ONCE = 32
NOISE, RADIUS, SAMPLES = 0.2, 0.02, 10  # of the scaled input


class MapMetrics:
    """The metrics of maps of a batch of images, made for `explained`: by the probability of the class, also where it
    was explained against another. pixels: (N, C, H, W) uint8.
    """

    def __init__(self, explainer: Explainer, pixels: Tensor, explained: SaliencyMaps) -> None:
        from torchvision.transforms.functional import gaussian_blur  # seconds to import, so only here

        self.explainer, self.pixels = explainer, pixels.float()
        self.classes = torch.from_numpy(explained.class_ids)
        self.targets = [
            ClassTarget(index, None if against < 0 else against)
            for index, against in zip(explained.class_ids.tolist(), explained.against_ids.tolist(), strict=True)
        ]
        self.nothing = explainer.mean_colour.cpu().expand_as(self.pixels).contiguous()  # the network's zero
        side = min(pixels.shape[2:])
        # As in the paper at 224 pixels: 11 wide, sigma 5. Small images need no less to be made unrecognisable.
        width = min(max(11, 11 * side // 224 // 2 * 2 + 1), 2 * side - 1)
        self.blurred = gaussian_blur(self.pixels, [width, width], [5 * width / 11] * 2)

    def trial(self, maps: SaliencyMaps, tap: Tap, steps: int) -> Trial:
        """Curves and what is seen through maps of these images."""
        values = maps.maps[tap]
        return Trial(
            model=self.explainer.model.spec.name,
            method=maps.method,
            tap=tap.name,
            ids=tuple(map(str, range(len(self.pixels)))),
            curves=self.curves(values, steps),
            full=self.probability(self.pixels).numpy(),
            seen=self.seen(values),
            infidelity=None,
            sensitivity=None,
            randomised={},
            provenance=maps.provenance.with_settings(steps=steps),
        )

    def probability(self, pixels: Tensor) -> Tensor:
        """(N,) of each image's class, or (N k,) of k versions of each image in a row."""
        classes = self.classes.repeat_interleave(len(pixels) // max(1, len(self.classes)))
        logits = [self.explainer.logits(piece).cpu() for piece in pixels.split(AT_ONCE)]
        chances = class_probabilities(torch.cat(logits), self.explainer.model.spec.outputs)  # (N k, K)
        return chances.gather(1, classes[:, None])[:, 0]

    def curves(self, maps: np.ndarray, steps: int) -> Curves:
        large = enlarged(maps, self.pixels.shape[2:])
        return curves(self.probability, self.pixels, self.nothing, self.blurred, large, steps)

    def seen(self, maps: np.ndarray) -> np.ndarray:
        through = shown_through(self.pixels, self.nothing, enlarged(maps, self.pixels.shape[2:]))
        return self.probability(through).numpy()

    def infidelity(self, maps: np.ndarray, seed: int) -> np.ndarray:
        """(N,) with the factor that suits each map best, since maps have no unit; NOISE on the scaled input."""
        from captum.metrics import infidelity

        generator = torch.Generator().manual_seed(seed)

        def disturb(x: Tensor) -> tuple[Tensor, Tensor]:
            noise = NOISE * torch.randn(x.shape, generator=generator)
            return noise, x - noise

        def score(x: Tensor) -> Tensor:
            return self.probability(self._levels(x))

        x = self._scaled()
        large = enlarged(maps, x.shape[2:])[:, None].expand_as(x).contiguous()
        with torch.no_grad():
            return infidelity(score, disturb, x, large, n_perturb_samples=SAMPLES, normalize=True).numpy()

    def sensitivity(self, method: str, taps: Sequence[Tap] | None, seed: int) -> np.ndarray:
        """(N,) the largest relative change of a map when the scaled input moves by at most RADIUS."""
        from captum.metrics import sensitivity_max

        generator = torch.Generator().manual_seed(seed)

        def disturb(x: Tensor) -> Tensor:
            return x + RADIUS * (2 * torch.rand(x.shape, generator=generator) - 1)

        def maps(inputs: Tensor | tuple[Tensor]) -> tuple[Tensor]:
            x = inputs[0] if isinstance(inputs, tuple) else inputs  # captum passes now one, now the other
            each = len(x) // len(self.targets)
            targets = [target for target in self.targets for _ in range(each)]
            again = finish(explain(self.explainer, self._levels(x), targets, method, taps))
            return (torch.from_numpy(next(iter(again.maps.values()))),)

        with torch.no_grad():
            return sensitivity_max(maps, self._scaled(), disturb, n_perturb_samples=SAMPLES).numpy()

    def _scaled(self) -> Tensor:
        return self.explainer.model.spec.preprocessing.scaled(self.pixels.to(torch.uint8))

    def _levels(self, x: Tensor) -> Tensor:
        preprocessing = self.explainer.model.spec.preprocessing
        mean, std = (torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
        return (x * std + mean) * 255


def trial_of(explainer: Explainer, pixels: Tensor, maps: SaliencyMaps, tap: Tap, steps: int = STEPS) -> Trial:
    """Curves and what is seen through maps that were made of these pixels (N, C, H, W) uint8, for their classes."""
    return MapMetrics(explainer, pixels, maps).trial(maps, tap, steps)


def measure_maps(
    explainer: Explainer, pixels: Tensor, maps: Sequence[SaliencyMaps], steps: int = STEPS, seed: int = 0
) -> Task[tuple[Trial, ...]]:
    """`trial_of` every map that was made of these pixels, and of a random one of the last map's resolution.

    With infidelity, and with sensitivity where the method is a formula, so that its maps are quickly made again.
    """
    wanted = [(each, tap) for each in maps for tap in each.maps]
    last, tap = wanted[-1]
    wanted.append((random_like(replace(last, maps={tap: last.maps[tap]}), seed), tap))
    trials = []
    for done, (each, tap) in enumerate(wanted):
        yield Progress(done, len(wanted), "map", tap.name)
        metrics = MapMetrics(explainer, pixels, each)
        trial = replace(metrics.trial(each, tap, steps), infidelity=metrics.infidelity(each.maps[tap], seed))
        if each.method in METHODS and METHODS[each.method].weights is not None:
            trial = replace(trial, sensitivity=metrics.sensitivity(each.method, [tap], seed))
        trials.append(trial)
    return tuple(trials)
