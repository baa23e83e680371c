"""Small pictures that are decoded once and kept in a file with holes."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from features import files, rasters
from features.errors import ImageError
from features.progress import finish
from viz.cached import atlas, pictures


class Images:
    """A set that counts what is opened. missing: rows that cannot be read."""

    def __init__(self, number: int, missing: tuple[int, ...] = ()) -> None:
        random = np.random.default_rng(0)
        self.values = random.integers(0, 256, (number, 60, 70, 3), dtype=np.uint8)
        self.digest, self.missing, self.opened = "ab" * 32, set(missing), []

    def __len__(self) -> int:
        return len(self.values)

    def open(self, row: int) -> Image.Image:
        self.opened.append(row)
        if row in self.missing:
            raise ImageError(f"{row} cannot be read.")
        return Image.fromarray(self.values[row])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return files.cache_folder("thumbnails")


def tile(images, row):
    return np.asarray(rasters.square(Image.fromarray(images.values[row]), atlas.SIDE))


def test_pictures_come_in_the_order_asked_for_and_are_opened_once():
    images, rows = Images(200), [150, 3, 3, 77, *range(100)]
    wanted = [tile(images, row) for row in rows]
    np.testing.assert_array_equal(finish(atlas.tiles(images, rows)), wanted)
    images.opened.clear()
    np.testing.assert_array_equal(finish(atlas.tiles(images, rows[::-1])), wanted[::-1])
    assert images.opened == []


def test_a_file_takes_the_room_of_what_was_looked_at(folder):
    images = Images(10)
    images.values = np.broadcast_to(images.values[0], (100_000, 60, 70, 3))
    finish(atlas.tiles(images, [99_999]))
    (file,) = folder.iterdir()
    assert file.stat().st_size == 100_000 * (1 + atlas.BYTES)
    assert files._size_on_disk(file.stat()) < 1 << 20


def test_what_cannot_be_read_is_grey_and_asked_for_again():
    images = Images(5, missing=(2,))
    made = finish(atlas.tiles(images, [1, 2]))
    assert (made[1] == 128).all()
    images.missing.clear()
    np.testing.assert_array_equal(finish(atlas.tiles(images, [1, 2])), [tile(images, 1), tile(images, 2)])


def test_without_a_place_to_keep_them_pictures_come_all_the_same(folder):
    folder.parent.mkdir(parents=True)
    folder.write_text("a file where the folder should be")
    images = Images(4)
    np.testing.assert_array_equal(finish(atlas.tiles(images, [3])), [tile(images, 3)])


def test_a_file_that_was_cut_off_is_filled_again(folder):
    images = Images(4)
    finish(atlas.tiles(images, range(4)))
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[: 4 + 2 * atlas.BYTES + 10])
    np.testing.assert_array_equal(finish(atlas.tiles(images, range(4))), [tile(images, row) for row in range(4)])


def test_a_selection_has_a_sheet_of_its_own():
    images = SimpleNamespace(digest="ab" * 32)
    first, other = (pictures.part_work(images, np.array(rows)) for rows in ([5, 2], [2, 5]))
    assert first.key != other.key  # in their order
    assert first.key == pictures.part_work(images, np.array([5, 2])).key
    many = np.arange(10_000)
    assert pictures.part_work(images, many).key == pictures.part_work(images, many[: pictures.PART_LIMIT]).key
