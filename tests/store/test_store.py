"""Folders of features: what goes in comes out, whatever happens in between."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from features import datasets, engine, extract, store
from features.errors import DatasetError
from features.progress import finish
from features.store import FeatureSet, StoreError, claimed, manifest, open_features, parquet

ROOT = Path(__file__).parents[2]


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(manifest, "PART_IMAGES", 5)


def plan_of(model, **choices):
    return engine.choose(model.network, **{"precision": "fp32", "device": "cpu", "engine": "torch", **choices})


def written(model, images, folder, **choices) -> FeatureSet:
    finish(extract.to_folder(model, images, plan_of(model, **choices), folder, size=4))
    return open_features(folder)


def same(one: FeatureSet, other: FeatureSet) -> None:
    assert one.ids == other.ids
    assert one.uris == other.uris
    assert one.rejected == other.rejected
    assert one.class_names == other.class_names
    for name in ("rows", "labels"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.table().equals(other.table())
    assert list(one.stages) == list(other.stages)
    for name in one.stages:
        np.testing.assert_array_equal(one.stages[name], other.stages[name])


def break_image(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:60])


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_a_folder_holds_what_the_network_gives(tiny_model, tiny_images, tmp_path, small_parts):
    found = written(tiny_model, tiny_images, tmp_path / "out")
    wanted = finish(extract.features(tiny_model, tiny_images))
    assert found.ids == wanted.ids
    assert found.labels.tolist() == wanted.labels.tolist()
    assert found.predictions.predicted.tolist() == wanted.predictions.predicted.tolist()
    for name in found.stages:
        np.testing.assert_allclose(found.stages[name], wanted.stages[name], rtol=1e-4, atol=1e-5)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "manifest.json", "part-00000.parquet", "part-00001.parquet", "part-00002.parquet", "rejected.parquet",
    ]  # fmt: skip


def test_parts_are_named_in_the_order_of_their_numbers():
    shape = {"layer1": (8,)}
    few, many = (
        manifest.Manifest({}, shape, "float32", (), (), False, number, part_images=1) for number in (3, 123_456)
    )
    assert parquet.part_name(few, 2) == "part-00002.parquet"
    names = [parquet.part_name(many, number) for number in (0, 9, 99_999, 100_000, 123_455)]
    assert names == sorted(names)


def test_the_columns_are_those_that_are_promised(tiny_model, tiny_images, tmp_path):
    written(tiny_model, tiny_images, tmp_path / "out", stages=["stem", "layer3", "pool", "logits"])
    schema = pq.read_schema(tmp_path / "out" / "part-00000.parquet")
    assert schema.names == ["id", "uri", "label", "pred", "confidence", "stem", "layer3", "pool", "logits"]
    assert str(schema.field("layer3").type).startswith("fixed_size_list<")
    assert schema.field("layer3").type.list_size == 64
    assert str(schema.field("layer3").type.value_type) == "float"


def test_pandas_and_duckdb_read_it_as_it_is(tiny_model, tiny_images, tmp_path, small_parts):
    found = written(tiny_model, tiny_images, tmp_path / "out")
    parts = sorted((tmp_path / "out").glob("part-*.parquet"))
    frame = pd.concat([pd.read_parquet(part) for part in parts])
    assert frame["id"].tolist() == list(found.ids)
    np.testing.assert_array_equal(np.stack(frame["layer2"].to_list()), found.stages["layer2"])
    query = "SELECT label, count(*), min(layer2[1]) FROM '{}/part-*.parquet' GROUP BY label ORDER BY label"
    rows = duckdb.sql(query.format(tmp_path / "out")).fetchall()
    assert [row[:2] for row in rows] == [("cat", 4), ("dog", 4), ("fox", 4)]
    assert rows[0][2] == found.stages["layer2"][:4, 0].min()


def test_spatial_maps_come_back_in_their_shape(tiny_model, tiny_images, tmp_path):
    found = written(tiny_model, tiny_images, tmp_path / "out", pool="none", stages=["layer2", "layer3"])
    assert found.stages["layer2"].shape == (12, 32, 16, 16)
    assert found.stages["layer2"].dtype == np.float16
    mean = written(tiny_model, tiny_images, tmp_path / "mean").stages["layer2"]
    np.testing.assert_allclose(found.stages["layer2"].astype(np.float32).mean((2, 3)), mean, rtol=2e-3, atol=1e-3)


def test_classes_of_one_name_are_told_apart(tiny_model, tiny_images, tmp_path):
    names = ("maillot",) * 10
    model = replace(tiny_model, spec=replace(tiny_model.spec, class_names=names))
    found = written(model, tiny_images, tmp_path / "out")
    in_memory = finish(extract.features(model, tiny_images)).predictions
    assert found.predictions.predicted.tolist() == in_memory.predicted.tolist()
    assert found.predictions.class_names[3] == "maillot (3)"


def test_the_manifest_tells_what_made_the_features(tiny_model, tiny_images, tmp_path):
    written(tiny_model, tiny_images, tmp_path / "out")
    told = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert told["complete"] is True
    assert told["shapes"] == {"layer1": [16], "layer2": [32], "layer3": [64]}
    assert told["settings"]["weights_sha256"] == tiny_model.digest
    assert told["settings"]["images_digest"] == tiny_images.digest
    assert told["settings"]["pool"] == "mean"
    assert (told["n_images"], told["n_rows"], told["n_rejected"]) == (12, 12, 0)
    assert told["images_per_second"] > 0


# --- images that cannot be read ---------------------------------------------------------------------------------------


def test_a_bad_image_is_listed_and_nothing_stands_in_its_place(
    tiny_model, tiny_folder, tiny_images, tmp_path, small_parts
):
    break_image(tiny_folder, "dog/1.png")
    break_image(tiny_folder, "fox/3.png")
    found = written(tiny_model, tiny_images, tmp_path / "out")
    assert found.rows.tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert [entry.id for entry in found.rejected] == ["dog/1.png", "fox/3.png"]
    assert all("damaged" in entry.reason for entry in found.rejected)
    table = pd.read_parquet(tmp_path / "out" / "rejected.parquet")
    assert table["id"].tolist() == ["dog/1.png", "fox/3.png"]
    assert all(len(values) == 10 for values in found.stages.values())


def test_a_part_without_a_readable_image_is_an_empty_part(tiny_model, tiny_folder, tiny_images, tmp_path, small_parts):
    for name in ("cat/0", "cat/1", "cat/2", "cat/3", "dog/0"):
        break_image(tiny_folder, f"{name}.png")
    found = written(tiny_model, tiny_images, tmp_path / "out")
    assert found.rows.tolist() == list(range(5, 12))
    assert len(found.stages["layer1"]) == 7


def test_no_readable_image_at_all_is_an_error(tiny_model, tiny_folder, tiny_images, tmp_path):
    for path in tiny_folder.rglob("*.png"):
        break_image(tiny_folder, path.relative_to(tiny_folder).as_posix())
    for _ in range(2):  # the second time from what is there
        with pytest.raises(DatasetError, match="None of the 12 images"):
            written(tiny_model, tiny_images, tmp_path / "out")


def test_names_that_are_no_text_do_not_stop_a_run(tiny_model, tiny_folder, tmp_path):
    shutil.copy(tiny_folder / "cat/0.png", os.fsencode(tiny_folder / "cat") + b"/\xff\xfe.png")
    Path(os.fsdecode(os.fsencode(tiny_folder / "dog") + b"/\xfd.png")).write_bytes(b"torn")
    found = written(tiny_model, datasets.open_images(str(tiny_folder)), tmp_path / "out")
    assert len(found) == 13
    assert r"cat/\xff\xfe.png" in found.ids
    assert found.rejected[0].id == r"dog/\xfd.png"


# --- going on ---------------------------------------------------------------------------------------------------------


def test_a_run_that_stopped_goes_on_and_ends_as_if_it_had_not(tiny_model, tiny_images, tmp_path, small_parts):
    whole = written(tiny_model, tiny_images, tmp_path / "whole")
    task = extract.to_folder(tiny_model, tiny_images, plan_of(tiny_model), tmp_path / "out", size=4)
    for progress in task:
        if progress.done > 5:
            break
    task.close()
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("part-*")}
    assert list(before) == ["part-00000.parquet"]
    with pytest.raises(StoreError, match="not complete: 1 of 3 parts"):
        open_features(tmp_path / "out")
    same(written(tiny_model, tiny_images, tmp_path / "out"), whole)
    assert (tmp_path / "out" / "part-00000.parquet").stat().st_mtime_ns == before["part-00000.parquet"]


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from features import datasets, extract, engine, store
from features.networks import zoo
from features.store import manifest, parquet
from features.progress import finish
manifest.PART_IMAGES = 20
written = store.Parts.write
def write(self, number, part):
    if number == {number}:
        original = parquet.pq.write_table
        def half(table, path, **options):
            original(table.slice(0, len(table) // 2), path, **options)
            os.kill(os.getpid(), signal.SIGKILL)
        parquet.pq.write_table = half
    written(self, number, part)
store.Parts.write = write
model = zoo.load()
plan = engine.choose(model.network, precision="fp32", device="cpu", engine="torch")
images = datasets.open_images("sample").sample(70)
finish(extract.to_folder(model, images, plan, Path({out!r}), 10))
"""


