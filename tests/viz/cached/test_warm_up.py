"""The warm-up gives way to visitors."""

from types import SimpleNamespace

import pytest

from features import embed
from features.errors import FeatureError
from viz.cached import warm_up as module
from viz.cached.warm_up import WarmUp
from viz.jobs import SHORT


class Server:
    """A warm-up whose time passes only while it rests. busy_until: when the last short job ends."""

    def __init__(self):
        self.now, self.busy_until = 0.0, 0.0
        self.warm_up = WarmUp(self, clock=lambda: self.now, pause=self.pause)
        self.during = {}  # of a second: what happens then
        self.compiled_at = None

    def busy(self, kind):
        assert kind == SHORT  # long jobs may run for hours
        return self.now < self.busy_until

    def pause(self, seconds):
        self.now += seconds
        self.during.pop(self.now, lambda: None)()

    def compile(self):
        self.compiled_at = self.now


@pytest.fixture
def server(monkeypatch):
    server = Server()
    monkeypatch.setattr(embed, "warm_up", server.compile)
    return server


def test_the_warm_up_tells_the_device_and_compiles_umap_once_nobody_has_been_there_for_a_while(server):
    server.warm_up.run()
    assert server.warm_up.device
    assert server.compiled_at == module.PAGE_SECONDS


def test_the_warm_up_waits_while_a_page_is_made_and_for_as_long_after_it(server):
    page = server.warm_up.waiting()
    told = []
    server.during = {
        2.0: page.__enter__,
        50.0: lambda: (told.append(server.warm_up.device), page.__exit__(None, None, None)),
    }
    server.warm_up.run()
    assert told == [""]  # 48 s into a page nothing was begun
    assert server.compiled_at == 50 + module.PAGE_SECONDS


def test_a_page_that_fails_does_not_keep_the_warm_up(server):
    with pytest.raises(FeatureError), server.warm_up.waiting():
        raise FeatureError("no such page")
    server.warm_up.run()
    assert server.compiled_at == module.PAGE_SECONDS


def test_the_warm_up_waits_while_a_short_job_runs(server):
    server.busy_until = 30.0
    server.warm_up.run()
    assert module.PAGE_SECONDS + 29 <= server.compiled_at <= module.PAGE_SECONDS + 31


def test_what_the_warm_up_fails_with_is_for_the_log_and_the_device_says_where_to_look(monkeypatch, server):
    monkeypatch.setattr("features.devices.device_name", lambda: SimpleNamespace().missing)
    server.warm_up.run()
    assert "log" in server.warm_up.device


def test_pages_made_while_umap_is_compiled_leave_nothing_of_it_to_the_collection_after_them(monkeypatch, server):
    kept = []
    monkeypatch.setattr(module, "keep_libraries", lambda: kept.append(server.now))

    def compile_while_a_page_is_made():
        server.now += 1
        with server.warm_up.waiting():
            pass
        server.now += 1

    monkeypatch.setattr(embed, "warm_up", compile_while_a_page_is_made)
    server.warm_up.run()
    began = module.PAGE_SECONDS
    assert kept[1:] == [began + 1, began + 2]
    with server.warm_up.waiting():
        pass
    assert len(kept) == 3  # afterwards a page's own objects are collected as ever
