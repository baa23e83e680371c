"""The exact search: brute force, and that no batch, order or number of threads changes a bit."""

import numpy as np
import pytest

from features.neighbours import exact, exact_gpu
from features.neighbours.exact import Exact
from features.neighbours.exact_gpu import ExactOnGpu
from tests.embed.drawn import points


def on_device(features):
    """What a GPU runs, on the CPU."""
    return ExactOnGpu(features, "cpu")


KINDS = pytest.mark.parametrize("kind", [Exact, on_device], ids=["NumPy", "PyTorch"])


def brute_force(features, rows, k):
    distances = np.sqrt(np.square(features.astype(np.float64)[None] - rows.astype(np.float64)[:, None]).sum(2))
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(distances, order, 1)


@KINDS
@pytest.mark.parametrize("offset", [0, 100, 1e4], ids=["centred", "away", "far from the origin"])
@pytest.mark.parametrize("width", [1, 2, 64, 700])
def test_the_nearest_are_those_of_all_pairs_in_float64(monkeypatch, width, offset, kind):
    for module in (exact, exact_gpu):
        monkeypatch.setattr(module, "TILE", 37)  # so that there is more than one
    monkeypatch.setattr(exact, "QUERIES", 11)
    features, rows = points(150, width) + np.float32(offset), points(23, width, seed=1) + np.float32(offset)
    indices, distances = kind(features).nearest(rows, 7)
    wanted, far = brute_force(features, rows, 7)
    np.testing.assert_array_equal(indices, wanted)
    np.testing.assert_allclose(distances, far, rtol=1e-12)


@KINDS
def test_ties_beyond_the_candidates_come_by_number(kind):
    features = np.repeat(points(3, 5), 60, axis=0)[np.random.default_rng(0).permutation(180)]
    rows = features[:9]
    np.testing.assert_array_equal(kind(features).nearest(rows, 5)[0], brute_force(features, rows, 5)[0])


@KINDS
def test_differences_in_the_last_digit_are_told_apart(kind):
    features = np.full((300, 32), 512, np.float32)
    features[:, 0] += np.arange(300)[::-1] * np.spacing(np.float32(512))
    indices, _ = kind(features).nearest(features[-1:], 20)
    np.testing.assert_array_equal(indices[0], np.arange(299, 279, -1))


@KINDS
def test_what_is_answered_of_a_row_depends_on_no_other(kind):
    features, rows = points(900, 33), points(200, 33, seed=1)
    search, order = kind(features), np.random.default_rng(0).permutation(200)
    indices, distances = search.nearest(rows, 15)
    for start in range(0, 200, 7):
        some = search.nearest(rows[order[start : start + 7]], 15)
        np.testing.assert_array_equal(some[0], indices[order[start : start + 7]])
        np.testing.assert_array_equal(some[1], distances[order[start : start + 7]])


@KINDS
def test_a_row_among_the_features_comes_first_though_it_has_copies(kind):
    features = np.ones((40, 3), np.float32)
    indices, distances = kind(features).nearest(features[20:25], 4, np.arange(20, 25))
    assert indices.tolist() == [[row, 0, 1, 2] for row in range(20, 25)]
    assert not distances.any()


@KINDS
@pytest.mark.parametrize("scale", [1e-2, 1e2, 1e6])
def test_one_far_row_makes_no_other_doubtful(monkeypatch, scale, kind):
    features = points(500, 64)
    features[0] *= np.float32(scale)
    search = kind(features)
    monkeypatch.setattr(search, "_within", lambda *_: pytest.fail("every pair is measured"))
    indices, _ = search.nearest(features[1:], 9, np.arange(1, 500))
    np.testing.assert_array_equal(indices, brute_force(features, features[1:], 9)[0])


def test_distances_in_float64_are_measured_in_pieces_that_fit(monkeypatch):
    features = points(200, 12)
    whole = on_device(features).nearest(features, 5)
    monkeypatch.setattr(exact_gpu, "DIFFERENCES", 100)
    for one, other in zip(on_device(features).nearest(features, 5), whole, strict=True):
        np.testing.assert_array_equal(one, other)
