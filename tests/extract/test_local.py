"""Streaming a network over images: pooled features, order, damaged files and early ends."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision
from torchvision.models.feature_extraction import create_feature_extractor

from features import engine, extract, store
from features.datasets import decoding
from features.engine.plan import Pooling
from features.errors import DatasetError, FeatureError
from features.extract import local
from features.networks import architecture, canonical, catalogue, zoo
from features.networks.card import ModelSpec
from features.networks.preprocessing import Preprocessing
from features.progress import finish
from features.store import manifest, open_features
from tests.datasets.test_decoding import AtOnce


@pytest.fixture
def small_batches(monkeypatch):
    """Batches of 5 images, so that 12 images make three, the last one shorter."""
    monkeypatch.setattr(local, "batch_size", lambda preprocessing, device="cpu": 5)


def test_features_equal_torchvisions_feature_extractor_averaged_over_space(randomised, tiny_images):
    source = randomised(torchvision.models.resnet18(num_classes=5)).eval()
    shape = architecture.imagenet("basic", (2, 2, 2, 2), classes=5)
    preprocessing = Preprocessing(40, 36, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    spec = ModelSpec("drawn", "", shape, preprocessing, (), "", "")
    batch = torch.stack([preprocessing(tiny_images.open(index)) for index in range(12)])
    stages = ["layer1", "layer2", "layer3", "layer4"]
    with torch.no_grad():
        expected = create_feature_extractor(source, [*stages, "fc"])(batch)
    model = zoo.Model(canonical.freeze(canonical.canonical(source)), spec, "0" * 64)
    found = finish(extract.features(model, tiny_images))
    assert list(found.stages) == ["stem", *stages, "pool"]
    for stage in stages:
        pooled = expected[stage].mean((2, 3)).numpy()
        np.testing.assert_allclose(found.stages[stage], pooled, rtol=1e-4, atol=1e-5, err_msg=stage)
    probabilities = expected["fc"].softmax(1)
    assert found.predictions.predicted.tolist() == probabilities.argmax(1).tolist()
    np.testing.assert_allclose(found.predictions.confidence, probabilities.max(1).values, rtol=1e-4)


@pytest.mark.usefixtures("small_batches")
def test_rows_come_in_the_order_of_the_set(tiny_model, tiny_images):
    shuffled = tiny_images.take([7, 0, 11, 3, 5, 1, 2, 10])
    found = finish(extract.features(tiny_model, shuffled))
    assert found.ids == shuffled.ids
    assert found.rows.tolist() == list(range(8))
    assert found.labels.tolist() == shuffled.labels.tolist()
    whole = finish(extract.features(tiny_model, tiny_images))
    for stage, values in found.stages.items():
        np.testing.assert_allclose(values, whole.stages[stage][[7, 0, 11, 3, 5, 1, 2, 10]], rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("small_batches")
def test_a_batch_is_begun_before_the_one_before_it_is_read(tiny_model, tiny_images, monkeypatch):
    expected, events = finish(extract.features(tiny_model, tiny_images)), []
    begin = engine.TorchEngine.begin

    def late(runner, pixels):
        number = sum(event.startswith("begin") for event in events)
        events.append(f"begin {number}")

        def read():
            events.append(f"read {number}")
            return begin(runner, pixels)()

        return read

    monkeypatch.setattr(engine.TorchEngine, "begin", late)
    found = finish(extract.features(tiny_model, tiny_images))
    assert events == ["begin 0", "begin 1", "read 0", "begin 2", "read 1", "read 2"]
    assert found.ids == expected.ids
    for stage, values in expected.stages.items():
        np.testing.assert_array_equal(found.stages[stage], values)


def test_the_next_part_is_decoded_while_the_last_one_is_put_away(tiny_model, tiny_images, tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "PART_IMAGES", 4)
    opened, when_written = [], []

    def opener(index):
        opened.append(index)
        return tiny_images.open(index)

    def noting(writer, number, part, write=store.Parts.write):
        when_written.append((number, len(opened)))
        write(writer, number, part)

    monkeypatch.setattr(store.Parts, "write", noting)
    monkeypatch.setattr(decoding, "ThreadPoolExecutor", AtOnce)
    plan = engine.choose(tiny_model.network, precision="fp32", device="cpu", engine="torch")
    finish(extract.to_folder(tiny_model, replace(tiny_images, opener=opener), plan, tmp_path / "out", 4))
    assert when_written == [(0, 12), (1, 12), (2, 12)]  # two batches of 4 ahead
    assert open_features(tmp_path / "out").ids == tiny_images.ids


@pytest.mark.usefixtures("small_batches")
def test_a_damaged_image_is_named_and_the_others_are_as_without_it(tiny_model, tiny_folder, tiny_images):
    expected = finish(extract.features(tiny_model, tiny_images))
    (tiny_folder / "dog" / "2.png").write_bytes((tiny_folder / "dog" / "2.png").read_bytes()[:200])
    found = finish(extract.features(tiny_model, tiny_images))
    kept = [row for row in range(12) if row != 6]
    assert [image.id for image in found.rejected] == ["dog/2.png"]
    assert "dog/2.png" in found.rejected[0].reason
    assert len(found) == 11
    assert found.rows.tolist() == kept
    assert found.ids == tuple(tiny_images.ids[row] for row in kept)
    assert found.labels.tolist() == tiny_images.labels[kept].tolist()
    for stage, values in found.stages.items():
        np.testing.assert_allclose(values, expected.stages[stage][kept], rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("small_batches")
def test_a_batch_of_damaged_images_is_passed_over(tiny_model, tiny_folder, tiny_images):
    for index in range(5):
        (tiny_folder / tiny_images.ids[index]).write_bytes(b"")
    found = finish(extract.features(tiny_model, tiny_images))
    assert found.rows.tolist() == list(range(5, 12))
    assert len(found.rejected) == 5


def test_a_set_without_a_readable_image_is_an_error(tiny_model, tiny_folder, tiny_images):
    for image_id in tiny_images.ids:
        (tiny_folder / image_id).unlink()
    with pytest.raises(DatasetError, match="None of the 12 images"):
        finish(extract.features(tiny_model, tiny_images))


def test_a_set_of_no_images_is_an_error(tiny_model, tiny_images):
    with pytest.raises(DatasetError, match="no images"):
        finish(extract.features(tiny_model, tiny_images.take([])))


def test_a_network_without_a_head_gives_features_and_no_predictions(tiny_images):
    shape = architecture.cifar(8, classes=None)
    spec = ModelSpec("headless", "", shape, catalogue.CIFAR_PREPROCESSING, (), "", "")
    model = zoo.Model(canonical.freeze(canonical.build(shape)), spec, "0" * 64)
    found = finish(extract.features(model, tiny_images))
    assert found.stages["layer3"].shape == (12, 64)
    assert found.predictions is None


def test_broken_weights_are_an_error_and_no_prediction(tiny_model, tiny_images):
    with torch.no_grad():
        tiny_model.network.classifier.bias[3] = torch.nan
    with pytest.raises(FeatureError, match="NaN"):
        finish(extract.features(tiny_model, tiny_images))


def test_a_pooling_is_one_entry_of_its_registry_also_one_that_keeps_maps(
    tiny_model, tiny_images, tmp_path, monkeypatch
):
    monkeypatch.setattr(engine.POOLINGS, "_entries", dict(engine.POOLINGS))
    engine.POOLINGS.add(Pooling("mirrored", "the map from right to left", lambda x: x.flip(3).half(), keeps_maps=True))
    stages = {}
    for pool in ("none", "mirrored"):
        plan = engine.choose(tiny_model.network, ("layer2",), pool, precision="fp32", device="cpu", engine="torch")
        finish(extract.to_folder(tiny_model, tiny_images, plan, tmp_path / pool))
        stages[pool] = open_features(tmp_path / pool).stages["layer2"]
    assert stages["mirrored"].dtype == np.float16
    assert np.array_equal(stages["mirrored"], stages["none"][..., ::-1])


def test_maps_beyond_float16_are_told_as_what_they_are(tiny_model, tiny_images, tmp_path):
    with torch.no_grad():
        tiny_model.network.stages["layer3"][-1].branch[-1].bias.fill_(1e5)
    plan = engine.choose(tiny_model.network, pool="none", precision="fp32", device="cpu", engine="torch")
    with pytest.raises(FeatureError, match=r"layer3 that float16 cannot hold.*pool it"):
        finish(extract.to_folder(tiny_model, tiny_images, plan, tmp_path / "out"))


@pytest.mark.usefixtures("small_batches")
def test_every_batch_is_reported(tiny_model, tiny_images):
    reports = [(report.done, report.total, report.unit) for report in extract.features(tiny_model, tiny_images)]
    assert reports == [(5, 12, "image"), (10, 12, "image"), (12, 12, "image")]


@pytest.mark.usefixtures("small_batches")
def test_a_task_that_is_closed_early_leaves_no_thread_behind(tiny_model, tiny_images):
    before = threading.active_count()
    task = extract.features(tiny_model, tiny_images)
    next(task)
    assert threading.active_count() > before
    task.close()
    assert threading.active_count() == before


def test_an_error_of_ours_while_decoding_reaches_the_caller(tiny_model, tiny_images):
    broken = replace(tiny_images, opener=lambda index: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        finish(extract.features(tiny_model, broken))


def test_results_say_which_weights_and_images_made_them(tiny_model, tiny_images):
    told = finish(extract.features(tiny_model, tiny_images)).provenance
    assert told.weights_sha256 == tiny_model.digest
    assert told.images_digest == tiny_images.digest
    assert told.preprocessing == tiny_model.spec.preprocessing
    assert told.precision == "fp32"
