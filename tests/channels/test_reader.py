"""What channels answer against maps of the plain network, numpy, SciPy and scikit-learn."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from sklearn.metrics import roc_auc_score

from features import channels
from features.channels import reader
from features.datasets import ImageSet
from features.errors import DatasetError, FeatureError, ImageError
from features.progress import finish

N, CLASSES = 40, ("cat", "dog", "fox")
PIXELS = np.random.default_rng(0).integers(0, 256, (N, 32, 32, 3), dtype=np.uint8)
LABELS = np.random.default_rng(1).integers(0, 3, N)
BLOCKS = ("layer1.0", "layer2.0", "layer3.0")


def opened(row):
    return Image.fromarray(PIXELS[row])


def noise(labels=LABELS, opener=opened):
    names = CLASSES if labels is not None else ()
    return ImageSet("noise", tuple(f"{row}.png" for row in range(N)), labels, names, "0" * 64, opener)


def plain_maps(model):
    """'stem' and block -> (N, C, H, W), by the canonical network in PyTorch's own operations."""
    batch = torch.stack([model.spec.preprocessing(opened(row)) for row in range(N)])
    with torch.no_grad():
        x = model.network.stem(batch)
        made = {"stem": x.numpy()}
        for name, block in model.network.blocks():
            x = block(x)
            made[name] = x.numpy()
    return made


def measured(model, images=None, **settings):
    return finish(channels.responses(model, noise() if images is None else images, **settings))


