"""What layers have in common against numpy on their own numbers."""

import numpy as np

from features import channels
from features.channels.results import QUANTILES
from features.progress import finish
from tests.channels.test_reader import CLASSES, measured, noise


def test_every_layer_is_told_by_quantiles_over_its_channels(tiny_model):
    told = measured(tiny_model, layers=["stem", "layer1", "layer3"])
    made = finish(channels.along_depth(told))
    assert made.layers == ("stem", "layer1.0", "layer3.0")
    for row, layer in enumerate(told.layers):
        best = np.nanmax(told.selectivity(layer.name).auroc, axis=0)
        np.testing.assert_allclose(made.silent[row], np.quantile(layer.silent, QUANTILES))
        np.testing.assert_allclose(made.auroc[row], np.quantile(best, QUANTILES))
        assert made.best_auroc[row] == best.max() == best[made.best[row]]
        assert made.best_class[row] in CLASSES
        assert made.always_silent[row] == (layer.silent == 1).sum()
        assert made.n_channels[row] == layer.n_channels
    assert list(made.table()["best_channel"]) == made.best.tolist()


def test_without_labels_only_silence_is_told(tiny_model):
    made = finish(channels.along_depth(measured(tiny_model, noise(labels=None), layers=["stem"])))
    assert not made.is_labelled
    assert np.isnan(made.auroc).all()
    assert "best_class" not in made.table()
