"""A network's blocks on a GPU with biases, shortcuts and ReLUs in one pass over memory instead of four.

On a GPU the passes of their own cost as much as the convolutions. By cuDNN's fused operations in float32 (`cudnn`), by
a kernel behind each convolution in half precision (`epilogue`). Whether they are there and what they do to NaN is found
by trying, once in a process. Whoever asks for a network to be fused gets it only where it then says the same: every
block that cannot be fused, or is refused later, runs as it would have.

What is fused may show less of what has gone wrong: cuDNN's ReLU makes 0 of NaN. Where it does, weights have to be
finite. What remains are activations beyond 3e38 of finite weights, whose NaN within a block would be seen only in other
channels.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from features.engine import cudnn, epilogue
from features.engine.convolution import Convolution
from features.engine.plan import LOGITS, POOLED, pooled
from features.networks.canonical import NoShortcut, ResidualBlock, ResidualNetwork

# A fused network may differ from the same one unfused by as much of a length: of fp32 the order of sums, of half
# precision a cosine of 0.9999.
ALIKE = {torch.float32: 1e-4, torch.bfloat16: 0.0141, torch.float16: 0.0141}
EXAMPLES = 2


class Operations(NamedTuple):
    """relu: relu(conv(x) + bias) of conv, x, bias. add_relu: relu(conv(x) + other + bias) of conv, x, other, bias.

    Biases are (C',) float32, whatever the precision of the others.
    """

    name: str
    relu: Callable[[Convolution, Tensor, Tensor], Tensor]
    add_relu: Callable[[Convolution, Tensor, Tensor, Tensor], Tensor]


CUDNN = Operations("cuDNN", cudnn.convolve_relu, cudnn.convolve_add_relu)
EPILOGUE = Operations("Triton", epilogue.convolve_relu, epilogue.convolve_add_relu)


class Ability(NamedTuple):
    """works: whether the fused operations are there and right. shows_nan: whether NaN comes out of them as NaN."""

    works: bool
    shows_nan: bool


class Fused:
    """A block as fused operations. refused: whether there was no kernel for it."""

    def __init__(self, block: ResidualBlock, operations: Operations) -> None:
        """block: one that is `fusible`."""
        self._relu, self._add_relu = operations.relu, operations.add_relu
        self._inner = [cast(Convolution, layer) for layer in list(block.branch)[:-1:2]]
        self._last = cast(Convolution, block.branch[-1])
        self._projection = _projection(block)
        self._shortcut = None if isinstance(block.shortcut, NoShortcut) else block.shortcut
        self._biases = [_bias(conv) for conv in self._inner]  # (C,) each
        self._last_bias = _bias(self._last)
        if self._projection is not None:  # both are added at once
            self._last_bias = self._last_bias + _bias(self._projection)
        self.refused = False

    def __call__(self, x: Tensor) -> Tensor | None:
        """A block's input (N, C, H, W) -> its output (N, C', H', W'), or None where there is no kernel for it."""
        if self.refused:
            return None
        try:
            return self._output(x)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if "out of memory" in str(error) or "ALLOC_FAILED" in str(error):
                raise
            self.refused = True
            return None

    def _output(self, x: Tensor) -> Tensor:
        below = x
        for conv, bias in zip(self._inner, self._biases, strict=True):
            below = self._relu(conv, below, bias)
        if self._shortcut is None:
            return self._relu(self._last, below, self._last_bias)
        other = self._shortcut(x) if self._projection is None else _convolve(self._projection, x)  # (N, C', H', W')
        return self._add_relu(self._last, below, other, self._last_bias)


def operations_for(dtype: torch.dtype) -> Operations:
    """Those that a precision is fused by."""
    return CUDNN if dtype == torch.float32 else EPILOGUE


def fuse(network: ResidualNetwork, pixels: Tensor, dtype: torch.dtype) -> str:
    """Let a fast network's blocks run fused, where it then says the same of some pixels (N, C, S, S) on its device.

    Returns by what they are fused, '' where nothing is.
    """
    operations = operations_for(dtype)
    ability = tried(operations, dtype, pixels.device)
    if not ability.works or not (ability.shows_nan or _is_finite(network)):
        return ""
    wanted = _outputs(network, pixels)
    for _, block in network.blocks():
        cast(Any, block).fused = Fused(block, operations) if fusible(block) else None
    if _alike(_outputs(network, pixels), wanted, ALIKE[dtype]):
        return operations.name
    unfuse(network)
    return ""


def unfuse(network: ResidualNetwork) -> None:
    """Let all blocks run as they would have."""
    for _, block in network.blocks():
        cast(Any, block).fused = None


def fusible(block: ResidualBlock) -> bool:
    """Whether a block is convolutions with ReLUs between them, and a ReLU behind their sum with the shortcut."""
    layers = list(block.branch)
    kinds = [Convolution if number % 2 == 0 else nn.ReLU for number in range(len(layers))]
    alternate = all(isinstance(layer, kind) for layer, kind in zip(layers, kinds, strict=True))
    return len(layers) % 2 == 1 and alternate and isinstance(block.activation, nn.ReLU)


@cache
def tried(operations: Operations, dtype: torch.dtype, device: torch.device) -> Ability:
    """What fused operations can do in a precision: found by trying.

    Numbers are such that nothing is rounded but a bias which is not to be, by 2**-12, which no half precision has
    beside 1.
    """
    results = []
    with torch.inference_mode(False), torch.no_grad(), suppress(AttributeError, TypeError, RuntimeError):
        for kernel in (1, 3):
            results.append(_tried_once(operations, kernel, dtype, device))
    if len(results) < 2:
        return Ability(False, False)
    return Ability(all(result.works for result in results), all(result.shows_nan for result in results))


def _tried_once(operations: Operations, kernel: int, dtype: torch.dtype, device: torch.device) -> Ability:
    width = 64
    plain = nn.Conv2d(width, width, kernel, padding=kernel // 2, bias=False)
    nn.init.dirac_(plain.weight)  # puts out what it is given
    conv = Convolution(plain, dtype).to(device).to(memory_format=torch.channels_last)
    random = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (2, width, 8, 8), generator=random) * 2.0 - 1  # (2, C, 8, 8) of -1 and 1
    others = torch.randint(-1, 2, signs.shape, generator=random) * 2.0**-12
    bias = torch.full((width,), 1 + 2.0**-12)  # (C,)
    x, other = (values.to(device, dtype, memory_format=torch.channels_last) for values in (signs, others))
    there = bias.to(device)
    results = operations.relu(conv, x, there), operations.add_relu(conv, x, other, there)
    total = signs.double() + bias.double()[:, None, None]
    wanted = functional.relu(total).to(dtype), functional.relu(total + others.double()).to(dtype)
    works = all(torch.equal(one.cpu(), two) for one, two in zip(results, wanted, strict=True))
    x[0, 0, 0, 0] = torch.nan
    broken = operations.relu(conv, x, there), operations.add_relu(conv, x, other, there)
    return Ability(works, all(bool(values[0, 0, 0, 0].isnan()) for values in broken))


def _projection(block: ResidualBlock) -> Convolution | None:
    shortcut = block.shortcut
    if isinstance(shortcut, nn.Sequential) and len(shortcut) == 1 and isinstance(shortcut[0], Convolution):
        return shortcut[0]
    return None


def _convolve(conv: Convolution, x: Tensor) -> Tensor:
    """A convolution without its bias."""
    padding, stride, dilation, groups = conv._how
    return functional.conv2d(x, conv.weight, None, stride, padding, dilation, groups)


def _bias(conv: Convolution) -> Tensor:
    """(C,) float32."""
    return conv.weight.new_zeros(conv.out_channels, dtype=torch.float32) if conv.bias is None else conv.bias.detach()


def _is_finite(network: nn.Module) -> bool:
    return all(bool(values.isfinite().all()) for values in network.state_dict().values())


@torch.inference_mode()
def _outputs(network: ResidualNetwork, pixels: Tensor) -> list[Tensor]:
    """What is made of some pixels at every stage, (N, D) float32 each."""
    return list(_vectors(network, pixels))


def _vectors(network: ResidualNetwork, pixels: Tensor) -> Iterator[Tensor]:
    for name, values in network.walk(pixels):
        yield values if name in (POOLED, LOGITS) else pooled(values, "mean")


def _alike(results: list[Tensor], wanted: list[Tensor], bound: float) -> bool:
    """Whether every row is finite and differs from the wanted one by less than a share of its length."""
    for one, other in zip(results, wanted, strict=True):
        if not bool(one.isfinite().all()) or not bool(other.isfinite().all()):
            return False
        if bool(((one - other).norm(dim=1) > bound * other.norm(dim=1)).any()):
            return False
    return True
