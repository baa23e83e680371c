"""What is asked for beyond a comparison: each extra is what its analysis tells, under the comparison's names."""

import json

import numpy as np
import pytest

from features.compare import EXTRAS, compare, numbers_of, with_extras
from features.compare.depth import DepthSettings, along_depth
from features.compare.export import as_dict, tables
from features.datasets import open_images
from features.errors import FeatureError
from features.networks import zoo
from features.progress import finish
from features.similarity import MEASURES, similarity


@pytest.fixture(scope="module")
def models():
    model = zoo.load("resnet20-fashion")
    return [model, zoo.load("plain20-fashion"), model]


@pytest.fixture(scope="module")
def told(models):
    return finish(compare(models, open_images("sample").sample(60)))


@pytest.fixture(scope="module")
def extras(told, models):
    return finish(with_extras(told, models, EXTRAS))


def test_pairs_are_of_the_first_network_with_each_other_or_of_all():
    assert numbers_of(EXTRAS["stitching"], 4, all_pairs=False) == [(0, 1), (0, 2), (0, 3)]
    assert len(numbers_of(EXTRAS["stitching"], 4, all_pairs=True)) == 6
    assert numbers_of(EXTRAS["branches"], 3, all_pairs=False) == [(0,), (1,), (2,)]


def test_every_extra_is_under_the_names_of_the_comparison(extras, told):
    names = ["resnet20-fashion (1)", "plain20-fashion", "resnet20-fashion (3)"]
    assert [each.name for each in told.contenders] == names
    pairs = [tuple(names[number] for number in numbers) for numbers in ((0, 1), (0, 2))]
    for name, extra in EXTRAS.items():
        wanted = pairs if extra.of_pairs else [(each,) for each in names]
        assert [each.networks for each in extras if each.extra == name] == wanted
        for each in extras:
            if each.extra == name:
                assert len(each.result.table())
    stitching = next(each.result for each in extras if each.extra == "stitching" and each.networks == pairs[1])
    assert {joint.giver for joint in stitching.joints} == {*pairs[1]} == {*stitching.names}
    assert stitching.notes[0].startswith("Of 60 images, maps are fitted on 24 and counted on 36 others")
    assert all(joint.change.difference == 0 for joint in stitching.joints)  # the same network


def test_stages_are_compared_as_their_features_are(extras, told):
    measured = next(each.result for each in extras if each.extra == "measures")
    first, second = told.contenders[:2]
    for table in measured.tables:
        assert table.rows == ("stem", "layer1", "layer2", "layer3")
        one, other = first.layers["layer2.2"], second.layers["layer3.2"]
        assert table.values[2, 3] == pytest.approx(similarity(one, other, table.measure))
    assert [table.measure for table in measured.tables] == [*MEASURES]


def test_branches_are_those_of_the_network_alone(extras, told, models):
    mine = next(each.result for each in extras if each.extra == "branches")
    alone = finish(along_depth(models[0], told.common.images, True, DepthSettings(seed=0)))
    np.testing.assert_array_equal(mine.ratios, alone.ratios)
    np.testing.assert_array_equal(mine.lost.lost, alone.lost.lost)


def test_what_only_one_gets_right_is_shown_with_both_maps(extras, told):
    looked = next(each.result for each in extras if each.extra == "saliency")
    first, second = told.contenders[:2]
    only_one = {told.ids[row] for row in np.flatnonzero(first.correct != second.correct)}
    assert {each.id for each in looked.disagreed.pairs} <= only_one
    assert len(looked.disagreed.pairs) == min(12, len(only_one))
    assert looked.n_disagreed == len(only_one)
    same = dict(zip(looked.alike.ids, looked.alike.same_class, strict=True))
    assert all(same[each.id] for each in looked.differing.pairs)


def test_files_hold_every_extra_with_the_networks_in_front(extras, told):
    written = dict(tables(told, extras))
    assert {f"{name}.parquet" for name in EXTRAS} <= {*written}
    assert set(written["stitching.parquet"]["beside"]) == {"plain20-fashion", "resnet20-fashion (3)"}
    content = json.loads(json.dumps(as_dict(told, extras), allow_nan=False))
    assert [each["extra"] for each in content["extras"]] == [each.extra for each in extras]


def test_an_extra_that_does_not_exist_is_an_error(told, models):
    with pytest.raises(FeatureError, match="measures"):
        finish(with_extras(told, models, ["cost"]))
