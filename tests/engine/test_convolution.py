"""Convolutions against PyTorch's plain ones, whatever part of oneDNN is missing."""

import copy

import pytest
import torch
from torch.nn import functional

from features.engine import convolution, onednn
from features.engine.convolution import Convolution
from tests.engine.cases import subsets, without

CONVOLUTIONS = {
    "3x3": {"kernel_size": 3, "padding": 1},
    "3x3, stride 2": {"kernel_size": 3, "padding": 1, "stride": 2},
    "1x1, stride 2, no bias": {"kernel_size": 1, "stride": 2, "bias": False},
    "7x7, stride 2": {"kernel_size": 7, "padding": 3, "stride": 2},
    "dilated": {"kernel_size": 3, "padding": 2, "dilation": 2},
    "grouped, stride 2": {"kernel_size": 3, "padding": 1, "stride": 2, "groups": 4},
    "not square": {"kernel_size": (1, 3), "padding": (0, 1), "stride": (1, 2)},
}
MISSING = list(subsets(onednn.KINDS))
HALF = 2**-8  # a rounding to bf16, relative


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return values.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else values


def conv_of(settings: dict) -> torch.nn.Conv2d:
    torch.manual_seed(0)
    return torch.nn.Conv2d(8, 16, **settings).requires_grad_(False)


def bare(*_: object) -> bool:
    return False


