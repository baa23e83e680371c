"""How much gradient flows through paths of each length: a network of n blocks is a bundle of 2^n paths.

Veit, Wilber & Belongie 2016, arXiv:1605.06431, section 4 and figure 6.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import comb

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from features.datasets import ImageSet, Rejected, labels
from features.datasets.decoding import Batch, batch_size, through
from features.devices import device_of
from features.engine import FastNetwork, forward
from features.engine.backward import back, through_activation, through_branch, through_pool, through_shortcut
from features.errors import FeatureError
from features.networks.zoo import Model
from features.predictions import class_logits, class_probabilities, decisions, one_class
from features.progress import Task
from features.results import Provenance, finite, provenance

DRAWS = 30
ALL = 10  # blocks up to which every single path is followed
PATH_IMAGES = 32  # enough for a mean over images, since every one takes part in all paths


@dataclass(frozen=True, eq=False)
class Paths:
    """The paths through n blocks: each block is passed through its branch (which counts) or its shortcut.

    lengths: (n + 1,) from 0 to n. share: (n + 1,) of all 2^n paths, the binomial distribution.
    single: (n + 1,) float64, the gradient's norm at the first block's input along a single path of each length, a mean
        over images and paths. spread: (n + 1,) its standard deviation over paths. followed: (n + 1,) how many paths of
        each length were followed: all of them in networks of up to 10 blocks, so that `single` is exact there.
    together: (n + 1,) float64, mean over images of the norm of the sum of the gradients along all paths of a length:
        exact, nothing is drawn, and what cancels out is gone.
    """

    lengths: np.ndarray
    share: np.ndarray
    single: np.ndarray
    spread: np.ndarray
    followed: np.ndarray
    together: np.ndarray
    n_images: int
    rejected: tuple[Rejected, ...]
    settings: dict[str, int]
    provenance: Provenance

    @property
    def error(self) -> np.ndarray:
        """(n + 1,) the standard error of `single`, 0 where all paths of a length were followed."""
        every = np.array([comb(int(self.lengths[-1]), length) for length in self.lengths.tolist()], np.float64)
        return np.where(self.followed >= every, 0, self.spread / np.sqrt(self.followed))

    @property
    def flow(self) -> np.ndarray:
        """(n + 1,) the share of the gradient through paths of each length: their number times a single one's mean."""
        return self._shares(self.share * self.single)

    @property
    def flow_error(self) -> np.ndarray:
        """(n + 1,) the standard error of `flow`, its normalisation taken as given."""
        total = float((self.share * self.single).sum())
        return self.share * self.error / total if total > 0 else np.full(len(self.share), np.nan)

    @property
    def together_share(self) -> np.ndarray:
        """(n + 1,) each length's part of the summed norms of `together`."""
        return self._shares(self.together)

    def _shares(self, values: np.ndarray) -> np.ndarray:
        return values / values.sum() if values.sum() > 0 else np.full(len(values), np.nan)

    def table(self) -> pd.DataFrame:
        """One row per length; norms in units of the loss per unit of the first block's input, shares of 1."""
        return pd.DataFrame(
            {
                "length": self.lengths,
                "path_share": self.share,
                "paths_followed": self.followed,
                "single_mean": self.single,
                "single_sd": self.spread,
                "single_error": self.error,
                "flow": self.flow,
                "flow_error": self.flow_error,
                "together": self.together,
                "together_share": self.together_share,
            }
        )


def need_paths(model: Model) -> None:
    """Raises FeatureError for a plain network, through which one path leads, and for one without a classifier."""
    model.need_classifier()
    if any(block.shortcut_kind == "none" for _, block in model.network.blocks()):
        raise FeatureError(f"{model.spec.name} has no shortcuts, so only one path leads through it.")


