"""Probabilities, ranks and rows against scipy, scikit-learn and numbers counted by hand."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import special
from sklearn.metrics import top_k_accuracy_score

from features import predictions
from features.networks import architecture, catalogue
from features.networks.card import ModelSpec, Outputs
from features.predictions import Predictions, class_logits, probabilities

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(0, 5, (40, 7)).astype(np.float32)
NAMES = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu")


def said(logits, outputs=Outputs.MULTICLASS, names=NAMES, top=5) -> Predictions:
    return Predictions.of(np.array(logits, np.float32), names, outputs, top)


# --- classes of which one holds --------------------------------------------------------------------------------------


def test_softmax_does_not_overflow_and_adds_up_to_one():
    logits = np.array([[1e4, 0, -1e4], [-1e30, -1e30, -1e30], [0, np.log(2), np.log(5)]], dtype=np.float32)
    expected = [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [1 / 8, 2 / 8, 5 / 8]]
    np.testing.assert_allclose(probabilities(logits, Outputs.MULTICLASS), expected, rtol=1e-6)


def test_predictions_are_the_likeliest_classes_with_their_softmax():
    found, chances = said(LOGITS), special.softmax(LOGITS.astype(np.float64), axis=1)
    order = np.argsort(-LOGITS, axis=1)
    np.testing.assert_array_equal(found.ranked, order[:, :5])
    np.testing.assert_allclose(found.probabilities, np.take_along_axis(chances, order, 1)[:, :5], rtol=1e-6)
    np.testing.assert_array_equal(found.predicted, LOGITS.argmax(1))
    np.testing.assert_array_equal(found.confidence, found.probabilities[:, 0])
    np.testing.assert_allclose(found.margin, -np.diff(-np.sort(-chances)[:, :2])[:, 0], rtol=1e-5)
    assert found.probabilities.dtype == found.confidence.dtype == found.margin.dtype == np.float32


def test_equal_classes_come_by_their_numbers():
    assert said([[1, 3, 1, 3, 3, 1, 0]]).ranked.tolist() == [[1, 3, 4, 0, 2]]


def test_blocks_of_rows_give_what_all_rows_give_at_once(monkeypatch):
    whole = said(LOGITS)
    monkeypatch.setattr(predictions, "BLOCK_VALUES", 3 * LOGITS.shape[1])
    parted = said(LOGITS)
    for name in ("ranked", "probabilities", "confidence", "margin"):
        np.testing.assert_array_equal(getattr(parted, name), getattr(whole, name))


def test_of_no_image_nothing_is_said():
    assert len(said(np.empty((0, 7)))) == 0
    assert len(said(np.empty((0, 1)), names=("no", "yes"))) == 0


def test_no_more_classes_are_kept_than_there_are_and_none_beside_the_first_has_no_margin():
    assert said(LOGITS[:, :3], names=NAMES[:3]).ranked.shape == (40, 3)
    only = said(LOGITS, top=1)
    assert only.ranked.shape == (40, 1)
    assert np.isnan(only.margin).all()


def test_right_and_among_the_first_are_scikit_learns(random):
    truth = random.integers(0, 7, 40)
    found = said(LOGITS, top=3)
    for answers, k in ((found.correct(truth), 1), (found.among_first(truth), 3)):
        assert answers.mean() == pytest.approx(top_k_accuracy_score(truth, LOGITS, k=k, labels=range(7)))


def test_two_networks_agree_where_they_predict_the_same():
    one, other = said([[2, 1], [1, 2]], names=("a", "b")), said([[9, 1], [9, 2]], names=("a", "b"))
    assert one.same(other).tolist() == [True, False]


# --- one logit -------------------------------------------------------------------------------------------------------


def test_one_logit_is_the_sigmoid_of_the_second_of_two_classes():
    logits = np.array([[-1000], [-2], [0], [0.5], [1000]], np.float32)
    found = said(logits, Outputs.BINARY, ("no", "yes"))
    second = special.expit(logits[:, 0].astype(np.float64))
    np.testing.assert_allclose(probabilities(logits, Outputs.BINARY), np.stack([1 - second, second], 1), rtol=1e-6)
    assert found.names.tolist() == ["no", "no", "no", "yes", "yes"]  # yes above a half
    np.testing.assert_allclose(found.confidence, np.maximum(second, 1 - second), rtol=1e-6)
    np.testing.assert_allclose(found.margin, abs(2 * second - 1), rtol=1e-6)
    assert found.correct(np.array([0, 1, 0, 0, 1])).tolist() == [True, False, True, False, True]


def test_on_a_device_one_logit_has_the_gradient_of_the_binary_cross_entropy():
    logit = torch.tensor([[-3.0], [0.25], [2.0]], dtype=torch.float64, requires_grad=True)
    truth = torch.tensor([1, 0, 1])
    functional = torch.nn.functional
    pairs = functional.cross_entropy(class_logits(logit, Outputs.BINARY), truth)
    single = functional.binary_cross_entropy_with_logits(logit[:, 0], truth.double())
    assert pairs.item() == pytest.approx(single.item())
    slopes = [torch.autograd.grad(loss, logit)[0] for loss in (pairs, single)]
    torch.testing.assert_close(*slopes)


def test_several_logits_are_left_as_they_are_on_a_device():
    logits = torch.ones(2, 3)
    assert class_logits(logits, Outputs.MULTICLASS) is logits


# --- labels of which any number holds --------------------------------------------------------------------------------


LABELS = np.array([[3, -1, 0.5], [-2, -0.1, -5], [0, 4, 4]], np.float32)


def test_every_label_is_decided_by_its_own_sigmoid():
    found = said(LABELS, Outputs.MULTILABEL, NAMES[:3])
    chances = special.expit(LABELS.astype(np.float64))
    np.testing.assert_allclose(probabilities(LABELS, Outputs.MULTILABEL), chances, rtol=1e-6)
    assert found.assigned.tolist() == (chances > 0.5).tolist()
    assert found.names.tolist() == ["ant, cat", "", "bee, cat"]
    assert found.ranked[2].tolist() == [1, 2, 0]


def test_confidence_and_margin_of_labels_are_those_of_the_likeliest_set_of_them():
    found = said(LABELS, Outputs.MULTILABEL, NAMES[:3])
    for row, chances in enumerate(special.expit(LABELS.astype(np.float64))):
        sets = sorted(
            np.prod([p if on else 1 - p for p, on in zip(chances, choice, strict=True)])
            for choice in product((False, True), repeat=3)
        )
        assert found.confidence[row] == pytest.approx(sets[-1], rel=1e-6)
        assert found.margin[row] == pytest.approx(sets[-1] - sets[-2], rel=1e-5, abs=1e-7)


def test_labels_are_right_if_all_of_them_are():
    found = said(LABELS, Outputs.MULTILABEL, NAMES[:3])
    truth = np.array([[True, False, True], [True, False, False], [False, True, True]])
    assert found.correct(truth).tolist() == [True, False, True]
    assert found.correct_labels(truth).tolist() == [[True] * 3, [False, True, True], [True] * 3]
    assert found.same(found.take(np.array([0, 0, 2]))).tolist() == [True, False, True]


def test_many_labels_do_not_overflow():
    found = said(np.full((2, 3000), [[1e30], [-1e30]]), Outputs.MULTILABEL, tuple(map(str, range(3000))))
    assert found.confidence.tolist() == [1, 1]
    assert found.margin.tolist() == [1, 1]


# --- which of these a network is -------------------------------------------------------------------------------------


def spec(n_logits: int | None, names: tuple[str, ...] = (), multilabel: bool = False) -> ModelSpec:
    shape = architecture.cifar(8, classes=n_logits)
    return ModelSpec("drawn", "", shape, catalogue.CIFAR_PREPROCESSING, names, "", "", multilabel=multilabel)


@pytest.mark.parametrize(
    ("entry", "outputs", "classes"),
    [
        (spec(3), Outputs.MULTICLASS, ("0", "1", "2")),
        (spec(2, ("a", "b")), Outputs.MULTICLASS, ("a", "b")),
        (spec(1), Outputs.BINARY, ("0", "1")),
        (spec(1, ("no", "yes")), Outputs.BINARY, ("no", "yes")),
        (spec(1, ("dog",)), Outputs.BINARY, ("not dog", "dog")),
        (spec(2, ("sky", "sea"), multilabel=True), Outputs.MULTILABEL, ("sky", "sea")),
        (spec(1, ("sky",), multilabel=True), Outputs.MULTILABEL, ("sky",)),
        (spec(None), Outputs.MULTICLASS, ()),
    ],
)
def test_a_network_says_what_its_logits_are_of(entry, outputs, classes):
    assert entry.outputs is outputs
    assert entry.classes == classes


# --- parts and rows --------------------------------------------------------------------------------------------------


def test_predictions_that_are_parted_and_joined_are_the_same_again():
    for logits, outputs, names in ((LOGITS, Outputs.MULTICLASS, NAMES), (LABELS, Outputs.MULTILABEL, NAMES[:3])):
        whole = said(logits, outputs, names)
        again = Predictions.joined([whole.take(slice(1)), whole.take(np.arange(1, len(whole)))])
        assert again.class_names == names
        for name in ("ranked", "probabilities", "confidence", "margin", "assigned"):
            np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))


IDS = ("a.png", "b.png")


def test_a_row_tells_image_label_prediction_and_confidence():
    found = said([[0, np.log(3)], [np.log(4), 0]], names=("cat", "dog"))
    table = predictions.table(IDS, np.array(["cat", "Cat"], object), found)
    assert table.columns.tolist() == ["id", "label", "pred", "confidence"]
    assert table["id"].tolist() == list(IDS)
    assert table["label"].tolist() == ["cat", "Cat"]
    assert table["pred"].tolist() == ["dog", "cat"]
    np.testing.assert_allclose(table["confidence"], [0.75, 0.8], rtol=1e-6)


def test_a_row_tells_more_where_more_is_asked_for():
    found = said([[0, np.log(3)], [np.log(4), 0]], names=("cat", "dog"))
    table = predictions.table(IDS, None, found, truth=np.array([1, 1]), top=3)
    more = ["correct", "margin", "pred_2", "confidence_2"]
    assert table.columns.tolist() == ["id", "label", "pred", "confidence", *more]
    assert table["correct"].tolist() == [True, False]
    assert table["pred_2"].tolist() == ["cat", "dog"]
    np.testing.assert_allclose(table["margin"], [0.5, 0.6], rtol=1e-6)


def test_what_is_not_known_is_missing_and_the_columns_stay():
    table = predictions.table(IDS, None, None)
    assert table.columns.tolist() == ["id", "label", "pred", "confidence"]
    assert table[["label", "pred", "confidence"]].isna().all(axis=None)
    empty = predictions.table((), None, None)
    assert empty.dtypes.tolist() == table.dtypes.tolist()


def test_of_predictions_from_disk_no_more_is_told_than_was_written():
    found = Predictions.told(("cat", "dog"), np.array([1, 0]), np.array([0.75, 0.8], np.float32))
    table = predictions.table(IDS, None, found, top=5)
    assert table["pred"].tolist() == ["dog", "cat"]
    assert table["margin"].isna().all()
    assert "pred_2" not in table


def test_ids_that_are_no_text_in_utf_8_stay_what_they_are():
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    assert predictions.table((name,), None, None)["id"].tolist() == [name]
    assert isinstance(predictions.table((name,), None, None), pd.DataFrame)
