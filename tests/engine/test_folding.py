"""Folded and rounded layers against those that they were made of, and who shares them."""

import gc

import pytest
import torch

from features.engine import FastNetwork, folding
from features.networks import canonical
from tests.engine.cases import differs, network, pixels, preprocessing

CPU = torch.device("cpu")


def fast(net, dtype=torch.float32) -> FastNetwork:
    return FastNetwork(net, preprocessing(), dtype, CPU)


def weights_of(net: FastNetwork) -> list[int]:
    """Where the weights of the blocks lie in memory."""
    return [values.data_ptr() for _, block in net.blocks() for values in block.parameters()]


def put_out(net: FastNetwork) -> torch.Tensor:
    with torch.inference_mode():
        return dict(net.walk(pixels()))["logits"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_stem_of_pixels_is_the_stem_of_scaled_pixels(dtype):
    stem = network().stem
    ours = folding.pixel_stem(stem, preprocessing(), dtype)
    assert all(torch.equal(conv.weight, conv.weight.to(dtype).float()) for conv in ours if hasattr(conv, "weight"))
    with torch.no_grad():
        found, wanted = ours(pixels()), stem(preprocessing().scaled(pixels()))
    inside = slice(1, -1)  # the padding is off by a part of a grey level
    tolerance = {torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 1e-2}[dtype]
    assert differs(found[..., inside, inside].numpy(), wanted[..., inside, inside].numpy()) < tolerance
    assert differs(found.numpy(), wanted.numpy()) < 1.5 * tolerance


def test_pixels_are_scaled_as_everywhere():
    assert torch.equal(folding.Scale(preprocessing())(pixels()), preprocessing().scaled(pixels()))


@pytest.mark.parametrize("side", [1, 3, 7])
def test_a_rounded_filter_keeps_its_sum(side):
    weight = torch.randn(32, 16, side, side, generator=torch.Generator().manual_seed(0)) * 0.1
    found = folding.round_weight(weight.clone(), torch.bfloat16)
    assert torch.equal(found, found.bfloat16().float())
    assert float(((found - weight).abs() / weight.abs().amax((2, 3), keepdim=True)).max()) < 2**-7
    if side > 1:
        plain = (weight.bfloat16().float() - weight).sum((2, 3)).abs().mean()
        assert (found - weight).sum((2, 3)).abs().mean() < plain / 10
    assert torch.equal(folding.round_weight(found.clone(), torch.bfloat16), found)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_network_that_shares_layers_with_another_shares_their_folded_weights(dtype):
    net = network("projection")
    one = fast(net, dtype)
    stages = {"layer1": list(net.stages["layer1"]), "layer2": list(net.stages["layer2"])[:1]}
    other = fast(canonical.freeze(canonical.ResidualNetwork(net.stem, stages, net.head)), dtype)
    assert weights_of(other) == weights_of(one)[: len(weights_of(other))]
    assert {*weights_of(fast(net, torch.float16))}.isdisjoint(weights_of(one))
    assert {*weights_of(one)}.isdisjoint(values.data_ptr() for values in net.parameters())


@pytest.mark.slow
def test_shared_weights_live_as_long_as_somebody_uses_them():
    net = network()
    one = fast(net)
    conv = net.stages["layer1"][0].branch[0]
    assert len(folding._FOLDED[conv]) == 1
    other = fast(net)
    del one
    gc.collect()
    assert len(folding._FOLDED[conv]) == 1
    del other
    gc.collect()
    assert len(folding._FOLDED[conv]) == 0


@pytest.mark.parametrize("part", ["weight", "running_mean"])
def test_layers_that_were_written_to_are_folded_again(part):
    net = network()
    first = fast(net)
    before = put_out(first)
    conv, norm = net.stages["layer1"][0].branch[:2]
    with torch.no_grad():
        (conv.weight if part == "weight" else norm.running_mean).mul_(-3)
    after = put_out(fast(net))
    with torch.inference_mode():
        wanted = net(preprocessing().scaled(pixels()))
    torch.testing.assert_close(after, wanted, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(after, before, rtol=1e-2)
    assert torch.equal(put_out(first), before)


def test_statistics_that_a_network_gathers_are_folded_anew():
    net = network()
    before = put_out(fast(net))
    kept = fast(net)
    net.train()
    with torch.no_grad():
        net(torch.randn(4, 3, 32, 32))
    canonical.freeze(net)
    after = put_out(fast(net))
    with torch.inference_mode():
        torch.testing.assert_close(after, net(preprocessing().scaled(pixels())), rtol=1e-4, atol=1e-4)
    assert torch.equal(put_out(kept), before)


def test_a_network_in_training_is_not_shared():
    net = network().requires_grad_(True)
    one, other = fast(net), fast(net)
    assert {*weights_of(one)}.isdisjoint(weights_of(other))
