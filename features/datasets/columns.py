"""Further columns of an image set: what a list says of its images beside their labels."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

MISSING = ("", "nan", "na", "n/a", "null", "none")
MOST_GROUPS = 12  # what a legend still tells apart
BINS = 6


@dataclass(frozen=True, eq=False)
class Groups:
    """N images in groups. indices: (N,) int64 into names."""

    indices: np.ndarray
    names: tuple[str, ...]


def column_of(cells: Sequence[Any]) -> np.ndarray:
    """(N,) bool, int64 or float64 if all cells that hold something are such, else texts; NaN or None for the others."""
    values = [None if _is_missing(cell) else cell for cell in cells]
    known = [value for value in values if value is not None]
    if known and len(known) == len(values) and {str(value) for value in known} <= {"True", "False"}:
        return np.array([str(value) == "True" for value in values])
    numbers = [_number(value) for value in values]
    if known and all(number is not None for number, value in zip(numbers, values, strict=True) if value is not None):
        if None not in numbers and all(isinstance(number, int) for number in numbers):
            return np.array(numbers, dtype=np.int64)
        return np.array([np.nan if number is None else number for number in numbers], dtype=np.float64)
    texts = np.empty(len(values), dtype=object)
    texts[:] = [value if value is None else text_of(value) for value in values]
    return texts


def text_of(cell: Any) -> str:
    """A cell as text; whole numbers as such, also where a library has made fractions of them."""
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return json.dumps(cell, ensure_ascii=False) if isinstance(cell, list | dict) else str(cell)


def _is_missing(cell: Any) -> bool:
    if isinstance(cell, float):
        return bool(np.isnan(cell))
    return cell is None or (isinstance(cell, str) and cell.strip().lower() in MISSING)


def _number(value: Any) -> int | float | None:
    """A cell as a number; None for others, for numbers that int64 does not hold, and for codes such as '007'."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, float):
        return value
    text = str(value).strip()
    digits = text.lstrip("+-")
    if digits.isdecimal() and digits.isascii():
        return int(text) if (digits == "0" or digits[0] != "0") and len(digits) < 19 else None
    if not digits[:1].isdigit() and digits[:1] != ".":
        return None
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def groups_of(values: np.ndarray) -> Groups:
    """A column's values as groups: categories as they are, the rarer ones as one; many numbers in bins of like size."""
    if values.dtype.kind in "if" and len(np.unique(values[~np.isnan(values)])) > MOST_GROUPS:
        return _bins(values)
    texts = ["unknown" if _is_missing(value) else text_of(value) for value in values.tolist()]
    counts = Counter(texts)
    kept = {name for name, _ in counts.most_common(MOST_GROUPS if len(counts) <= MOST_GROUPS else MOST_GROUPS - 1)}
    names = sorted(kept, key=_by_value) + (["others"] if len(kept) < len(counts) else [])
    place = {name: index for index, name in enumerate(names)}
    return Groups(np.array([place.get(text, len(names) - 1) for text in texts], dtype=np.int64), tuple(names))


def _by_value(name: str) -> tuple[bool, float, str]:
    number = _number(name)
    return number is None, 0.0 if number is None else float(number), name


def _bins(values: np.ndarray) -> Groups:
    known = values[~np.isnan(values)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)))  # (at most BINS + 1,)
    indices = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    names = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
    unknown = np.isnan(values)
    if unknown.any():
        indices, names = np.where(unknown, len(names), indices), [*names, "unknown"]
    return Groups(indices.astype(np.int64), tuple(names))
