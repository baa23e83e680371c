"""Comparisons of any networks, made of one that was computed."""

from dataclasses import replace
from itertools import combinations

import numpy as np

from features.compare import Comparison, Contender, agreement
from features.compare.pair import corrected
from features.predictions import Predictions


def of_names(told: Comparison, names: list[str], shares: list[float] | None = None) -> Comparison:
    """As many networks as names, each right on a random share of the images (default: half)."""
    random = np.random.default_rng(0)
    rights = [random.random(len(told.ids)) < share for share in shares or [0.5] * len(names)]
    contenders = tuple(
        answering(told.contenders[number % 2], name, right)
        for number, (name, right) in enumerate(zip(names, rights, strict=True))
    )
    pairs = [
        replace(
            told.pairs[0], first=one.name, second=other.name,
            agreement=agreement(one.correct, other.correct, one.correct == other.correct),
        )
        for one, other in combinations(contenders, 2)
    ]  # fmt: skip
    return replace(told, contenders=contenders, pairs=corrected(pairs))


def answering(each: Contender, name: str, right: np.ndarray) -> Contender:
    """The same network under another name, right of some images (N,) bool and wrong of the others."""
    told = each.evaluation
    wrong = (told.truth + 1) % len(told.class_names)
    ranked = np.where(right, told.truth, wrong)[:, None]
    predictions = Predictions.told(told.class_names, ranked[:, 0], told.predictions.confidence)
    return replace(each, name=name, evaluation=replace(told, accuracy=float(right.mean()), predictions=predictions))
