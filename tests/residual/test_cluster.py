"""Branch statistics on a real Ray with two workers: the numbers of one machine."""

import os
import pickle
import signal
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from features import cluster as clusters
from features import datasets, residual
from features.__main__ import main
from features.cluster import Cluster, Source
from features.errors import DatasetError
from features.networks import zoo
from features.progress import finish
from features.residual import cluster
from tests.store.test_store import break_image

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(400), pytest.mark.xdist_group("ray")]
CLUSTER = Cluster(workers=2)
ALONE = Cluster(workers=1)  # where several would show no more: each imports for seconds


def same(one: residual.BlockStatistics, other: residual.BlockStatistics) -> None:
    """To the last digits of float64 for sums that were made in another order, of float32 for what is kept in it."""
    assert (one.ids, one.n_images, one.rejected) == (other.ids, other.n_images, other.rejected)
    for name, values in one.means.items():
        np.testing.assert_allclose(values, other.means[name], rtol=1e-12)
    for make in (residual.blocks, residual.channels, residual.classes):
        pd.testing.assert_frame_equal(make(one), make(other), rtol=1e-6, atol=1e-9)


@pytest.mark.slow
def test_workers_measure_what_one_machine_does_also_when_one_is_killed(ray_workers, monkeypatch):
    monkeypatch.setattr(clusters, "has_gpus", lambda ray: False)  # of which there is one, so that one worker has it
    model = zoo.load("resnet20-fashion")
    task = cluster.statistics(model, Source("sample"), CLUSTER)
    killed: list[int] = []
    try:
        while True:
            progress = next(task)
            if progress.done and not killed:
                killed = ray_workers()[:1]
                os.kill(killed[0], signal.SIGKILL)
    except StopIteration as end:
        found = end.value
    assert killed
    assert killed[0] not in ray_workers()
    whole = finish(residual.statistics(model, datasets.open_images("sample")))
    same(found, whole)
    assert found.provenance == whole.provenance.with_settings(cluster="ray")


@pytest.mark.slow
@pytest.mark.usefixtures("ray_workers")
def test_a_part_that_cannot_be_read_stops_nothing_and_a_set_of_them_is_an_error(tiny_model, tiny_folder, monkeypatch):
    monkeypatch.setattr(clusters, "PART_IMAGES", 4)
    monkeypatch.setattr(cluster, "images_at_once", lambda model, device: 4)
    for number in range(4):
        break_image(tiny_folder, f"dog/{number}.png")
    found = finish(cluster.statistics(tiny_model, Source(str(tiny_folder)), ALONE))
    same(found, finish(residual.statistics(tiny_model, datasets.open_images(str(tiny_folder)))))
    assert [entry.id for entry in found.rejected] == [f"dog/{number}.png" for number in range(4)]
    for name in ("cat", "fox"):
        for number in range(4):
            break_image(tiny_folder, f"{name}/{number}.png")
    with pytest.raises(DatasetError, match="None of the 12 images could be read"):
        finish(cluster.statistics(tiny_model, Source(str(tiny_folder)), ALONE))


@pytest.mark.slow
@pytest.mark.usefixtures("ray_workers")
def test_the_command_measures_the_same_sample_on_the_cluster_as_here(capsys):
    run = ["residual", "sample", "--limit", "60"]
    assert main(run) == 0
    here = capsys.readouterr().out
    assert main([*run, "--cluster", "ray", "--workers", "1"]) == 0
    assert capsys.readouterr().out == here


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workers", "2"], "belong to --cluster ray"),
        (["--cluster", "ray", "--lesions"], "measures branches only"),
        (["--cluster", "ray", "--paths"], "measures branches only"),
    ],
)
def test_what_a_cluster_does_not_do_is_said_before_anything_is_measured(arguments, said, capsys):
    assert main(["residual", "sample", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_tally_that_was_sent_merges_like_one_that_was_not(tiny_model, tiny_images):
    reader = residual.Reader(tiny_model, replace(tiny_images, opener=lambda index: tiny_images.open(index)))
    parts = [range(7), range(7, 12)]
    sent, kept = (
        [finish(reader.measure(part)) if not send else pickle.loads(pickle.dumps(finish(reader.measure(part))))
         for part in parts] for send in (True, False)
    )  # fmt: skip
    one, other = sent[0].merge(sent[1]).result(), kept[0].merge(kept[1]).result()
    assert residual.blocks(one).equals(residual.blocks(other))
    assert one.provenance == other.provenance
    assert one.provenance.images_digest == tiny_images.digest  # parts of one set, and not several sets
