"""Graphs of neighbours in the cache folder: found again, and no more of them than there is room for."""

import os

import numpy as np
import pytest

from features import files
from features.neighbours import graph, graphs
from features.progress import finish
from tests.embed.drawn import points


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return files.cache_folder("neighbours")


def test_a_graph_is_computed_once(folder, monkeypatch):
    features = points(60, 5)
    made = finish(graph(features, 7))
    monkeypatch.setattr(graphs, "search", lambda *_: pytest.fail("it is there already"))
    again = finish(graph(features.copy(), 7))
    np.testing.assert_array_equal(again.indices, made.indices)
    np.testing.assert_array_equal(again.distances, made.distances)
    assert len([*folder.iterdir()]) == 1


def test_what_was_used_least_lately_makes_room(folder, monkeypatch):
    sets = [points(60, 5, seed) for seed in range(4)]
    for features in sets[:3]:
        finish(graph(features, 7))
    size = max(file.stat().st_size for file in folder.iterdir())
    monkeypatch.setattr(graphs, "MOST_BYTES", int(3.5 * size))
    for age, features in enumerate(sets[:3]):
        (file,) = folder.glob(f"{graphs.digest(features)[:32]}-*")
        os.utime(file, (1e9 - age, 1e9 - age))  # the third is the oldest, and is used now
    finish(graph(sets[2], 7))
    finish(graph(sets[3], 7))
    kept = {file.name[:32] for file in folder.iterdir()}
    assert kept == {graphs.digest(sets[number])[:32] for number in (0, 2, 3)}


def test_a_file_that_was_cut_off_is_made_anew(folder):
    features = points(60, 5)
    made = finish(graph(features, 7))
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    np.testing.assert_array_equal(finish(graph(features, 7)).indices, made.indices)
