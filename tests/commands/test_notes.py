"""`notes` as a person runs it, and other commands with what was corrected."""

import json
from pathlib import Path

import pytest

from features.__main__ import main
from features.datasets import open_images
from features.notes import Book


@pytest.fixture(autouse=True)
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return Book()


def test_images_are_noted_listed_and_taken_back(tiny_folder, book, capsys):
    first, second = str(tiny_folder / "cat" / "0.png"), str(tiny_folder / "dog" / "1.png")
    assert main(["notes", "write", first, second, "--tag", "odd", "--label", "fox", "--by", "ada"]) == 0
    assert main(["notes", "write", str(tiny_folder), "--only", "cat/1.png", "--note", "dark", "--by", "ada"]) == 0
    capsys.readouterr()
    assert main(["notes", "show", "--tag", "odd", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["label"], row["tags"]) for row in rows] == [("fox", ["odd"])] * 2
    assert main(["notes", "undo", "--by", "ada"]) == 0
    assert main(["notes", "history"]) == 0
    told = capsys.readouterr().out
    assert "undone: wrote a note: 1 image" in told
    assert "tagged odd, relabelled fox: 2 images" in told


def test_a_set_of_another_file_of_notes_is_left_alone(tiny_folder, tmp_path, book):
    other = tmp_path / "mine.sqlite"
    assert main(["notes", "--file", str(other), "write", str(tiny_folder), "--tag", "odd"]) == 0
    assert len(Book(other).notes()) == 12
    assert not book.path.exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["write", "{folder}"], "Nothing is to be noted"),
        (["write", "{folder}", "--only", "cow/1.png", "--tag", "x"], "has no image 'cow/1.png'"),
        (["undo"], "There is no act"),
        (["export", "--format", "list"], "Name it"),
        (["export", "--format", "xml"], "There is no format of notes called 'xml'"),
        (["merge", "{folder}"], "is no file"),
        (["merge", "{folder}/nothing.csv"], "cannot be used for notes"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(arguments, why, tiny_folder, capsys):
    assert main(["notes", *(each.format(folder=tiny_folder) for each in arguments)]) == 2
    assert why in capsys.readouterr().err


def test_a_merge_shows_conflicts_and_takes_what_was_chosen(tiny_folder, tmp_path, book, capsys):
    image, theirs = str(tiny_folder / "cat" / "0.png"), str(tmp_path / "theirs.sqlite")
    main(["notes", "write", image, "--label", "dog"])
    main(["notes", "--file", theirs, "write", image, "--label", "fox"])
    assert main(["notes", "merge", theirs]) == 2
    assert "the label of" in capsys.readouterr().err
    assert main(["notes", "merge", theirs, "--resolve", "theirs"]) == 0
    assert [each.label for each in book.notes().of.values()] == ["fox"]


def test_an_exported_file_is_new_or_refused(tiny_folder, tmp_path, capsys):
    main(["notes", "write", str(tiny_folder), "--label", "fox"])
    target = tmp_path / "list.csv"
    for status in (0, 2):
        assert main(["notes", "export", str(tiny_folder), "--format", "list", "--to", str(target)]) == status
    listed = open_images(str(target))
    assert {listed.label_name(row) for row in range(12)} == {"fox"}


@pytest.mark.slow
def test_commands_take_corrected_labels_and_say_so(tiny_folder, capsys):
    main(["notes", "write", str(tiny_folder / "cat" / "0.png"), "--label", "dog"])
    told = []
    for more in ([], ["--corrections", "mine"]):
        capsys.readouterr()
        assert main(["look", str(tiny_folder), "--json", *more]) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert [each["classes"]["dog"] for each in told] == [4, 5]
    assert [each["name"] for each in told] == ["tiny", "tiny (1 label corrected)"]


@pytest.mark.slow
def test_a_result_of_corrected_labels_says_of_what_it_was_made(tmp_path, capsys):
    images = open_images("sample").sample(20)
    main(["notes", "write", "sample", "--only", images.ids[0], "--label", "Coat"])
    told = []
    for more in ([], ["--corrections", "mine"]):
        capsys.readouterr()
        assert main(["evaluate", "sample", "--limit", "20", "--json", *more]) == 0
        told.append(json.loads(capsys.readouterr().out))
    names, digests = ([each["provenance"][name] for each in told] for name in ("images", "images_digest"))
    assert names == [images.name, f"{images.name} (1 label corrected)"]
    assert digests[0] == images.digest != digests[1]
    assert [sum(map(sum, each["confusion"])) for each in told] == [20, 20]
    assert told[0]["confusion"] != told[1]["confusion"]


def test_another_persons_corrections_are_named_or_missed(tiny_folder, capsys):
    assert main(["look", str(tiny_folder), "--corrections", "nowhere.sqlite"]) == 2
    assert "There is no file of notes" in capsys.readouterr().err
