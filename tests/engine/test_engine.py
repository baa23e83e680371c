"""PyTorch's engine against the exact network, and every pooling against its formula."""

import copy

import numpy as np
import pytest
import torch

from features import engine
from features.engine import torch_engine
from features.errors import FeatureError
from features.networks.architecture import cifar
from features.networks.canonical import build, canonical, freeze
from tests.engine.cases import KINDS, activations, differs, network, on_torch, pixels, preprocessing, read
from tests.random_networks import ONE_OF_EACH_KIND, randomise


@pytest.mark.parametrize("kind", KINDS)
def test_every_stage_is_that_of_the_exact_network(kind):
    net = network(kind)
    stages = ("stem", "layer1", "layer2", "layer3", "pool", "logits")
    found, exact = read(net, pixels(), stages=stages), activations(net, pixels())
    assert list(found) == list(stages)
    for name in stages[:4]:
        assert differs(found[name], exact[name].mean((2, 3))) < 1e-5
    assert differs(found["pool"], exact["layer3"].mean((2, 3))) < 1e-5
    assert differs(found["logits"], exact["logits"]) < 1e-5


@pytest.mark.parametrize("torchvision_network", ONE_OF_EACH_KIND, indirect=True)
def test_torchvisions_networks_keep_their_features(torchvision_network):
    _, source = torchvision_network
    net = freeze(canonical(copy.deepcopy(source)))
    found, exact = read(net, pixels(2, 64)), activations(net, pixels(2, 64))
    for name in net.stage_names:
        assert differs(found[name], exact[name].mean((2, 3))) < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_bf16_points_where_fp32_does(kind):
    net = network(kind)
    low, high = read(net, pixels(), precision="bf16"), read(net, pixels())
    for name in net.stage_names:
        cosine = torch.cosine_similarity(torch.from_numpy(low[name]), torch.from_numpy(high[name]))
        assert cosine.min() > 0.999
        assert low[name].dtype == np.float32


def edge_detector():
    """A network whose first filters take differences of neighbouring pixels, as trained ones do."""
    net = network()
    with torch.no_grad():
        weight = net.stem[0].weight
        weight -= weight.mean((2, 3), keepdim=True)
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.bias.fill_(0.1)
                module.running_mean.zero_()
    return net


@pytest.mark.parametrize("engine_name", [name for name in engine.ENGINES if name != engine.CUDA_GRAPHS])
def test_bf16_loses_nothing_of_edges_on_bright_images(engine_name):
    if engine_name == engine.OPENVINO:
        pytest.importorskip("openvino", reason="an extra: requirements-openvino.txt")
    net, bright = edge_detector(), 250 + pixels(4) % 4
    plan = engine.choose(net, ["stem"], precision="bf16", device="cpu", engine=engine_name)
    low = engine.start(net, preprocessing(), plan)(bright)["stem"]
    high = read(net, bright, stages=["stem"])["stem"]
    # Scaled pixels rounded to bf16 would hardly differ, and these features would be wrong by a tenth.
    assert differs(low - low.mean(), high - high.mean()) < 0.02


def test_what_is_not_a_number_is_not_hidden_by_a_layer():
    net = network()
    with torch.no_grad():
        net.stages["layer1"][0].branch[0].weight[0, 0, 0, 0] = float("nan")
    for name, values in read(net, pixels()).items():
        assert np.isnan(values).any(), name


@pytest.mark.parametrize(("count", "pieces"), [(3, [3]), (5, [3, 2]), (8, [4, 4]), (9, [3, 3, 3])])
def test_a_cpu_takes_as_many_images_at_a_time_as_its_memory_is_used_again_for(count, pieces, monkeypatch):
    net = network()
    monkeypatch.setattr(torch_engine, "REUSED", 4 * 16 * 4 * 32 * 32)
    plan = engine.choose(net, precision="fp32", device="cpu", engine="torch")
    runner = engine.start(net, preprocessing(), plan)
    whole = runner(pixels(count))
    seen = []
    begin = runner._begin
    monkeypatch.setattr(runner, "_begin", lambda piece: seen.append(len(piece)) or begin(piece))
    runner(pixels(count))
    assert seen == pieces
    assert whole["layer1"].shape[0] == count


def test_the_network_that_was_given_stays_as_it_was():
    net = network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    read(net, pixels())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(module.training for module in net.modules())
    first, second = read(net, pixels()), read(net, pixels())
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_pooling_is_what_its_name_says():
    net = network()
    exact = activations(net, pixels())["layer2"]
    assert differs(read(net, pixels(), pool="max")["layer2"], exact.max((2, 3))) < 1e-5
    gem = (np.maximum(exact, 1e-6) ** 3).mean((2, 3)) ** (1 / 3)
    assert differs(read(net, pixels(), pool="gem")["layer2"], gem) < 1e-5
    maps = read(net, pixels(), pool="none")["layer2"]
    assert maps.dtype == np.float16
    assert maps.shape == (3, 32, 16, 16)
    assert differs(maps, exact) < 1e-3


def test_a_network_without_a_head_has_stages_and_no_logits():
    net = freeze(randomise(build(cifar(8, classes=None))))  # type: ignore[arg-type]
    assert "logits" not in read(net, pixels(), stages=["layer3", "pool"])
    with pytest.raises(FeatureError, match="logits"):
        engine.choose(net, stages=["logits"])


def test_a_batch_that_does_not_fit_is_read_in_halves_and_no_row_is_lost(monkeypatch):
    net = network()
    runner = on_torch(net)
    whole, sizes = runner(pixels(7)), []
    begin_all = runner._begin

    def small(batch):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return begin_all(batch)

    monkeypatch.setattr(runner, "_begin", small)
    found = runner(pixels(7))
    assert sizes == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    for name in whole:
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-4, atol=1e-5)


def test_a_single_image_that_does_not_fit_is_an_error_that_says_what_to_do(monkeypatch):
    net = network()
    runner = on_torch(net)

    def full(batch):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(runner, "_begin", full)
    with pytest.raises(FeatureError, match="Not even one image"):
        runner(pixels(4))


def test_other_errors_than_that_of_memory_are_not_taken_for_one(monkeypatch):
    runner = on_torch(network())

    def broken(batch):
        raise RuntimeError("sizes differ")

    monkeypatch.setattr(runner, "_begin", broken)
    with pytest.raises(RuntimeError, match="sizes differ"):
        runner(pixels(4))


def test_a_network_that_does_not_fit_is_an_error_that_says_what_to_do(monkeypatch):
    def full(*_):
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(torch_engine, "FastNetwork", full)
    with pytest.raises(FeatureError, match="network does not fit into the memory of cpu"):
        on_torch(network())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_ordinary_convolutions_make_the_same_features(precision):
    net = network("projection")
    found = read(net, pixels(), precision=precision, engine=engine.TORCH_PLAIN)
    for name, wanted in read(net, pixels(), precision=precision).items():
        assert differs(found[name], wanted) < (1e-6 if precision == "fp32" else 1e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_in_bf16_as_on_a_xeon_features_point_where_those_in_fp32_do(kind, xeon):
    net = network(kind)
    wanted = activations(net, pixels())
    runner = on_torch(net, precision="bf16")
    runner(pixels())  # tries what there is
    xeon.called.clear()
    found = runner(pixels())
    assert ("plus" in xeon.called) == (kind == "projection")  # identity: convolution, then addition
    for name in net.stage_names:
        exact = torch.from_numpy(wanted[name].mean((2, 3)))
        assert torch.cosine_similarity(torch.from_numpy(found[name]).double(), exact).min() > 0.9999
