"""Digests of images by their content: the same in whatever they lie, and each file read once."""

import hashlib
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from features.datasets import open_images
from features.datasets.image_set import FileOpener, ImageSet
from features.notes import contents as contents_of
from features.notes.contents import OF_PIXELS, candidates, content
from features.progress import finish


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(4):
        (tmp_path / "set" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (9 + number, 9, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "set" / "ab"[number % 2] / f"{number}.png")
    return tmp_path / "set"


def reads(images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The images that are read from now on."""
    made: list[int] = []
    read = images.opener.read

    def counted(index: int) -> tuple[bytes, str]:
        made.append(index)
        return read(index)

    object.__setattr__(images, "opener", FileOpener(counted, images.opener.path))
    return made


def test_the_digest_is_that_of_the_file(folder):
    images = open_images(str(folder))
    for row in range(len(images)):
        data = Path(images.uri(row)).read_bytes()
        assert content(images, row).digest == hashlib.sha256(data).hexdigest()
        assert content(images, row).size == len(data)


def test_an_image_is_the_same_in_a_folder_and_in_an_archive(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, path.relative_to(folder))
    sets = [open_images(str(place)) for place in (folder, tmp_path / "set.zip")]
    one, other = ({images.ids[row]: content(images, row) for row in range(4)} for images in sets)
    assert one == other


def test_what_lies_in_no_file_is_known_by_its_pixels(folder):
    images = open_images(str(folder))
    in_memory = ImageSet("memory", images.ids, None, (), "digest", images.open)
    told = {content(in_memory, row).digest for row in range(4)}
    assert len(told) == 4
    assert all(digest.startswith(OF_PIXELS) for digest in told)


def test_a_set_that_only_says_where_its_images_lie_knows_them_by_their_files(folder):
    """As features in a folder do."""
    images = open_images(str(folder))
    told = ImageSet("features", images.ids, None, (), "digest", images.open, locate=images.uri)
    assert [content(told, row) for row in range(4)] == [content(images, row) for row in range(4)]
    assert candidates(told, {content(images, 2).size}) == [2]


def test_a_file_is_read_once_and_again_when_it_has_changed(folder, monkeypatch):
    images = open_images(str(folder))
    made = reads(images, monkeypatch)
    first = finish(contents_of(images, range(4)))
    assert sorted(made) == [0, 1, 2, 3]
    assert finish(contents_of(images, range(4))).of == first.of
    assert len(made) == 4
    path = Path(images.uri(2))
    path.write_bytes(path.read_bytes() + b"more")
    os.utime(path, ns=(1, 1))
    again = finish(contents_of(images, range(4)))
    assert made[4:] == [2]
    assert [row for row in range(4) if again.of[row] != first.of[row]] == [2]


def test_a_file_that_cannot_be_read_stops_nothing(folder):
    images = open_images(str(folder))
    Path(images.uri(1)).unlink()
    told = finish(contents_of(images, range(4)))
    assert sorted(told.of) == [0, 2, 3]
    assert [each.id for each in told.rejected] == [images.ids[1]]


def test_of_files_those_alone_may_be_the_same_that_have_the_size(folder, monkeypatch):
    images = open_images(str(folder))
    made = reads(images, monkeypatch)
    sizes = [content(images, row).size for row in range(4)]
    assert len(set(sizes)) == 4
    made.clear()
    assert candidates(images, {sizes[2], 1}) == [2]
    assert candidates(images, set()) == []
    assert made == []


def test_nothing_depends_on_the_cache_folder(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(finish(contents_of(open_images(str(folder)), range(4))).of) == 4
