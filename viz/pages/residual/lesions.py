"""What happens when blocks are left out, scaled or swapped."""

import re

import streamlit as st

from features import residual
from features.datasets import ImageSet
from features.networks import catalogue, zoo
from features.residual import BlockStatistics, Sweep
from viz import widgets
from viz.cached.made import drawn
from viz.cached.networks import load_model
from viz.cached.residual import sweep_work
from viz.figures.residual import lesions as figures
from viz.pages.residual.views import is_plain

VEIT = "[Veit et al. 2016](https://arxiv.org/abs/1605.06431)"


def lesions(model: zoo.Model, images: ImageSet, statistics: BlockStatistics) -> None:
    """Sweeps over all blocks, and the plain network beside its residual twin."""
    name = st.segmented_control(
        "What is done",
        tuple(residual.KINDS),
        default=residual.WITHOUT,
        key="lesion",
        bind="query-params",
        required=True,
    )
    kind = residual.KINDS.need(name)
    n_lesions = len(kind.lesions(model.network, 0))
    if not n_lesions:
        st.info(kind.absent)
        return
    if not widgets.wanted(sweep_work(model, images, name), f"Measuring {n_lesions} lesions on {len(images):,} images"):
        return
    sweep = _swept(model, images, name)
    widgets.exhibit(
        f"{'Accuracy' if sweep.judged else 'Predictions that stay'} {kind.title}",
        drawn(figures.of_kind, name, sweep, statistics),
        kind.shows_plain if kind.shows_plain and is_plain(statistics) else kind.shows,
        _linked(kind.paper),
    )
    if name == residual.WITHOUT:
        _twins(model, images, sweep)
    table = sweep.table()
    st.dataframe(table.dropna(axis=1, how="all"), hide_index=True)
    widgets.downloads(table, f"lesions-{model.spec.name}")


def _linked(paper: str) -> str:
    """A paper on arXiv as a Markdown link."""
    return re.sub(r"(\w+ et al\. \d{4}), arXiv:([\d.]+)", r"[\1](https://arxiv.org/abs/\2)", paper)


def _swept(model: zoo.Model, images: ImageSet, kind: str) -> Sweep:
    return widgets.awaited(sweep_work(model, images, kind), f"Taking {model.spec.name} apart on {len(images):,} images")


def _twins(model: zoo.Model, images: ImageSet, sweep: Sweep) -> None:
    here = [name for name in catalogue.here() if name != model.spec.name]
    classes = model.spec.class_names
    plain = model.spec.architecture.shortcut == "none"
    other = [
        entry.name
        for entry in map(catalogue.spec, here)
        if (entry.architecture.shortcut == "none") is not plain and entry.class_names == classes
    ]
    chosen = st.multiselect(
        "Beside it", here, default=other[:1], key="twins",
        help="A plain network has no shortcuts: a block that is left out hands on its input.",
    )  # fmt: skip
    if not chosen:
        return
    sweeps = {model.spec.name: sweep}
    for name in chosen:
        sweeps[name] = _swept(load_model(name), images, residual.WITHOUT)
    widgets.exhibit(
        "One block less: with shortcuts and without",
        drawn(figures.twins, sweeps),
        "A plain network is a single path, and one lesion ruins it; a residual one keeps most of its accuracy, because "
        "half of its paths do not pass the block that is left out.",
        VEIT,
    )
