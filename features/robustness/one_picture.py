"""One picture made worse, for whoever wants to see what becomes of its prediction and its maps."""

from dataclasses import replace

import numpy as np
from PIL import Image

from features.networks.zoo import Model
from features.robustness.corruptions import FAMILIES, corrupted
from features.robustness.measuring import need_pictures


def of_framed(model: Model) -> Model:
    """The same network for pictures that are what it sees already: nothing is scaled, and nothing is cut off."""
    side = model.spec.preprocessing.crop
    preprocessing = replace(model.spec.preprocessing, resize=side, crop=side)
    return replace(model, spec=replace(model.spec, preprocessing=preprocessing))


def worsened(model: Model, picture: Image.Image, family: str, level: int, name: str, seed: int = 0) -> Image.Image:
    """What a network sees of a picture, (S, S) in RGB, corrupted as an image of that name in a set is.

    family: of FAMILIES. level: the strength, 1 to 5, 0 for none. `of_framed(model)` sees it as it is.
    Raises FeatureError for a family that there is none of, and for a network of other planes.
    """
    need_pictures(model)
    kind, preprocessing = FAMILIES.need(family), model.spec.preprocessing
    pixels = preprocessing.framed_array(picture)[None]  # (1, C, S, S)
    if level:
        strength = kind.strengths(preprocessing.crop)[level - 1]
        pixels = corrupted(pixels, kind, strength, [name], seed, preprocessing.channel_order)
    step = -1 if preprocessing.channel_order == "bgr" else 1
    values = np.broadcast_to(pixels[0, ::step], (3, *pixels.shape[2:])).transpose(1, 2, 0)  # (S, S, 3)
    return Image.fromarray(np.ascontiguousarray(values))
