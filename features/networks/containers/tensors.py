"""Tensors that a file describes: checked against the file before anything is allocated, read when they are wanted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from features.errors import WeightsError

MAX_TENSORS = 20_000  # a ResNet-1202 has 7,000
MAX_NAME = 500  # characters
MAX_DIMENSIONS = 16
EXPANSION = 4  # how often a file's own size its tensors may take: float16 becomes float32, compression gains little
HEADROOM = 64 << 20
# What pickles call types: 'torch.float8_e4m3fn'.
DTYPES = {str(value): value for value in vars(torch).values() if isinstance(value, torch.dtype)}


@dataclass(frozen=True, eq=False)
class Storage:
    """Numbers in a file. dtype: of each; numel: how many; read: their bytes, whole."""

    dtype: torch.dtype
    numel: int
    read: Callable[[], bytes]


@dataclass(frozen=True, eq=False)
class TensorRecord:
    """A tensor as a file describes it. fault: why it cannot be used as plain numbers, or ''."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    load: Callable[[], Tensor]
    fault: str = ""

    @property
    def numel(self) -> int:
        return prod(self.shape)

    @property
    def is_plain(self) -> bool:
        """Whether it is dense floating-point numbers."""
        return not self.fault and self.dtype.is_floating_point


def retyped(storage: Any, offset: Any, shape: Any, stride: Any, *others: Any) -> TensorRecord:
    """As `strided`, of a storage of bytes whose type is told apart from it: float8 and what else has no storage."""
    kind = DTYPES.get(getattr(others[2], "name", "")) if len(others) > 2 else None
    if isinstance(storage, Storage) and storage.dtype == torch.uint8 and kind is not None:
        storage = Storage(kind, storage.numel // kind.itemsize, storage.read)
    return strided(storage, offset, shape, stride)


def strided(storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> TensorRecord:
    """The record of a view of a storage; raises WeightsError if it reaches beyond it."""
    if not isinstance(storage, Storage) or not _whole(offset) or not _all_whole(shape) or not _all_whole(stride):
        raise WeightsError("a tensor whose storage, shape or strides are no numbers")
    sides, steps = tuple(shape), tuple(stride)
    if len(sides) != len(steps) or len(sides) > MAX_DIMENSIONS or min((*sides, *steps, offset), default=0) < 0:
        raise WeightsError(f"a tensor of shape {_short(sides)} with strides {_short(steps)}, which is impossible")
    last = offset + sum((side - 1) * step for side, step in zip(sides, steps, strict=True))
    if prod(sides) and last >= storage.numel:
        raise WeightsError(f"a tensor of shape {_short(sides)} that reaches beyond its {storage.numel:,} numbers")

    def load() -> Tensor:
        # A copy, writable and contiguous, so that nothing of the file's layout chooses another kernel.
        flat = torch.frombuffer(bytearray(storage.read()), dtype=storage.dtype, count=storage.numel)
        return flat.as_strided(sides, steps, offset).contiguous().clone()

    return TensorRecord(sides, storage.dtype, load)


def odd(kind: str) -> Callable[..., TensorRecord]:
    """Makes records of tensors that are no plain numbers: sparse, quantised, on the meta device."""

    def make(*_: object) -> TensorRecord:
        def load() -> Tensor:
            raise WeightsError(f"a {kind} tensor holds no plain numbers. Save the network in floating point.")

        return TensorRecord((), torch.float32, load, kind)

    return make


def need_bounds(tensors: Mapping[str, TensorRecord], file_bytes: int) -> None:
    """Raises WeightsError if tensors are too many, or would take far more memory than their file."""
    if len(tensors) > MAX_TENSORS:
        raise WeightsError(f"{len(tensors):,} tensors, where at most {MAX_TENSORS:,} are read")
    needed = sum(4 * record.numel for record in tensors.values())
    if needed > EXPANSION * file_bytes + HEADROOM:
        raise WeightsError(
            f"tensors that would take {needed / 2**20:,.0f} MiB in a file of {file_bytes / 2**20:,.1f} MiB"
        )


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _all_whole(values: object) -> bool:
    return isinstance(values, tuple | list) and all(map(_whole, values))


def _short(numbers: tuple[int, ...]) -> str:
    text = " x ".join(map(str, numbers[:8]))
    return text if len(text) < 80 else f"{text[:77]}..."
