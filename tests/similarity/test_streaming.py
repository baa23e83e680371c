import tracemalloc

import numpy as np
import pytest

from features.errors import FeatureError
from features.similarity import Batching, Rows, Stream, similarity, with_batch

RANDOM = np.random.default_rng(5)
N = 400
SHARED = RANDOM.normal(size=(N, 3))
X = {
    "layer1.0": (SHARED @ RANDOM.normal(size=(3, 6)) + RANDOM.normal(size=(N, 6))).astype(np.float32),
    "layer1.1": RANDOM.normal(size=(N, 40)).astype(np.float32),
}
Y = {
    "stage1": (SHARED @ RANDOM.normal(size=(3, 5)) + RANDOM.normal(size=(N, 5))).astype(np.float32),
    "stage2": np.hstack([SHARED, RANDOM.normal(size=(N, 60))]).astype(np.float32),
    "stage3": RANDOM.normal(size=(N, 2)).astype(np.float32),
}


def cut(layers, start, stop):
    return {name: values[start:stop] for name, values in layers.items()}


def streamed(x, y, pieces=(100,), **settings):
    stream = Stream(list(x), None if y is None else list(y), Batching(**settings))
    start, n, number = 0, len(next(iter(x.values()))), 0
    while start < n:
        stop = min(n, start + pieces[number % len(pieces)])
        stream.add(cut(x, start, stop), None if y is None else cut(y, start, stop))
        start, number = stop, number + 1
    return stream.result()


def hsic(x, y):
    """HSIC_1 of a batch by U-centred kernels (Szekely & Rizzo 2014, doi:10.1214/14-AOS1255)."""
    a, b = (u_centred(values.astype(np.float64)) for values in (x, y))
    return (a * b).sum() / (len(x) * (len(x) - 3))


def u_centred(x):
    x = x - x.mean(0)
    k, n = x @ x.T, len(x)
    np.fill_diagonal(k, 0)
    sums = k.sum(1)
    k = k - (sums[:, None] + sums) / (n - 2) + k.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(k, 0)
    return k


def by_hand(x, y, cuts):
    """Of batches that end at `cuts`, each weighted by its images."""
    edges = list(zip([0, *cuts], cuts, strict=False))
    both, one, other = (
        sum((stop - start) * hsic(a[start:stop], b[start:stop]) for start, stop in edges)
        for a, b in ((x, y), (x, x), (y, y))
    )
    return both / np.sqrt(one * other)


@pytest.mark.parametrize(
    ("batch", "cuts"),
    [(100, [100, 200, 300, 400]), (150, [150, 300, 400]), (132, [132, 264, 396, 400]), (500, [400]), (398, [400])],
    ids=["equal", "a short one", "four left are one", "one", "two left join the last"],
)
def test_batches_count_by_their_images(batch, cuts):
    found = streamed(X, Y, batch=batch).values
    wanted = [[by_hand(x, y, cuts) for y in Y.values()] for x in X.values()]
    np.testing.assert_allclose(found, wanted, atol=1e-9)


