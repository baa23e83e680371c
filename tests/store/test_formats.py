"""Every format of features on disk: independent readers find the same values, and every way back is exact."""

import errno
import json
import shutil
from collections import namedtuple
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.numpy import load_file

from features import datasets, engine, extract, store
from features.errors import DatasetError, FeatureError
from features.files import path_of
from features.progress import finish
from features.registry import Registry
from features.results import Provenance
from features.store import FeatureSet, StoreError, arrays, conversion, formats, manifest, open_features, projector
from tests.store.test_store import break_image, same


@pytest.fixture
def source(tiny_model, tiny_folder, tiny_images, tmp_path, monkeypatch) -> Path:
    """Parquet features of 11 of 12 images, in three parts, read in blocks of a few rows."""
    monkeypatch.setattr(manifest, "PART_IMAGES", 5)
    monkeypatch.setattr(arrays, "BLOCK_BYTES", 1000)
    break_image(tiny_folder, "dog/1.png")
    return extracted(tiny_model, tiny_images, tmp_path / "source")


def plan_of(model, **choices):
    return engine.choose(model.network, **{"precision": "fp32", "device": "cpu", "engine": "torch", **choices})


def extracted(model, images, folder: Path, format: str = "parquet", **choices) -> Path:
    finish(extract.to_folder(model, images, plan_of(model, **choices), folder, 4, format))
    return folder


def converted(source: Path, out: Path, format: str) -> FeatureSet:
    finish(store.convert(source, out, format))
    return open_features(out)


# --- what others read -------------------------------------------------------------------------------------------------


def test_npy_is_a_memory_mappable_file_per_stage_and_the_ids(source, tmp_path):
    wanted = open_features(source)
    converted(source, tmp_path / "out", "npy")
    values = np.load(tmp_path / "out" / "layer2.npy", mmap_mode="r")
    np.testing.assert_array_equal(values, wanted.stages["layer2"])
    assert (tmp_path / "out" / "ids.txt").read_text().splitlines() == list(wanted.ids)


def test_npz_is_read_by_numpy_alone(source, tmp_path):
    wanted = open_features(source)
    converted(source, tmp_path / "out", "npz")
    with np.load(tmp_path / "out" / "features.npz") as found:
        assert sorted(found) == ["confidence", "id", "label", "layer1", "layer2", "layer3", "pred"]
        np.testing.assert_array_equal(found["layer3"], wanted.stages["layer3"])
        np.testing.assert_array_equal(found["confidence"], wanted.predictions.confidence)
        assert found["id"].tolist() == list(wanted.ids)
        assert found["label"].tolist() == [wanted.class_names[label] for label in wanted.labels]
        assert found["pred"].tolist() == wanted.predictions.names.tolist()


def test_safetensors_are_read_by_their_own_library(source, tmp_path):
    wanted = open_features(source)
    converted(source, tmp_path / "out", "safetensors")
    found = load_file(tmp_path / "out" / "features.safetensors")
    assert sorted(found) == sorted(wanted.stages)
    for name, values in wanted.stages.items():
        np.testing.assert_array_equal(found[name], values)


def test_tensorboard_gets_points_descriptions_and_pictures(source, tiny_images, tmp_path):
    wanted = open_features(source)
    converted(source, tmp_path / "out", "tensorboard")
    points = pd.read_csv(tmp_path / "out" / "layer1.tsv", sep="\t", header=None, dtype=np.float32)
    np.testing.assert_array_equal(points.to_numpy(), wanted.stages["layer1"])
    told = pd.read_csv(tmp_path / "out" / "metadata.tsv", sep="\t")
    assert told["id"].tolist() == list(wanted.ids)
    assert told["label"].tolist() == [wanted.class_names[label] for label in wanted.labels]
    config = (tmp_path / "out" / "projector_config.pbtxt").read_text()
    assert config.count("embeddings {") == 3
    assert 'tensor_path: "layer3.tsv"' in config
    assert "single_image_dim: 64 single_image_dim: 64" in config
    with Image.open(tmp_path / "out" / "sprite.png") as sheet:
        assert sheet.size == (4 * 64, 3 * 64)
        tile = np.asarray(sheet.crop((64, 64, 128, 128)), dtype=float)  # row 5, the image at position 6
    picture = tiny_images.open(int(wanted.rows[5])).resize((58, 64))
    assert abs(tile[:, 3:61].mean((0, 1)) - np.asarray(picture, dtype=float).mean((0, 1))).max() < 3


