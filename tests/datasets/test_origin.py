"""A set of images knows from where it can be opened again, in this process or another."""

import pytest
from PIL import Image

from features.datasets import Origin, open_images, reopen


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / f"{number}.png")
    return str(tmp_path)


def test_a_folder_is_opened_again_from_where_it_lies(folder):
    images = open_images(folder)
    assert images.origin == Origin(folder)
    assert reopen(images.origin).digest == images.digest


def test_samples_of_samples_are_taken_again(folder):
    images = open_images(folder).sample(100).sample(5).sample(3)
    assert images.origin == Origin(folder, (5, 3))  # nothing was taken by the first
    again = reopen(images.origin)
    assert (again.ids, again.digest, again.origin) == (images.ids, images.digest, images.origin)


def test_what_was_picked_by_hand_or_by_another_seed_has_no_origin(folder):
    images = open_images(folder)
    assert images.take([2, 1]).origin is None
    assert images.take([2, 1]).sample(1).origin is None
    assert images.sample(3, seed=1).origin is None


def test_the_bundled_images_are_opened_again_by_name():
    images = open_images("sample").sample(10)
    assert images.origin == Origin("sample", (10,))
    assert reopen(images.origin).digest == images.digest