def paths(model: Model, images: ImageSet, draws: int = DRAWS, seed: int = 0) -> Task[Paths]:
    """Measure the gradient of the loss with respect to the first block's input along paths of every length, in fp32.

    The loss is the cross-entropy of the true class, or of the predicted one where labels are missing or do not fit; of
    a network that predicts any number of labels, the sum of the cross-entropies of all.
    draws: single paths of each length, drawn without repeats, where there are more than 10 blocks and more such paths.
    Every image takes part in all; take a sample of a large set.
    Raises FeatureError as `need_paths` and for fewer than 2 draws, DatasetError if no image can be read.
    """
    need_paths(model)
    if draws < 2:
        raise FeatureError(f"Got {draws} draws. Draw at least 2 paths of each length.")
    network = FastNetwork(model.network, model.spec.preprocessing, torch.float32, device_of(model.network))
    n_blocks = len(list(network.blocks()))
    routes = _routes(n_blocks, draws, seed)
    lengths = np.array([sum(route) for route in routes])
    matched = labels.matched(model.spec, images)
    norms, together = np.zeros(len(routes)), np.zeros(n_blocks + 1)

    def work(batch: Batch) -> Iterator[float]:
        truth = matched.at(batch.rows)
        targets = None if truth is None else torch.from_numpy(truth)
        trip = _Trip(network, batch.pixels, targets, model)
        together[:] += trip.together()
        for done, (number, norm) in enumerate(trip.along(routes), start=1):
            norms[number] += norm
            yield done / len(routes)

    size = max(1, batch_size(model.spec.preprocessing) // 8)  # every layer's input is kept, and n + 1 gradients go back
    rows, rejected = yield from through(model, images, work, size)
    norms /= len(rows)
    every = np.arange(n_blocks + 1)
    of_length = [norms[lengths == length] for length in every]
    return Paths(
        lengths=every,
        share=np.array([comb(n_blocks, length) / 2**n_blocks for length in every.tolist()]),
        single=np.array([values.mean() for values in of_length]),
        spread=np.array([values.std(ddof=1) if len(values) > 1 else 0.0 for values in of_length]),
        followed=np.array([len(values) for values in of_length]),
        together=together / len(rows),
        n_images=len(rows),
        rejected=rejected,
        settings={"draws": draws, "seed": seed},
        provenance=provenance(model, images),
    )


Route = tuple[bool, ...]  # from the last block to the first: whether its branch is taken


def _routes(n_blocks: int, draws: int, seed: int) -> list[Route]:
    """Single paths in the order of a walk through their tree: all of them, or some of each length."""
    if n_blocks <= ALL:
        return list(product((False, True), repeat=n_blocks))
    random = np.random.default_rng(seed)
    chosen: set[Route] = set()
    for length in range(n_blocks + 1):
        wanted = len(chosen) + min(draws, comb(n_blocks, length))
        while len(chosen) < wanted:
            branches = set(random.choice(n_blocks, length, replace=False).tolist())
            chosen.add(tuple(block in branches for block in range(n_blocks)))
    return sorted(chosen)


class _Trip:
    """A batch that was taken forward through a network, from which gradients go back on either side of every block."""

    def __init__(
        self,
        network: FastNetwork,
        pixels: Tensor,
        targets: Tensor | None,
        model: Model,
    ) -> None:
        device = device_of(network)
        with torch.inference_mode():
            x = network.stem(pixels.to(device, memory_format=torch.channels_last))
            self.steps = list(forward.steps(network.blocks(), x, lambda index: forward.INPUTS))
            x = self.steps[-1].output  # (N, C, H, W)
            classifier = network.classifier
            assert classifier is not None  # `need_paths` needed it
            features = network.pooled(x)  # (N, D)
            raw = finite(classifier(features), model)  # (N, K)
            outputs = model.spec.outputs
            logits = class_logits(raw, outputs).double()
            n_classes = logits.shape[1]
            true = decisions(logits, outputs) if targets is None else one_class(targets.to(device), n_classes)  # (N, K)
            slope = class_probabilities(logits, outputs) - true.double()  # (N, K), of a softmax or of sigmoids
            slope = slope[:, -raw.shape[1] :]  # one logit is that of the second class
            if isinstance(classifier, nn.Linear):
                slope = (slope @ classifier.weight.double()).float()  # (N, D)
            else:
                slope = back(classifier, features, slope.float())
            self.start = through_pool(network.pool, network.neck(x), slope).expand(x.shape)  # (N, C, H, W)
            if len(network.neck):
                self.start = back(network.neck, x, self.start)

    def along(self, routes: Sequence[Route]) -> Iterator[tuple[int, float]]:
        """Each route's number with the sum over images of the gradient's norm along it.

        Routes that begin alike share what they have in common, if they follow each other.
        """
        trail: list[Tensor] = [self.start]
        before: Route = ()
        for number, route in enumerate(routes):
            common = next((at for at, (one, other) in enumerate(zip(route, before, strict=False)) if one != other), 0)
            del trail[common + 1 :]
            with torch.inference_mode():
                for depth in range(common, len(route)):
                    trail.append(self._back(depth, trail[-1], route[depth]))
                norm = _size(trail[-1])
            before = route
            yield number, norm

    def _back(self, depth: int, gradient: Tensor, takes_branch: bool) -> Tensor:
        """The gradient below a block, counted from the last, on one side of it."""
        step = self.steps[-1 - depth]
        side = through_branch if takes_branch else through_shortcut
        return side(step.block, step.inputs, through_activation(step, gradient.clone()))

    @torch.inference_mode()
    def together(self) -> np.ndarray:
        """(n + 1,) sums over images of the norms of the gradients summed over all paths of each length."""
        gradients = [self.start]  # by the number of branches passed so far
        for depth in range(len(self.steps)):
            over = [self._back(depth, gradient, False) for gradient in gradients]
            passed = [self._back(depth, gradient, True) for gradient in gradients]
            gradients = [over[0], *(one + other for one, other in zip(over[1:], passed[:-1], strict=True)), passed[-1]]
        return np.array([_size(gradient) for gradient in gradients])


def _size(gradient: Tensor) -> float:
    """The sum over images of the norms of (N, C, H, W)."""
    return float(gradient.flatten(1).norm(dim=1).double().sum())
