"""What a recipe refuses, and that it says so; what it tells of its settings."""

import json
import math
from dataclasses import fields

import pytest

from features.errors import FeatureError
from features.train.recipe import SETTINGS, Recipe, completed

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
    "accumulate": [0, -2],
    "objective": ["", "classes"],
    "weight_decay_on": ["none", ""],
    "clip_norm": [-1.0, NAN, INFINITE],
    "schedule": ["linear", ""],
    "step_epochs": [0],
    "milestones": ["0", "3,", "a", "-2", "1.5"],
    "step_factor": [0.0, 1.1, NAN],
    "restart_epochs": [0],
    "restart_factor": [0],
    "stage_decay": [0.0, 1.5, NAN],
    "freeze": ["stem,", ",", " "],
    "unfreeze_epochs": [-1],
    "norm_statistics": ["none"],
    "head": ["sigmoid"],
    "class_weights": ["inverse"],
    "sampling": ["random"],
    "policy": ["auto"],
    "crop": ["corner"],
    "mixup": [-0.1, NAN, INFINITE],
    "cutmix": [-0.1, NAN, INFINITE],
    "ema_decay": [-0.1, 1.0, NAN],
    "held_back": [-0.1, 1.0, NAN],
    "patience": [-1],
    "keep": ["first"],
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
    "accumulate": [1, 64],
    "objective": ["labels"],
    "weight_decay_on": ["all", "weights"],
    "clip_norm": [0.0, 5.0],
    "schedule": ["cosine", "constant", "one-cycle"],
    "step_epochs": [1],
    "milestones": ["1", "3, 10"],
    "step_factor": [1e-9, 1.0],
    "restart_epochs": [1],
    "restart_factor": [1, 3],
    "stage_decay": [1e-9, 1.0],
    "freeze": ["", "stem", "stem, layer1", "all-but-head"],
    "unfreeze_epochs": [0, 2],
    "norm_statistics": ["learning", "frozen"],
    "head": ["softmax", "one-logit", "multi-label"],
    "class_weights": ["none", "balanced"],
    "sampling": ["shuffled", "balanced"],
    "policy": ["none", "randaugment", "trivialaugment"],
    "crop": ["random", "centre"],
    "mixup": [0.0, 0.2],
    "cutmix": [0.0, 1.0],
    "ema_decay": [0.0, 0.999],
    "held_back": [0.0, 0.5],
    "patience": [0, 3],
    "keep": ["last", "best"],
}
# What some settings do nothing without.
BESIDE = {
    "step_epochs": {"schedule": "step"},
    "milestones": {"schedule": "multistep"},
    "step_factor": {"schedule": "step"},
    "restart_epochs": {"schedule": "restarts"},
    "restart_factor": {"schedule": "restarts"},
    "unfreeze_epochs": {"freeze": "all-but-head"},
    "patience": {"held_back": 0.1},
    "keep": {"held_back": 0.1},
}


def each(table: dict[str, list]) -> list[tuple[str, object]]:
    return [(name, value) for name, values in table.items() for value in values]


@pytest.mark.parametrize(("name", "value"), each(REFUSED))
def test_a_setting_out_of_range_is_refused_with_its_name_and_what_was_got(name, value):
    with pytest.raises(FeatureError) as caught:
        Recipe(**{"epochs": 25, **BESIDE.get(name, {}), name: value})
    assert f"{name} is {value!r}, wanted " in str(caught.value)


@pytest.mark.parametrize(("name", "value"), each(TAKEN))
def test_the_limits_themselves_are_taken(name, value):
    assert getattr(Recipe(**{"epochs": 25, **BESIDE.get(name, {}), name: value}), name) == value


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


@pytest.mark.parametrize("name", BESIDE)
def test_a_setting_that_would_do_nothing_is_refused_with_what_it_needs(name):
    value = next(value for value in reversed(TAKEN[name]) if value != getattr(Recipe(), name))
    (other,) = BESIDE[name]
    with pytest.raises(FeatureError, match=rf"{name} is {value!r}, which does nothing without {other}"):
        Recipe(**{name: value})


def test_padding_needs_a_random_crop():
    with pytest.raises(FeatureError, match="crop_padding is 4, which does nothing without crop random"):
        Recipe(crop="centre", crop_padding=4)


@pytest.mark.parametrize(
    "changed", [{"crop": "random"}, {"flip": 0.5}, {"policy": "randaugment"}, {"mixup": 0.1}, {"noise": 0.1}]
)
def test_an_image_is_the_same_whenever_it_is_seen_if_nothing_is_drawn(changed):
    same = {"crop": "centre", "flip": 0.0}
    assert Recipe(**same).sees_the_same
    assert not Recipe(**same | changed).sees_the_same


def test_steps_at_milestones_need_some():
    with pytest.raises(FeatureError, match="schedule is 'multistep', which needs milestones"):
        Recipe(schedule="multistep")


def test_an_optimizer_that_needs_no_schedule_is_refused_with_one():
    with pytest.raises(FeatureError, match="'schedule-free', which needs schedule constant"):
        Recipe(optimizer="schedule-free")
    assert Recipe(optimizer="schedule-free", schedule="constant").optimizer == "schedule-free"


def test_every_setting_tells_what_a_form_or_a_command_line_needs():
    for each in SETTINGS:
        assert each.help
        assert each.group
        assert each.wanted
        assert each.holds(each.default)
        assert all(each.holds(choice) for choice in each.choices)
        assert each.needs is None or hasattr(Recipe(), each.needs[0])
    assert len({type(each.default) for each in SETTINGS} - {int, float, str}) == 0  # which a command line can read


def test_settings_leave_out_what_is_as_by_default_and_can_be_completed():
    recipe = Recipe(epochs=3, schedule="restarts", restart_epochs=2)
    kept = json.loads(json.dumps(recipe.settings()))
    assert kept["schedule"] == "restarts"
    assert kept["momentum"] == 0.9  # which recipes have always told
    assert "freeze" not in kept
    assert Recipe(**completed(kept)) == recipe
