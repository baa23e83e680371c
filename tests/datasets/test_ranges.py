"""What is taken for white in pictures of more than 8 bits is said, and that of several frames one is taken."""

import io

import numpy as np
import pytest
from PIL import Image

from features import datasets
from features.datasets import ranges


def folder(tmp_path, *pictures, ending="tif"):
    for number, values in enumerate(pictures):
        Image.fromarray(values).save(tmp_path / f"{number}.{ending}")
    return datasets.open_images(str(tmp_path))


def test_twelve_bits_in_sixteen_are_said_to_come_out_dark(tmp_path):
    ramp = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)
    (note,) = ranges.notes(folder(tmp_path, ramp, ramp // 2))
    assert "(I;16) hold 0 to 4,095; 65,535 is taken for white." in note
    assert "If they have 12 bits they come out dark" in note


def test_sixteen_bits_are_said_and_no_more(tmp_path):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    assert ranges.notes(folder(tmp_path, ramp, ending="png")) == [
        "Pictures of more than 8 bits (I;16) hold 0 to 65,535; 65,535 is taken for white."
    ]


def test_real_numbers_of_two_ranges_are_said_to_differ(tmp_path):
    ramp = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    (note,) = ranges.notes(folder(tmp_path, ramp, ramp * 200))
    assert "hold 0 to 200; 1 or 255 is taken for white" in note
    assert "pictures of one set differ" in note


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
def test_of_eight_bits_nothing_is_said(tmp_path, mode):
    Image.new(mode, (8, 8)).save(tmp_path / "a.png")
    assert ranges.notes(datasets.open_images(str(tmp_path))) == []


def test_damaged_files_are_for_others_to_speak_of(tmp_path, tiny_images):
    (tmp_path / "a.tif").write_bytes(b"no picture")
    assert ranges.notes(datasets.open_images(str(tmp_path))) == []
    assert ranges.range_of(b"") is None
    assert ranges.notes(tiny_images) == []
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4), 1e6, np.float32)).save(buffer, "TIFF")
    assert ranges.range_of(buffer.getvalue()) is None  # decoding it refuses it


@pytest.mark.parametrize("ending", ["gif", "tif", "webp", "png"])
def test_the_first_of_several_frames_is_said_to_be_taken(tmp_path, ending):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / f"b.{ending}")
    images = datasets.open_images(str(tmp_path))
    assert ranges.notes(images) == [
        f"Of files of several frames or pages the first is taken (a.{ending}; 1 of the 2 images looked at)."
    ]
    red, _, blue = images.open(0).getpixel((4, 4))
    assert red > 200 > 50 > blue
