"""What was measured in one pass: branches, variance, channels, representation, two classes, two networks."""

import pandas as pd
import streamlit as st

from features import residual
from features.datasets import ImageSet
from features.errors import FeatureError
from features.networks import catalogue, zoo
from features.residual import BlockStatistics
from viz import widgets
from viz.cached.made import drawn, made
from viz.cached.networks import load_model
from viz.cached.residual import statistics_work
from viz.figures import residual as figures


def is_plain(statistics: BlockStatistics) -> bool:
    return set(statistics.shortcuts) == {"none"}


def branches(model: zoo.Model, images: ImageSet, statistics: BlockStatistics) -> None:
    """Size and direction of every branch beside its shortcut."""
    if is_plain(statistics):
        st.info("This is a plain network. It has no shortcuts, so there is no x to compare its branches with.")
        return
    widgets.exhibit(
        "Size of the branch relative to its shortcut",
        drawn(figures.branches.ratio, statistics),
        "Euclidean norms over channels and places, one ratio per image; dots are medians, whiskers hold 90 % of the "
        "images. Far below 1 the block refines what it is given; above 1 what it adds outweighs it, as in the first "
        "block of a stage, where a new representation begins.",
        "[Jastrzębski et al. 2018](https://arxiv.org/abs/1710.04773)",
    )
    widgets.exhibit(
        "Direction of the branch relative to its shortcut",
        drawn(figures.branches.cosine, statistics),
        "Near 0 the branch adds something new, above 0 it strengthens what is there, below 0 it takes away from it.",
        "read with the view of blocks as refinements, [Greff et al. 2017](https://arxiv.org/abs/1612.07771)",
    )


def variance(model: zoo.Model, images: ImageSet, statistics: BlockStatistics) -> None:
    """What the variance of every block's sum is made of, and how signals grow along depth."""
    widgets.exhibit(
        "Where the variance of each block's sum comes from",
        drawn(figures.variance.budget, statistics),
        "Variances of each channel over images and places, averaged over channels; the bars of a block add up to 1. "
        "Grey below zero: branch and shortcut cancel. At initialisation with BatchNorm the branch's part falls with "
        "depth, which is what makes deep residual networks trainable.",
        "[De & Smith 2020](https://arxiv.org/abs/2002.10444)",
    )
    widgets.exhibit(
        "How signals propagate",
        drawn(figures.variance.propagation, statistics),
        "Averages over channels. Lines without jumps: signals neither vanish nor explode along depth. A squared mean "
        "that outgrows the variance says that channels carry constants rather than signals.",
        "signal propagation plots, [Brock et al. 2021](https://arxiv.org/abs/2101.08692)",
    )


def channels(model: zoo.Model, images: ImageSet, statistics: BlockStatistics) -> None:
    """Which channels are silent, and how often."""
    widgets.exhibit(
        "How often each channel is silent",
        drawn(figures.channels.silent, statistics),
        "One column a block, its channels sorted by the share of places and images at which they are zero: dark at the "
        "top are channels that nearly never speak, bright at the bottom those that always do.",
        "sparsity after the ReLU, [Glorot et al. 2011](https://proceedings.mlr.press/v15/glorot11a.html)",
    )
    left, right = st.columns(2)
    with left:
        widgets.exhibit(
            "Values that the ReLU removes",
            drawn(figures.channels.negative, statistics),
            f"The share of {'F(x)' if is_plain(statistics) else 'x + F(x)'} that is below zero, over all channels, "
            "places and images; what is left is the density of the output. Colours are kinds of shortcuts.",
            "[Glorot et al. 2011](https://proceedings.mlr.press/v15/glorot11a.html)",
        )
    with right:
        widgets.exhibit(
            "Dead channels",
            drawn(figures.channels.dead, statistics),
            "Output channels that are zero at every place of every image of this set: capacity that these images do "
            "not use.",
            "[Lu et al. 2019](https://arxiv.org/abs/1903.06733)",
        )
    scales = drawn(figures.channels.gamma, statistics)
    if scales is not None:
        widgets.exhibit(
            "What the last BatchNorm lets through",
            scales,
            "The absolute scales (gamma) of each branch's last BatchNorm: median and the range of 90 % of the "
            "channels. Scales near zero switch a channel of the branch off; where all are small the branch hardly "
            "speaks.",
            "[Goyal et al. 2017](https://arxiv.org/abs/1706.02677), who begin with gamma = 0",
        )


