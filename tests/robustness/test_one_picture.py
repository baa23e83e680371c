"""One picture made worse: as a set's, and seen as it is by the network that is given it."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from features.networks.preprocessing import Preprocessing
from features.robustness import FAMILIES, corrupted, of_framed, worsened
from tests.robustness.test_measuring import model

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8))
COLOURS, GREY = (0.5,) * 3, (0.5,)
KINDS = {
    "rgb": Preprocessing(20, 16, COLOURS, COLOURS),
    "bgr": Preprocessing(20, 16, COLOURS, COLOURS, channel_order="bgr"),
    "grey": Preprocessing(20, 16, GREY, GREY),
    "squashed": Preprocessing(20, 20, COLOURS, COLOURS, framing="squash"),
}


@pytest.mark.parametrize("level", [0, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_shown_is_what_the_network_then_sees(kind, level):
    net = model()
    net = replace(net, spec=replace(net.spec, preprocessing=KINDS[kind]))
    made = worsened(net, PICTURE, "noise", level, "a.png")
    pixels = net.spec.preprocessing.framed_array(PICTURE)[None]
    if level:
        strength = FAMILIES["noise"].small[level - 1]
        pixels = corrupted(pixels, FAMILIES["noise"], strength, ["a.png"], order=KINDS[kind].channel_order)
    side = KINDS[kind].crop
    assert (made.size, made.mode) == ((side, side), "RGB")
    assert np.array_equal(of_framed(net).spec.preprocessing.framed_array(made), pixels[0])
    assert of_framed(net).network is net.network
