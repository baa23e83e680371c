"""Paths that are offered in the sidebar."""

import pytest

from features.files import ROOTS
from viz.sidebar import own_files, paths


@pytest.fixture
def root(tmp_path, monkeypatch):
    for name in ("photos/cats", "photos/dogs", "photos/.hidden", "places"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("photos/set.zip", "photos/one.jpg", "photos/notes.md"):
        (tmp_path / name).write_bytes(b"")
    monkeypatch.setenv(ROOTS, str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    monkeypatch.setattr(paths, "uploads", lambda: tmp_path / "uploads")
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("photos", ["photos/cats", "photos/dogs", "photos/set.zip"]),
        ("photos/", ["photos/cats", "photos/dogs", "photos/set.zip"]),
        ("photos/c", ["photos/cats"]),
        ("photos/C", ["photos/cats"]),
        ("p", ["photos", "places"]),
        ("photos/x", []),
        ("nowhere/x", []),
        ("", []),
        ("\0", []),
        ("~nobody-is-called-so/x", []),
    ],
)
def test_a_path_goes_on_to_what_lies_there(root, typed, offered):
    text = f"{root}/{typed}" if typed and typed[0] in "pn" else typed
    assert paths.nearby(text, (".zip",)) == [str(root / name) for name in offered]


def test_nothing_is_offered_outside_the_folders_that_may_be_read(root, monkeypatch):
    monkeypatch.setenv(ROOTS, str(root / "places"))
    assert paths.nearby(str(root), (".zip",)) == []
    (root / "places" / "out").symlink_to(root / "photos")
    assert paths.nearby(str(root / "places" / "out"), (".zip",)) == []


def test_what_was_opened_last_comes_first_as_long_as_it_is_there(root):
    for name in ("photos", "places", "photos"):
        paths.remember(str(root / name))
    assert paths.recent() == [str(root / "photos"), str(root / "places")]
    (root / "places").rmdir()
    assert paths.recent() == [str(root / "photos")]
    paths.remember(str(root / "uploads" / "1"))
    assert len(paths.recent()) == 1
    (root / ".cache" / "resnet-explorer" / "recent" / "images.json").write_text("{broken")
    assert paths.recent() == []


class Upload:
    def __init__(self, name):
        self.name = name

    def getvalue(self):
        return self.name.encode()


def test_an_uploaded_folder_keeps_its_folders_and_leads_nowhere_else(root, monkeypatch):
    monkeypatch.setattr(own_files, "uploads", lambda: root / "uploads")
    names = ["set/cat/1.png", "set/dog/1.png", "../../out.png", "set\\fox\\a b.png"]
    folder = own_files._write_folder([Upload(name) for name in names])
    inside = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.png"))
    assert inside == ["out.png", "set/cat/1.png", "set/dog/1.png", "set/fox/a b.png"]
    assert own_files._write_folder([Upload(name) for name in names]) == folder
    same = own_files._write_folder([Upload("set/1?.png"), Upload("set/1*.png")])
    assert len([*same.rglob("*.png")]) == 2
