"""The page that shows what every residual branch adds to its shortcut, and what happens without it."""

import streamlit as st

from features import residual
from features.datasets import ImageSet, labels
from features.networks import zoo
from features.residual import BlockStatistics
from viz import sidebar, widgets
from viz.cached.made import made
from viz.cached.residual import statistics_work
from viz.pages.residual import bench, gradient_paths, lesions, views

BRANCHES, VARIANCE, CHANNELS, DEPTH, CLASSES, LESIONS, PATHS, NETWORKS, BENCH = (
    "branches", "variance", "channels", "representation", "classes", "lesions", "paths", "networks",
    "switch blocks off",
)  # fmt: skip
VIEWS = {
    BRANCHES: views.branches,
    VARIANCE: views.variance,
    CHANNELS: views.channels,
    DEPTH: views.representation,
    CLASSES: views.classes,
    LESIONS: lesions.lesions,
    PATHS: gradient_paths.paths,
    NETWORKS: views.networks,
    BENCH: bench.bench,
}


def render() -> None:
    """Branch statistics of every block over the image set, lesions, and a bench on which to switch blocks off."""
    st.title("What every branch adds")
    with widgets.show_errors():
        model, images = sidebar.model(), sidebar.images()
        statistics = widgets.awaited(statistics_work(model, images), f"Measuring {len(images):,} images")
        _say(model, images, statistics)
        widgets.rejected(statistics.rejected)
        if statistics.labels is not None:
            _say_matched(labels.matched(model.spec, images))
        view = st.segmented_control(
            "Look at", list(VIEWS), default=BRANCHES, key="residual view", bind="query-params", required=True
        )
        with widgets.show_errors():  # of a view alone: the numbers below it stay
            VIEWS[view](model, images, statistics)
        widgets.camera()
        _numbers(statistics, model.spec.name)


def _say_matched(matched: labels.Matched) -> None:
    """Warn where the labels are the network's classes by a guess, or not at all."""
    if matched.how == labels.NOT_AT_ALL:
        st.warning(
            "The labels are not this network's classes, so there is no accuracy. Shares of predictions that "
            "stay the same stand in its place."
        )
    elif matched.guessed:
        st.warning(widgets.told(matched.guessed), icon=":material/help:")
    elif matched.how != labels.BY_NAME:
        st.caption(matched.said)


def _say(model: zoo.Model, images: ImageSet, statistics: BlockStatistics) -> None:
    formula = (
        "ReLU(F(x)), without a shortcut. "
        if views.is_plain(statistics)
        else "ReLU(x + F(x)): x is what its shortcut hands on, F what its branch adds. "
    )
    st.markdown(
        f"Every block of **{widgets.escape(model.spec.name)}** computes {formula}Measured over "
        f"**{statistics.n_images:,}** images of {widgets.escape(images.name)}."
    )


def _numbers(statistics: BlockStatistics, name: str) -> None:
    numbers = st.expander("The numbers, to look at and to take away", key="tables", bind="query-params")
    if not numbers.open:  # the browser loads a table's code, a large part, only then
        return
    with numbers:
        tables = {
            "blocks": residual.blocks,
            "channels": residual.channels,
            "classes": residual.classes,
        }
        of = st.segmented_control("One row per", list(tables), default="blocks", key="numbers", required=True)
        table = made(tables[of], statistics)
        st.dataframe(table.drop(columns="output_means", errors="ignore"), hide_index=True)
        widgets.downloads(table, f"{of}-{name}")
        st.caption(
            "What each column is and its unit: `features.residual.blocks`, `channels`, `classes`. "
            "`python -m features residual` writes all of them."
        )
