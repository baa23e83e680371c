"""Families of choices: one list each, in order, and refusals that name it."""

from dataclasses import dataclass

import pytest

from features.errors import FeatureError
from features.registry import Registry, spelled


@dataclass(frozen=True)
class Fruit:
    name: str
    colour: str


@pytest.fixture
def fruits():
    return Registry("fruit", (Fruit("pear", "green"), Fruit("apple", "red")))


def test_entries_are_read_by_name_in_the_order_in_which_they_were_given(fruits):
    assert list(fruits) == ["pear", "apple"]
    assert fruits["apple"].colour == fruits.need("apple").colour == "red"
    assert "plum" not in fruits
    assert len(fruits) == 2


def test_an_unknown_name_is_refused_with_all_that_are_known(fruits):
    with pytest.raises(FeatureError) as caught:
        fruits.need("plum")
    assert str(caught.value) == "There is no fruit called 'plum'. Choose one of pear, apple."


def test_a_name_is_given_once(fruits):
    with pytest.raises(ValueError, match="'pear' already"):
        fruits.add(Fruit("pear", "yellow"))
    assert fruits["pear"].colour == "green"


def test_an_entry_that_is_added_comes_last(fruits):
    fruits.add(Fruit("plum", "blue"))
    assert list(fruits) == ["pear", "apple", "plum"]


def test_names_that_hold_a_comma_can_be_told_apart_in_a_list():
    assert ", ".join(spelled(["red", "red, green", "green"])) == "red, 'red, green', green"
