"""How much memory a result holds, as far as it is what results are made of: arrays, tables, bytes and texts."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def weight(result: Any) -> int:
    """Bytes of all arrays, tables, bytes and texts in a result, each once; of those that lie in a file none."""
    return _weight(result, set())


def _weight(value: Any, seen: set[int]) -> int:
    if id(value) in seen:
        return 0
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        return _of_array(value, seen)
    if isinstance(value, bytes | str):
        return len(value)
    if hasattr(value, "memory_usage"):  # a table or a column of pandas
        return int(np.sum(value.memory_usage(deep=True)))
    if isinstance(value, Mapping):
        return sum(_weight(each, seen) for each in value.values())
    if isinstance(value, tuple | list | set | frozenset):
        return sum(_weight(each, seen) for each in value)
    if is_dataclass(value):
        return sum(_weight(getattr(value, field.name, None), seen) for field in fields(value))
    return 0


def _of_array(array: np.ndarray, seen: set[int]) -> int:
    """What the memory that an array lies in takes: a view's is its owner's."""
    owner: Any = array
    while isinstance(owner, np.ndarray) and owner.base is not None:
        owner = owner.base
    if owner is not array:
        if id(owner) in seen:
            return 0
        seen.add(id(owner))
    if isinstance(owner, np.ndarray):
        inside = owner.ravel() if owner.dtype.hasobject else ()
        return owner.nbytes + sum(_weight(each, seen) for each in inside)
    return 0 if isinstance(array, np.memmap) else array.nbytes
