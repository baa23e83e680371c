"""Which files of a source are images, and what becomes of those that are none."""

import io
import os

import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from features import datasets
from features.datasets import kinds
from features.errors import DatasetError
from tests.datasets.test_datasets import labels_of, png, write, zipped


def picture(kind):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, kind)
    return buffer.getvalue()


KINDS = ("JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP", "PPM", "AVIF", "JPEG2000")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ["", ".orig", ".image", ".1"])
def test_endings_that_tell_nothing_are_looked_into(kind, ending, tmp_path):
    (tmp_path / f"one{ending}").write_bytes(picture(kind))
    found = datasets.open_images(str(tmp_path))
    assert found.ids == (f"one{ending}",)
    assert found.open(0).size == (8, 8)


@pytest.mark.parametrize("ending", ["jfif", "pjpeg", "jpe", "avif", "jp2", "ppm", "pgm", "tga", "bmp", "gif"])
def test_endings_of_images_are_known(ending, tmp_path):
    kind = {"jfif": "JPEG", "pjpeg": "JPEG", "jpe": "JPEG", "jp2": "JPEG2000", "pgm": "PPM"}.get(ending, ending.upper())
    mode = "L" if ending == "pgm" else "RGB"
    Image.new(mode, (8, 8), 90).save(tmp_path / f"one.{ending}", kind)
    found = datasets.open_images(str(tmp_path))
    assert (found.ids, found.aside) == ((f"one.{ending}",), ())
    assert found.open(0).getpixel((0, 0))[0] in (89, 90, 91)


def test_what_is_left_aside_is_counted_by_reason(tmp_path):
    names = ["cat/1.png", "dog/1.png", "notes.txt", "cat/more.txt", "cat/x.csv"]
    for made in (write(tmp_path / "set", names), zipped(tmp_path / "set.zip", names)):
        if made.is_dir():
            (made / "what.is").write_bytes(b"no picture")
            (made / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 40)
        found = datasets.open_images(str(made))
        reasons = {each.reason: each.names for each in found.aside}
        assert reasons[".txt is not an image's"] == ("cat/more.txt", "notes.txt")
        assert reasons[".csv is not an image's"] == ("cat/x.csv",)
        if made.is_dir():
            assert reasons[".is, and the first bytes are not an image's"] == ("what.is",)
            assert any("HEIC" in reason for reason in reasons)
        assert labels_of(found)[0] == "cat"
        assert len(found.told()) == len(reasons)


def test_a_long_list_of_names_is_cut():
    told = str(kinds.Aside("no reason", tuple("abcdefgh")))
    assert told == "8 files are left aside: no reason: a, b, c, d, e and 3 more."
    assert str(kinds.Aside("no reason", ("a",))) == "1 file is left aside: no reason: a."


def test_what_systems_write_for_themselves_is_passed_over(tmp_path):
    write(tmp_path, ["a/1.png", "b/1.png", "__MACOSX/a/._1.png", "a/Thumbs.db", ".DS_Store", "a/desktop.ini"])
    found = datasets.open_images(str(tmp_path))
    assert (found.ids, found.aside) == (("a/1.png", "b/1.png"), ())


# --- links -----------------------------------------------------------------------------------------------------------


def test_linked_folders_are_classes_as_torchvision_has_them(tmp_path):
    write(tmp_path / "elsewhere", ["1.png", "2.png"])
    write(tmp_path / "set", ["cat/1.png"])
    (tmp_path / "set" / "dog").symlink_to(tmp_path / "elsewhere")
    found, reference = datasets.open_images(str(tmp_path / "set")), ImageFolder(str(tmp_path / "set"))
    assert found.class_names == tuple(reference.classes)
    assert found.labels.tolist() == reference.targets
    assert [found.uri(index) for index in range(3)] == [path for path, _ in reference.samples]