@pytest.mark.slow
def test_a_run_that_is_killed_while_it_writes_loses_and_repeats_no_row(tmp_path):
    def run(out: Path, number: int) -> int:
        code = KILLED.format(root=str(ROOT), out=str(out), number=number)
        return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=200).returncode

    assert run(tmp_path / "out", 0) == -signal.SIGKILL
    assert run(tmp_path / "out", 2) == -signal.SIGKILL
    assert run(tmp_path / "out", -1) == 0
    assert run(tmp_path / "whole", -1) == 0
    same(open_features(tmp_path / "out"), open_features(tmp_path / "whole"))
    assert not list((tmp_path / "out").glob(".*"))


def test_a_finished_run_is_not_done_again(tiny_model, tiny_images, tmp_path):
    first = written(tiny_model, tiny_images, tmp_path / "out")
    part = tmp_path / "out" / "part-00000.parquet"
    before = part.stat().st_mtime_ns
    same(written(tiny_model, tiny_images, tmp_path / "out"), first)
    assert part.stat().st_mtime_ns == before


def test_a_part_that_a_crash_cut_off_is_read_again(tiny_model, tiny_images, tmp_path, small_parts):
    wanted = written(tiny_model, tiny_images, tmp_path / "whole")
    written(tiny_model, tiny_images, tmp_path / "cut")
    part = tmp_path / "cut" / "part-00001.parquet"
    part.write_bytes(part.read_bytes()[:1000])
    with pytest.raises(StoreError, match="cannot be read"):
        open_features(tmp_path / "cut")
    same(written(tiny_model, tiny_images, tmp_path / "cut"), wanted)


