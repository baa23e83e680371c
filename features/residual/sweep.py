"""Measures what is lost with lesions, one at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from features.datasets import ImageSet, Rejected, labels
from features.datasets.decoding import Batch, through
from features.devices import device_of
from features.effects import Effects
from features.engine import FastNetwork, forward
from features.errors import FeatureError
from features.networks.canonical import ResidualBlock, ResidualNetwork
from features.networks.zoo import Model
from features.progress import Task
from features.residual.lesions import Lesion, changed_blocks
from features.results import Provenance, finite, provenance
from features.store import FeatureSet

INTACT = -1
Tail = tuple[int, list[ResidualBlock]]  # a lesion's number, and the blocks that follow from the first that it touches


@dataclass(frozen=True, eq=False)
class Sweep:
    """What L lesions do, one at a time, over N images.

    accuracy: (L,) share of images classified rightly, as of `Predictions.correct`; true_probability: (L,) mean
    probability of the true class; both NaN where labels are missing or do not fit the network's classes.
    agreement: (L,) share of images of which the same is predicted as by the intact network.
    cosine: (L,) mean cosine with its features before the classifier. All float64.
    """

    lesions: tuple[Lesion, ...]
    accuracy: np.ndarray
    true_probability: np.ndarray
    agreement: np.ndarray
    cosine: np.ndarray
    intact_accuracy: float
    intact_true_probability: float
    n_images: int
    rejected: tuple[Rejected, ...]
    provenance: Provenance

    def table(self) -> pd.DataFrame:
        """One row per lesion: name, kind, blocks, factor, seed, n_images, and its four numbers, in shares of 1."""
        return pd.DataFrame(
            {
                "lesion": [lesion.name for lesion in self.lesions],
                "kind": [lesion.kind for lesion in self.lesions],
                "blocks": [", ".join(lesion.touched) for lesion in self.lesions],
                "n_blocks": [lesion.n_blocks for lesion in self.lesions],
                "factor": [lesion.factors[0][1] if lesion.factors else np.nan for lesion in self.lesions],
                "seed": pd.array([lesion.seed for lesion in self.lesions], dtype="Int64"),
                "n_images": self.n_images,
                "accuracy": self.accuracy,
                "true_probability": self.true_probability,
                "agreement": self.agreement,
                "cosine": self.cosine,
            }
        )

    @property
    def judged(self) -> bool:
        """Whether the images' labels told how accurate the network is."""
        return not np.isnan(self.intact_accuracy)

    def intact(self) -> dict[str, float]:
        """What the network does without a lesion."""
        return {"accuracy": self.intact_accuracy, "true_probability": self.intact_true_probability}

    def of_kind(self, kind: str) -> "Sweep":
        """The part of the sweep that has lesions of one kind."""
        indices = [index for index, lesion in enumerate(self.lesions) if lesion.kind == kind]
        return replace(
            self,
            lesions=tuple(self.lesions[index] for index in indices),
            **{name: getattr(self, name)[indices] for name in ("accuracy", "true_probability", "agreement", "cosine")},
        )


@dataclass(frozen=True, eq=False)
class Effect:
    """What one lesion does to N images; shares in [0, 1], as in Sweep. Accuracies are NaN where labels are missing."""

    accuracy: float
    intact_accuracy: float
    agreement: float
    cosine: float


def effect(intact: FeatureSet, changed: FeatureSet, matched: labels.Matched) -> Effect:
    """Compare what two networks made of the same images. matched: the labels of the set that was read."""
    said, said_changed = intact.predictions, changed.predictions
    if intact.ids != changed.ids or said is None or said_changed is None:
        raise FeatureError("Two feature sets of the same images by networks with a classifier are compared.")
    *_, last = intact.stages
    one, other = (np.asarray(each.stages[last], np.float64) for each in (intact, changed))  # (N, D)
    sizes = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosines = np.divide((one * other).sum(1), sizes, out=np.zeros(len(one)), where=sizes > 0)
    accuracies = [float("nan")] * 2
    if (truth := matched.at(intact.rows)) is not None:
        accuracies = [float(each.correct(truth).mean()) for each in (said_changed, said)]
    return Effect(accuracies[0], accuracies[1], float(said.same(said_changed).mean()), float(cosines.mean()))


