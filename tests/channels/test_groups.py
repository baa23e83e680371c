"""Weights of groups: what a channel does not read is zero."""

import numpy as np

from features.channels.groups import over_all_inputs


def test_each_channel_reads_the_inputs_of_its_group_alone():
    made = over_all_inputs(np.arange(1, 9).reshape(4, 2), 2)
    assert made.tolist() == [[1, 2, 0, 0], [3, 4, 0, 0], [0, 0, 5, 6], [0, 0, 7, 8]]


def test_without_groups_they_stay_as_they_are():
    values = np.ones((3, 2, 5, 5))
    assert over_all_inputs(values, 1) is values
