"""Workspaces that are kept: saved, renamed, deleted and had back, whatever else lies there."""

import threading
from dataclasses import replace

import pytest
from filelock import FileLock

from features.workspace import Shelf, WorkspaceError
from features.workspace import shelf as shelf_of


def names(shelf):
    return [each.name for each in shelf.all()]


def test_what_was_saved_is_there_after_a_restart(world, shelf):
    saved = shelf.save(world.workspace)
    assert Shelf(shelf.folder).all() == [saved]
    assert replace(saved, uid="", saved="", by="") == world.workspace


def test_saving_again_takes_the_place_of_what_was(world, shelf):
    saved = shelf.save(world.workspace)
    shelf.save(replace(saved, note="another"))
    assert [each.note for each in shelf.all()] == ["another"]
    assert shelf.deleted() == []


def test_another_of_the_same_name_is_refused_or_replaced_and_can_be_had_back(world, shelf):
    first = shelf.save(world.workspace)
    other = replace(world.workspace, note="other")
    with pytest.raises(WorkspaceError, match="already"):
        shelf.save(other)
    shelf.save(other, replacing=True)
    assert [each.note for each in shelf.all()] == ["other"]
    assert shelf.deleted() == [first]


def test_a_new_name_is_the_same_workspace(world, shelf):
    saved = shelf.save(world.workspace)
    shelf.rename("My work", "Our work")
    assert names(shelf) == ["Our work"]
    assert shelf.need("Our work").uid == saved.uid
    with pytest.raises(WorkspaceError, match=r"no workspace called 'My work'\. Choose one of these: Our work"):
        shelf.rename("My work", "x")


def test_what_was_deleted_is_had_back_last_first(world, shelf):
    for name in ("one", "two"):
        shelf.save(replace(world.workspace, name=name))
    for name in ("one", "two"):
        shelf.delete(name)
    assert names(shelf) == []
    assert shelf.restore().name == "two"
    assert shelf.restore("one").name == "one"
    assert sorted(names(shelf)) == ["one", "two"]
    with pytest.raises(WorkspaceError, match="No workspace was deleted"):
        shelf.restore()


def test_what_was_deleted_does_not_come_back_over_a_new_one(world, shelf):
    shelf.save(world.workspace)
    shelf.delete("My work")
    shelf.save(world.workspace)
    with pytest.raises(WorkspaceError, match="again"):
        shelf.restore()


def test_damaged_and_other_files_hide_nothing(world, shelf):
    shelf.save(world.workspace)
    (shelf.folder / "notes.json").write_text("{}")
    (shelf.folder / f"{'0' * 32}.json").write_text("damaged")
    assert names(shelf) == ["My work"]
    (said,) = shelf.damaged()
    assert "is no workspace, or a damaged one" in said


def test_nobody_saves_what_could_not_be_read_again(world, shelf):
    with pytest.raises(WorkspaceError):
        shelf.save(replace(world.workspace, name="a\nb"))
    assert names(shelf) == []


def test_two_who_save_at_once_lose_nothing(world, shelf):
    threads = [
        threading.Thread(target=shelf.save, args=(replace(world.workspace, name=f"{number}"),)) for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names(shelf)) == sorted(map(str, range(8)))


def test_another_writer_is_waited_for_and_told_of(world, shelf, monkeypatch):
    monkeypatch.setattr(shelf_of, "WAIT_SECONDS", 0.01)
    shelf.save(world.workspace)
    with FileLock(shelf.folder / ".lock"), pytest.raises(WorkspaceError, match="Another process"):
        shelf.delete("My work")


def test_a_folder_that_cannot_be_is_told_of(world, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="cannot be written to"):
        Shelf(tmp_path / "file" / "workspaces").save(world.workspace)


def test_two_who_change_a_workspace_at_once_lose_nothing(world, shelf):
    def added(letter):
        for _ in range(20):
            Shelf(shelf.folder).change(
                world.workspace.name,
                lambda earlier: replace(earlier or world.workspace, note=f"{earlier.note}{letter}"),
            )

    shelf.save(replace(world.workspace, note=""))
    writers = [threading.Thread(target=added, args=(letter,)) for letter in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    (kept,) = shelf.all()
    assert sorted(kept.note) == ["a"] * 20 + ["b"] * 20
