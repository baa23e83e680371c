"""Branch statistics as tables: one row per block, per channel, and per class and block."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features.residual.statistics import COSINE, KEPT, PARTS, RATIO, SPARSITY, BlockStatistics

if TYPE_CHECKING:
    from features.residual.sweep import Sweep


def blocks(statistics: BlockStatistics, sweep: "Sweep | None" = None) -> pd.DataFrame:
    """One row per block.

    stage, block, shortcut, n_images; ratio_*: |F| / |x| over images, without a unit; cosine_*: of F and x, in [-1, 1];
    norm_*: Euclidean norms of a part over C, H, W: mean, p05, median and
    p95 over images; branch_share, sparsity, negative_share: shares in [0, 1];
    *_variance, *_squared_mean: averages over channels, in the square of the activations' unit; covariance: of x and F;
    channels, dead_channels, always_on_channels, near_zero_gammas: counts; gamma_mean: of the absolute scale of the last
    BatchNorm; kurtosis: of the channels' sizes, from 1 to C; effective_rank: from 1 to C; kept_mean: cosine of input
    and output; cka: of input and output; class_mean_accuracy, head_accuracy: shares in [0, 1].
    sweep: of lesions, among which every block was left out; then also accuracy_without, true_probability_without,
    agreement_without and cosine_without, and accuracy_lost, each in shares of 1. NaN where something is not defined.
    """
    by_block = statistics.channels
    low, middle, high = _percentiles(statistics.ratios, (5, 50, 95))
    cosine_low, cosine_middle, cosine_high = _percentiles(statistics.cosines, (5, 50, 95))
    columns = {
        "stage": statistics.stages,
        "block": statistics.blocks,
        "shortcut": statistics.shortcuts,
        "n_images": statistics.n_images,
        "ratio_mean": statistics.means[RATIO],
        "ratio_median": middle,
        "ratio_p05": low,
        "ratio_p95": high,
        "cosine_mean": statistics.means[COSINE],
        "cosine_median": cosine_middle,
        "cosine_p05": cosine_low,
        "cosine_p95": cosine_high,
        **_norms(statistics),
        "branch_share": [channels.branch_share for channels in by_block],
        **{f"{part}_variance": [channels.variance(part) for channels in by_block] for part in PARTS},
        "covariance": [channels.covariance for channels in by_block],
        **{f"{part}_squared_mean": [channels.squared_mean(part) for channels in by_block] for part in PARTS},
        "sparsity": statistics.sparsity,
        "negative_share": statistics.negative,
        "channels": statistics.widths,
        "dead_channels": statistics.dead,
        "always_on_channels": [int(channels.always_on.sum()) for channels in by_block],
        "near_zero_gammas": [channels.near_zero for channels in by_block],
        "gamma_mean": [np.nan if channels.gamma is None else np.abs(channels.gamma).mean() for channels in by_block],
        "kurtosis": [channels.kurtosis for channels in by_block],
        "effective_rank": statistics.effective_rank,
        "kept_mean": statistics.means[KEPT],
        "cka": statistics.cka,
        "class_mean_accuracy": statistics.class_mean_accuracy,
        "head_accuracy": statistics.head_accuracy,
    }
    without = None if sweep is None else sweep.of_kind("without")
    left_out = () if without is None else tuple(lesion.factors for lesion in without.lesions)
    if without is not None and left_out == tuple(((block, 0.0),) for block in statistics.blocks):
        columns |= {
            "accuracy_without": without.accuracy,
            "accuracy_lost": without.intact_accuracy - without.accuracy,
            "true_probability_without": without.true_probability,
            "agreement_without": without.agreement,
            "cosine_without": without.cosine,
        }
    return pd.DataFrame(columns)


def channels(statistics: BlockStatistics) -> pd.DataFrame:
    """One row per channel of every block.

    stage, block, channel; <part>_mean and <part>_variance over places and images; negative_share, sparsity in [0, 1];
    lowest, highest: the output's extremes; dead, always_on; gamma: of the last BatchNorm, NaN without one.
    """
    tables = []
    for stage, block, numbers in zip(statistics.stages, statistics.blocks, statistics.channels, strict=True):
        columns = {"stage": stage, "block": block, "channel": np.arange(len(numbers.negative))}
        columns |= {f"{part}_mean": numbers.means[part] for part in PARTS}
        columns |= {f"{part}_variance": numbers.variances[part] for part in PARTS}
        tables.append(
            pd.DataFrame(
                columns
                | {
                    "negative_share": numbers.negative,
                    "sparsity": numbers.sparsity,
                    "lowest": numbers.lowest,
                    "highest": numbers.highest,
                    "dead": numbers.dead,
                    "always_on": numbers.always_on,
                    "gamma": np.full(len(numbers.negative), np.nan) if numbers.gamma is None else numbers.gamma,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def classes(statistics: BlockStatistics) -> pd.DataFrame:
    """One row per class of the set that has images, and block; no row without labels.

    class, stage, block, n_images; norm_<part>, ratio_*, cosine_mean, sparsity: as in `blocks`, over the images of the
    class; branch_share, <part>_variance, <part>_squared_mean: as in `blocks`, within the class; output_means: list of C
    float32, the output's mean over places in each channel.
    """
    rows = []
    means = statistics.class_means
    for number, name in enumerate(statistics.class_names):
        if statistics.labels is None or not statistics.class_counts[number]:
            continue
        ratios = statistics.ratios[statistics.labels == number]
        columns = {
            "class": name,
            "stage": statistics.stages,
            "block": statistics.blocks,
            "n_images": int(statistics.class_counts[number]),
            **{f"norm_{part}": means[part][number] for part in PARTS},
            "ratio_mean": means[RATIO][number],
            **dict(zip(("ratio_p05", "ratio_median", "ratio_p95"), _percentiles(ratios, (5, 50, 95)), strict=True)),
            "cosine_mean": means[COSINE][number],
            "sparsity": means[SPARSITY][number],
            **_class_variances(statistics, number),
            "output_means": [
                numbers.class_means[number].astype(np.float32)
                for numbers in statistics.channels
                if numbers.class_means is not None
            ],
        }
        rows.append(pd.DataFrame(columns))
    names = ["class", "stage", "block", "n_images", *(f"norm_{part}" for part in PARTS)]
    names += ["ratio_mean", "ratio_p05", "ratio_median", "ratio_p95", "cosine_mean", "sparsity", "branch_share"]
    names += [f"{part}_{number}" for part in PARTS for number in ("variance", "squared_mean")] + ["output_means"]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame({name: [] for name in names})


def _class_variances(statistics: BlockStatistics, number: int) -> dict[str, np.ndarray]:
    """NaN for parts of which nothing was kept."""
    unknown = np.full(len(statistics.class_names), np.nan)
    variances = {}
    for part in PARTS:
        for name, values in (("variance", "class_variances"), ("squared_mean", "class_squared_means")):
            kept = [getattr(channels, values).get(part, unknown)[number] for channels in statistics.channels]
            variances[f"{part}_{name}"] = np.array(kept)
    both = variances["shortcut_variance"] + variances["branch_variance"]
    share = np.divide(variances["branch_variance"], both, out=np.full(len(both), np.nan), where=both > 0)
    return {"branch_share": share, **variances}


def _norms(statistics: BlockStatistics) -> dict[str, np.ndarray]:
    columns: dict[str, np.ndarray] = {}
    for part in PARTS:
        low, middle, high = _percentiles(statistics.norms[part], (5, 50, 95))
        columns |= {f"norm_{part}": statistics.means[part], f"norm_{part}_p05": low}
        columns |= {f"norm_{part}_median": middle, f"norm_{part}_p95": high}
    return columns


def _percentiles(values: np.ndarray, percentages: tuple[float, ...]) -> np.ndarray:
    """(P, B) percentiles over images of (N, B) without NaN; NaN for a column that has nothing else."""
    percentiles = np.full((len(percentages), values.shape[1]), np.nan)
    known = ~np.isnan(values).all(0)  # (B,)
    if known.any():
        percentiles[:, known] = np.nanpercentile(values[:, known], percentages, axis=0)
    return percentiles
