"""What changes do to predictions, batch by batch, against what all of them at once say."""

import numpy as np
import pytest
import torch

from features.effects import Effects
from features.networks.card import Outputs
from features.predictions import Predictions, probabilities

N, K = 50, 4
RANDOM = np.random.default_rng(0)
INTACT, CHANGED = RANDOM.normal(size=(2, N, K)).astype(np.float32)
TRUTH = RANDOM.integers(0, K, N)


def summed(outputs, width, truth=TRUTH):
    effects = Effects(1, outputs)
    for rows in np.split(np.arange(N), [7, 30]):
        targets = None if truth is None else torch.from_numpy(truth[rows])
        effects.begin(torch.from_numpy(INTACT[rows, :width]), targets)
        effects.add(0, torch.from_numpy(CHANGED[rows, :width]))
    return effects


@pytest.mark.parametrize(("outputs", "width"), [(Outputs.MULTICLASS, K), (Outputs.BINARY, 1), (Outputs.MULTILABEL, K)])
def test_sums_over_batches_are_those_of_predictions(outputs, width):
    truth = TRUTH % max(width, 2)
    made = summed(outputs, width, truth)
    names = [str(number) for number in range(max(width, 2))]
    intact, changed = (Predictions.of(values[:, :width], names, outputs) for values in (INTACT, CHANGED))
    assert made.right[0] == changed.correct(truth).sum()
    assert made.intact[0] == intact.correct(truth).sum()
    assert made.same[0] == changed.same(intact).sum()
    chances = probabilities(CHANGED[:, :width], outputs)
    assert made.probability[0] == pytest.approx(chances[np.arange(N), truth].sum(), rel=1e-5)


def test_without_labels_only_agreement_is_known():
    made = summed(Outputs.MULTICLASS, K, None)
    assert np.isnan([made.right[0], made.probability[0], *made.intact]).all()
    assert made.same[0] == (INTACT.argmax(1) == CHANGED.argmax(1)).sum()
