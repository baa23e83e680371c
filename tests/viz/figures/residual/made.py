"""Branch statistics made by hand, whose percentiles can be counted."""

import numpy as np

from features.residual import BRANCH, OUTPUT, PARTS, SHORTCUT, SUM, BlockStatistics, Channels
from features.results import Provenance

BLOCKS = ("layer1.0", "layer1.1", "layer2.0", "layer2.1", "layer3.0")
STAGES = ("layer1", "layer1", "layer2", "layer2", "layer3")
SHORTCUTS = ("identity", "identity", "padding", "identity", "padding")
SCALES = np.array([1.0, 0.5, 4.0, 0.25, 2.0])


def squares(seed):
    """(21, 5): the squares of 0 to 20 in another order in every column, times the column's scale.

    Of 0, 1, ..., 20 the 5th, 50th and 95th percentiles are 1, 10 and 19; of the squares 1, 100 and 361.
    """
    random = np.random.default_rng(seed)
    return np.stack([random.permutation(21) ** 2 for _ in BLOCKS], axis=1) * SCALES


WIDTHS = np.array([16, 16, 32, 32, 64])


def channels_of(width, negative, dead, scale=1.0):
    """Channels of which the first `dead` are zero everywhere; variances 1, 2 and 4 times the scale, so 0.5 together."""
    highest = np.where(np.arange(width) < dead, 0.0, 1.0)
    ones = np.ones(width)
    return Channels(
        means=dict.fromkeys(PARTS, ones),
        variances=dict(zip(PARTS, (scale * ones, 2 * scale * ones, 4 * scale * ones, 3 * scale * ones), strict=True)),
        negative=np.full(width, negative),
        sparsity=np.linspace(0, 1, width),
        lowest=np.zeros(width),
        highest=highest,
        gamma=np.linspace(-1, 1, width),
        class_means=None,
        class_squared_means={},
        class_variances={},
    )


def channels_with(dead):
    shares = (0.5, 0.25, 0.75, 0.0, 1.0)
    return tuple(channels_of(*made, 10.0**place) for place, made in enumerate(zip(WIDTHS, shares, dead, strict=True)))


def norms_of(ratios):
    """Norms of branches that have these ratios, with nothing to divide by where there is none."""
    shortcut = np.where(np.isnan(ratios), 0, 1).astype(np.float32)
    return {SHORTCUT: shortcut, BRANCH: np.nan_to_num(ratios), SUM: shortcut, OUTPUT: shortcut}


def means_of(norms, cosines):
    ratios = np.where(norms[SHORTCUT] > 0, norms[BRANCH], np.nan)
    return {
        "ratio": np.nanmean(ratios, 0),
        "cosine": cosines.mean(0),
        "kept": np.where(np.array(SHORTCUTS) == "identity", 0.5, np.nan),
        "sparsity": np.full(5, 0.5),
    } | {part: values.mean(0) for part, values in norms.items()}


STATISTICS = BlockStatistics(
    n_images=21,
    class_counts=np.array([7, 7, 7]),
    means=means_of(norms_of(squares(0).astype(np.float32)), squares(1) / 1600 - 0.5),
    class_means={},
    blocks=BLOCKS,
    stages=STAGES,
    shortcuts=SHORTCUTS,
    ids=tuple(map(str, range(21))),
    labels=np.repeat([0, 1, 2], 7),
    class_names=("ant", "bee", "<cat>"),
    norms=norms_of(squares(0).astype(np.float32)),
    cosines=(squares(1) / 1600 - 0.5).astype(np.float32),
    kept=np.where(np.array(SHORTCUTS) == "identity", 0.5, np.nan) * np.ones((21, 5), np.float32),
    sparsities=np.full((21, 5), 0.5, np.float32),
    channels=channels_with((0, 2, 0, 8, 0)),
    effective_rank=np.array([2.0, 4.0, 8.0, 16.0, 32.0]),
    cka=np.array([0.5, 0.6, 0.7, 0.8, 0.9]),
    class_mean_accuracy=np.array([0.1, 0.3, 0.5, 0.7, 0.9]),
    head_accuracy=np.array([np.nan, np.nan, np.nan, np.nan, 0.95]),
    rejected=(),
    provenance=Provenance(),
)
