import numpy as np
import pytest

from features.errors import FeatureError
from features.progress import finish
from features.results import Provenance
from features.similarity import FLATTENED, POOLED, Layers, Resampling, as_rows, compared, layers, similarity
from features.store import FeatureSet

RANDOM = np.random.default_rng(11)
MAPS = RANDOM.normal(size=(30, 4, 3, 3)).astype(np.float16)
IDS = tuple(f"{number}.png" for number in range(30))


def feature_set(maps, digest="one"):
    n = len(maps)
    made = Provenance(model="a network", images="a set", images_digest=digest)
    return FeatureSet({"layer1": maps}, np.arange(n), IDS[:n], IDS[:n], None, (), None, (), made)


def test_pooled_maps_are_means_and_flattened_ones_hold_every_position():
    pooled, flat = (layers(feature_set(MAPS), form) for form in (POOLED, FLATTENED))
    np.testing.assert_allclose(pooled.features["layer1"], MAPS.astype(np.float64).mean((2, 3)), atol=1e-3)
    assert flat.features["layer1"].shape == (30, 36)
    assert (pooled.provenance.settings["form"], flat.provenance.settings["form"]) == (POOLED, FLATTENED)


def test_pooled_and_flattened_answer_different_questions():
    """What is moved about in each image by itself is the same when pooled, and another thing position by position."""
    moved = np.stack([np.roll(image, number % 3, axis=2) for number, image in enumerate(MAPS)])
    one, other = (as_rows(maps, POOLED) for maps in (MAPS, moved))
    assert similarity(one, other, "cka") == pytest.approx(1, abs=1e-5)
    one, other = (as_rows(maps, FLATTENED) for maps in (MAPS, moved))
    assert similarity(one, other, "cka") < 0.7


def test_pooling_sums_in_more_digits_than_it_is_given():
    large = np.full((4, 1, 100, 100), 60000, np.float16)
    assert np.isfinite(as_rows(large, POOLED)).all()


def test_rows_stay_what_they_are(random):
    rows = random.normal(size=(5, 3))
    assert as_rows(rows, POOLED) is rows


def test_a_form_that_there_is_not_is_refused():
    with pytest.raises(FeatureError, match="Choose one of pooled, flattened"):
        layers(feature_set(MAPS), "sum")


def of(features, ids=IDS, digest=None):
    return Layers(features, ids, Provenance(model="other", images="set", images_digest=digest))


ROWS = {"a": RANDOM.normal(size=(30, 4)), "b": RANDOM.normal(size=(30, 6))}


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (of(ROWS, IDS[::-1]), "in one order each"),
        (of(ROWS, (*IDS[:-1], "new.png")), "1 are not among those of the second, such as '29.png'"),
        (of(ROWS, IDS[:20]), "got 30 and 20 of them"),
        (of(ROWS, IDS, "another"), "called alike but are of two sets"),
        (of({"a": ROWS["a"][:20]}), "a of other has 20 rows for 30 images"),
        (of({"a": np.full((30, 2), np.nan)}), "a of other holds NaN"),
        (of({"a": MAPS}), "Pool maps over positions or flatten"),
    ],
    ids=["order", "other", "fewer", "digest", "rows", "NaN", "maps"],
)
def test_what_is_not_of_the_same_images_is_refused_with_what_to_do(other, words):
    with pytest.raises(FeatureError, match=words):
        finish(compared(of(ROWS, IDS, "one"), other))


def test_three_images_are_too_few():
    few = of({"a": ROWS["a"][:3]}, IDS[:3])
    with pytest.raises(FeatureError, match="got 3"):
        finish(compared(few, few))


def test_a_sample_is_read_alone():
    chosen = np.array([2, 7, 29])
    np.testing.assert_array_equal(of(ROWS).rows("a", chosen), ROWS["a"][chosen])
    assert Resampling().half_samples == 0
