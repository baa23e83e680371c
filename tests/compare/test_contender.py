"""What a network puts out is read once, whole for a sample and its logits for all."""

import numpy as np
import pytest

from features import engine, residual
from features.compare import compare, contender
from features.compare.pair import clusters, confusions
from features.datasets import open_images
from features.extract import PartReader
from features.networks import zoo
from features.progress import finish


@pytest.fixture(scope="module")
def model():
    return zoo.load("resnet20-fashion")


@pytest.fixture(scope="module")
def images():
    return open_images("sample").sample(50)


def test_of_a_large_set_blocks_are_read_of_a_sample_and_logits_of_all(model, images, monkeypatch):
    whole = finish(contender.read(model, images))
    monkeypatch.setattr(contender, "SAMPLE", 20)
    monkeypatch.setattr(contender, "LOGITS_AT_ONCE", 7)
    told = finish(contender.read(model, images))
    assert len(told.sample) == 20
    assert [*told.rest.stages] == [engine.LOGITS]
    np.testing.assert_array_equal(told.rows, np.arange(50))
    rows = np.array([3, 4, 10, 11, 12, 30, 31, 32, 33, 49])
    wanted = whole.sample.stages[engine.LOGITS][rows]
    np.testing.assert_allclose(np.concatenate([*told.logits(rows)]), wanted, rtol=1e-4, atol=1e-4)


def test_a_comparison_of_a_large_set_is_that_of_all_its_images(model, images, monkeypatch):
    models = [model, zoo.load("plain20-fashion")]
    whole = finish(compare(models, images))
    monkeypatch.setattr(contender, "SAMPLE", 20)
    monkeypatch.setattr("features.compare.comparison.SAMPLE", 20)
    told = finish(compare(models, images))
    for each, wanted in zip(told.contenders, whole.contenders, strict=True):
        np.testing.assert_array_equal(each.correct, wanted.correct)
        assert len(each.rows) == 20
    assert told.pairs[0].similarity.n_images == 20


def test_what_was_read_is_not_read_again(model, images, monkeypatch):
    plain, lesioned = zoo.load("plain20-fashion"), residual.lesioned(model, residual.parse("without:layer2.1"))
    other = images.take([*range(40)])
    finish(compare([model, plain], other))
    parts = []
    tasks = PartReader.tasks
    monkeypatch.setattr(PartReader, "tasks", lambda self, numbers: parts.append(self.model) or tasks(self, numbers))
    again = finish(compare([plain, model], other))
    assert not parts
    assert [each.name for each in again.contenders] == ["plain20-fashion", "resnet20-fashion"]
    finish(compare([model, lesioned], other))
    assert parts == [lesioned]


def test_confusions_favour_neither_network_and_hold_the_images_of_both_classes(model, images):
    told = finish(compare([model, zoo.load("plain20-fashion")], images))
    first, second = told.contenders
    both = first.evaluation.confusion + second.evaluation.confusion
    np.fill_diagonal(both, 0)
    chosen = confusions(first, second)
    one, other = np.unravel_index((both + both.T).argmax(), both.shape)
    names = first.evaluation.class_names
    assert {f"{names[one]} or {names[other]}", f"{names[other]} or {names[one]}"} & {each.name for each in chosen}
    assert [each.name for each in chosen] == [each.name for each in confusions(second, first)]
    for each in chosen:
        labels = {names[first.evaluation.truth[row]] for row in each.rows}
        assert labels == {*each.name.split(" or ")}


def test_clusters_are_of_about_as_many_as_there_are_classes(model, images):
    told = finish(compare([model, zoo.load("plain20-fashion")], images))
    numbers = clusters(told.contenders[0], 50, 0)
    assert 2 <= len({*numbers}) <= 5
    assert clusters(told.contenders[0], 50, 0).tolist() == numbers.tolist()
