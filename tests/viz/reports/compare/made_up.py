"""Comparisons of any networks, made of one that was computed."""

from dataclasses import replace
from itertools import combinations

import numpy as np

from features.compare import Comparison, agreement


def of_names(told: Comparison, names: list[str], shares: list[float] | None = None) -> Comparison:
    """As many networks as names, each right on a random share of the images (default: half)."""
    random = np.random.default_rng(0)
    rights = [random.random(len(told.ids)) < share for share in shares or [0.5] * len(names)]
    contenders = tuple(
        replace(told.contenders[number % 2], name=name, correct=right)
        for number, (name, right) in enumerate(zip(names, rights, strict=True))
    )
    pairs = tuple(
        replace(
            told.pairs[0], first=one.name, second=other.name,
            agreement=agreement(one.correct, other.correct, one.correct == other.correct),
        )
        for one, other in combinations(contenders, 2)
    )  # fmt: skip
    return replace(told, contenders=contenders, pairs=pairs)
