"""UMAP on a graph of neighbours that is at hand, as a task that tells its epochs and can be stopped."""

import threading
import warnings
from collections.abc import Callable

import numpy as np

from features.neighbours.neighbours import Neighbours
from features.progress import Progress, Stopped, Task, threaded

REPORT_SECONDS = 0.2
# UMAP's own is 1, at which the first epochs throw groups that do not attract each other across the map, wherever they
# began. On maps of digits that began at others', a tenth halved what the two did not share, at equal trust.
LEARNING_RATE, LEARNING_RATE_FROM_PLACES = 1.0, 0.1

# One fit at a time: numba's threads and the filters of `warnings` are shared by the whole process.
_ONE_FIT = threading.Lock()


def fit(
    features: np.ndarray, graph: Neighbours, min_dist: float, seed: int | None, start: np.ndarray | str
) -> Task[np.ndarray]:
    """The points (N, 2) of UMAP for features (N, D).

    seed: None for a faster fit on all processors, which no other repeats. start: where the points begin, (N, 2), and
    near which they stay; or 'spectral', 'pca' or 'random'.
    """

    def work(report: Callable[[Progress], None], stopped: threading.Event) -> np.ndarray:
        import umap  # seconds to import, so only here

        with _ONE_FIT, warnings.catch_warnings():
            if stopped.is_set():  # the task was closed while another fit went on
                raise Stopped
            # UMAP warns that a given graph cannot place new points, and of duplicates that stand apart.
            warnings.simplefilter("ignore")
            reducer = umap.UMAP(
                n_neighbors=graph.k,
                min_dist=min_dist,
                random_state=seed,
                precomputed_knn=(graph.indices, graph.distances),
                force_approximation_algorithm=True,  # else it compares all pairs of few images once more
                n_jobs=-1 if seed is None else 1,
                init=start,
                learning_rate=LEARNING_RATE if isinstance(start, str) else LEARNING_RATE_FROM_PLACES,
                verbose=False,
                tqdm_kwds={
                    "disable": False,
                    "file": _Reports(report),
                    "mininterval": _Interval(stopped),
                    "bar_format": "{n} {total}",
                },
            )
            return reducer.fit_transform(features)

    points = yield from threaded(work, "umap")
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
