"""What is lost without each channel, against the networks without them, one by one."""

import json
from dataclasses import replace

import numpy as np
import pytest

from features import channels, extract
from features.evaluate import evaluate
from features.progress import finish


@pytest.mark.parametrize("layer", ["stem", "layer2.0", "layer3"])
def test_a_sweep_is_what_each_lesioned_network_does_by_itself(layer, tiny_model, tiny_images):
    images = tiny_images
    chosen = [9, 0, 4]
    made = finish(channels.sweep(tiny_model, images, layer, chosen))
    intact = finish(extract.features(tiny_model, images)).predictions
    assert made.channels.tolist() == chosen
    for index, channel in enumerate(chosen):
        changed = channels.without(tiny_model, layer, [channel])
        said = finish(extract.features(changed, images)).predictions
        assert made.agreement[index] == pytest.approx(said.same(intact).mean())


def test_accuracies_are_those_of_evaluation(tiny_model, tiny_images):

    names = ("cat", "dog", "fox", *(f"other {number}" for number in range(7)))
    model = replace(tiny_model, spec=replace(tiny_model.spec, class_names=names))
    made = finish(channels.sweep(model, tiny_images, "layer3", [1, 2]))
    assert made.intact_accuracy == pytest.approx(finish(evaluate(model, tiny_images)).accuracy)
    for index, channel in enumerate((1, 2)):
        changed = channels.without(model, "layer3", [channel])
        assert made.accuracy[index] == pytest.approx(finish(evaluate(changed, tiny_images)).accuracy)
    table = made.table()
    np.testing.assert_allclose(table["accuracy_lost"], made.intact_accuracy - made.accuracy)
    assert json.loads(json.dumps(made.as_dict()))["intact_accuracy"] == pytest.approx(made.intact_accuracy)


def test_a_sweep_without_channels_is_of_all_and_without_labels_tells_agreement(tiny_model, tiny_images):

    made = finish(channels.sweep(tiny_model, replace(tiny_images, labels=None, class_names=()), "layer1"))
    assert made.channels.tolist() == list(range(16))
    assert np.isnan(made.accuracy).all()
    assert ((made.agreement >= 0) & (made.agreement <= 1)).all()
    assert made.as_dict()["intact_accuracy"] is None
