"""Branch statistics against hand-made blocks and a plain loop over torchvision's own modules."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn

from features import architecture, catalogue, extract, network, residual, zoo
from features.datasets import ImageSet
from features.errors import DatasetError, FeatureError
from features.images import Preprocessing
from features.progress import finish


def noise(n_images, side, seed=0):
    """An unlabelled set of random RGB pictures, made in memory."""
    values = np.random.default_rng(seed).integers(0, 256, (n_images, side, side, 3), dtype=np.uint8)
    ids = tuple(f"{index}.png" for index in range(n_images))
    return ImageSet("noise", ids, None, (), "0" * 64, lambda index: Image.fromarray(values[index]))


def model_of(net, shape, side):
    preprocessing = Preprocessing(side, side, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    return zoo.Model(net, catalogue.ModelSpec("drawn", "", shape, preprocessing, (), "", ""), "0" * 64)


def one_block(shortcut, branch):
    """A model of one residual block on RGB pictures of 4 px."""
    block = network.ResidualBlock(shortcut, branch, nn.ReLU())
    head = nn.Sequential(OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(1), fc=nn.Linear(3, 2)))
    net = network.ResidualNetwork(nn.Sequential(nn.Identity()), {"layer1": [block]}, head)
    return model_of(network.freeze(net), architecture.cifar(8, classes=2), 4)


class Times(nn.Module):
    """Every channel times a number of its own."""

    def __init__(self, *factors):
        super().__init__()
        self.factors = torch.tensor(factors)[:, None, None]

    def forward(self, x):
        return x * self.factors


def statistics_of(shortcut, *factors):
    return finish(residual.statistics(one_block(shortcut, nn.Sequential(Times(*factors))), noise(3, 4)))


def test_a_branch_of_zeros_has_ratio_zero_and_no_angle():
    found = statistics_of(nn.Identity(), 0.0, 0.0, 0.0)
    assert (found.ratios == 0).all()
    assert np.isnan(found.cosines).all()


@pytest.mark.parametrize("factor", [1.0, 2.5, -1.0, -0.5])
def test_a_branch_that_repeats_the_shortcut_has_its_factor_as_ratio_and_points_along_it(factor):
    found = statistics_of(nn.Identity(), factor, factor, factor)
    np.testing.assert_allclose(found.ratios, abs(factor), rtol=1e-6)
    np.testing.assert_allclose(found.cosines, np.sign(factor), rtol=1e-6)


def test_orthogonal_branch_and_shortcut_have_cosine_zero():
    model = one_block(Times(1.0, 0.0, 0.0), nn.Sequential(Times(0.0, 1.0, 1.0)))
    found = finish(residual.statistics(model, noise(3, 4)))
    np.testing.assert_array_equal(found.cosines, 0)


def test_a_network_without_shortcuts_has_no_ratios_and_no_angles(tiny_images):
    shape = architecture.cifar(8, "none")
    model = model_of(network.freeze(network.build(shape)), shape, 16)
    found = finish(residual.statistics(model, tiny_images))
    assert np.isnan(found.ratios).all()
    assert np.isnan(found.cosines).all()
    assert set(found.shortcuts) == {"none"}
    assert residual.blocks(found)[["ratio_mean", "ratio_median", "ratio_p05", "cosine_mean"]].isna().all(axis=None)


def half_and_half():
    """Two pictures, white above and black below: +2 and -2 once normalised."""
    values = np.zeros((4, 4, 3), dtype=np.uint8)
    values[:2] = 255
    return ImageSet("halves", ("a", "b"), None, (), "0" * 64, lambda index: Image.fromarray(values))


def test_negative_share_and_dead_channels_are_those_counted_by_hand():
    # The sum is x, -x and 0 in the three channels, with x = +2 above and -2 below.
    model = one_block(nn.Identity(), nn.Sequential(Times(0.0, -2.0, -1.0)))
    found = finish(residual.statistics(model, half_and_half()))
    assert found.negative.tolist() == [pytest.approx(1 / 3)]  # half of the first two channels, none of the third
    assert found.dead.tolist() == [1]
    assert found.widths.tolist() == [3]


def test_a_channel_that_is_alive_in_one_image_of_one_batch_is_not_dead(monkeypatch):
    monkeypatch.setattr(extract, "batch_size", lambda preprocessing: 1)
    dark, bright = np.zeros((4, 4, 3), dtype=np.uint8), np.full((4, 4, 3), 255, dtype=np.uint8)
    pictures = [dark, bright, dark]  # -2 and +2 once normalised
    images = ImageSet("three", ("a", "b", "c"), None, (), "0" * 64, lambda index: Image.fromarray(pictures[index]))
    found = finish(residual.statistics(one_block(nn.Identity(), nn.Sequential(Times(0.0, 0.0, 0.0))), images))
    assert found.dead.tolist() == [0]
    assert found.negative.tolist() == [pytest.approx(2 / 3)]


def plain_loop(source, batch):
    """(N, B) ratios and cosines, (B,) negative shares and dead channels, one image and one value at a time."""
    x = source.maxpool(source.relu(source.bn1(source.conv1(batch))))
    ratios, cosines, negative, dead = [], [], [], []
    for stage in (source.layer1, source.layer2, source.layer3, source.layer4):
        for block in stage:
            shortcut = x.clone() if block.downsample is None else block.downsample(x.clone()).clone()
            branch = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x.clone()))))).clone()
            if hasattr(block, "conv3"):
                branch = block.bn3(block.conv3(torch.relu(branch))).clone()
            total = shortcut.clone() + branch.clone()
            ratios.append([float(f.norm() / s.norm()) for f, s in zip(branch, shortcut, strict=True)])
            cosines.append(
                [
                    float(torch.cosine_similarity(f.ravel(), s.ravel(), dim=0))
                    for f, s in zip(branch, shortcut, strict=True)
                ]
            )
            negative.append(float((total < 0).double().mean()))
            x = block(x.clone())
            dead.append(sum(not x[:, channel].any() for channel in range(x.shape[1])))
    return np.array(ratios).T, np.array(cosines).T, np.array(negative), np.array(dead)


@pytest.mark.parametrize("kind", ["BasicBlock", "Bottleneck"])
def test_statistics_equal_a_plain_loop_over_torchvisions_own_modules(kind, randomised):
    block = getattr(torchvision.models.resnet, kind)
    blocks = (2, 2, 2, 2) if kind == "BasicBlock" else (1, 2, 1, 1)
    source = randomised(torchvision.models.ResNet(block, list(blocks), num_classes=5)).eval()
    shape = architecture.imagenet("basic" if kind == "BasicBlock" else "bottleneck", blocks, classes=5)
    model = model_of(network.freeze(network.canonical(source)), shape, 40)
    images = noise(3, 40)
    with torch.no_grad():
        batch = torch.stack([model.spec.preprocessing(images.open(index)) for index in range(3)])
        ratios, cosines, negative, dead = plain_loop(source, batch)
    found = finish(residual.statistics(model, images))
    np.testing.assert_allclose(found.ratios, ratios, rtol=1e-4)
    np.testing.assert_allclose(found.cosines, cosines, atol=1e-5)
    np.testing.assert_allclose(found.negative, negative, atol=1e-4)
    np.testing.assert_array_equal(found.dead, dead)


def test_how_images_are_batched_does_not_matter(tiny_model, tiny_images, monkeypatch):
    together = finish(residual.statistics(tiny_model, tiny_images))
    monkeypatch.setattr(extract, "batch_size", lambda preprocessing, device="cpu": 5)
    apart = finish(residual.statistics(tiny_model, tiny_images))
    np.testing.assert_allclose(apart.ratios, together.ratios, rtol=1e-5)
    np.testing.assert_allclose(apart.cosines, together.cosines, atol=1e-6)
    np.testing.assert_allclose(apart.negative, together.negative, atol=1e-5)
    np.testing.assert_array_equal(apart.dead, together.dead)


def test_blocks_are_named_with_their_stage_and_kind_of_shortcut(tiny_model, tiny_images):
    found = finish(residual.statistics(tiny_model, tiny_images))
    assert found.blocks == ("layer1.0", "layer2.0", "layer3.0")
    assert found.stages == ("layer1", "layer2", "layer3")
    assert found.shortcuts == ("identity", "padding", "padding")
    assert found.widths.tolist() == [16, 32, 64]
    assert found.n_images == 12


def test_the_table_summarises_the_images_of_each_block(tiny_model, tiny_images):
    found = finish(residual.statistics(tiny_model, tiny_images))
    table = residual.blocks(found)
    assert table["block"].tolist() == list(found.blocks)
    for column, expected in {
        "ratio_mean": found.ratios.mean(0, dtype=np.float64),
        "ratio_median": np.median(found.ratios, 0),
        "ratio_p05": np.percentile(found.ratios, 5, axis=0),
        "ratio_p95": np.percentile(found.ratios, 95, axis=0),
        "cosine_mean": found.cosines.mean(0, dtype=np.float64),
    }.items():
        np.testing.assert_allclose(table[column], expected, rtol=1e-6, err_msg=column)


def test_images_that_cannot_be_read_are_named_and_left_out(tiny_model, tiny_folder, tiny_images):
    (tiny_folder / "cat" / "1.png").write_bytes(b"no image")
    found = finish(residual.statistics(tiny_model, tiny_images))
    assert found.n_images == len(found.ratios) == 11
    assert [image.id for image in found.rejected] == ["cat/1.png"]


def test_a_set_of_no_images_is_an_error(tiny_model, tiny_images):
    with pytest.raises(DatasetError, match="no images"):
        finish(residual.statistics(tiny_model, tiny_images.take([])))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_broken_weights_are_an_error_and_no_missing_shortcut(tiny_model, tiny_images, value):
    with torch.no_grad():
        tiny_model.network.stages["layer2"][0].branch.conv1.weight[0, 0, 0, 0] = value
    with pytest.raises(FeatureError, match="NaN or infinite"):
        finish(residual.statistics(tiny_model, tiny_images))