@pytest.mark.parametrize("has", [None, bare], ids=["all operations", "no operation"])
@pytest.mark.parametrize("settings", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_a_convolution_is_the_plain_one_forward_and_backward(settings, has, monkeypatch):
    if has is not None:
        monkeypatch.setattr(onednn, "has", has)
    plain = conv_of(settings)
    ours = Convolution(plain, torch.float32)
    for shape in ((2, 8, 17, 15), (1, 8, 16, 18), (0, 8, 16, 16), (2, 8, 17, 15)):
        x = drawn(*shape).requires_grad_()
        wanted = plain(x)
        other, gradient = drawn(*wanted.shape, seed=1), drawn(*wanted.shape, seed=2)
        kept = other.clone()
        (below,) = torch.autograd.grad(wanted, x, gradient)
        with torch.no_grad():
            torch.testing.assert_close(ours(x), wanted)
            torch.testing.assert_close(ours.plus(x, other), wanted + other)
            torch.testing.assert_close(ours.back(gradient, x.shape), below)
        assert torch.equal(other, kept)
        (through,) = torch.autograd.grad(ours(x), x, gradient)  # where a graph is made
        torch.testing.assert_close(through, below)


@pytest.mark.parametrize("missing", MISSING, ids=[", ".join(names) or "nothing" for names in MISSING])
def test_in_fp32_any_operation_may_be_missing(missing, monkeypatch):
    plain, projection = conv_of(CONVOLUTIONS["3x3, stride 2"]), conv_of({"kernel_size": 1, "stride": 2})
    monkeypatch.setattr(onednn, "has", without(missing))
    ours, across = Convolution(plain, torch.float32), Convolution(projection, torch.float32)
    x, gradient = drawn(2, 8, 17, 15), drawn(2, 16, 9, 8, seed=1)
    with torch.inference_mode():
        both = plain(x) + projection(x)
        close = {"rtol": 1e-6, "atol": 2e-6}
        torch.testing.assert_close(ours(x), plain(x), **close)
        torch.testing.assert_close(ours.plus(x, projection(x)), both, **close)
        torch.testing.assert_close(ours.plus_projection(x, across, x), both, **close)
        below = torch.nn.grad.conv2d_input(x.shape, plain.weight, gradient, 2, 1)
        torch.testing.assert_close(ours.back(gradient, x.shape), below, **close)


@pytest.mark.parametrize("missing", MISSING, ids=[", ".join(names) or "nothing" for names in MISSING])
def test_in_bf16_any_operation_may_be_missing(missing, xeon, monkeypatch):
    monkeypatch.setattr(onednn, "has", without(missing))
    plain, projection = conv_of(CONVOLUTIONS["3x3, stride 2"]), conv_of({"kernel_size": 1, "stride": 2})
    ours, across = Convolution(plain, torch.bfloat16), Convolution(projection, torch.bfloat16)
    for conv in (plain, projection):  # the same weights, whose sums are exact beside what is rounded
        conv.weight.data = conv.weight.data.bfloat16().float()
    x, gradient = drawn(2, 8, 17, 15).bfloat16(), drawn(2, 16, 9, 8, seed=1).bfloat16()
    with torch.inference_mode():
        alone, across_alone = plain(x.float()), projection(x.float())
        below = torch.nn.grad.conv2d_input(x.shape, plain.weight, gradient.float(), 2, 1)
        other = across_alone.bfloat16()
        # Each term is rounded at most once on its way, and so is the sum.
        wanted = [
            (ours(x), alone, [alone]),
            (ours.plus(x, other), alone + other, [alone, alone + other]),
            (ours.plus_projection(x, across, x), alone + across_alone, [alone, across_alone, alone + across_alone]),
            (ours.back(gradient, x.shape), below, [below]),
        ]
    # Without bf16 in the processor PyTorch's plain convolutions may round their partial sums as well.
    partial = 2.0 if {onednn.FORWARD, onednn.BACK} & {*missing} else 0.0
    for found, exact, terms in wanted:
        assert found.dtype == torch.bfloat16
        bound = HALF * (sum(term.abs() for term in terms) + exact.abs() + partial) + 1e-3 * HALF
        assert bool(((found.float() - exact).abs() <= bound).all())


def test_beside_bf16_a_float32_bias_is_left_to_the_convolution_and_the_shortcut_added_after_it(xeon):
    """What AMX runs: the operation that adds a tensor refuses the bias, so it gets none, or is not used."""
    assert onednn.has(onednn.FORWARD, torch.bfloat16, torch.float32)
    assert onednn.has(onednn.PLUS, torch.bfloat16, None)
    assert onednn.has(onednn.PLUS, torch.bfloat16, torch.bfloat16)
    assert not onednn.has(onednn.PLUS, torch.bfloat16, torch.float32)
    ours, across = (Convolution(conv_of({"kernel_size": 1}), torch.bfloat16) for _ in range(2))
    x = drawn(2, 8, 5, 5).bfloat16()
    with torch.inference_mode():
        ours(x)  # what is tried first is over
        xeon.called.clear()
        ours.plus(x, drawn(2, 16, 5, 5).bfloat16())
        assert xeon.called == ["forward, torch.float32"]
        xeon.called.clear()
        ours.plus_projection(x, across, x)  # which takes over the bias
        assert xeon.called == ["forward, torch.float32", "plus"]


def test_an_operation_that_rounds_the_bias_is_not_used(xeon, monkeypatch):
    rounding = xeon._sum

    def rounded(x, weight, bias, *how):
        return rounding(x, weight, None if bias is None else bias.to(x.dtype), *how)

    monkeypatch.setattr(xeon, "_sum", rounded)
    assert not onednn.has(onednn.FORWARD, torch.bfloat16, torch.float32)
    assert onednn.has(onednn.FORWARD, torch.bfloat16, None)
    conv = conv_of({"kernel_size": 1})
    torch.nn.init.constant_(conv.bias, 4.0077)  # 4.0 in bf16
    with torch.inference_mode():
        found = Convolution(conv, torch.bfloat16)(torch.zeros(1, 8, 2, 2, dtype=torch.bfloat16) + 2**-7)
        exact = functional.conv2d(torch.full((1, 8, 2, 2), 2**-7), conv.weight.bfloat16().float(), conv.bias)
    assert bool(((found.float() - exact).abs() <= exact.abs() * HALF).all())


@pytest.mark.parametrize("kind", onednn.KINDS)
def test_an_operation_that_is_not_there_or_computes_something_else_is_not_used(kind, xeon, monkeypatch):
    assert onednn.has(kind, torch.bfloat16)
    onednn.has.cache_clear()
    for name in vars(xeon):
        if name != "called":
            getattr(xeon, name).run = lambda *values: torch.zeros(1, 1, 1, 1)
            getattr(xeon, name).binary = lambda *values: torch.zeros(1, 1, 1, 1)
    assert not onednn.has(kind, torch.bfloat16)
    onednn.has.cache_clear()
    monkeypatch.setattr(onednn, "OPERATIONS", object())
    assert not onednn.has(kind, torch.bfloat16)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("has", [None, bare], ids=["all operations", "no operation"])
def test_the_bias_of_a_convolution_in_half_precision_stays_in_float32(dtype, has, monkeypatch):
    if has is not None:
        monkeypatch.setattr(onednn, "has", has)
    conv = torch.nn.Conv2d(4, 16, 3, stride=2, padding=1)
    torch.nn.init.constant_(conv.bias, 4.0077)  # 4.0 in bf16
    x = drawn(2, 4, 64, 64).to(dtype)
    with torch.no_grad():
        found = Convolution(conv, dtype)(x)
        exact = functional.conv2d(x.float(), conv.weight.to(dtype).float(), conv.bias, stride=2, padding=1)
    assert found.dtype == dtype
    assert abs(float((found.float() - exact).mean())) < 0.003
    assert float((found.float() - exact).abs().max()) <= float(exact.abs().max()) * 2**-8


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_a_bias_is_added_to_half_precision_with_one_rounding(dtype, layout):
    values, bias = drawn(2, 5, 4, 3).to(dtype).contiguous(memory_format=layout), drawn(5, seed=1)
    values[0, 0, 0, 0] = torch.nan
    found = convolution.shifted(values, bias)
    torch.testing.assert_close(found, (values.float() + bias[:, None, None]).to(dtype), rtol=0, atol=0, equal_nan=True)
    assert found.is_contiguous(memory_format=layout)
    assert not len(convolution.shifted(values[:0], bias))


def test_ordinary_convolutions_use_none_of_the_operations(xeon):
    ours = Convolution(conv_of({"kernel_size": 3, "padding": 1}), torch.float32)
    x = drawn(1, 8, 6, 6)
    with torch.inference_mode():
        wanted = ours(x)
        assert xeon.called
        xeon.called.clear()
        ours.ordinary = True
        torch.testing.assert_close(ours(x), wanted)
        ours.plus(x, wanted)
        ours.back(wanted, x.shape)
    assert not xeon.called


def test_a_convolution_that_has_run_can_be_copied():
    ours = Convolution(torch.nn.Conv2d(3, 4, 3), torch.float32)
    x = torch.randn(1, 3, 8, 8)
    with torch.inference_mode():
        wanted = ours(x)
    other = copy.deepcopy(ours)
    with torch.no_grad():
        other.weight.mul_(2)
        assert torch.equal(ours(x), wanted)
        assert not torch.allclose(other(x), wanted)
