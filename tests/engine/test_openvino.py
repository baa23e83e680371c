"""OpenVINO against PyTorch, and what it keeps on disk."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from features import engine
from features.errors import FeatureError
from features.networks.architecture import cifar
from features.networks.canonical import build, freeze
from tests.engine.cases import differs, pixels, preprocessing, read
from tests.random_networks import randomise

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("openvino")]  # it converts for seconds


def network(kind: str = "padding"):
    return freeze(randomise(build(cifar(8, kind))))


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """Where networks are kept that several tests use, each converted once."""
    return tmp_path_factory.mktemp("openvino")


@pytest.fixture
def openvino(cache, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return pytest.importorskip("openvino", reason="an extra: requirements-openvino.txt")


@pytest.fixture
def kept(openvino, cache, tmp_path, monkeypatch):
    """A cache of this test's own in which lies one network, whose weights are known by "weights"."""
    own = cache / "one network"
    monkeypatch.setenv("XDG_CACHE_HOME", str(own))
    if not own.exists():
        started(network(), key="weights")
        assert len(list(own.rglob("network.bin"))) == 1
        assert not list(own.rglob("*.tmp"))
    shutil.copytree(own, tmp_path / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def started(net, key: str = "", side: int = 32, **choices):
    plan = engine.choose(net, **{"precision": "fp32", "device": "cpu", "engine": "openvino", **choices})
    return engine.start(net, preprocessing(side), plan, key)


@pytest.mark.usefixtures("openvino")
def test_openvino_does_not_hide_broken_weights():
    net = network()
    net.stages["layer2"][0].branch[1].running_var[3] = -1  # which makes NaN, of which its ReLU would make 0
    with pytest.raises(FeatureError, match="NaN"):
        started(net)


@pytest.mark.usefixtures("openvino")
@pytest.mark.parametrize(
    ("kind", "pool"), [("padding", "mean"), ("projection", "gem"), ("none", "max"), ("padding", "none")]
)
def test_openvino_gives_what_torch_gives(kind, pool):
    net = network(kind)
    stages = ("stem", "layer1", "layer2", "layer3", "pool", "logits")
    # Each is kept under these weights, and none is taken for another.
    runner = started(net, key=f"weights {kind}", stages=stages, pool=pool)
    for number in (3, 1, 5):  # one compiled network for batches of any size
        found, wanted = runner(pixels(number)), read(net, pixels(number), stages=stages, pool=pool)
        assert list(found) == list(wanted)
        for name in stages:
            assert found[name].dtype == wanted[name].dtype
            assert found[name].shape == wanted[name].shape
            assert differs(found[name].astype(float), wanted[name].astype(float)) < (1e-3 if pool == "none" else 1e-5)


@pytest.mark.usefixtures("openvino")
def test_openvino_in_bf16_points_where_fp32_does():
    net = freeze(randomise(build(cifar(20))))
    found, wanted = started(net, precision="bf16")(pixels(4)), read(net, pixels(4))
    for name, values in wanted.items():
        cosine = (found[name] * values).sum(1) / np.linalg.norm(found[name], axis=1) / np.linalg.norm(values, axis=1)
        assert cosine.min() > 0.999


def test_openvino_keeps_the_converted_network_on_disk(openvino, kept, monkeypatch):
    net = network()
    monkeypatch.setattr(torch, "export", None)
    again = started(net, key="weights")(pixels())
    for name, values in read(net, pixels()).items():
        assert differs(again[name], values) < 1e-5
    with pytest.raises(AttributeError):
        started(net, key="other weights")
    assert len(list(kept.rglob("network.bin"))) == 1


@pytest.mark.usefixtures("openvino")
def test_what_openvino_keeps_of_one_pooling_is_not_taken_for_another():
    net = network()
    stages = ("stem", "layer1", "layer2", "layer3", "pool", "logits")  # kept by the tests above, if they ran before
    for pool in ("mean", "none"):
        found = started(net, key="weights padding", stages=stages, pool=pool)(pixels())
        for name, values in read(net, pixels(), stages=stages, pool=pool).items():
            assert found[name].shape == values.shape
            assert differs(found[name].astype(float), values.astype(float)) < 1e-3


def test_openvino_makes_a_damaged_network_again(kept):
    net = network()
    wanted = started(net, key="weights")(pixels())
    for file in kept.rglob("network.bin"):
        file.write_bytes(b"")
    found = started(net, key="weights")(pixels())
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values)
    assert all(file.stat().st_size for file in kept.rglob("network.bin"))
