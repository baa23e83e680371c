"""Slices in which one network is better than another."""

import numpy as np
import pytest

from features.compare import compared, holm, slices


def test_slices_are_the_groups_of_texts_and_the_quintiles_of_numbers():
    site = np.array(["north"] * 30 + ["south"] * 20 + [None] * 50, dtype=object)
    light = np.arange(100) / 10
    made = slices({"site": site, "light": light, "rater": np.arange(100) % 2 == 0, "shots": np.arange(100) % 3})
    assert [(each.by, each.name, len(each.rows)) for each in made] == [
        ("site", "north", 30), ("site", "south", 20),
        ("light", "0 to 1.98", 20), ("light", "1.98 to 3.96", 20), ("light", "3.96 to 5.94", 20),
        ("light", "5.94 to 7.92", 20), ("light", "7.92 to 9.9", 20),
        ("rater", "False", 50), ("rater", "True", 50),
        ("shots", "0", 34), ("shots", "1", 33), ("shots", "2", 33),
    ]  # fmt: skip
    assert made[0].rows.tolist() == [*range(30)]


def test_slices_that_are_few_images_all_of_them_or_unknown_are_left_out():
    columns = {
        "few": np.array(["a"] * 5 + ["b"] * 95, dtype=object),
        "all": np.array(["a"] * 100, dtype=object),
        "none": np.full(100, np.nan),
        "constant": np.ones(100),
    }
    assert [(each.by, each.name) for each in slices(columns)] == [("few", "b")]


def test_a_planted_difference_comes_first_and_is_the_only_one_that_is_sure(random):
    group = np.repeat([f"g{number}" for number in range(20)], 100).astype(object)
    first = random.random(2000) < 0.8
    second = np.where(random.random(2000) < 0.8, first, random.random(2000) < 0.8)
    second[group == "g7"] &= random.random(100) < 0.6
    told = compared(slices({"group": group}), first, second)
    assert told[0].slice.name == "g7"
    assert [each.slice.name for each in told if each.differs] == ["g7"]
    assert told[0].interval[1] < 0
    row = told[0].as_dict()
    assert row["difference"] == pytest.approx(row["second"] - row["first"])
    assert row["low"] <= row["difference"] <= row["high"]


def test_of_equal_networks_one_family_of_slices_in_twenty_has_a_sure_one(random):
    group = np.repeat(np.arange(10).astype(str), 60).astype(object)
    chosen = slices({"group": group})
    wrong = 0
    for _ in range(200):
        first, second = random.random((2, 600)) < 0.7
        told = compared(chosen, first, second)
        wrong += any(each.differs for each in told)
    assert wrong / 200 < 0.08


def test_holms_p_values_are_those_of_his_steps():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1, 1])
    assert holm([]) == []
