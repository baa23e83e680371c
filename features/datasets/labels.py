"""Finds a network's class for every label of an image set."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from features.datasets import ImageSet, wordnet
from features.errors import DatasetError
from features.networks.card import ModelSpec

BY_NAME, BY_NUMBER, BY_WORDNET, BY_ORDER = "by name", "by number", "by WordNet id", "by order"
NOT_AT_ALL = "not at all"
IN_WORDS = {BY_ORDER: "in order (uncertain)", NOT_AT_ALL: "with none of the network's classes"}
SHOWN = 12  # pairs in a sentence


@dataclass(frozen=True, eq=False)
class Matched:
    """The labels of N images as a network's classes.

    classes: (N,) int64, None where labels are missing or fit no classes. how: BY_NAME; BY_NUMBER where the labels are
    the classes' numbers; BY_WORDNET where they are WordNet ids; BY_ORDER where nothing but their order says which is
    which; or NOT_AT_ALL. names: (K,) of the network's classes, as of `class_names`. guessed: what speaks against it, as
    a sentence; '' where it is sure. sets: (N, K) bool of images of any number of labels, whose classes is None.
    """

    classes: np.ndarray | None
    how: str
    names: tuple[str, ...]
    guessed: str = ""
    sets: np.ndarray | None = None

    @property
    def said(self) -> str:
        """How the labels were matched, as a sentence."""
        return said(self.how, bool(self.guessed))

    def truth(self, rows: np.ndarray) -> np.ndarray | None:
        """As `at`, or (R, K) bool of images of any number of labels: what `Predictions.correct` takes."""
        return self.at(rows) if self.sets is None else self.sets[rows]

    def at(self, rows: np.ndarray) -> np.ndarray | None:
        """The classes (R,) of the images at some rows of the set; None without classes."""
        return None if self.classes is None else self.classes[rows]


def said(how: str, guessed: bool = False) -> str:
    """How labels were matched with a network's classes, as a sentence.

    how: as of `Matched`. guessed: whether something speaks against it.
    """
    return f"Labels matched {IN_WORDS.get(how) or f'{how} (uncertain)' * guessed or how}."


@dataclass(frozen=True)
class _Match:
    """The place of each class of a set among the network's classes."""

    places: list[int]
    how: str
    guessed: str = ""


def match_labels(spec: ModelSpec, images: ImageSet, way: str | None = None) -> Matched:
    """Find the network's class of every image. way: a key of WAYS, of whoever knows better than what is tried.

    A set's class names are looked up among the network's (spaces, underscores and case aside), which may be more; by
    WordNet's words where they are its ids; as numbers of classes where all are numbers. If none of these tells
    anything, they are taken in order when there are as many as the network has classes.
    Raises DatasetError otherwise, and for a way that leads nowhere.
    """
    if not images.is_labelled:
        raise DatasetError(
            f"{images.name} has no labels. Put the images into one folder per class, named as the network's classes, "
            "or give a list with a column of labels."
        )
    match = _match(spec, images.class_names) if way is None else _match_by(way, spec, images)
    if match is None:
        raise DatasetError(refusal(spec, images))
    names = spec.classes if match.how == BY_NUMBER else class_names(spec, images)
    places = np.array(match.places, dtype=np.int64)
    if images.labels is not None:
        return Matched(places[images.labels], match.how, names, match.guessed)
    return Matched(None, match.how, names, match.guessed, _sets(images, places, len(names)))


def ways(spec: ModelSpec, images: ImageSet) -> tuple[str, ...]:
    """The keys of WAYS that lead from a set's labels to a network's classes."""
    return tuple(how for how, way in WAYS.items() if images.is_labelled and way(spec, images.class_names) is not None)


def _match(spec: ModelSpec, names: Sequence[str]) -> _Match | None:
    """By the first way that tells anything."""
    tried = (way(spec, names) for way in (_by_name, _by_wordnet, _by_number, _by_order))
    return next((match for match in tried if match is not None), None)