@pytest.mark.parametrize("pieces", [(1,), (3, 170, 29), (400,)], ids=str)
def test_how_many_images_come_at_a_time_changes_nothing(pieces):
    one, other = streamed(X, Y, batch=64), streamed(X, Y, pieces, batch=64)
    for name in ("values", "low", "high", "chance", "chance_limit", "p_values"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_one_batch_is_the_whole_set():
    found = streamed(X, Y, batch=400).values
    wanted = [[similarity(x, y, "cka") for y in Y.values()] for x in X.values()]
    np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_batches_give_in_the_mean_what_the_whole_set_gives():
    """Small batches of features wider than they are, of which biased CKA would be near 1."""
    both, differences = X["layer1.0"], []
    for seed in range(40):
        order = np.random.default_rng(seed).permutation(N)
        x, y = {"a": both[order]}, {"b": Y["stage2"][order]}
        differences.append(streamed(x, y, batch=20, permutations=0, bootstraps=0).values[0, 0])
    whole = similarity(both, Y["stage2"], "cka")
    assert np.mean(differences) == pytest.approx(whole, abs=0.01)
    assert np.mean([similarity(both[:20], Y["stage2"][:20], "cka-biased")]) > whole + 0.1


def test_strangers_are_at_0_although_channels_outnumber_a_batch():
    held = []
    for seed in range(40):
        x, y = np.random.default_rng(seed).normal(size=(2, 600, 300))
        found = streamed({"a": x}, {"b": y}, batch=20)
        assert abs(found.values[0, 0]) < 0.05
        held.append(found.low[0, 0] < 0 < found.high[0, 0])
    assert np.mean(held) >= 0.85


def test_a_network_with_itself_is_one_on_the_diagonal_and_symmetric():
    found = streamed(X, None, batch=90)
    np.testing.assert_allclose(np.diag(found.values), 1, atol=1e-12)
    np.testing.assert_allclose(found.values, found.values.T, atol=1e-12)
    np.testing.assert_allclose(found.values, streamed(X, X, batch=90).values, atol=1e-12)
    assert found.rows == found.columns


def test_permuted_channels_rotation_scale_and_shift_change_nothing(random):
    rotation = np.linalg.qr(random.normal(size=(6, 6)))[0]
    moved = {"layer1.0": 3 * X["layer1.0"] @ rotation + 9, "layer1.1": X["layer1.1"][:, ::-1]}
    np.testing.assert_allclose(streamed(moved, Y, batch=90).values, streamed(X, Y, batch=90).values, atol=1e-6)


def test_more_may_follow_a_result():
    stream = Stream(list(X), list(Y), Batching(batch=64))
    stream.add(cut(X, 0, 250), cut(Y, 0, 250))
    assert stream.result().n_images == 250
    stream.add(cut(X, 250, N), cut(Y, 250, N))
    np.testing.assert_array_equal(stream.result().values, streamed(X, Y, batch=64).values)


def test_permutations_tell_what_chance_gives():
    found = streamed(X, Y, batch=50)
    assert abs(found.chance).max() < 0.05
    related, stranger = (0, 0), (1, 2)
    assert found.values[related] > found.chance_limit[related]
    assert found.p_values[related] == pytest.approx(1 / 21)
    assert found.p_values[stranger] > 1 / 21


def test_intervals_hold_the_population_s_value_nineteen_times_of_twenty():
    """Of x ~ N(0, 1) and y = (x1, noise): CKA is |cov(x, y)|^2 over |cov(x)| |cov(y)| = 1 / (sqrt(2) sqrt(2))."""
    held = []
    for seed in range(120):
        random = np.random.default_rng(seed)
        x = random.normal(size=(960, 2))
        y = np.column_stack([x[:, 0], random.normal(size=960)])
        found = streamed({"x": x}, {"y": y}, batch=24, permutations=0)
        held.append(found.low[0, 0] <= 0.5 <= found.high[0, 0])
    assert 0.88 <= np.mean(held) <= 0.99


def test_few_batches_give_no_interval():
    assert np.isnan(streamed(X, Y, batch=100).low).all()
    assert np.isfinite(streamed(X, Y, batch=with_batch(Batching(), N).batch).low).all()


def test_more_batches_than_are_kept_apart_still_count_all():
    found = streamed(X, Y, batch=4, permutations=0).values  # 100 batches
    twice = {name: np.vstack([values, values]) for name, values in X.items()}
    again = {name: np.vstack([values, values]) for name, values in Y.items()}
    np.testing.assert_allclose(streamed(twice, again, batch=4, permutations=0).values, found, atol=1e-9)


def test_images_sorted_by_class_are_told(random):
    classes = np.repeat(np.arange(4), N // 4)[:, None] * 10 + random.normal(size=(N, 3))
    assert not streamed({"a": classes}, None, batch=40).spread.is_random
    mixed = classes[random.permutation(N)]
    spread = streamed({"a": mixed}, None, batch=40).spread
    assert spread.is_random
    assert spread.n_batches == 10


def test_the_spread_of_random_batches_is_about_1(random):
    found = [streamed({"a": random.normal(size=(N, 5)) + 40}, None, batch=40).spread.ratio for _ in range(20)]
    assert np.mean(found) == pytest.approx(1, abs=0.2)


def test_a_layer_that_is_the_same_for_all_images_has_no_value_and_spoils_no_other():
    found = streamed({**X, "dead": np.full((N, 3), 0.1, np.float32)}, Y, batch=64)
    assert np.isnan(found.values[2]).all()
    assert np.isnan(found.p_values[2]).all()
    np.testing.assert_array_equal(found.values[:2], streamed(X, Y, batch=64).values)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (cut(X, 0, 9), cut(Y, 0, 8), "hold 8 and 9 rows"),
        ({"layer1.0": X["layer1.0"]}, Y, "Of the first network layer1.0, layer1.1 are compared, but got layer1.0"),
        (X, None, "but got nothing"),
        ({**X, "layer1.1": np.full((N, 40), np.inf)}, Y, "layer1.1 of the first network holds NaN or infinite"),
        ({**X, "layer1.1": np.zeros((N, 40, 2, 2))}, Y, "Pool maps over positions or flatten"),
    ],
    ids=["other images", "a layer lacks", "no second", "infinite", "maps"],
)
def test_bad_batches_are_refused_and_not_taken(x, y, words):
    stream = Stream(list(X), list(Y))
    with pytest.raises(FeatureError, match=words):
        stream.add(x, y)
    assert stream.n_images == 0


