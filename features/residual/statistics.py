"""What every block does to images on their way through: numbers of each image, and of each channel over all images."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.datasets import Rejected
from features.results import Provenance

SHORTCUT, BRANCH, SUM, OUTPUT = "shortcut", "branch", "sum", "output"
PARTS = (SHORTCUT, BRANCH, SUM, OUTPUT)
RATIO, COSINE, KEPT, SPARSITY = "ratio", "cosine", "kept", "sparsity"  # numbers of each image beside its norms
NEAR_ZERO = 0.01  # of a last BatchNorm's scale


@dataclass(frozen=True, eq=False)
class Channels:
    """One block's C channels over all places of all images.

    means, variances: part -> (C,) float64; variances are about the channel's own mean.
    negative: (C,) share in [0, 1] of the sum's values that are below zero.
    sparsity: (C,) share in [0, 1] of the output's values that are zero.
    lowest, highest: (C,) float64, the output's extremes.
    gamma: (C,) float64, the scale of the branch's last BatchNorm; None if it does not end in one.
    class_means: (K, C) float64, the output's mean over the images of each class of the set, NaN for a class without
        images; None without labels.
    class_squared_means, class_variances: part -> (K,) float64, averages over channels as `squared_mean` and `variance`,
        over the images of each class; of the output alone where classes and channels are very many.
    """

    means: Mapping[str, np.ndarray]
    variances: Mapping[str, np.ndarray]
    negative: np.ndarray
    sparsity: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    gamma: np.ndarray | None
    class_means: np.ndarray | None
    class_squared_means: Mapping[str, np.ndarray]
    class_variances: Mapping[str, np.ndarray]

    @property
    def dead(self) -> np.ndarray:
        """(C,) whether a channel is zero everywhere in every image."""
        return self.highest == 0

    @property
    def always_on(self) -> np.ndarray:
        """(C,) whether a channel is above zero everywhere in every image, so that its ReLU does nothing."""
        return self.lowest > 0

    def variance(self, part: str) -> float:
        """The average channel variance (Brock et al. 2021, arXiv:2101.08692)."""
        return float(self.variances[part].mean())

    def squared_mean(self, part: str) -> float:
        """The average channel squared mean (Brock et al. 2021)."""
        return float(np.square(self.means[part]).mean())

    @property
    def covariance(self) -> float:
        """Of shortcut and branch, averaged over channels: variance(sum) = variance(x) + variance(F) + 2 covariance."""
        return (self.variance(SUM) - self.variance(SHORTCUT) - self.variance(BRANCH)) / 2

    @property
    def branch_share(self) -> float:
        """variance(F) / (variance(x) + variance(F)), in [0, 1] (De & Smith 2020, arXiv:2002.10444); NaN if nothing
        varies.
        """
        both = self.variance(SHORTCUT) + self.variance(BRANCH)
        return self.variance(BRANCH) / both if both > 0 else float("nan")

    @property
    def kurtosis(self) -> float:
        """Of the output's root mean squares: mean(s^4) / mean(s^2)^2, from 1 (all alike) to C (one has all).

        He et al. 2024, arXiv:2405.19279; NaN if all channels are dead.
        """
        squares = self.variances[OUTPUT] + np.square(self.means[OUTPUT])  # (C,)
        mean = squares.mean()
        return float(np.square(squares).mean() / mean**2) if mean > 0 else float("nan")

    @property
    def near_zero(self) -> float:
        """How many scales of the last BatchNorm are within 0.01 of zero; NaN if there is none."""
        return float("nan") if self.gamma is None else float((np.abs(self.gamma) < NEAR_ZERO).sum())


@dataclass(frozen=True, eq=False)
class BlockStatistics:
    """What B blocks did on N images, with x the shortcut's output and F the branch's.

    blocks, stages, shortcuts: (B,) names, each block's stage and its kind of shortcut. n_images: all that were read.
    ids: (N,) of the images whose own numbers follow: all, or 100,000 of more, chosen by the digests of their ids.
    labels: (N,) int64 into class_names, or None. class_counts: (K,) how many images were read of each class.
    norms: part -> (N, B) float32, Euclidean norms over C, H, W of one image, of x, F, their sum and the output.
    cosines: (N, B) float32 in [-1, 1], of the angle between F and x: whether a block refines what it is given
        (Greff et al. 2017, arXiv:1612.07771) or turns it; NaN where either is zero.
    kept: (N, B) float32 in [0, 1], the cosine between a block's input and its output; NaN where their shapes differ.
    sparsities: (N, B) float32 in [0, 1], the share of the output's values that are zero.
    means: PARTS, 'ratio', 'cosine', 'kept', 'sparsity' -> (B,) float64, exact means over all images for which it is
        defined. class_means: the same -> (K, B), over those of each class.
    channels: (B,) what each block's channels hold.
    effective_rank: (B,) float64 from 1 to C, the participation ratio of the output's mean over places, over images.
    cka: (B,) float64 in [0, 1], linear CKA between the means over places of a block's input and output.
    class_mean_accuracy: (B,) float64, share of images whose nearest class mean, of the output's mean over places, is
        that of their own class, themselves left out; of at most 1,000 images, chosen by the digest of their ids.
    head_accuracy: (B,) float64, share of images that the network's own head classifies rightly when it is put on the
        block; NaN below the last stage, which the head does not fit. Both are NaN without labels.
    """

    blocks: tuple[str, ...]
    stages: tuple[str, ...]
    shortcuts: tuple[str, ...]
    n_images: int
    ids: tuple[str, ...]
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    class_counts: np.ndarray
    norms: Mapping[str, np.ndarray]
    cosines: np.ndarray
    kept: np.ndarray
    sparsities: np.ndarray
    means: Mapping[str, np.ndarray]
    class_means: Mapping[str, np.ndarray]
    channels: tuple[Channels, ...]
    effective_rank: np.ndarray
    cka: np.ndarray
    class_mean_accuracy: np.ndarray
    head_accuracy: np.ndarray
    rejected: tuple[Rejected, ...]
    provenance: Provenance

    @property
    def labels_matched(self) -> str:
        """How the labels were matched with the network's classes, as `datasets.labels.Matched.how`."""
        return self.provenance.settings["labels_matched"]

    @cached_property
    def ratios(self) -> np.ndarray:
        """(N, B) float32, |F| / |x| (Jastrzebski et al. 2018, arXiv:1710.04773).

        NaN where |x| is zero, as in a plain network.
        """
        branch, shortcut = self.norms[BRANCH], self.norms[SHORTCUT]
        return np.divide(branch, shortcut, out=np.full_like(branch, np.nan), where=shortcut > 0)

    @property
    def negative(self) -> np.ndarray:
        """(B,) share in [0, 1] of the sum's values that are below zero, which the ReLU removes."""
        return np.array([channels.negative.mean() for channels in self.channels])

    @property
    def sparsity(self) -> np.ndarray:
        """(B,) share in [0, 1] of the output's values that are zero."""
        return np.array([channels.sparsity.mean() for channels in self.channels])

    @property
    def dead(self) -> np.ndarray:
        """(B,) channels of the output that are zero everywhere in every image."""
        return np.array([int(channels.dead.sum()) for channels in self.channels])

    @property
    def widths(self) -> np.ndarray:
        """(B,) channels of the output."""
        return np.array([len(channels.negative) for channels in self.channels])
