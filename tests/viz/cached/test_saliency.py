"""Which queue the maps of one picture belong to."""

import pytest
from PIL import Image

from features.networks import catalogue, zoo
from features.saliency import ClassTarget
from viz.cached import saliency
from viz.jobs import LONG, SHORT


@pytest.mark.parametrize(
    ("name", "method", "kind"),
    [
        ("resnet50", "scorecam", LONG),  # 2,048 passes of 4.1e9 multiply-adds: more than five minutes on a core
        ("resnet50", "integrated-gradients", SHORT),
        ("resnet20-cifar", "scorecam", SHORT),  # 64 passes of 4.1e7
    ],
)
def test_maps_that_take_minutes_are_long_work_if_the_network_is_large(name, method, kind, tiny_model, monkeypatch):
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    model = zoo.Model(tiny_model.network, catalogue.spec(name), "0" * 64)
    image = Image.new("RGB", (8, 8))
    work = saliency.saliency_work(saliency.EXPLAIN, model, "digest", image, ClassTarget(), "predicted", method)
    assert work.kind == kind
