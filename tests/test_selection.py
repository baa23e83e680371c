"""Chosen images: set algebra, keys, and what is kept under them."""

import numpy as np
import pytest

from features import selection
from features.errors import DatasetError
from features.selection import Selection

ONE = Selection.of("set", np.array([1, 1, 0, 0, 1], bool))
OTHER = Selection.of("set", np.array([0, 1, 1, 0, 0], bool))


def test_selections_are_combined_as_sets():
    assert (ONE & OTHER).rows.tolist() == [1]
    assert (ONE | OTHER).rows.tolist() == [0, 1, 2, 4]
    assert (ONE - OTHER).rows.tolist() == [0, 4]
    assert ONE.rest().rows.tolist() == [2, 3]


def test_the_key_is_that_of_the_images_however_they_were_chosen():
    assert (ONE | OTHER).key == (OTHER | ONE).key
    assert ONE.rest().rest().key == ONE.key
    assert len({ONE.key, OTHER.key, Selection.of("another set", ONE.mask).key, Selection("set", ONE.rows, 6).key}) == 4


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "resnet-explorer" / "selections"


def test_a_kept_selection_is_found_by_its_key():
    key = selection.keep(ONE)
    found = selection.kept(key)
    assert (found.images, found.n_images, found.rows.tolist()) == ("set", 5, [0, 1, 4])
    assert found.key == key


def test_none_can_be_kept_empty():
    empty = ONE - ONE
    assert len(selection.kept(selection.keep(empty))) == 0


@pytest.mark.parametrize("key", ["../../etc/passwd", "", "0" * 23, "G" * 24])
def test_what_is_no_key_is_refused_before_any_file_is_opened(key):
    with pytest.raises(DatasetError, match="no key of a selection"):
        selection.kept(key)


def test_a_key_that_is_not_kept_or_damaged_says_so(cache):
    with pytest.raises(DatasetError, match="not kept on this machine"):
        selection.kept("0" * 24)
    path = cache / f"{selection.keep(ONE)}.npz"
    path.write_bytes(b"half")
    with pytest.raises(DatasetError, match="not kept on this machine"):
        selection.kept(ONE.key)


def test_a_file_under_anothers_key_is_not_taken_for_it(cache):
    path = cache / f"{selection.keep(ONE)}.npz"
    path.rename(cache / f"{OTHER.key}.npz")
    with pytest.raises(DatasetError, match="holds another one"):
        selection.kept(OTHER.key)


def test_selections_of_two_sets_cannot_be_combined():
    with pytest.raises(DatasetError, match="two image sets"):
        ONE & Selection.of("another", OTHER.mask)


def test_names_are_kept_with_the_machine_for_each_set_in_their_order():
    other = Selection.of("another set", ONE.mask)
    selection.name(ONE, "b")
    selection.name(OTHER, "a")
    selection.name(other, "b")
    assert {called: chosen.key for called, chosen in selection.named("set").items()} == {"b": ONE.key, "a": OTHER.key}
    assert [*selection.named("set")] == ["b", "a"]
    selection.name(OTHER, "b")
    assert selection.named("set")["b"].key == OTHER.key
    assert selection.named("another set")["b"].key == other.key
    selection.forget("set", "b")
    assert [*selection.named("set")] == ["a"]
    assert selection.kept(ONE.key).key == ONE.key


def test_a_name_whose_selection_is_gone_is_passed_over(cache):
    selection.name(ONE, "one")
    (cache / f"{ONE.key}.npz").unlink()
    assert selection.named("set") == {}


def test_damaged_names_are_none(cache):
    selection.name(ONE, "one")
    for path in cache.glob("*.json"):
        path.write_text("[1")
    assert selection.named("set") == {}
