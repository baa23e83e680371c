"""Where in a picture a network's input lies. That inputs equal torchvision's is tested with the networks."""

import numpy as np
import pytest
from PIL import Image

from features.networks.preprocessing import Preprocessing

COLOURS = ((0.5,) * 3, (0.25,) * 3)


def test_the_box_of_a_cut_is_told_in_pixels_of_the_picture():
    assert Preprocessing(256, 224, *COLOURS).box((512, 512)) == (32, 32, 480, 480)
    # 341 x 256 px after scaling; 58 of 117 px are cut off at the left
    left, top, right, bottom = Preprocessing(256, 224, *COLOURS).box((400, 300))
    assert (left, right) == pytest.approx((58 * 400 / 341, (58 + 224) * 400 / 341))
    assert (top, bottom) == (16 * 300 / 256, 240 * 300 / 256)
    assert Preprocessing(64, 64, *COLOURS, framing="squash").box((200, 50)) == (0, 0, 200, 50)
    assert Preprocessing(32, 48, *COLOURS).box((64, 64)) == (-16, -16, 80, 80)  # 8 px of black on each side


@pytest.mark.parametrize("size", [(90, 60), (60, 90), (61, 61)])
@pytest.mark.parametrize("framing", ["centre", "centre-down", "squash"])
def test_what_the_network_sees_lies_in_its_box(size, framing):
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    picture = Image.fromarray(np.stack([2 * x, 2 * y, 0 * x], 2).astype(np.uint8))
    cut = Preprocessing(120, 80, *COLOURS, framing=framing)
    seen = cut.framed_array(picture)[:2, 10:-10, 10:-10]  # (2, S, S), away from the picture's edges
    left, top, right, bottom = cut.box(size)
    steps = (np.arange(80) + 0.5)[10:-10] / 80
    np.testing.assert_allclose(seen[0, 0], 2 * (left + steps * (right - left) - 0.5), atol=1.1)
    np.testing.assert_allclose(seen[1, :, 0], 2 * (top + steps * (bottom - top) - 0.5), atol=1.1)
