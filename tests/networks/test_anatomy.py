"""Sizes against torchvision's published numbers, hand counts and the gradients of a real network."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torchvision import models

from features.networks.anatomy import Anatomy, Part, anatomy
from features.networks.architecture import Architecture, cifar, imagenet
from features.networks.canonical import ResidualNetwork, build
from features.networks.catalogue import TORCHVISION


def last_of_each_stage(found: Anatomy) -> dict[str, Part]:
    return {part.stage: part for part in found.parts if part.stage}


# --- parameters and operations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet18", "resnext50_32x4d"])
def test_parameters_and_operations_are_those_that_torchvision_publishes(name):
    found = anatomy(TORCHVISION[name], 224)
    published = models.get_model_weights(name).IMAGENET1K_V1.meta
    assert found.parameters == published["num_params"]
    assert found.macs / 1e9 == pytest.approx(published["_ops"], abs=0.00051)  # given with three decimals


def test_every_part_has_the_operations_counted_by_hand():
    found = anatomy(cifar(8), 32)
    assert {part.name: part.macs for part in found.parts} == {
        "stem": 9 * 3 * 16 * 32**2,
        "layer1.0": 2 * 9 * 16 * 16 * 32**2,
        "layer2.0": 9 * (16 * 32 + 32 * 32) * 16**2,
        "layer3.0": 9 * (32 * 64 + 64 * 64) * 8**2,
        "head": 64 * 10,
    }


def test_every_part_has_the_parameters_counted_by_hand():
    found = anatomy(cifar(8), 32)
    assert {part.name: part.parameters for part in found.parts} == {
        "stem": 9 * 3 * 16 + 2 * 16,
        "layer1.0": 9 * (16 * 16 + 16 * 16) + 2 * (16 + 16),
        "layer2.0": 9 * (16 * 32 + 32 * 32) + 2 * (32 + 32),
        "layer3.0": 9 * (32 * 64 + 64 * 64) + 2 * (64 + 64),
        "head": 64 * 10 + 10,
    }


def test_projections_are_counted_and_free_shortcuts_are_not():
    padded, projected, plain = (anatomy(cifar(8, kind), 32) for kind in ("padding", "projection", "none"))
    assert projected.macs - padded.macs == 16 * 32 * 16**2 + 32 * 64 * 8**2
    assert projected.parameters - padded.parameters == 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert (plain.macs, plain.parameters) == (padded.macs, padded.parameters)


def test_groups_divide_the_operations_of_the_3x3_convolutions():
    def block(groups: int) -> Part:
        shape = Architecture("bottleneck", (1,), (8,), (32,), "cifar", 16, groups=groups)
        return anatomy(shape, 10).parts[1]

    ones = 16 * 8 + 8 * 32 + 16 * 32  # the two 1x1 convolutions and the projection
    assert block(1).macs == (ones + 9 * 8 * 8) * 100
    assert block(4).macs == (ones + 9 * 8 * 8 // 4) * 100


def test_doubling_the_side_quadruples_the_convolutions():
    small, large = anatomy(cifar(20), 32), anatomy(cifar(20), 64)
    assert large.macs - 640 == 4 * (small.macs - 640)  # 64 features, 10 classes
    assert large.parameters == small.parameters


# --- receptive fields ------------------------------------------------------------------------------------------------


def by_hand(kernels_and_strides: list[tuple[int, int]]) -> int:
    """Side of the receptive field: 1 + sum of (kernel - 1) times the strides before it (Araujo et al. 2019, eq. 2)."""
    return 1 + sum(
        (kernel - 1) * torch.tensor([1, *(stride for _, stride in kernels_and_strides[:index])]).prod().item()
        for index, (kernel, _) in enumerate(kernels_and_strides)
    )


def longest_path(architecture: Architecture) -> list[tuple[int, int]]:
    """(kernel, stride) of what an image passes, from the papers' tables; torchvision strides in the 3x3."""
    path = [(7, 2), (3, 2)]
    for number, n_blocks in enumerate(architecture.blocks):
        for index in range(n_blocks):
            stride = 2 if number and not index else 1
            basic = architecture.block == "basic"
            path += [(3, stride), (3, 1)] if basic else [(1, 1), (3, stride), (1, 1)]
    return path


@pytest.mark.parametrize(
    ("name", "side"),
    # 435 and 899 are the figures usually given. ResNet-50 is 427, and not Araujo et al.'s 483: their TensorFlow
    # networks stride in each stage's last block, so that more of its convolutions come after the stride.
    [("resnet18", 435), ("resnet34", 899), ("resnet50", 427)],
)
def test_imagenet_networks_have_the_receptive_field_of_the_closed_form(name, side):
    found = anatomy(TORCHVISION[name], 224)
    assert found.receptive_field == side == by_hand(longest_path(TORCHVISION[name]))
    assert found.parts[-2].stride == 32


def seen(network: ResidualNetwork, stage: str, side: int) -> int:
    """Side of the square of input pixels that have a gradient from the stage's middle position."""
    image = torch.ones(1, 3, side, side, requires_grad=True)
    (output,) = (x for name, x in network.walk(image) if name == stage)
    middle = output.shape[-1] // 2
    output[0, :, middle, middle].sum().backward()
    assert image.grad is not None
    rows = image.grad[0].abs().sum((0, 2)).nonzero().flatten()  # (R,) rows of pixels that count
    return int(rows.max() - rows.min()) + 1


