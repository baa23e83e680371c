"""Finds a network's class for every label of an image set."""

import re
from dataclasses import dataclass

import numpy as np

from features.datasets import ImageSet
from features.errors import DatasetError
from features.networks.card import ModelSpec


def class_names(spec: ModelSpec, images: ImageSet) -> tuple[str, ...]:
    """The K names to show: the network's own, else the set's if there are as many, else numbers."""
    n_classes = spec.architecture.classes or 0
    if spec.class_names:
        return spec.class_names
    if len(images.class_names) == n_classes:
        return images.class_names
    return tuple(str(index) for index in range(n_classes))


@dataclass(frozen=True, eq=False)
class Matched:
    """The labels of N images as the network's classes.

    classes: (N,) int64. by_order: whether labels and classes both have names, of which none agree, so that their
    order alone says which is which.
    """

    classes: np.ndarray
    by_order: bool


def match_labels(spec: ModelSpec, images: ImageSet) -> Matched:
    """Find the network's class of every image.

    The set's class names are looked up among the network's (spaces, underscores and case aside). If none of
    them is known there, they are taken in order when there are as many as the network has classes.
    Raises DatasetError otherwise.
    """
    if images.labels is None:
        raise DatasetError(
            f"{images.name} has no labels. Put the images into one folder per class, named as the network's classes."
        )
    known: dict[str, int] = {}
    for spelling in (str, _plain):  # the exact one first: signs are all that tells 'C' from 'C++'
        for index, name in enumerate(spec.class_names):
            known.setdefault(spelling(name), index)  # ImageNet has 'maillot' twice; the first is meant
    found = [known.get(name, known.get(_plain(name))) for name in images.class_names]
    unknown = [name for name, index in zip(images.class_names, found, strict=True) if index is None]
    if known and not unknown:
        return Matched(np.array(found, dtype=np.int64)[images.labels], by_order=False)
    if len(unknown) == len(found) == spec.architecture.classes:  # other words altogether, as ImageNet's 'n01440764'
        return Matched(images.labels, by_order=bool(known))
    raise DatasetError(
        f"{images.name} has {len(found)} classes, and {spec.name} has {spec.architecture.classes}; "
        f"{len(unknown)} names are not among the network's ({', '.join(unknown[:6])}). Rename the folders, name "
        "the network's classes with --classes FILE (or the network with --model NAME, if it is a known one), or choose "
        "another network."
    )


def matched(spec: ModelSpec, images: ImageSet) -> Matched | None:
    """As `match_labels`, or None where labels are missing or cannot be matched."""
    try:
        return match_labels(spec, images)
    except DatasetError:
        return None


def how(matched: Matched | None) -> str:
    """In words: 'by name', 'by order' (a guess, since no name agrees) or 'not at all'."""
    return "not at all" if matched is None else "by order" if matched.by_order else "by name"


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name.lower()).strip()
