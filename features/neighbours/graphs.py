"""Graphs of neighbours, computed once for features and kept in the cache folder under their digest."""

import hashlib
import io
import os
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np

from features import files
from features.neighbours.neighbours import Neighbours, search
from features.progress import Task

MOST_BYTES = 8 << 30  # of all graphs that are kept: sixty of a million images
VERSION = 1  # of how neighbours are looked for: what another found is not read


def graph(features: np.ndarray, k: int, seed: int = 0) -> Task[Neighbours]:
    """The k nearest rows of every row of (N, D), itself included, as of `neighbours.search`, from the cache if there.

    Maps, trust scores, lists of neighbours and the classifier by neighbours of the same features share it.
    """
    path = files.cache_folder("neighbours") / f"{digest(features)[:32]}-{k}-{seed}-{VERSION}.npz"
    if (kept := _kept(path, len(features), k)) is not None:
        with suppress(OSError):
            os.utime(path)  # those that were used last are kept
        return kept
    made = yield from search(features, k, seed)
    _keep(path, made)
    return made


def digest(features: np.ndarray) -> str:
    """The SHA-256 of features (N, D), their shape and type included."""
    told = hashlib.sha256(f"{features.shape} {features.dtype.str}".encode())
    for start in range(0, len(features), 4096):
        told.update(np.ascontiguousarray(features[start : start + 4096]).data)
    return told.hexdigest()


def _kept(path: Path, n_rows: int, k: int) -> Neighbours | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            kept = Neighbours(arrays["indices"], arrays["distances"], float(arrays["recall"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # not there, or cut off
        return None
    return kept if kept.indices.shape == kept.distances.shape == (n_rows, k) else None


def _keep(path: Path, made: Neighbours) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, indices=made.indices, distances=made.distances, recall=made.recall)
    files.keep(path, buffer.getvalue(), MOST_BYTES)
