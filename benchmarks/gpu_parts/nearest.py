"""How long the exact neighbours of very many images take, and whether they are those that NumPy says."""

import time

import numpy as np
from gpu_parts.report import SKIP, Report
from gpu_parts.subjects import Scale

from features import neighbours
from features.neighbours import Exact

SIZES = ((20_000, 512), (100_000, 2048), (1_000_000, 512))
SAMPLE, K = 100, 16


def nearest(report: Report, scale: Scale) -> None:
    """The graph of K neighbours of features with clusters, as maps need it."""
    if not scale.is_gpu:
        report.add("neighbours", SKIP, "no CUDA device")
        return
    neighbours.nearest(clustered(5000, 64), K)  # what is loaded once
    for n_rows, width in SIZES:
        with report.guarded(f"{n_rows} x {width}"):
            features = clustered(n_rows, width)
            began = time.perf_counter()
            graph = neighbours.nearest(features, K)
            seconds = time.perf_counter() - began
            rows = np.random.default_rng(1).integers(0, n_rows, SAMPLE)
            wanted, _ = Exact(features).nearest(features[rows], K, rows)
            same = float((graph.indices[rows] == wanted).mean())
            report.judge(f"{n_rows} x {width}", same == 1, seconds=seconds, same=same)


def clustered(n_rows: int, width: int) -> np.ndarray:
    """(N, D) float32 around a thousand centres, above zero as pooled features are."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(1000, width)).astype(np.float32)
    values = centres[random.integers(0, 1000, n_rows)]
    values += 0.5 * random.standard_normal((n_rows, width), dtype=np.float32)
    return np.maximum(values, 0, out=values)