def test_a_sprite_is_left_out_when_the_images_are_gone(source, tiny_folder, tmp_path):
    shutil.rmtree(tiny_folder)
    converted(source, tmp_path / "out", "tensorboard")
    assert not (tmp_path / "out" / "sprite.png").exists()
    assert "sprite" not in (tmp_path / "out" / "projector_config.pbtxt").read_text()


def test_tabs_and_newlines_in_names_do_not_break_the_lines(source, tmp_path):
    found = open_features(source)
    odd = replace(found, ids=("a\tb\nc", "back\\slash", *found.ids[2:]))
    (tmp_path / "odd").mkdir()
    list(arrays.write_npy(odd, found.stages.manifest, tmp_path / "odd"))
    assert (tmp_path / "odd" / "ids.txt").read_text().splitlines()[:2] == ["a\tb\\nc", "back\\\\slash"]
    list(projector.write(odd, found.stages.manifest, tmp_path / "odd", np.arange(11), None))
    lines = (tmp_path / "odd" / "metadata.tsv").read_text().splitlines()
    assert len(lines) == 12
    assert lines[1].split("\t")[0] == "a b c"


# --- there and back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", store.FORMATS)
def test_every_conversion_and_the_way_back_are_exact(format, source, tmp_path):
    wanted = open_features(source)
    there = converted(source, tmp_path / "there", format)
    same(there, wanted)
    same(converted(tmp_path / "there", tmp_path / "back", "parquet"), wanted)
    assert store.read_manifest(tmp_path / "back") == store.read_manifest(source)
    names = {path.name for path in (tmp_path / "there").iterdir()}
    assert {"manifest.json", "rejected.parquet"} <= names
    assert not any(name.startswith(".") for name in names)


@pytest.mark.parametrize("format", ["npy", "npz", "safetensors"])
def test_extreme_values_and_maps_survive(format, tiny_model, tiny_images, tmp_path):
    folder = extracted(tiny_model, tiny_images, tmp_path / "maps", pool="none", stages=["layer3"])
    found = converted(folder, tmp_path / "out", format)
    assert found.stages["layer3"].shape == (12, 64, 8, 8)
    assert found.stages["layer3"].dtype == np.float16
    same(found, open_features(folder))


