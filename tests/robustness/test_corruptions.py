"""Corruptions against closed forms, other libraries and the inverse of what they do."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torchvision.transforms.v2 import functional

from features.robustness import FAMILIES, STRENGTHS, corrupted, corruptions

RANDOM = np.random.default_rng(0)
PICTURE = RANDOM.integers(0, 256, (32, 32, 3), dtype=np.uint8)
SMOOTH = np.rint(ndimage.gaussian_filter(PICTURE.astype(float), (3, 3, 0)) * 3 - 256).clip(0, 255).astype(np.uint8)
GREY = np.full((64, 64, 3), 128, np.uint8)
BATCH = RANDOM.integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)
IDS = ("a", "b", "c")


def of_one(run):
    """A corruption of one picture (H, W, C)."""

    def one(picture, strength, chance):
        return run(np.ascontiguousarray(picture.transpose(2, 0, 1))[None], strength, [chance])[0].transpose(1, 2, 0)

    return one


blurred, compressed, flattened = map(of_one, (corruptions.blurred, corruptions.compressed, corruptions.flattened))
noisy, rotated, shifted = map(of_one, (corruptions.noisy, corruptions.rotated, corruptions.shifted))


def drawn(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_noise_has_the_standard_deviation_that_it_says():
    for strength in FAMILIES["noise"].small:
        spread = noisy(GREY, strength, drawn()).astype(float)
        assert spread.std() == pytest.approx(255 * strength, rel=0.02)
        assert spread.mean() == pytest.approx(128, abs=0.5)


def test_noise_at_every_strength_is_one_draw_made_larger():
    weak, strong = (noisy(GREY, strength, drawn()).astype(float) - 128 for strength in (0.04, 0.08))
    np.testing.assert_allclose(strong, 2 * weak, atol=1.01)


@pytest.mark.parametrize("strength", FAMILIES["blur"].small)
def test_blur_is_torchvisions_of_the_same_width(strength):
    size = 2 * int(4 * strength + 0.5) + 1
    wanted = functional.gaussian_blur(torch.from_numpy(PICTURE).permute(2, 0, 1), [size] * 2, [strength] * 2)
    made = blurred(PICTURE, strength, drawn()).astype(int)
    assert np.abs(made - wanted.permute(1, 2, 0).numpy()).max() <= 1


def test_contrast_keeps_the_mean_and_scales_the_deviation():
    made = flattened(PICTURE, 0.4, drawn()).astype(float)
    np.testing.assert_allclose(made.mean((0, 1)), PICTURE.mean((0, 1)), atol=0.1)
    np.testing.assert_allclose(made.std((0, 1)), 0.4 * PICTURE.std((0, 1)), rtol=0.01)


def test_jpeg_loses_more_at_a_lower_quality_and_nothing_of_a_grey_square():
    lost = [np.square(compressed(SMOOTH, quality, drawn()).astype(float) - SMOOTH).mean() for quality in (95, 50, 7)]
    assert 0 < lost[0] < lost[1] < lost[2]
    assert np.array_equal(compressed(GREY, 40, drawn()), GREY)
    assert compressed(GREY[:, :, :1], 40, drawn()).shape == (64, 64, 1)


def test_rotation_by_90_degrees_is_numpys_to_one_of_both_sides():
    turned = [rotated(SMOOTH, 90, drawn(seed)) for seed in range(8)]
    sides = [np.abs(np.rot90(SMOOTH, way).astype(int) - each).max() <= 1 for each in turned for way in (1, -1)]
    assert sum(sides) == len(turned)
    assert len({each.tobytes() for each in turned}) == 2


def test_a_picture_that_is_turned_and_turned_back_is_itself_round_its_centre():
    class Way:  # to the one side, then to the other
        def __init__(self, value: float) -> None:
            self.value = value

        def random(self) -> float:
            return self.value

    again = rotated(rotated(SMOOTH, 20, Way(0)), 20, Way(1))
    difference = np.abs(again.astype(int) - SMOOTH)[10:22, 10:22]
    assert difference.mean() < 3


def test_a_shift_moves_whole_pixels_by_its_length():
    for seed in range(20):
        made = shifted(PICTURE, 4 / 32, drawn(seed))
        angle = 2 * np.pi * drawn(seed).random()
        down, right = round(4 * np.sin(angle)), round(4 * np.cos(angle))
        wanted = ndimage.shift(PICTURE, (down, right, 0), order=0, cval=0)
        assert np.array_equal(made, wanted)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [32, 224])
def test_every_family_has_five_strengths_each_worse_than_the_last(family, channels, side):
    strengths = family.strengths(side)
    assert len(strengths) == STRENGTHS
    pixels = np.repeat(np.repeat(SMOOTH[None].transpose(0, 3, 1, 2)[:, :channels], side // 32, 2), side // 32, 3)
    made = [corrupted(pixels, family, strength, ["a"]) for strength in strengths]
    assert all(each.dtype == np.uint8 and each.shape == pixels.shape for each in made)
    lost = [np.square(each.astype(float) - pixels).mean() for each in made]
    assert all(one < other for one, other in zip([0, *lost[:-1]], lost, strict=True))


@pytest.mark.parametrize("name", ["noise", "rotation", "shift"])
def test_what_is_drawn_of_an_image_depends_on_its_name_and_the_seed_alone(name):
    family = FAMILIES[name]
    strength = family.small[-1]
    whole = corrupted(BATCH, family, strength, IDS)
    assert np.array_equal(corrupted(BATCH[1:], family, strength, IDS[1:]), whole[1:])
    assert np.array_equal(corrupted(BATCH[::-1], family, strength, IDS[::-1]), whole[::-1])
    others = [corrupted(BATCH, family, strength, IDS, seed=seed) for seed in range(1, 7)]
    assert not all(np.array_equal(other, whole) for other in others)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_a_network_of_bgr_is_shown_the_same_picture(family):
    strength = family.small[2]
    rgb = corrupted(BATCH, family, strength, IDS)
    assert np.array_equal(corrupted(BATCH[:, ::-1], family, strength, IDS, order="bgr"), rgb[:, ::-1])
