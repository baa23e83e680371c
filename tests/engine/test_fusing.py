"""Fused operations, by stand-ins that say what cuDNN says: what is made of them, and when they are used."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from features.engine import epilogue, fusing
from features.engine.fast_network import FastNetwork
from features.engine.timing import example_pixels
from features.networks import zoo
from features.networks.canonical import own_copy

CPU = torch.device("cpu")


class StandIn:
    """cuDNN, and the kernel for half precision, in PyTorch's own operations."""

    def __init__(self, shows_nan: bool = False) -> None:
        self.shows_nan, self.calls, self.refuses = shows_nan, 0, False

    def relu(self, x, weight, bias, stride, padding, dilation, groups):
        return self.add_relu(x, weight, torch.zeros(1), 1.0, bias, stride, padding, dilation, groups)

    def add_relu(self, x, weight, other, alpha, bias, stride, padding, dilation, groups):
        self.calls += 1
        if self.refuses:
            raise RuntimeError("FIND was unable to find an engine to execute this computation")
        made = functional.conv2d(x.float(), weight.float(), bias.float(), stride, padding, dilation, groups)
        made = made + alpha * other.float()
        made = made.relu() if self.shows_nan else made.nan_to_num(0.0).relu()
        return made.to(x.dtype)

    def behind(self, values, bias, other):
        made = values.float() + bias[:, None, None] + (0 if other is None else other.float())
        self.calls += 1
        return made.relu().to(values.dtype)


@pytest.fixture
def stand_in(monkeypatch):
    def put(**how) -> StandIn:
        this = StandIn(**how)
        monkeypatch.setattr(torch, "cudnn_convolution_relu", this.relu)
        monkeypatch.setattr(torch, "cudnn_convolution_add_relu", this.add_relu)
        monkeypatch.setattr(epilogue, "add_relu", this.behind)
        return this

    fusing.tried.cache_clear()
    yield put
    fusing.tried.cache_clear()


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
    assert fusing.fuse(network, pixels, torch.float32) == "cuDNN"
    before = cuda.calls
    for name, values in outputs(network, pixels).items():
        np.testing.assert_allclose(values, wanted[name], rtol=1e-4, atol=1e-5)
    assert cuda.calls - before == 2 * len(list(network.blocks()))


def test_projections_and_shortcuts_are_added_before_the_relu(stand_in, tiny_model):
    stand_in()
    network, pixels = fast(tiny_model)
    wanted = outputs(network, pixels)
    assert fusing.fuse(network, pixels, torch.float32)
    for name, values in outputs(network, pixels).items():
        np.testing.assert_allclose(values, wanted[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_fused_by_a_kernel_behind_each_convolution(model, stand_in, dtype):
    kernel = stand_in()
    network, pixels = fast(model, dtype)
    wanted = outputs(network, pixels)
    assert fusing.fuse(network, pixels, dtype) == "Triton"
    before = kernel.calls
    for name, values in outputs(network, pixels).items():
        assert np.abs(values - wanted[name]).max() < 0.04 * np.abs(wanted[name]).max()
    assert kernel.calls - before == 2 * len(list(network.blocks()))


def test_without_the_operations_nothing_changes(model, monkeypatch):
    fusing.tried.cache_clear()
    monkeypatch.delattr(torch, "cudnn_convolution_relu")
    network, pixels = fast(model)
    wanted = outputs(network, pixels)
    assert fusing.fuse(network, pixels, torch.float32) == ""
    for name, values in outputs(network, pixels).items():
        assert np.array_equal(values, wanted[name])
    fusing.tried.cache_clear()


def test_a_block_that_is_refused_later_runs_as_ever(model, stand_in):
    cuda = stand_in()
    network, pixels = fast(model)
    wanted = outputs(network, pixels)
    fusing.fuse(network, pixels, torch.float32)
    cuda.refuses = True
    for name, values in outputs(network, pixels).items():
        assert np.array_equal(values, wanted[name])
    assert all(block.fused.refused for _, block in network.blocks())


@pytest.mark.parametrize("shows_nan", [False, True])
def test_whether_nan_is_seen_is_found_by_trying(stand_in, shows_nan):
    stand_in(shows_nan=shows_nan)
    assert fusing.tried(fusing.CUDNN, torch.float32, CPU) == (True, shows_nan)


def test_a_bias_that_is_rounded_is_found_by_trying(stand_in, monkeypatch):
    this = stand_in()
    monkeypatch.setattr(
        epilogue, "add_relu", lambda values, bias, other: this.behind(values, bias.to(values.dtype).float(), other)
    )
    assert not fusing.tried(fusing.EPILOGUE, torch.bfloat16, CPU).works


def test_without_a_compiler_half_precision_runs_as_ever(model, stand_in, monkeypatch):
    stand_in()

    def fails(values, bias, other):
        raise RuntimeError("Failed to find C compiler. Please specify via CC environment variable.")

    monkeypatch.setattr(epilogue, "add_relu", fails)
    network, pixels = fast(model, torch.bfloat16)
    assert fusing.fuse(network, pixels, torch.bfloat16) == ""
    assert all(block.fused is None for _, block in network.blocks())


def test_broken_weights_are_not_hidden(model, stand_in):
    stand_in()
    broken = own_copy(model.network)
    with torch.no_grad():
        next(broken.stages["layer1"].parameters()).view(-1)[0] = torch.nan
    network, pixels = fast(replace(model, network=broken))
    assert fusing.fuse(network, pixels, torch.float32) == ""
    assert np.isnan(outputs(network, pixels)["logits"]).all()
