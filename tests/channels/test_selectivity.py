"""The table of one channel's classes, and how many images a class has."""

import numpy as np

from features.channels import Classes, Selectivity
from tests.channels.test_reader import CLASSES, LABELS, measured


def test_a_channels_table_has_every_class_by_its_auroc(tiny_model):
    told = measured(tiny_model, layers=["layer2"])
    selective = told.selectivity("layer2")
    table = selective.table(3, told.classes)
    assert sorted(table["class"]) == sorted(CLASSES)
    assert (np.diff(table["auroc"]) <= 0).all()
    for row in table.itertuples():
        at = CLASSES.index(row[1])  # 'class' is a word of Python's
        assert row.images == (at == LABELS).sum()
        assert row.auroc == selective.auroc[at, 3]
        assert (row.difference, row.low, row.high) == tuple(
            getattr(selective, name)[at, 3] for name in ("difference", "low", "high")
        )


def test_a_class_without_images_comes_last():
    numbers = np.array([[np.nan], [0.2], [0.9]])
    table = Selectivity(CLASSES, numbers, numbers, numbers, numbers).table(
        0, Classes(CLASSES, np.array([0, 1, 1]), np.zeros((2, 3), bool))
    )
    assert list(table["class"]) == ["fox", "dog", "cat"]


def test_the_median_count_is_of_classes_that_occur():
    assert Classes(CLASSES, np.array([0, 3, 5]), np.zeros((8, 3), bool)).median_count == 4
    assert Classes((), np.zeros(0, int), np.zeros((8, 0), bool)).median_count == 0


def test_selectivities_are_computed_once_a_layer(tiny_model):
    told = measured(tiny_model, layers=["stem", "layer1"])
    assert told.selectivity("layer1") is told.selectivity("layer1.0")
