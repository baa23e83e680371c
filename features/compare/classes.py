"""The classes that all networks can be asked of: those that each of them knows, by name or id."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from features.datasets import ImageSet, labels
from features.datasets.labels import Matched
from features.errors import FeatureError
from features.networks.card import ModelSpec, Outputs
from features.predictions import Predictions, paired

SHOWN = 4  # names in an error
BEHIND_NAME = "'?classes=FILE' behind the name"
# What names one network, and what one of several.
OPTIONS = {"--classes FILE": BEHIND_NAME, "--model NAME": "--models NAME and --weights FILE"}
BY_NAME, BY_LABEL = "by name", "by the images' labels"


@dataclass(frozen=True, eq=False)
class Common:
    """K classes that networks are compared on, and the images of them.

    names: (K,). columns: of each network (K,) int64, which of its classes these are; None where they are all of them,
    in its order. matched: of each network, the labels of `images` as these classes. images: those whose labels are
    among them. left_out: of each network, how many classes are not compared. n_images_left_out: images of other labels.
    how: BY_NAME or BY_LABEL; '' where all networks have the same classes. outputs: of each network, what it predicts.
    notes: what was guessed of how labels are classes, in sentences.
    """

    names: tuple[str, ...]
    columns: tuple[np.ndarray | None, ...]
    matched: tuple[Matched, ...]
    images: ImageSet
    left_out: tuple[int, ...]
    n_images_left_out: int
    how: str
    outputs: tuple[Outputs, ...] = ()
    notes: tuple[str, ...] = ()

    def logits(self, network: int, values: np.ndarray) -> np.ndarray:
        """A network's logits (N, C), or (N, 1) of two classes, as those (N, K) of the common classes."""
        chosen = self.columns[network]
        return values if chosen is None else paired(values)[:, chosen]

    def judge(self, network: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """Tells which logits (n, C) of a network are right, (n,) bool, given their images' numbers (n,) in `images`."""

        def right(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
            said = Predictions.of(self.logits(network, values), self.names, self.outputs[network], top=1)
            truth = self.matched[network].truth(rows)
            assert truth is not None  # the images are labelled
            return said.correct(truth)

        return right


@contextmanager
def _of_several() -> Iterator[None]:
    """Errors that tell what to do of one network tell it of one among several."""
    try:
        yield
    except FeatureError as error:
        error.args = (_for_several(str(error)),)
        raise


def _for_several(text: str) -> str:
    for option, instead in OPTIONS.items():
        text = text.replace(option, instead)
    return text


@_of_several()
def common_classes(specs: Sequence[ModelSpec], images: ImageSet) -> Common:
    """What networks are compared on: all classes where these are the same, else those that all know.

    Raises DatasetError if the images have no labels or these fit no classes, FeatureError if the networks have no two
    classes in common or predict several labels and not the same ones.
    """
    outputs = tuple(spec.outputs for spec in specs)
    if _same_names(specs):
        alone = [labels.match_labels(spec, images) for spec in specs]
        notes = _guessed(specs, alone, images)
        if _same_truth(alone):
            names = next(
                (each.names for spec, each in zip(specs, alone, strict=True) if spec.class_names), alone[0].names
            )
            return Common(names, (None,) * len(specs), tuple(alone), images, (0,) * len(specs), 0, "", outputs, notes)
    if any(spec.outputs is Outputs.MULTILABEL for spec in specs) or images.label_sets is not None:
        raise FeatureError(
            "Networks of several labels an image, and images of several labels, are compared where all networks have "
            f"the same classes, but these have {_numbers(specs)} or other ones. Choose networks of one training set."
        )
    return _known_to_all(specs, images)


def _guessed(specs: Sequence[ModelSpec], alone: Sequence[Matched], images: ImageSet) -> tuple[str, ...]:
    """What was guessed of networks' labels, once for all of which it is the same.

    Raises FeatureError where one names its classes, and the labels are others.
    """
    names: dict[str, list[str]] = {}
    for spec, matched in zip(specs, alone, strict=True):
        if not matched.guessed:
            continue
        if spec.class_names and matched.how == labels.BY_ORDER:
            raise FeatureError(
                f"None of the labels of {images.name} ({', '.join(images.class_names[:SHOWN])}, ...) is a class of "
                f"{spec.name} ({', '.join(spec.class_names[:SHOWN])}, ...). Compare networks of the classes that the "
                f"images have, or name the network's with {BEHIND_NAME}."
            )
        text = _for_several(matched.guessed)
        own = text.removeprefix(spec.name)
        names.setdefault(f"{matched.said} {text if own == text else 'Each' + own}", []).append(spec.name)
    return tuple(f"{', '.join(who)}: {said}" for said, who in names.items())


def _same_names(specs: Sequence[ModelSpec]) -> bool:
    """Whether networks have as many classes, of the same names in one order where they are named."""
    named = [[labels.plain(name) for name in spec.class_names] for spec in specs if spec.class_names]
    return len({len(spec.classes) for spec in specs}) == 1 and all(names == named[0] for names in named[1:])


def _same_truth(alone: Sequence[Matched]) -> bool:
    """Whether networks take the labels for the same classes, as those that are not named may not."""
    told = [each.classes if each.sets is None else each.sets for each in alone]
    assert all(values is not None for values in told)  # they were matched
    return all(np.array_equal(values, told[0]) for values in told[1:])  # type: ignore[arg-type]


def _known_to_all(specs: Sequence[ModelSpec], images: ImageSet) -> Common:
    if not images.is_labelled:
        labels.match_labels(specs[0], images)  # says what is missing
    notes = _guessed(specs, [labels.matched(spec, images) for spec in specs], images)
    if all(spec.class_names for spec in specs):
        fewest = min(specs, key=lambda spec: len(spec.classes))
        names, how = fewest.classes, BY_NAME
        places = [labels.known_places(spec, names) for spec in specs]
    else:
        names, how = images.class_names, BY_LABEL
        places = [_places_of_labels(spec, images) for spec in specs]
    kept = [number for number, column in enumerate(zip(*places, strict=True)) if None not in column]
    if len(kept) < 2:
        raise FeatureError(
            f"The networks have no two classes in common: {_examples(specs)}. Choose networks whose classes have the "
            f"same names, or name them alike with {BEHIND_NAME}."
        )
    columns = [np.array([place[number] for number in kept], np.int64) for place in places]
    told = tuple(names[number] for number in kept)
    classes = _classes_of_labels(specs, images, columns)  # (L,) of the set's labels, -1 for none
    assert images.labels is not None  # sets of labels were refused
    truth = classes[images.labels]
    chosen = np.flatnonzero(truth >= 0)
    if not len(chosen):
        raise FeatureError(
            f"None of the images has a label that all networks know: they have {len(told):,} classes in common, such "
            f"as {', '.join(told[:SHOWN])}. Choose images of these."
        )
    matched = Matched(truth[chosen], labels.BY_NAME, told)
    return Common(
        names=told,
        columns=tuple(columns),
        matched=(matched,) * len(specs),
        images=images.take(chosen.tolist()),
        left_out=tuple(len(spec.classes) - len(kept) for spec in specs),
        n_images_left_out=len(images) - len(chosen),
        how=how,
        outputs=tuple(spec.outputs for spec in specs),
        notes=notes,
    )


def _places_of_labels(spec: ModelSpec, images: ImageSet) -> list[int | None]:
    """The network's class of each of the set's labels, by name or id; else as the whole set is matched."""
    places = labels.known_places(spec, images.class_names)
    if any(place is not None for place in places):
        return places
    matched = labels.match_labels(spec, images)
    assert images.labels is not None
    assert matched.classes is not None
    told = dict(zip(images.labels.tolist(), matched.classes.tolist(), strict=True))
    return [told.get(label) for label in range(len(images.class_names))]


def _classes_of_labels(specs: Sequence[ModelSpec], images: ImageSet, columns: Sequence[np.ndarray]) -> np.ndarray:
    """(L,) int64, the common class of each of the set's labels, -1 where a network does not know it.

    Raises FeatureError where networks take a label for different classes.
    """
    told = np.full((len(specs), len(images.class_names)), -1)
    for row, (spec, chosen) in enumerate(zip(specs, columns, strict=True)):
        common = {int(place): number for number, place in enumerate(chosen)}
        for label, place in enumerate(_places_of_labels(spec, images)):
            told[row, label] = -1 if place is None else common.get(place, -1)
    known = (told >= 0).all(0)
    if differing := np.flatnonzero(known & (told != told[0]).any(0)).tolist():
        raise FeatureError(
            f"The label {images.class_names[differing[0]]!r} is one class for {specs[0].name} and another for the "
            f"other networks. Name the networks' classes with {BEHIND_NAME}."
        )
    return np.where(known, told[0], -1)


def _numbers(specs: Sequence[ModelSpec]) -> str:
    return " and ".join(f"{len(spec.classes):,}" for spec in specs)


def _examples(specs: Sequence[ModelSpec]) -> str:
    return "; ".join(f"{spec.name} has {', '.join(spec.classes[:SHOWN])}, ..." for spec in specs)
