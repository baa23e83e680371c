import numpy as np
import pytest

from features.errors import FeatureError
from features.progress import finish
from features.results import Provenance
from features.similarity import Batching, Layers, similarity, streamed

RANDOM = np.random.default_rng(8)
N = 600
CLASSES = np.repeat(np.arange(6), N // 6)
CENTRES = RANDOM.normal(size=(6, 5)) * 4
X = CENTRES[CLASSES] + RANDOM.normal(size=(N, 5))
Y = CENTRES[CLASSES] @ RANDOM.normal(size=(5, 7)) + RANDOM.normal(size=(N, 7))


IDS = tuple(map(str, range(N)))


def layers(digest=None, **features):
    return Layers(features, IDS, Provenance(model="net", images_digest=digest))


def test_a_set_sorted_by_class_gives_what_all_images_give():
    """In their own order each batch would lie within a class, where nothing is shared."""
    found = finish(streamed(layers(x=X), layers(y=Y)))
    assert found.values[0, 0] == pytest.approx(similarity(X, Y), abs=0.03)
    assert found.spread.is_random
    assert found.low[0, 0] < found.values[0, 0] < found.high[0, 0]


def test_a_seed_repeats_it():
    one, other = (finish(streamed(layers(x=X), layers(y=Y), Batching(seed=3))) for _ in range(2))
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.chance, other.chance)
    assert one.left.settings["seed"] == 3


def test_a_network_with_itself_is_one_on_the_diagonal():
    both = layers(x=X, y=Y)
    found = finish(streamed(both, both))
    np.testing.assert_allclose(np.diag(found.values), 1, atol=1e-12)
    assert found.columns == ("x", "y")


def test_each_layer_is_asked_for_once():
    asked = []

    class Slow(dict):
        def __getitem__(self, name):
            asked.append(name)
            return super().__getitem__(name)

        def keys(self):
            return super().keys()

    left = Layers(Slow(x=X, y=Y), IDS, Provenance())
    finish(streamed(left, left))
    assert len(asked) <= 2


def test_other_images_are_refused():
    with pytest.raises(FeatureError, match="called alike but are of two sets"):
        finish(streamed(layers(digest="a", x=X), layers(digest="b", y=Y)))


def test_reports_run_to_the_last_image():
    reports = []
    finish(streamed(layers(x=X), layers(y=Y)), reports.append)
    assert (reports[0].done, reports[-1].done) == (0, N)
    assert {report.total for report in reports} == {N}
