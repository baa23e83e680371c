"""COCO's JSON and Pascal VOC's folders, as sets of many labels."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from features.datasets import ImageSet, open_images
from features.errors import DatasetError

CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 17, "name": "cat"}, {"id": 1, "name": "person"}]


def write(root: Path, names: list[str]) -> Path:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (number, 0, 0)).save(root / name)
    return root


def coco(path: Path, names: list[str], annotations: list[tuple[int, int]]) -> Path:
    """annotations: (image's number, category's id), each with the box (1, 2, 1 + 10, 2 + 20)."""
    content = {
        "images": [{"id": 100 + number, "file_name": name} for number, name in enumerate(names)],
        "annotations": [
            {"id": row, "image_id": 100 + number, "category_id": category, "bbox": [1, 2, 10, 20]}
            for row, (number, category) in enumerate(annotations)
        ],
        "categories": CATEGORIES,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def told(images: ImageSet) -> dict[str, str | None]:
    return {name: images.label_name(index) for index, name in enumerate(images.ids)}


ANNOTATED = [(0, 17), (0, 18), (0, 17), (2, 1)]  # the second image has nothing
WANTED = ["cat;dog", "", "person"]


@pytest.mark.parametrize("images_in", ["images/", "", "val2017/", "images/val2017/"])
@pytest.mark.parametrize("json_in", ["annotations/", ""])
def test_a_file_of_coco_finds_its_images_beside_it_or_above(tmp_path, images_in, json_in):
    names = [f"{images_in}{number}.jpg" for number in range(3)]
    write(tmp_path, [*names, "elsewhere/9.jpg"])
    file = coco(tmp_path / json_in / "instances_val2017.json", [f"{number}.jpg" for number in range(3)], ANNOTATED)
    for source in (file, tmp_path):
        images = open_images(str(source))
        assert list(images.ids) == names
        assert [*told(images).values()] == WANTED
        assert images.class_names == ("person", "cat", "dog")  # as their ids are
        assert images.labels is None


def test_boxes_are_corners_in_pixels_and_follow_their_images(tmp_path):
    write(tmp_path, [f"images/{number}.jpg" for number in range(3)])
    file = coco(tmp_path / "instances.json", ["0.jpg", "1.jpg", "2.jpg"], ANNOTATED)
    images = open_images(str(file))
    assert [len(images.boxes.of(number).labels) for number in range(3)] == [3, 0, 1]
    np.testing.assert_array_equal(images.boxes.of(0).corners, [[1, 2, 11, 22]] * 3)
    assert sorted(images.boxes.of(0).labels.tolist()) == [1, 1, 2]
    turned = images.take([2, 1, 0]).boxes
    assert [len(turned.of(number).labels) for number in range(3)] == [1, 0, 3]
    assert turned.of(0).labels.tolist() == [0]


def test_two_files_of_coco_are_two_splits(tmp_path):
    write(tmp_path, ["train2017/0.jpg", "train2017/1.jpg", "val2017/0.jpg"])
    coco(tmp_path / "annotations/instances_train2017.json", ["0.jpg", "1.jpg"], [(0, 17), (1, 18)])
    coco(tmp_path / "annotations/instances_val2017.json", ["0.jpg"], [(0, 1)])
    coco(tmp_path / "annotations/person_keypoints_val2017.json", ["0.jpg"], [(0, 18)])
    images = open_images(str(tmp_path))
    assert (images.split, told(images)) == ("val2017", {"val2017/0.jpg": "person"})
    assert told(open_images(f"{tmp_path}:train")) == {"train2017/0.jpg": "cat", "train2017/1.jpg": "dog"}


def test_images_that_are_not_there_are_told_and_none_at_all_is_refused(tmp_path):
    write(tmp_path, ["images/0.jpg"])
    file = coco(tmp_path / "instances.json", ["0.jpg", "1.jpg"], [(0, 17), (1, 18)])
    assert any("1 images that" in note for note in open_images(str(file)).notes)
    (tmp_path / "images/0.jpg").unlink()
    with pytest.raises(DatasetError, match=r"None of the 2 images .* beside it"):
        open_images(str(file))


def test_a_damaged_file_of_coco_is_refused(tmp_path):
    write(tmp_path, ["images/0.jpg"])
    file = coco(tmp_path / "instances.json", ["0.jpg"], [(0, 99)])
    with pytest.raises(DatasetError, match="category 99, which is none of its 3"):
        open_images(str(file))
    file.write_text(file.read_text()[:-20])
    with pytest.raises(DatasetError, match="is damaged"):
        open_images(str(file))


def voc(root: Path) -> Path:
    write(root, [f"VOC2007/JPEGImages/00000{number}.jpg" for number in range(4)])
    write(root, ["VOC2007/SegmentationClass/000000.png"])
    objects = [["dog", "person", "dog"], ["cat"], [], ["person"]]
    box = "<bndbox><xmin>1</xmin><ymin>3</ymin><xmax>11</xmax><ymax>23</ymax></bndbox>"
    folder = root / "VOC2007"
    (folder / "Annotations").mkdir()
    (folder / "ImageSets/Main").mkdir(parents=True)
    for number, names in enumerate(objects):
        inner = "".join(f"<object><name>{name}</name>{box}</object>" for name in names)
        (folder / f"Annotations/00000{number}.xml").write_text(f"<annotation>{inner}</annotation>")
    for split, numbers in {"train": [0], "val": [1], "trainval": [0, 1], "test": [2, 3]}.items():
        text = "".join(f"00000{number}\n" for number in numbers)
        (folder / f"ImageSets/Main/{split}.txt").write_text(text)
        (folder / f"ImageSets/Main/dog_{split}.txt").write_text("".join(f"00000{n} -1\n" for n in numbers))
    return folder


def test_pascal_voc_has_the_objects_of_each_image_as_labels_and_its_lists_as_splits(tmp_path):
    folder = voc(tmp_path)
    images = open_images(f"{folder}:all")
    assert [*told(images).values()] == ["dog;person", "cat", "", "person"]
    assert images.class_names == ("cat", "dog", "person")
    np.testing.assert_array_equal(images.boxes.of(1).corners, [[0, 2, 11, 23]])
    assert open_images(str(folder)).ids == ("JPEGImages/000002.jpg", "JPEGImages/000003.jpg")
    assert dict(images.splits) == {"train": 1, "val": 1, "test": 2}
    assert [*told(open_images(f"{tmp_path}:train")).values()] == ["dog;person"]


def test_vocs_training_and_validation_images_are_one_split_where_nothing_parts_them(tmp_path):
    folder = voc(tmp_path)
    for split in ("train", "val"):
        (folder / f"ImageSets/Main/{split}.txt").unlink()
    assert dict(open_images(f"{folder}:all").splits) == {"trainval": 2, "test": 2}
    assert [*told(open_images(f"{folder}:train")).values()] == ["dog;person", "cat"]


def test_an_annotation_that_declares_entities_is_refused(tmp_path):
    folder = voc(tmp_path)
    (folder / "Annotations/000001.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>')
    with pytest.raises(DatasetError, match=r"000001\.xml cannot be read as an annotation"):
        open_images(str(folder))


def test_a_file_of_one_split_takes_the_images_of_its_folder(tmp_path):
    write(tmp_path, ["train2017/0.jpg", "val2017/0.jpg", "val2017/1.jpg"])
    file = coco(tmp_path / "annotations/instances_val2017.json", ["0.jpg", "1.jpg"], [(0, 1), (1, 17)])
    images = open_images(str(file))
    assert told(images) == {"val2017/0.jpg": "person", "val2017/1.jpg": "cat"}
    assert (images.split, images.aside) == ("", ())


def test_no_file_of_coco_leads_above_the_folders_that_may_be_read(tmp_path, monkeypatch):
    write(tmp_path, ["images/0.jpg"])
    file = coco(tmp_path / "annotations/instances.json", ["0.jpg"], [(0, 1)])
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path / "annotations"))
    with pytest.raises(DatasetError, match="None of the 1 images"):
        open_images(str(file))


XML = "<annotation><object><name>{}</name></object></annotation>"


@pytest.mark.parametrize("form", [("images/{}", "annotations/{}"), ("{}", "{}")], ids=["own folders", "beside"])
@pytest.mark.parametrize("split", ["", "train/"])
def test_vocs_annotations_may_lie_elsewhere(tmp_path, form, split):
    image, xml = (each.format(split) for each in form)
    write(tmp_path, [f"{image}{number}.png" for number in range(3)])
    if split:
        write(tmp_path, [name.replace("train", "test") for name in (f"{image}{number}.png" for number in range(3))])
    for name in {xml, xml.replace("train", "test")}:
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        for number in range(3):
            (tmp_path / f"{name}{number}.xml").write_text(XML.format("ab"[number % 2] + name.count("test") * "t"))
    images = open_images(str(tmp_path))
    assert [images.label_name(index) for index in range(3)] == (["at", "bt", "at"] if split else ["a", "b", "a"])
    assert not images.aside


def test_folders_of_classes_count_for_more_than_annotations_of_some(tmp_path):
    write(tmp_path, names := [f"{label}/{number}.png" for label in ("cat", "dog") for number in range(2)])
    for name in names:
        (tmp_path / name).with_suffix(".xml").write_text(XML.format("head"))
    assert open_images(str(tmp_path)).class_names == ("cat", "dog")
