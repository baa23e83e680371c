"""Takes residual branches out of a network, scales or swaps them, and measures what is lost.

Veit, Wilber & Belongie 2016, arXiv:1605.06431.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import comb
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from features import labels
from features.datasets import ImageSet, Rejected
from features.decoding import Batch, through
from features.engine import FastNetwork
from features.errors import FeatureError
from features.extract import finite, provenance
from features.network import NoShortcut, PaddedShortcut, ResidualBlock, ResidualNetwork, device_of, freeze
from features.progress import Task
from features.store import FeatureSet
from features.zoo import Model

WITHOUT, SCALED, RANDOM, SWAPPED = "without", "scaled", "random", "swapped"
KINDS = (WITHOUT, SCALED, RANDOM, SWAPPED)
FACTORS = (-1.0, -0.5, 0.0, 0.5, 1.5, 2.0)
DRAWS = 5


@dataclass(frozen=True)
class Lesion:
    """What is done to a network.

    name: for people. kind: one of KINDS. factors: block -> what its branch is multiplied with, 0 for leaving it out.
    swaps: pairs of blocks that change places. seed: what drew it, None if nothing did.
    """

    name: str
    kind: str
    factors: tuple[tuple[str, float], ...] = ()
    swaps: tuple[tuple[str, str], ...] = ()
    seed: int | None = None

    @property
    def touched(self) -> tuple[str, ...]:
        """The blocks to which something is done."""
        return (*(name for name, _ in self.factors), *(name for pair in self.swaps for name in pair))

    @property
    def n_blocks(self) -> int:
        """How many blocks are touched."""
        return len(self.touched)


def without(*blocks: str) -> Lesion:
    """Leave out the branches of some blocks. In a plain network, which has no shortcuts, they hand on their input."""
    return Lesion(f"without {', '.join(blocks)}", WITHOUT, tuple((block, 0.0) for block in blocks))


def scaled(factor: float, *blocks: str) -> Lesion:
    """Multiply what some blocks' branches add."""
    return Lesion(f"{', '.join(blocks)} times {factor:g}", SCALED, tuple((block, factor) for block in blocks))


def swapped(one: str, other: str) -> Lesion:
    """Have two blocks of the same shape change places."""
    return Lesion(f"{one} and {other} swapped", SWAPPED, swaps=((one, other),))


def each(network: ResidualNetwork) -> tuple[Lesion, ...]:
    """Every block left out in turn."""
    return tuple(without(name) for name, _ in network.blocks())


def scalings(network: ResidualNetwork, factors: Sequence[float] = FACTORS) -> tuple[Lesion, ...]:
    """Every block's branch multiplied with every factor."""
    return tuple(scaled(factor, name) for name, _ in network.blocks() for factor in factors)


def at_random(network: ResidualNetwork, counts: Sequence[int], seeds: Sequence[int]) -> tuple[Lesion, ...]:
    """k blocks left out at a time, for every k of `counts` and every seed; no draw comes twice.

    Where there are fewer ways to choose k blocks than seeds, all of them.
    """
    names = [name for name, _ in network.blocks()]
    if not all(1 <= count <= len(names) for count in counts):
        raise FeatureError(f"There are {len(names)} blocks. Leave out from 1 to {len(names)}, not {list(counts)}.")
    lesions = []
    for count in counts:
        seen: set[tuple[int, ...]] = set()
        for seed in seeds:
            if len(seen) == comb(len(names), count):
                break
            random = np.random.default_rng([seed, count])
            while (drawn := tuple(sorted(random.choice(len(names), count, replace=False).tolist()))) in seen:
                pass
            seen.add(drawn)
            chosen = tuple((names[place], 0.0) for place in drawn)
            lesions.append(Lesion(f"{count} at random, seed {seed}", RANDOM, chosen, seed=seed))
    return tuple(lesions)


def neighbours(network: ResidualNetwork) -> tuple[Lesion, ...]:
    """Every two blocks of one shape that follow each other in a stage, swapped."""
    return tuple(
        swapped(name, next_name)
        for (name, block), (next_name, next_block) in pairwise(network.blocks())
        if _changes_no_shape(block) and _changes_no_shape(next_block) and _stage(name) == _stage(next_name)
    )


def lesions_of(network: ResidualNetwork, kind: str, seed: int = 0) -> tuple[Lesion, ...]:
    """All lesions of a kind; random ones of 1, 2, 4, ... blocks, five times each with seeds from `seed` on.

    Raises FeatureError for a kind that does not exist.
    """
    match kind:
        case "without":
            return each(network)
        case "scaled":
            return scalings(network)
        case "random":
            n_blocks = len(list(network.blocks()))
            counts = [2**power for power in range(n_blocks.bit_length()) if 2**power <= n_blocks]
            return at_random(network, counts, range(seed, seed + DRAWS))
        case "swapped":
            return neighbours(network)
        case _:
            raise FeatureError(f"There are no lesions {kind!r}. Choose of {', '.join(KINDS)}.")


