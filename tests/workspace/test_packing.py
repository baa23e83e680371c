"""A workspace as a zip: opened elsewhere as it was, and nothing of a hostile one is believed."""

import io
import zipfile

import pytest

from features.notes import LABEL, Book, apply, merge, noted_in, of_table, write
from features.progress import finish
from features.workspace import WorkspaceError, packed, packing, unpacked


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def test_what_is_packed_is_unpacked_with_the_notes_of_its_images(world, tmp_path):
    mine, theirs = Book(tmp_path / "mine.sqlite"), Book(tmp_path / "theirs.sqlite")
    finish(write(mine, world.images, [2], {LABEL: "b"}))
    mine.write({("0" * 64, LABEL): "of another set"})
    package = unpacked(finish(packed(world.workspace, mine)), "x.zip")
    assert package.workspace.views == world.workspace.views
    assert [len(each.contents) for each in package.workspace.selections] == [2, 1]
    told = finish(of_table("notes.jsonl", package.notes, tmp_path))
    apply(merge(told, theirs), theirs, {})
    assert len(theirs.notes()) == 1
    assert [*finish(noted_in(world.images, theirs.notes())).of] == [2]


def test_the_same_workspace_is_the_same_file_and_holds_no_images(world):
    one, other = finish(packed(world.workspace)), finish(packed(world.workspace))
    assert one == other
    with zipfile.ZipFile(io.BytesIO(one)) as archive:
        assert archive.namelist() == ["workspace.json"]


GOOD = (
    b'{"version": 1, "name": "x", "network": {"name": "a"}, '
    b'"images": {"source": "s", "name": "n", "digest": "", "n_images": 1}}'
)


def test_the_smallest_workspace_is_one():
    assert unpacked(zipped(**{"workspace.json": GOOD}), "x.zip").workspace.name == "x"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no zip"),
        (b"PK\x03\x04 no zip", "no zip"),
        (zipped(), "holds nothing"),
        (zipped(**{"notes.jsonl": b""}), "holds notes.jsonl"),
        (zipped(**{"workspace.json": GOOD, "../../etc/passwd": b"x"}), r"holds '../../etc/passwd'"),
        (zipped(**{"workspace.json": GOOD, "/absolute": b"x"}), "holds '/absolute'"),
        (zipped(**{"workspace.json": GOOD, "evil.pickle": b"x"}), "holds 'evil.pickle'"),
        (zipped(**{"workspace.json": b"{}"}), "no workspace, or a damaged one"),
    ],
)
def test_what_is_no_workspace_is_refused(data, why):
    with pytest.raises(WorkspaceError, match=why):
        unpacked(data, "x.zip")


def test_a_member_that_unpacks_to_too_much_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(packing, "MEMBERS", {"workspace.json": 1000, "notes.jsonl": 1000})
    bomb = zipped(**{"workspace.json": GOOD, "notes.jsonl": b"0" * 10_000_000})
    assert len(bomb) < 20_000
    with pytest.raises(WorkspaceError, match="It is not opened"):
        unpacked(bomb, "x.zip")


def test_a_member_that_says_another_size_than_it_has_is_refused(monkeypatch):
    data = bytearray(zipped(**{"workspace.json": GOOD * 1}))
    directory = data.rindex(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = (5).to_bytes(4, "little")  # the size of what it unpacks to
    with pytest.raises(WorkspaceError, match="damaged"):
        unpacked(bytes(data), "x.zip")


def test_a_file_that_is_cut_off_or_changed_is_refused(world):
    whole = finish(packed(world.workspace))
    for damaged in (whole[:-30], whole[: len(whole) // 2], whole[:60] + b"\xff" * 8 + whole[68:]):
        with pytest.raises(WorkspaceError):
            unpacked(damaged, "x.zip")


def test_one_of_two_members_of_the_same_name_is_not_chosen_in_silence():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("workspace.json", GOOD)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("workspace.json", GOOD)
    with pytest.raises(WorkspaceError, match="is no workspace"):
        unpacked(file.getvalue(), "x.zip")