@pytest.mark.parametrize("shortcut", ["padding", "none"])
def test_the_receptive_field_is_the_square_that_gradients_reach(shortcut):
    network = build(cifar(14, shortcut)).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.fill_(1 / module.weight[0].numel())  # all positive: no ReLU and no sum hides a pixel
    found = last_of_each_stage(anatomy(cifar(14, shortcut), 64))
    assert found.keys() == {"layer1", "layer2", "layer3"}
    for stage, part in found.items():
        assert part.receptive_field == seen(network, stage, 64), stage


def test_strides_multiply_from_stage_to_stage_and_the_head_has_none():
    found = anatomy(cifar(14), 32)
    assert {stage: part.stride for stage, part in last_of_each_stage(found).items()} == {
        "layer1": 1,
        "layer2": 2,
        "layer3": 4,
    }
    assert (found.parts[-1].receptive_field, found.parts[-1].stride) == (0, 0)


# --- shapes and words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "side", "shapes"),
    [
        (TORCHVISION["resnet18"], 224, [(64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7)]),
        (TORCHVISION["resnet50"], 224, [(256, 56, 56), (512, 28, 28), (1024, 14, 14), (2048, 7, 7)]),
        (cifar(20), 32, [(16, 32, 32), (32, 16, 16), (64, 8, 8)]),
    ],
)
def test_the_stages_put_out_the_shapes_of_the_papers_tables(architecture, side, shapes):
    found = anatomy(architecture, side)
    assert [part.outputs for part in last_of_each_stage(found).values()] == shapes
    assert found.parts[0].inputs == (3, side, side)
    assert found.parts[-1].outputs == (architecture.classes,)
    assert found.side == side


@pytest.mark.parametrize("architecture", [imagenet("bottleneck", (1, 2, 1, 1)), cifar(14, "none", 1)])
def test_each_part_takes_what_the_one_before_it_puts_out(architecture):
    parts = anatomy(architecture, 65).parts  # an odd side, which strides round up
    assert parts[0].inputs == (architecture.in_channels, 65, 65)
    assert all(part.inputs == before.outputs for before, part in pairwise(parts))


@torch.inference_mode()
def test_shapes_are_those_of_a_real_image():
    network = build(cifar(8)).eval()
    walked = dict(network.walk(torch.zeros(1, 3, 33, 33)))
    found = anatomy(cifar(8), 33)
    assert found.parts[0].outputs == walked["stem"].shape[1:]
    assert found.parts[-1].outputs == walked["logits"].shape[1:]
    for stage, part in last_of_each_stage(found).items():
        assert part.outputs == walked[stage].shape[1:], stage


def test_a_network_without_a_head_ends_in_its_features():
    head = anatomy(cifar(8, classes=None), 32).parts[-1]
    assert (head.outputs, head.parameters, head.macs) == ((64,), 0, 0)


@pytest.mark.parametrize(
    ("architecture", "kinds"),
    [
        (TORCHVISION["resnet18"], ["identity"] * 2 + ["projection", "identity"] * 3),
        # A bottleneck's first stage quadruples the channels, so that it needs a projection as well.
        (imagenet("bottleneck", (2, 1, 1, 1)), ["projection", "identity"] + ["projection"] * 3),
        (cifar(14), ["identity"] * 2 + ["padding", "identity"] * 2),
        (cifar(14, "none"), ["none"] * 6),
    ],
)
def test_shortcuts_are_named_by_their_kind(architecture, kinds):
    parts = anatomy(architecture, 32).parts
    assert [part.shortcut for part in parts[1:-1]] == kinds
    assert parts[0].shortcut == parts[-1].shortcut == ""


def test_parts_come_in_order_with_their_stage_and_kind():
    parts = anatomy(imagenet("bottleneck", (1, 2, 1, 1)), 64).parts
    assert [(part.name, part.stage, part.kind) for part in parts] == [
        ("stem", "", "stem"),
        ("layer1.0", "layer1", "bottleneck"),
        ("layer2.0", "layer2", "bottleneck"),
        ("layer2.1", "layer2", "bottleneck"),
        ("layer3.0", "layer3", "bottleneck"),
        ("layer4.0", "layer4", "bottleneck"),
        ("head", "", "head"),
    ]


def test_layers_are_told_in_words():
    parts = anatomy(imagenet("bottleneck", (1, 1, 1, 1), groups=32, width_per_group=4), 64).parts
    stem, block, head = parts[0], parts[2], parts[-1]
    assert stem.layers == ("conv 7x7, 3->64, stride 2", "batch norm", "ReLU", "max-pool 3x3, stride 2")
    assert block.layers == (
        "conv 1x1, 256->256",
        "batch norm",
        "ReLU",
        "conv 3x3, 256->256, stride 2, 32 groups",
        "batch norm",
        "ReLU",
        "conv 1x1, 256->512",
        "batch norm",
    )
    assert head.layers == ("global average pool", "fully connected, 2048->1000")
