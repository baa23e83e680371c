"""The commands on maps: what they take, and what they refuse to mix."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.commands.embed import _need_same_network as need_same_network
from features.errors import FeatureError
from features.networks.preprocessing import Preprocessing
from features.results import Provenance
from tests.commands.test_main import run
from tests.embed.drawn import points


@pytest.fixture
def vectors(tmp_path):
    """Writes vectors (N, D) of another program, a column for each stage; returns the file."""

    def write(name="x.parquet", **stages):
        columns = {stage: list(values) for stage, values in stages.items()}
        n_rows = len(next(iter(columns.values())))
        pd.DataFrame({"path": [f"{row}.png" for row in range(n_rows)]} | columns).to_parquet(tmp_path / name)
        return tmp_path / name

    return write


def test_logits_are_laid_out_and_searched_where_they_are_all_there_is(vectors, capsys, tmp_path):
    file = vectors(logits=points(20))
    status, text, errors = run(capsys, "embed", file, "--out", tmp_path / "maps", "--method", "pca", "--quick")
    assert (status, "Maps of 20 images" in text) == (0, True), errors
    status, text, errors = run(capsys, "search", "3.png", "--in", file, "--count", 2, "--json")
    assert status == 0, errors
    gaps = np.linalg.norm(points(20) - points(20)[3], axis=1)
    assert [hit["id"] for hit in json.loads(text)["nearest"]] == [f"{row}.png" for row in np.argsort(gaps)[1:3]]


def test_images_of_maps_by_principal_components_are_placed_where_they_lie(vectors, capsys, tmp_path):
    file = vectors(early=points(20), late=9 * points(20, seed=1))
    run(capsys, "embed", file, "--out", tmp_path / "maps", "--method", "pca", "--quick")
    status, _, errors = run(capsys, "place", file, "--map", tmp_path / "maps", "--out", tmp_path / "placed")
    assert status == 0, errors
    there, placed = (pd.read_parquet(tmp_path / name) for name in ("maps/projection.parquet", "placed/placed.parquet"))
    np.testing.assert_allclose(placed[["x", "y"]], there[["x", "y"]], rtol=1e-4, atol=1e-4)


def test_what_is_no_image_cannot_be_searched_for(vectors, capsys, tmp_path):
    file = vectors(v=points(20))
    for image in ("none.png", tmp_path):
        status, _, errors = run(capsys, "search", image, "--in", file)
        assert status
        assert "is no file, and no id of the 20 images" in errors


def test_features_that_are_not_finite_are_not_searched(vectors, capsys):
    values = points(20)
    values[4, 1] = np.inf
    status, _, errors = run(capsys, "search", "3.png", "--in", vectors(v=values))
    assert status
    assert "NaN or infinite" in errors


def test_results_go_to_folders_of_this_machine(vectors, capsys, tmp_path, monkeypatch):
    file = vectors(v=points(20))
    monkeypatch.chdir(tmp_path)
    status, _, errors = run(capsys, "embed", file, "--out", "s3://bucket/maps", "--method", "pca", "--quick")
    assert status
    assert "is an address" in errors
    assert not (tmp_path / "s3:").exists()


@pytest.mark.parametrize(
    "change", [{"variant": "without layer3.1"}, {"preprocessing": Preprocessing(40, 28, (0,), (1,))}]
)
def test_features_of_a_changed_network_or_of_other_pixels_are_not_mixed(change):
    made = Provenance(model="mine", weights_sha256="0" * 64, preprocessing=Preprocessing(28, 28, (0,), (1,)))
    need_same_network(Provenance.from_dict(made.as_dict()), made, Path("maps"))
    with pytest.raises(FeatureError, match="the same"):
        need_same_network(replace(made, **change), made, Path("maps"))
