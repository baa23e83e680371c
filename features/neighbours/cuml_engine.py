"""UMAP of very many images on a GPU, where RAPIDS cuML is installed. Their neighbours are `exact_gpu`'s."""

from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any

import numpy as np

from features.neighbours.neighbours import EXACT_ROWS, Neighbours


def takes(n_rows: int) -> bool:
    """Whether so many images are cuML's: fewer are laid out alike on every machine."""
    if n_rows <= EXACT_ROWS or find_spec("cuml") is None:
        return False
    import torch

    return torch.cuda.is_available()


def version() -> str:
    return f"cuML {metadata.version('cuml')}"


def umap(features: np.ndarray, graph: Neighbours, min_dist: float, seed: int | None) -> np.ndarray:
    """The points (N, 2) of UMAP on a graph; they begin at its spectrum, since cuML takes no places to begin at."""
    reducer: Any = import_module("cuml.manifold").UMAP(
        n_neighbors=graph.k,
        min_dist=min_dist,
        random_state=seed,
        precomputed_knn=(graph.indices, graph.distances),
        output_type="numpy",
    )
    return np.asarray(reducer.fit_transform(features), np.float32)
