"""Comparisons on a GPU against the CPU's numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from features import datasets
from features.compare.costs import costs
from features.compare.stitching import Stitches, stitched
from features.datasets import labels
from features.networks import zoo
from features.networks.canonical import own_copy
from features.progress import finish

pytestmark = pytest.mark.gpu


def test_stitching_leaves_what_it_leaves_on_the_cpu():
    models = [zoo.load(name) for name in ("resnet20-fashion", "plain20-fashion")]
    images = datasets.open_images("sample").sample(120)
    matched = labels.match_labels(models[0].spec, images)

    def judge(logits, rows):
        return logits.argmax(1) == matched.truth(rows)

    def told(first, second):
        return finish(stitched(first, second, images, (judge, judge), Stitches(60, 60))).table()

    there = [replace(model, network=own_copy(model.network, "cuda")) for model in models]
    wanted = told(*models)
    for table in (told(*there), told(there[0], models[1])):  # both there, and one on each
        np.testing.assert_allclose(table["explained"], wanted["explained"], atol=5e-3)
        np.testing.assert_allclose(table["accuracy"], wanted["accuracy"], atol=2 / 60)


def test_costs_are_those_of_the_gpu():
    model = zoo.load("resnet20-fashion")
    (cost,) = finish(costs([model]))
    assert cost.device == torch.cuda.get_device_name()
    assert cost.memory == "the most that PyTorch had allocated on the GPU for it"
    assert cost.weight_bytes / 2 < cost.memory_bytes < 2**30
    assert cost.rate.median * cost.latency.median > 1  # several at a time are faster