def sweep(model: Model, images: ImageSet, lesions: Sequence[Lesion]) -> Task[Sweep]:
    """Measure every lesion by itself, in fp32; what lies below a lesion is computed once for all.

    Raises DatasetError if no image can be read, FeatureError if there is no lesion or no classifier, a lesion does not
    fit the network, or the intact network puts out NaN.
    """
    model.need_classifier()
    if not lesions:
        raise FeatureError("There are no lesions to measure. Name at least one.")
    network = FastNetwork(model.network, model.spec.preprocessing, torch.float32, device_of(model.network))
    tails = _tails(network, lesions)
    matched = labels.matched(model.spec, images)
    effects, cosine = Effects(len(lesions), model.spec.outputs), np.zeros(len(lesions))

    def work(batch: Batch) -> Iterator[float]:
        features: dict[int, Tensor] = {}
        for index, values in _runs(network, batch.pixels, tails):
            features[index] = values
            yield len(features) / (len(lesions) + 1)
        intact = features.pop(INTACT)
        truth = matched.at(batch.rows)
        targets = None if truth is None else torch.from_numpy(truth).to(device_of(network))
        with torch.inference_mode():
            effects.begin(finite(_logits(network, intact), model), targets)
            for index, values in features.items():
                effects.add(index, _logits(network, values))
                cosine[index] += float(torch.cosine_similarity(values.double(), intact.double(), dim=1).sum())

    rows, rejected = yield from through(model, images, work)
    n_images = len(rows)
    accuracy, probability = (effects.intact / n_images).tolist()
    return Sweep(
        lesions=tuple(lesions),
        accuracy=effects.right / n_images,
        true_probability=effects.probability / n_images,
        agreement=effects.same / n_images,
        cosine=cosine / n_images,
        intact_accuracy=accuracy,
        intact_true_probability=probability,
        n_images=n_images,
        rejected=rejected,
        provenance=provenance(model, images).with_settings(labels_matched=matched.how),
    )


def _tails(network: ResidualNetwork, lesions: Sequence[Lesion]) -> dict[int, list[Tail]]:
    """Number of the first block that is touched -> the lesions that begin there."""
    blocks = dict(network.blocks())
    numbers = {name: number for number, name in enumerate(blocks)}
    tails: dict[int, list[Tail]] = {}
    for index, lesion in enumerate(lesions):
        changed = changed_blocks(blocks, lesion)
        first = min((numbers[name] for name in lesion.touched), default=len(blocks) - 1)
        tails.setdefault(first, []).append((index, changed[first:]))
    return tails


def _runs(network: FastNetwork, pixels: Tensor, tails: dict[int, list[Tail]]) -> Iterator[tuple[int, Tensor]]:
    """Every lesion's index with the features (N, D) that it leads to; INTACT last.

    The intact network is walked once, and every lesion leaves it at the first block that it touches.
    """
    x = _stem(network, pixels)  # (N, C, H, W)
    for number, (_, block) in enumerate(network.blocks()):
        for index, blocks in tails.get(number, ()):
            yield index, _pooled(network, _through(blocks, x))
        x = _through([block], x)
    yield INTACT, _pooled(network, x)


# Not around the loop above: a generator would leave inference mode with whoever it has handed something to.
@torch.inference_mode()
def _stem(network: FastNetwork, pixels: Tensor) -> Tensor:
    return network.stem(pixels.to(device_of(network), memory_format=torch.channels_last))


@torch.inference_mode()
def _through(blocks: Sequence[ResidualBlock], x: Tensor) -> Tensor:
    return forward.through(blocks, x)


@torch.inference_mode()
def _pooled(network: FastNetwork, x: Tensor) -> Tensor:
    return network.pooled(x)  # (N, D)


def _logits(network: ResidualNetwork, features: Tensor) -> Tensor:
    classifier = network.classifier
    assert classifier is not None  # sweep needed it
    return classifier(features)  # (N, K)
