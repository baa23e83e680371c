"""Calibration against what answers of a known reliability must give, and temperatures that are known."""

import numpy as np
import pytest

from features.evaluate import calibration
from features.networks.card import Outputs
from features.predictions import softmax


def drawn(n_images, n_classes=4, spread=2.0, seed=0):
    """Logits (N, K), and classes (N,) drawn with the probabilities that they stand for."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(n_images, n_classes)) * spread
    chances = np.cumsum(softmax(logits), axis=1)
    return logits, (random.random((n_images, 1)) > chances).sum(1).clip(max=n_classes - 1)


def error(confidence, right, groups=calibration.width_groups):
    confidence, right = np.asarray(confidence, np.float64), np.asarray(right, bool)
    return calibration.reliability(confidence, right, groups(confidence)).error


def test_answers_that_are_right_as_often_as_they_are_sure_have_no_error():
    assert error([0.75] * 4, [1, 1, 1, 0]) == pytest.approx(0)
    assert error([1.0] * 5, [1] * 5) == 0


def test_the_error_is_counted_by_hand_in_two_groups():
    # Four answers at 0.9 of which two are right, and one at 0.5 that is wrong: (4 * 0.4 + 1 * 0.5) / 5.
    confidence, right = [0.9] * 4 + [0.5], [1, 1, 0, 0, 0]
    assert error(confidence, right) == pytest.approx(0.42)
    assert error(confidence, right, calibration.mass_groups) == pytest.approx(0.42)


@pytest.mark.parametrize("spread", [0.5, 2.0, 5.0])
def test_the_error_is_that_of_torchmetrics(spread):
    import torch
    from torchmetrics.functional.classification import multiclass_calibration_error

    logits, truth = drawn(500, spread=spread)
    confidence, right = calibration.answers(1.5 * logits, truth, Outputs.MULTICLASS)
    wanted = multiclass_calibration_error(
        torch.from_numpy(softmax(1.5 * logits)), torch.from_numpy(truth), 4, n_bins=calibration.BINS
    )
    assert calibration.calibration(confidence, right).equal_width.error == pytest.approx(float(wanted), abs=1e-6)


def test_always_wrong_and_sure_is_an_error_of_one():
    assert error([1.0] * 3, [0] * 3) == 1


def test_groups_of_one_width_end_where_the_next_begin():
    at = np.arange(1, calibration.BINS + 1) / calibration.BINS
    assert calibration.width_groups(at).tolist() == list(range(calibration.BINS))
    assert calibration.width_groups(np.array([0.0])).tolist() == [0]


def test_groups_of_one_mass_hold_as_many_and_do_not_part_equal_answers():
    confidence = np.random.default_rng(0).permutation(np.linspace(0.1, 0.9, 150))
    groups = calibration.mass_groups(confidence)
    assert np.bincount(groups).tolist() == [10] * calibration.BINS
    assert (np.diff(groups[np.argsort(confidence)]) >= 0).all()
    assert len(np.unique(calibration.mass_groups(np.full(150, 0.7)))) == 1


def test_the_order_of_answers_does_not_matter():
    logits, truth = drawn(300)
    confidence, right = calibration.answers(logits, truth, Outputs.MULTICLASS)
    order = np.random.default_rng(1).permutation(300)
    one, other = (calibration.calibration(confidence[rows], right[rows]) for rows in (np.arange(300), order))
    assert other.equal_width.error == pytest.approx(one.equal_width.error)
    assert other.equal_mass.error == pytest.approx(one.equal_mass.error)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_logits_that_are_too_large_by_a_factor_have_it_as_their_temperature(factor):
    logits, truth = drawn(20_000)
    assert calibration.fit(logits * factor, truth) == pytest.approx(factor, rel=0.03)


def test_a_temperature_mends_the_error_of_images_that_it_was_not_fitted_on():
    logits, truth = drawn(8000)
    told = calibration.temperature(logits * 3, truth, Outputs.MULTICLASS)
    assert (told.n_fitted, told.n_told) == (4000, 4000)
    assert told.error_after < 0.02 < 0.1 < told.error_before
    assert told.loss_after < told.loss_before


def test_labels_of_which_any_number_holds_have_a_temperature_too():
    random = np.random.default_rng(0)
    logits = random.normal(size=(4000, 5)) * 2
    holds = random.random((4000, 5)) < 1 / (1 + np.exp(-logits))
    assert calibration.fit(logits * 2, holds) == pytest.approx(2, rel=0.03)
    confidence, right = calibration.answers(logits, holds, Outputs.MULTILABEL)
    assert error(confidence, right) < 0.02


def test_one_logit_of_two_classes_is_calibrated_as_the_two_logits_that_it_stands_for():
    logits, truth = drawn(500, n_classes=1)
    pair = np.pad(logits, ((0, 0), (1, 0)))
    truth = np.random.default_rng(0).integers(0, 2, 500)
    one = calibration.temperature(logits, truth, Outputs.BINARY)
    assert one == calibration.temperature(pair, truth, Outputs.MULTICLASS)


def test_a_handful_of_images_has_no_temperature():
    logits, truth = drawn(calibration.LEAST - 1)
    assert calibration.temperature(logits, truth, Outputs.MULTICLASS) is None


def test_cross_entropy_is_scikit_learns():
    from sklearn.metrics import log_loss

    logits, truth = drawn(200)
    assert calibration.cross_entropy(logits, truth) == pytest.approx(log_loss(truth, softmax(logits)), rel=1e-5)
