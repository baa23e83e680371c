"""Shows a network worse pictures and counts how often it stays right."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from features.datasets import ImageSet
from features.datasets.decoding import Batch, through
from features.datasets.labels import Matched, match_labels
from features.devices import device_of
from features.engine import FastNetwork
from features.errors import FeatureError
from features.networks.card import Outputs
from features.networks.zoo import Model
from features.predictions import Predictions, class_logits
from features.progress import Task
from features.results import finite, provenance
from features.robustness.attack import NORMS, Norm, pgd
from features.robustness.corruptions import FAMILIES, Corruption, corrupted, drawing
from features.robustness.results import Attacked, Curve, Robustness
from features.shares import Share

STEPS, STEP = 10, 0.25  # of an attack, which so can cross its ball and come back


def need_pictures(model: Model) -> None:
    """Raise FeatureError for a network whose input is no picture in whole grey levels."""
    channels = model.spec.preprocessing.channels
    if channels not in (1, 3) or model.spec.preprocessing.pixel_type != "uint8":
        raise FeatureError(
            f"Pictures are corrupted in grey levels from 0 to 255, but {model.spec.name} sees {channels} planes of "
            "other values. Choose a network of colours or of grey."
        )


def robustness(
    model: Model, images: ImageSet, families: Sequence[str] = tuple(FAMILIES), way: str | None = None, seed: int = 0
) -> Task[Robustness]:
    """Predict every image as it is and with every corruption at five strengths, in fp32.

    families: of FAMILIES. way: how labels are matched with classes, of `labels.WAYS`; None for what tells most.
    seed: of what is drawn of each image.
    Raises DatasetError if the images have no labels or the labels cannot be matched with the network's classes,
    FeatureError for a family that there is none of, a network of other planes, or one that puts out NaN.
    """
    model.need_classifier()
    need_pictures(model)
    chosen = [FAMILIES.need(name) for name in dict.fromkeys(families)]
    if not chosen:
        raise FeatureError(f"No corruption is named. Name one of {', '.join(FAMILIES)}.")
    matched = match_labels(model.spec, images, way)
    counter = _Counter(model, images, matched)
    side, order = model.spec.preprocessing.crop, model.spec.preprocessing.channel_order
    variants: list[tuple[Corruption, float] | None] = [None]
    variants += [(family, strength) for family in chosen for strength in family.strengths(side)]
    hits = np.zeros(len(variants), np.int64)

    def work(batch: Batch) -> Iterator[float]:
        pixels, names = batch.pixels.numpy(), [images.ids[row] for row in batch.rows]
        for number, variant in enumerate(variants):
            shown = pixels if variant is None else corrupted(pixels, *variant, names, seed, order)
            hits[number] += counter.hits(torch.from_numpy(shown), batch.rows)
            yield (number + 1) / len(variants)

    rows, rejected = yield from through(model, images, work)
    clean, *shares = (Share(int(count), len(rows)) for count in hits)
    curves = [
        Curve(family.name, family.unit, family.strengths(side), tuple(shares[5 * number : 5 * number + 5]))
        for number, family in enumerate(chosen)
    ]
    made_by = provenance(model, images).with_settings(seed=seed)
    return Robustness(model.spec.name, clean, tuple(curves), seed, matched.how, rejected, made_by)


class _Counter:
    """Counts right predictions of the pictures of a set, by a copy of the network that takes pixels."""

    def __init__(self, model: Model, images: ImageSet, matched: Matched) -> None:
        self.model, self.matched, self.device = model, matched, device_of(model.network)
        self.network = FastNetwork(model.network, model.spec.preprocessing, torch.float32, self.device)

    @torch.inference_mode()
    def hits(self, pixels: Tensor, rows: np.ndarray) -> int:
        """pixels: (N, C, S, S) from 0 to 255, uint8 or float32. rows: (N,) of the images."""
        x = pixels.to(self.device, memory_format=torch.channels_last)
        logits = finite(self.network(x), self.model)  # (N, K)
        said = Predictions.of(logits.cpu().numpy(), self.matched.names, self.model.spec.outputs)
        truth = self.matched.truth(rows)
        assert truth is not None  # match_labels found them
        return int(said.correct(truth).sum())


def attacked(
    model: Model,
    images: ImageSet,
    norm: str = "linf",
    epsilons: Sequence[float] = (),
    steps: int = STEPS,
    step: float = STEP,
    way: str | None = None,
    seed: int = 0,
) -> Task[Attacked]:
    """Predict every image at the worst place that an attack comes to within each radius, from a drawn start.

    norm: of NORMS. epsilons: radii of pixels from 0 to 1, () for the usual. step: of each of the steps, as a share of
    the radius. An image counts as right where the picture that the attack ends with is.
    Raises DatasetError and FeatureError as `robustness`, and for labels of which any number holds.
    """
    model.need_classifier()
    need_pictures(model)
    way_of_measuring = NORMS.need(norm)
    radii = (0.0, *sorted(set(epsilons or way_of_measuring.epsilons) - {0.0}))
    if not all(0 <= radius <= 1e4 for radius in radii) or steps < 1 or not 0 < step <= 10:
        raise FeatureError(
            f"An attack has radii above 0, at least 1 step, and steps of up to 10 radii, but got {radii[1:]}, {steps} "
            f"and {step}. Change these."
        )
    matched = match_labels(model.spec, images, way)
    if matched.sets is not None or model.spec.outputs is Outputs.MULTILABEL:
        raise FeatureError(
            f"An attack raises the loss of one class an image, but {images.name} or {model.spec.name} has any number "
            "of labels. Choose images and a network of one class each."
        )
    counter, hits = _Counter(model, images, matched), np.zeros(len(radii), np.int64)

    def work(batch: Batch) -> Iterator[float]:
        pixels = batch.pixels.to(counter.device).float() / 255  # (N, C, S, S)
        start = _start(way_of_measuring, pixels, [images.ids[row] for row in batch.rows], seed)
        truth = torch.as_tensor(matched.truth(batch.rows), device=counter.device)
        for number, radius in enumerate(radii):
            x = pixels
            walk = pgd(partial(_loss, model, truth), pixels, way_of_measuring, radius, steps, step * radius, start)
            for done, moved in enumerate(walk if radius else ()):
                x = moved
                yield (number + done / (steps + 1)) / len(radii)
            hits[number] += counter.hits(x * 255, batch.rows)
        yield 1.0

    rows, rejected = yield from through(model, images, work)
    shares = tuple(Share(int(count), len(rows)) for count in hits)
    made_by = provenance(model, images).with_settings(seed=seed, steps=steps, step=step)
    return Attacked(model.spec.name, norm, radii, shares, steps, step, seed, rejected, made_by)


def _loss(model: Model, truth: Tensor, x: Tensor) -> Tensor:
    """(N,) cross-entropy of pictures x (N, C, S, S) from 0 to 1, with their classes (N,)."""
    logits = finite(model.network(model.spec.preprocessing.scaled(x * 255)), model)
    return cross_entropy(class_logits(logits, model.spec.outputs), truth, reduction="none")


def _start(norm: Norm, pixels: Tensor, ids: Sequence[str], seed: int) -> Tensor:
    """Differences within a radius of 1, drawn of each image by its name."""
    drawn = [drawing(name, norm.name, seed) for name in ids]
    normal = np.stack([each.standard_normal(pixels.shape[1:], np.float32) for each in drawn])  # (N, C, S, S)
    uniform = np.array([each.random() for each in drawn], np.float32)[:, None, None, None]
    return norm.drawn(torch.from_numpy(normal).to(pixels.device), torch.from_numpy(uniform).to(pixels.device))
