"""A file of notes: what stands, who did it, undone and done again, by one process at a time."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from features.notes import LABEL, NOTE, Book, NotesError, Seen
from features.notes import layout as file_layout
from features.notes.journal import TAG, YES, field_of

ROOT = Path(__file__).parents[2]
A, B = "a" * 64, "b" * 64
BLURRED, ODD = field_of(TAG, "blurred"), field_of(TAG, "odd")


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "deep" / "notes.sqlite")


def stands(book: Book) -> dict[str, tuple[tuple[str, ...], str, str | None]]:
    return {digest: (each.tags, each.note, each.label) for digest, each in book.notes().of.items()}


def test_what_was_noted_last_stands(book):
    book.write({(A, BLURRED): YES, (A, LABEL): "cat", (B, NOTE): " dark "})
    book.write({(A, LABEL): "dog", (A, ODD): YES})
    assert stands(book) == {A: (("blurred", "odd"), "", "dog"), B: ((), "dark", None)}


def test_what_is_taken_away_stands_no_more(book):
    book.write({(A, BLURRED): YES, (A, LABEL): "cat"})
    book.write({(A, BLURRED): None, (A, LABEL): ""})
    assert stands(book) == {}


def test_nothing_new_is_no_act(book):
    book.write({(A, LABEL): "cat"})
    assert book.write({(A, LABEL): "cat"}) is None
    assert len(book.acts()) == 1


def test_a_book_that_nobody_wrote_to_is_empty_and_makes_no_file(book):
    assert (len(book.notes()), book.version(), book.acts(), book.undone()) == (0, 0, [], set())
    assert not book.path.exists()


def test_the_version_changes_with_every_act(book):
    versions = [book.version()]
    for act in (lambda: book.write({(A, LABEL): "cat"}), book.undo, book.redo):
        act()
        versions.append(book.version())
    assert len(set(versions)) == 4
    assert book.notes().version == versions[-1]


def test_the_history_tells_who_did_what_and_keeps_what_was_undone(book):
    book.write({(A, BLURRED): YES, (B, BLURRED): YES}, by="ada")
    book.write({(A, LABEL): "cat"}, by="bob")
    book.undo(by="ada")
    told = [(act.by, act.kind, act.what) for act in book.acts()]
    assert told == [
        ("ada", "undo", "undone: tagged blurred: 2 images"),
        ("bob", "do", "relabelled cat: 1 image"),
        ("ada", "do", "tagged blurred: 2 images"),
    ]
    assert stands(book) == {A: ((), "", "cat")}


def test_undoing_and_doing_again_go_back_and_forth_one_by_one(book):
    seen = [stands(book)]
    for label in ("cat", "dog", "fox"):
        book.write({(A, LABEL): label})
        seen.append(stands(book))
    for number in (2, 1, 0):
        book.undo()
        assert stands(book) == seen[number]
    for number in (1, 2, 3):
        book.redo()
        assert stands(book) == seen[number]


def test_undone_is_ones_own_last_act_and_another_by_its_name(book):
    first = book.write({(A, LABEL): "cat"}, by="ada")
    book.write({(B, LABEL): "dog"}, by="bob")
    assert book.undo(by="ada").of == first.uid
    with pytest.raises(NotesError, match="no act by ada"):
        book.undo(by="ada")
    with pytest.raises(NotesError, match="no act 'nothing'"):
        book.undo("nothing")
    book.redo(first.uid, by="bob")
    assert book.undone() == set()


def test_what_was_changed_since_is_not_undone_in_silence(book):
    first = book.write({(A, LABEL): "cat", (B, LABEL): "cat"}, by="ada")
    book.write({(A, LABEL): "dog"}, by="bob")
    with pytest.raises(NotesError, match="bob has changed the same since"):
        book.undo(first.uid)
    assert stands(book) == {A: ((), "", "dog"), B: ((), "", "cat")}


def test_where_an_image_was_seen_and_what_its_source_said_is_kept(book):
    book.write({(A, LABEL): "cat"}, [Seen(A, 7, "x/1.png", "/pictures/x/1.png", "pictures", "dog")])
    book.write({(A, BLURRED): YES}, [Seen(A, 7, "1.png", "/copies/1.png", "copies", None)])
    book.write({(A, ODD): YES}, [Seen(A, 7, "x/1.png", "/pictures/x/1.png", "pictures", None)])
    known = book.notes().of[A]
    assert (known.size, known.id, known.source, known.given) == (7, "1.png", "copies", None)
    with closing(sqlite3.connect(book.path)) as file:
        assert file.execute("SELECT place, label FROM places").fetchall() == [
            ("/pictures/x/1.png", "dog"),
            ("/copies/1.png", None),
        ]


@pytest.mark.parametrize("name", ["", "  ", "a;b", "a\nb", "a\rb", "\udcff", "x" * 101])
def test_names_that_are_no_tags_are_refused(name):
    with pytest.raises(NotesError, match="A tag is called"):
        field_of(TAG, name)


@pytest.mark.parametrize(
    ("field", "text"),
    [(LABEL, "x" * 501), (LABEL, "a\nb"), (LABEL, "a\rb"), (NOTE, "x" * 20_001), (NOTE, "\udcff"), ("other", "x")],
)
def test_values_that_are_none_are_refused_and_nothing_is_written(field, text, book):
    with pytest.raises(NotesError, match=r"Wanted|Give it in one|Write it anew"):
        book.write({(A, BLURRED): YES, (A, field): text})
    assert not book.path.exists()


def test_what_was_decided_on_something_else_is_not_written(book):
    book.write({(A, LABEL): "cat"})
    with pytest.raises(NotesError, match="meanwhile"):
        book.write({(A, LABEL): "dog"}, standing={(A, LABEL): None})
    assert stands(book) == {A: ((), "", "cat")}


@pytest.mark.parametrize("statement", ["DELETE FROM acts", "UPDATE changes SET after = 'x'"])
def test_the_file_itself_refuses_that_its_past_is_rewritten(statement, book):
    book.write({(A, LABEL): "cat"})
    with closing(sqlite3.connect(book.path)) as file, pytest.raises(sqlite3.IntegrityError, match="only added"):
        file.execute(statement)


# --- files that are not as they should be -------------------------------------------------------------------------


def test_a_damaged_file_is_told_of_and_left_as_it_is(book):
    book.write({(digest * 64, LABEL): "cat" for digest in "0123456789abcdef"})
    whole = book.path.read_bytes()
    for damaged in (whole[:5000], b"no database at all, " * 100, whole[:100] + b"x" * (len(whole) - 100)):
        book.path.write_bytes(damaged)
        for call in (book.notes, lambda: book.write({(A, LABEL): "dog"})):
            with pytest.raises(NotesError, match="is no file of notes, or a damaged one"):
                call()
        assert book.path.read_bytes() == damaged


def test_the_database_of_another_program_is_left_alone(tmp_path):
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as file:
        file.execute("CREATE TABLE theirs (x)")
    with pytest.raises(NotesError, match="another program"):
        Book(tmp_path / "other.sqlite").write({(A, LABEL): "cat"})


def test_a_file_of_a_later_version_is_told_of(book):
    book.write({(A, LABEL): "cat"})
    with closing(sqlite3.connect(book.path)) as file:
        file.execute(f"PRAGMA user_version = {file_layout.VERSION + 1}")
    for call in (book.notes, book.undo):
        with pytest.raises(NotesError, match="later version"):
            call()


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_told_of_and_can_be_read(book):
    book.write({(A, LABEL): "cat"})
    book.path.parent.chmod(0o500)
    book.path.chmod(0o400)
    try:
        assert stands(book) == {A: ((), "", "cat")}
        with pytest.raises(NotesError, match="read-only"):
            book.write({(A, LABEL): "dog"})
    finally:
        book.path.parent.chmod(0o700)


@pytest.mark.parametrize(
    ("mode", "limit", "why"),
    [("ro", 10**6, "read-only"), ("rw", 1, "The disk of .* is full")],
    ids=["read-only", "full"],
)
def test_a_disk_that_takes_nothing_more_is_told_of_and_nothing_is_lost(mode, limit, why, book, monkeypatch):
    """As SQLite sees it, whoever runs the test."""
    book.write({(A, LABEL): "cat"})
    connected = file_layout._connected

    def failing(path: Path, asked: str) -> sqlite3.Connection:
        file = connected(path, mode if asked == "rwc" else asked)
        file.execute(f"PRAGMA max_page_count = {limit}")  # never below what is there already
        return file

    with monkeypatch.context() as patch:
        patch.setattr(file_layout, "_connected", failing)
        with pytest.raises(NotesError, match=why):
            book.write({(f"{number:064x}", NOTE): "x" * 10_000 for number in range(20)})
    assert stands(book) == {A: ((), "", "cat")}


def test_a_folder_in_place_of_the_file_is_told_of(tmp_path):
    with pytest.raises(NotesError, match=r"is a folder\. Name a file of notes"):
        Book(tmp_path).write({(A, LABEL): "cat"})


# --- several processes ----------------------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from features.notes import LABEL, Book
book, name = Book(Path(sys.argv[1])), sys.argv[2]
for number in range(int(sys.argv[3])):
    digests = [f"{image:064x}" for image in range(5)]
    book.write({(digest, LABEL): f"{name} {number}" for digest in digests}, by=name)
"""


