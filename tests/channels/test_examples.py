"""Maps of chosen images and images at quantiles against the plain network's maps and sorted lists."""

import numpy as np
import pytest

from features import channels
from features.errors import FeatureError, ImageError
from features.progress import finish
from tests.channels.test_reader import N, measured, noise, opened, plain_maps


def test_maps_of_chosen_images_are_the_networks_own_in_the_order_that_was_asked_for(tiny_model):
    rows = np.array([7, 0, 31])
    maps = plain_maps(tiny_model)["layer2.0"][rows, 3]  # (R, H, W)
    made = finish(channels.examples(tiny_model, noise(), "layer2", 3, rows))
    assert (made.layer, made.channel, made.rows.tolist()) == ("layer2.0", 3, [7, 0, 31])
    np.testing.assert_allclose(made.maps, maps, rtol=1e-3, atol=1e-4)
    there = made.maps[np.arange(3), made.positions[:, 0], made.positions[:, 1]]
    np.testing.assert_array_equal(there, made.values)


def test_examples_agree_with_what_was_measured_of_the_whole_set(tiny_model):
    told = measured(tiny_model, layers=["stem"], k=4)
    top = told.layer("stem").top
    made = finish(channels.examples(tiny_model, noise(), "stem", 2, top.rows[2]))
    np.testing.assert_allclose(made.values, top.values[2], rtol=1e-5)
    np.testing.assert_array_equal(made.positions, top.positions[2])


def test_an_image_that_cannot_be_read_is_left_out_and_a_channel_that_does_not_exist_is_refused(tiny_model):
    def damaged(row):
        if row == 5:
            raise ImageError("damaged")
        return opened(row)

    made = finish(channels.examples(tiny_model, noise(opener=damaged), "stem", 0, np.array([4, 5, 6])))
    assert made.rows.tolist() == [4, 6]
    with pytest.raises(FeatureError, match="channels from 0 to"):
        finish(channels.examples(tiny_model, noise(), "stem", 4000, np.array([0])))


def test_images_at_quantiles_stand_around_their_places_in_the_sorted_list(tiny_model):
    told = measured(tiny_model, layers=["layer1"])
    maxima = told.layer("layer1").maxima[:, 1]
    order = np.argsort(maxima, kind="stable")
    rows = channels.rows_at(told, "layer1", 1, (0.0, 0.5, 1.0), each=3)
    np.testing.assert_array_equal(rows[0], order[:3])
    np.testing.assert_array_equal(rows[2], order[-3:])
    assert np.abs(maxima[rows[1]] - np.median(maxima)).max() <= np.ptp(np.sort(maxima)[N // 2 - 3 : N // 2 + 3])
    assert channels.rows_at(told, "layer1", 1, (0.5,), each=1000).shape == (1, N)