def test_a_link_without_an_end_is_followed_once_and_said(tmp_path):
    write(tmp_path / "set", ["cat/1.png", "dog/1.png"])
    (tmp_path / "set" / "cat" / "again").symlink_to("..")
    (tmp_path / "set" / "dog" / "self").symlink_to(".")
    found = datasets.open_images(str(tmp_path / "set"))
    assert found.ids == ("cat/1.png", "dog/1.png")
    (aside,) = found.aside
    assert aside.names == ("cat/again", "dog/self")
    assert "links to a folder that they lie in" in aside.reason


def test_links_out_of_the_folders_that_may_be_read_are_not_followed(tmp_path, monkeypatch):
    write(tmp_path / "outside", ["1.png"])
    write(tmp_path / "set", ["cat/1.png", "dog/1.png"])
    (tmp_path / "set" / "fox").symlink_to(tmp_path / "outside")
    (tmp_path / "set" / "dog" / "2.png").symlink_to(tmp_path / "outside" / "1.png")
    assert len(datasets.open_images(str(tmp_path / "set"))) == 4
    stamp = datasets.stamp(tmp_path / "set")
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path / "set"))
    found = datasets.open_images(str(tmp_path / "set"))
    assert found.ids == ("cat/1.png", "dog/1.png")
    (aside,) = found.aside
    assert aside.names == ("dog/2.png", "fox")
    assert datasets.stamp(tmp_path / "set") != stamp


# --- as others list the same ------------------------------------------------------------------------------------------


def test_a_tree_with_odd_endings_and_numbers_has_torchvisions_rows_and_labels(tmp_path):
    names = [f"{folder}/{name}" for folder in ("0", "1", "10", "2") for name in ("a.png", "b.PPM", "c.Jpeg", "d.webp")]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(png())
    reference = ImageFolder(str(tmp_path))
    found = datasets.open_images(str(tmp_path))
    assert found.class_names == tuple(reference.classes)
    assert list(zip(found.labels.tolist(), map(found.uri, range(len(found))), strict=True)) == [
        (label, path) for path, label in reference.samples
    ]


@pytest.mark.parametrize("name", ["0.parquet", "0.zip", "labels.csv", "metadata.jsonl", "0.xml"])
def test_pipes_beside_images_do_not_hold_anything_up(tmp_path, name):
    os.mkfifo(tmp_path / name)
    if not name.startswith("0."):
        Image.new("RGB", (4, 4)).save(tmp_path / "1.png")
        assert datasets.open_images(str(tmp_path)).ids == ("1.png",)
        return
    with pytest.raises(DatasetError):
        datasets.open_images(str(tmp_path))


def test_a_link_to_itself_spoils_no_other_image(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "1.png")
    (tmp_path / "self").symlink_to("self")
    assert datasets.open_images(str(tmp_path)).ids == ("1.png",)


def test_images_stand_in_the_order_of_their_folders_and_names(tmp_path):
    names = ["a/x.png", "a.png", "a b/1.png", "B/1.png", "a/b/2.png", "Z.png", "é/1.png"]
    write(tmp_path, names)
    assert datasets.open_images(str(tmp_path)).ids == tuple(sorted(names, key=lambda name: name.split("/")))


def test_paths_that_lead_out_of_an_archive_are_told(tmp_path):
    found = datasets.open_images(str(zipped(tmp_path / "set.zip", ["a/1.png", "b/1..png", "../c/1.png", "a/../2.png"])))
    assert found.ids == ("a/1.png", "b/1..png")
    (aside,) = found.aside
    assert aside.names == ("../c/1.png", "a/../2.png")
    assert aside.reason == "paths that lead out of the source"


def test_what_is_left_aside_can_be_written_whatever_bytes_it_is_called_by(tmp_path):
    write(tmp_path, ["a/1.png", "b/2.png"])
    (tmp_path / os.fsdecode(b"\xff\xfe.txt")).write_text("x")
    (tmp_path / "labels.csv").write_text("file,label\n1.png,x\n2.png,y\n")
    found = datasets.open_images(str(tmp_path))
    (rejected,) = found.left_aside()
    assert labels_of(found) == ["x", "y"]
    assert rejected.id == "\\xff\\xfe.txt"
    assert "\n".join(found.told()).encode()