def writer(book: Book, name: str, acts: int) -> subprocess.Popen:
    command = [sys.executable, "-c", WRITER, str(book.path), name, str(acts)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)


@pytest.mark.slow
def test_another_process_is_waited_for_and_nothing_of_either_is_lost(book):
    with writer(book, "ada", 20) as ada, writer(book, "bob", 20) as bob:
        assert (ada.wait(60), bob.wait(60)) == (0, 0)
    acts = book.acts()
    assert sorted(act.by for act in acts) == ["ada"] * 20 + ["bob"] * 20
    assert len({each.label for each in book.notes().of.values()}) == 1  # the last act's, of all five images


def test_one_that_writes_for_too_long_is_told_of(book, monkeypatch):
    monkeypatch.setattr(file_layout, "WAIT_SECONDS", 0.05)
    book.write({(A, LABEL): "cat"})
    with closing(sqlite3.connect(book.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert stands(book) == {A: ((), "", "cat")}  # who reads need not wait
        with pytest.raises(NotesError, match="Another process has been writing"):
            book.write({(A, LABEL): "dog"})


@pytest.mark.slow
def test_a_writer_that_is_killed_leaves_whole_acts(book):
    with writer(book, "ada", 100_000) as process:
        while book.version() < 10:  # some acts are there, and one is under way
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    whole_acts(book)


def whole_acts(book: Book) -> None:
    """Every act has all five images, and what stands is the last one's."""
    acts = book.acts()
    assert {len(act.changes) for act in acts} == {5}
    assert {each.label for each in book.notes().of.values()} == {acts[0].changes[0].after}
    assert book.write({(A, LABEL): "cat"}) is not None


class Killed(BaseException):
    """As if the process had died."""


@pytest.mark.parametrize("statement", range(12))
def test_one_that_dies_between_two_statements_leaves_what_was(statement, book, tmp_path, monkeypatch):
    """Its file as it lies on the disk at that moment, with the journal beside it, is opened by somebody else."""
    digests = [f"{image:064x}" for image in range(5)]
    book.write({(digest, LABEL): "ada 0" for digest in digests}, by="ada")
    copied = Book(tmp_path / "copy" / "notes.sqlite")
    done = 0

    def dying(_: str) -> None:
        nonlocal done
        done += 1
        if done == statement + 4:  # after those that open the file
            shutil.copytree(book.path.parent, copied.path.parent)
            raise Killed

    connected = file_layout._connected

    def traced(path: Path, mode: str) -> sqlite3.Connection:
        file = connected(path, mode)
        file.set_trace_callback(dying if path == book.path else None)
        return file

    monkeypatch.setattr(file_layout, "_connected", traced)
    book.write({(digest, LABEL): "ada 1" for digest in digests}, by="ada")
    assert copied.path.exists()
    whole_acts(copied)
