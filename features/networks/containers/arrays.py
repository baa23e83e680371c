"""NumPy's arrays in pickles, as records of tensors: their numbers are made only when they are wanted."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from features.errors import WeightsError
from features.networks.containers.inert import Built, Inert, Maker
from features.networks.containers.tensors import MAX_DIMENSIONS, TensorRecord

KINDS = {
    "f2": torch.float16, "f4": torch.float32, "f8": torch.float64, "i1": torch.int8, "i2": torch.int16,
    "i4": torch.int32, "i8": torch.int64, "u1": torch.uint8, "b1": torch.bool, "c8": torch.complex64,
    "c16": torch.complex128,
}  # fmt: skip
RECONSTRUCT, FROM_BUFFER = "multiarray._reconstruct", "numeric._frombuffer"


class Kind(Built):
    """A dtype. code: 'f4'. is_big: whether the first byte of a number is its highest."""

    __slots__ = ("code", "is_big")

    def __init__(self, code: Any = "", *_: Any) -> None:
        super().__init__("numpy.dtype")
        self.code, self.is_big = code if isinstance(code, str) else "", False

    def build(self, state: Any) -> None:
        self.is_big = isinstance(state, tuple) and len(state) > 1 and state[1] == ">"


class Array(Built):
    """An array. record: of its numbers, None where it has no plain ones."""

    __slots__ = ("record",)

    def __init__(self, *_: Any) -> None:
        super().__init__("numpy.ndarray")
        self.record: TensorRecord | None = None

    def build(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) == 5:
            _, shape, kind, is_fortran, data = state
            self.record = _record(data, kind, shape, "F" if is_fortran else "C")


def _from_buffer(data: Any = None, kind: Any = None, shape: Any = None, order: Any = "C", *_: Any) -> Array:
    made = Array()
    made.record = _record(data, kind, shape, order)
    return made


def _record(data: Any, kind: Any, shape: Any, order: Any) -> TensorRecord | None:
    """Of numbers as bytes, or as the text that protocol 2 writes them as. Raises WeightsError for too few or many."""
    if not isinstance(kind, Kind) or not isinstance(data, bytes | bytearray | str):
        return None
    sides = shape if isinstance(shape, tuple) else ()
    if len(sides) > MAX_DIMENSIONS or not all(type(side) is int and side >= 0 for side in sides):
        raise WeightsError("an array whose shape is no numbers")
    dtype = KINDS.get(kind.code)
    if dtype is None:
        return TensorRecord(sides, torch.float32, _refuse(kind.code), f"{kind.code[:20]!r} numbers of NumPy's")
    if prod(sides) * dtype.itemsize != len(data):
        raise WeightsError(f"an array of {prod(sides):,} numbers in {len(data):,} bytes, which do not fit")

    def load() -> Tensor:
        numbers = np.frombuffer(as_bytes(data), np.dtype(kind.code).newbyteorder(">" if kind.is_big else "<"))
        numbers = numbers.astype(kind.code).reshape(sides, order="F" if order == "F" else "C")
        return torch.from_numpy(np.ascontiguousarray(numbers).reshape(sides))

    return TensorRecord(sides, dtype, load)


def as_bytes(data: bytes | bytearray | str) -> bytes:
    """Bytes, which protocol 2 writes as text. Raises WeightsError for other text."""
    try:
        return data.encode("latin-1") if isinstance(data, str) else bytes(data)
    except UnicodeError as error:
        raise WeightsError("text in the place of numbers") from error


def _refuse(code: str) -> Callable[[], Tensor]:
    def load() -> Tensor:
        raise WeightsError(f"{code[:20]!r} numbers of NumPy's are no plain ones. Save the network in floating point.")

    return load


def _of_joblib(*_: Any) -> Inert:
    raise WeightsError("arrays as joblib writes them. Load them with joblib.load, and save them with torch.save")


MAKERS: dict[str, Maker] = {
    "numpy.dtype": Kind,
    **{f"numpy.{core}.{RECONSTRUCT}": Array for core in ("core", "_core")},
    **{f"numpy.{core}.{FROM_BUFFER}": _from_buffer for core in ("core", "_core")},
    "joblib.numpy_pickle.NumpyArrayWrapper": _of_joblib,
}
