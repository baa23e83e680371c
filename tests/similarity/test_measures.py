import numpy as np
import pytest
from scipy.spatial import procrustes
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr
from sklearn.neighbors import NearestNeighbors

from features.errors import FeatureError
from features.similarity import MEASURES, similarity

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(60, 5)) * [3, 2, 1, 1, 1]
Y = X[:, :3] @ RANDOM.normal(size=(3, 4)) + RANDOM.normal(size=(60, 4))
ROTATION = np.linalg.qr(RANDOM.normal(size=(5, 5)))[0]
every_measure = pytest.mark.parametrize("measure", MEASURES)


@every_measure
def test_features_are_the_same_as_themselves(measure):
    assert similarity(X, X, measure) == pytest.approx(MEASURES[measure].same, abs=1e-12)


@every_measure
@pytest.mark.parametrize(
    "alike",
    [X[:, [3, 1, 4, 0, 2]], 7 * X, X + 5, X @ ROTATION, np.pad(X, ((0, 0), (0, 90)))],
    ids=["permuted channels", "scale", "shift", "rotation", "dead channels"],
)
def test_what_no_measure_sees_changes_nothing(measure, alike):
    assert similarity(alike, Y, measure) == pytest.approx(similarity(X, Y, measure), abs=1e-9)


@every_measure
def test_an_arbitrary_invertible_map_is_seen(measure):
    stretched = X * [1, 1, 1, 1, 40]
    assert abs(similarity(X, stretched, measure) - MEASURES[measure].same) > 0.1


@every_measure
def test_first_and_second_may_be_exchanged(measure):
    assert similarity(X, Y, measure) == pytest.approx(similarity(Y, X, measure), abs=1e-12)


@every_measure
def test_other_images_are_no_longer_alike(measure, random):
    entry = MEASURES[measure]
    own = similarity(X, Y, measure)
    mixed = similarity(X, Y[random.permutation(60)], measure)
    assert abs(mixed - entry.same) > abs(own - entry.same)


@every_measure
def test_prepared_features_are_permuted_as_rows_are(measure, random):
    entry, order = MEASURES[measure], random.permutation(60)
    for x in (X, np.pad(X, ((0, 0), (0, 90)))):  # as features, and as a kernel
        permuted = entry.compare(entry.prepare(Y), entry.prepare(x).permuted(order))
        assert permuted == pytest.approx(entry.compare(entry.prepare(Y), entry.prepare(x[order])), abs=1e-9)


def test_rsa_is_scipys_rank_correlation_of_distances():
    ties = np.round(X), np.round(Y)
    assert similarity(*ties, "rsa") == pytest.approx(spearmanr(pdist(ties[0]), pdist(ties[1])).statistic, abs=1e-12)


def test_procrustes_is_what_scipys_best_fit_leaves():
    """scipy scales the second to fit: it leaves 1 - s^2 where s is the nuclear norm, and the distance is 2 - 2 s."""
    y = np.pad(Y, ((0, 0), (0, 1)))
    assert similarity(X, y, "procrustes") == pytest.approx(2 - 2 * np.sqrt(1 - procrustes(X, y)[2]), abs=1e-9)


def test_procrustes_of_more_channels_than_images_is_that_of_their_span(random):
    wide = np.hstack([X, np.zeros((60, 200))]) @ np.linalg.qr(random.normal(size=(205, 205)))[0]
    assert similarity(wide, Y, "procrustes") == pytest.approx(similarity(X, Y, "procrustes"), abs=1e-9)


def test_shared_neighbours_are_scikit_learns():
    one, other = (NearestNeighbors(n_neighbors=10).fit(values).kneighbors(return_distance=False) for values in (X, Y))
    wanted = np.mean([len({*a} & {*b}) / 10 for a, b in zip(one, other, strict=True)])
    assert similarity(X, Y, "neighbours") == pytest.approx(wanted)


def test_neighbours_of_strangers_are_shared_by_chance():
    found = [similarity(*np.random.default_rng(seed).normal(size=(2, 101, 6)), "neighbours") for seed in range(20)]
    assert np.mean(found) == pytest.approx(10 / 100, abs=0.01)


def test_neighbours_far_from_the_origin_are_the_same():
    assert similarity(X + 1e7, X, "neighbours") == 1


def test_every_measure_tells_what_it_sees_and_what_not_in_a_sentence():
    for name, entry in MEASURES.items():
        assert name == entry.name
        for text in (entry.sees, entry.blind):
            assert text[0].isupper()
            assert text.endswith(".")
            assert ". " not in text
        assert "arXiv" in entry.source or "doi" in entry.source


@every_measure
@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (X, Y[:50], "60 and 50 rows"),
        (X[:3], Y[:3], "from 4 images on"),
        (np.where(X > 4, np.nan, X), Y, "The first holds NaN"),
        (X, np.full((60, 4), 0.1), "Features that vary"),
        (X.reshape(60, 5, 1, 1), Y, "Pool maps over positions or flatten"),
        (X, Y[:, :0], "shape"),
    ],
    ids=["other images", "few images", "NaN", "constant", "maps", "no channels"],
)
def test_bad_input_is_refused_with_what_to_do(measure, x, y, words):
    with pytest.raises(FeatureError, match=words):
        similarity(x, y, measure)


def test_images_that_are_all_alike_in_pairs_have_no_unbiased_value():
    with pytest.raises(FeatureError, match="as alike as any other"):
        similarity(np.eye(60), X, "cka")


def test_a_measure_that_there_is_not_is_refused_with_those_there_are():
    with pytest.raises(FeatureError, match="Choose one of cka, cka-biased, rsa, procrustes, neighbours"):
        similarity(X, Y, "cca")


def test_nothing_is_written_into_the_features():
    x, y = X.copy(), Y.copy()
    for array in (x, y):
        array.flags.writeable = False
    for measure in MEASURES:
        similarity(x, y, measure)
