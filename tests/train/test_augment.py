"""Measuring a set, and batches that are augmented as asked and the same ones every time."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch.utils.data import DataLoader

from features.datasets import ImageSet
from features.errors import ImageError
from features.networks.preprocessing import Preprocessing
from features.train import augment
from features.train.policies import POLICIES
from features.train.recipe import Recipe

# A machine with fewer cores than workers is slower, and nothing else.
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

PREPROCESSING = Preprocessing(16, 16, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
OFF = Recipe(batch_size=4, crop_padding=0, flip=0.0)
EVERYTHING = Recipe(batch_size=4, crop_padding=2, flip=0.5, erasing=0.5, noise=0.05)


def picture_set(values: np.ndarray) -> ImageSet:
    """Pictures of (N, H, W, 3) uint8, each in a class of its own, so that a label tells which one it is."""
    numbers = np.arange(len(values), dtype=np.int64)
    names = tuple(map(str, numbers))
    return ImageSet("pictures", names, numbers, names, "0" * 64, lambda index: Image.fromarray(values[index]))


def noise(n_images: int, height: int = 16, width: int = 16, channels: int = 3) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 256, (n_images, height, width, channels), dtype=np.uint8)
    return np.broadcast_to(values, (n_images, height, width, 3)).copy()


# --- measure ---------------------------------------------------------------------------------------------------------


def test_mean_and_deviation_are_those_of_all_pixels():
    values = noise(6) // np.array([1, 2, 4], dtype=np.uint8)  # every channel with statistics of its own
    values[0] = 255  # and one picture unlike the others, so that a mean of deviations would be seen
    found = augment.measure(picture_set(values))
    np.testing.assert_allclose(found.mean, values.mean((0, 1, 2)) / 255, atol=6e-5)  # given with four decimals
    np.testing.assert_allclose(found.std, values.std((0, 1, 2)) / 255, atol=6e-5)


def test_grey_pictures_are_measured_in_one_channel():
    values = noise(5, channels=1)
    found = augment.measure(picture_set(values))
    assert found.channels == 1
    assert found.mean == pytest.approx([values.mean() / 255], abs=6e-5)
    assert found.std == pytest.approx([values.std() / 255], abs=6e-5)


@pytest.mark.parametrize("coloured", [0, 69])
def test_one_coloured_picture_makes_the_set_a_coloured_one(coloured):
    values = noise(70, 4, 4, channels=1)  # a whole first class may be grey
    values[coloured, 2, 3] = (10, 20, 30)
    assert augment.measure(picture_set(values)).channels == 3


@pytest.mark.parametrize(
    ("height", "width", "resize", "crop"),
    [(28, 28, 28, 28), (64, 64, 64, 64), (65, 65, 256, 224), (32, 40, 256, 224)],
)
def test_small_squares_keep_their_size_and_others_get_imagenets(height, width, resize, crop):
    found = augment.measure(picture_set(noise(2, height, width)))
    assert (found.resize, found.crop) == (resize, crop)


def test_scaling_does_not_change_the_mean_of_one_colour_and_its_deviation_can_be_divided_by():
    values = np.full((2, 100, 90, 3), (51, 102, 204), dtype=np.uint8)
    found = augment.measure(picture_set(values))
    assert found.mean == (0.2, 0.4, 0.8)
    assert found.std == (1e-4,) * 3  # and not zero


def test_no_more_pictures_are_opened_than_asked_for_and_the_seed_chooses_them():
    opened: list[int] = []
    images = picture_set(noise(40, 4, 4))

    def opener(index: int) -> Image.Image:
        opened.append(index)
        return images.open(index)

    chosen = []
    for seed in (0, 0, 1):
        opened.clear()
        augment.measure(replace(images, opener=opener), limit=10, seed=seed)
        assert opened.pop(0) == 0  # for the size
        chosen.append(set(opened))
    assert len(chosen[0]) == len(opened) == 10
    assert chosen[0] == chosen[1] != chosen[2]


def test_a_picture_that_cannot_be_read_is_an_error(tiny_folder, tiny_images):
    (tiny_folder / "fox" / "3.png").write_bytes(b"torn")
    with pytest.raises(ImageError, match=r"fox/3\.png"):
        augment.measure(tiny_images)


def loaded(images: ImageSet, preprocessing: Preprocessing, recipe: Recipe, epoch: int) -> DataLoader:
    """The batches of an epoch that learns the images' labels."""
    transform = augment.augmentation(preprocessing, recipe)
    return augment.loader(augment.Augmented(images, images.labels, transform, recipe.seed, epoch), recipe, epoch)


# --- what augmentation does ------------------------------------------------------------------------------------------


def epoch_of(
    images: ImageSet, recipe: Recipe, epoch: int = 0, preprocessing: Preprocessing = PREPROCESSING
) -> dict[int, torch.Tensor]:
    """The pixels (C, S, S) of every image, under its number and in the order in which they came."""
    found: dict[int, torch.Tensor] = {}
    for pixels, labels in loaded(images, preprocessing, recipe, epoch):
        for label, image in zip(labels.tolist(), pixels, strict=True):
            assert label not in found
            found[label] = image
    return found


def alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether pixels are equal up to rounding: one grey level is a thousand times the tolerance."""
    return torch.allclose(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("height", "width", "preprocessing"),
    [
        (16, 16, PREPROCESSING),
        (16, 16, Preprocessing(16, 16, (0.4,), (0.3,))),  # colours made grey
        (20, 31, PREPROCESSING),
        (40, 36, Preprocessing(20, 16, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))),
    ],
)
def test_with_all_augmentation_off_the_pixels_are_those_that_the_tested_network_sees(height, width, preprocessing):
    images = picture_set(noise(6, height, width))
    found = epoch_of(images, OFF, preprocessing=preprocessing)
    assert set(found) == set(range(6))
    for index, pixels in found.items():
        assert alike(pixels, preprocessing(images.open(index)))


def test_large_pictures_in_the_centre_are_those_that_the_tested_network_sees():
    preprocessing = Preprocessing(80, 72, (0.5,) * 3, (0.5,) * 3)
    images = picture_set(noise(4, 100, 90))
    for index, pixels in epoch_of(
        images, replace(OFF, crop="centre", crop_padding=2), preprocessing=preprocessing
    ).items():
        assert alike(pixels, preprocessing(images.open(index)))


def test_a_certain_flip_mirrors_every_picture():
    images = picture_set(noise(6))
    for index, pixels in epoch_of(images, replace(OFF, flip=1.0)).items():
        assert alike(pixels, PREPROCESSING(images.open(index)).flip(-1))


def test_a_flip_of_one_half_mirrors_about_half_of_the_pictures():
    images = picture_set(noise(64))
    mirrored = 0
    for index, pixels in epoch_of(images, replace(OFF, flip=0.5, batch_size=64)).items():
        plain = PREPROCESSING(images.open(index))
        assert alike(pixels, plain) != alike(pixels, plain.flip(-1))
        mirrored += alike(pixels, plain.flip(-1))
    assert 16 <= mirrored <= 48  # four standard deviations of 64 throws


def test_padded_crops_are_shifts_of_the_picture_on_black():
    images = picture_set(noise(12))
    plain = Preprocessing(20, 20, PREPROCESSING.mean, PREPROCESSING.std)
    shifts = set()
    for index, pixels in epoch_of(images, replace(OFF, crop_padding=2)).items():
        wide = plain(ImageOps.expand(images.open(index), 2, "black"))  # (3, 20, 20)
        fits = [
            (down, right)
            for down in range(5)
            for right in range(5)
            if alike(pixels, wide[:, down : down + 16, right : right + 16])
        ]
        assert len(fits) == 1
        shifts.update(fits)
    assert len(shifts) > 4  # of 25


def test_noise_has_the_deviation_that_was_asked_for():
    images = picture_set(np.full((20, 16, 16, 3), 128, dtype=np.uint8))
    found = torch.stack(list(epoch_of(images, replace(OFF, noise=0.05)).values()))  # (N, 3, S, S)
    values = found * torch.tensor(PREPROCESSING.std)[:, None, None] + torch.tensor(PREPROCESSING.mean)[:, None, None]
    assert values.mean().item() == pytest.approx(128 / 255, abs=0.002)  # 15360 draws
    assert values.std().item() == pytest.approx(0.05, rel=0.03)


def test_erasing_replaces_one_rectangle_by_the_mean_colour():
    images = picture_set(noise(8))
    for index, pixels in epoch_of(images, replace(OFF, erasing=1.0)).items():
        changed = ((pixels - PREPROCESSING(images.open(index))).abs() > 1e-5).any(0)  # (S, S)
        rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
        box = pixels[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert not box.any()  # zero is the mean once normalised
        assert changed.sum() == box[0].numel() < 128  # all of the rectangle, and less than half of the picture


def test_large_pictures_get_random_crops_scaled_to_the_networks_side():
    preprocessing = Preprocessing(80, 72, (0.5,) * 3, (0.5,) * 3)
    ramp = np.repeat(np.linspace(0, 255, 90, dtype=np.uint8)[None, None, :, None], 80, axis=1)
    images = picture_set(np.broadcast_to(ramp, (6, 80, 90, 3)).copy())  # six times one picture, dark to bright
    found = epoch_of(images, OFF, preprocessing=preprocessing)
    assert {pixels.shape for pixels in found.values()} == {(3, 72, 72)}
    spans = {(pixels.min().item(), pixels.max().item()) for pixels in found.values()}
    assert len(spans) > 1  # they show different parts
    assert all((pixels.diff(dim=-1) >= 0).all() for pixels in found.values())  # unflipped


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("policy", [name for name in POLICIES if name != "none"])
def test_a_policy_changes_pictures_in_their_range(policy, channels):
    images = picture_set(noise(12, channels=channels))
    preprocessing = Preprocessing(16, 16, (0.5,) * channels, (0.25,) * channels)
    found = epoch_of(images, replace(OFF, policy=policy), preprocessing=preprocessing)
    changed = [not alike(pixels, preprocessing(images.open(index))) for index, pixels in found.items()]
    assert sum(changed) > 6
    assert all(pixels.min() >= -2 and pixels.max() <= 2 for pixels in found.values())


@pytest.mark.parametrize(
    "preprocessing",
    [
        replace(PREPROCESSING, channel_order="bgr"),
        replace(PREPROCESSING, interpolation="bicubic"),
        replace(PREPROCESSING, framing="squash"),
    ],
    ids=["order", "interpolation", "framing"],
)
def test_weights_that_exist_see_pictures_as_they_did(preprocessing):
    images = picture_set(noise(6, 20, 31))
    for index, pixels in epoch_of(images, OFF, preprocessing=preprocessing).items():
        assert alike(pixels, preprocessing(images.open(index)))


# --- drawn in balance ------------------------------------------------------------------------------------------------

TAIL = np.repeat(np.arange(3), (20, 7, 2))


def test_each_class_is_drawn_as_often_as_any_other_its_images_in_turn():
    draws = np.array(augment.balanced_draws(TAIL, seed=0, epoch=1))
    assert len(draws) == len(np.unique(draws)) == 29
    assert sorted(np.bincount(TAIL[draws % 29])) == [9, 10, 10]
    times = np.bincount(draws % 29, minlength=29)
    assert times[:20].max() == 1  # of 20 images 10 are drawn, none twice
    assert np.ptp(times[20:27]) <= 1
    assert np.ptp(times[27:]) <= 1


def test_another_epoch_and_another_seed_draw_others():
    one = augment.balanced_draws(TAIL, 0, 1)
    assert one == augment.balanced_draws(TAIL, 0, 1)
    assert one not in (augment.balanced_draws(TAIL, 0, 2), augment.balanced_draws(TAIL, 1, 1))


def test_an_image_that_is_drawn_again_is_augmented_anew():
    images = replace(picture_set(noise(29)), labels=TAIL)
    batches = [*loaded(images, PREPROCESSING, replace(EVERYTHING, sampling="balanced"), 0)]
    rare = torch.cat([pixels[labels == 2] for pixels, labels in batches])
    assert len(rare) >= 9
    assert len({pixels.numpy().tobytes() for pixels in rare}) == len(rare)


# --- the same batches every time -------------------------------------------------------------------------------------


def same(one: dict[int, torch.Tensor], other: dict[int, torch.Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(one[index], other[index]) for index in one)


@pytest.mark.slow
def test_batches_are_the_same_whatever_the_number_of_workers():
    images = picture_set(noise(10))
    first = epoch_of(images, replace(EVERYTHING, workers=1), epoch=3)
    for workers in (1, 3):
        assert same(first, epoch_of(images, replace(EVERYTHING, workers=workers), epoch=3))


@pytest.mark.parametrize(("seed", "epoch"), [(0, 4), (1, 3)])
def test_another_epoch_and_another_seed_shuffle_and_augment_anew(seed, epoch):
    images = picture_set(noise(10))
    one, other = epoch_of(images, EVERYTHING, 3), epoch_of(images, replace(EVERYTHING, seed=seed), epoch)
    assert list(one) != list(other)
    assert not any(torch.equal(one[index], other[index]) for index in one)  # noise alone makes every one another


def test_the_draw_belongs_to_the_image_and_not_to_its_batch():
    images = picture_set(noise(10))
    assert same(epoch_of(images, EVERYTHING), epoch_of(images, replace(EVERYTHING, batch_size=5)))


def test_images_of_one_epoch_are_augmented_differently():
    images = picture_set(np.full((8, 16, 16, 3), 128, dtype=np.uint8))
    found = list(epoch_of(images, replace(OFF, noise=0.05)).values())
    assert not any(torch.equal(found[0], other) for other in found[1:])


@pytest.mark.slow
def test_the_largest_seed_can_be_used():
    images = picture_set(noise(4))
    largest = replace(EVERYTHING, seed=2**32 - 1)
    assert same(epoch_of(images, largest, 300), epoch_of(images, largest, 300))
    assert not same(epoch_of(images, largest, 300), epoch_of(images, replace(EVERYTHING, seed=2**32 - 2), 300))


@pytest.mark.parametrize(("n_images", "sizes"), [(8, [4, 4]), (10, [4, 4, 2]), (9, [4, 4]), (3, [3])])
def test_every_image_comes_once_but_a_single_one_that_is_left_over(n_images, sizes):
    found = list(loaded(picture_set(noise(n_images)), PREPROCESSING, OFF, 0))
    assert [len(labels) for _, labels in found] == sizes
    labels = torch.cat([labels for _, labels in found]).tolist()
    assert len(set(labels)) == len(labels)
    assert labels != sorted(labels)  # shuffled


def test_the_callers_random_numbers_are_left_alone():
    images = picture_set(noise(8))
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002 - what others may rely on
    augment.measure(images)
    epoch_of(images, EVERYTHING)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.array_equal(np.random.get_state()[1], before[2][1])  # noqa: NPY002
