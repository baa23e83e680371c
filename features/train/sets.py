"""The images of a training: those learned from, those held back from these, and those it is tested with."""

from dataclasses import dataclass

import numpy as np

from features.datasets import ImageSet
from features.errors import FeatureError
from features.train.heads import HEADS
from features.train.objectives import OBJECTIVES
from features.train.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Taught:
    """N images with what is learned of each: targets (N,) or (N, K) as of `heads.Head`, zeros without labels."""

    images: ImageSet
    targets: np.ndarray


@dataclass(frozen=True, eq=False)
class Sets:
    """The images of one training.

    given, tested: the two sets as they were given. learned: those that are learned from. held: those of the training
    set that are not learned from but measured on, or None. test: those by which nothing is chosen; None without labels.
    class_names: (K,), () without labels.
    """

    given: ImageSet
    tested: ImageSet | None
    learned: Taught
    class_names: tuple[str, ...] = ()
    held: Taught | None = None
    test: Taught | None = None


def sets_of(images: ImageSet, test: ImageSet | None, recipe: Recipe) -> Sets:
    """The images as a recipe has them. test: None where nothing is tested.

    Raises FeatureError if they are too few, lack labels or have others than its head learns, if the sets differ in
    classes or are the same, or if nothing can be held back.
    """
    if not OBJECTIVES.need(recipe.objective).labels:
        _need_some(images, test)
        return Sets(images, test, Taught(images, np.zeros(len(images), np.int64)))
    head = HEADS.need(recipe.head)
    given = [Taught(each, head.targets(each)) for each in (images, test) if each is not None]
    _need_classes(images, test)
    _need_some(images, test)
    if recipe.sampling == "balanced" and images.labels is None:
        raise FeatureError(
            f"{images.name} has any number of labels an image, of which no class can be drawn as often as any other. "
            "Use shuffled images, with balanced class weights if you like."
        )
    learned, held = given[0], None
    if recipe.held_back:
        parts = held_back(images, recipe.held_back, recipe.seed)
        learned, held = (Taught(part, head.targets(part)) for part in parts)
    return Sets(images, test, learned, images.class_names, held, given[1] if test is not None else None)


def held_back(images: ImageSet, share: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """Images to learn from and images to measure on, drawn by seed: of each class (of images with any number of
    labels, of each combination) its share, and of each class at least one for both.

    Raises FeatureError if a class has one image, or if nothing is left to hold back.
    """
    kinds, numbers = _kinds(images)
    random, held = np.random.default_rng(seed), list[int]()
    for kind in kinds:
        members = np.flatnonzero(numbers == kind)
        wanted = round(share * len(members))
        if images.labels is not None:
            if len(members) < 2:
                raise FeatureError(
                    f"{images.class_names[kind]!r} has one image in {images.name}, which cannot be both learned from "
                    "and held back. Give more of it, or hold nothing back (held_back 0)."
                )
            wanted = min(max(wanted, 1), len(members) - 1)
        held += random.permutation(members)[: min(wanted, len(members) - 1)].tolist()
    if not held:
        raise FeatureError(f"{share:g} of {images.name} is no image to hold back. Hold back more, or nothing.")
    learned = np.setdiff1d(np.arange(len(images)), held)
    return images.take(learned.tolist()), images.take(sorted(held))


def _kinds(images: ImageSet) -> tuple[np.ndarray, np.ndarray]:
    """What images are told apart by, and the number of each one's: (N,)."""
    if images.labels is not None:
        return np.unique(images.labels), images.labels
    assert images.label_sets is not None  # images are held back of labelled ones
    _, numbers = np.unique(images.label_sets, axis=0, return_inverse=True)
    return np.unique(numbers), numbers.reshape(-1)


def _need_classes(images: ImageSet, test: ImageSet | None) -> None:
    if len(images.class_names) < 2:
        raise FeatureError(
            f"Training needs at least 2 classes to tell apart, but {images.name} has {len(images.class_names)}."
        )
    if test is not None and images.class_names != test.class_names:
        raise FeatureError(
            f"Training and test images must have the same classes, but {images.name} has {len(images.class_names)} "
            f"({', '.join(images.class_names[:4])}, ...) and {test.name} {len(test.class_names)} "
            f"({', '.join(test.class_names[:4])}, ...)."
        )


def _need_some(images: ImageSet, test: ImageSet | None) -> None:
    if test is not None and images.digest == test.digest:
        raise FeatureError(
            f"{images.name} was given to learn from and to be tested with. Hold images back, and name them as the test."
        )
    if len(images) < 2 or (test is not None and not len(test)):
        tested = "" if test is None else f" and {test.name} {len(test)}"
        raise FeatureError(
            "Training needs at least 2 images to learn from and 1 to test with, but "
            f"{images.name} has {len(images)}{tested}."
        )