def lesioned(model: Model, lesion: Lesion) -> Model:
    """The same network with a lesion, for any analysis: it shares its parameters with the intact one, which stays so.

    Its key is another, so that nothing that is known of one is taken for the other's.
    Raises FeatureError if a block does not exist, or two that are swapped differ in shape.
    """
    if not lesion.n_blocks:
        return model
    stages: dict[str, list[ResidualBlock]] = {}
    names = [name for name, _ in model.network.blocks()]
    for name, block in zip(names, _blocks(dict(model.network.blocks()), lesion), strict=True):
        stages.setdefault(_stage(name), []).append(block)
    network = freeze(ResidualNetwork(model.network.stem, stages, model.network.head))
    spec = replace(model.spec, name=f"{model.spec.name} {lesion.name}")
    return Model(network, spec, model.digest, lesion.name)


def _stage(block: str) -> str:
    return block.split(".")[0]


def _convolutions(block: ResidualBlock) -> list[nn.Conv2d]:
    return [layer for layer in block.branch if isinstance(layer, nn.Conv2d)]


def _shape(block: ResidualBlock) -> tuple[int, int, int]:
    """Channels in, channels out, stride."""
    layers = _convolutions(block)
    return layers[0].in_channels, layers[-1].out_channels, max(layer.stride[0] for layer in layers)


def _changes_no_shape(block: ResidualBlock) -> bool:
    inputs, outputs, stride = _shape(block)
    return inputs == outputs and stride == 1


def _blocks(blocks: dict[str, ResidualBlock], lesion: Lesion) -> list[ResidualBlock]:
    """The blocks in the order of their places, changed where the lesion touches them."""
    for name in lesion.touched:
        if name not in blocks:
            raise FeatureError(f"There is no block {name}. This network has {', '.join(blocks)}.")
        if not _convolutions(blocks[name]):
            raise FeatureError(f"{name} has been left out before. Name all that is done to a network in one lesion.")
    if len(set(lesion.touched)) < lesion.n_blocks:
        raise FeatureError(f"A block is named more than once in {lesion.name}. Name each once.")
    changed = dict(blocks)
    for one, other in lesion.swaps:
        if _shape(blocks[one]) != _shape(blocks[other]):
            raise FeatureError(f"{one} and {other} differ in shape. Swap blocks that take and give the same.")
        changed[one], changed[other] = changed[other], changed[one]
    for name, factor in lesion.factors:
        changed[name] = _weakened(changed[name], factor)
    return [changed[name] for name in blocks]


def _weakened(block: ResidualBlock, factor: float) -> ResidualBlock:
    """The block with its branch times a factor, on the same parameters."""
    if factor != 0:
        return ResidualBlock(block.shortcut, nn.Sequential(*block.branch, Times(factor)), block.activation)
    inputs, outputs, stride = _shape(block)
    shortcut: nn.Module = block.shortcut
    if block.shortcut_kind == "none":  # without its only path nothing at all would come through
        same = inputs == outputs and stride == 1
        shortcut = nn.Identity() if same else PaddedShortcut(inputs, outputs, stride)
    return ResidualBlock(shortcut, nn.Sequential(NoShortcut(outputs, stride)), block.activation)


class Times(nn.Module):
    """A branch's last layer that makes it larger or smaller."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


@dataclass(frozen=True, eq=False)
class Sweep:
    """What L lesions do, one at a time, over N images.

    accuracy: (L,) share of images classified rightly; true_probability: (L,) mean softmax of the true class; both NaN
    where labels are missing or do not fit the network's classes.
    agreement: (L,) share of images with the same predicted class as in the intact network.
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
    provenance: dict[str, Any]

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
        places = [place for place, lesion in enumerate(self.lesions) if lesion.kind == kind]
        return replace(
            self,
            lesions=tuple(self.lesions[place] for place in places),
            **{name: getattr(self, name)[places] for name in ("accuracy", "true_probability", "agreement", "cosine")},
        )


@dataclass(frozen=True, eq=False)
class Effect:
    """What one lesion does to N images; shares in [0, 1], as in Sweep. Accuracies are NaN where labels are missing."""

    accuracy: float
    intact_accuracy: float
    agreement: float
    cosine: float


def effect(intact: FeatureSet, changed: FeatureSet, classes: np.ndarray | None) -> Effect:
    """Compare what two networks made of the same images.

    classes: the network's class of every image of the set that was read, or None.
    """
    if intact.ids != changed.ids or intact.predictions is None or changed.predictions is None:
        raise FeatureError("Two readings of the same images by networks with a classifier are compared.")
    *_, last = intact.stages
    one, other = (np.asarray(found.stages[last], np.float64) for found in (intact, changed))  # (N, D)
    sizes = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosines = np.divide((one * other).sum(1), sizes, out=np.zeros(len(one)), where=sizes > 0)
    accuracies = [float("nan")] * 2
    if classes is not None:
        right = classes[intact.rows]
        accuracies = [float((found.predictions == right).mean()) for found in (changed, intact)]
    agreement = float((intact.predictions == changed.predictions).mean())
    return Effect(accuracies[0], accuracies[1], agreement, float(cosines.mean()))