def _match_by(how: str, spec: ModelSpec, images: ImageSet) -> _Match:
    """By a way that was chosen, which is then no guess."""
    if how not in WAYS:
        raise DatasetError(f"Labels are not matched {how!r}. Choose one of {', '.join(WAYS)}.")
    match = WAYS[how](spec, images.class_names)
    if match is None:
        known = ", ".join(ways(spec, images)) or "none"
        raise DatasetError(
            f"The labels of {images.name} cannot be matched with the classes of {spec.name} {how}. "
            f"What can be chosen: {known}."
        )
    return _Match(match.places, how)


def _sets(images: ImageSet, places: np.ndarray, n_classes: int) -> np.ndarray:
    """(N, K) bool, the network's labels of images of any number of them. places: (L,) of the set's labels."""
    assert images.label_sets is not None  # the images are labelled
    sets = np.zeros((len(images), n_classes), bool)
    for label, place in enumerate(places):
        sets[:, place] |= images.label_sets[:, label]
    return sets


def matched(spec: ModelSpec, images: ImageSet) -> Matched:
    """As `match_labels`, but without classes where labels are missing or cannot be matched."""
    try:
        return match_labels(spec, images)
    except DatasetError:
        return Matched(None, NOT_AT_ALL, class_names(spec, images))


def class_names(spec: ModelSpec, images: ImageSet) -> tuple[str, ...]:
    """(K,) what to call a network's classes: as it does, else as the set if it has as many, else by number."""
    same_number = len(images.class_names) == len(spec.classes) and not all(map(str.isdecimal, images.class_names))
    return images.class_names if same_number and not spec.class_names else spec.classes


def _by_name(spec: ModelSpec, names: Sequence[str]) -> _Match | None:
    places = _numbers_of(_known(spec), names)
    return None if None in places else _Match([place for place in places if place is not None], BY_NAME)


def _by_wordnet(spec: ModelSpec, names: Sequence[str]) -> _Match | None:
    """By the ids of a set's classes, or of the network's: by ImageNet's numbers, else by WordNet's words."""
    ids = [wordnet.id_of(name) for name in names]
    if None not in ids and _is_imagenet(spec):
        places = [wordnet.imagenet().get(str(each)) for each in ids]
        if None in places:
            return None
        guessed = "" if spec.class_names else (
            f"{spec.name} does not name its 1,000 classes; ImageNet's order was taken for theirs."
        )  # fmt: skip
        return _Match([place for place in places if place is not None], BY_WORDNET, guessed)
    if not any(ids) and not any(map(wordnet.id_of, spec.class_names)):
        return None
    places = _numbers_by_spelling(spec, names)
    return None if None in places else _Match([place for place in places if place is not None], BY_WORDNET)


def _numbers_by_spelling(spec: ModelSpec, names: Sequence[str]) -> list[int | None]:
    known: dict[str, int] = {}
    for index, name in enumerate(spec.classes if spec.class_names else ()):
        for spelling in _spellings(name):
            known.setdefault(spelling, index)
    return [next((known[each] for each in _spellings(name) if each in known), None) for name in names]


def known_places(spec: ModelSpec, names: Sequence[str]) -> list[int | None]:
    """The number of each name among a network's classes, by name or by WordNet's ids; None where it is not there."""
    ids = [wordnet.id_of(name) for name in names]
    numbers = wordnet.imagenet() if any(ids) and _is_imagenet(spec) else {}
    by_number = [numbers.get(str(each)) for each in ids]
    ways = (_numbers_of(_known(spec), names), by_number, _numbers_by_spelling(spec, names))
    return [next((place for place in told if place is not None), None) for told in zip(*ways, strict=True)]


def _spellings(name: str) -> list[str]:
    """What a class may be called: its WordNet id, and WordNet's words for it, or its own."""
    key = wordnet.id_of(name)
    if key is None:
        return [plain(name)]
    return [key, *map(plain, wordnet.words().get(key, ())), *filter(None, [plain(name[len(key) :])])]


