"""The warm-up gives way to visitors."""

import threading

import pytest

from features import embed
from viz.cached import warm_up
from viz.cached.warm_up import WarmUp
from viz.jobs import Jobs

PATIENCE = 60


@pytest.fixture
def compiled(monkeypatch):
    """Set once UMAP is compiled; the warm-up rests shortly."""
    done = threading.Event()
    monkeypatch.setattr(warm_up, "PAGE_SECONDS", 0.1)
    monkeypatch.setattr(embed, "warm_up", done.set)
    return done


def test_the_warm_up_tells_the_device_and_compiles_umap(compiled):
    warm_up = WarmUp(Jobs())
    warm_up.start()
    assert compiled.wait(PATIENCE)
    assert warm_up.device


def test_the_warm_up_waits_while_a_page_is_made(compiled):
    warm_up = WarmUp(Jobs())
    with warm_up.waiting():
        warm_up.start()
        assert not compiled.wait(1.5)
        assert not warm_up.device
    assert compiled.wait(PATIENCE)


def test_the_warm_up_waits_while_a_job_runs(compiled):
    jobs, end = Jobs(), threading.Event()

    def task():
        end.wait(PATIENCE)
        return
        yield

    jobs.get("long", task)
    assert jobs.busy
    WarmUp(jobs).start()
    assert not compiled.wait(1.5)
    end.set()
    assert compiled.wait(PATIENCE)
    assert not jobs.busy
