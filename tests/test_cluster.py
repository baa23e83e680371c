"""What joins a Ray cluster, and how workers find the same images there."""

import pytest

from features import cluster
from features.cluster import Source
from features.errors import DatasetError, FeatureError


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
