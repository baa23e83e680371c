"""How gradients flow through paths of each length."""

import streamlit as st

from features import residual
from features.datasets import ImageSet
from features.errors import FeatureError
from features.networks import zoo
from features.residual import BlockStatistics
from viz import widgets
from viz.cached.made import drawn
from viz.cached.residual import paths_work
from viz.cached.server import ask
from viz.figures.residual import gradient_paths as figures
from viz.pages.residual.lesions import VEIT
from viz.pages.residual.views import is_plain


def paths(model: zoo.Model, images: ImageSet, statistics: BlockStatistics) -> None:
    """The gradient through paths of each length."""
    if is_plain(statistics):
        raise FeatureError("This is a plain network: a single path leads through it. Choose one with shortcuts.")
    n_blocks, part = len(statistics.blocks), images.sample(residual.PATH_IMAGES)
    work, what = paths_work(model, part), f"Following paths through {n_blocks} blocks on {len(part):,} images"
    if not widgets.wanted(work, what):
        return
    through = widgets.result(ask(work), what)
    followed = "all" if not through.error.any() else "drawn"
    widgets.exhibit(
        "Paths through the network",
        drawn(figures.by_length, through),
        f"A network of {n_blocks} blocks is a bundle of 2^{n_blocks} paths. Most have about half of the branches on "
        "them (left); the gradient of the loss at the first block's input along one depends on its length (middle: "
        f"{followed} paths on {through.n_images} images, with standard errors). Both together say which lengths the "
        "training signal takes (right). The green line is exact: it sums all paths of a length with their signs before "
        "it takes the norm.",
        f"{VEIT}, figure 6",
    )
    table = through.table()
    st.dataframe(table.dropna(axis=1, how="all"), hide_index=True)
    widgets.downloads(table, f"paths-{model.spec.name}")
