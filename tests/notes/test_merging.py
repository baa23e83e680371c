"""Two people's notes: what only one changed is taken, contradictions are shown, and nothing is resolved in silence."""

import shutil
from pathlib import Path

import pytest

from features.notes import LABEL, NOTE, Book, Incoming, Merge, NotesError, Seen, apply, incoming, merge, merging
from features.notes.journal import TAG, YES, field_of
from features.progress import finish

A, B, C = "a" * 64, "b" * 64, "c" * 64
ODD, DARK = field_of(TAG, "odd"), field_of(TAG, "dark")


@pytest.fixture
def mine(tmp_path: Path) -> Book:
    book = Book(tmp_path / "mine.sqlite")
    book.write({(A, LABEL): "cat", (B, LABEL): "cat", (A, ODD): YES}, by="ada")
    return book


@pytest.fixture
def theirs(mine: Book, tmp_path: Path) -> Book:
    """A copy, from which on both go their own ways."""
    shutil.copy(mine.path, tmp_path / "theirs.sqlite")
    return Book(tmp_path / "theirs.sqlite")


def merged_from(theirs: Book, mine: Book) -> Merge:
    return merge(finish(incoming(theirs.path, mine)), mine)


def stands(book: Book) -> dict[str, tuple[tuple[str, ...], str, str | None]]:
    return {digest: (each.tags, each.note, each.label) for digest, each in book.notes().of.items()}


def test_what_only_they_changed_is_taken_and_what_only_i_changed_stays(mine, theirs):
    mine.write({(A, LABEL): "dog", (A, DARK): YES})
    theirs.write({(B, LABEL): "fox", (A, ODD): None, (C, NOTE): "new"})
    merged = merged_from(theirs, mine)
    assert merged.conflicts == ()
    apply(merged, mine, {})
    assert stands(mine) == {A: (("dark",), "", "dog"), B: ((), "", "fox"), C: ((), "new", None)}


def test_what_both_changed_alike_is_no_conflict(mine, theirs):
    for book in (mine, theirs):
        book.write({(A, LABEL): "dog"})
    merged = merged_from(theirs, mine)
    assert (merged.conflicts, merged.taken, merged.same) == ((), {}, 1)


def test_what_they_took_back_again_is_no_conflict(mine, theirs):
    mine.write({(A, LABEL): "dog"})
    theirs.write({(A, LABEL): "fox"})
    theirs.undo()
    merged = merged_from(theirs, mine)
    assert (merged.conflicts, merged.taken) == ((), {})


@pytest.fixture
def contradicting(mine: Book, theirs: Book) -> tuple[Book, Merge]:
    mine.write({(A, LABEL): "dog", (A, NOTE): "blue", (B, DARK): YES}, by="ada")
    theirs.write({(A, LABEL): "fox", (A, NOTE): "red"}, [Seen(A, 3, "x.png", "/x.png", "x", None)], by="bob")
    return mine, merged_from(theirs, mine)


def test_contradictions_are_told_with_both_values_and_whose_they_are(contradicting):
    _, merged = contradicting
    assert [(each.field, each.mine, each.theirs, each.by, each.id) for each in merged.conflicts] == [
        ("label", "dog", "fox", "bob", "x.png"),
        ("note", "blue", "red", "bob", "x.png"),
    ]


def test_nothing_is_written_until_all_are_resolved(contradicting):
    mine, merged = contradicting
    before = stands(mine)
    for choices in ({}, {(A, LABEL): "mine"}):
        with pytest.raises(NotesError, match="conflicts are not resolved"):
            apply(merged, mine, choices)
    with pytest.raises(NotesError, match="was chosen 'both'"):  # of two labels
        apply(merged, mine, {(A, LABEL): "both", (A, NOTE): "both"})
    assert stands(mine) == before


@pytest.mark.parametrize(
    ("label", "note", "wanted"),
    [("mine", "mine", ("blue", "dog")), ("theirs", "mine", ("blue", "fox")), ("mine", "both", ("blue\nred", "dog"))],
)
def test_each_conflict_becomes_what_was_chosen(label, note, wanted, contradicting):
    mine, merged = contradicting
    apply(merged, mine, {(A, LABEL): label, (A, NOTE): note})
    assert stands(mine)[A] == (("odd",), *wanted)


