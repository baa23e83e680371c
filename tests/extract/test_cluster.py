"""The extraction on a real Ray with two workers: the same rows as on one machine, also when a worker is killed."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest

from features import datasets, engine, extract
from features.cluster import Cluster, Source
from features.errors import FeatureError
from features.extract import cluster
from features.files import path_of
from features.networks import zoo
from features.progress import finish
from features.store import FeatureSet, manifest, open_features
from tests.store.test_store import break_image

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("ray_workers"),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(400),
    pytest.mark.xdist_group("ray"),
]
CLUSTER = Cluster(workers=2)
ALONE = Cluster(workers=1)  # where several would show no more: each imports for seconds


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(manifest, "PART_IMAGES", 100)


def plan_of(model, **choices):
    return engine.choose(model.network, **{"precision": "fp32", "device": "cpu", "engine": "torch", **choices})


def close(one: FeatureSet, other: FeatureSet) -> None:
    assert one.ids == other.ids
    assert one.uris == other.uris
    assert one.rejected == other.rejected
    assert one.rows.tolist() == other.rows.tolist()
    assert one.labels.tolist() == other.labels.tolist()
    for name, values in one.stages.items():
        np.testing.assert_allclose(values, other.stages[name], rtol=1e-5, atol=1e-5)


def test_a_killed_worker_takes_nothing_with_it(tmp_path, ray_workers):
    model = zoo.load("resnet20-fashion")
    how = plan_of(model)
    finish(extract.to_folder(model, datasets.open_images("sample"), how, tmp_path / "here", 50))
    task = cluster.to_folder(model, Source("sample"), how, tmp_path / "cluster", CLUSTER, 50)
    killed = []
    try:
        while True:
            progress = next(task)
            if progress.done and not killed:
                # A part on which two workers are busy is underway while this one is reported.
                killed = ray_workers()[:1]
                os.kill(killed[0], signal.SIGKILL)
    except StopIteration as end:
        done = end.value
    assert killed
    assert killed[0] not in ray_workers()
    assert done.n_rows == 1000
    assert done.made_with["cluster"] == "ray"
    close(open_features(tmp_path / "cluster"), open_features(tmp_path / "here"))


def test_addresses_of_fsspec_are_read_and_written(tiny_model, tiny_folder, tiny_images, tmp_path):
    """Through fsspec, as with s3:// and its kind, on a file system that is at hand."""
    break_image(tiny_folder, "dog/1.png")
    how = plan_of(tiny_model)
    source, out = Source(f"local://{tiny_folder}"), path_of(f"local://{tmp_path}/out")
    done = finish(cluster.to_folder(tiny_model, source, how, out, ALONE, 4))
    assert (done.n_rows, done.n_rejected) == (11, 1)
    found = open_features(f"local://{tmp_path}/out")
    finish(extract.to_folder(tiny_model, tiny_images, how, tmp_path / "here", 4))
    wanted = open_features(tmp_path / "here")
    assert found.ids == wanted.ids
    for name, values in wanted.stages.items():
        np.testing.assert_allclose(found.stages[name], values, rtol=1e-5, atol=1e-5)
    again = finish(cluster.to_folder(tiny_model, source, how, out, ALONE, 4))  # it is there already
    assert again.images_per_second == done.images_per_second
    replace(done, n_rows=None, n_rejected=None).write(out)  # killed after the last part, before the end
    assert finish(cluster.to_folder(tiny_model, source, how, out, ALONE, 4)).n_rows == 11


def test_what_a_worker_says_reaches_the_user(tiny_model, tiny_folder, tmp_path, monkeypatch):
    opened = datasets.open_images(str(tiny_folder))
    monkeypatch.setattr(datasets, "open_images", lambda *_, **__: opened)  # here only: workers open what is there
    break_image(tiny_folder, "dog/1.png")
    with pytest.raises(FeatureError, match="holds other images"):
        finish(cluster.to_folder(tiny_model, Source(str(tiny_folder)), plan_of(tiny_model), tmp_path / "out", ALONE, 4))


def test_what_is_fast_is_decided_where_it_will_run(tiny_model):
    """A GPU that Ray was told of and that is not there: a worker that has it finds none, and says so."""
    joined = Cluster("auto")
    assert cluster.choose(tiny_model, joined) == engine.choose(tiny_model.network)
    assert cluster.choose(tiny_model, joined, ["pool"], "max", "fp32", "cpu", "torch") == plan_of(
        tiny_model, stages=["pool"], pool="max"
    )
    with pytest.raises(FeatureError, match=r"There is no stage layer9\. This network has"):
        cluster.choose(tiny_model, joined, ["layer9"])


def test_without_ray_it_says_what_to_install(tiny_model, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(FeatureError, match=r"requirements-ray\.txt"):
        finish(cluster.to_folder(tiny_model, Source(str(tiny_folder)), plan_of(tiny_model), tmp_path / "out", ALONE, 4))
