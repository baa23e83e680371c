"""What joins a Ray cluster, and how workers find the same images there."""

import pytest

from features import cluster
from features.cluster import Cluster, Source
from features.errors import DatasetError, FeatureError
from features.progress import finish


def test_a_cluster_that_does_not_answer_is_told_at_once():
    with pytest.raises(FeatureError, match=r"No Ray cluster answers at 127.0.0.1:1: .*ray start --head"):
        cluster.need_answer("127.0.0.1:1")
    for address in (None, "auto", "local"):
        cluster.need_answer(address)


@pytest.mark.filterwarnings("ignore")
def test_images_that_have_changed_are_not_read_as_those_of_the_run(tiny_folder, monkeypatch):
    ray = pytest.importorskip("ray", reason="an extra: requirements-ray.txt")
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "10.0.0.7")
    source = Source(str(tiny_folder), limit=6)
    images = source.open()
    assert len(images) == 6
    assert source.open_same(images.digest).ids == images.ids
    (tiny_folder / "cat" / "0.png").unlink()
    with pytest.raises(DatasetError, match=r"holds other images on 10\.0\.0\.7"):
        source.open_same(images.digest)


@pytest.mark.parametrize(("n_images", "batch", "sizes"), [
    (1000, 128, [128] * 7 + [104]), (100_000, 16, [2048] * 48 + [1696]), (40, 16, [16, 16, 8]), (1, 256, [1]),
    (100_000, 31, [2077] * 48 + [304]),
])  # fmt: skip
def test_parts_are_whole_batches_and_cover_the_set(n_images, batch, sizes):
    parts = cluster.ranges(n_images, batch)
    assert list(map(len, parts)) == sizes
    assert [row for part in parts for row in part] == list(range(n_images))


class Numbers(list):
    """What was counted of a part: its images, in the order in which they were merged."""

    def merge(self, other):
        return Numbers([*self, *other])


def test_parts_are_merged_in_their_order_whichever_is_finished_first(monkeypatch):
    parts = [range(0, 3), range(3, 5), range(5, 9), range(9, 10)]
    finished = [2, 0, 3, 1]
    monkeypatch.setattr(cluster, "run", lambda *_: ((number, Numbers(parts[number])) for number in finished))
    reports = []
    made = finish(cluster.merged(None, parts, Cluster()), lambda progress: reports.append(progress.done))
    assert made == [*range(10)]
    assert reports == [4, 7, 8, 10]
    assert finish(cluster.merged(None, parts, Cluster(), Numbers([-1]))) == [-1, *range(10)]
