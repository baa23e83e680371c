"""What small pictures say when they are pointed at."""

import numpy as np

from features.datasets import ImageSet
from features.notes.current import ImageNotes
from viz.picking import picture


def test_a_small_picture_says_what_is_noted_of_it():
    images = ImageSet("set", ("a.png", "b.png"), np.array([0, 0]), ("cat",), "0" * 64, lambda row: None)
    known = {1: ImageNotes("1" * 64, tags=("odd",), note="blurred", label="dog")}
    assert picture._title(images, 0, known) == "cat"
    assert picture._title(images, 1, known) == "cat [odd, relabelled dog, a note]"
