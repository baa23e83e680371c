"""The images of a channel as a selection, against sorting all of them."""

import numpy as np
import pytest

from features import channels
from features.channels import chosen
from features.errors import FeatureError
from features.progress import finish
from tests.channels.test_reader import N, noise


@pytest.mark.parametrize("k", [1, 7, 16, 25, 400])
@pytest.mark.parametrize(("choose", "sign"), [(chosen.highest, -1), (chosen.lowest, 1)])
def test_extremes_are_the_first_of_all_images_sorted(told, k, choose, sign):
    values = told.layer("layer2").maxima[:, 3]
    wanted = np.lexsort((np.arange(N), sign * values))[:k]
    made = choose(told, "layer2", 3, k)
    assert made.rows.tolist() == sorted(wanted.tolist())
    assert (made.images, made.n_images) == (noise().digest, N)


@pytest.mark.parametrize("choose", [chosen.highest, chosen.lowest])
def test_of_a_large_set_more_images_than_were_kept_hold_these(choose, drawn, monkeypatch):
    monkeypatch.setattr(channels.reader, "KEPT_VALUES", 20 * 32)
    sampled = finish(channels.responses(drawn, noise(), ["layer2"], k=8))
    few, more = ({*choose(sampled, "layer2", 3, k).rows.tolist()} for k in (8, 15))
    assert len(more) == 15
    assert few < more
    assert more - few <= {*sampled.sample_rows.tolist()}
    assert len(choose(sampled, "layer2", 3, N)) == len({*sampled.sample_rows.tolist()} | few)


def test_between_quantiles_lie_as_many_as_the_shares_say(told):
    values = told.layer("layer3").maxima[:, 5]
    order = np.argsort(values)
    assert chosen.between(told, "layer3", 5, 0.75, 1).rows.tolist() == sorted(order[N * 3 // 4 - 1 :].tolist())
    assert len(chosen.between(told, "layer3", 5, 0, 1)) == N


def test_silent_images_have_no_position_above_0(told):
    layer = told.layer("layer3")
    for channel in range(8):
        made = chosen.silent(told, "layer3", channel)
        assert made.rows.tolist() == np.flatnonzero(layer.maxima[:, channel] <= 0).tolist()
        assert len(made) == round(layer.silent[channel] * N)


def test_what_cannot_be_chosen_is_refused(told):
    with pytest.raises(FeatureError, match=r"layer2\.0 has channels from 0 to 31, but got 32"):
        chosen.silent(told, "layer2", 32)
    with pytest.raises(FeatureError, match="at least 1 image"):
        chosen.highest(told, "layer2", 0, 0)
    with pytest.raises(FeatureError, match=r"got 0\.5 and 0\.2"):
        chosen.between(told, "layer2", 0, 0.5, 0.2)
    with pytest.raises(FeatureError, match="layer1 were not measured"):
        chosen.silent(told, "layer1", 0)


def test_a_selection_that_a_channel_made_is_what_sets_it_apart(told):
    """Of a channel whose maxima and means are in one order nothing tells the two apart better."""
    made = channels.apart(told, "layer2", chosen.highest(told, "layer2", 3, 10))
    assert 3 in made.order[:5]
