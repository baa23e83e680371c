"""The Channels page: its views, what is chosen on it, and networks and images that have less to tell."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from tests.viz.test_pages import errors, open_page
from viz.cached import warm_up

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _no_warm_up(monkeypatch):
    monkeypatch.setattr(warm_up, "started", lambda: SimpleNamespace(device="the CPU", waiting=nullcontext))


def test_the_ranking_shows_every_channel_of_the_layer_in_the_link():
    app = open_page("channels", limit="100 images", layer="layer2.0")
    assert not errors(app)
    assert len(app.dataframe[0].value) == 32