def test_extremes_and_sums_are_those_of_the_maps(tiny_model):
    made, maps = measured(tiny_model, layers=["stem", *BLOCKS], k=5), plain_maps(tiny_model)
    assert [layer.name for layer in made.layers] == [*maps]
    for layer in made.layers:
        values = maps[layer.name]
        maxima, means = values.max((2, 3)), values.mean((2, 3))  # (N, C)
        assert layer.shape == values.shape[1:]
        np.testing.assert_allclose(layer.maxima, maxima, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(layer.means, means, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(layer.mean, means.mean(0), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(layer.variance, means.var(0), rtol=1e-2, atol=1e-5)
        np.testing.assert_allclose(layer.top.values, -np.sort(-maxima.T)[:, :5], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(layer.bottom.values, np.sort(maxima.T)[:, :5], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(layer.silent, (maxima <= 0).mean(0))


def test_what_is_kept_of_an_extreme_is_the_image_and_the_position_of_its_value(tiny_model):
    made, maps = measured(tiny_model, k=7), plain_maps(tiny_model)
    for layer in made.layers:
        for extremes in (layer.top, layer.bottom):
            rows, columns = np.moveaxis(extremes.positions, 2, 0)
            there = maps[layer.name][extremes.rows, np.arange(layer.n_channels)[:, None], rows, columns]
            np.testing.assert_allclose(there, extremes.values, rtol=1e-3, atol=1e-4)


def test_a_stage_is_its_last_block_and_nothing_above_the_last_layer_is_computed(tiny_model):
    made = measured(tiny_model, layers=["layer2"])
    assert [layer.name for layer in made.layers] == ["layer2.0"]
    assert made.layer("layer2") is made.layer("layer2.0")
    with pytest.raises(FeatureError, match=r"layer3 were not measured, only those of layer2\.0"):
        made.layer("layer3")
    assert [layer.name for layer in measured(tiny_model, layers=["stem"]).layers] == ["stem"]


def test_differences_and_intervals_are_those_of_welch(tiny_model):
    made = measured(tiny_model, layers=["layer3"])
    layer, told = made.layers[0], made.selectivity("layer3")
    values = layer.means.astype(np.float64)
    for number in range(3):
        own, rest = values[number == LABELS], values[number != LABELS]
        wanted = stats.ttest_ind(own, rest, equal_var=False).confidence_interval(0.95)
        np.testing.assert_allclose(told.difference[number], own.mean(0) - rest.mean(0), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(told.low[number], wanted.low, rtol=1e-5, atol=1e-9)
        np.testing.assert_allclose(told.high[number], wanted.high, rtol=1e-5, atol=1e-9)


def test_auroc_is_that_of_scikit_learn(tiny_model):
    made = measured(tiny_model, layers=["layer3"])
    layer, told = made.layers[0], made.selectivity("layer3")
    for number in range(3):
        wanted = [roc_auc_score(number == LABELS, column) for column in layer.means.T]
        np.testing.assert_allclose(told.auroc[number], wanted)


def test_images_of_any_number_of_labels_are_told_apart_by_each(tiny_model):
    sets = np.random.default_rng(2).random((N, 3)) < 0.4
    made = measured(tiny_model, replace(noise(None), class_names=CLASSES, label_sets=sets), layers=["layer1"])
    told, values = made.selectivity("layer1"), made.layers[0].means.astype(np.float64)
    for number in range(3):
        has = sets[:, number]
        np.testing.assert_allclose(told.difference[number], values[has].mean(0) - values[~has].mean(0), rtol=1e-6)
        np.testing.assert_allclose(told.auroc[number], [roc_auc_score(has, column) for column in values.T])


def test_a_class_without_images_has_no_numbers_and_one_of_one_image_no_interval(tiny_model):
    labels = np.array([0] + [1] * (N - 1))
    told = measured(tiny_model, noise(labels), layers=["layer1"]).selectivity("layer1")
    assert not np.isnan(told.difference[:2]).any()
    assert np.isnan(told.low[:2]).all()
    assert np.isnan(told.difference[2]).all()
    assert np.isnan(told.auroc[2]).all()


def test_parts_of_a_set_in_any_order_give_what_one_pass_gives(tiny_model):
    images = noise()
    whole = measured(tiny_model, images, k=6)
    tallies = [reader.Tally(tiny_model, images, (), 6, 0) for _ in range(3)]
    for tally, part in zip(tallies, (range(25, 40), range(0, 10), range(10, 25)), strict=True):
        finish(reader.read(tally, tiny_model, images, part))
    made = tallies[0].merge(tallies[1]).merge(tallies[2]).result(tiny_model, images)
    assert (made.n_images, made.classes.counts.tolist()) == (N, whole.classes.counts.tolist())
    for one, other in zip(made.layers, whole.layers, strict=True):
        np.testing.assert_allclose(one.maxima, other.maxima, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(one.top.values, other.top.values, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(one.bottom.values, other.bottom.values, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(one.class_sums, other.class_sums, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(one.silent, other.silent)


def test_tallies_of_different_settings_are_not_merged(tiny_model):
    one, other = (reader.Tally(tiny_model, noise(), (), k, 0) for k in (5, 6))
    with pytest.raises(FeatureError, match="can be merged"):
        one.merge(other)
    with pytest.raises(FeatureError, match="No image has been read"):
        one.result(tiny_model, noise())


def test_what_is_too_much_to_keep_is_sampled_with_a_seed_and_its_error_is_told(tiny_model, monkeypatch):
    whole = measured(tiny_model)
    assert whole.is_exact
    assert whole.rank_error == 0
    monkeypatch.setattr(reader, "KEPT_VALUES", 10 * (16 + 32 + 64))
    made, again, other = (measured(tiny_model, seed=seed) for seed in (3, 3, 4))
    assert len(made.sample_rows) == 10
    assert made.sample_rows.tolist() == again.sample_rows.tolist() != other.sample_rows.tolist()
    assert made.rank_error == pytest.approx(np.sqrt(np.log(40) / 20))
    for one, all_of_it in zip(made.layers, whole.layers, strict=True):
        np.testing.assert_array_equal(one.maxima, all_of_it.maxima[made.sample_rows])
        np.testing.assert_array_equal(one.mean, all_of_it.mean)
        np.testing.assert_array_equal(one.top.rows, all_of_it.top.rows)


def test_quantiles_and_histograms_are_those_of_numpy(tiny_model):
    layer = measured(tiny_model, layers=["layer2"]).layers[0]
    np.testing.assert_allclose(layer.quantiles((0.25, 0.5)), np.quantile(layer.maxima, (0.25, 0.5), axis=0), rtol=1e-6)
    counts, edges = layer.histogram(3)
    assert counts.sum() == N
    assert (edges[0], edges[-1]) == (layer.maxima[:, 3].min(), layer.maxima[:, 3].max())
    with pytest.raises(FeatureError, match="channels from 0 to 31, but got 32"):
        layer.histogram(32)


def test_the_table_has_a_row_for_each_channel_and_the_facts_are_json(tiny_model):
    made = measured(tiny_model)
    table = made.table()
    assert table.groupby("layer").size().to_dict() == dict(zip(BLOCKS, (16, 32, 64), strict=True))
    layer, told = made.layer("layer2"), made.selectivity("layer2")
    rows = table[table["layer"] == "layer2.0"].reset_index()
    np.testing.assert_array_equal(rows["auroc"], told.auroc.max(0))
    best = [CLASSES.index(name) for name in rows["best_class"]]
    np.testing.assert_array_equal(told.auroc[best, np.arange(32)], told.auroc.max(0))
    np.testing.assert_array_equal(rows["difference"], told.difference[best, np.arange(32)])
    assert rows["top_image"].tolist() == [f"{row}.png" for row in layer.top.rows[:, 0]]
    np.testing.assert_allclose(rows["q50"], np.median(layer.maxima, 0), rtol=1e-6)
    facts = json.loads(json.dumps(made.as_dict()))
    assert facts["n_images"] == N
    assert facts["provenance"]["k"] == 16
    assert "best_class" not in measured(tiny_model, noise(None)).table()


def test_images_that_cannot_be_read_are_left_out_and_named(tiny_model):
    def damaged(row):
        if row == 7:
            raise ImageError("damaged")
        return opened(row)

    made = measured(tiny_model, noise(opener=damaged))
    assert made.n_images == N - 1
    assert [(each.id, each.reason) for each in made.rejected] == [("7.png", "damaged")]
    assert 7 not in made.sample_rows
    assert made.is_exact
    assert not (made.layers[0].top.rows == 7).any()


def test_fewer_images_than_k_are_all_kept(tiny_model):
    made = measured(tiny_model, noise().take(range(3)), layers=["layer1"])
    assert made.layers[0].top.values.shape == (16, 3)
    assert (np.sort(made.layers[0].top.rows, 1) == [0, 1, 2]).all()


def test_what_cannot_be_measured_is_refused(tiny_model):
    with pytest.raises(FeatureError, match=r"no layer layer9\. This network has stem, layer1.0, layer1"):
        measured(tiny_model, layers=["layer9"])
    with pytest.raises(FeatureError, match="at least 1 image"):
        measured(tiny_model, k=0)
    with pytest.raises(DatasetError, match="no images left"):
        measured(tiny_model, noise().take([]))
    with pytest.raises(FeatureError, match="no labels"):
        measured(tiny_model, noise(None)).selectivity("layer1")
    with torch.no_grad():
        tiny_model.network.stem[0].weight.fill_(torch.nan)
    with pytest.raises(FeatureError, match="NaN or infinite"):
        measured(tiny_model)


def test_more_class_sums_than_can_be_held_are_refused(tiny_model, monkeypatch):
    monkeypatch.setattr(reader, "CLASS_VALUES", 3 * 112 - 1)
    with pytest.raises(FeatureError, match="3 classes times 112 channels are more than the 335"):
        measured(tiny_model)
    assert measured(tiny_model, layers=["layer1"]).n_images == N


def test_a_channel_is_of_the_class_with_the_highest_auroc_or_of_none():
    difference = np.array([[2.0, 0.0, 1.0], [1.0, 0.0, 3.0]])
    auroc = np.array([[0.6, 0.5, 0.9], [0.8, 0.5, 0.9]])
    told = channels.Selectivity(("cat", "dog"), difference, difference, difference, auroc).best()
    assert told["best_class"] == ["dog", "", "dog"]  # of two as high, the one with the larger difference
    assert told["difference"].tolist() == [1.0, 0.0, 3.0]
    assert channels.Selectivity(
        ("cat",), difference[:1], difference[:1], difference[:1], np.full((1, 3), np.nan)
    ).best()["best_class"] == ["", "", ""]
