"""Gradients along paths, made by hand, and what is drawn of them."""

import numpy as np

from features.residual import Paths
from features.results import Provenance
from viz.figures.residual import gradient_paths


def test_paths_show_their_number_one_and_all():
    lengths = np.arange(4)
    share = np.array([1, 3, 3, 1]) / 8
    single = np.array([1.0, 2.0, 4.0, 8.0])
    error = np.array([0.0, 0.5, 0.5, 0.0])
    followed = np.array([1, 2, 3, 1])
    paths = Paths(
        lengths,
        share,
        single,
        error,
        followed,
        np.array([1.0, 1.0, 2.0, 0.0]),
        8,
        (),
        {"draws": 2, "seed": 0},
        Provenance(),
    )
    number, one, every, exact = gradient_paths.by_length(paths).data
    np.testing.assert_allclose(number.y, share)
    np.testing.assert_allclose(one.y, [1, 2, 4, 8])
    np.testing.assert_allclose(one.error_y.array, [0, 0.5 / np.sqrt(2), 0, 0])  # of length 2 all three were followed
    np.testing.assert_allclose(every.y, np.array([1, 6, 12, 8]) / 27)
    np.testing.assert_allclose(exact.y, [0.25, 0.25, 0.5, 0])
    assert len({trace.xaxis for trace in (number, one, every)}) == 3
