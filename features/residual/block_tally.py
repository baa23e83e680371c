"""Sums over what one block did to a set of images."""

import numpy as np
import torch
from torch import Tensor, nn

from features.engine.forward import Step
from features.networks.canonical import ResidualBlock
from features.networks.zoo import Model
from features.residual.moments import Comoments, MapMoments, Moments, by_place, map_moments, pieces
from features.residual.statistics import (
    BRANCH,
    COSINE,
    KEPT,
    OUTPUT,
    PARTS,
    RATIO,
    SHORTCUT,
    SPARSITY,
    SUM,
    Channels,
)
from features.results import finite

CLASS_VALUES = 1 << 25  # class means of the parts before the ReLU are kept up to 256 MB of them


class BlockTally:
    """What one block did to the images so far."""

    def __init__(self, block: ResidualBlock, n_classes: int, n_blocks: int, device: torch.device) -> None:
        self.kind = block.shortcut_kind
        last = block.branch[-1]
        self.gamma = last.weight.detach().double().cpu().numpy() if isinstance(last, nn.BatchNorm2d) else None
        self.n_classes, self.n_blocks, self.device = n_classes, n_blocks, device
        self._empty = True

    def _begin(self, width: int, width_before: int) -> None:
        self.moments = {part: Moments(width, self.device) for part in PARTS}
        self.features = Comoments(width, width, self.device)  # of the output's mean over places with itself
        self.step = Comoments(width_before, width, self.device)  # of the input's with it
        self.negative = torch.zeros(width, dtype=torch.float64, device=self.device)
        self.positive = torch.zeros_like(self.negative)
        self.lowest = torch.full_like(self.negative, torch.inf)
        self.highest = torch.full_like(self.negative, -torch.inf)
        few = self.n_classes * width <= CLASS_VALUES // (3 * self.n_blocks)
        self.class_sums = {
            part: torch.zeros(self.n_classes, width, dtype=torch.float64, device=self.device)
            for part in (PARTS if few else (OUTPUT,))
        }
        self.class_squares = torch.zeros(len(PARTS), self.n_classes, dtype=torch.float64, device=self.device)
        self._empty = False

    def add(
        self, step: Step, x: Tensor, before: MapMoments, given: np.ndarray | None, model: Model
    ) -> tuple[MapMoments, dict[str, np.ndarray]]:
        """Add what the block made of a batch. step: with its parts; x: its input, (N, C, H, W), with its moments.

        given: (N,) the images' labels. Returns the moments of its output, and each image's numbers by name, (N,)
        float32.
        """
        assert step.parts is not None  # the walk kept them
        shortcut, branch, total = step.parts
        output = step.output
        maps = {SHORTCUT: by_place(shortcut), BRANCH: by_place(branch), SUM: by_place(total), OUTPUT: by_place(output)}
        moments = {part: map_moments(values) for part, values in maps.items()}
        # NaN stands for an absent shortcut in the result, so it must not come from elsewhere.
        finite(moments[SHORTCUT].norms + moments[BRANCH].norms, model)
        if self._empty:
            self._begin(total.shape[1], x.shape[1])
        for part, values in moments.items():
            self.moments[part].add(values)
        pooled = moments[OUTPUT].mean  # (N, C)
        self.features.add(pooled, pooled)
        self.step.add(before.mean, pooled)
        if given is not None:
            rows = torch.from_numpy(given).to(pooled.device)
            for part, sums in self.class_sums.items():
                sums.index_add_(0, rows, moments[part].mean)
            for squares, part in zip(self.class_squares, PARTS, strict=True):
                squares.index_add_(0, rows, moments[part].squares.mean(1) / moments[part].places)
        numbers = {part: values.norms for part, values in moments.items()}
        numbers[RATIO] = torch.where(numbers[SHORTCUT] > 0, numbers[BRANCH] / numbers[SHORTCUT], torch.nan)
        numbers[COSINE] = _cosine(maps[SHORTCUT], maps[BRANCH], moments[SHORTCUT], moments[BRANCH])
        numbers[KEPT] = torch.full_like(numbers[RATIO], torch.nan)
        if x.shape == output.shape:
            numbers[KEPT] = _cosine(by_place(x), maps[OUTPUT], before, moments[OUTPUT])
        numbers[SPARSITY] = self._count(maps[SUM], maps[OUTPUT])
        return moments[OUTPUT], {name: values.float().cpu().numpy() for name, values in numbers.items()}

    def _count(self, total: Tensor, output: Tensor) -> Tensor:
        """Signs and extremes of (N, P, C); returns each image's share of zeros in the output, (N,)."""
        positive = []
        for sums, outputs in pieces(total, output):
            self.negative -= sums.clamp_max(0).sign_().sum((0, 1))
            positive.append(outputs.sign().sum(1))  # (n, C)
            self.lowest = torch.minimum(self.lowest, outputs.amin((0, 1)))
            self.highest = torch.maximum(self.highest, outputs.amax((0, 1)))
        counts = torch.cat(positive).double()  # (N, C)
        self.positive += counts.sum(0)
        return 1 - counts.sum(1) / output[0].numel()

    def merge(self, other: "BlockTally") -> None:
        if self._empty:
            self._begin(other.step.products.shape[1], other.step.products.shape[0])
        for part in PARTS:
            self.moments[part].merge(other.moments[part])
        self.features.merge(other.features)
        self.step.merge(other.step)
        self.negative += other.negative.to(self.device)
        self.positive += other.positive.to(self.device)
        self.lowest = torch.minimum(self.lowest, other.lowest.to(self.device))
        self.highest = torch.maximum(self.highest, other.highest.to(self.device))
        for part, sums in self.class_sums.items():
            sums += other.class_sums[part].to(self.device)
        self.class_squares += other.class_squares.to(self.device)

    def channels(self, class_counts: np.ndarray) -> Channels:
        """class_counts: (K,) images of each class."""
        n = self.moments[SUM].n
        counts = np.where(class_counts > 0, class_counts, np.nan)  # (K,)
        means = {part: sums.cpu().numpy() / counts[:, None] for part, sums in self.class_sums.items()}
        squares = dict(zip(PARTS, self.class_squares.cpu().numpy() / counts, strict=True))
        squared_means = {part: np.square(values).mean(1) for part, values in means.items()}
        return Channels(
            means={part: moments.mean.cpu().numpy() for part, moments in self.moments.items()},
            variances={part: moments.variance.cpu().numpy() for part, moments in self.moments.items()},
            negative=self.negative.cpu().numpy() / n,
            sparsity=1 - self.positive.cpu().numpy() / n,
            lowest=self.lowest.cpu().numpy(),
            highest=self.highest.cpu().numpy(),
            gamma=self.gamma,
            class_means=means[OUTPUT] if self.n_classes else None,
            class_squared_means=squared_means,
            class_variances={part: squares[part] - values for part, values in squared_means.items()},
        )


def _cosine(x: Tensor, y: Tensor, of_x: MapMoments, of_y: MapMoments) -> Tensor:
    """(N,) float64 in [-1, 1], of the angle between maps (N, P, C); NaN where either is zero."""
    products = torch.cat([(one * other).sum(1) for one, other in pieces(x, y)]).double().sum(1)  # (N,)
    sizes = of_x.norms * of_y.norms
    return torch.where(sizes > 0, products / sizes, torch.nan).clamp(-1, 1)
