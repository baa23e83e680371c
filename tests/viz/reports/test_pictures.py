"""The pictures of a report: small, each once, as many as there is room for."""

import base64
import io
from functools import partial

import numpy as np
import pytest
from PIL import Image

from features.errors import ImageError
from features.progress import finish
from viz.reports import Document, Fold, Gallery, Picture, Section, Tile, illustrated
from viz.reports.pictures import SIDE, wanted_by


def document(*galleries):
    """galleries: the keys of their pictures, with what makes each."""
    made = [
        Gallery("", tuple(Tile((Picture(key, make, ""),), ()) for key, make in gallery), len(gallery))
        for gallery in galleries
    ]
    return Document("", (), (Section("one", "", (made[0], Fold("fold", "", "", tuple(made[1:])))),))


def noise(size, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))


def opened(address):
    return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))


def test_first_pictures_of_all_galleries_come_before_second_ones_of_any():
    galleries = [[(key, None) for key in keys] for keys in ("abc", "bde", "f")]
    assert "".join(picture.key for picture in wanted_by(document(*galleries))) == "abfdce"


def test_pictures_fill_the_room_and_no_more():
    gallery = [(str(number), partial(noise, (SIDE, SIDE), number)) for number in range(300)]
    whole = finish(illustrated(document(gallery, []), 10**9)).pictures
    assert list(whole) == [key for key, _ in gallery]
    few = finish(illustrated(document(gallery, []), 500_000)).pictures
    assert list(few) == list(whole)[: len(few)]
    used = sum(len(f'"{key}":"{address}",') for key, address in few.items())
    assert used <= 500_000 < used + 2 * len(few["0"])
    assert finish(illustrated(document(gallery, []), 0)).pictures == {}


def test_large_images_become_small_squares_and_small_ones_keep_their_pixels():
    small, large = noise((28, 28)), noise((400, 300))
    made = finish(illustrated(document([("s", lambda: small), ("l", lambda: large)], []), 10**6)).pictures
    np.testing.assert_array_equal(np.asarray(opened(made["s"])), np.asarray(small))
    assert opened(made["l"]).size == (SIDE, SIDE)
    assert opened(made["l"]).format == "JPEG"


def test_an_image_that_cannot_be_opened_is_grey():
    def lost():
        raise ImageError("gone")

    made = finish(illustrated(document([("lost", lost)], []), 10**6)).pictures
    assert opened(made["lost"]).getpixel((0, 0)) == (128, 128, 128)


def test_a_fault_of_the_program_is_no_grey_picture():
    with pytest.raises(ZeroDivisionError):
        finish(illustrated(document([("wrong", lambda: 1 / 0)], []), 10**6))
