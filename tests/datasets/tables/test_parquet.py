"""Images in Parquet, in the forms that Hugging Face's library and others write."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features import datasets
from features.datasets import Columns, open_images, open_uri
from features.datasets.values import labels_of as labels_made_of
from features.errors import DatasetError, ImageError
from tests.datasets.pictures import colour, labels_of, numbers_of, png

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
NAMES = {"names": ["ant", "bee", "cat"], "_type": "ClassLabel"}
BYTES = [png(number) for number in range(3)]


def write(path: Path, columns: dict, features: dict | None = None) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    if features:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path)
    return str(path)


def structures(data: list, paths: list | None = None) -> pa.Array:
    return pa.array([{"bytes": b, "path": p} for b, p in zip(data, paths or [None] * len(data), strict=True)], IMAGE)


@pytest.fixture
def opened(tmp_path):
    """opened(columns, features): a Parquet file of these, as a set."""
    return lambda columns, features=None: open_images(write(tmp_path / "set.parquet", columns, features))


# --- the column of images --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column",
    [
        pa.array(BYTES, pa.binary()),
        pa.array(BYTES, pa.large_binary()),
        pa.array(BYTES, pa.binary()).cast(pa.binary_view()),
        pa.array(BYTES, pa.binary()).dictionary_encode(),
        structures(BYTES),
        pa.array([[{"bytes": data, "path": None}] for data in BYTES], pa.list_(IMAGE)),
        pa.array([[data] for data in BYTES], pa.large_list(pa.large_binary())),
    ],
    ids=lambda column: str(column.type).replace(" ", ""),
)
def test_every_type_that_holds_bytes_holds_images(column, opened):
    found = opened({"jpg": column, "label": [2, 0, 1]})
    assert numbers_of(found) == [0, 1, 2]
    assert labels_of(found) == ["2", "0", "1"]
    assert [open_uri(found.uri(index)).getpixel((0, 0)) for index in (2, 0)] == [colour(2), colour(0)]


def test_of_lists_of_images_the_first_of_each_row_is_taken_and_that_is_told(opened):
    rows = [[{"bytes": png(1), "path": None}, {"bytes": png(8), "path": None}], [{"bytes": png(2), "path": None}], []]
    found = opened({"images": pa.array(rows, pa.list_(IMAGE))})
    assert "The first of each row is taken" in found.notes[0]
    assert [found.open(index).getpixel((0, 0)) for index in (0, 1)] == [colour(1), colour(2)]
    with pytest.raises(ImageError, match=r"set\.parquet/2 has no bytes"):
        found.open(2)


@pytest.mark.parametrize(
    "other", ["md5", "sha256", "thumbnail", "annotation", "depth_map", "mask", "conditioning_image"]
)
def test_the_column_of_images_is_told_from_hashes_and_masks(other, opened):
    values = [bytes([number]) * 16 for number in range(3)] if other in ("md5", "sha256") else [png(9)] * 3
    found = opened({other: values, "pixel_values": BYTES})
    assert numbers_of(found) == [0, 1, 2]
    assert bool(found.notes) == (other not in ("md5", "sha256"))


def test_hashes_of_fixed_size_are_no_images(opened):
    assert numbers_of(opened({"sha": pa.array([b"0" * 32] * 3, pa.binary(32)), "x": BYTES})) == [0, 1, 2]
    with pytest.raises(DatasetError, match="no column of image bytes, only md5, n"):
        opened({"md5": [b"0" * 16] * 3, "n": [1, 2, 3]})


def test_what_hugging_face_calls_an_image_comes_first(opened):
    image = {"_type": "Image"}
    found = opened({"a": structures([png(9)] * 3), "b": structures(BYTES)}, {"a": {"_type": "Value"}, "b": image})
    assert numbers_of(found) == [0, 1, 2]
    assert "Taken: b; not a" in found.notes[0]


def test_a_name_among_images_counts_only_where_their_bytes_are_images(opened):
    found = opened({"image": [b"no picture, but a text of more than sixty-four bytes " * 2] * 3, "raw": BYTES})
    assert numbers_of(found) == [0, 1, 2]


def test_parquet_is_told_by_its_first_bytes(tmp_path):
    Path(write(tmp_path / "set.parquet", {"image": BYTES})).rename(tmp_path / "set")
    assert numbers_of(open_images(str(tmp_path / "set"))) == [0, 1, 2]


# --- images that lie beside the table --------------------------------------------------------------------------------


@pytest.fixture
def beside(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        (tmp_path / "photos" / f"{number}.png").write_bytes(png(number))
    return tmp_path


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_rows_without_bytes_are_the_files_that_they_name(absolute, nested, beside):
    paths = [f"{beside}/photos/{number}.png" if absolute else f"photos/{number}.png" for number in range(3)]
    columns = {"image": structures([None] * 3, paths) if nested else paths, "label": ["b", "a", "b"]}
    found = open_images(write(beside / "set.parquet", columns))
    assert numbers_of(found) == [0, 1, 2]
    assert labels_of(found) == ["b", "a", "b"]
    in_bytes_place = absolute and nested  # a column of paths alone is a list, whose names stay as they are
    assert found.ids == (("0.png", "1.png", "2.png") if in_bytes_place else tuple(paths))
    assert open_uri(found.uri(1)).getpixel((0, 0)) == colour(1)


def test_bytes_and_paths_may_be_mixed(beside):
    found = open_images(write(beside / "set.parquet", {"image": structures([png(7), None], ["x.png", "photos/1.png"])}))
    assert numbers_of(found) == [7, 1]


def test_files_that_are_missing_or_lie_out_of_the_allowed_folders_are_image_errors(beside, monkeypatch):
    (beside / "in").mkdir()
    paths = ["../photos/0.png", f"{beside}/photos/1.png", "gone.png", "memory://x/1.png", "a\0b.png"]
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(beside / "in"))
    found = open_images(write(beside / "in" / "set.parquet", {"image": structures([None] * 5, paths)}))
    for index, text in enumerate(
        ("outside the folders", "outside the folders", "cannot be read", "outside", "outside")
    ):
        with pytest.raises(ImageError, match=text):
            found.open(index)


def test_the_digest_changes_with_an_image_beside_the_table(beside):
    path = write(beside / "set.parquet", {"image": structures([None] * 2, ["photos/0.png", "photos/1.png"])})
    before = open_images(path).digest
    assert open_images(path).digest == before
    (beside / "photos" / "1.png").write_bytes(png(1) + b"more")
    assert open_images(path).digest != before


# --- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        (pa.array([2.0, 0.0, 1.0]), ["cat", "ant", "bee"]),
        (pa.array([2, 0, 1], pa.uint8()), ["cat", "ant", "bee"]),
        (pa.array([True, False, True]), ["bee", "ant", "bee"]),
        (pa.array(["cat", "ant", "bee"]).dictionary_encode(), ["cat", "ant", "bee"]),
        (pa.array(["cat", "ant", "bee"], pa.large_string()), ["cat", "ant", "bee"]),
        (pa.array([[2], [0], [1]]), ["cat", "ant", "bee"]),
    ],
)
def test_labels_of_every_type_are_classes(labels, wanted, opened):
    found = opened({"image": BYTES, "label": labels}, {"label": NAMES})
    assert labels_of(found) == wanted
    assert not found.notes


@pytest.mark.parametrize("name", ["label", "labels", "fine_label", "class", "category", "target", "Label", "breed"])
def test_labels_are_found_by_the_names_of_their_columns_or_as_hugging_faces_classes(name, opened):
    assert labels_of(opened({"image": BYTES, name: [2, 0, 1]}, {name: NAMES})) == ["cat", "ant", "bee"]


def test_of_two_columns_of_labels_the_choice_is_told(opened):
    columns = {"image": BYTES, "coarse_label": [0, 0, 1], "fine_label": [2, 0, 1]}
    found = opened(columns, {"fine_label": NAMES, "coarse_label": NAMES})
    assert labels_of(found) == ["cat", "ant", "bee"]
    assert "Labels are those of the column fine_label, not of coarse_label." in found.notes


def test_words_beside_numbers_name_the_classes(opened):
    assert labels_of(opened({"image": BYTES, "label": [1, 0, 1], "label_text": ["dog", "cat", "dog"]})) == [
        *("dog", "cat", "dog")
    ]


@pytest.mark.parametrize(
    ("labels", "note"),
    [
        ([0, None, 1], r"1 of 3 have none \(set\.parquet/1\)"),
        ([0, -1, 1], r"1 of 3 have none \(set\.parquet/1\)"),
        (["a", "b", None], r"1 of 3 have none \(set\.parquet/2\)"),
        ([0, 5, 1], "one is number 5, but 3 classes are named"),
        ([0.5, 1.0, 2.0], "0.5 is no class"),
    ],
)
def test_labels_that_some_rows_lack_are_none_for_all_and_that_is_told(labels, note, opened):

    found = opened({"image": BYTES, "label": labels}, {"label": NAMES})
    assert found.labels is None
    assert re.search(f"The images have no labels: {note}", found.notes[0])


def test_two_classes_of_one_name_stay_two(opened):
    cranes = {"names": ["crane", "dog", "crane"], "_type": "ClassLabel"}
    found = opened({"image": BYTES, "label": [2, 1, 0]}, {"label": cranes})
    assert found.labels.tolist() == [2, 1, 0]
    assert found.class_names == ("crane", "dog", "crane")


def test_minus_1_everywhere_is_a_set_without_labels(opened):
    found = opened({"image": BYTES, "label": [-1] * 3}, {"label": NAMES})
    assert found.labels is None
    assert not found.notes


def test_whole_numbers_are_classes_in_their_order():
    made = labels_made_of([10, 2, 0, np.nan])
    assert made.every == [str(number) for number in range(11)]
    assert made.names == ["10", "2", "0", None]


# --- splits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("data/train-00000-of-00001", "data/test-00000-of-00001"),
        ("train/0000", "test/0000"),
        ("train", "validation"),
        ("train_1", "val_1"),
        ("data/train-00000-of-00002-0a1b2c3d", "data/valid-00000-of-00001-4e5f6a7b"),
    ],
)
def test_splits_are_told_by_the_names_of_files(train, test, tmp_path):
    write(tmp_path / f"set/{train}.parquet", {"image": BYTES, "label": [0, 1, 2]}, {"label": NAMES})
    write(tmp_path / f"set/{test}.parquet", {"image": [png(5)], "label": [1]}, {"label": NAMES})
    found = open_images(str(tmp_path / "set"))
    assert numbers_of(found) == [5]
    assert (labels_of(found), found.class_names) == (["bee"], ("ant", "bee", "cat"))
    assert "has splits" in found.notes[0]
    assert numbers_of(open_images(f"{tmp_path}/set:train")) == [0, 1, 2]
    assert len(open_images(f"{tmp_path}/set:all")) == 4
    assert datasets.reopen(found.origin).digest == found.digest


def test_a_test_split_without_labels_is_not_taken_before_one_with_labels(tmp_path):
    write(tmp_path / "set/test-00000-of-00001.parquet", {"image": BYTES, "label": [-1] * 3})
    write(tmp_path / "set/validation-00000-of-00001.parquet", {"image": [png(5)], "label": [1]})
    found = open_images(str(tmp_path / "set"))
    assert numbers_of(found) == [5]
    assert open_images(f"{tmp_path}/set:test").labels is None


def test_splits_are_told_by_a_column(opened, tmp_path):
    found = opened({"image": BYTES, "split": ["train", "test", "train"], "label": [0, 1, 2]})
    assert numbers_of(found) == [1]
    assert numbers_of(open_images(f"{tmp_path}/set.parquet:train")) == [0, 2]
    assert numbers_of(opened({"image": BYTES, "split": ["a", "b", "a"]})) == [0, 1, 2]


def test_one_split_of_a_pattern_is_that_split(tmp_path):
    for split, number in (("train", 1), ("test", 2)):
        for part in range(2):
            write(tmp_path / f"data/{split}-0000{part}-of-00002.parquet", {"image": [png(10 * number + part)]})
    found = open_images(f"{tmp_path}/data/test-*.parquet")
    assert found.ids == ("test-00000-of-00002.parquet/0", "test-00001-of-00002.parquet/0")
    assert numbers_of(found) == [20, 21]
    assert not found.notes
    assert numbers_of(open_images(f"{tmp_path}/data/{{train,test}}-*.parquet:train")) == [10, 11]


# --- names, and what lies beside -------------------------------------------------------------------------------------


def test_names_that_repeat_get_numbers_and_missing_ones_their_places(opened):
    found = opened({"image": structures([*BYTES, png(3), png(4)], ["a", "b", "a", None, "a#2"])})
    assert found.ids == ("a", "b", "a#3", "set.parquet/3", "a#2")
    assert "2 rows have no name of their own in the column image" in found.notes[0]


def test_a_name_that_all_rows_have_names_none(opened):
    found = opened({"image": structures(BYTES, ["image.jpg"] * 3)})
    assert found.ids == ("set.parquet/0", "set.parquet/1", "set.parquet/2")
    assert not found.notes


def test_a_folder_with_pictures_and_tables_is_what_there_is_more_of(tmp_path):
    root = tmp_path / "set"
    write(root / "data.parquet", {"image": BYTES})
    (root / "preview.png").write_bytes(png(9))
    found = open_images(str(root))
    assert numbers_of(found) == [0, 1, 2]
    assert [(each.reason, each.names) for each in found.aside] == [("pictures beside .parquet files", ("preview.png",))]
    for number in range(4):
        (root / f"{number}.png").write_bytes(png(number))
    found = open_images(str(root))
    assert len(found) == 5
    assert found.aside[0].names == ("data.parquet",)


def test_files_with_other_columns_beside_are_one_set_if_their_images_are_alike(tmp_path):
    write(tmp_path / "set/a.parquet", {"image": BYTES, "label": [0, 1, 2], "size": [1, 2, 3]})
    write(tmp_path / "set/b.parquet", {"image": BYTES, "label": [2, 1, 0]})
    assert labels_of(open_images(str(tmp_path / "set"))) == ["0", "1", "2", "2", "1", "0"]


def test_tables_below_hidden_folders_and_behind_links(tmp_path):
    write(tmp_path / "set/.cache/a.parquet", {"image": [png(9)]})
    write(tmp_path / "elsewhere/b.parquet", {"image": BYTES})
    (tmp_path / "set/linked").symlink_to(tmp_path / "elsewhere")
    assert numbers_of(open_images(str(tmp_path / "set"))) == [0, 1, 2]


def test_a_damaged_column_of_labels_is_told(opened, tmp_path):
    path = Path(write(tmp_path / "set.parquet", {"image": BYTES, "label": ["ant", "bee", "cat"]}))
    path.write_bytes(path.read_bytes().replace(b"bee", b"b\xffe"))
    with pytest.raises(DatasetError, match=r"The column label of .*set\.parquet cannot be read"):
        open_images(str(path))


def test_bytes_that_lie_beside_are_found_through_any_link_that_may_be_followed(beside, monkeypatch):
    (beside / "set").mkdir()
    (beside / "set" / "photos").symlink_to(beside / "photos")
    path = write(beside / "set" / "set.parquet", {"image": structures([None], ["photos/2.png"])})
    assert numbers_of(open_images(path)) == [2]
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(beside / "set"))
    with pytest.raises(ImageError, match="outside the folders"):
        open_images(path).open(0)


def test_a_column_of_labels_may_be_named(tmp_path):
    source = write(tmp_path / "set.parquet", {"image": BYTES, "label": ["a", "b", "c"], "kind": ["x", "y", "x"]})
    images = open_images(source, columns=Columns(label="kind"))
    assert labels_of(images) == ["x", "y", "x"]
    assert images.digest != open_images(source).digest
    assert datasets.reopen(images.origin).digest == images.digest
    with pytest.raises(DatasetError, match=r"no column .lens., which --label-column names"):
        open_images(source, columns=Columns(label="lens"))


def test_another_column_of_images_is_not_taken_though_it_is_named(tmp_path):
    source = write(tmp_path / "set.parquet", {"image": BYTES, "mask": BYTES})
    assert len(open_images(source, columns=Columns("image"))) == 3
    with pytest.raises(DatasetError, match="not of 'mask', which --path-column names"):
        open_images(source, columns=Columns("mask"))


@pytest.mark.parametrize("source", ["sample", "torchvision:CIFAR10"])
def test_sets_without_lists_have_no_columns_to_name(source):
    with pytest.raises(DatasetError, match="has no list of columns"):
        open_images(source, columns=Columns(label="x"))


@pytest.mark.parametrize("source", ["", "/*.parquet"], ids=["folder", "pattern"])
def test_tables_of_paths_tell_splits_by_their_names(tmp_path, source):
    for split, numbers in (("train", (0, 1)), ("test", (2,))):
        for number in numbers:
            (tmp_path / f"{number}.png").write_bytes(BYTES[number])
        paths = [str(tmp_path / f"{number}.png") for number in numbers]
        write(tmp_path / "lists" / f"{split}.parquet", {"path": paths, "label": ["a"] * len(paths)})
    images = open_images(f"{tmp_path}/lists{source}")
    assert numbers_of(images) == [2]
    assert (images.split, images.splits, [*images.columns]) == ("test", {"test": 1, "train": 2}, [])
    assert numbers_of(open_images(f"{tmp_path}/lists{source}:train")) == [0, 1]


# --- several labels, and what else is said ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        ([["cat", "dog"], ["dog"], []], {"cat": [1, 0, 0], "dog": [1, 1, 0]}),
        (["cat;dog", "dog", "cat"], {"cat": [1, 0, 1], "dog": [1, 1, 0]}),
        ([[2, 0], [2], [0]], {"0": [1, 0, 1], "2": [1, 1, 0]}),
    ],
)
def test_images_may_have_several_labels(cells, wanted, tmp_path):
    found = open_images(write(tmp_path / "set.parquet", {"image": [png(n) for n in range(3)], "labels": cells}))
    assert found.labels is None
    assert {name: found.label_sets[:, k].astype(int).tolist() for k, name in enumerate(found.class_names)} == wanted


def test_several_labels_are_called_as_the_file_says_and_follow_their_split(tmp_path):
    told = {"labels": {"feature": {"names": ["ant", "bee", "cat"], "_type": "ClassLabel"}, "_type": "List"}}
    meta = {b"huggingface": json.dumps({"info": {"features": told}}).encode()}
    columns = {"image": [png(n) for n in range(3)], "labels": [[0, 2], [1], [2]], "split": ["train", "test", "train"]}
    table = pa.table(columns).replace_schema_metadata(meta)
    pq.write_table(table, tmp_path / "set.parquet")
    found = open_images(f"{tmp_path}/set.parquet:train")
    assert found.class_names == ("ant", "bee", "cat")
    assert found.label_sets.astype(int).tolist() == [[1, 0, 1], [0, 0, 1]]
    assert numbers_of(found) == [0, 2]


def test_further_columns_stay_with_their_images(tmp_path):
    columns = {
        "image": [png(n) for n in range(3)], "label": [0, 1, 0], "weight": [0.5, 2.0, 1.0],
        "place": ["sea", None, "air"], "vector": [[1.0], [2.0], [3.0]], "file_name": ["a.png", "b.png", "c.png"],
    }  # fmt: skip
    found = open_images(write(tmp_path / "set.parquet", columns)).take([2, 0])
    assert set(found.columns) == {"weight", "place"}
    assert found.columns["weight"].tolist() == [1.0, 0.5]
    assert found.columns["place"].tolist() == ["air", "sea"]
