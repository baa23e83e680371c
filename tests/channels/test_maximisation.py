"""Pictures found by ascent: far above chance, the same for a seed, and right where the answer is known."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from features import channels
from features.channels import fourier
from features.channels.maximisation import Ascent
from features.errors import FeatureError
from features.networks.preprocessing import Preprocessing
from features.progress import finish
from tests.channels.made import drawn_model
from tests.networks.unusual import BASIC, PREACTIVATION, UNUSUAL

CPU = torch.device("cpu")
QUICK = Ascent(steps=24)


def answers(model, pixels, layer):
    """(N, C, H, W), of the network itself."""
    with torch.no_grad():
        walked = model.network.trunk(model.spec.preprocessing.scaled(torch.from_numpy(pixels)), blocks=True)
        return dict(walked)[layer].numpy()


@pytest.mark.parametrize("goal", ["mean", "centre"])
@pytest.mark.parametrize("layer", ["stem", "layer1.0", "layer2.1"])
def test_the_goal_rises_far_above_the_start_and_random_pictures(goal, layer, random):
    model = drawn_model(BASIC)
    made = finish(channels.maximise(model, layer, 3, Ascent(goal, steps=128)))
    noise = random.integers(0, 256, (32, 3, 24, 24)).astype(np.float32)
    maps = answers(model, noise, layer)[:, 3]
    chance = maps.mean((1, 2)) if goal == "mean" else maps[:, maps.shape[1] // 2, maps.shape[2] // 2]
    assert made.reached > 1.4 * chance.max()
    assert made.reached > 1.4 * made.start
    assert made.curve[-8:].mean() > made.curve[:8].mean()


@pytest.mark.parametrize("layer", ["stem", "layer1.0", "layer2.0"])
@pytest.mark.parametrize("shape", [BASIC, PREACTIVATION], ids=["basic", "pre-activation"])
def test_what_was_reached_is_what_the_network_says_of_the_picture(layer, shape):
    model = drawn_model(shape)
    made = finish(channels.maximise(model, layer, 1, QUICK))
    assert made.pixels.shape == (3, 24, 24)
    assert made.pixels.min() >= 0
    assert made.pixels.max() <= 255
    wanted = answers(model, made.pixels[None], layer)[0, 1].mean()
    assert made.reached == pytest.approx(wanted, rel=1e-3, abs=1e-4)


def test_the_same_seed_gives_the_same_picture_and_another_seed_another():
    model = drawn_model(BASIC)
    first, again, other = (finish(channels.maximise(model, "layer2.0", 0, replace(QUICK, seed=s))) for s in (3, 3, 4))
    np.testing.assert_array_equal(first.pixels, again.pixels)
    np.testing.assert_array_equal(first.curve, again.curve)
    assert np.abs(first.pixels - other.pixels).max() > 1


def test_nothing_of_the_network_or_of_global_state_is_changed():
    model = drawn_model(BASIC)
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    state = torch.get_rng_state()
    finish(channels.maximise(model, "layer1.0", 0, QUICK))
    assert all(torch.equal(value, before[name]) for name, value in model.network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.network.parameters())


def test_it_works_where_its_caller_wants_no_graph():
    model = drawn_model(BASIC)
    wanted = finish(channels.maximise(model, "layer1.0", 0, QUICK))
    with torch.inference_mode():
        made = finish(channels.maximise(model, "layer1.0", 0, QUICK))
    np.testing.assert_array_equal(made.pixels, wanted.pixels)


@pytest.mark.parametrize("wave", [(0, 0.25), (0.125, 0), (0.1875, 0.1875)], ids=["across", "down", "diagonal"])
def test_a_channel_of_one_frequency_gets_a_picture_of_that_frequency(wave):
    model = drawn_model(replace(UNUSUAL["7x7 stem"], stem_stride=1, stem_pool="none"), side=64)
    conv = next(layer for layer in model.network.stem if isinstance(layer, torch.nn.Conv2d))
    side = conv.kernel_size[0]
    rows, columns = np.indices((side, side)) - side // 2
    kernel = np.cos(2 * np.pi * (wave[0] * rows + wave[1] * columns)) * np.exp(-(rows**2 + columns**2) / side)
    with torch.no_grad():
        conv.weight[0] = torch.from_numpy(kernel - kernel.mean()).float()
    made = finish(channels.maximise(model, "stem", 0, Ascent(steps=256, shaken=False)))
    grey = made.pixels.mean(0)
    power = np.abs(np.fft.rfft2(grey - grey.mean()))
    row, column = np.unravel_index(power.argmax(), power.shape)
    at = np.array([np.fft.fftfreq(64)[row], np.fft.rfftfreq(64)[column]])
    wanted = np.array(wave)
    assert (
        min(np.abs(at - wanted).max(), np.abs(at + wanted).max()) < 1 / 16
    )  # a kernel of 7 px tells frequencies to no better


def test_pictures_have_the_planes_and_the_side_of_the_network_s_input():
    grey = replace(BASIC, in_channels=1)
    made = drawn_model(grey, side=28)
    model = replace(made, spec=replace(made.spec, preprocessing=Preprocessing(28, 28, (0.5,), (0.25,))))
    told = finish(channels.maximise(model, "layer1.0", 2, QUICK))
    assert told.pixels.shape == (1, 28, 28)
    assert told.picture.shape == (28, 28, 3)
    assert (told.picture == told.picture[..., :1]).all()


def test_five_planes_are_shown_as_those_that_stand_for_colours():
    made = drawn_model(UNUSUAL["five channels"])
    pixels = Preprocessing(24, 24, (0.5,) * 5, (0.25,) * 5, shown=(4, 2, 0))
    told = finish(channels.maximise(replace(made, spec=replace(made.spec, preprocessing=pixels)), "stem", 0, QUICK))
    assert told.pixels.shape == (5, 24, 24)
    assert told.picture.shape == (24, 24, 3)


def test_blue_comes_first_where_the_network_has_it_so():
    made = drawn_model(BASIC)
    turned = replace(made.spec.preprocessing, channel_order="bgr")
    told = finish(channels.maximise(replace(made, spec=replace(made.spec, preprocessing=turned)), "stem", 0, QUICK))
    np.testing.assert_array_equal(told.picture, np.rint(told.pixels[::-1].transpose(1, 2, 0)).astype(np.uint8))


def test_coefficients_of_nothing_are_mid_grey_and_one_wave_is_one_wave():
    pixels = Preprocessing(16, 16, (0.5,), (0.25,))
    made = fourier.canvas(pixels, CPU)
    coefficients = torch.zeros(1, 16, 9, 2)
    assert (made.pixels(coefficients) == 127.5).all()
    coefficients[0, 0, 4, 0] = 0.01
    wave = made.pixels(coefficients)[0, 0]
    power = torch.fft.rfft2(wave - wave.mean()).abs()
    assert power.argmax() == 4  # of the first row
    assert torch.allclose(wave, wave[:1])


def test_colours_vary_as_red_green_and_blue_do_together():
    pixels = Preprocessing(32, 32, (0.5,) * 3, (0.25,) * 3)
    drawn = fourier.drawn(pixels, torch.Generator().manual_seed(0))
    values = fourier.canvas(pixels, CPU).pixels(drawn)[0].flatten(1)
    assert torch.corrcoef(values)[0, 1] > 0.7
    planes = Preprocessing(32, 32, (0.5,) * 2, (0.25,) * 2)
    drawn = fourier.drawn(planes, torch.Generator().manual_seed(0))
    values = fourier.canvas(planes, CPU).pixels(drawn)[0].flatten(1)
    assert torch.corrcoef(values)[0, 1].abs() < 0.7


def test_a_grey_picture_stays_grey_and_shaking_moves_a_dot_by_a_few_pixels_only():
    generator = torch.Generator().manual_seed(0)
    grey = torch.full((1, 1, 28, 28), 127.5)
    assert torch.allclose(fourier.shaken(grey, generator), grey)
    dot = grey.clone()
    dot[0, 0, 13:15, 13:15] = 255
    for _ in range(16):
        made = fourier.shaken(dot, generator)[0, 0] - 127.5
        rows, columns = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
        centre = torch.stack([(made * rows).sum(), (made * columns).sum()]) / made.sum()
        assert (centre - 13.5).abs().max() < 3


def test_it_is_told_beside_the_most_that_an_image_reaches(tiny_model, tiny_images):
    told = finish(channels.responses(tiny_model, tiny_images, ["layer2"]))
    for goal, best in (("mean", "means"), ("centre", "maxima")):
        made = finish(channels.maximise(tiny_model, "layer2", 5, Ascent(goal, steps=4)))
        highest = getattr(told.layer("layer2"), best)[:, 5].max()
        assert made.beside(told.layer("layer2")) == pytest.approx(made.reached / highest)
    other = finish(channels.responses(tiny_model, tiny_images, ["layer1"]))
    with pytest.raises(FeatureError, match="was measured"):
        made.beside(other.layer("layer1"))


def test_the_facts_are_json_and_say_what_was_asked_for():
    made = finish(channels.maximise(drawn_model(BASIC), "layer2", 5, Ascent("centre", 4, 7)))
    facts = json.loads(json.dumps(made.as_dict()))
    assert (facts["layer"], facts["channel"], facts["goal"], facts["seed"]) == ("layer2.1", 5, "centre", 7)
    assert len(facts["curve"]) == 4
    assert facts["provenance"]["steps"] == 4


def test_it_can_be_cancelled_between_steps():
    task = channels.maximise(drawn_model(BASIC), "layer1.0", 0, Ascent(steps=100))
    progress = next(task)
    assert (progress.done, progress.total) == (0, 100)
    task.close()


def test_what_does_not_exist_is_refused():
    model = drawn_model(BASIC)
    for layer, channel, said in (("layer9", 0, "no layer layer9"), ("layer1", 8, "from 0 to 7, but got 8")):
        with pytest.raises(FeatureError, match=said):
            finish(channels.maximise(model, layer, channel))
    with pytest.raises(FeatureError, match="no goal called 'edge'"):
        Ascent("edge")
    with pytest.raises(FeatureError, match="1 to 4,096 steps, but got 0"):
        Ascent(steps=0)
