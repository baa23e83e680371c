"""How the labels of a set find the network's classes."""

from dataclasses import replace

import numpy as np
import pytest

from features.datasets import labels, wordnet
from features.datasets.labels import class_names, match_labels, matched
from features.errors import DatasetError
from tests.evaluate.test_evaluation import drawn, reader, written


def classes_of(known: tuple[str, ...], names: tuple[str, ...], n_classes: int | None = None) -> list[int]:
    """The network's classes for a set with one image of each of its classes, in their order."""
    spec = reader(n_classes or len(known), known).spec
    return match_labels(spec, written([0] * len(names), list(range(len(names))), names)).classes.tolist()


@pytest.mark.parametrize(
    ("known", "names", "wanted"),
    [
        (("ant", "bee", "cat"), ("ant", "bee", "cat"), [0, 1, 2]),
        (("cat", "ant", "bee"), ("ant", "bee", "cat"), [1, 2, 0]),  # by name, and not by number
        (("ant", "bee", "cat"), ("cat", "bee"), [2, 1]),  # fewer
        (("Great White Shark", "T-shirt/top"), ("great_white_shark", "t_shirt_top"), [0, 1]),
        (("great_white_shark", "t-shirt"), ("T SHIRT", "Great--White  Shark"), [1, 0]),
        (("maillot", "pug", "maillot"), ("maillot", "pug"), [0, 1]),  # as ImageNet has it: the first is meant
        (("C", "C++", "C#"), ("C", "C#", "C++"), [0, 2, 1]),  # told apart by signs alone
        (("+", "-"), ("+", "-"), [0, 1]),
        (("B\u00e4r", "K\u00f6ter"), ("Ko\u0308ter", "Ba\u0308r"), [1, 0]),  # accents as a Mac writes them
        (("B\u00e4r", "Dachs"), ("Dachs", "Ba\u0308r"), [1, 0]),  # a letter and its mark, as macOS writes them
        (("tench", "goldfish"), ("n01440764", "n01443537"), [0, 1]),  # other words altogether: in order
        ((), ("ant", "bee"), [0, 1]),  # the network's names are not known
    ],
)
def test_the_names_of_a_set_find_the_networks_classes(known, names, wanted):
    assert classes_of(known, names, n_classes=len(known) or 2) == wanted


@pytest.mark.parametrize(
    ("known", "names", "n_classes", "unknown"),
    [
        (("ant", "bee"), ("ant", "wasp"), 2, "1 names are not among the network's (wasp)"),  # order would be a guess
        (("ant", "bee", "cat"), ("wasp", "yak"), 3, "2 names are not among the network's (wasp, yak)"),
        (("ant",) * 2, ("u", "v", "w"), 2, "3 classes, and reader has 2"),
        ((), ("ant", "bee"), 3, "2 classes, and reader has 3"),
    ],
)
def test_names_that_fit_neither_in_words_nor_in_number_are_refused(known, names, n_classes, unknown):
    with pytest.raises(DatasetError) as caught:
        classes_of(known, names, n_classes)
    assert unknown in str(caught.value)


def test_every_image_gets_the_class_of_its_own_label():
    images = written([0] * 4, [1, 0, 1, 1], ("ant", "bee"))
    found = match_labels(reader(2, ("bee", "ant")).spec, images).classes
    assert found.tolist() == [0, 1, 0, 0]
    assert found.dtype == np.int64


@pytest.mark.parametrize(
    ("known", "names", "wanted"),
    [
        (("ant", "bee"), ("1", "2"), ("ant", "bee")),
        ((), ("ant", "bee"), ("ant", "bee")),
        ((), ("ant", "bee", "cat"), ("0", "1")),
    ],
)
def test_classes_are_called_as_the_network_then_as_the_set_then_by_number(known, names, wanted):
    assert class_names(reader(2, known).spec, written([], [], names)) == wanted


@pytest.mark.parametrize(
    ("known", "names", "how"),
    [
        (("cat", "dog"), ("cat", "dog"), "by name"),
        (("cat", "dog"), ("ship", "truck"), "by order"),
        ((), ("ship", "truck"), "by order"),  # what a network does not name may be anything
        (("cat", "dog"), ("1", "0"), "by number"),
    ],
)
def test_names_of_which_none_agrees_are_matched_by_order(known, names, how):
    images = written([0, 1], [0, 1], names)
    assert match_labels(reader(2, known).spec, images).how == how


def test_labels_that_fit_no_class_are_none_and_no_error_where_they_may_be_missing(tiny_images):
    unlabelled = replace(tiny_images, labels=None, class_names=())
    for n_classes, images in ((3, unlabelled), (None, tiny_images), (5, tiny_images)):
        found = matched(drawn(n_classes).spec, images)
        assert (found.classes, found.how, found.at(np.arange(2))) == (None, "not at all", None)
    assert matched(drawn(3).spec, tiny_images).how == "by order"


def test_the_classes_of_some_rows_are_theirs(tiny_images):
    found = matched(drawn(3).spec, tiny_images)
    assert found.at(np.array([11, 0, 4])).tolist() == [2, 0, 1]


