"""The ways to lay features out on a plane, as one list."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from features.embed import umap_fit
from features.embed.principal import plane
from features.errors import FeatureError
from features.neighbours import cuml_engine
from features.neighbours.neighbours import Neighbours
from features.progress import Progress, Task
from features.registry import Registry

FEW_FOR_A_SPECTRUM = 50
LEAST_FOR_PACMAP = 50


@dataclass(frozen=True, eq=False)
class Layout:
    """What is laid out: features (N, D), their graph of neighbours, and how.

    min_dist: how close points may come, of UMAP alone. seed: None for a map that cannot be repeated, and is faster.
    start: (N, 2) where the points begin, None for the method's own.
    """

    features: np.ndarray
    graph: Neighbours
    min_dist: float = 0.1
    seed: int | None = 0
    start: np.ndarray | None = None


@dataclass(frozen=True)
class Method:
    """A way to lay features out. name: in files and links; title: for people; paper: its source.

    layout: a `Layout` -> a task that returns points (N, 2). linear: whether a point is a linear function of its
    features alone, without neighbours and seed.
    """

    name: str
    title: str
    paper: str
    layout: Callable[[Layout], Task[np.ndarray]]
    linear: bool = False


def _pca(what: Layout) -> Task[np.ndarray]:
    yield Progress(0, 1, "step", "layout")
    return plane(what.features).points(what.features)  # (N, 2)


def _umap(what: Layout) -> Task[np.ndarray]:
    if cuml_engine.takes(len(what.features)):
        yield Progress(0, 1, "step", "layout on the GPU")
        return cuml_engine.umap(what.features, what.graph, what.min_dist, what.seed)
    return (
        yield from umap_fit.fit(
            what.features, what.graph, what.min_dist, what.seed, _own_start(what) if what.start is None else what.start
        )
    )


def _own_start(what: Layout) -> str:
    """The graph's spectrum needs some fifty images."""
    return "spectral" if len(what.features) >= FEW_FOR_A_SPECTRUM else "pca"


def _tsne(what: Layout) -> Task[np.ndarray]:
    library = _needed("openTSNE", "t-SNE")
    yield Progress(0, 1, "step", "layout")
    others = what.graph.indices[:, 1:], what.graph.distances[:, 1:].astype(np.float64)
    affinities = library.affinity.PerplexityBasedNN(
        perplexity=max(1.0, others[0].shape[1] / 3),
        knn_index=library.nearest_neighbors.PrecomputedNeighbors(*others),
        n_jobs=1 if what.seed is not None else -1,
        random_state=what.seed,
    )
    start = _scaled(what)
    fitted = library.TSNE(
        n_jobs=1 if what.seed is not None else -1, random_state=what.seed, negative_gradient_method="auto"
    ).fit(affinities=affinities, initialization=start)
    return np.asarray(fitted, dtype=np.float32)


def _scaled(what: Layout) -> np.ndarray:
    """Where t-SNE begins, (N, 2): the start given or PCA, small, with a breath of noise that parts copies."""
    start = plane(what.features).points(what.features) if what.start is None else what.start
    noise = np.random.default_rng(what.seed).normal(scale=1e-6, size=start.shape)
    return np.asarray(start / max(float(start[:, 0].std()), 1e-12) * 1e-4, np.float64) + noise


def _pacmap(what: Layout) -> Task[np.ndarray]:
    library = _needed("pacmap", "PaCMAP")
    yield Progress(0, 1, "step", "layout")
    n_rows, k = len(what.features), what.graph.k - 1
    if n_rows < LEAST_FOR_PACMAP:  # it draws farther pairs of each besides
        raise FeatureError(f"PaCMAP needs at least {LEAST_FOR_PACMAP} images, but got {n_rows}. Choose umap or pca.")
    pairs = np.stack([np.repeat(np.arange(n_rows), k), what.graph.indices[:, 1:].ravel()], axis=1)
    logging.getLogger("pacmap").setLevel(logging.ERROR)  # it warns that a seed makes it slower
    reducer = library.PaCMAP(n_neighbors=k, random_state=what.seed, pair_neighbors=pairs.astype(np.int32))
    start = plane(what.features).points(what.features) if what.start is None else what.start
    return np.asarray(reducer.fit_transform(what.features, init=start), dtype=np.float32)


def _needed(module: str, title: str) -> Any:
    """A library that not everybody has. Raises FeatureError with how to get it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise FeatureError(
            f"{title} needs the library {module}. Install it with `pip install -r requirements-maps.txt`, or choose "
            "umap or pca."
        ) from error


METHODS = Registry(
    "projection method",
    (
        Method("umap", "UMAP", "McInnes et al. 2018, arXiv:1802.03426, on the graph of neighbours", _umap),
        Method("pca", "PCA", "Pearson 1901, doi:10.1080/14786440109462720", _pca, linear=True),
        Method("tsne", "t-SNE", "van der Maaten & Hinton 2008, by openTSNE on the graph of neighbours", _tsne),
        Method("pacmap", "PaCMAP", "Wang et al. 2021, arXiv:2012.04456, on the graph of neighbours", _pacmap),
    ),
)
