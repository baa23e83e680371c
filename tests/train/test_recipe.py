"""What a recipe refuses, and that it says so."""

import math
from dataclasses import fields

import pytest

from features.errors import FeatureError
from features.train.recipe import Recipe

NAN, INFINITE = math.nan, math.inf
REFUSED = {
    "epochs": [0, -1, INFINITE, NAN],
    "batch_size": [1, 0, -8],
    "optimizer": ["adam", "SGD", ""],
    "learning_rate": [0.0, -0.1, NAN, INFINITE],
    "momentum": [-0.1, 1.0, NAN],
    "weight_decay": [-1e-4, NAN, INFINITE],
    "warmup_epochs": [-0.5, 25.5, NAN],  # there are 25 epochs
    "label_smoothing": [-0.1, 1.0, NAN],
    "crop_padding": [-1],
    "flip": [-0.1, 1.1, NAN],
    "erasing": [-0.1, 1.1, NAN],
    "noise": [-0.1, NAN, INFINITE],
    "precision": ["fp16", ""],
    "seed": [-1, 2**32],
    "workers": [0, -1],
}
TAKEN = {
    "epochs": [1, 25],
    "batch_size": [2, 4096],
    "optimizer": ["sgd", "adamw"],
    "learning_rate": [1e-9, 10.0],
    "momentum": [0.0, 0.99],
    "weight_decay": [0.0, 1.0],
    "warmup_epochs": [0.0, 0.5, 25.0],
    "label_smoothing": [0.0, 0.9],
    "crop_padding": [0, 8],
    "flip": [0.0, 1.0],
    "erasing": [0.0, 1.0],
    "noise": [0.0, 0.5],
    "precision": ["fp32", "bf16"],
    "seed": [0, 2**32 - 1],
    "workers": [1, 4],
}


def each(table: dict[str, list]) -> list[tuple[str, object]]:
    return [(name, value) for name, values in table.items() for value in values]


@pytest.mark.parametrize(("name", "value"), each(REFUSED))
def test_a_setting_out_of_range_is_refused_with_its_name_and_what_was_got(name, value):
    with pytest.raises(FeatureError) as caught:
        Recipe(**{"epochs": 25, name: value})
    assert f"{name} is {value!r}, wanted " in str(caught.value)


@pytest.mark.parametrize(("name", "value"), each(TAKEN))
def test_the_limits_themselves_are_taken(name, value):
    assert getattr(Recipe(**{"epochs": 25, name: value}), name) == value


@pytest.mark.parametrize("table", [REFUSED, TAKEN])
def test_every_setting_is_checked(table):
    assert set(table) == {field.name for field in fields(Recipe)}


def test_all_wrong_settings_are_named_at_once_and_no_others():
    with pytest.raises(FeatureError) as caught:
        Recipe(flip=2.0, workers=-3)
    assert "flip is 2.0" in str(caught.value)
    assert "workers is -3" in str(caught.value)
    assert str(caught.value).count("wanted") == 2


def test_one_epoch_can_be_trained_without_other_settings():
    assert Recipe(epochs=1).epochs == 1
