"""Tells numbered files that are one set in several parts from files whose names say something."""

import re
from collections import Counter
from collections.abc import Sequence

NUMBER = re.compile(r"[-_.]?\d+$")
OF_SEVERAL = re.compile(r"[-_.]?\d+[-_]of[-_]\d+(?:[-_][0-9a-f]+)?$")  # as Hugging Face and TensorFlow number them
WORDNET = re.compile(r"n\d{8}")


def bare(names: Sequence[str]) -> list[str]:
    """What the paths of files say beside their numbers: of 'train-00-of-02' or 'train-07' beside 'train-08' 'train'.

    names: without endings. One that is only a number, beside others, says nothing but its folders. WordNet's ids, which
    are classes, are kept as they are.
    """
    short = [_without(NUMBER, name) for name in names]
    counts = Counter(short)
    return [
        _without(OF_SEVERAL, name) if OF_SEVERAL.search(name) else few if counts[few] > 1 else name
        for name, few in zip(names, short, strict=True)
    ]


def _without(number: re.Pattern, name: str) -> str:
    folder, slash, last = name.rpartition("/")
    last = last if WORDNET.fullmatch(last) else number.sub("", last)
    return f"{folder}{slash}{last}".rstrip("/")