def test_float32_text_comes_back_exactly(tmp_path):
    random = np.random.default_rng(0)
    values = random.integers(0, 2**32, 20_000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    values = np.where(np.isfinite(values), values, 1).reshape(-1, 4)
    shape = manifest.Manifest({}, {"layer1": (4,)}, "float32", (), (), False, len(values), 100, n_rows=len(values))

    class Drawn(store.feature_set.Stages):
        def _read(self, stage, start, stop):
            return values[start:stop]

    none = replace(EMPTY, stages=Drawn(tmp_path, shape), rows=np.arange(len(values)), ids=("x",) * len(values))
    list(projector.write(none, shape, tmp_path, none.rows, None))
    np.testing.assert_array_equal(projector.TsvStages(tmp_path, shape)["layer1"], values)


EMPTY = FeatureSet({}, np.arange(0), (), (), None, (), None, (), Provenance())


@pytest.mark.parametrize("format", ["npy", "npz", "safetensors", "tensorboard"])
def test_a_part_of_a_stage_is_read_alone(format, source, tmp_path):
    wanted = open_features(source).stages
    found = converted(source, tmp_path / "out", format).stages
    for start, stop in [(0, 11), (3, 4), (4, 9), (10, 11), (6, 6)]:
        np.testing.assert_array_equal(found.read("layer2", start, stop), wanted["layer2"][start:stop])
        np.testing.assert_array_equal(wanted.read("layer2", start, stop), wanted["layer2"][start:stop])


@pytest.mark.parametrize("format", store.FORMATS)
def test_rows_are_taken_as_a_slice_takes_them(format, source, tmp_path):
    found = open_features(source) if format == "parquet" else converted(source, tmp_path / "out", format)
    whole = np.asarray(found.stages["layer2"])
    for start, stop in [(-3, 20), (9, 400), (50, 60), (5, 2)]:
        np.testing.assert_array_equal(found.read("layer2", start, stop), whole[start:stop])
    with pytest.raises(FeatureError, match="no stage 'layer9' here, only layer1"):
        found.read("layer9", 0, 1)


@pytest.mark.parametrize("format", store.FORMATS)
def test_a_set_none_of_whose_images_can_be_read_ends_with_what_was_rejected(
    format, tiny_model, tiny_folder, tiny_images, tmp_path
):
    for name in tiny_images.ids:
        break_image(tiny_folder, name)
    for _ in range(2):  # also when it is asked for again
        with pytest.raises(DatasetError, match=rf"None of the 12 images could be read: see {tmp_path}/out/rejected"):
            extracted(tiny_model, tiny_images, tmp_path / "out", format)
    found = open_features(tmp_path / "out")
    assert (len(found), len(found.rejected)) == (0, 12)
    assert found.read("layer2", 0, 5).shape == (0, 32)


# --- from images ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", store.FORMATS)
def test_extraction_into_a_format_equals_extraction_and_conversion(format, tiny_model, tiny_images, source, tmp_path):
    folder = extracted(tiny_model, tiny_images, tmp_path / "out", format)
    same(open_features(folder), open_features(source))
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    extracted(tiny_model, tiny_images, folder, format)  # it is there already
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_an_interrupted_extraction_into_a_format_goes_on(tiny_model, tiny_images, source, tmp_path):
    how = plan_of(tiny_model)
    for stop in (6, 9, 1000):  # while reading, and then while writing
        task = extract.to_folder(tiny_model, tiny_images, how, tmp_path / "out", 4, "npy")
        for progress in task:
            if progress.done >= stop or progress.unit == "MB":
                break
        task.close()
        with pytest.raises(StoreError, match="not complete"):
            open_features(tmp_path / "out")
    parts = sorted((tmp_path / "out" / ".resnet-explorer" / "kept" / "parts").glob("part-*"))
    before = [part.stat().st_mtime_ns for part in parts]
    assert len(parts) == 3
    task = extract.to_folder(tiny_model, tiny_images, how, tmp_path / "out", 4, "npy")
    next(task)
    assert [part.stat().st_mtime_ns for part in parts] == before
    finish(task)
    same(open_features(tmp_path / "out"), open_features(source))


def test_another_format_into_the_same_folder_is_refused(tiny_model, tiny_images, tmp_path):
    extracted(tiny_model, tiny_images, tmp_path / "out", "npy")
    with pytest.raises(StoreError, match='format was "npy" and is "npz"'):
        extracted(tiny_model, tiny_images, tmp_path / "out", "npz")


def test_a_run_that_was_begun_in_another_format_is_not_gone_on_with_as_parquet(tiny_model, tiny_images, tmp_path):
    how = plan_of(tiny_model, engine="torch")
    begun = extract.to_folder(tiny_model, tiny_images, how, tmp_path / "npy", format="npy")
    while next(begun).unit != "MB":
        pass
    begun.close()
    with pytest.raises(StoreError, match="not complete"):
        store.read_manifest(tmp_path / "npy")
    with pytest.raises(StoreError, match=r'unfinished work of another run: format was "npy" and is "parquet"'):
        finish(extract.to_folder(tiny_model, tiny_images, how, tmp_path / "npy"))


def test_room_that_finished_parts_take_is_not_asked_for_again(tiny_model, tiny_images, tmp_path, monkeypatch):
    task = extract.to_folder(tiny_model, tiny_images, plan_of(tiny_model), tmp_path / "out", 4, "npy")
    while next(task).unit != "MB":
        pass
    task.close()
    usage = namedtuple("usage", "total used free")
    needed = extract.planned_manifest(
        tiny_model, tiny_images, plan_of(tiny_model), 4, "npy"
    ).bytes_in_all  # and not twice that
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(0, 0, needed))
    assert len(open_features(extracted(tiny_model, tiny_images, tmp_path / "out", "npy"))) == 12


@pytest.mark.parametrize("format", store.FORMATS)
def test_classes_of_one_name_stay_apart(format, tiny_model, tiny_images, tmp_path):
    twice = replace(tiny_images, class_names=("crane", "ant", "crane"))
    found = open_features(extracted(tiny_model, twice, tmp_path / "out", format))
    assert found.labels.tolist() == tiny_images.labels.tolist()
    assert found.class_names == ("crane (0)", "ant", "crane (2)")