def _is_imagenet(spec: ModelSpec) -> bool:
    """Whether a network's classes are ImageNet's in their order; also if it has as many and does not name them."""
    if len(spec.classes) != wordnet.IMAGENET_CLASSES:
        return False
    if not spec.class_names:
        return True
    fits = (
        not {plain(part) for part in name.split(",")}.isdisjoint(_spellings(key))
        for name, key in zip(spec.class_names, wordnet.imagenet(), strict=True)
    )
    return sum(fits) >= 0.9 * wordnet.IMAGENET_CLASSES  # some are called otherwise: 'crane bird', 'maillot'


def _by_number(spec: ModelSpec, names: Sequence[str]) -> _Match | None:
    """Numbers are the places of classes, from 0 on; from 1 on if one is the number of classes."""
    if not all(map(str.isdecimal, names)):
        return None
    numbers, n_classes = [int(name) for name in names], len(spec.classes)
    if len(set(numbers)) < len(numbers) or max(numbers) > n_classes:
        return None
    if max(numbers) < n_classes:
        in_text = [*range(n_classes)] != numbers and len(numbers) == n_classes and not spec.class_names
        guessed = (
            f"{spec.name} does not name its classes; the labels were taken for their numbers. Training from folders "
            "may have numbered them in the order of text (0, 1, 10, ...): --classes FILE names them as they are."
        )
        return _Match(numbers, BY_NUMBER, guessed if in_text else "")
    if min(numbers) == 0:
        return None
    guessed = f"The labels are numbers up to {n_classes}: they were taken as counted from 1."
    return _Match([number - 1 for number in numbers], BY_NUMBER, guessed)


def _by_order(spec: ModelSpec, names: Sequence[str]) -> _Match | None:
    """Where none of the names is known, and there are as many; not for numbers, whose order is no order of words."""
    if len(names) != len(spec.classes) or any(place is not None for place in _numbers_of(_known(spec), names)):
        return None
    if all(map(str.isdecimal, names)):
        return None
    if spec.class_names:
        pairs = [f"{name} as {known}" for name, known in zip(names, spec.classes, strict=True)]
        shown = ", ".join(pairs[:SHOWN]) + (", ..." if len(pairs) > SHOWN else "")
        guessed = f"None of the labels is a class of {spec.name}; they were matched in order: {shown}."
    else:
        guessed = (
            f"{spec.name} does not name its classes; the labels were taken for them in the order of their names, "
            "as training from folders numbers them. --classes FILE names the network's."
        )
    return _Match([*range(len(names))], BY_ORDER, guessed)


def _in_order(spec: ModelSpec, names: Sequence[str]) -> _Match | None:
    """By order alone, whatever the names say, where there are as many."""
    return _Match([*range(len(names))], BY_ORDER) if len(names) == len(spec.classes) else None


WAYS: dict[str, Callable[[ModelSpec, Sequence[str]], _Match | None]] = {
    BY_NAME: _by_name,
    BY_WORDNET: _by_wordnet,
    BY_NUMBER: _by_number,
    BY_ORDER: _in_order,
}


def _known(spec: ModelSpec) -> dict[str, int]:
    """The network's class names and their places."""
    known: dict[str, int] = {}
    for spelling in (str, plain):  # the exact one first: signs are all that tells 'C' from 'C++'
        for index, name in enumerate(spec.classes if spec.class_names else ()):
            known.setdefault(spelling(name), index)  # ImageNet has 'maillot' twice; the first is meant
    return known


def _numbers_of(known: dict[str, int], names: Sequence[str]) -> list[int | None]:
    return [known.get(name, known.get(plain(name))) for name in names]


def refusal(spec: ModelSpec, images: ImageSet) -> str:
    """Why labels cannot be matched with a network's classes, and what to do."""
    places = _numbers_of(_known(spec), images.class_names)
    unknown = [name for name, place in zip(images.class_names, places, strict=True) if place is None]
    return (
        f"{images.name} has {len(places)} classes, and {spec.name} has {len(spec.classes)}; "
        f"{len(unknown)} names are not among the network's ({', '.join(unknown[:6])}). Rename the folders, name "
        "the network's classes with --classes FILE (or the network with --model NAME, if it is a known one), or choose "
        "another network."
    )


def plain(name: str) -> str:
    """A name without what spellings differ in: case, spaces, underscores, signs, and how accents are written."""
    return re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", name).lower()).strip()
