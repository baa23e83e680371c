"""Cells that name things and where they are, as ILSVRC's LOC_val_solution.csv."""

import numpy as np
import pytest
from PIL import Image

from features.datasets import open_images
from features.datasets.boxes import are_boxes, things_in

FISH, BIRD = "n01440764", "n01514668"


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        ([f"{FISH} 1 2 3 4 "], True),
        ([f"{FISH} 1 2 3 4 {FISH} 5 6 7 8", "", None], True),
        ([f"{FISH} 1 2 3"], False),
        ([f"{FISH} 0.9 1 2 3 4"], False),
        (["1.0 10 20 30 40"], False),
        ([f"{FISH} 1 2 3 4", "cat"], False),
        (["", None], False),
        ([3], False),
    ],
)
def test_all_cells_that_hold_something_name_things_with_four_numbers_each(cells, wanted):
    assert are_boxes(cells) is wanted


def test_a_cell_names_any_number_of_things():
    assert things_in(f"{FISH} 1 2 3 4 {BIRD} 0.5 6 7 8") == [(FISH, (1, 2, 3, 4)), (BIRD, (0.5, 6, 7, 8))]
    assert things_in(None) == []


def write(root, rows: dict[str, str], folder: str) -> None:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name in rows:
        Image.new("RGB", (9, 9)).save(root / folder / f"{name}.JPEG")
    split = folder.rpartition("/")[2]
    lines = "".join(f"{name},{cell}\n" for name, cell in rows.items())
    (root / f"LOC_{split}_solution.csv").write_text(f"ImageId,PredictionString\n{lines}")


VAL = {"ILSVRC2012_val_1": f"{FISH} 1 2 3 4 {FISH} 0 0 8 8 ", "ILSVRC2012_val_2": f"{BIRD} 2 2 5 6 "}


@pytest.mark.parametrize("source", ["", "/LOC_val_solution.csv"], ids=["beside", "list"])
def test_images_of_one_thing_each_have_one_label_and_their_boxes(tmp_path, source):
    write(tmp_path, VAL, "val")
    images = open_images(f"{tmp_path}{source}")
    assert [images.label_name(row) for row in range(2)] == [FISH, BIRD]
    assert images.label_sets is None
    np.testing.assert_array_equal(images.boxes.of(0).corners, [[1, 2, 3, 4], [0, 0, 8, 8]])
    np.testing.assert_array_equal(images.boxes.of(1).labels, [1])
    assert images.open(1).size == (9, 9)


def test_images_of_several_things_have_several_labels(tmp_path):
    write(tmp_path, {"a": f"{FISH} 1 2 3 4 {BIRD} 0 0 8 8", "b": f"{BIRD} 2 2 5 6"}, "val")
    images = open_images(str(tmp_path))
    np.testing.assert_array_equal(images.label_sets, [[True, True], [False, True]])


def test_the_solutions_of_two_splits_are_one_set(tmp_path):
    """As the competition's archive has them, with test images of which nothing is said."""
    write(tmp_path, {f"{name}_1": f"{name} 0 0 1 1" for name in (FISH, BIRD)}, "Data/train")
    write(tmp_path, VAL, "Data/val")
    (tmp_path / "Data" / "test").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "Data" / "test" / "x.JPEG")
    (tmp_path / "LOC_sample_submission.csv").write_text("ImageId,PredictionString\nx,\n")
    images = open_images(f"{tmp_path}:val")
    assert [images.label_name(row) for row in range(2)] == [FISH, BIRD]
    train = open_images(f"{tmp_path}:train")
    assert [train.label_name(row) for row in range(2)] == [FISH, BIRD]
    assert open_images(str(tmp_path)).split == "val"