def test_the_one_logit_of_a_network_is_of_two_classes(tiny_images):
    two = tiny_images.take(range(8))
    pets = replace(two, class_names=("cat", "dog"))
    assert matched(drawn(1).spec, pets).classes.tolist() == [0] * 4 + [1] * 4
    named = replace(drawn(1).spec, class_names=("dog",))
    assert matched(named, replace(two, class_names=("dog", "not dog"))).classes.tolist() == [1] * 4 + [0] * 4


# --- numbers and WordNet's ids ----------------------------------------------------------------------------------------

IMAGENET = tuple(
    line.split(",")[0] for line in (wordnet.words()[each][0] for each in wordnet.imagenet())
)  # as most networks call them


def how_of(known, names, n_classes=None):
    images = written([0] * len(names), list(range(len(names))), names)
    found = match_labels(reader(n_classes or len(known), known).spec, images)
    return found.classes.tolist(), found.how, bool(found.guessed)


def test_numbers_are_the_classes_numbers_whatever_their_order_as_text():
    names = tuple(sorted(map(str, range(12))))  # 0, 1, 10, 11, 2, ...
    classes = tuple(f"kind {number}" for number in range(12))
    assert how_of(classes, names) == ([int(name) for name in names], "by number", False)
    assert how_of(classes, ("00007", "00011")) == ([7, 11], "by number", False)
    assert how_of((), names, 12) == ([int(name) for name in names], "by number", True)  # ImageFolder would differ
    assert how_of((), names[:3], 12) == ([0, 1, 10], "by number", False)


def test_numbers_up_to_the_number_of_classes_count_from_one_and_that_is_a_guess():
    assert how_of(("a", "b", "c"), ("1", "3")) == ([0, 2], "by number", True)


def test_numbers_that_fit_no_classes_are_refused_and_never_matched_in_order():
    for names in (("0", "3"), ("10", "20", "30"), ("1", "01", "2")):
        with pytest.raises(DatasetError, match="are not among the network's"):
            how_of(("a", "b", "c"), names)


def test_numbers_that_are_names_are_names():
    assert how_of(("3", "8", "1"), ("1", "3")) == ([2, 0], "by name", False)


def test_a_networks_numbered_classes_are_called_by_their_numbers():
    names = tuple(sorted(map(str, range(12))))
    images = written([0] * 12, list(range(12)), names)
    assert match_labels(reader(12).spec, images).names == tuple(map(str, range(12)))


@pytest.mark.parametrize(
    "names",
    [
        ("n01440764", "n02979186", "n03888257"),  # some of them
        ("n01440764_tench", "n02979186_cassette_player", "n03888257_parachute"),
        ("n02012849", "n03126707", "n03710721", "n03710637"),  # two cranes, two maillots
    ],
)
@pytest.mark.parametrize("known", [IMAGENET, ()], ids=["named", "nameless"])
def test_wordnet_ids_are_imagenets_classes(names, known):
    wanted = [wordnet.imagenet()[name[:9]] for name in names]
    assert how_of(known, names, 1000) == (wanted, "by WordNet id", not known)


def test_wordnet_ids_find_words_and_words_find_wordnet_ids():
    assert how_of(("parachute", "tench", "pug"), ("n01440764", "n03888257")) == ([1, 0], "by WordNet id", False)
    assert how_of(("n03888257", "n01440764"), ("tench", "parachute")) == ([1, 0], "by WordNet id", False)
    assert how_of(("n03888257", "n01440764"), ("n01440764_tench",)) == ([1], "by WordNet id", False)


def test_wordnets_ids_of_other_classes_are_refused():
    with pytest.raises(DatasetError, match="not among the network's"):
        how_of(("parachute", "tench", "pug"), ("n01440764", "n02979186"))


# --- a way that is chosen --------------------------------------------------------------------------------------------


def test_a_way_that_is_chosen_is_taken_and_is_no_guess():
    images = written([0, 1], [0, 1], ("dog", "cat"))
    spec = reader(2, ("cat", "dog")).spec
    assert labels.match_labels(spec, images).classes.tolist() == [1, 0]
    chosen = labels.match_labels(spec, images, labels.BY_ORDER)
    assert (chosen.classes.tolist(), chosen.how, chosen.guessed) == ([0, 1], labels.BY_ORDER, "")


def test_the_ways_that_can_be_chosen_are_those_that_lead_to_classes():
    spec = reader(2, ("cat", "dog")).spec
    assert labels.ways(spec, written([0, 1], [0, 1], ("dog", "cat"))) == (labels.BY_NAME, labels.BY_ORDER)
    assert labels.ways(spec, written([0, 1], [0, 1], ("0", "1"))) == (labels.BY_NUMBER, labels.BY_ORDER)
    assert labels.ways(spec, written([0], [0], ("cat",))) == (labels.BY_NAME,)
    assert labels.ways(spec, written([0], None, ())) == ()


def test_a_way_that_leads_nowhere_is_refused_with_those_that_do():
    with pytest.raises(DatasetError, match="cannot be matched with the classes of reader by number"):
        labels.match_labels(reader(2, ("cat", "dog")).spec, written([0, 1], [0, 1], ("dog", "cat")), labels.BY_NUMBER)
