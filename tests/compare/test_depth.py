"""Blocks along relative depth against the analyses of residual branches, of which they are."""

import json
from dataclasses import replace

import numpy as np
import pytest

from features import residual
from features.compare.depth import DepthSettings, along_depth
from features.datasets import open_images
from features.errors import DatasetError, FeatureError
from features.networks import architecture, canonical, zoo
from features.progress import finish
from features.residual import lesioned, parse


@pytest.fixture(scope="module")
def images():
    return open_images("sample").sample(40)


@pytest.fixture(scope="module")
def model():
    return zoo.load("resnet20-fashion")


@pytest.fixture(scope="module")
def told(model, images):
    return finish(along_depth(model, images, lesions=True))


def test_numbers_are_those_of_the_branches(told, model, images):
    alone = finish(residual.statistics(model, images))
    assert told.blocks == alone.blocks
    np.testing.assert_allclose(told.ratios[:, 1], np.median(alone.ratios, axis=0), rtol=1e-6)
    np.testing.assert_allclose(told.cosines, np.percentile(alone.cosines, (5, 50, 95), axis=0).T, rtol=1e-5)
    np.testing.assert_allclose(told.shares, [each.branch_share for each in alone.channels])
    np.testing.assert_array_equal(told.depths, np.arange(9) / 8)


def test_what_is_lost_is_that_of_a_sweep(told, model, images):
    alone = finish(residual.sweep(model, images, residual.each(model.network)))
    np.testing.assert_allclose(told.lost.accuracy, alone.accuracy)
    np.testing.assert_allclose(told.lost.lost, alone.intact_accuracy - alone.accuracy)
    np.testing.assert_allclose(told.lost.agreement, alone.agreement)


def test_a_plain_network_has_no_branches_to_tell_of_and_loses_with_its_blocks(images):
    told = finish(along_depth(zoo.load("plain20-fashion"), images, lesions=True))
    assert (told.ratios, told.cosines, told.shares, told.is_residual) == (None, None, None, False)
    assert (told.lost.lost > 0.3).sum() >= 5
    row = told.as_dict()["blocks"][3]
    assert (row["ratio"], row["cosine"], row["branch share"]) == (None, None, None)
    assert row["shortcut"] == "none"


def test_a_block_that_was_left_out_before_is_left_out_of_the_lesions(model, images):
    told = finish(along_depth(lesioned(model, parse("without:layer2.1")), images, lesions=True))
    at = told.blocks.index("layer2.1")
    assert np.isnan(told.lost.lost).tolist() == [number == at for number in range(9)]
    assert told.ratios[at].tolist() == [0, 0, 0]
    assert np.isnan(told.cosines[at]).all()
    assert told.as_dict()["blocks"][at]["cosine"] is None


def test_without_labels_it_counts_predictions_that_change(model, images):
    told = finish(along_depth(model, replace(images, labels=None, class_names=()), lesions=True))
    assert not told.lost.judged
    np.testing.assert_allclose(told.lost.lost, 1 - told.lost.agreement)
    assert told.as_dict()["intact_accuracy"] is None


def test_lesions_are_measured_only_where_they_are_wanted(model, images):
    told = finish(along_depth(model, images))
    assert told.lost is None
    assert told.table()["lost"].isna().all()
    json.dumps(told.as_dict(), allow_nan=False)


def test_every_network_is_measured_on_the_same_part_of_many_images(model):
    images = open_images("sample").sample(60)
    settings = DepthSettings(n_images=20, seed=3)
    told = finish(along_depth(model, images, settings=settings))
    assert (told.n_images, told.n_asked) == (20, 60)
    alone = finish(residual.statistics(model, images.sample(20, 3)))
    np.testing.assert_allclose(told.ratios[:, 1], np.median(alone.ratios, axis=0), rtol=1e-6)
    assert told.provenance.settings["n_images"] == 20
    assert told.provenance.images_digest == images.digest


def test_reports_go_on_from_one_part_to_the_next(model, images):
    reports = []
    finish(along_depth(model, images, lesions=True), reports.append)
    shares = [each.done / each.total for each in reports]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert {each.note for each in reports} == {"blocks", "without each block"}


def test_what_cannot_be_measured_is_refused(model, images):
    with pytest.raises(DatasetError, match="no images"):
        finish(along_depth(model, images.take([])))
    headless = replace(model, network=canonical.freeze(canonical.build(architecture.cifar(8, classes=None))))
    with pytest.raises(FeatureError, match="no classifier"):
        finish(along_depth(headless, images, lesions=True))
