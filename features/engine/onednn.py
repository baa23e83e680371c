"""Which of oneDNN's operations on ready weights this PyTorch has on this processor, each found by trying it.

PyTorch's own convolutions bring weights into oneDNN's order anew at every call, forward and backward. The operations
here take weights that lie in it already; they are those that PyTorch compiles networks to. What they accept differs
from one to the next and with processor and version: adding a second tensor, for one, refuses a float32 bias beside
inputs in bf16, which the convolution alone accepts. So nothing that is known of one is taken for granted of another.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.nn.grad import conv2d_input

OPERATIONS = torch.ops.mkldnn
# Convolution, convolution with another tensor added, its backward; and weights in the order that each of them reads.
FORWARD, PLUS, BACK = "forward", "plus", "back"
ORDER, ORDER_BACK = "order", "order back"
KINDS = (FORWARD, PLUS, BACK, ORDER, ORDER_BACK)
# oneDNN would apply a ReLU too, but makes 0 of NaN, which is to be seen: nothing is done to what comes out.
NOTHING: tuple[str, list[float], str] = ("none", [], "")
_LITTLE = 2**-9  # which bf16 does not have beside 1

How = tuple[tuple[int, int], tuple[int, int], tuple[int, int], int]  # padding, stride, dilation, groups


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, how: How) -> Tensor:
    """(N, C, H, W) -> (N, C', H', W')."""
    return OPERATIONS._convolution_pointwise(x, weight, bias, *how, *NOTHING)


def convolve_plus(x: Tensor, other: Tensor, weight: Tensor, bias: Tensor | None, how: How) -> Tensor:
    """The same with `other`, (N, C', H', W'), added before the sum has left the cache; rounded once."""
    return OPERATIONS._convolution_pointwise.binary(x, other, weight, bias, *how, "add", 1.0, None, [], "")


def convolve_back(gradient: Tensor, weight: Tensor, left_over: list[int], how: How) -> Tensor:
    """The gradient of the input from that of the output, (N, C', H', W') -> (N, C, H, W).

    left_over: rows and columns of the input that the last step of the stride did not reach.
    """
    padding, stride, dilation, groups = how
    return OPERATIONS._convolution_transpose_pointwise(
        gradient, weight, None, padding, left_over, stride, dilation, groups, *NOTHING
    )


def ordered(weight: Tensor, shape: torch.Size, how: How) -> Tensor:
    """Weights in the order that `convolve` reads fastest for inputs of a shape."""
    return OPERATIONS._reorder_convolution_weight(weight, *how, shape)


def ordered_back(weight: Tensor, shape: torch.Size, left_over: list[int], how: How) -> Tensor:
    """Weights in the order that `convolve_back` reads fastest for gradients of a shape."""
    padding, stride, dilation, groups = how
    return OPERATIONS._reorder_convolution_transpose_weight(weight, padding, left_over, stride, dilation, groups, shape)


@cache
def has(kind: str, dtype: torch.dtype, bias: torch.dtype | None = None) -> bool:
    """Whether an operation, one of KINDS, works on inputs and weights of a precision beside a bias of another."""
    try:
        return _TRIALS[kind](dtype, bias)
    except (AttributeError, RuntimeError):
        return False


def _adds_exactly(dtype: torch.dtype, bias: torch.dtype | None, run: Callable[..., Tensor], plus: float) -> bool:
    """Whether -1 + (1 + little) keeps the little, which a bias that is rounded on its way would lose."""
    if bias is None:
        return True
    little = _LITTLE if bias == torch.float32 else 0.0
    one, how = torch.ones(1, 1, 1, 1, dtype=dtype), ((0, 0), (1, 1), (1, 1), 1)
    return float(run(-one, one, torch.tensor([1 + little], dtype=bias), how)) == little + plus


def _example(dtype: torch.dtype) -> tuple[Tensor, Tensor, How]:
    """An input (1, 2, 5, 5) and weights (3, 2, 3, 3) of whole numbers whose sums are exact in every precision."""
    x = (torch.arange(50) % 3 - 1).reshape(1, 2, 5, 5).to(dtype).contiguous(memory_format=torch.channels_last)
    return x, (torch.arange(54) % 5 - 2).reshape(3, 2, 3, 3).to(dtype), ((1, 1), (2, 2), (1, 1), 1)


def _plainly(x: Tensor, weight: Tensor, how: How) -> Tensor:
    return torch.nn.functional.conv2d(x.float(), weight.float(), None, how[1], how[0], how[2], how[3])  # (1, 3, 3, 3)


def _order_works(dtype: torch.dtype, _: torch.dtype | None) -> bool:
    x, weight, how = _example(dtype)
    return torch.equal(convolve(x, ordered(weight, x.shape, how), None, how).float(), _plainly(x, weight, how))


def _forward_works(dtype: torch.dtype, bias: torch.dtype | None) -> bool:
    x, weight, how = _example(dtype)
    right = torch.equal(convolve(x, weight, None, how).float(), _plainly(x, weight, how))
    return right and _adds_exactly(dtype, bias, convolve, 0)


def _plus_works(dtype: torch.dtype, bias: torch.dtype | None) -> bool:
    x, weight, how = _example(dtype)
    wanted = _plainly(x, weight, how)
    other = (torch.arange(27) % 4).reshape(1, 3, 3, 3).to(dtype).contiguous(memory_format=torch.channels_last)
    right = torch.equal(convolve_plus(x, other, weight, None, how).float(), wanted + other.float())
    little = torch.full((1, 1, 1, 1), _LITTLE, dtype=dtype)
    return right and _adds_exactly(dtype, bias, lambda x, *rest: convolve_plus(x, little, *rest), _LITTLE)


def _back_works(dtype: torch.dtype, _: torch.dtype | None, in_order: bool = False) -> bool:
    x, weight, how = _example(dtype)
    wanted = conv2d_input(x.shape, weight.float(), _plainly(x, weight, how).sign(), how[1], how[0])
    gradient = _plainly(x, weight, how).sign().to(dtype)  # (1, 3, 3, 3)
    weight = ordered_back(weight, gradient.shape, [0, 0], how) if in_order else weight
    return torch.equal(convolve_back(gradient, weight, [0, 0], how).float(), wanted)


def _order_back_works(dtype: torch.dtype, _: torch.dtype | None) -> bool:
    return _back_works(dtype, None, in_order=True)


_TRIALS: dict[str, Callable[[torch.dtype, torch.dtype | None], bool]] = {
    FORWARD: _forward_works,
    PLUS: _plus_works,
    BACK: _back_works,
    ORDER: _order_works,
    ORDER_BACK: _order_back_works,
}
