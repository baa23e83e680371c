"""Folders of maps and of placed images, as programs and people read them."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from features import embed
from features.claim import Claim
from features.embed import MapSettings, export
from features.progress import finish
from features.results import Provenance
from tests.embed.drawn import blobs, points

IDS = tuple(f"{number}.png" for number in range(90))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder of two stages' maps, what they were made of, and they themselves."""
    values, labels = blobs()
    stages = {"layer1": points(90, 8), "layer2": values}
    maps = finish(embed.stage_maps(stages, MapSettings("pca", 6), Provenance(model="drawn")))
    separation = finish(embed.separation(values, maps["layer2"].graph, labels, ("ant", "bee", "cat")))
    folder = tmp_path_factory.mktemp("maps") / "out"
    described = export.Described({"layer2": 0.25}, {"layer2": separation}, np.array(["ant"] * 90, dtype=object))
    with Claim(folder, export.MAPS, {"seed": 0}) as claim:
        export.write(claim, maps, stages, IDS, described)
    return folder, stages, maps


def test_every_image_has_a_row_of_every_stage_with_its_true_neighbours(written):
    folder, stages, maps = written
    table = pd.read_parquet(folder / "projection.parquet")
    assert table["stage"].tolist() == ["layer1"] * 90 + ["layer2"] * 90
    for stage, rows in table.groupby("stage"):
        np.testing.assert_array_equal(np.stack([rows["x"], rows["y"]], axis=1), maps[stage].points)
        distances = np.linalg.norm(stages[stage][:, None].astype(float) - stages[stage][None], axis=2)
        wanted = np.argsort(distances, axis=1, kind="stable")[:, 1:16]
        assert [list(names) for names in rows["neighbours"]] == [[IDS[other] for other in row] for row in wanted]
        np.testing.assert_allclose(np.stack(rows["distances"]), np.sort(distances, axis=1)[:, 1:16], rtol=1e-5)
        np.testing.assert_allclose(rows["trust"], maps[stage].trust.points)
    assert set(table["label"]) == {"ant"}


def test_maps_of_many_images_are_written_in_parts_and_read_whole(written, tmp_path, monkeypatch):
    folder, stages, maps = written
    monkeypatch.setattr(export, "ROWS_AT_ONCE", 40)
    with Claim(tmp_path / "out", export.MAPS, {}) as claim:
        export.write(claim, maps, stages, IDS, export.Described({}, {}, np.array(["ant"] * 90, dtype=object)))
    opened = export.open_maps(tmp_path / "out")
    assert opened.ids == IDS
    for stage in maps:
        np.testing.assert_array_equal(opened.points(stage), maps[stage].points)
    parts, whole = (pd.read_parquet(place / "projection.parquet") for place in (tmp_path / "out", folder))
    pd.testing.assert_frame_equal(parts, whole)


def test_the_manifest_tells_settings_and_scores(written):
    folder, _, maps = written
    content = json.loads((folder / "manifest.json").read_text())
    assert content["map"] == {"method": "pca", "neighbours": 6, "min_dist": 0.1, "seed": 0}
    assert content["stages"]["layer2"]["seed_to_seed"] == 0.25
    assert content["stages"]["layer2"]["separation"]["neighbours_accuracy"]["value"] == 1
    assert content["stages"]["layer1"]["trust"]["recall"] == pytest.approx(maps["layer1"].trust.recall)
    assert content["provenance"]["model"] == "drawn"


def test_an_opened_map_places_as_the_one_in_memory(written):
    folder, stages, maps = written
    rows = points(5, 8, seed=3)
    opened = export.open_maps(folder)
    assert opened.ids == IDS
    for stage in opened.stages:
        here = embed.Placement(stages[stage], maps[stage].points, maps[stage].settings).place(rows)
        there = opened.placement(stage).place(rows)
        np.testing.assert_array_equal(there.points, here.points)
        np.testing.assert_array_equal(there.indices, here.indices)


def test_placed_images_are_written_with_the_nearest_of_the_map(written, tmp_path):
    folder, stages, _ = written
    opened = export.open_maps(folder)
    placed = {stage: opened.placement(stage).place(stages[stage][:3]) for stage in opened.stages}
    with Claim(tmp_path / "placed", export.PLACED_IMAGES, {}) as claim:
        export.write_placed(claim, placed, ["a", "b", "c"], opened)
    table = pd.read_parquet(tmp_path / "placed" / "placed.parquet")
    assert table["id"].tolist() == ["a", "b", "c"] * 2
    assert [names[0] for names in table["neighbours"]] == [*IDS[:3]] * 2  # they are images of the map


def test_no_folder_of_maps_is_an_error(tmp_path):
    with pytest.raises(export.MapError, match="holds no maps"):
        export.open_maps(tmp_path)
    (tmp_path / "manifest.json").write_text(
        '{"kind": "maps", "map": {"method": "mds"}, "provenance": {}, "stages": []}'
    )
    with pytest.raises(export.MapError, match="cannot be read"):
        export.open_maps(tmp_path)


@pytest.mark.parametrize("name", ["projection.parquet", "features-layer1.npy"])
def test_a_damaged_file_is_an_error(written, tmp_path, name):
    copy = tmp_path / "copy"
    shutil.copytree(written[0], copy)
    (copy / name).write_bytes(b"half")
    with pytest.raises(export.MapError, match="Make them again"):
        export.open_maps(copy).placement("layer1")


def test_a_stage_that_has_no_map_is_an_error(written):
    with pytest.raises(export.MapError, match="only of layer1, layer2"):
        export.open_maps(written[0]).points("stem")


@pytest.mark.parametrize(
    "values",
    [np.zeros(90, np.float32), np.zeros((9, 8), np.float32), np.array([["a"] * 8] * 90)],
    ids=["a row", "other images", "words"],
)
def test_features_that_are_not_those_of_the_map_are_an_error(written, tmp_path, values):
    copy = tmp_path / "copy"
    shutil.copytree(written[0], copy)
    np.save(copy / "features-layer1.npy", values)
    with pytest.raises(export.MapError, match="Make them again"):
        export.open_maps(copy).placement("layer1")


def test_neighbours_that_are_no_whole_number_are_an_error(written, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(written[0], copy)
    content = json.loads((copy / "manifest.json").read_text())
    content["map"]["neighbours"] = 2.5
    (copy / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(export.MapError, match=r"damaged: 2\.5 neighbours"):
        export.open_maps(copy)
