"""Receptive fields against networks of positive weights, of which a single bright pixel excites all that see it."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from features import channels
from features.channels.patches import excitations, fields, patch
from features.datasets import ImageSet
from features.errors import FeatureError
from features.networks import architecture, canonical
from features.networks.canonical import ResidualNetwork
from features.networks.card import ModelSpec
from features.networks.preprocessing import Preprocessing
from features.networks.recognition import architecture_of
from features.networks.zoo import Model
from features.progress import finish
from features.residual import lesioned, without
from tests.channels.made import drawn_model
from tests.networks.unusual import UNUSUAL
from tests.random_networks import Narrow, drawn, randomise

SIDE = 64
AS_IT_IS = Preprocessing(SIDE, SIDE, (0.0,) * 3, (1.0,) * 3, "nearest")


def positive(module):
    """The same with positive weights and without biases: nothing cancels, and black makes zeros everywhere."""
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Conv2d):
                part.weight.fill_(1 / part.weight[0].numel())
                if part.bias is not None:
                    part.bias.zero_()
            elif isinstance(part, nn.BatchNorm2d):
                part.weight.fill_(1)
                part.bias.zero_()
                part.running_mean.zero_()
                part.running_var.fill_(1)
    return module


UNUSUAL_ONES = (
    "stride in the first 1x1",
    "stride in the last 3x3",
    "max-pool behind a 3x3 stem",
    "max-pool in ceil mode",
    "unpadded max-pool in ceil mode",
    "max-pool padded with zeros",
    "convolution in the pool's place",
    "average pool",
    "wide padding",
    "stem of stride 2",
)
NETWORKS = {
    "basic": lambda: drawn(Narrow, block=BasicBlock, layers=[2, 2, 1, 1], num_classes=3),
    "bottleneck": lambda: drawn(Narrow, block=Bottleneck, layers=[1, 2, 1, 1], num_classes=3),
    "CIFAR": lambda: canonical.build(architecture.cifar(14)),
    "CIFAR with projections": lambda: canonical.build(architecture.cifar(14, "projection")),
    "CIFAR without shortcuts": lambda: canonical.build(architecture.cifar(14, "none")),
    **{name: partial(canonical.build, UNUSUAL[name]) for name in UNUSUAL_ONES},
}


def made(name, preprocessing=AS_IT_IS):
    network = positive(randomise(NETWORKS[name]()).eval())
    network = canonical.freeze(network if isinstance(network, ResidualNetwork) else canonical.canonical(network))
    shape = architecture_of(network)
    return Model(network, ModelSpec("drawn", "ResNet", shape, preprocessing, (), "drawn", ""), "0" * 64)


def bright(row, column, side=SIDE):
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[row, column] = 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("pixel", [(0, 0), (31, 20), (63, 40)])
def test_exactly_the_positions_whose_patch_holds_a_bright_pixel_answer(name, pixel):
    model = made(name)
    maps = {}
    with torch.no_grad():
        x = model.network.double().stem(model.spec.preprocessing(bright(*pixel))[None].double())
        maps["stem"] = x
        for block_name, block in model.network.blocks():
            x = maps[block_name] = block(x)
    for layer, field in fields(model).items():
        answers = (maps[layer][0, :].amax(0) > 0).numpy()
        spans = np.array([field.span(position) for position in range(field.positions)])  # (P, 2)
        sees = [(spans[:, 0] <= at) & (at < spans[:, 1]) for at in pixel]  # (P,), of rows and of columns
        np.testing.assert_array_equal(answers, np.outer(*sees), layer)


def test_the_patch_of_the_strongest_answer_holds_the_bright_pixel_in_a_larger_picture():
    model = made("basic", Preprocessing(80, SIDE, (0.0,) * 3, (1.0,) * 3))
    pixels = np.zeros((3, 160, 240, 3), np.uint8)
    spots = [(30, 60), (80, 120), (120, 170)]
    for picture, (row, column) in zip(pixels, spots, strict=True):
        picture[row : row + 2, column : column + 2] = 255
    ids = tuple(map(str, range(3)))
    images = ImageSet("spots", ids, None, (), "0" * 64, lambda row: Image.fromarray(pixels[row]))
    made_of = finish(channels.responses(model, images, layers=["stem", "layer1"]))
    for layer in made_of.layers:
        for each in excitations(model, images, layer.name, layer.top, 0):
            left, top, right, bottom = each.patch.whole
            row, column = spots[each.row]
            assert top < row + 2
            assert row < bottom
            assert left < column + 2
            assert column < right
            assert right - left == pytest.approx(2 * fields(model)[layer.name].size)  # half the size is what is seen
            assert each.value == layer.top.values[0, list(layer.top.rows[0]).index(each.row)]


def test_pictures_of_channels_are_their_patches_cut_out_of_the_images():
    model = made("CIFAR")
    drawn = np.random.default_rng(0).integers(0, 255, (4, SIDE, SIDE, 3), np.uint8)
    images = ImageSet("noise", tuple("abcd"), None, (), "0" * 64, lambda row: Image.fromarray(drawn[row]))
    layer = finish(channels.responses(model, images, layers=["layer1.0"])).layer("layer1.0")
    shown = finish(channels.patch_pictures(model, images, layer.name, layer.top, [0], most=3))
    assert len(shown) == 3
    for picture, each in zip(shown.values(), excitations(model, images, layer.name, layer.top, 0), strict=False):
        left, top, right, bottom = map(int, each.patch.box)  # whole pixels, since nothing is resized
        np.testing.assert_array_equal(picture, drawn[each.row, top:bottom, left:right])
    (name,) = finish(channels.patch_pictures(model, images, layer.name, layer.top, [0]))
    assert name == f"0: {layer.top.values[0, 0]:.3g}"


def test_a_patch_in_the_middle_is_whole_and_one_at_the_border_is_clipped():
    model = made("CIFAR")
    middle = patch(model, "layer1.0", (30, 40), (SIDE, SIDE))
    assert middle.whole == middle.box == (37, 27, 44, 34)  # three convolutions of 3 x 3 see 7 x 7
    assert not middle.is_clipped
    corner = patch(model, "layer1.0", (0, 63), (SIDE, SIDE))
    assert corner.whole == (60, -3, 67, 4)
    assert corner.box == (60, 0, 64, 4)
    assert corner.is_clipped


def test_what_is_cut_off_before_the_network_sees_it_is_no_part_of_a_patch():
    model = made("CIFAR")
    corner = patch(model, "stem", (0, 0), (3 * SIDE, SIDE))
    assert corner.whole == (SIDE - 1, -1, SIDE + 2, 2)
    assert corner.box == (SIDE, 0, SIDE + 2, 2)


def test_positions_and_layers_that_do_not_exist_are_refused():
    model = made("CIFAR")
    with pytest.raises(FeatureError, match="no layer layer7"):
        patch(model, "layer7", (0, 0), (SIDE, SIDE))
    with pytest.raises(FeatureError, match="64 rows and columns from 0, but got 64 and 0"):
        patch(model, "stem", (64, 0), (SIDE, SIDE))


def test_a_dilated_network_sees_nothing_outside_its_patch():
    model = drawn_model(replace(UNUSUAL["dilated"], in_channels=3), SIDE)
    model = replace(model, network=positive(model.network), spec=replace(model.spec, preprocessing=AS_IT_IS))
    last = [name for name, _ in model.network.blocks()][-1]
    with torch.no_grad():
        *_, (_, maps) = model.network.double().trunk(AS_IT_IS(bright(31, 31))[None].double())
    rows, columns = np.nonzero((maps[0].amax(0) > 0).numpy())
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        left, top, right, bottom = patch(model, last, (row, column), (SIDE, SIDE)).box
        assert top <= 31 < bottom
        assert left <= 31 < right
    assert len(rows) > 1


def test_a_block_whose_branch_was_left_out_keeps_its_grid():
    model = made("CIFAR")
    intact = fields(model)
    changed = fields(lesioned(model, without("layer2.0")))
    assert {name: field.stride for name, field in changed.items()} == {
        name: field.stride for name, field in intact.items()
    }
    assert changed["layer2.0"].start == pytest.approx(intact["layer2.0"].start, abs=2)


def test_a_stage_is_its_last_block():
    model = made("CIFAR")
    assert patch(model, "layer1", (9, 9), (SIDE, SIDE)) == patch(model, "layer1.1", (9, 9), (SIDE, SIDE))
