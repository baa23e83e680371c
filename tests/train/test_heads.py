"""Losses, targets and balance of every kind of head, against torch's own and closed forms."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from features.errors import FeatureError
from features.train.heads import HEADS, balanced
from tests.train.runs import squares

SOFTMAX, LOGIT, LABELS = HEADS.values()
LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0], [1.0, 1.5, -0.5], [-3.0, 0.2, 0.1]])
CLASSES = torch.tensor([0, 1, 0, 2])
SETS = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])


def log_sigmoid(values: torch.Tensor) -> torch.Tensor:
    return -(1 + (-values).exp()).log()


def test_softmax_is_cross_entropy_also_smoothed_and_of_mixed_targets():
    plain = SOFTMAX.losses(LOGITS, CLASSES, 0.0, None)
    torch.testing.assert_close(plain, -LOGITS.log_softmax(1)[range(4), CLASSES])
    smoothed = SOFTMAX.losses(LOGITS, CLASSES, 0.3, None)
    torch.testing.assert_close(smoothed, 0.7 * plain - 0.3 * LOGITS.log_softmax(1).mean(1))
    shares = torch.tensor([[0.6, 0.4, 0.0]] * 4)
    torch.testing.assert_close(SOFTMAX.losses(LOGITS, shares, 0.0, None), -(shares * LOGITS.log_softmax(1)).sum(1))


def test_one_logit_is_softmax_of_the_logit_beside_zero():
    logits, targets = LOGITS[:, :1], torch.tensor([1, 0, 0, 1])
    pairs = functional.pad(logits, (1, 0))
    for smoothing in (0.0, 0.2):
        torch.testing.assert_close(
            LOGIT.losses(logits, targets, smoothing, None), SOFTMAX.losses(pairs, targets, smoothing, None)
        )
    shares = torch.tensor([[0.3, 0.7]] * 4)
    torch.testing.assert_close(LOGIT.losses(logits, shares, 0.0, None), SOFTMAX.losses(pairs, shares, 0.0, None))
    assert LOGIT.right(logits, targets).tolist() == SOFTMAX.right(pairs, targets).tolist()


def test_labels_are_binary_cross_entropies_averaged():
    wanted = -(SETS * log_sigmoid(LOGITS) + (1 - SETS) * log_sigmoid(-LOGITS)).mean(1)
    torch.testing.assert_close(LABELS.losses(LOGITS, SETS, 0.0, None), wanted)
    assert LABELS.right(LOGITS, SETS).tolist() == [True, True, True, False]
    half = LABELS.losses(LOGITS, SETS, 1 - 1e-9, None)  # wholly smoothed: one half, whatever is so
    torch.testing.assert_close(half, -(log_sigmoid(LOGITS) + log_sigmoid(-LOGITS)).mean(1) / 2)


def test_weighted_losses_are_torchs_up_to_their_mean():
    weights = torch.tensor([0.5, 2.0, 1.0])
    wanted = functional.cross_entropy(LOGITS, CLASSES, weight=weights, reduction="sum")
    assert SOFTMAX.losses(LOGITS, CLASSES, 0.0, weights).sum().item() == pytest.approx(wanted.item())
    one_hot = functional.one_hot(CLASSES, 3).float()
    assert SOFTMAX.losses(LOGITS, one_hot, 0.0, weights).sum().item() == pytest.approx(wanted.item())
    pairs = torch.tensor([[0.5, 1.0, 1.0], [2.0, 1.0, 3.0]])  # absent and present, of each label
    found = LABELS.losses(LOGITS, SETS, 0.0, pairs)
    by_torch = functional.binary_cross_entropy_with_logits(
        LOGITS, SETS, weight=torch.where(SETS > 0, pairs[1], pairs[0]), reduction="none"
    )
    torch.testing.assert_close(found, by_torch.mean(1))


def test_balanced_classes_have_the_same_weight_together_and_one_on_average():
    labels = np.array([0] * 6 + [1] * 3 + [2] * 1)
    weights = balanced(labels, SOFTMAX, 4)  # of the fourth class there is none
    counts = np.bincount(labels, minlength=4)
    np.testing.assert_allclose(weights * counts, [10 / 3] * 3 + [0], rtol=1e-6)
    assert weights[labels].mean() == pytest.approx(1)


def test_balanced_labels_weigh_their_presence_as_much_as_their_absence():
    sets = np.array([[1, 0, 1], [1, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    absent, present = balanced(sets, LABELS, 3)
    np.testing.assert_allclose(present * sets.sum(0), [2, 2, 2], rtol=1e-6)
    np.testing.assert_allclose(absent * (1 - sets).sum(0), [2, 2, 2], rtol=1e-6)
    everywhere = balanced(np.ones((4, 1), np.float32), LABELS, 1)
    np.testing.assert_allclose(everywhere, [[0], [1]])  # a label of all images counts as it is


def test_targets_are_classes_or_labels():
    images = squares(6)
    many = replace(images, labels=None, label_sets=SETS[:, [0, 1, 2]].bool().numpy().repeat(2, 0)[:6])
    assert SOFTMAX.targets(images).tolist() == [0, 1, 2, 0, 1, 2]
    np.testing.assert_array_equal(LABELS.targets(images), np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]])
    np.testing.assert_array_equal(LABELS.targets(many), many.label_sets)
    assert LABELS.targets(many).dtype == np.float32


@pytest.mark.parametrize(
    ("head", "changed", "text"),
    [
        (SOFTMAX, {"labels": None}, "squares has no labels to learn from"),
        (LABELS, {"labels": None}, "squares has no labels to learn from"),
        (
            SOFTMAX,
            {"labels": None, "label_sets": np.ones((6, 3), bool)},
            "learns one class an image.*--head multi-label",
        ),
        (LOGIT, {}, "A head of one logit parts two classes, but squares has 3. Use the head softmax"),
    ],
)
def test_labels_that_a_head_cannot_learn_are_refused(head, changed, text):
    with pytest.raises(FeatureError, match=text):
        head.targets(replace(squares(6), **changed))


@pytest.mark.parametrize(("head", "logits"), [(SOFTMAX, 2), (LOGIT, 1), (LABELS, 2)])
def test_a_head_has_a_logit_a_class_or_one_for_two(head, logits):
    assert head.logits(("a", "b")) == logits
