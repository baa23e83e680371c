"""Which queue work belongs to, by numbers that can be counted."""

from dataclasses import replace

import pytest
import torch

from features.engine import Plan
from features.networks.anatomy import anatomy
from viz.cached import estimates
from viz.cached.extract import Origins, extract_work
from viz.cached.server import uploads
from viz.jobs import LONG, SHORT

PLAN = Plan(("layer1",), "mean", "fp32", "cpu")


class Many:
    """An image set of which only the length is asked."""

    digest = "many"

    def __init__(self, number):
        self.number = number

    def __len__(self):
        return self.number


def test_decoding_and_passes_through_the_network_add_up(tiny_model, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    macs = anatomy(tiny_model.spec.architecture, 32).macs
    monkeypatch.setattr(estimates, "PER_CORE", macs / 3)  # 3 s for a pass on one core
    assert estimates.seconds(tiny_model, Many(10), 4) == pytest.approx(10 * (4 * 3 + estimates.DECODING_SECONDS) / 2)


def test_many_images_are_long_work_and_few_are_short(tiny_model):
    assert estimates.queue_of(tiny_model, Many(100)) == SHORT
    assert estimates.queue_of(tiny_model, Many(10_000_000)) == LONG


@pytest.mark.parametrize(
    ("images", "variant", "kind", "in_process"),
    [(100, "", SHORT, False), (10_000_000, "", LONG, True), (10_000_000, "without layer1.0", LONG, False)],
    ids=["few", "many", "many by a network that exists here only"],
)
def test_features_go_to_a_process_if_they_take_long_and_the_network_can_be_named(
    tiny_model, tmp_path, images, variant, kind, in_process
):
    origins = Origins("tiny", None, str(tmp_path), images)
    work = extract_work(replace(tiny_model, variant=variant), Many(images), origins, PLAN, tmp_path, 8, "npy")
    assert (work.kind, work.lasting) == (kind, True)
    assert hasattr(work.make_task, "func") is in_process  # a partial of an order, not a closure over the network


def test_what_is_made_of_uploads_goes_with_the_server(tmp_path):
    assert Origins(None, str(tmp_path / "a.pt"), "sample", 10).durable
    assert Origins("resnet20-fashion", None, str(tmp_path), 10).durable
    assert not Origins(None, str(uploads() / "a.pt"), "sample", 10).durable
    assert not Origins("resnet20-fashion", None, str(uploads() / "pictures"), 10).durable
