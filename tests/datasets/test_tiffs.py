"""TIFFs whose numbers Pillow does not read, or takes for others."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from features.datasets import images, planes, ranges
from features.errors import ImageError

RAMP = np.linspace(0, 1, 32)[None] * np.ones((16, 1))  # (H, W)
SHOWN = np.rint(255 * RAMP)


def tiff(values, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, **{"photometric": "minisblack", **options})
    return stream.getvalue()


def decoded(data):
    return np.asarray(images.decode(data, "a.tif")).astype(int)  # (H, W, 3)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["uint16", "uint32", "int32", "uint64", "int64"])
def test_whole_numbers_of_any_type_have_65_535_for_white(kind, order):
    shown = decoded(tiff((RAMP * 65535).astype(kind), byteorder=order))
    assert np.abs(shown - SHOWN[:, :, None]).max() <= 1


@pytest.mark.parametrize("largest", [1, 255])
@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_real_numbers_of_any_type_have_1_or_255_for_white(kind, largest):
    shown = decoded(tiff((RAMP * largest).astype(kind), compression="zlib"))
    assert np.abs(shown - SHOWN[:, :, None]).max() <= 1


@pytest.mark.parametrize("kind", ["uint8", "uint16", "uint32", "int32", "float32", "float64"])
def test_where_zero_is_white_large_numbers_are_dark(kind):
    largest = {"u": 65535, "i": 65535, "f": 1}[np.dtype(kind).kind] if kind != "uint8" else 255
    shown = decoded(tiff((RAMP * largest).astype(kind), photometric="miniswhite"))
    assert np.abs(shown - (255 - SHOWN)[:, :, None]).max() <= 1


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ((RAMP * 4e9).astype(np.uint32), "from 0 to 4e.09. Wanted 0 to 65,535"),
        ((RAMP * 1e18).astype(np.uint64), "from 0 to 1e.18. Wanted 0 to 65,535"),
        ((RAMP * 100 - 50).astype(np.int8), "from -50 to 50. Wanted 0 to 255"),
        ((RAMP * 100 - 50).astype(np.int16), "from -50 to 50. Wanted 0 to 65,535"),
        ((RAMP * 100 - 50).astype(np.int64), "from -50 to 50. Wanted 0 to 65,535"),
        (RAMP * 4000, "from 0 to 4,000. Wanted 0 to 1, or 0 to 255"),
        (RAMP.astype(np.complex64), "values of type complex64. Wanted whole or floating-point"),
    ],
)
def test_numbers_of_which_nobody_knows_what_is_white_are_refused_as_they_are(values, told):
    with pytest.raises(ImageError, match=rf"a\.tif holds .*{told}"):
        images.decode(tiff(values), "a.tif")


@pytest.mark.parametrize("kind", ["uint16", "int16", "uint32"])
def test_planes_one_after_the_other_are_those_of_the_picture(kind):
    largest = np.iinfo(np.int16).max if kind == "int16" else 65535
    stored = (np.stack([RAMP, RAMP[:, ::-1], 0.5 * RAMP]) * largest).astype(kind)  # (3, H, W)
    shown = decoded(tiff(stored, photometric="rgb", planarconfig="separate"))
    wanted = np.stack([RAMP, RAMP[:, ::-1], 0.5 * RAMP], 2) * 255 * largest / 65535
    assert np.abs(shown - wanted).max() <= 1


def test_opacity_and_inks_behind_the_other_planes_count_as_in_a_picture_of_8_bits():
    for photometric, mode, more in (("rgb", "RGBA", {"extrasamples": ["unassalpha"]}), ("separated", "CMYK", {})):
        stored = np.stack([RAMP, RAMP[:, ::-1], 0.5 * RAMP, 0.2 + 0.5 * RAMP])  # (4, H, W)
        shown = decoded(
            tiff((stored * 65535).astype(np.uint16), photometric=photometric, planarconfig="separate", **more)
        )
        small = Image.fromarray(np.rint(stored * 255).astype(np.uint8).transpose(1, 2, 0).copy(), mode=mode)
        assert np.abs(shown - np.asarray(images.upright_rgb(small)).astype(int)).max() <= 2


def test_a_picture_of_such_numbers_is_turned_as_the_file_says():
    shown = decoded(tiff(RAMP, extratags=[(274, "H", 1, 6, True)]))  # its first row is the right side
    assert shown.shape == (32, 16, 3)
    assert np.abs(shown[:, 0, 0] - SHOWN[0]).max() <= 1


def test_packed_numbers_that_pillow_takes_for_others_are_read_by_it_and_taken_for_what_they_are():
    stream = io.BytesIO()  # tag 339: signed, which Pillow writes as it is told and reads as if it were not
    Image.fromarray((RAMP * 100).astype(np.uint8)).save(stream, "TIFF", compression="tiff_lzw", tiffinfo={339: 2})
    assert np.abs(decoded(stream.getvalue())[0, :, 0] - np.floor(RAMP[0] * 100)).max() <= 1


def test_further_planes_are_still_planes_whatever_their_type():
    data = tiff(np.stack([RAMP] * 5).astype(np.float64))
    assert planes.of(images.decode(data, "a.tif")).shape == (16, 32, 5)
    data = tiff((np.stack([RAMP] * 5) * 4e9).astype(np.uint32))
    assert planes.of(images.decode(data, "a.tif")).shape == (16, 32, 5)


def test_the_range_that_is_told_is_that_of_the_numbers_in_the_file():
    told = ranges.range_of(tiff((RAMP * 60000).astype(np.uint64)))
    assert (told.mode, told.low, told.high, told.white) == ("I", 0, 60000, 65535)
    assert ranges.range_of(tiff((RAMP * 100).astype(np.int8))) is None  # 8 bits


def test_a_picture_of_too_many_numbers_is_refused_before_they_are_unpacked():
    data = bytearray(tiff(np.zeros((8, 8)), compression="zlib"))
    for tag in (256, 257):  # width and height
        at = data.index(tag.to_bytes(2, "little") + (4).to_bytes(2, "little") + (1).to_bytes(4, "little"))
        data[at + 8 : at + 10] = (60000).to_bytes(2, "little")
    with pytest.raises(ImageError, match="60000 x 60000 pixels, but at most 50 megapixels"):
        images.decode(bytes(data), "a.tif")
