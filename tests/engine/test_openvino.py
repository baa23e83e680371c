"""OpenVINO against PyTorch, and what it keeps on disk."""

import numpy as np
import pytest

from features import engine
from features.errors import FeatureError
from features.networks.architecture import cifar
from features.networks.canonical import build, freeze
from tests.engine.cases import KINDS, differs, pixels, preprocessing, read
from tests.random_networks import randomise

pytestmark = pytest.mark.slow  # OpenVINO converts for seconds


def network(kind: str = "padding"):
    return freeze(randomise(build(cifar(8, kind))))


@pytest.fixture
def openvino(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return pytest.importorskip("openvino", reason="an extra: requirements-openvino.txt")


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
    ("kind", "pool"), [*((kind, "mean") for kind in KINDS), *(("padding", pool) for pool in ("max", "gem", "none"))]
)
def test_openvino_gives_what_torch_gives(kind, pool):
    net = network(kind)
    stages = ("stem", "layer1", "layer2", "layer3", "pool", "logits")
    runner = started(net, stages=stages, pool=pool)
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


def test_openvino_keeps_the_converted_network_on_disk(openvino, tmp_path, monkeypatch):
    net = network()
    first = started(net, key="weights")(pixels())
    assert len(list(tmp_path.rglob("network.bin"))) == 1
    monkeypatch.setattr(openvino, "convert_model", None)
    again = started(net, key="weights")(pixels())
    for name, values in first.items():
        np.testing.assert_array_equal(again[name], values)
    with pytest.raises(TypeError):
        started(net, key="other weights")
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.usefixtures("openvino")
def test_what_openvino_keeps_of_one_pooling_is_not_taken_for_another():
    net = network()
    for pool in ("mean", "max", "none"):
        found, wanted = started(net, key="weights", pool=pool)(pixels()), read(net, pixels(), pool=pool)
        for name, values in wanted.items():
            assert found[name].shape == values.shape
            assert differs(found[name].astype(float), values.astype(float)) < 1e-3


def test_openvino_makes_a_damaged_network_again(openvino, tmp_path):
    net = network()
    wanted = started(net, key="weights")(pixels())
    for file in tmp_path.rglob("network.bin"):
        file.write_bytes(b"")
    found = started(net, key="weights")(pixels())
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values)
