"""Values that processes hand to each other through files: results of analyses, and what these are made of.

They are pickles, read back as data alone: what one names beside the types of this project's results and numpy's arrays
is refused, so that a file that somebody else put there runs nothing.
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
# What numpy's arrays and scalars are made with, under the names of its versions, and harmless containers.
ALLOWED = {
    *(("numpy", name) for name in ("ndarray", "dtype")),
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    *(("builtins", name) for name in ("set", "frozenset", "slice", "complex", "bytearray")),
    ("collections", "OrderedDict"),
    *(("pathlib", name) for name in ("Path", "PosixPath", "WindowsPath")),
    (__name__, "tensor"),
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


def tensor(values: np.ndarray) -> Any:
    """A tensor of an array's values, as `write` keeps one."""
    import torch

    return torch.from_numpy(values)


class _Writer(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        torch = sys.modules.get("torch")  # where it was never imported nothing is a tensor
        if torch is not None and isinstance(value, torch.Tensor):
            return tensor, (value.detach().cpu().numpy(),)
        return NotImplemented


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in ALLOWED:
            return getattr(importlib.import_module(module), name)
        if module.startswith(OWN) and "." not in name:
            kind = getattr(importlib.import_module(module), name, None)
            if isinstance(kind, type) and _holds_values(kind):
                return kind
        raise ResultError(f"A kept result names {module}.{name}, which is no type of a result. Measure it again.")


def _holds_values(kind: type) -> bool:
    """Whether a class only holds values: a dataclass, an enum or a named tuple."""
    is_named_tuple = issubclass(kind, tuple) and hasattr(kind, "_fields")
    return dataclasses.is_dataclass(kind) or issubclass(kind, enum.Enum) or is_named_tuple
