"""Images that are mixed, and what is learned of them."""

from dataclasses import replace

import pytest
import torch

from features.train.mixing import mixed
from features.train.recipe import Recipe

NONE = Recipe()
PIXELS = torch.arange(4.0)[:, None, None, None].expand(4, 3, 8, 8).contiguous()  # each image one number
CLASSES = torch.arange(4)


def test_nothing_is_mixed_unless_it_is_asked_for():
    pixels, targets = mixed(PIXELS, CLASSES, NONE, 4, 0, 0)
    assert pixels is PIXELS
    assert targets is CLASSES


def test_mixup_blends_images_as_it_blends_their_targets():
    pixels, targets = mixed(PIXELS, CLASSES, replace(NONE, mixup=1.0), 4, 0, 0)
    assert targets.shape == (4, 4)
    torch.testing.assert_close(targets.sum(1), torch.ones(4))
    numbers = targets @ torch.arange(4.0)  # what an image is, since image k is all k
    torch.testing.assert_close(pixels, numbers[:, None, None, None].expand_as(pixels))
    assert not torch.equal(pixels, PIXELS)


def test_cutmix_gives_the_share_of_the_box_to_the_other_image():
    seen = set()
    for number in range(6):
        pixels, targets = mixed(PIXELS, CLASSES, replace(NONE, cutmix=1.0), 4, 0, number)
        for image, shares in zip(pixels, targets, strict=True):
            areas = torch.stack([(image[0] == value).double().mean() for value in range(4)])
            torch.testing.assert_close(shares.double(), areas, atol=1e-6, rtol=0)
            seen.add(round(areas.max().item(), 3))
    assert len(seen) > 2


def test_labels_are_mixed_as_they_are():
    sets = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 1.0]])
    _, targets = mixed(PIXELS, sets, replace(NONE, mixup=0.5), 3, 0, 0)
    torch.testing.assert_close(targets.sum(), sets.sum())
    assert ((targets >= 0) & (targets <= 1)).all()


def test_either_happens_by_chance_where_both_are_asked_for():
    both = replace(NONE, mixup=1.0, cutmix=1.0)
    cut = [len(mixed(PIXELS, CLASSES, both, 4, 0, number)[0][1].unique()) > 1 for number in range(20)]
    assert {*cut} == {True, False}


@pytest.mark.parametrize(("seed", "epoch", "number"), [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_the_draw_depends_on_seed_epoch_and_batch_alone(seed, epoch, number):
    recipe = replace(NONE, mixup=1.0)
    first = mixed(PIXELS, CLASSES, recipe, 4, 0, 0)[0]
    torch.rand(7)
    assert torch.equal(first, mixed(PIXELS, CLASSES, recipe, 4, 0, 0)[0])
    assert not torch.equal(first, mixed(PIXELS, CLASSES, replace(recipe, seed=seed), 4, epoch, number)[0])


def test_the_callers_random_numbers_are_left_alone():
    before = torch.get_rng_state()
    mixed(PIXELS, CLASSES, replace(NONE, mixup=1.0, cutmix=1.0), 4, 0, 0)
    assert torch.equal(torch.get_rng_state(), before)