def test_another_width_than_before_is_refused():
    stream = Stream(["a"])
    stream.add({"a": X["layer1.0"]})
    with pytest.raises(FeatureError, match="40 values an image, but had 6"):
        stream.add({"a": X["layer1.1"]})


def test_images_that_are_named_must_be_the_same_in_one_order():
    stream = Stream(list(X), list(Y))
    ids = [f"{number}.png" for number in range(N)]
    stream.add_images(Rows(ids, X), Rows(ids, Y))
    with pytest.raises(FeatureError, match="in one order each"):
        stream.add_images(Rows(ids, X), Rows(ids[::-1], Y))
    assert stream.n_images == N


@pytest.mark.parametrize("n", [0, 3])
def test_too_few_images_have_no_result(n):
    stream = Stream(list(X), list(Y))
    stream.add(cut(X, 0, n), cut(Y, 0, n))
    with pytest.raises(FeatureError, match=f"got {n}"):
        stream.result()


def test_four_images_have_one():
    assert np.isfinite(streamed(cut(X, 0, 4), cut(Y, 0, 4)).values).all()


def test_batches_too_small_for_an_estimate_are_refused():
    with pytest.raises(FeatureError, match="from 4 images on"):
        Stream(["a"], None, Batching(batch=3))


def test_memory_does_not_grow_with_the_images(random):
    def peak(n_batches):
        x = {f"block{number}": random.normal(size=(32, 16)).astype(np.float32) for number in range(6)}
        tracemalloc.start()
        stream = Stream(list(x), None, Batching(batch=32, bootstraps=10, permutations=2))
        for _ in range(n_batches):
            stream.add(x)
        stream.result()
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(2)
    assert peak(300) < 1.1 * peak(140)


def test_sixteen_by_sixteen_blocks_of_resnet_50_take_less_than_200_mb():
    widths = [256] * 3 + [512] * 4 + [1024] * 6 + [2048] * 3
    x = {f"block{number}": np.ones((64, width), np.float32) for number, width in enumerate(widths)}
    tracemalloc.start()
    stream = Stream(list(x), list(x), Batching(permutations=1))
    for _ in range(6):  # a batch and a half
        stream.add(x, x)
    stream.result()
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert used < 200e6