def sweep(model: Model, images: ImageSet, lesions: Sequence[Lesion]) -> Task[Sweep]:
    """Measure every lesion by itself, in fp32; what lies below a lesion is computed once for all.

    Raises DatasetError if no image can be read, FeatureError if there is no lesion or no classifier, a lesion does not
    fit the network, or the intact network puts out NaN.
    """
    model.need_classifier()
    if not lesions:
        raise FeatureError("There are no lesions to measure. Name at least one.")
    network = FastNetwork(model.network, model.spec.preprocessing, torch.float32, device_of(model.network))
    plans = _plans(network, lesions)
    matched = labels.matched(model.spec, images)
    sums = _Sums(len(lesions))

    def work(batch: Batch) -> Iterator[float]:
        features: dict[int, Tensor] = {}
        for number, found in _runs(network, batch.pixels, plans):
            features[number] = found
            yield len(features) / (len(lesions) + 1)
        intact = features.pop(INTACT)
        targets = None if matched is None else torch.from_numpy(matched.classes[batch.rows]).to(device_of(network))
        with torch.inference_mode():
            sums.begin(finite(_logits(network, intact), model), intact, targets)
            for number, found in features.items():
                sums.add(number, _logits(network, found), found)

    rows, rejected = yield from through(model, images, work)
    made = provenance(model, images) | {"labels_matched": labels.how(matched)}
    return sums.result(tuple(lesions), len(rows), rejected, made)


INTACT = -1
Plan = tuple[int, list[ResidualBlock]]  # a lesion's number, and the blocks that follow from the first that it touches


def _plans(network: ResidualNetwork, lesions: Sequence[Lesion]) -> dict[int, list[Plan]]:
    """Place of the first block that is touched -> the lesions that begin there."""
    blocks = dict(network.blocks())
    places = {name: place for place, name in enumerate(blocks)}
    plans: dict[int, list[Plan]] = {}
    for number, lesion in enumerate(lesions):
        changed = _blocks(blocks, lesion)
        first = min((places[name] for name in lesion.touched), default=len(blocks) - 1)
        plans.setdefault(first, []).append((number, changed[first:]))
    return plans


def _runs(network: FastNetwork, pixels: Tensor, plans: dict[int, list[Plan]]) -> Iterator[tuple[int, Tensor]]:
    """Every lesion's number with the features (N, D) that it leads to; INTACT last."""
    x = _applied([network.stem], pixels.to(device_of(network), memory_format=torch.channels_last))
    for place, (_, block) in enumerate(network.blocks()):
        for number, rest in plans.get(place, ()):
            yield number, _applied(rest, x).mean((2, 3))
        x = _applied([block], x)
    yield INTACT, x.mean((2, 3))


@torch.inference_mode()
def _applied(parts: Sequence[nn.Module], x: Tensor) -> Tensor:
    # Not around the caller's loop: a generator would leave its mode with whoever it has handed something to.
    for part in parts:
        x = part(x)
    return x


def _logits(network: ResidualNetwork, features: Tensor) -> Tensor:
    classifier = network.classifier
    assert classifier is not None  # sweep needed it
    return classifier(features)  # (N, K)


class _Sums:
    """Sums over images, in float64, for each of L lesions."""

    def __init__(self, n_lesions: int) -> None:
        self.right, self.probability, self.same, self.cosine = np.zeros((4, n_lesions))
        self.intact = np.zeros(2)

    def begin(self, logits: Tensor, features: Tensor, targets: Tensor | None) -> None:
        """What the intact network makes of a batch."""
        self.predicted, self.features, self.targets = logits.argmax(1), features, targets
        self.intact += self._right(logits)

    def _right(self, logits: Tensor) -> np.ndarray:
        """How many are right, and their true classes' probabilities in all."""
        if self.targets is None:
            return np.full(2, np.nan)
        probabilities = logits.double().softmax(1).gather(1, self.targets[:, None])
        return np.array([int((logits.argmax(1) == self.targets).sum()), float(probabilities.sum())])

    def add(self, place: int, logits: Tensor, features: Tensor) -> None:
        right, probability = self._right(logits)
        self.right[place] += right
        self.probability[place] += probability
        self.same[place] += int((logits.argmax(1) == self.predicted).sum())
        cosines = torch.cosine_similarity(features.double(), self.features.double(), dim=1)
        self.cosine[place] += float(cosines.sum())

    def result(
        self, lesions: tuple[Lesion, ...], n: int, rejected: tuple[Rejected, ...], made: dict[str, Any]
    ) -> Sweep:
        accuracy, probability = (float(value) / n for value in self.intact)
        return Sweep(
            lesions, self.right / n, self.probability / n, self.same / n, self.cosine / n, accuracy, probability, n,
            rejected, made,
        )  # fmt: skip
