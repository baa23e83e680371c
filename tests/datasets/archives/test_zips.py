"""Zips as Windows and macOS make them, zips in zips, and zips with a password."""

import io
import os
import struct
import zipfile

import pytest

from features.datasets import open_images, open_uri
from features.datasets.archives import unpacking
from features.errors import DatasetError, ImageError
from tests.datasets.pictures import colour, labels_of, numbers_of, png


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            entry = zipfile.ZipInfo("x")
            entry.filename, entry.compress_type = name, method  # as it is, which the constructor would change
            archive.writestr(entry, data)
    return file.getvalue()


def pictures(*names: str) -> dict[str, bytes]:
    return {name: png(number) for number, name in enumerate(names)}


def locked(data: bytes, only: str = "") -> bytes:
    """A zip whose members say that a password protects them (bit 0 of the flags, APPNOTE.TXT 4.4.4)."""
    changed = bytearray(data)
    for signature, flags, name_length, name in ((b"PK\x03\x04", 6, 26, 30), (b"PK\x01\x02", 8, 28, 46)):
        at = changed.find(signature)
        while at >= 0:
            (length,) = struct.unpack_from("<H", changed, at + name_length)
            if only.encode() in changed[at + name : at + name + length]:
                changed[at + flags] |= 1
            at = changed.find(signature, at + 4)
    return bytes(changed)


pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def opened(tmp_path):
    """opened(data): a file of these bytes, as a set."""

    def make(data: bytes, name: str = "set.zip"):
        (tmp_path / name).write_bytes(data)
        return open_images(str(tmp_path / name))

    return make


def test_names_with_backslashes_have_folders_and_hidden_files_stay_out(opened, tmp_path):
    hidden = ("__MACOSX\\cat\\._1.png", "cat\\._2.png", "dog\\Thumbs.db")
    found = opened(zipped(pictures("cat\\1.png", "dog\\1.png", *hidden)))
    assert found.ids == ("cat/1.png", "dog/1.png")
    assert labels_of(found) == ["cat", "dog"]
    assert not found.aside
    assert open_uri(f"zip://dog/1.png::{tmp_path}/set.zip").getpixel((0, 0)) == colour(1)


@pytest.mark.parametrize("outside", ["/abs/1.png", "C:\\abs\\1.png", "C:/abs/1.png", "//server/abs/1.png"])
def test_absolute_names_among_others_make_no_class_and_are_told(opened, outside):
    found = opened(zipped(pictures("b/2.png", outside, "./c/3.png")))
    assert labels_of(found) == ["b", "c"]
    assert numbers_of(found) == [0, 2]
    (aside,) = found.aside
    assert aside.reason == "absolute paths in an archive among others"
    assert aside.names[0].endswith("abs/1.png")


@pytest.mark.parametrize("root", ["/home/me/", "C:\\me\\", "C:/me/", "\\"])
def test_where_all_names_are_absolute_they_are_taken_without_their_root(opened, root):
    folder = "\\" if "\\" in root else "/"
    found = opened(zipped(pictures(f"{root}cat{folder}1.png", f"{root}dog{folder}1.png")))
    assert labels_of(found) == ["cat", "dog"]
    assert numbers_of(found) == [0, 1]
    assert found.ids[0] in ("home/me/cat/1.png", "me/cat/1.png", "cat/1.png")
    assert [note for note in found.notes if "absolute paths" in note]
    assert open_uri(found.uri(1)).getpixel((0, 0)) == colour(1)


def test_a_name_inside_a_zip_counts_for_more_than_the_same_from_a_root(opened):
    for names in (("a/1.png", "/a/1.png"), ("/a/1.png", "a/1.png")):
        found = opened(zipped(pictures(*names)))
        assert numbers_of(found) == [names.index("a/1.png")]
        assert open_uri(found.uri(0)).getpixel((0, 0)) == colour(names.index("a/1.png"))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_zips_in_a_zip_are_folders_so_that_splits_and_classes_follow(method, opened, tmp_path, cache):
    parts = {split: zipped(pictures("cat/1.png", "dog/1.png", "__MACOSX/cat/._1.png")) for split in ("train", "test")}
    found = opened(zipped({f"{split}.zip": data for split, data in parts.items()} | {"readme.md": b"text"}, method))
    assert found.ids == ("test/cat/1.png", "test/dog/1.png")
    assert found.split == "test"
    assert labels_of(found) == ["cat", "dog"]
    assert numbers_of(found) == [0, 1]
    assert found.uri(1) == f"zip://dog/1.png::zip://test.zip::{tmp_path}/set.zip"
    assert open_uri(found.uri(1)).getpixel((0, 0)) == colour(1)
    assert cache.exists() == (method == zipfile.ZIP_DEFLATED)  # what is stored is read from where it lies
    assert len(open_images(f"{tmp_path}/set.zip:all")) == 4


