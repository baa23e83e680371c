"""Arranges images on a plane by their features, and says how far to trust the arrangement."""

import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.embed.neighbours import nearest, need_finite
from features.embed.trust import trust
from features.errors import FeatureError
from features.progress import Progress, Stopped, Task, threaded
from features.registry import Registry
from features.results import Provenance

if TYPE_CHECKING:
    from sklearn.decomposition import PCA

REPORT_SECONDS = 0.2
SMALL = 512  # a side of a matrix whose whole decomposition takes a moment


@dataclass(frozen=True, eq=False)
class Projection:
    """N images on a plane.

    points: (N, 2) float32. neighbours: k, the point itself among them, at most N - 1; for PCA of the scores alone.
    trustworthiness: in [0, 1], 1 when no false neighbours appear on the plane (Venna & Kaski 2001,
        doi:10.1007/3-540-44668-0_68). kept: share in [0, 1] of the neighbours in feature space that are still
        neighbours on the plane. Both over k neighbours, fewer than N / 2, of at most 5,000 points.
    """

    points: np.ndarray
    method: str
    neighbours: int
    min_dist: float
    seed: int
    trustworthiness: float
    kept: float
    provenance: Provenance


def project(
    features: np.ndarray,
    method: str = "umap",
    n_neighbors: int = 15,
    min_dist: float = 0.1,
    seed: int = 0,
    provenance: Provenance | None = None,
) -> Task[Projection]:
    """Lay (N, D) features out on a plane.

    method: of METHODS. The same seed gives the same picture on the same machine and versions.
    Raises FeatureError for unknown methods and settings, too few images (at least 4) or values that are not
    finite.
    """
    chosen = METHODS.need(method)
    if n_neighbors < 2 or not 0 <= min_dist <= 1:
        raise FeatureError(
            f"A map needs at least 2 neighbours and a min_dist from 0 to 1, but got {n_neighbors} and {min_dist}."
        )
    if len(features) < 4:
        raise FeatureError(f"A map needs at least 4 images, but got {len(features)}. Choose a larger set.")
    need_finite(features)
    k = min(n_neighbors, len(features) - 1)
    points = yield from chosen.layout(features, k, min_dist, seed)
    yield Progress(2, 3, "step", "trust scores")
    trustworthiness, kept = trust(features, points, k, seed)
    return Projection(points, method, k, min_dist, seed, trustworthiness, kept, provenance or Provenance())


@dataclass(frozen=True, eq=False)
class Moved:
    """N images before and after a change, on the two directions in which they varied most before it.

    before, after: (N, 2) float32. explained: share in [0, 1] of the variance before that these directions hold.
    """

    before: np.ndarray
    after: np.ndarray
    explained: float


def moved(before: np.ndarray, after: np.ndarray) -> Moved:
    """Lay features (N, D) and what became of them, (N, D), on the first two principal components of the first.

    Unlike two layouts, which could not be compared, one plane shows what moves. Raises FeatureError if shapes differ.
    """
    if before.shape != after.shape:
        raise FeatureError(f"Wanted the same images and features twice, but got {before.shape} and {after.shape}.")
    if len(before) < 2 or before.shape[1] < 2:
        raise FeatureError(
            f"Got {len(before)} images with {before.shape[1]} features. At least two of both are needed."
        )
    if _all_alike(before):  # PCA would divide by the variance, which is 0
        return Moved(np.zeros((len(before), 2), np.float32), np.zeros((len(before), 2), np.float32), 0.0)
    plane = _plane(before)
    laid_out, moved_to = (plane.transform(values).astype(np.float32) for values in (before, after))  # (N, 2) each
    return Moved(laid_out, moved_to, float(plane.explained_variance_ratio_.sum()))


def _pca(features: np.ndarray, k: int, min_dist: float, seed: int) -> Task[np.ndarray]:
    yield Progress(1, 3, "step", "layout")
    if _all_alike(features):
        return np.zeros((len(features), 2), dtype=np.float32)  # PCA would divide by the variance, which is 0
    return _plane(features).transform(features).astype(np.float32)  # (N, 2)


