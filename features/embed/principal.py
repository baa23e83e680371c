"""The plane on which features vary most, and what moves on it."""

from dataclasses import dataclass

import numpy as np

from features.errors import FeatureError

ROWS_AT_ONCE = 4096
SMALL = 512  # a side of a matrix whose whole decomposition takes a moment
FEW = 2**24  # values whose copy in float64 is no burden


@dataclass(frozen=True, eq=False)
class Plane:
    """The first two principal components of features.

    mean: (D,) float64; directions: (2, D) float64, orthonormal; explained: share in [0, 1] of the variance they hold.
    """

    mean: np.ndarray
    directions: np.ndarray
    explained: float

    def points(self, features: np.ndarray) -> np.ndarray:
        """Where rows (N, D) lie: (N, 2) float32. What is answered of a row depends on that row alone."""
        points = np.empty((len(features), 2), np.float32)
        for row, values in enumerate(features):
            # No matrix product: that of many rows at once rounds otherwise than that of one.
            points[row] = ((values - self.mean) * self.directions).sum(axis=1)
        return points


def plane(features: np.ndarray) -> Plane:
    """The first two principal components of (N, D), N and D at least 2, in float64.

    Of features without variance the directions are the first two axes, and all lies at one point.
    """
    mean = features.mean(axis=0, dtype=np.float64)  # (D,)
    if all_alike(features):  # PCA would divide by the variance, which is 0
        return Plane(features[0].astype(np.float64), np.eye(2, features.shape[1]), 0.0)
    return _by_covariance(features, mean) if features.size > FEW else _by_decomposition(features, mean)


def all_alike(features: np.ndarray) -> bool:
    """Whether all rows are the same."""
    return bool((features == features[0]).all())


def _by_decomposition(features: np.ndarray, mean: np.ndarray) -> Plane:
    """Exact, by the way that is fastest for N and D.

    For large sides scikit-learn would choose a randomised solver, which is far off where the spectrum is flat. The
    eigenvectors of D x D are quick where D is small, and a whole decomposition where N is. Else ARPACK finds the two
    that are wanted, to the last digits as well: of 3,000 x 2,048 in 0.2 s, where all 2,048 took 3.5.
    """
    from sklearn.decomposition import PCA

    n_rows, width = features.shape
    direct = "covariance_eigh" if n_rows >= width else "full"
    solver = direct if min(n_rows, width) <= SMALL else "arpack"
    fitted = PCA(2, svd_solver=solver, random_state=0, copy=False).fit(features.astype(np.float64))
    return Plane(mean, fitted.components_, float(fitted.explained_variance_ratio_.sum()))


def _by_covariance(features: np.ndarray, mean: np.ndarray) -> Plane:
    """By the covariance, to which blocks of rows are added: no second copy of the features is made."""
    from scipy.sparse.linalg import eigsh

    scatter = np.zeros((len(mean), len(mean)))
    for start in range(0, len(features), ROWS_AT_ONCE):
        centred = features[start : start + ROWS_AT_ONCE] - mean  # (R, D) float64
        scatter += centred.T @ centred
    start_vector = np.random.default_rng(0).normal(size=len(mean))
    values, vectors = eigsh(scatter, 2, v0=start_vector)  # ascending
    return Plane(mean, _signed(vectors.T[::-1]), float(values.sum() / np.trace(scatter)))


def _signed(directions: np.ndarray) -> np.ndarray:
    """The same directions (2, D), each turned so that its largest part is positive, as scikit-learn does."""
    largest = np.abs(directions).argmax(axis=1)
    return directions * np.sign(directions[[0, 1], largest])[:, None]


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
    if all_alike(before):
        return Moved(np.zeros((len(before), 2), np.float32), np.zeros((len(before), 2), np.float32), 0.0)
    main = plane(before)
    return Moved(main.points(before), main.points(after), main.explained)