def test_two_zips_of_one_set_are_one_set_with_the_classes_of_both(opened):
    parts = {
        f"images_{number}.zip": zipped({f"{name}/{number}.png": png(number)}) for number, name in ((1, "a"), (2, "b"))
    }
    found = opened(zipped(parts))
    assert labels_of(found) == ["a", "b"]
    assert numbers_of(found) == [1, 2]


def test_a_folder_of_zips_is_a_set(tmp_path):
    (tmp_path / "sets").mkdir()
    for number, name in enumerate(("cat", "dog")):
        (tmp_path / "sets" / f"{name}.zip").write_bytes(zipped({"1.png": png(number)}))
    found = open_images(str(tmp_path / "sets"))
    assert found.ids == ("cat/1.png", "dog/1.png")
    assert labels_of(found) == ["cat", "dog"]


def test_an_inner_zip_that_is_damaged_is_left_aside_and_alone_it_is_refused(opened):
    found = opened(zipped({"a.zip": zipped(pictures("1.png")), "b.zip": b"half a download"}))
    assert found.ids == ("a/1.png",)
    assert found.aside[0].names == ("b.zip",)
    assert "b.zip is neither a zip nor a tar" in found.notes[0]
    with pytest.raises(DatasetError, match="neither a zip nor a tar"):
        opened(zipped({"b.zip": b"half a download"}))


def test_an_inner_bomb_is_refused_before_it_fills_the_disk(opened, cache, monkeypatch):
    monkeypatch.setattr(unpacking, "FREELY", 1 << 20)
    inner = zipped({"a.png": bytes(30 << 20)})
    with pytest.raises(DatasetError, match="more than 100 times as much"):
        opened(zipped({"a.zip": inner}, zipfile.ZIP_DEFLATED))
    assert not list(cache.iterdir())


def test_archives_beside_images_are_left_aside(opened):
    found = opened(zipped(pictures("1.png") | {"more.zip": zipped(pictures("2.png"))}))
    assert found.ids == ("1.png",)
    assert found.aside[0].names == ("more.zip",)


def test_a_password_is_one_refusal_and_not_one_for_each_image(opened):
    with pytest.raises(DatasetError, match=r"set\.zip is protected by a password\. Unpack it"):
        opened(locked(zipped(pictures("1.png", "2.png"))))
    with pytest.raises(DatasetError, match="is protected by a password"):
        opened(locked(zipped({"a.zip": zipped(pictures("1.png"))})))
    with pytest.raises(DatasetError, match=r"set\.zip/a\.zip is protected by a password"):
        opened(zipped({"a.zip": locked(zipped(pictures("1.png")))}))


def test_a_password_of_one_image_is_an_error_of_that_image(opened):
    found = opened(locked(zipped(pictures("1.png", "2.png")), only="1.png"))
    with pytest.raises(ImageError, match=r"1\.png cannot be unpacked"):
        found.open(0)
    assert found.open(1).getpixel((0, 0)) == colour(1)


def test_the_same_inner_zip_changed_is_unpacked_anew(opened, tmp_path):
    for number in (1, 2):
        inner = zipped({"a.png": png(number)})
        found = opened(zipped({"a.zip": inner}, zipfile.ZIP_DEFLATED))
        os.utime(tmp_path / "set.zip", (1, 1))
        assert numbers_of(open_images(str(tmp_path / "set.zip"))) == [number]
        assert found.ids == ("a/a.png",)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_a_damaged_place_of_an_inner_zip_is_told(method, opened):
    data = bytearray(zipped({f"{name}.zip": zipped(pictures("1.png")) for name in "ab"}, method))
    data[data.index(b"PK\x03\x04") + 28] ^= 255  # the length of what follows the first one's name
    data[data.index(b"PK\x03\x04") + 30] ^= 1  # and its name
    found = opened(bytes(data))
    assert found.ids == ("b/1.png",)
    assert found.aside[0].names == ("a.zip",)
    assert len(found.notes) == 1
