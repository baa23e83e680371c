"""Which queue work belongs to, by numbers that can be counted."""

import pytest
import torch

from features.networks.anatomy import anatomy
from viz.cached import estimates
from viz.jobs import LONG, SHORT


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
