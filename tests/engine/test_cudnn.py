"""cuDNN's fused operations, by stand-ins that say what cuDNN says: what is made of them, and when they are used."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from features.engine import cudnn
from features.engine.fast_network import FastNetwork
from features.engine.timing import example_pixels
from features.networks import zoo
from features.networks.canonical import own_copy

CPU = torch.device("cpu")


class StandIn:
    """cuDNN in PyTorch's own operations. float_bias: whether it takes a float32 bias beside half precision."""

    def __init__(self, float_bias: bool = True, shows_nan: bool = False) -> None:
        self.float_bias, self.shows_nan, self.calls, self.refuses = float_bias, shows_nan, 0, False

    def relu(self, x, weight, bias, stride, padding, dilation, groups):
        return self.add_relu(x, weight, torch.zeros(1), 1.0, bias, stride, padding, dilation, groups)

    def add_relu(self, x, weight, other, alpha, bias, stride, padding, dilation, groups):
        self.calls += 1
        if self.refuses or not (self.float_bias or bias.dtype == x.dtype):
            raise RuntimeError("FIND was unable to find an engine to execute this computation")
        made = functional.conv2d(x.float(), weight.float(), bias.float(), stride, padding, dilation, groups)
        made = made + alpha * other.float()
        made = made.relu() if self.shows_nan else made.nan_to_num(0.0).relu()
        return made.to(x.dtype)


@pytest.fixture
def stand_in(monkeypatch):
    def put(**how) -> StandIn:
        this = StandIn(**how)
        monkeypatch.setattr(cudnn, "IN_HALF", True)
        monkeypatch.setattr(torch, "cudnn_convolution_relu", this.relu)
        monkeypatch.setattr(torch, "cudnn_convolution_add_relu", this.add_relu)
        return this

    cudnn.tried.cache_clear()
    yield put
    cudnn.tried.cache_clear()


@pytest.fixture(scope="module", params=["resnet20-fashion", "plain20-fashion"])
def model(request) -> zoo.Model:
    return zoo.load(request.param)


def fast(model: zoo.Model, dtype=torch.float32) -> tuple[FastNetwork, torch.Tensor]:
    pixels = example_pixels(model.spec.preprocessing, 4).to(memory_format=torch.channels_last)
    return FastNetwork(model.network, model.spec.preprocessing, dtype, CPU), pixels


@torch.inference_mode()
def outputs(network, pixels) -> dict[str, np.ndarray]:
    return {name: values.float().numpy() for name, values in network.walk(pixels)}


def test_a_fused_network_says_in_fp32_what_it_said(model, stand_in):
    cuda = stand_in()
    network, pixels = fast(model)
    wanted = outputs(network, pixels)
    assert cudnn.fuse(network, pixels, torch.float32) == "float32"
    before = cuda.calls
    for name, values in outputs(network, pixels).items():
        np.testing.assert_allclose(values, wanted[name], rtol=1e-4, atol=1e-5)
    assert cuda.calls - before == 2 * len(list(network.blocks()))


def test_projections_and_shortcuts_are_added_before_the_relu(stand_in, tiny_model):
    stand_in()
    network, pixels = fast(tiny_model)
    wanted = outputs(network, pixels)
    assert cudnn.fuse(network, pixels, torch.float32)
    for name, values in outputs(network, pixels).items():
        np.testing.assert_allclose(values, wanted[name], rtol=1e-4, atol=1e-5)


def test_half_precision_is_fused_where_biases_stay_float32(model, stand_in):
    stand_in()
    network, pixels = fast(model, torch.bfloat16)
    assert cudnn.fuse(network, pixels, torch.bfloat16) == "float32"
    assert any(block.fused is not None for _, block in network.blocks())


def test_narrow_networks_are_not_fused_with_rounded_biases(model, stand_in):
    stand_in(float_bias=False)
    network, pixels = fast(model, torch.bfloat16)
    assert cudnn.fuse(network, pixels, torch.bfloat16) == ""
    assert all(block.fused is None for _, block in network.blocks())


def test_without_the_operations_nothing_changes(model, monkeypatch):
    cudnn.tried.cache_clear()
    monkeypatch.delattr(torch, "cudnn_convolution_relu")
    network, pixels = fast(model)
    wanted = outputs(network, pixels)
    assert cudnn.fuse(network, pixels, torch.float32) == ""
    for name, values in outputs(network, pixels).items():
        assert np.array_equal(values, wanted[name])
    cudnn.tried.cache_clear()


def test_a_block_that_is_refused_later_runs_as_ever(model, stand_in):
    cuda = stand_in()
    network, pixels = fast(model)
    wanted = outputs(network, pixels)
    cudnn.fuse(network, pixels, torch.float32)
    cuda.refuses = True
    for name, values in outputs(network, pixels).items():
        assert np.array_equal(values, wanted[name])
    assert all(block.fused.refused for _, block in network.blocks())


@pytest.mark.parametrize(
    ("shows_nan", "dtype", "fused"), [(False, torch.float16, ""), (True, torch.float16, "float32")]
)
def test_what_may_overflow_is_fused_only_where_nan_is_seen(model, stand_in, shows_nan, dtype, fused):
    stand_in(shows_nan=shows_nan)
    assert cudnn.tried(dtype, torch.float32, CPU) == (True, shows_nan)
    network, pixels = fast(model, dtype)
    assert cudnn.fuse(network, pixels, dtype) == fused


def test_broken_weights_are_not_hidden(model, stand_in):
    stand_in()
    broken = own_copy(model.network)
    with torch.no_grad():
        next(broken.stages["layer1"].parameters()).view(-1)[0] = torch.nan
    network, pixels = fast(replace(model, network=broken))
    assert cudnn.fuse(network, pixels, torch.float32) == ""
    assert np.isnan(outputs(network, pixels)["logits"]).all()
