"""Filters: the weights that the network computes with, and the waves of kernels whose waves are known."""

import numpy as np
import pytest
import torch

from features import channels
from features.channels.filters import FILTER_ORDERS, grey_pictures
from features.channels.spectra import strongest_waves
from features.errors import FeatureError
from features.networks.structure import leaves
from tests.channels.made import drawn_model
from tests.networks.unusual import BASIC, BOTTLENECK, UNUSUAL


def gabor(frequency, degrees, side=15, width=3.0, phase=0.4):
    """(side, side): bars at an angle, counter-clockwise from lying ones, under a bell."""
    down, across = np.indices((side, side)) - side // 2
    angle = np.radians(degrees)
    # Across the bars: a quarter turn on, with rows that count downwards.
    distance = across * np.cos(angle + np.pi / 2) - down * np.sin(angle + np.pi / 2)
    bell = np.exp(-(down**2 + across**2) / (2 * width**2))
    return bell * np.cos(2 * np.pi * frequency * distance + phase)


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 120, 170])
@pytest.mark.parametrize("frequency", [0.15, 0.25, 0.4])
def test_a_gabor_filter_has_its_frequency_and_orientation(frequency, degrees):
    waves = strongest_waves(gabor(frequency, degrees)[None, None])
    assert waves.frequency[0] == pytest.approx(frequency, abs=0.01)
    away = (waves.orientation[0] - degrees + 90) % 180 - 90
    assert abs(away) < 3


def test_lying_bars_are_of_0_degrees_and_standing_ones_of_90():
    lying = np.cos(2 * np.pi * 0.25 * np.arange(8))[:, None] * np.ones((1, 8))
    waves = strongest_waves(np.stack([lying, lying.T])[:, None])
    assert waves.orientation.tolist() == [0, 90]
    np.testing.assert_allclose(waves.frequency, 0.25)
    np.testing.assert_allclose(waves.share, 1)


def test_a_rising_diagonal_is_of_45_degrees():
    down, across = np.indices((8, 8))
    waves = strongest_waves(np.cos(2 * np.pi * 0.125 * (down + across))[None, None])
    assert waves.orientation[0] == pytest.approx(45)
    assert waves.frequency[0] == pytest.approx(0.125 * np.sqrt(2))


def test_an_even_kernel_has_frequency_0_and_no_orientation():
    waves = strongest_waves(np.full((1, 3, 5, 5), 0.7))
    assert waves.frequency[0] == 0
    assert np.isnan(waves.orientation[0])
    assert waves.share[0] == pytest.approx(1)


def test_a_wave_accounts_for_the_share_of_squares_that_it_was_mixed_in_with(random):
    rows, columns = np.indices((8, 8))
    wave, other = np.cos(2 * np.pi * columns / 4), np.cos(2 * np.pi * rows / 8)  # at right angles to each other
    waves = strongest_waves((3 * wave + other)[None, None])
    assert waves.share[0] == pytest.approx(0.9)
    assert waves.frequency[0] == pytest.approx(0.25, abs=0.02)


def test_planes_may_have_phases_of_their_own():
    columns = np.tile(np.arange(8), (8, 1))
    planes = np.stack([size * np.cos(2 * np.pi * columns / 4 + phase) for size, phase in ((1, 0), (2, 1), (1, 2.5))])
    waves = strongest_waves(planes[None])
    assert waves.frequency[0] == pytest.approx(0.25, abs=0.02)
    assert waves.share[0] > 0.95  # a window of two periods moves the peak a little


def test_a_kernel_of_zeros_has_no_share():
    assert np.isnan(strongest_waves(np.zeros((1, 1, 3, 3))).share[0])


