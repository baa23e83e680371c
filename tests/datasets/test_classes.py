"""Classes that folders tell, and folders that are none."""

import pytest

from features.datasets import classes


@pytest.mark.parametrize(
    ("paths", "labels"),
    [
        (["cat/1.png", "dog/1.png"], ["cat", "dog"]),
        (["set/cat/1.png", "set/dog/x/1.png"], ["cat", "dog"]),
        (["images_001/1.png", "images_002/2.png"], None),
        (["images_001/images/1.png", "images_002/images/2.png"], None),
        (["part_1/cat/1.png", "part_2/dog/2.png"], ["cat", "dog"]),
        (["HAM_images_part_1/1.png", "HAM_images_part_2/2.png"], None),
        (["fold1/cat/1.png", "fold2/dog/2.png"], ["cat", "dog"]),
        (["c0/1.png", "c1/1.png"], ["c0", "c1"]),
        (["0/1.png", "1/1.png"], ["0", "1"]),
        (["subject01/1.png", "subject02/1.png"], ["subject01", "subject02"]),
        (["images/1.png", "photos/1.png"], ["images", "photos"]),
        (["a/abbey/1.png", "a/alley/1.png", "b/bar/1.png"], ["abbey", "alley", "bar"]),
        (["A/A1/1.png", "A/A2/1.png", "B/B1/1.png"], ["A", "A", "B"]),
        (["a/1.png", "b/1.png"], ["a", "b"]),
        (["n01440764_tench.JPEG", "n01514668_cock.JPEG"], ["tench", "cock"]),
        (["1.png", "cat/2.png"], None),
    ],
)
def test_the_class_is_the_first_folder_that_differs_and_says_something(paths, labels):
    assert classes.of_paths(paths) == labels
