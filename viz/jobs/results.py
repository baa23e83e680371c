"""Values that processes hand to each other through files: results of analyses, and what these are made of.

They are pickles, read back as data alone: a file names the types of this project's results and a few functions here,
and what it says of their insides goes into new instances only, never into classes. So one that somebody else put there
runs nothing and changes nothing. Arrays are in .npy form: numpy's own pickled types can be told of pointers.
"""

import dataclasses
import enum
import importlib
import io
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np

from features import files
from features.errors import FeatureError

OWN = "features."
ALLOWED = {
    *(("builtins", name) for name in ("set", "frozenset", "slice", "complex", "bytearray")),
    ("collections", "OrderedDict"),
    *(("pathlib", name) for name in ("Path", "PosixPath", "WindowsPath")),
    *((__name__, name) for name in ("array", "array_of_objects", "scalar", "tensor")),
}


class ResultError(FeatureError):
    """A file of a result that is damaged, of another version, or not of this app."""


def write(path: Path, value: Any) -> None:
    """Keep a value in a file, which is whole or not there. Tensors are kept as arrays and come back on the CPU."""
    buffer = io.BytesIO()
    _Writer(buffer, protocol=5).dump(value)
    files.write_whole(path, buffer.getvalue())


def read(path: Path) -> Any:
    """What `write` kept. Raises ResultError if that cannot be read."""
    try:
        with path.open("rb") as file:
            return _Reader(file).load()
    except ResultError:
        raise
    except Exception as error:  # a damaged pickle raises anything
        raise ResultError(f"{path} cannot be read ({type(error).__name__}: {error}). Measure it again.") from error


def array(content: bytes) -> np.ndarray:
    """The array in a .npy file."""
    return np.load(io.BytesIO(content), allow_pickle=False)


def array_of_objects(values: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    """An array of values that numpy has no type for."""
    made = np.empty(len(values), object)
    for number, value in enumerate(values):  # at once, lists would be taken for further axes
        made[number] = value
    return made.reshape(shape)


def scalar(values: np.ndarray) -> Any:
    """The only value of an array."""
    return values[()]


def tensor(values: np.ndarray, dtype: str) -> Any:
    """A tensor of an array's values. dtype: its name, since numpy has not all of them."""
    import torch

    return torch.from_numpy(values).to(getattr(torch, dtype))


class _Writer(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        torch = sys.modules.get("torch")  # where it was never imported nothing is a tensor
        if torch is not None and isinstance(value, torch.Tensor):
            values = value.detach().cpu()
            exact = values.float() if values.dtype == torch.bfloat16 else values  # of which numpy has none
            return tensor, (exact.numpy(), str(values.dtype).removeprefix("torch."))
        if isinstance(value, np.generic):
            return scalar, (np.asarray(value),)
        if isinstance(value, np.ndarray) and value.dtype.hasobject:
            return array_of_objects, (value.ravel().tolist(), value.shape)
        if isinstance(value, np.ndarray):
            buffer = io.BytesIO()
            np.save(buffer, value, allow_pickle=False)
            return array, (buffer.getvalue(),)
        return NotImplemented


_InPython: Any = pickle._Unpickler  # in the one in C it cannot be seen what is filled with which state


class _Reader(_InPython):
    dispatch = dict(_InPython.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in ALLOWED:
            return getattr(importlib.import_module(module), name)
        if module.startswith(OWN) and "." not in name:
            kind = getattr(importlib.import_module(module), name, None)
            if isinstance(kind, type) and kind.__module__ == module and _holds_values(kind):
                return kind
        raise ResultError(f"A kept result names {module}.{name}, which is no type of a result. Measure it again.")

    def load_build(self) -> None:
        """Fill a dataclass's instance, which alone is kept by what is inside; all else is made by its arguments."""
        made = self.stack[-2]
        if isinstance(made, type) or not dataclasses.is_dataclass(made):
            raise ResultError(f"A kept result changes {made!r:.80}. Measure it again.")
        super().load_build()
        missing = [field.name for field in dataclasses.fields(made) if not hasattr(made, field.name)]
        if missing:
            raise ResultError(f"A kept result has no {missing[0]}: it is of another version. Measure it again.")

    dispatch[pickle.BUILD[0]] = load_build


def _holds_values(kind: type) -> bool:
    """Whether a class only holds values: a dataclass, an enum or a named tuple."""
    is_named_tuple = issubclass(kind, tuple) and hasattr(kind, "_fields")
    return dataclasses.is_dataclass(kind) or issubclass(kind, enum.Enum) or is_named_tuple
