"""Sets of images with any number of labels, from a list to scores, features and refusals."""

import csv
import json
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn import metrics

from features import datasets, engine, extract, store
from features.datasets.labels import match_labels, matched
from features.errors import DatasetError, FeatureError
from features.evaluate import evaluate
from features.look import look
from features.networks import architecture, canonical, catalogue, zoo
from features.networks.card import ModelSpec, Outputs
from features.predictions import probabilities
from features.progress import finish
from features.store import open_features
from features.train import fit
from features.train.recipe import Recipe
from features.train.start import Start
from tests.random_networks import randomise

NAMES = ("ant", "bee", "cat")
SETS = np.random.default_rng(1).random((24, 3)) < [0.5, 0.3, 0.6]  # (N, K)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("many")
    random = np.random.default_rng(0)
    with (root / "list.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "labels", "number", "site", "id"))
        for number, has in enumerate(SETS):
            pixels = random.integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(root / f"{number}.png")
            labels = ";".join(name for name, holds in zip(("Ant", "bee", "cat"), has, strict=True) if holds)
            rows.writerow((f"{number}.png", labels, number / 2, "ab"[number % 2], number))
    return root


@pytest.fixture(scope="module")
def images(folder):
    return datasets.open_images(str(folder / "list.csv"))


def network(multilabel: bool, names=NAMES):
    shape = architecture.cifar(8, classes=len(names))
    spec = ModelSpec("drawn", "", shape, catalogue.CIFAR_PREPROCESSING, names, "", "", multilabel=multilabel)
    return zoo.Model(canonical.freeze(randomise(canonical.build(shape))), spec, "0" * 64)


def test_labels_are_matched_by_name_as_those_of_single_labels_are(images):
    found = match_labels(network(True, ("cat", "dog", "ant", "bee")).spec, images)
    assert (found.classes, found.how) == (None, "by name")
    np.testing.assert_array_equal(found.sets, np.stack([SETS[:, 2], np.zeros(24, bool), SETS[:, 0], SETS[:, 1]], 1))
    assert matched(network(True, ("x", "y")).spec, images).sets is None


def test_a_sigmoid_heads_scores_are_scikit_learns(images):
    model = network(True)
    result = finish(evaluate(model, images))
    chances = result.predictions
    order = np.argsort(chances.ranked, axis=1)
    scores = np.take_along_axis(chances.probabilities, order, axis=1)  # (N, K)
    said = scores > 0.5
    wanted = metrics.precision_recall_fscore_support(SETS, said, zero_division=0)
    for values, name in zip(wanted, ("precision", "recall", "f1", "support"), strict=True):
        np.testing.assert_allclose([getattr(score, name) for score in result.per_class], values, err_msg=name)
    areas = metrics.average_precision_score(SETS, scores, average=None)
    np.testing.assert_allclose([score.average_precision for score in result.per_class], areas, rtol=1e-6)
    assert result.mean_average_precision == pytest.approx(areas.mean())
    assert result.accuracy == pytest.approx(metrics.accuracy_score(SETS, said))
    assert result.table()["correct"].tolist() == (said == SETS).all(1).tolist()
    assert result.table()["label"][0] == images.label_name(0)
    json.dumps(result.as_dict())


def test_a_network_of_one_class_is_right_if_it_is_one_of_the_labels(images):
    result = finish(evaluate(network(False), images))
    first = result.predictions.predicted
    assert result.accuracy == pytest.approx(SETS[np.arange(24), first].mean())
    assert result.top5 == pytest.approx(SETS.any(1).mean())  # among three classes any is
    recall = metrics.recall_score(SETS, np.equal(first[:, None], np.arange(3)), average=None, zero_division=0)
    np.testing.assert_allclose([score.recall for score in result.per_class], recall)
    assert result.table()["correct"].mean() == pytest.approx(result.accuracy)


def test_training_on_several_labels_an_image_is_refused_with_the_way_out(images, tmp_path):
    with pytest.raises(FeatureError, match=r"one class an image.*--label-column"):
        finish(fit.fit(Start(network(False).spec.architecture), images, images, Recipe(), tmp_path / "state"))


def test_look_counts_each_label(images):
    seen = finish(look(images))
    assert seen.classes == dict(zip(("Ant", "bee", "cat"), SETS.sum(0).tolist(), strict=True))


@pytest.fixture(scope="module")
def features(folder, images, tmp_path_factory):
    model, out = network(True), tmp_path_factory.mktemp("out") / "features"
    plan = engine.choose(model.network, precision="fp32", device="cpu", engine="torch")
    finish(extract.to_folder(model, images, plan, out, size=4))
    return out


def test_features_have_the_labels_joined_and_the_further_columns(features, images):
    table = pd.read_parquet(features / "part-00000.parquet")
    assert table["label"].tolist() == [images.label_name(row) for row in range(24)]
    assert table["number"].tolist() == [row / 2 for row in range(24)]
    assert table["site"].tolist() == ["a", "b"] * 12
    assert table["id_"].tolist() == [*range(24)]  # an id is what an image is called
    rows = duckdb.sql(f"select site, avg(number) from '{features}/part-*.parquet' group by 1 order by 1")
    assert rows.fetchall() == [("a", 5.5), ("b", 6.0)]


@pytest.mark.parametrize("format", store.FORMATS)
def test_labels_and_columns_come_back_in_every_format(features, images, tmp_path, format):
    if format != store.PARQUET:
        finish(store.convert(features, tmp_path / "copy", format))
    opened = open_features(features if format == store.PARQUET else tmp_path / "copy")
    np.testing.assert_array_equal(opened.label_sets, SETS)
    assert opened.labels is None
    assert [*opened.columns] == ["number", "site", "id_"]
    assert opened.columns["site"].tolist() == ["a", "b"] * 12
    np.testing.assert_array_equal(opened.columns["number"], np.arange(24) / 2)
    np.testing.assert_array_equal(
        opened.predictions.names, finish(extract.features(network(True), images)).predictions.names
    )
    assert opened.table()["label"].tolist() == [images.label_name(row) for row in range(24)]


def test_another_column_is_another_run(features, folder, tmp_path):
    text = (folder / "list.csv").read_text()
    (folder / "other.csv").write_text(text.replace("site", "place"))
    other = datasets.open_images(str(folder / "other.csv"))
    model = network(True)
    plan = engine.choose(model.network, precision="fp32", device="cpu", engine="torch")
    with pytest.raises(FeatureError, match=r"columns|digest"):
        finish(extract.to_folder(model, other, plan, features, size=4))


def test_predictions_of_several_labels_are_right_for_the_one_label_of_an_image():
    from features.predictions import Predictions

    logits = np.array([[1.0, -1.0, -1.0], [1.0, 1.0, -1.0]], np.float32)
    said = Predictions.of(logits, NAMES, Outputs.MULTILABEL)
    assert said.correct(np.array([0, 0])).tolist() == [True, False]
    assert probabilities(logits, Outputs.MULTILABEL).shape == (2, 3)


def test_a_set_without_labels_names_both_ways_to_give_some(folder):
    (folder / "plain.txt").write_text("0.png\n")
    with pytest.raises(DatasetError, match=r"one folder per class.*list with a column of labels"):
        match_labels(network(True).spec, datasets.open_images(str(folder / "plain.txt")))


def test_a_result_of_another_process_has_columns_and_labels(images, tmp_path):
    from viz.jobs import results

    features = finish(extract.features(network(True), images))
    results.write(tmp_path / "result", features)
    read = results.read(tmp_path / "result")
    np.testing.assert_array_equal(read.label_sets, SETS)
    assert read.columns["site"].tolist() == images.columns["site"].tolist()
