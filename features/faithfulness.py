"""Says how far to trust maps: what becomes of the prediction without, or with only, what they point at."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from features.datasets import ImageSet, Rejected
from features.errors import DatasetError, FeatureError
from features.extract import batches
from features.progress import Progress, Task, finish
from features.saliency import METHODS, ClassTarget, Explainer, SaliencyMaps, Tap, explain

STEPS = 32
AT_ONCE = 32
RANDOM = "random"  # a map that knows nothing, to compare with
NOISE, RADIUS, SAMPLES = 0.2, 0.02, 10  # of the scaled input

Score = Callable[[Tensor], Tensor]  # (N, C, H, W) -> (N,)


@dataclass(frozen=True, eq=False)
class Curves:
    """What a score does while pixels change, the most important ones first (Petsiuk et al. 2018, arXiv:1806.07421).

    shares: (S + 1,) of the pixels, from 0 to 1. deletion: (N, S + 1), the score while pixels are taken away: a good map
    makes it fall at once. insertion: (N, S + 1), while they are given back: a good map makes it rise at once.
    """

    shares: np.ndarray
    deletion: np.ndarray
    insertion: np.ndarray

    @property
    def deletion_auc(self) -> np.ndarray:
        """(N,) the area under each deletion curve by the trapezoid rule; small is good."""
        return np.trapezoid(self.deletion, self.shares, axis=1)

    @property
    def insertion_auc(self) -> np.ndarray:
        """(N,) the area under each insertion curve; large is good."""
        return np.trapezoid(self.insertion, self.shares, axis=1)


@dataclass(frozen=True, eq=False)
class Trial:
    """How one method's maps of one network did on N images, for the class that is predicted for each.

    curves: of the class's probability; pixels come in the order of the signed map. full, seen: (N,) its probability for
    the image, and for it seen through what is positive in the map.
    infidelity, sensitivity: (N,) of captum's metrics (Yeh et al. 2019, arXiv:1901.09392); NaN if not measured.
    randomised: (part, mean rank correlation) of maps with those of networks whose parts are drawn anew, one after
    another from the head down (Adebayo et al. 2018, arXiv:1810.03292); empty where not measured.
    """

    model: str
    method: str
    tap: str
    ids: tuple[str, ...]
    curves: Curves
    full: np.ndarray
    seen: np.ndarray
    infidelity: np.ndarray
    sensitivity: np.ndarray
    randomised: tuple[tuple[str, float], ...]
    provenance: dict[str, Any]

    @property
    def drop(self) -> np.ndarray:
        """(N,) in [0, 1], the lost share of the probability (Chattopadhay et al. 2018, arXiv:1710.11063); 0 of none."""
        lost = np.clip(self.full - self.seen, 0, None)
        return np.divide(lost, self.full, out=np.zeros_like(lost), where=self.full > 0)

    @property
    def increased(self) -> np.ndarray:
        """(N,) bool, whether the probability is higher seen through the map."""
        return self.seen > self.full

    def summary(self) -> dict[str, Any]:
        """One row of a table: means over the images."""
        return {
            "model": self.model,
            "method": self.method,
            "tap": self.tap,
            "n_images": len(self.full),
            "deletion_auc": float(self.curves.deletion_auc.mean()),
            "insertion_auc": float(self.curves.insertion_auc.mean()),
            "average_drop": float(self.drop.mean()),
            "average_increase": float(self.increased.mean()),
            "infidelity": float(self.infidelity.mean()),
            "sensitivity": float(self.sensitivity.mean()),
            **{f"rank_correlation_without_{part}": value for part, value in self.randomised},
        }


def table(trials: Sequence[Trial]) -> pd.DataFrame:
    """One row a trial, without columns that nothing was measured for."""
    return pd.DataFrame([trial.summary() for trial in trials]).dropna(axis=1, how="all")


# --- single measures --------------------------------------------------------------------------------------------------


def curves(score: Score, pixels: Tensor, nothing: Tensor, blurred: Tensor, maps: Tensor, steps: int = STEPS) -> Curves:
    """Deletion and insertion, in `steps` equal steps.

    pixels, nothing, blurred: (N, C, H, W); deletion goes from `pixels` to `nothing`, insertion from
    `blurred` to `pixels`.
    maps: (N, H, W), importance. Of equally important pixels the upper left one comes first.
    Raises FeatureError if the sizes differ or there is no step.
    """
    count = maps[0].numel() if len(maps) else 0
    if maps.shape != (len(pixels), *pixels.shape[2:]) or steps < 1:
        raise FeatureError(
            f"Wanted maps of shape {(len(pixels), *pixels.shape[2:])} and at least one step, but got "
            f"{tuple(maps.shape)} and {steps}. Enlarge the maps to the image."
        )
    order = maps.flatten(1).argsort(dim=1, descending=True, stable=True)  # (N, H W)
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(count, device=order.device).expand_as(order))
    rank = rank.reshape(maps.shape)[:, None]  # (N, 1, H, W)
    changed = [round(step * count / steps) for step in range(steps + 1)]
    deletion = [score(torch.where(rank < number, nothing, pixels)) for number in changed]
    insertion = [score(torch.where(rank < number, pixels, blurred)) for number in changed]
    shares = np.array(changed) / max(1, count)
    return Curves(shares, *(torch.stack(kind, 1).double().cpu().numpy() for kind in (deletion, insertion)))


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's, of two maps of one shape; NaN if either is constant, which has no ranks."""
    from scipy.stats import rankdata

    first, second = (rankdata(values.ravel()) - (values.size + 1) / 2 for values in (one, other))
    size = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / size) if size > 0 else float("nan")