def _plane(features: np.ndarray) -> "PCA":
    """The first two principal components of (N, D), in float64: exact, by the way that is fastest for N and D.

    For large sides scikit-learn would choose a randomised solver, which is far off where the spectrum is flat. The
    eigenvectors of D x D are quick where D is small, and a whole decomposition where N is. Else ARPACK finds the two
    that are wanted, to the last digits as well: of 3,000 x 2,048 in 0.2 s, where all 2,048 took 3.5.
    """
    from sklearn.decomposition import PCA

    n_rows, width = features.shape
    direct = "covariance_eigh" if n_rows >= width else "full"
    solver = direct if min(n_rows, width) <= SMALL else "arpack"
    return PCA(2, svd_solver=solver, random_state=0, copy=False).fit(features.astype(np.float64))


def _all_alike(features: np.ndarray) -> bool:
    return bool((features == features[0]).all())


def _start(features: np.ndarray) -> str:
    """Where UMAP's layout starts: the graph's spectrum needs some fifty images, PCA needs images that differ."""
    if len(features) >= 50:
        return "spectral"
    return "random" if _all_alike(features) else "pca"


def _umap(features: np.ndarray, k: int, min_dist: float, seed: int) -> Task[np.ndarray]:
    yield Progress(0, 3, "step", "neighbours")
    graph = nearest(features, k)
    yield Progress(1, 3, "step", "layout")

    def fit(report: Callable[[Progress], None], stopped: threading.Event) -> np.ndarray:
        import umap  # seconds to import, so only here

        with _ONE_FIT, warnings.catch_warnings():
            if stopped.is_set():  # the task was closed while another fit went on
                raise Stopped
            # UMAP warns that a given graph cannot place new points, and of duplicates that stand apart.
            warnings.simplefilter("ignore")
            reducer = umap.UMAP(
                n_neighbors=k,
                min_dist=min_dist,
                random_state=seed,
                precomputed_knn=(graph.indices, graph.distances),
                n_jobs=1,
                init=_start(features),
                verbose=False,
                tqdm_kwds={
                    "disable": False,
                    "file": _Reports(report),
                    "mininterval": _Interval(stopped),
                    "bar_format": "{n} {total}",
                },
            )
            return reducer.fit_transform(features)

    points = yield from threaded(fit, "umap")
    return np.asarray(points, dtype=np.float32)  # (N, 2)


class _Reports:
    """A file that UMAP's progress bar is written to; it hands the two numbers on."""

    def __init__(self, report: Callable[[Progress], None]) -> None:
        self.report = report

    def write(self, text: str) -> None:
        numbers = text.split()
        if len(numbers) == 2 and all(number.isdigit() for number in numbers):
            self.report(Progress(int(numbers[0]), int(numbers[1]), "epoch", "layout"))

    def flush(self) -> None:
        pass


class _Interval(float):
    """Seconds between two reports of UMAP's progress bar; ends the fit once `stopped` is set.

    The bar compares the time with it between epochs, the one moment at which a fit can be left. An exception from
    the bar's file would leave its lock held for good, and every later bar of the process would wait for it.
    """

    def __new__(cls, stopped: threading.Event) -> "_Interval":
        interval = super().__new__(cls, REPORT_SECONDS)
        interval.stopped = stopped
        return interval

    stopped: threading.Event

    def __le__(self, seconds: float) -> bool:
        if self.stopped.is_set():
            raise Stopped
        return super().__le__(seconds)


@dataclass(frozen=True)
class Method:
    """A way to lay features out. name: in files and links; title: for people; paper: its source.

    layout: (features (N, D), how many neighbours of each to look at if it does, min_dist, seed) -> a task that returns
        points (N, 2).
    """

    name: str
    title: str
    paper: str
    layout: Callable[[np.ndarray, int, float, int], Task[np.ndarray]]


METHODS = Registry(
    "projection method",
    (
        Method("umap", "UMAP", "McInnes et al. 2018, arXiv:1802.03426, on the exact neighbour graph", _umap),
        Method("pca", "PCA", "Pearson 1901, doi:10.1080/14786440109462720", _pca),
    ),
)

# One fit at a time: numba's threads and the filters of `warnings` are shared by the whole process.
_ONE_FIT = threading.Lock()


def warm_up() -> None:
    """Compile UMAP ahead of need: the first fit of a process takes many seconds, later ones one or two."""
    for _ in project(np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)):
        pass
