"""Kernels in Triton, imported only where there is a GPU to run them: not everybody has it, and it takes a while."""

import triton
import triton.language as tl


@triton.jit
def add_relu(values, bias, other, total, channels, has_other: tl.constexpr, block: tl.constexpr):
    """relu(values + bias + other) in the place of values, in float32, rounded once. NaN stays NaN.

    values, other: numbers whose channel changes fastest. bias: one float32 a channel. block: numbers of one program.
    """
    start = tl.program_id(0).to(tl.int64) * block  # of more numbers than 32 bits count
    within = tl.arange(0, block)
    offsets = start + within
    inside = offsets < total
    channel = ((start % channels).to(tl.int32) + within) % channels
    x = tl.load(values + offsets, mask=inside).to(tl.float32)
    x += tl.load(bias + channel, mask=inside)
    if has_other:
        x += tl.load(other + offsets, mask=inside).to(tl.float32)
    x = tl.where(x < 0, 0.0, x)  # NaN is not below 0
    tl.store(values + offsets, x.to(values.dtype.element_ty), mask=inside)