def test_a_merge_is_one_act_that_can_be_undone_and_is_not_asked_for_twice(contradicting, theirs):
    mine, merged = contradicting
    before = stands(mine)
    apply(merged, mine, {(A, LABEL): "theirs", (A, NOTE): "mine"})
    again = merged_from(theirs, mine)
    assert (again.conflicts, again.taken) == ((), {})
    mine.undo()
    assert stands(mine) == before
    assert merged_from(theirs, mine).conflicts == merged.conflicts  # it can be merged anew
    apply(merged_from(theirs, mine), mine, {(A, LABEL): "mine", (A, NOTE): "theirs"})
    assert merged_from(theirs, mine).conflicts == ()


def test_a_conflict_that_was_resolved_comes_back_only_when_they_change_it_anew(contradicting, theirs):
    mine, merged = contradicting
    apply(merged, mine, {(A, LABEL): "mine", (A, NOTE): "mine"})
    assert merged_from(theirs, mine).conflicts == ()
    theirs.write({(A, LABEL): "wolf"}, by="bob")
    assert [(each.mine, each.theirs) for each in merged_from(theirs, mine).conflicts] == [("dog", "wolf")]


def test_what_they_took_over_from_here_is_no_change_of_theirs(mine, theirs):
    """Each takes in what the other noted, in turn."""
    mine.write({(A, LABEL): "dog"}, by="ada")
    apply(merged_from(mine, theirs), theirs, {})
    mine.write({(A, LABEL): "fox"}, by="ada")
    merged = merged_from(theirs, mine)
    assert (merged.conflicts, merged.taken) == ((), {})
    theirs.write({(A, LABEL): "cow"}, by="bob")
    assert [(each.mine, each.theirs) for each in merged_from(theirs, mine).conflicts] == [("fox", "cow")]


def test_what_was_noted_while_somebody_chose_is_not_overwritten(contradicting):
    mine, merged = contradicting
    mine.write({(A, LABEL): "cow"})
    with pytest.raises(NotesError, match="meanwhile"):
        apply(merged, mine, {(A, LABEL): "theirs", (A, NOTE): "mine"})


def test_choices_travel_in_a_table(contradicting, tmp_path):
    mine, merged = contradicting
    lines = merging.as_csv(merged.conflicts).splitlines()
    (tmp_path / "chosen.csv").write_text("\n".join([lines[0], f"{lines[1]}theirs", f"{lines[2]}both"]))
    apply(merged, mine, merging.choices_of(tmp_path / "chosen.csv"))
    assert stands(mine)[A] == (("odd",), "blue\nred", "fox")


def test_a_table_takes_nothing_away_and_contradicts_what_it_says_otherwise(mine, tmp_path):
    path = tmp_path / "theirs.csv"
    path.write_text(f"digest,label,tags,note\n{A},,dark;odd,\n{B},dog,,\n{C},dog,,odd one\n")
    merged = merged_from(Book(path), mine)
    assert merged.taken == {(A, DARK): YES, (C, LABEL): "dog", (C, NOTE): "odd one"}
    assert [(each.digest, each.mine, each.theirs) for each in merged.conflicts] == [(B, "cat", "dog")]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("x.csv", "name,colour\na,b\n", "tells nothing of images"),
        ("x.csv", "digest,label\n123,cat\n", "Wanted a SHA-256"),
        ("x.csv", f"digest,label\n{A},cat\n{A},dog\n", "says two things"),
        ("x.csv", "path,label\n,cat\n", "neither a digest nor a path"),
        ("x.csv", "path,label\nnowhere.png,cat\n", "cannot be read"),
        ("x.jsonl", "[1, 2]\n", "cannot be read as a table"),
        ("x.jsonl", "{no JSON\n", "cannot be read as a table"),
        ("x.csv", "", "tells nothing of images"),
    ],
)
def test_tables_that_tell_nothing_are_refused(name, text, why, mine, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(NotesError, match=why):
        finish(incoming(tmp_path / name, mine))


def test_a_file_is_not_merged_into_itself(mine):
    with pytest.raises(NotesError, match="would be merged into"):
        finish(incoming(mine.path, mine))


def test_a_merge_into_nothing_is_all_of_theirs(theirs, tmp_path):
    fresh = Book(tmp_path / "fresh.sqlite")
    apply(merged_from(theirs, fresh), fresh, {})
    assert stands(fresh) == stands(theirs)
    assert isinstance(merged_from(theirs, fresh).incoming, Incoming)
