"""The exact search on a GPU against NumPy's, bit by bit but for the last digit of a distance in float64."""

import numpy as np
import pytest

from features import neighbours
from features.neighbours import Exact
from features.neighbours.exact_gpu import ExactOnGpu
from tests.embed.drawn import points

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("offset", [0, 1e4], ids=["centred", "far from the origin"])
@pytest.mark.parametrize("width", [2, 64, 2048])
def test_a_gpu_answers_what_a_cpu_answers(width, offset):
    features = points(7000, width) + np.float32(offset)
    features[5000:5200] = features[:200]  # copies
    rows = np.arange(4500, 5500)
    one, other = (kind(features).nearest(features[rows], 15, rows) for kind in (ExactOnGpu, Exact))
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_allclose(one[1], other[1], rtol=1e-12)


def test_a_graph_of_many_images_is_exact():
    features = points(30_000, 16)
    found, rows = neighbours.nearest(features, 16), np.arange(0, 30_000, 100)
    assert found.recall == 1
    np.testing.assert_array_equal(found.indices[rows], Exact(features).nearest(features[rows], 16, rows)[0])
