from dataclasses import replace

import numpy as np
import pytest

from features.progress import finish
from features.results import Provenance
from features.similarity import MEASURES, Layers, Resampling, compared, similarity
from features.similarity.comparison import half_samples, sample

RANDOM = np.random.default_rng(2)
N = 120
SHARED = RANDOM.normal(size=(N, 4))
IDS = tuple(map(str, range(N)))


def layers(features):
    return Layers(features, IDS, Provenance(model="net", images_digest="0"))


LEFT = layers({"a": SHARED @ RANDOM.normal(size=(4, 6)), "b": RANDOM.normal(size=(N, 5))})
RIGHT = layers({"c": SHARED + 0.3 * RANDOM.normal(size=(N, 4)), "d": RANDOM.normal(size=(N, 3)), "e": SHARED[:, :2]})
every_measure = pytest.mark.parametrize("measure", MEASURES)


@every_measure
def test_every_pair_of_layers_is_compared_in_order_of_depth(measure):
    found = finish(compared(LEFT, RIGHT, measure))
    wanted = [[similarity(x, y, measure) for y in RIGHT.features.values()] for x in LEFT.features.values()]
    np.testing.assert_allclose(found.values, wanted, atol=1e-12)
    assert (found.rows, found.columns, found.n_images) == (("a", "b"), ("c", "d", "e"), N)
    np.testing.assert_array_equal(found.row_depths, [0, 1])
    np.testing.assert_array_equal(found.column_depths, [0, 0.5, 1])


@every_measure
def test_a_network_is_itself_on_the_diagonal(measure):
    values = finish(compared(LEFT, LEFT, measure)).values
    np.testing.assert_allclose(np.diag(values), MEASURES[measure].same, atol=1e-12)
    np.testing.assert_allclose(values, values.T, atol=1e-12)


@every_measure
def test_chance_is_what_shuffled_images_give(measure, random):
    found, entry = finish(compared(LEFT, RIGHT, measure, Resampling(permutations=39))), MEASURES[measure]
    assert found.p_values[0, 0] == pytest.approx(1 / 40)
    assert found.p_values[1, 1] > 1 / 40
    assert entry.nearer(found.values[0, 0], found.chance_limit[0, 0])
    assert entry.nearer(found.chance_limit, found.chance).all()
    shuffled = [similarity(LEFT.features["b"], RIGHT.features["d"][random.permutation(N)], measure) for _ in range(200)]
    assert found.chance[1, 1] == pytest.approx(np.mean(shuffled), abs=5 * np.std(shuffled) / np.sqrt(39))


def test_unbiased_cka_is_0_by_chance_and_the_biased_one_is_not(random):
    wide = layers({"w": random.normal(size=(N, 400))})
    other = layers({"v": random.normal(size=(N, 400))})
    assert abs(finish(compared(wide, other, "cka")).chance[0, 0]) < 0.01
    assert finish(compared(wide, other, "cka-biased")).chance[0, 0] > 0.7


@every_measure
def test_a_layer_that_does_not_vary_has_no_value_and_spoils_no_other(measure):
    dead = layers({**LEFT.features, "dead": np.full((N, 3), 0.1)})
    found = finish(compared(dead, RIGHT, measure, Resampling(permutations=3, half_samples=3)))
    for table in (found.values, found.low, found.high, found.chance, found.chance_limit, found.p_values):
        assert np.isnan(table[2]).all()
        assert np.isfinite(table[:2]).all()
    with pytest.raises(Exception, match="Features that vary"):
        similarity(dead.features["dead"], RIGHT.features["c"], measure)


@every_measure
def test_intervals_hold_the_value_and_stay_in_range(measure):
    found = finish(compared(LEFT, RIGHT, measure, Resampling(half_samples=40)))
    entry = MEASURES[measure]
    assert (found.low <= found.values + 1e-12).all()
    assert (found.values <= found.high + 1e-12).all()
    assert found.low.min() >= entry.lowest
    assert found.high.max() <= entry.highest
    assert np.isnan(finish(compared(LEFT, RIGHT, measure)).low).all()


def test_intervals_hold_the_population_s_value_nineteen_times_of_twenty():
    """Of x ~ N(0, 1) and y = (x1, noise): CKA is |cov(x, y)|^2 over |cov(x)| |cov(y)| = 1 / (sqrt(2) sqrt(2))."""
    held = []
    for seed in range(150):
        random = np.random.default_rng(seed)
        x = random.normal(size=(N, 2))
        y = np.column_stack([x[:, 0], random.normal(size=N)])
        found = finish(compared(layers({"x": x}), layers({"y": y}), "cka", Resampling(0, 100, seed)))
        held.append(found.low[0, 0] <= 0.5 <= found.high[0, 0])
    assert 0.88 <= np.mean(held) <= 0.99


def test_halves_hold_no_image_twice_and_a_seed_repeats_them():
    rows = np.arange(100, 121)
    for half in half_samples(rows, 5, seed=1):
        assert len(half) == len({*half}) == 10
        assert {*half} <= {*rows}
    np.testing.assert_array_equal(half_samples(rows, 2, 1), half_samples(rows, 2, 1))


def test_copies_of_images_would_bring_strangers_together(random):
    """Why intervals are not of samples with replacement."""
    x, y = random.normal(size=(2, N, 30))
    for measure in ("cka", "neighbours"):
        drawn = random.integers(N, size=N)
        assert similarity(x[drawn], y[drawn], measure) > similarity(x, y, measure) + 0.04


def test_more_images_than_a_measure_takes_are_sampled_with_a_seed(monkeypatch):
    few = replace(MEASURES["rsa"], most_images=50)
    monkeypatch.setitem(MEASURES._entries, "rsa", few)
    found = finish(compared(LEFT, RIGHT, "rsa", Resampling(seed=4)))
    rows = sample(N, 50, 4)
    assert found.n_images == len({*rows}) == 50
    assert found.values[0, 0] == pytest.approx(similarity(LEFT.features["a"][rows], RIGHT.features["c"][rows], "rsa"))
    again = finish(compared(LEFT, RIGHT, "rsa", Resampling(seed=4)))
    np.testing.assert_array_equal(again.p_values, found.p_values)


def test_the_result_tells_what_made_it():
    found = finish(compared(LEFT, RIGHT, "procrustes", Resampling(permutations=2, seed=9)))
    settings = found.left.settings
    assert settings == {
        "measure": "procrustes", "n_images": N, "permutations": 2, "half_samples": 0, "seed": 9,
    }  # fmt: skip
    assert found.right.model == "net"


def test_the_task_reports_where_it_stands_to_the_end():
    reports = []
    finish(compared(LEFT, RIGHT, "cka", Resampling(permutations=2)), reports.append)
    assert [report.done for report in reports] == list(range(7))
    assert {report.total for report in reports} == {6}
