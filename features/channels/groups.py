"""Weights of convolutions in groups as if every channel could read every input."""

import numpy as np


def over_all_inputs(values: np.ndarray, groups: int) -> np.ndarray:
    """(O, I / groups, ...), of each channel and input of its group -> (O, I, ...), with zeros for other inputs."""
    if groups == 1:
        return values
    outputs, width = values.shape[:2]
    every = np.zeros((outputs, groups * width, *values.shape[2:]), values.dtype)
    for group, rows in enumerate(np.split(np.arange(outputs), groups)):
        every[rows, group * width : (group + 1) * width] = values[rows]
    return every
