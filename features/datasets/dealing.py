"""Deals images out in turn by their labels, for samples that have as many of each."""

import numpy as np


def ranks(labels: np.ndarray) -> np.ndarray:
    """(N,) the place of each image among those of its class. Low ones first, the classes are dealt out in turn."""
    by_class = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[by_class], labels[by_class])
    places = np.empty(len(labels), dtype=np.int64)
    places[by_class] = np.arange(len(labels)) - starts
    return places


def ranks_of_sets(sets: np.ndarray) -> np.ndarray:
    """(N,) the first place that each image has among those of one of its labels. sets: (N, K) bool."""
    places = np.full(len(sets), len(sets), dtype=np.int64)
    for has in (*sets.T, ~sets.any(axis=1)):
        places[has] = np.minimum(places[has], np.arange(np.count_nonzero(has)))
    return places