def representation(model: zoo.Model, images: ImageSet, statistics: BlockStatistics) -> None:
    """How the representation moves from block to block, and what can be read off it."""
    widgets.exhibit(
        "How far each block moves the representation",
        drawn(figures.representation.movement, statistics),
        "Linear CKA compares how the images lie to each other before and after a block (1: alike up to rotation and "
        "scale), on means over places; the cosine compares each image's whole activations.",
        "[Kornblith et al. 2019](https://arxiv.org/abs/1905.00414); biased upwards with few images",
    )
    if statistics.labels is not None:
        widgets.exhibit(
            "What can be read off each block",
            drawn(figures.representation.readout, statistics),
            "The share of images whose nearest class mean is their own class's (themselves left out of it); and, in "
            "the last stage, what the network's own classifier says when it is put on an earlier block.",
            "early exits, [Kaya et al. 2019](https://arxiv.org/abs/1810.07052)",
        )
    widgets.exhibit(
        "In how many directions the images differ",
        drawn(figures.representation.rank, statistics),
        "The participation ratio of the covariance of each block's pooled output: 1 if all images lie on a line, the "
        "number of channels if they differ in all directions alike.",
        "[Gao et al. 2017](https://doi.org/10.1101/214262)",
    )


def classes(model: zoo.Model, images: ImageSet, statistics: BlockStatistics) -> None:
    """Which blocks react differently to two classes."""
    if images.label_sets is not None:
        raise FeatureError(
            "These images have any number of labels, while classes that exclude each other are compared here. Choose a "
            "set with one label an image: under “Columns” at the side where its table has such a column."
        )
    if statistics.labels is None or len(statistics.class_names) < 2:
        raise FeatureError("These images have no labels, or all have one. Choose a set with a folder per class.")
    names = list(statistics.class_names)
    left, middle, right = st.columns(3)
    with left:
        one = st.selectbox("Class", names, index=0, key="class one", bind="query-params")
    with middle:
        other = st.selectbox("beside class", names, index=1, key="class two", bind="query-params")
    with right:
        quantity = st.segmented_control(
            "What of each image", residual.QUANTITIES, default="ratio", key="quantity", bind="query-params",
            required=True, help="ratio is |F| / |x|, cosine that of F and x, sparsity the output's share of zeros.",
        )  # fmt: skip
    if one == other:
        raise FeatureError("Both classes are the same. Choose another one beside it.")
    if is_plain(statistics) and quantity != "sparsity":
        raise FeatureError(f"A plain network has no shortcuts, so there is no {quantity}. Choose sparsity.")
    contrast = made(residual.contrast, statistics, names.index(one), names.index(other), quantity)
    widgets.exhibit(
        f"Where {one} and {other} differ",
        drawn(figures.contrast.effects, contrast),
        f"The difference of the two classes' means in standard deviations, with its 95 % interval, over "
        f"{contrast.counts[0]} and {contrast.counts[1]} images. Filled dots stay below a false "
        "discovery rate of 5 % over all blocks; the others may be chance.",
        "Hedges' g; Welch's t test; [Benjamini & Hochberg 1995](https://doi.org/10.1111/j.2517-6161.1995.tb02031.x)",
    )
    table = contrast.table()
    small = {name: st.column_config.NumberColumn(format="scientific") for name in ("p", "q")}
    st.dataframe(table.dropna(axis=1, how="all"), hide_index=True, column_config=small)
    widgets.downloads(table, f"classes-{model.spec.name}")


def networks(model: zoo.Model, images: ImageSet, statistics: BlockStatistics) -> None:
    """The same number of several networks along relative depth."""
    here = [name for name in catalogue.here() if name != model.spec.name]
    left, right = st.columns(2)
    with left:
        chosen = st.multiselect("Beside the chosen network", here, default=here[:1], key="beside")
    with right:
        names = figures.networks.COLUMNS
        column = st.selectbox("Number", list(names), format_func=names.__getitem__, key="column", bind="query-params")
    measured = {model.spec.name: statistics}
    for name in chosen:
        work = statistics_work(load_model(name), images)
        measured[name] = widgets.awaited(work, f"Measuring {len(images):,} images with {name}")
    widgets.exhibit(
        "Networks side by side",
        drawn(figures.networks.compare, measured, column),
        "Blocks stand at their relative depth, 0 for the first and 1 for the last, so that networks of different depth "
        "lie over each other. Plain networks have no ratio and no cosine.",
        "numbers as in the other views",
    )
    table = pd.concat(
        [made(residual.blocks, each).assign(network=name) for name, each in measured.items()], ignore_index=True
    )
    widgets.downloads(table, f"networks-{model.spec.name}")
