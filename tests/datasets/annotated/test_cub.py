"""Sets laid out as CUB-200-2011, whose files number the images."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from features.datasets import ImageSet, open_images

BIRDS = ("001.Albatross", "002.Auklet", "010.Bunting")


def told(images: ImageSet) -> dict[str, str | None]:
    return {name: images.label_name(index) for index, name in enumerate(images.ids)}


def write(root: Path, names: list[str], labels: list[str], training: list[int]) -> Path:
    """Images number 1, 2, ... with the files that tell of them."""
    lines: dict[str, list[str]] = {"images": [], "image_class_labels": [], "train_test_split": [], "bounding_boxes": []}
    for number, (name, label, is_training) in enumerate(zip(names, labels, training, strict=True), start=1):
        (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), (number, 0, 0)).save(root / "images" / name)
        lines["images"].append(f"{number} {name}")
        lines["image_class_labels"].append(f"{number} {label}")
        lines["train_test_split"].append(f"{number} {is_training}")
        lines["bounding_boxes"].append(f"{number} 1.0 2.0 {number}.0 3.0")
    for name, rows in lines.items():
        (root / f"{name}.txt").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    names = [f"{bird}/{bird[4:]}_{number}.jpg" for bird in BIRDS for number in (1, 2)]
    made = write(tmp_path / "CUB", names, ["1", "1", "2", "2", "10", "10"], [1, 0, 1, 0, 1, 1])
    (made / "classes.txt").write_text("".join(f"{int(bird[:3])} {bird}\n" for bird in BIRDS))
    return made


@pytest.mark.parametrize("source", ["", "images.txt", "images/..", "zip"], ids=["folder", "index", "dots", "zip"])
def test_labels_splits_and_boxes_are_those_of_its_files(root, source):
    place = root / source
    if source == "zip":
        place = root.with_suffix(".zip")
        with zipfile.ZipFile(place, "w") as archive:
            for file in sorted(root.rglob("*.*")):
                if file.is_file():
                    archive.write(file, file.relative_to(root.parent))
    images = open_images(str(place))
    assert [*told(images).values()] == ["001.Albatross", "002.Auklet"]
    assert (images.split, images.splits) == ("test", {"train": 4, "test": 2})
    assert images.class_names == BIRDS
    train = open_images(f"{place}:train")
    assert [*told(train).values()] == ["001.Albatross", "002.Auklet", "010.Bunting", "010.Bunting"]
    np.testing.assert_array_equal(train.boxes.of(3).corners, [[1, 2, 7, 5]])  # left, top, width and height of image 6
    assert all(aside.reason != ".txt is not an image's" for aside in images.aside)


def test_images_in_folders_of_numbers_are_called_as_their_classes(tmp_path):
    """As NABirds has them."""
    made = write(tmp_path, ["0295/a.jpg", "0817/b.jpg"], ["295", "817"], [1, 1])
    (made / "classes.txt").write_text("0 Birds\n295 Common Merganser\n817 Oak Titmouse\n")
    assert [*told(open_images(str(made))).values()] == ["Common Merganser", "Oak Titmouse"]


def test_without_its_labels_an_index_says_nothing(root):
    (root / "image_class_labels.txt").unlink()
    assert {*told(open_images(str(root))).values()} == {*BIRDS}
