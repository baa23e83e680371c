"""Principal components, and what moves on their plane."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from features import embed
from features.errors import FeatureError
from tests.embed.drawn import points


def test_what_moves_is_laid_on_the_plane_of_what_it_was():
    before = points(40)
    found = embed.moved(before, before + 3)
    plane = PCA(2).fit(before)
    np.testing.assert_allclose(np.abs(found.before), np.abs(plane.transform(before)), atol=1e-4)
    shift = found.after - found.before
    np.testing.assert_allclose(shift, np.repeat(shift[:1], 40, axis=0), atol=1e-4)  # all have gone the same way
    assert found.explained == pytest.approx(plane.explained_variance_ratio_.sum(), rel=1e-4)


def test_what_moved_is_of_the_same_images_and_has_a_plane():
    with pytest.raises(FeatureError, match="the same images"):
        embed.moved(points(10), points(9))
    with pytest.raises(FeatureError, match="two of both"):
        embed.moved(points(1), points(1))
