"""Every order of channels against sorting by hand, and what is said where one is not possible."""

from dataclasses import replace

import numpy as np
import pytest

from features import channels
from features.channels import RANKINGS, rankings
from features.errors import FeatureError
from features.progress import finish
from tests.channels.test_reader import noise


def by_hand(known):
    """Order -> its values (C,), by the fields of the results alone."""
    layer, made = known.layer, known.selectivity
    values = {
        "index": np.arange(layer.n_channels),
        "mean": layer.mean,
        "highest": layer.top.values[:, 0],
        "silent": layer.silent,
        "auroc": made.auroc.max(0),
        "class-auroc": made.auroc[1],
        "class-difference": made.difference[1],
    }
    if known.readers is not None:
        values["read"] = known.readers.strengths
    return values


def test_orders_are_those_of_their_numbers_from_high_to_low(told, drawn):
    known = channels.evidence(told, drawn, "layer2", "dog")
    for name, values in by_hand(known).items():
        ranked = RANKINGS[name].of(known)
        sign = 1 if RANKINGS[name].smallest_first else -1
        assert ranked.channels.tolist() == np.argsort(sign * values, kind="stable").tolist()
        np.testing.assert_array_equal(ranked.values, values[ranked.channels])
        assert ranked.rank_of(int(ranked.channels[5])) == 6


def test_an_order_as_a_table_has_a_row_a_channel_under_its_title(told, drawn):
    ranked = RANKINGS["mean"].of(channels.evidence(told, drawn, "layer2"))
    table = ranked.table()
    assert table["channel"].tolist() == ranked.channels.tolist()
    np.testing.assert_array_equal(table["mean"], told.layer("layer2").mean[ranked.channels])
    assert set(table["layer"]) == {told.layer("layer2").name}


@pytest.mark.parametrize(("images", "name"), [(5, "auroc"), (4, "highest")])
def test_channels_are_ordered_by_auroc_where_classes_have_enough_images_for_it(told, images, name):
    classes = replace(told.classes, counts=np.full(len(told.classes.names), images))
    assert channels.usual(replace(told, classes=classes)).name == name
    without = replace(told.classes, names=(), counts=np.zeros(0, int))
    assert channels.usual(replace(told, classes=without)).name == "highest"


def test_of_the_last_layer_contributions_are_known_and_no_readers(told, drawn):
    known = channels.evidence(told, drawn, "layer3", "4")
    ranked = RANKINGS["logit"].of(known)
    weights = drawn.network.classifier.weight[4].double().numpy()
    np.testing.assert_allclose(ranked.values, np.sort(weights * told.layer("layer3").means.mean(0))[::-1], rtol=1e-5)
    assert not RANKINGS["read"].can_rank(known)
    with pytest.raises(FeatureError, match=r"how much it is read of layer3\.0 needs a block whose convolutions read"):
        RANKINGS["read"].of(known)


def test_accuracy_lost_is_that_of_a_sweep_and_channels_that_were_not_swept_come_last(told, drawn):
    made = finish(channels.sweep(drawn, noise(), "layer2", [3, 9]))
    known = channels.evidence(told, drawn, "layer2", sweep=made)
    ranked = RANKINGS["lost"].of(known)
    assert {*ranked.channels[:2].tolist()} == {3, 9}
    np.testing.assert_allclose(np.sort(1 - made.agreement)[::-1], ranked.values[:2])  # the labels are other classes
    assert np.isnan(ranked.values[2:]).all()
    with pytest.raises(FeatureError, match=r"sweep is of layer2\.0, but layer3\.0 is looked at"):
        channels.evidence(told, drawn, "layer3", sweep=made)


def test_what_is_not_known_is_said(told, drawn):
    known = channels.evidence(told, drawn, "layer2")
    assert [name for name, each in RANKINGS.items() if not each.can_rank(known)] == ["logit", "lost"]
    with pytest.raises(FeatureError, match=r"AUROC for a class of layer2\.0 needs a class\. Name one"):
        RANKINGS["class-auroc"].of(known)
    with pytest.raises(
        FeatureError, match=r"no class 'cow' for the order by AUROC for a class\. Choose one of cat, dog"
    ):
        RANKINGS["class-auroc"].of(channels.evidence(told, drawn, "layer2", "cow"))
    unlabelled = finish(channels.responses(drawn, noise(None), ["layer2"]))
    known = channels.evidence(unlabelled, drawn, "layer2")
    assert not RANKINGS["auroc"].can_rank(known)
    with pytest.raises(FeatureError, match=r"needs labels\. Choose a labelled set"):
        RANKINGS["auroc"].of(known)


@pytest.mark.parametrize("name", RANKINGS)
def test_every_order_says_what_its_number_is(name):
    assert RANKINGS[name].means
    assert {*RANKINGS[name].needs} <= {*rankings.NEEDED}