@pytest.mark.parametrize("name", ["basic", "7x7 stem", "deep stem", "five channels", "group norms", "biases"])
def test_filters_and_biases_are_what_the_first_layers_compute_with(name):
    model = drawn_model({"basic": BASIC, **UNUSUAL}[name])
    made = channels.filters(model)
    layers = list(leaves(model.network.stem))
    conv = next(layer for layer in layers if isinstance(layer, torch.nn.Conv2d))
    norm = layers[layers.index(conv) + 1]
    x = torch.randn(1, conv.in_channels, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = norm(conv(x)) if isinstance(norm, torch.nn.BatchNorm2d) else conv(x)
        answered = torch.nn.functional.conv2d(
            x, torch.from_numpy(made.kernels), torch.from_numpy(made.biases), conv.stride, conv.padding
        )
    np.testing.assert_allclose(answered, wanted, rtol=1e-4, atol=1e-4)
    assert made.kernels.shape[1] == conv.in_channels
    assert len(made.table()) == len(made.kernels)


def test_a_filter_of_colours_is_one_picture_with_mid_grey_for_zero():
    made = channels.filters(drawn_model(BASIC))
    made.kernels[2] = 0
    made.kernels[2, 0, 0, 0], made.kernels[2, 2, 1, 1] = 2, -1  # red and blue
    (picture,) = made.pictures(2)
    assert picture.shape == (3, 3, 3)
    assert picture[0, 0].tolist() == [255, 128, 128]
    assert picture[1, 1].tolist() == [128, 128, 64]
    assert picture[2, 2].tolist() == [128, 128, 128]


def test_other_planes_are_a_picture_each_on_one_scale():
    made = channels.filters(drawn_model(UNUSUAL["five channels"]))
    pictures = made.pictures(0)
    assert pictures.shape == (5, 3, 3, 3)
    assert (pictures == pictures[..., :1]).all()
    wanted = np.rint(127.5 + 127.5 * made.kernels[0] / np.abs(made.kernels[0]).max())
    np.testing.assert_array_equal(pictures[..., 0], wanted)


def test_grey_filters_have_no_colour_and_opposite_planes_are_all_colour():
    model = drawn_model(BASIC)
    with torch.no_grad():
        conv = next(layer for layer in model.network.stem if isinstance(layer, torch.nn.Conv2d))
        conv.weight[0] = conv.weight[0, :1]
        conv.weight[1, 0], conv.weight[1, 1], conv.weight[1, 2] = conv.weight[1, 2], -conv.weight[1, 2], 0
    made = channels.filters(model)
    assert made.colour[:2] == pytest.approx([0, 1], abs=1e-6)
    assert ((made.colour >= 0) & (made.colour <= 1)).all()


def test_every_order_has_every_filter_once():
    made = channels.filters(drawn_model(BASIC))
    for name in FILTER_ORDERS:
        assert sorted(made.order(name)) == list(range(8))
    assert made.order("norm")[0] == made.norms.argmax()
    assert made.order("frequency")[0] == made.waves.frequency.argmin()


def test_kernels_of_later_layers_are_those_of_the_strongest_planes():
    model = drawn_model(BOTTLENECK)
    made = channels.kernels(model, "layer1.1", 2, 3, k=4)
    block = dict(model.network.blocks())["layer1.1"]
    conv, norm = block.branch.conv2, block.branch.bn2
    scale = norm.weight[3] / (norm.running_var[3] + norm.eps).sqrt()
    wanted = (conv.weight[3] * scale).numpy()  # (I, H, W)
    sizes = np.sqrt((wanted**2).sum((1, 2)))
    assert made.planes.tolist() == np.argsort(-sizes)[:4].tolist()
    np.testing.assert_allclose(made.kernels, wanted[made.planes], rtol=1e-5)
    assert made.share == pytest.approx((sizes[made.planes] ** 2).sum() / (sizes**2).sum())
    assert made.pictures().shape == (4, 3, 3, 3)
    assert [conv.describe() for conv in channels.convolutions(model, "layer1.1")] == [
        "1 × 1, 32 to 8 channels", "3 × 3, 8 to 8 channels", "1 × 1, 8 to 32 channels",
    ]  # fmt: skip


def test_planes_of_other_groups_are_not_read():
    model = drawn_model(UNUSUAL["groups"])  # four of two channels each
    made = channels.kernels(model, "layer1.0", 2, 5, k=8)
    assert {*made.planes[:2].tolist()} == {4, 5}
    assert (made.norms[2:] == 0).all()


def test_what_does_not_exist_is_refused():
    model = drawn_model(BOTTLENECK)
    with pytest.raises(FeatureError, match="convolutions from 1 to 3, but got 4"):
        channels.kernels(model, "layer1.0", 4, 0)
    with pytest.raises(FeatureError, match="from 0 to 7, but got 8"):
        channels.kernels(model, "layer1.0", 2, 8)
    with pytest.raises(FeatureError, match="from 0 to 7, but got 9"):
        channels.filters(model).pictures(9)
    with pytest.raises(FeatureError, match="no layer layer7"):
        channels.convolutions(model, "layer7")


def test_equal_weights_of_zero_are_mid_grey():
    assert (grey_pictures(np.zeros((1, 2, 2), np.float32)) == 128).all()