def test_addresses_take_parquet_only(tiny_model, tiny_images, source, tmp_path):
    pytest.importorskip("upath", reason="an extra: requirements-ray.txt")
    with pytest.raises(StoreError, match="takes only Parquet"):
        finish(store.convert(source, path_of(f"local://{tmp_path}/out"), "npz"))
    with pytest.raises(FeatureError, match="cannot be used"):
        path_of("s3://bucket/folder" if find_spec("s3fs") is None else "nokind://x")


# --- samples ----------------------------------------------------------------------------------------------------------


def test_the_projector_gets_a_sample_with_every_class_at_its_share(source, tmp_path, monkeypatch):
    monkeypatch.setattr(projector, "MAX_ROWS", 6)
    found = converted(source, tmp_path / "out", "tensorboard")
    wanted = open_features(source)
    assert len(found) == 6
    assert np.bincount(found.labels).tolist() == [2, 2, 2]  # of 4, 3 and 4
    places = np.searchsorted(wanted.rows, found.rows)
    np.testing.assert_array_equal(found.stages["layer2"], wanted.stages["layer2"][places])
    assert found.ids == tuple(wanted.ids[place] for place in places)
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["sampled"] is True
    with pytest.raises(StoreError, match="sample"):
        converted(tmp_path / "out", tmp_path / "back", "parquet")


def test_a_sample_keeps_shares_of_unequal_classes():
    labels = np.repeat([0, 1, 2], [700, 250, 50])
    rows = projector.sample(replace(EMPTY, rows=np.arange(1000), labels=labels), 100)
    assert np.bincount(labels[rows]).tolist() == [70, 25, 5]
    assert (np.diff(rows) > 0).all()
    assert len(projector.sample(replace(EMPTY, rows=np.arange(1000)), 100)) == 100


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_maps_are_no_points_and_unknown_formats_are_refused(tiny_model, tiny_images, source, tmp_path):
    with pytest.raises(StoreError, match="whole maps"):
        extracted(tiny_model, tiny_images, tmp_path / "out", "tensorboard", pool="none")
    with pytest.raises(StoreError, match="Wanted one of parquet, npy"):
        converted(source, tmp_path / "out", "hdf5")
    assert not (tmp_path / "out").exists()


def test_nothing_of_others_is_overwritten(source, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "layer1.npy").write_text("precious")
    with pytest.raises(StoreError, match="other things"):
        converted(source, tmp_path / "mine", "npy")
    with pytest.raises(StoreError, match="is what would be converted"):
        converted(source, source, "npy")
    assert (tmp_path / "mine" / "layer1.npy").read_text() == "precious"


def test_a_full_disk_is_said_and_the_conversion_can_be_done_again(source, tmp_path, monkeypatch):
    def full(features, manifest, folder, rows, picture):
        (folder / "layer1.npy").write_bytes(b"half")
        yield 1
        raise OSError(errno.ENOSPC, "No space left on device")

    npy = replace(formats.FORMATS["npy"], write=full)
    monkeypatch.setattr(conversion, "FORMATS", Registry("format", (npy,)))
    with pytest.raises(StoreError, match="No space left on device"):
        converted(source, tmp_path / "out", "npy")
    monkeypatch.undo()
    same(converted(source, tmp_path / "out", "npy"), open_features(source))


def test_too_little_room_is_said_before_anything_is_written(source, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10, 10, 10))
    with pytest.raises(StoreError, match="MiB free"):
        converted(source, tmp_path / "out", "npz")


@pytest.mark.parametrize("opened", ["sample", "parquet"])
def test_an_image_is_found_again_by_its_uri(opened, tiny_folder, tmp_path):
    images = datasets.open_images("sample") if opened == "sample" else as_parquet(tiny_folder, tmp_path)
    for index in (0, 7):
        again = datasets.open_uri(images.uri(index))
        assert np.array_equal(np.asarray(again), np.asarray(images.open(index)))


def as_parquet(folder: Path, out: Path) -> datasets.ImageSet:
    rows = [{"image": {"bytes": path.read_bytes(), "path": path.name}} for path in sorted(folder.rglob("*.png"))]
    pd.DataFrame(rows).to_parquet(out / "images.parquet", row_group_size=5)
    return datasets.open_images(str(out / "images.parquet"))
