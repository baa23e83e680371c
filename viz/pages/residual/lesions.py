"""What happens when blocks are left out, scaled or swapped, and how gradients flow through paths of each length."""

import streamlit as st

from features import residual
from features.datasets import ImageSet
from features.errors import FeatureError
from features.networks import catalogue, zoo
from features.residual import BlockStatistics, Sweep
from viz import widgets
from viz.cached.networks import load_model
from viz.cached.residual import paths_job, sweep_job
from viz.figures import lesions as figures
from viz.pages.residual.views import is_plain

MANY = 20_000  # passes of images of 32 px
VEIT = "[Veit et al. 2016](https://arxiv.org/abs/1605.06431)"


def lesions(model: zoo.Model, images: ImageSet, statistics: BlockStatistics) -> None:
    """Sweeps over all blocks, and the plain network beside its residual twin."""
    kind = st.segmented_control(
        "What is done", residual.KINDS, default=residual.WITHOUT, key="lesion", bind="query-params", required=True
    )
    n_lesions = len(residual.lesions_of(model.network, kind))
    if not n_lesions:
        st.info("No two neighbours of this network have the same shape, so none can be swapped.")
        return
    if not _asked(model, images, f"{kind} {images.digest}", n_lesions, f"{n_lesions} lesions"):
        return
    sweep = _swept(model, images, kind)
    what = "Accuracy" if sweep.judged else "Predictions that stay"
    if kind == residual.WITHOUT:
        widgets.exhibit(
            f"{what} without each block",
            figures.without(statistics, sweep),
            "Every block in turn hands on its input as it is: in a plain network, a single path, that ruins nearly all."
            if is_plain(statistics)
            else "Every block in turn hands on its shortcut alone; below it, how large its branch is beside the "
            "shortcut. A network that is a bundle of many paths loses little with one block; first blocks of a stage "
            "matter most.",
            VEIT,
        )
        _twins(model, images, sweep)
    elif kind == residual.RANDOM:
        widgets.exhibit(
            f"{what} with several blocks left out at random",
            figures.random(sweep),
            "Five draws for every number of blocks. A smooth fall says that paths share the work; a cliff at one block "
            "says that each is needed.",
            VEIT,
        )
    elif kind == residual.SCALED:
        widgets.exhibit(
            f"{what} with each branch made larger, smaller or turned round",
            figures.scaled(sweep, statistics),
            "One column a block, one row a factor of its branch. Where 0.5 and 2 hurt little, what matters is the "
            "branch's direction rather than its size.",
            f"in the manner of {VEIT}",
        )
    else:
        widgets.exhibit(
            f"{what} with two neighbours swapped",
            figures.swapped(sweep),
            "Neighbours of one shape in each other's place: a network whose blocks refine one representation bears it.",
            VEIT,
        )
    table = sweep.table()
    st.dataframe(table.dropna(axis=1, how="all"), hide_index=True)
    widgets.downloads(table, f"lesions-{model.spec.name}")


def _asked(model: zoo.Model, images: ImageSet, what: str, passes: int, name: str) -> bool:
    """Whether long work was asked for in this session; work that takes a moment need not be."""
    work = passes * len(images) * (model.spec.preprocessing.crop / 32) ** 2
    key = f"{what} {model.key}"
    if work <= MANY or st.session_state.get("lesions asked") == key:
        return True
    st.caption(f"{name} on {len(images):,} images: this takes minutes on a CPU.")
    if not st.button("Measure", type="primary", icon=":material/play_arrow:"):
        return False
    st.session_state["lesions asked"] = key
    st.rerun()


def _swept(model: zoo.Model, images: ImageSet, kind: str) -> Sweep:
    job = sweep_job(model, images, kind)
    return widgets.result(job, f"Taking {model.spec.name} apart on {len(images):,} images")


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
        sweeps[name] = _swept(load_model(name, None, 0.0), images, residual.WITHOUT)
    widgets.exhibit(
        "One block less: with shortcuts and without",
        figures.twins(sweeps),
        "A plain network is a single path, and one lesion ruins it; a residual one keeps most of its accuracy, because "
        "half of its paths do not pass the block that is left out.",
        VEIT,
    )


def paths(model: zoo.Model, images: ImageSet, statistics: BlockStatistics) -> None:
    """The gradient through paths of each length."""
    if is_plain(statistics):
        raise FeatureError("This is a plain network: a single path leads through it. Choose one with shortcuts.")
    n_blocks, part = len(statistics.blocks), images.sample(residual.PATH_IMAGES)
    if not _asked(model, part, f"paths {images.digest}", n_blocks**2, f"The paths through {n_blocks} blocks"):
        return
    found = widgets.result(paths_job(model, part), f"Following paths on {len(part):,} images")
    followed = "all" if not found.error.any() else "drawn"
    widgets.exhibit(
        "Paths through the network",
        figures.paths(found),
        f"A network of {n_blocks} blocks is a bundle of 2^{n_blocks} paths. Most have about half of the branches on "
        "them (left); the gradient of the loss at the first block's input along one depends on its length (middle: "
        f"{followed} paths on {found.n_images} images, with standard errors). Both together say which lengths the "
        "training signal takes (right). The green line is exact: it sums all paths of a length with their signs before "
        "it takes the norm.",
        f"{VEIT}, figure 6",
    )
    table = found.table()
    st.dataframe(table.dropna(axis=1, how="all"), hide_index=True)
    widgets.downloads(table, f"paths-{model.spec.name}")
