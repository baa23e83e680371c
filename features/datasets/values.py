"""Makes labels of the values that a column, a record or a file gives for each image: words, numbers, yes and no."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.datasets.classes import composed

LABEL_NAMES = (
    *("label", "labels", "fine_label", "class", "class_name", "class_label", "label_name", "cls", "category"),
    *("category_name", "target", "class_id", "label_id", "category_id", "class_idx", "label_idx"),
)
MANY_CLASSES = 100_000
SHOWN = 60  # characters of an odd value in a sentence


@dataclass(frozen=True, eq=False)
class Labels:
    """The classes of images.

    names: (N,) each image's class, None where nothing says it. every: all classes, in order.
    numbers: (N,) int64 the places of classes, where these are what was said, since two classes may have one name.
    problem: why an image has none though others do, in words that follow 'the images have no labels: '.
    """

    names: Sequence[str | None]
    every: Sequence[str] = ()
    numbers: np.ndarray | None = None
    problem: str = ""


def labels_of(values: Sequence[object], told: Sequence[str] = ()) -> Labels:
    """Labels of what was said of each image.

    told: the names of the classes, which numbers are places in. Numbers below 0 and None say nothing, as test sets
    have them. Whole numbers are classes in their order from 0 on, unless they are so large that they are names.
    """
    plain, known = _meanings(values)
    odd = next((value for value in known if value is not None and not isinstance(value, int | str)), None)
    if odd is not None:
        return Labels([None] * len(plain), problem=f"{_short(odd)} is no class")
    largest = max((value for value in known if isinstance(value, int)), default=-1)
    if any(isinstance(value, str) for value in known) or (not told and largest > MANY_CLASSES):
        words = {value: str(value) for value in known if value is not None}
        return Labels([*map(words.get, plain)], sorted({*words.values()}))
    if told and largest >= len(told):
        return Labels([None] * len(plain), problem=f"one is number {largest}, but {len(told)} classes are named")
    every = told or [str(number) for number in range(largest + 1)]
    places = np.array([-1 if value is None else value for value in plain], dtype=np.int64)  # (N,)
    return Labels([None if place < 0 else every[place] for place in places.tolist()], every, places)


def _meanings(values: Sequence[object]) -> tuple[list, list]:
    """What all values mean, and those meanings that differ. Each value is looked at once: a million differ in a few."""
    try:
        meanings = {value: _plain(value) for value in set(values)}
    except TypeError:  # lists cannot be looked up
        plain = [_plain(value) for value in values]
        return plain, plain
    return [meanings[value] for value in values], [*meanings.values()]


def _plain(value: object) -> object:
    """A value as a word or a whole number where it is one, None if it says nothing."""
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, float) and (value != value or value.is_integer()):
        value = None if value != value else int(value)
    if isinstance(value, int):  # yes and no are 1 and 0
        return int(value) if value >= 0 else None
    return composed(value.strip()) or None if isinstance(value, str) else value


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."
