"""What stands between a visitor and the server's disk."""

import io
import os
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from features import datasets
from features.errors import DatasetError, WeightsError
from viz.sidebar import own_files


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The one folder that the app may read, with a folder of uploads beside it."""
    (tmp_path / "uploads").mkdir()
    (tmp_path / "root" / "pictures").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    monkeypatch.setenv(own_files.ROOTS, str(tmp_path / "root"))
    monkeypatch.setattr(own_files, "uploads", lambda: tmp_path / "uploads")
    return tmp_path / "root"


def inside(text):
    return own_files.inside_roots(str(text), "images", DatasetError)


# --- paths that a visitor types ---------------------------------------------------------------------------------------


def test_a_path_inside_the_root_is_given_back(root):
    assert inside(root / "pictures") == root / "pictures"
    assert inside(root) == root


def test_spaces_around_a_path_do_not_matter(root):
    assert inside(f"  {root}/pictures\n") == root / "pictures"


@pytest.mark.parametrize("text", ["../outside", "/etc", "/", "../root-of-another", "pictures/../../outside"])
def test_a_path_outside_the_roots_is_refused(root, text):
    (root.parent / "root-of-another").mkdir()
    with pytest.raises(DatasetError, match="outside the folders"):
        inside(root / text)


def test_a_pattern_is_given_back_if_all_that_it_names_lies_inside_the_root(root):
    assert inside(root / "pictures" / "*.png") == root / "pictures" / "*.png"
    with pytest.raises(DatasetError, match="outside the folders"):
        inside(root / "*" / ".." / ".." / "outside" / "*.png")


def test_a_link_that_leads_out_of_the_root_is_refused(root):
    (root / "link").symlink_to(root.parent / "outside")
    with pytest.raises(DatasetError, match="outside the folders"):
        inside(root / "link")


def test_a_link_that_stays_inside_the_root_is_followed(root):
    (root / "link").symlink_to(root / "pictures")
    assert inside(root / "link") == root / "pictures"


def test_the_refusal_does_not_tell_whether_the_path_exists(root):
    (root.parent / "private-there").mkdir()
    said = []
    for name in ("private-there", "private-absent"):
        with pytest.raises(DatasetError) as caught:
            inside(root.parent / name)
        said.append(str(caught.value).replace(name, "..."))
    assert said[0] == said[1]


def test_an_absent_path_inside_the_root_is_an_error_that_names_it(root):
    with pytest.raises(DatasetError, match=r"nothing at .*no-such-folder"):
        inside(root / "no-such-folder")


@pytest.mark.parametrize("text", ["", "   ", "\n"])
@pytest.mark.parametrize(("what", "error"), [("images", DatasetError), ("weights", WeightsError)])
def test_no_path_is_an_error_that_says_what_to_choose(root, text, what, error):
    with pytest.raises(error, match=f"No {what} chosen yet"):
        own_files.inside_roots(text, what, error)


@pytest.mark.parametrize("name", ["~nobody-of-this-name/x", "a\0b", "x" * 5000], ids=["home", "NUL", "long"])
def test_a_path_that_no_system_can_follow_is_an_error_for_the_page(root, name):
    with pytest.raises(DatasetError):
        inside(name if name.startswith("~") else root / name)


def test_links_in_a_circle_are_an_error_for_the_page(root):
    (root / "one").symlink_to(root / "other")
    (root / "other").symlink_to(root / "one")
    with pytest.raises(DatasetError):
        inside(root / "one")


def test_several_roots_may_be_given(root, monkeypatch):
    monkeypatch.setenv(own_files.ROOTS, os.pathsep.join([str(root), str(root.parent / "outside")]))
    assert inside(root.parent / "outside") == root.parent / "outside"
    assert inside(root / "pictures") == root / "pictures"


def test_without_roots_the_home_and_the_apps_own_folder_may_be_read(root, monkeypatch):
    monkeypatch.delenv(own_files.ROOTS)
    monkeypatch.setenv("HOME", str(root / "pictures"))
    monkeypatch.chdir(root.parent / "outside")
    assert inside("~") == root / "pictures"
    own = Path(own_files.__file__).parents[2].resolve()
    assert inside(own / "viz") == own / "viz"
    with pytest.raises(DatasetError, match="outside the folders"):
        inside(root)


def test_uploads_may_be_read_wherever_they_lie(root):
    assert inside(root.parent / "uploads") == root.parent / "uploads"


# --- uploads ----------------------------------------------------------------------------------------------------------


def upload(name, content=b"content"):
    return SimpleNamespace(name=name, getvalue=lambda: content)


def png(grey):
    buffer = io.BytesIO()
    Image.fromarray(np.full((6, 5, 3), grey, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def written(path):
    return {entry.name: entry.read_bytes() for entry in path.iterdir()}


@pytest.mark.parametrize("name", ["images.zip", "resnet.safetensors", "weights.pth", "IMAGES.ZIP"])
def test_a_single_archive_or_weights_file_is_given_by_its_own_path(root, name):
    path = own_files._write_uploads([upload(name, b"bytes")])
    assert path.name == name
    assert path.read_bytes() == b"bytes"
    assert path.is_relative_to(root.parent / "uploads")


@pytest.mark.parametrize("name", ["cat.png", "CAT.JPG", "cat.webp"])
def test_a_single_image_is_given_by_a_folder_that_holds_it_alone(root, name):
    assert written(own_files._write_uploads([upload(name)])) == {name: b"content"}


def test_several_images_lie_in_one_folder_with_their_names(root):
    path = own_files._write_uploads([upload("cat.png", b"1"), upload("dog.png", b"2")])
    assert written(path) == {"cat.png": b"1", "dog.png": b"2"}


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/cat.png", "cat.png"),
        ("/etc/cat.png", "cat.png"),
        ("my cat (1).png", "my cat (1).png"),
        ("..\\..\\cat.png", ".._.._cat.png"),
        ("<b>*.png", "_b_.png"),
        ("katze-ä.png", "katze-ä.png"),
    ],
)
def test_names_lose_what_leads_elsewhere_or_no_other_system_takes_and_nothing_that_lists_name(root, name, safe):
    path = own_files._write_uploads([upload(name)])
    assert list(written(path)) == [safe]
    assert path.parent == root.parent / "uploads"


@pytest.mark.parametrize(
    "names",
    [("a.png", "a.png"), ("a b.png", "a_b.png"), ("x/a.png", "y/a.png"), ("a.png", "a.png", "0_a.png", "1_a.png")],
)
def test_images_of_one_name_are_all_kept(root, names):
    contents = [bytes([number]) for number in range(len(names))]
    path = own_files._write_uploads(list(map(upload, names, contents)))
    found = written(path)
    assert sorted(found.values()) == contents
    assert all(name.endswith(".png") for name in found)


def test_images_and_a_list_of_their_labels_are_one_set(root):
    path = own_files._write_uploads([upload("a.png", png(10)), upload("l.csv", b"file,label\na.png,ant\n")])
    assert datasets.open_images(str(path)).label_name(0) == "ant"
    named = [upload("cat (1).png", png(10)), upload("l.csv", b"file,label\ncat (1).png,ant\n")]
    assert datasets.open_images(str(own_files._write_uploads(named))).label_name(0) == "ant"
    with pytest.raises(DatasetError, match="at most one list"):
        own_files._write_uploads([upload("a.png", b"1"), upload("l.csv"), upload("m.csv")])


def test_an_uploaded_list_names_files_in_the_folders_that_may_be_read_alone(root):
    (root / "a.png").write_bytes(png(10))
    (root.parent / "secret.png").write_bytes(png(20))
    text = f"{root}/a.png\n{root.parent}/secret.png\nhttp://127.0.0.1/x.png\n"
    images = datasets.open_images(str(own_files._write_uploads([upload("list.txt", text.encode())])))
    assert images.ids == (f"{root}/a.png",)


def test_the_same_upload_has_the_same_path_and_another_another(root):
    one = [upload("cat.png", b"1"), upload("dog.png", b"2")]
    assert own_files._write_uploads(one) == own_files._write_uploads(one)
    other = [upload("cat.png", b"1"), upload("dog.png", b"3")]
    assert own_files._write_uploads(one) != own_files._write_uploads(other)


def test_the_same_images_under_other_names_do_not_join_the_first_ones(root):
    own_files._write_uploads([upload("cat.png", b"1"), upload("dog.png", b"2")])
    path = own_files._write_uploads([upload("ape.png", b"1"), upload("fox.png", b"2")])
    assert set(written(path)) == {"ape.png", "fox.png"}


def test_uploaded_images_and_an_uploaded_archive_open_as_image_sets(root):
    loose = own_files._write_uploads([upload("a.png", png(10)), upload("a.png", png(20))])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for grey in (30, 40, 50):
            archive.writestr(f"{grey}.png", png(grey))
    packed = own_files._write_uploads([upload("set.zip", buffer.getvalue())])
    for path, greys in ((loose, [10, 20]), (packed, [30, 40, 50])):
        images = datasets.open_images(str(path))
        assert [images.open(index).getpixel((0, 0))[0] for index in range(len(images))] == greys


def test_several_archives_or_tables_are_one_set(root):
    packed = []
    for grey in (30, 40):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(f"{grey}.png", png(grey))
        packed.append(upload(f"part-{grey}.zip", buffer.getvalue()))
    images = datasets.open_images(str(own_files._write_uploads(packed)))
    assert [images.open(index).getpixel((0, 0))[0] for index in range(len(images))] == [30, 40]
    listed = upload("labels.csv", b"file,label\n30.png,ant\n40.png,bee\n")
    images = datasets.open_images(str(own_files._write_uploads([listed, *packed])))
    assert [images.label_name(index) for index in range(2)] == ["ant", "bee"]
    images = datasets.open_images(
        str(own_files._write_uploads([packed[0], upload("l.csv", b"file,label\n30.png,ant\n")]))
    )
    assert images.label_name(0) == "ant"


def test_a_path_may_lead_into_an_archive(root):
    with zipfile.ZipFile(root / "set.zip", "w") as archive:
        archive.writestr("cat/1.png", png(30))
    assert inside(root / "set.zip" / "cat") == root / "set.zip" / "cat"
    with pytest.raises(DatasetError, match="nothing at"):
        inside(root / "other.zip" / "cat")


def test_a_zip_among_images_is_refused_rather_than_left_out(root):
    with pytest.raises(DatasetError, match="Upload images or archives, with at most one list"):
        own_files._write_uploads([upload("cat.png", b"1"), upload("set.zip", b"2")])
    assert not list((root.parent / "uploads").iterdir())
