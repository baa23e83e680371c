"""Features in the cache: read once for whoever asks, whole rows of every block, bounded."""

import os
import threading
import time

import numpy as np
import pytest

from features import engine, extract, files
from features.engine import TorchEngine
from features.extract import cache
from features.progress import finish


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def batches(monkeypatch):
    """How many batches networks were given."""
    given = []
    begin = TorchEngine.begin
    monkeypatch.setattr(TorchEngine, "begin", lambda self, pixels: given.append(len(pixels)) or begin(self, pixels))
    return given


def test_every_block_is_read_as_the_stages_are_and_only_once(tiny_model, tiny_images, batches):
    wanted = finish(extract.features(tiny_model, tiny_images))
    batches.clear()
    stages = (*engine.blocks_of(tiny_model.network), engine.POOLED, engine.LOGITS)
    told = finish(extract.cached(tiny_model, tiny_images, stages))
    assert [*told.stages] == ["stem", "layer1.0", "layer2.0", "layer3.0", "pool", "logits"]
    for block in ("layer1", "layer2", "layer3"):
        np.testing.assert_allclose(told.stages[f"{block}.0"], wanted.stages[block], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(told.stages["logits"].argmax(1), wanted.predictions.predicted)
    assert isinstance(told.stages["layer1.0"], np.memmap)
    assert sum(batches) == len(tiny_images)
    again = finish(extract.cached(tiny_model, tiny_images, stages))
    assert sum(batches) == len(tiny_images)
    np.testing.assert_array_equal(again.stages["stem"], told.stages["stem"])
    finish(extract.cached(tiny_model, tiny_images.take([1, 0]), stages))
    assert sum(batches) == len(tiny_images) + 2


def test_who_comes_while_it_is_read_waits_for_it(tiny_model, tiny_images, batches):
    first = extract.cached(tiny_model, tiny_images, ["layer3"])
    next(first)  # it has begun
    second = extract.cached(tiny_model, tiny_images, ["layer3"])
    assert "another run" in next(second).note
    assert "another run" in next(second).note
    finish(first)
    assert len(finish(second)) == len(tiny_images)
    assert sum(batches) == len(tiny_images)


def test_a_run_that_is_closed_lets_others_go_on(tiny_model, tiny_images):
    before = set(threading.enumerate())
    first = extract.cached(tiny_model, tiny_images, ["layer3"])
    next(first)
    first.close()
    assert len(finish(extract.cached(tiny_model, tiny_images, ["layer3"]))) == len(tiny_images)
    assert set(threading.enumerate()) <= before


def test_what_was_asked_for_least_lately_goes(tiny_model, tiny_images, monkeypatch):
    monkeypatch.setattr(cache, "MOST_BYTES", 1)
    long_ago = time.time() - cache.IN_USE - 10
    for stage in ("layer1", "layer2"):
        finish(extract.cached(tiny_model, tiny_images, [stage]))
    folders = [path for path in files.cache_folder("features").iterdir() if path.is_dir()]
    assert len(folders) == 2  # both were in use just now
    os.utime(folders[0], (long_ago, long_ago))
    finish(extract.cached(tiny_model, tiny_images, ["layer3"]))
    assert not folders[0].exists()
    assert folders[1].exists()
