"""The extraction on a real Ray with two workers: the same rows as on one machine, also when a worker is killed."""

import os
import signal
from dataclasses import replace

import numpy as np
import psutil
import pytest

from features import datasets, engine, extract
from features.errors import FeatureError
from features.extract import cluster
from features.files import place
from features.networks import zoo
from features.progress import finish
from features.store import FeatureSet, manifest
from tests.store.test_store import break_image

ray = pytest.importorskip("ray", reason="an extra: requirements-ray.txt")
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(400)]
CLUSTER = cluster.Cluster(workers=2)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(manifest, "PART_IMAGES", 100)


@pytest.fixture(scope="module", autouse=True)
def _one_ray():
    """One local cluster for all tests, since starting one takes seconds."""
    ray.init(num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


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


def test_a_killed_worker_takes_nothing_with_it(tmp_path):
    model = zoo.load("resnet20-fashion")
    how = plan_of(model)
    finish(extract.to_folder(model, datasets.open_images("sample"), how, tmp_path / "here", 50))
    task = cluster.to_folder(model, "sample", how, tmp_path / "cluster", CLUSTER, 50)
    killed = []
    try:
        while True:
            progress = next(task)
            if progress.done and not killed:
                # A part on which two workers are busy is underway while this one is reported.
                killed = [worker for worker in workers() if worker.is_running()][:1]
                os.kill(killed[0].pid, signal.SIGKILL)
    except StopIteration as end:
        done = end.value
    assert killed
    assert not killed[0].is_running() or killed[0].status() == psutil.STATUS_ZOMBIE
    assert done.n_rows == 1000
    assert done.made_with["cluster"] == "ray"
    close(FeatureSet.open(tmp_path / "cluster"), FeatureSet.open(tmp_path / "here"))


def workers() -> list[psutil.Process]:
    """The processes of Ray on this machine that hold a network."""
    names = [
        (process, " ".join(process.cmdline())) for process in psutil.process_iter() if process.status() != "zombie"
    ]
    return [process for process, name in names if name.startswith("ray::") and "_Worker" in name]


def test_addresses_of_fsspec_are_read_and_written(tiny_model, tiny_folder, tiny_images, tmp_path):
    """Through fsspec, as with s3:// and its kind, on a file system that is at hand."""
    break_image(tiny_folder, "dog/1.png")
    how = plan_of(tiny_model)
    source, out = f"local://{tiny_folder}", place(f"local://{tmp_path}/out")
    done = finish(cluster.to_folder(tiny_model, source, how, out, CLUSTER, 4))
    assert (done.n_rows, done.n_rejected) == (11, 1)
    found = FeatureSet.open(f"local://{tmp_path}/out")
    finish(extract.to_folder(tiny_model, tiny_images, how, tmp_path / "here", 4))
    wanted = FeatureSet.open(tmp_path / "here")
    assert found.ids == wanted.ids
    for name, values in wanted.stages.items():
        np.testing.assert_allclose(found.stages[name], values, rtol=1e-5, atol=1e-5)
    again = finish(cluster.to_folder(tiny_model, source, how, out, CLUSTER, 4))  # it is there already
    assert again.images_per_second == done.images_per_second
    replace(done, n_rows=None, n_rejected=None).write(out)  # killed after the last part, before the end
    assert finish(cluster.to_folder(tiny_model, source, how, out, CLUSTER, 4)).n_rows == 11


def test_what_a_worker_says_reaches_the_user(tiny_model, tiny_folder, tmp_path, monkeypatch):
    opened = datasets.open_images(str(tiny_folder))
    monkeypatch.setattr(datasets, "open_images", lambda *_: opened)  # here only: workers open what is there
    break_image(tiny_folder, "dog/1.png")
    with pytest.raises(FeatureError, match="holds other images"):
        finish(cluster.to_folder(tiny_model, str(tiny_folder), plan_of(tiny_model), tmp_path / "out", CLUSTER, 4))


def test_a_cluster_that_does_not_answer_is_told_at_once():
    with pytest.raises(FeatureError, match=r"No Ray cluster answers at 127.0.0.1:1: .*ray start --head"):
        cluster.need_answer("127.0.0.1:1")
    for address in (None, "auto", "local"):
        cluster.need_answer(address)


def test_what_is_fast_is_decided_where_it_will_run(tiny_model):
    """A GPU that Ray was told of and that is not there: a worker that has it finds none, and says so."""
    joined = cluster.Cluster("auto")
    assert cluster.choose(tiny_model, joined) == engine.choose(tiny_model.network)
    assert cluster.choose(tiny_model, joined, ["pool"], "max", "fp32", "cpu", "torch") == plan_of(
        tiny_model, stages=["pool"], pool="max"
    )
    with pytest.raises(FeatureError, match=r"There is no stage layer9\. This network has"):
        cluster.choose(tiny_model, joined, ["layer9"])


def test_without_ray_it_says_what_to_install(tiny_model, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(FeatureError, match=r"requirements-ray\.txt"):
        finish(cluster.to_folder(tiny_model, str(tiny_folder), plan_of(tiny_model), tmp_path / "out", CLUSTER, 4))