def enlarged(maps: np.ndarray, size: Sequence[int]) -> Tensor:
    """Maps (N, h, w) at (N, H, W), bilinearly."""
    values = torch.from_numpy(np.ascontiguousarray(maps, dtype=np.float32))[:, None]
    return functional.interpolate(values, tuple(size), mode="bilinear", align_corners=False)[:, 0]


def shown_through(pixels: Tensor, nothing: Tensor, maps: Tensor) -> Tensor:
    """Images (N, C, H, W) seen through maps (N, H, W): as they are at a map's maximum, `nothing` at 0 and below."""
    top = maps.amax((1, 2), keepdim=True)
    light = torch.where(top > 0, maps.clamp(min=0) / top, torch.zeros_like(maps))[:, None]
    return nothing + light * (pixels - nothing)


# --- a network's maps -------------------------------------------------------------------------------------------------


class _Judge:
    """Measures maps of a batch of images for given classes. pixels: (N, C, H, W) uint8."""

    def __init__(self, explainer: Explainer, pixels: Tensor, class_ids: np.ndarray) -> None:
        from torchvision.transforms.functional import gaussian_blur  # seconds to import, so only here

        self.explainer, self.pixels = explainer, pixels.float()
        self.classes = torch.from_numpy(class_ids)
        self.nothing = explainer.mean_colour.cpu().expand_as(self.pixels).contiguous()  # the network's zero
        side = min(pixels.shape[2:])
        # As in the paper at 224 pixels: 11 wide, sigma 5. Small images need no less to be made unrecognisable.
        width = min(max(11, 11 * side // 224 // 2 * 2 + 1), 2 * side - 1)
        self.blurred = gaussian_blur(self.pixels, [width, width], [5 * width / 11] * 2)

    def probability(self, pixels: Tensor) -> Tensor:
        """(N,) of each image's class, or (N k,) of k versions of each image in a row."""
        classes = self.classes.repeat_interleave(len(pixels) // max(1, len(self.classes)))
        found = [self.explainer.logits(piece).cpu() for piece in pixels.split(AT_ONCE)]
        return torch.cat(found).softmax(1).gather(1, classes[:, None])[:, 0]

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
            found = infidelity(score, disturb, x, large, n_perturb_samples=SAMPLES, normalize=True)
        return found.numpy()

    def sensitivity(self, method: str, taps: Sequence[Tap] | None, seed: int) -> np.ndarray:
        """(N,) the largest relative change of a map when the scaled input moves by at most RADIUS."""
        from captum.metrics import sensitivity_max

        generator = torch.Generator().manual_seed(seed)

        def disturb(x: Tensor) -> Tensor:
            return x + RADIUS * (2 * torch.rand(x.shape, generator=generator) - 1)

        def maps(inputs: Tensor | tuple[Tensor]) -> tuple[Tensor]:
            x = inputs[0] if isinstance(inputs, tuple) else inputs  # captum passes now one, now the other
            each = len(x) // len(self.classes)
            targets = [ClassTarget(int(index)) for index in self.classes for _ in range(each)]
            found = finish(explain(self.explainer, self._levels(x), targets, method, taps))
            return (torch.from_numpy(next(iter(found.maps.values()))),)

        with torch.no_grad():
            return sensitivity_max(maps, self._scaled(), disturb, n_perturb_samples=SAMPLES).numpy()

    def _scaled(self) -> Tensor:
        return self.explainer.model.spec.preprocessing.scaled(self.pixels.to(torch.uint8))

    def _levels(self, x: Tensor) -> Tensor:
        preprocessing = self.explainer.model.spec.preprocessing
        mean, std = (torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
        return (x * std + mean) * 255


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
    found: dict[str, list[Trial]] = {method: [] for method in methods}
    size = max(1, min(16, len(images)))
    rejected: list[Rejected] = []
    done = 0
    randomised = list(_drawn_anew(explainer, seed)) if thorough else []
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
    return tuple(_joined(trials, images) for trials in found.values())


def judge(explainer: Explainer, pixels: Tensor, found: SaliencyMaps, tap: Tap, steps: int = STEPS) -> Trial:
    """Curves and what is seen through maps that were made of these pixels (N, C, H, W) uint8, for their classes."""
    return _judged(_Judge(explainer, pixels, found.class_ids), found, tap, steps)


def _judged(judge: _Judge, found: SaliencyMaps, tap: Tap, steps: int) -> Trial:
    maps = found.maps[tap]
    unknown = np.full(len(judge.pixels), np.nan)
    return Trial(
        model=judge.explainer.model.spec.name,
        method=found.method,
        tap=tap.name,
        ids=tuple(map(str, range(len(judge.pixels)))),
        curves=judge.curves(maps, steps),
        full=judge.probability(judge.pixels).numpy(),
        seen=judge.seen(maps),
        infidelity=unknown,
        sensitivity=unknown,
        randomised=(),
        provenance={**found.provenance, "steps": steps},
    )


def judge_all(
    explainer: Explainer, pixels: Tensor, maps: Sequence[SaliencyMaps], steps: int = STEPS, seed: int = 0
) -> Task[tuple[Trial, ...]]:
    """`judge` of every map that was made of these pixels, and of a random one of the last map's resolution.

    With infidelity, and with sensitivity where the method is a formula, so that its maps are quickly made again.
    """
    wanted = [(found, tap) for found in maps for tap in found.maps]
    last, tap = wanted[-1]
    noise = np.random.default_rng(seed).random(last.maps[tap].shape, np.float32)
    wanted.append((replace(last, maps={tap: noise}, method=RANDOM), tap))
    trials = []
    for done, (found, tap) in enumerate(wanted):
        yield Progress(done, len(wanted), "map", tap.name)
        judging = _Judge(explainer, pixels, found.class_ids)
        trial = replace(_judged(judging, found, tap, steps), infidelity=judging.infidelity(found.maps[tap], seed))
        if found.method in METHODS and METHODS[found.method].weights is not None:
            trial = replace(trial, sensitivity=judging.sensitivity(found.method, [tap], seed))
        trials.append(trial)
    return tuple(trials)


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
    judging = _Judge(explainer, pixels, found.class_ids)
    trial = replace(_judged(judging, found, place, steps), ids=ids)
    if not randomised:
        return trial
    correlations = []
    for part, other in randomised:
        drawn, _ = _maps(other, pixels, found.class_ids, method, tap, seed + 1)
        pairs = zip(maps, drawn.maps[place], strict=True)
        correlations.append((part, float(np.mean([rank_correlation(one, two) for one, two in pairs]))))
    known = method != RANDOM
    return replace(
        trial,
        infidelity=judging.infidelity(maps, seed),
        sensitivity=judging.sensitivity(method, taps, seed) if known else trial.sensitivity,
        randomised=tuple(correlations),
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
    random = np.random.default_rng(seed)
    noise = {place: random.random(values.shape, np.float32) for place, values in found.maps.items()}
    return replace(found, maps=noise, method=RANDOM), taps


def _drawn_anew(explainer: Explainer, seed: int) -> Iterator[tuple[str, Explainer]]:
    """Networks whose head, then last stage, ..., then stem are drawn anew, each with all that was drawn before.

    Every parameter becomes a draw from the normal distribution with its mean and standard deviation.
    """
    model = explainer.model
    network = copy.deepcopy(model.network)
    generator = torch.Generator().manual_seed(seed)
    stages: list[tuple[str, nn.Module]] = [(name, network.stages[name]) for name in reversed(network.stage_names)]
    for name, part in (("head", network.head), *stages, ("stem", network.stem)):
        with torch.no_grad():
            for parameter in part.parameters():
                spread = parameter.std(unbiased=False).item()
                drawn = torch.randn(parameter.shape, generator=generator) * spread + parameter.mean().item()
                parameter.copy_(drawn)
        changed = replace(model, network=copy.deepcopy(network), variant=f"drawn anew down to {name}")
        yield name, Explainer(changed, explainer.precision)


def _joined(trials: Sequence[Trial], images: ImageSet) -> Trial:
    """One trial of the trials of several batches, of which each image counts alike."""
    weights = np.array([len(trial.full) for trial in trials])
    first = trials[0]

    def joined(values: Callable[[Trial], np.ndarray]) -> np.ndarray:
        return np.concatenate([values(trial) for trial in trials])

    correlations = [
        (part, float(np.average([trial.randomised[place][1] for trial in trials], weights=weights)))
        for place, (part, _) in enumerate(first.randomised)
    ]
    return replace(
        first,
        ids=tuple(name for trial in trials for name in trial.ids),
        curves=Curves(first.curves.shares, joined(lambda t: t.curves.deletion), joined(lambda t: t.curves.insertion)),
        full=joined(lambda t: t.full),
        seen=joined(lambda t: t.seen),
        infidelity=joined(lambda t: t.infidelity),
        sensitivity=joined(lambda t: t.sensitivity),
        randomised=tuple(correlations),
        provenance={**first.provenance, "images": images.name, "images_digest": images.digest},
    )