def test_other_settings_into_the_same_folder_are_refused_with_what_differs(tiny_model, tiny_images, tmp_path):
    written(tiny_model, tiny_images, tmp_path / "out")
    with pytest.raises(StoreError, match='pool was "mean" and is "max"'):
        written(tiny_model, tiny_images, tmp_path / "out", pool="max")
    on_gpu = replace(plan_of(tiny_model), device="cuda:1")
    with pytest.raises(StoreError, match='device was "cpu" and is "cuda"'):  # before anything is asked of a GPU
        claimed(tmp_path / "out", extract.planned_manifest(tiny_model, tiny_images, on_gpu, 4))
    with pytest.raises(StoreError, match="images_digest was"):
        written(tiny_model, tiny_images.take(range(6)), tmp_path / "out")


def test_two_runs_do_not_write_one_folder(tiny_model, tiny_images, tmp_path):
    task = extract.to_folder(tiny_model, tiny_images, plan_of(tiny_model), tmp_path / "out", size=4)
    next(task)
    with pytest.raises(StoreError, match="Another run"):
        written(tiny_model, tiny_images, tmp_path / "out")
    task.close()
    assert len(written(tiny_model, tiny_images, tmp_path / "out")) == 12


def test_a_folder_of_other_things_is_left_alone(tiny_model, tiny_images, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    (tmp_path / ".mine.tmp").write_text("precious")
    with pytest.raises(StoreError, match="other things"):
        written(tiny_model, tiny_images, tmp_path)
    assert not (tmp_path / ".resnet-explorer").exists()
    assert (tmp_path / "mine.txt").read_text() == (tmp_path / ".mine.tmp").read_text() == "precious"


# --- disks and damage -------------------------------------------------------------------------------------------------


def test_too_little_room_is_said_before_anything_is_read(tiny_model, tiny_images, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10, 10, 10))
    with pytest.raises(StoreError, match="MiB free"):
        written(tiny_model, tiny_images, tmp_path / "out")


def test_a_disk_that_fills_up_leaves_whole_parts_and_a_clear_error(
    tiny_model, tiny_images, tmp_path, small_parts, monkeypatch
):
    write_table = pq.write_table

    def full(table, file, **options):
        if "part-00001" in file.name:
            file.write(b"PAR1 half of a")
            raise OSError(errno.ENOSPC, "No space left on device")
        write_table(table, file, **options)

    monkeypatch.setattr(parquet.pq, "write_table", full)
    with pytest.raises(StoreError, match=r"No space left on device.*run the same command again"):
        written(tiny_model, tiny_images, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").glob("[!.]*")) == ["manifest.json", "part-00000.parquet"]
    monkeypatch.undo()


def test_parts_of_wide_stages_hold_fewer_images():
    assert store.part_images({"layer1": (16,)}, "float32") == 25_000
    assert store.part_images({"layer1": (256, 56, 56)}, "float16") == 20  # 32 MiB / 1.53 MiB
    assert store.part_images({"layer1": (10**9,)}, "float32") == 1


def test_what_is_no_folder_of_features_is_an_error_that_says_so(tmp_path):
    with pytest.raises(StoreError, match=r"no manifest\.json"):
        open_features(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        open_features(tmp_path)
    (tmp_path / "manifest.json").write_text('{"version": 99}')
    with pytest.raises(StoreError, match="version 99"):
        open_features(tmp_path)
