"""Brightness, contrast and size are what they are called."""

import numpy as np
import pytest
from PIL import Image

from features.compare.pictures import properties
from features.datasets import open_images
from features.progress import finish


def test_properties_are_those_of_pictures_whose_answer_is_known(tmp_path):
    stripes = np.zeros((100, 200, 3), np.uint8)
    stripes[:, ::2] = 255
    for name, pixels in (("black", np.zeros((50, 50, 3))), ("stripes", stripes), ("white", np.full((50, 25, 3), 255))):
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{name}.png")
    halves = np.repeat([0, 255], 32)[None].repeat(64, 0).astype(np.uint8)
    Image.fromarray(halves).save(tmp_path / "halves.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "stripes.png").read_bytes()[:60])
    images = open_images(str(tmp_path))
    told = {name: dict(zip(images.ids, values, strict=True)) for name, values in finish(properties(images)).items()}
    assert told["brightness"]["black.png"] == 0
    assert told["brightness"]["white.png"] == pytest.approx(1)
    assert told["brightness"]["stripes.png"] == pytest.approx(0.5, abs=0.01)
    assert told["contrast"]["white.png"] == 0
    assert told["contrast"]["halves.png"] == pytest.approx(0.5)
    assert told["megapixels"]["stripes.png"] == 0.02
    assert told["width / height"]["white.png"] == 0.5
    assert np.isnan(told["brightness"]["broken.png"])
