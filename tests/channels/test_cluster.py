"""Answers of channels on a real Ray: those of one machine."""

import pickle

import numpy as np
import pytest

from features import channels, datasets
from features import cluster as clusters
from features.__main__ import main
from features.channels import cluster
from features.channels.reader import Tally, read
from features.cluster import Cluster, Source
from features.errors import DatasetError
from features.networks import zoo
from features.progress import finish
from tests.channels.test_reader import N, noise
from tests.store.test_store import break_image

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(400), pytest.mark.xdist_group("ray")]
ALONE = Cluster(workers=1)  # each imports for seconds


def same(one: channels.Channels, other: channels.Channels) -> None:
    """To the last digits of float64 for sums that were made in another order, exactly for what is kept of images."""
    assert (one.ids, one.n_images, one.rejected) == (other.ids, other.n_images, other.rejected)
    np.testing.assert_array_equal(one.sample_rows, other.sample_rows)
    np.testing.assert_array_equal(one.classes.counts, other.classes.counts)
    np.testing.assert_array_equal(one.classes.members, other.classes.members)
    for first, second in zip(one.layers, other.layers, strict=True):
        assert (first.name, first.stage, first.shape) == (second.name, second.stage, second.shape)
        for name in ("mean", "variance", "class_sums", "class_squares"):
            np.testing.assert_allclose(getattr(first, name), getattr(second, name), rtol=1e-6, atol=1e-9)
        for name in ("silent", "maxima", "means"):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        for extremes, others in ((first.top, second.top), (first.bottom, second.bottom)):
            for name in ("values", "rows", "positions"):
                np.testing.assert_array_equal(getattr(extremes, name), getattr(others, name))


@pytest.mark.slow
def test_workers_read_what_one_machine_does(ray_workers, monkeypatch):
    assert ray_workers is not None
    monkeypatch.setattr(clusters, "has_gpus", lambda ray: False)
    model = zoo.load("resnet20-fashion")
    made = finish(cluster.responses(model, Source("sample", limit=300), ALONE, ["layer2", "layer3"], 5, 3))
    whole = finish(channels.responses(model, datasets.open_images("sample").sample(300), ["layer2", "layer3"], 5, 3))
    same(made, whole)
    assert made.provenance == whole.provenance.with_settings(cluster="ray")


@pytest.mark.slow
@pytest.mark.usefixtures("ray_workers")
def test_a_part_that_cannot_be_read_stops_nothing_and_a_set_of_them_is_an_error(tiny_model, tiny_folder, monkeypatch):
    monkeypatch.setattr(clusters, "PART_IMAGES", 4)
    monkeypatch.setattr(cluster, "batch_size", lambda preprocessing, device: 4)
    for number in range(4):
        break_image(tiny_folder, f"dog/{number}.png")
    made = finish(cluster.responses(tiny_model, Source(str(tiny_folder)), ALONE))
    assert [entry.id for entry in made.rejected] == [f"dog/{number}.png" for number in range(4)]
    assert made.n_images == 8
    for name in ("cat", "fox"):
        for number in range(4):
            break_image(tiny_folder, f"{name}/{number}.png")
    with pytest.raises(DatasetError, match="None of the 12 images could be read"):
        finish(cluster.responses(tiny_model, Source(str(tiny_folder)), ALONE))


@pytest.mark.slow
@pytest.mark.usefixtures("ray_workers")
def test_the_command_writes_the_same_tables_on_the_cluster_as_here(tmp_path, capsys):
    run = ["channels", "sample", "--limit", "60", "--layers", "layer3", "--top", "3", "--out"]
    assert main([*run, str(tmp_path / "here")]) == 0
    here = capsys.readouterr().out
    assert main([*run, str(tmp_path / "there"), "--cluster", "ray", "--workers", "1"]) == 0
    assert capsys.readouterr().out == here.replace("here", "there")


@pytest.mark.parametrize("kept", [10, N])
def test_tallies_of_parts_hold_what_belongs_to_these_and_merge_after_they_were_sent(tiny_model, kept, monkeypatch):
    monkeypatch.setattr(channels.reader, "KEPT_VALUES", kept * (16 + 32 + 64))
    images = noise()
    settings = (tiny_model, images, (), 6, 0)
    whole, merged = Tally(*settings), Tally(*settings)
    finish(read(whole, tiny_model, images, range(N)))
    for part in (range(0, 16), range(16, 32), range(32, N)):
        tally = Tally(*settings, part)
        assert len(tally.labels) == len(part)
        assert len(tally.sample) == np.isin(part, whole.sample).sum()
        finish(read(tally, tiny_model, images, part))
        merged.merge(pickle.loads(pickle.dumps(tally)))
    one, other = (each.result(tiny_model, images) for each in (whole, merged))
    assert one.sample_rows.tolist() == other.sample_rows.tolist()
    np.testing.assert_array_equal(one.classes.members, other.classes.members)
    for first, second in zip(one.layers, other.layers, strict=True):
        np.testing.assert_allclose(first.means, second.means, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(first.class_sums, second.class_sums, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(first.top.values, second.top.values, rtol=1e-3, atol=1e-5)
