"""What sets a selection apart, against SciPy and scikit-learn, and against what the same images as a class have."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from features import channels
from features.errors import FeatureError
from features.progress import finish
from features.selection import Selection
from tests.channels.test_reader import LABELS, N, noise


def selected(mask):
    return Selection.of(noise().digest, mask)


def test_the_images_of_a_class_are_set_apart_by_what_the_class_is(told):
    wanted = told.selectivity("layer2")
    made = channels.apart(told, "layer2", selected(LABELS == 1))
    for name in ("difference", "low", "high", "auroc"):
        np.testing.assert_allclose(getattr(made, name), getattr(wanted, name)[1], rtol=1e-9, atol=1e-12)
    assert (made.n_images, made.n_others) == ((LABELS == 1).sum(), (LABELS != 1).sum())


def test_two_selections_are_compared_without_the_rest(told):
    values = told.layer("layer3").means.astype(np.float64)
    made = channels.apart(told, "layer3", selected(LABELS == 0), selected(LABELS != 1))
    one, other = values[LABELS == 0], values[LABELS == 2]  # of both counts as selected
    interval = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose(made.difference, one.mean(0) - other.mean(0), rtol=1e-9)
    np.testing.assert_allclose(made.low, interval.low, rtol=1e-6)
    np.testing.assert_allclose(made.high, interval.high, rtol=1e-6)
    either = LABELS != 1
    wanted = [roc_auc_score(LABELS[either] == 0, column[either]) for column in told.layer("layer3").means.T]
    np.testing.assert_allclose(made.auroc, wanted)
    table = made.table()
    apart = np.abs(np.array(wanted) - 0.5)
    np.testing.assert_allclose(np.abs(table["auroc"] - 0.5), np.sort(apart)[::-1])
    np.testing.assert_allclose(table["auroc"], np.array(wanted)[table["channel"]])
    np.testing.assert_allclose(table["difference"], (table["mean"] - table["others_mean"]), rtol=1e-9)


def test_the_sides_exchanged_turn_every_sign(told):
    one, other = selected(LABELS == 0), selected(LABELS == 2)
    first, second = channels.apart(told, "layer2", one, other), channels.apart(told, "layer2", other, one)
    np.testing.assert_allclose(first.difference, -second.difference)
    np.testing.assert_allclose(first.auroc, 1 - second.auroc)


def test_of_a_large_set_the_sampled_images_count_alone(drawn, monkeypatch):
    monkeypatch.setattr(channels.reader, "KEPT_VALUES", 20 * 32)
    sampled = finish(channels.responses(drawn, noise(), ["layer2"]))
    made = channels.apart(sampled, "layer2", selected(LABELS == 1))
    assert (made.n_images, made.n_others) == ((LABELS[sampled.sample_rows] == 1).sum(), 20 - made.n_images)


def test_what_cannot_be_compared_is_refused(told):
    with pytest.raises(FeatureError, match="got 1 and 39"):
        channels.apart(told, "layer2", selected(np.arange(N) == 3))
    with pytest.raises(FeatureError, match="got 40 and 0"):
        channels.apart(told, "layer2", selected(np.full(N, True)))
    with pytest.raises(FeatureError, match="selection is of another set"):
        channels.apart(told, "layer2", Selection("1" * 64, np.arange(3), N))
