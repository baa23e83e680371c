"""What is asked of RAPIDS cuML, by a stand-in for it: no GPU is needed, and none is tried."""

import sys
from importlib import metadata
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from features import embed
from features.embed import MapSettings
from features.neighbours import cuml_engine
from features.progress import finish
from tests.embed.drawn import points


@pytest.fixture
def cuml(monkeypatch):
    """A cuML that keeps what it was asked; its maps are the first two columns."""
    asked = []

    def umap(**settings):
        asked.append(settings)
        return SimpleNamespace(fit_transform=lambda values: values[:, :2])

    modules = {"cuml": {}, "cuml.manifold": {"UMAP": umap}}
    for name, content in modules.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(cuml_engine, "find_spec", lambda name: name == "cuml")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(metadata, "version", lambda name: "26.8")
    monkeypatch.setattr(cuml_engine, "EXACT_ROWS", 50)
    return asked


def test_many_images_are_laid_out_on_the_gpu_and_the_map_says_so(cuml):
    values = points(80)
    found = finish(embed.project(values, MapSettings(neighbours=8, seed=3)))
    np.testing.assert_array_equal(found.points, values[:, :2])
    assert found.provenance.settings["laid_out_by"] == "cuML 26.8"
    (settings,) = cuml
    assert (settings["n_neighbors"], settings["random_state"]) == (8, 3)
    indices, distances = settings["precomputed_knn"]
    np.testing.assert_array_equal(indices[:, 0], np.arange(80))
    assert (np.diff(distances) >= 0).all()
    assert found.trust.graph_recall == 1


def test_few_images_are_laid_out_alike_on_every_machine(cuml):
    finish(embed.project(points(40), MapSettings("pca")))
    assert not cuml_engine.takes(50)
    assert not cuml
