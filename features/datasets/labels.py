"""Finds a network's class for every label of an image set."""

import re
from dataclasses import dataclass

import numpy as np

from features.datasets import ImageSet
from features.errors import DatasetError
from features.networks.card import ModelSpec

BY_NAME, BY_ORDER, NOT_AT_ALL = "by name", "by order", "not at all"


@dataclass(frozen=True, eq=False)
class Matched:
    """The labels of N images as a network's classes.

    classes: (N,) int64, None where labels are missing or fit no classes. how: BY_NAME; BY_ORDER where labels and
    classes both have names, of which none agree, so that their order alone says which is which; or NOT_AT_ALL.
    names: (K,) of the network's classes, as of `class_names`.
    """

    classes: np.ndarray | None
    how: str
    names: tuple[str, ...]

    def at(self, rows: np.ndarray) -> np.ndarray | None:
        """The classes (R,) of the images at some rows of the set; None without classes."""
        return None if self.classes is None else self.classes[rows]


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
        for index, name in enumerate(spec.classes if spec.class_names else ()):
            known.setdefault(spelling(name), index)  # ImageNet has 'maillot' twice; the first is meant
    indices = [known.get(name, known.get(_plain(name))) for name in images.class_names]
    unknown = [name for name, index in zip(images.class_names, indices, strict=True) if index is None]
    names = class_names(spec, images)
    if known and not unknown:
        return Matched(np.array(indices, dtype=np.int64)[images.labels], BY_NAME, names)
    if len(unknown) == len(indices) == len(spec.classes):  # other words altogether, as ImageNet's 'n01440764'
        return Matched(images.labels, BY_ORDER if known else BY_NAME, names)
    raise DatasetError(
        f"{images.name} has {len(indices)} classes, and {spec.name} has {len(spec.classes)}; "
        f"{len(unknown)} names are not among the network's ({', '.join(unknown[:6])}). Rename the folders, name "
        "the network's classes with --classes FILE (or the network with --model NAME, if it is a known one), or choose "
        "another network."
    )


def matched(spec: ModelSpec, images: ImageSet) -> Matched:
    """As `match_labels`, but without classes where labels are missing or cannot be matched."""
    try:
        return match_labels(spec, images)
    except DatasetError:
        return Matched(None, NOT_AT_ALL, class_names(spec, images))


def class_names(spec: ModelSpec, images: ImageSet) -> tuple[str, ...]:
    """(K,) what to call a network's classes: as it does, else as the set if it has as many, else by number."""
    same_number = len(images.class_names) == len(spec.classes)
    return images.class_names if same_number and not spec.class_names else spec.classes


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name.lower()).strip()
