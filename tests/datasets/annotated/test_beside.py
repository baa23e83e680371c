"""Tables of labels beside the images that they are about."""

import io
import json
import os
import shutil
import zipfile
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from features import datasets
from features.datasets import Columns, ImageSet, open_images
from features.errors import DatasetError


def write(root: Path, names: list[str]) -> Path:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number, 0, 0)).save(root / name)
    return root


def told(images: ImageSet) -> dict[str, str | None]:
    return {name: images.label_name(index) for index, name in enumerate(images.ids)}


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_metadata_of_huggingface_labels_the_images_of_its_folder(tmp_path, kind):
    write(tmp_path / "set", ["train/0.png", "train/1.png", "test/0.png", "test/1.png"])
    for split, labels in (("train", "ab"), ("test", "ba")):
        text = "file_name,label,lens\n" + "".join(f"{n}.png,{label},{n}\n" for n, label in enumerate(labels))
        (tmp_path / "set" / split / "metadata.csv").write_text(text)
    source = tmp_path / "set"
    if kind == "zip":
        with zipfile.ZipFile(source := tmp_path / "set.zip", "w") as archive:
            for file in sorted((tmp_path / "set").rglob("*.*")):
                archive.write(file, file.relative_to(tmp_path / "set"))
    images = open_images(str(source))
    assert told(images) == {"test/0.png": "b", "test/1.png": "a"}
    assert images.columns["lens"].tolist() == [0, 1]
    assert told(open_images(f"{source}:train")) == {"train/0.png": "a", "train/1.png": "b"}
    assert any("metadata.csv (column label)" in note for note in images.notes)


@pytest.mark.parametrize("name", ["labels.csv", "train.csv", "annotations.tsv", "list.txt", "data.jsonl"])
@pytest.mark.parametrize("path", ["{}.png", "images/{}.png", "{}"], ids=["name", "path", "without ending"])
def test_a_table_beside_a_folder_of_images_labels_them(tmp_path, name, path):
    write(tmp_path, [f"images/{number}x.png" for number in range(4)])
    form = {
        "csv": "{},{}\n", "tsv": "{}\t{}\n", "txt": "{} {}\n", "jsonl": '{{"image": "{}", "label": "{}"}}\n'
    }[name.split(".")[1]]  # fmt: skip
    head = {"csv": "id,label\n", "tsv": "id\tlabel\n"}.get(name.split(".")[1], "")
    rows = "".join(form.format(path.format(f"{number}x"), "ab"[number % 2]) for number in range(4))
    (tmp_path / name).write_text(head + rows)
    assert told(open_images(str(tmp_path))) == {f"images/{n}x.png": "ab"[n % 2] for n in range(4)}


def test_a_table_of_other_things_says_nothing(tmp_path):
    write(tmp_path, ["cat/0.png", "dog/0.png"])
    (tmp_path / "notes.csv").write_text("what,when\nwalk,monday\n")
    (tmp_path / "sample_submission.csv").write_text("id,label\ncat/0.png,0\ndog/0.png,0\n")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    assert told(open_images(str(tmp_path))) == {"cat/0.png": "cat", "dog/0.png": "dog"}


def test_what_a_table_does_not_name_is_left_aside_and_what_is_not_there_is_told(tmp_path):
    write(tmp_path, ["0.png", "1.png", "2.png"])
    (tmp_path / "labels.csv").write_text("file,label\n0.png,a\n1.png,b\n9.png,a\n")
    images = open_images(str(tmp_path))
    assert told(images) == {"0.png": "a", "1.png": "b"}
    assert {each.reason: each.names for each in images.aside} == {"labels.csv does not name them": ("2.png",)}
    assert any("1 row of labels.csv names no image here" in note for note in images.notes)


def test_a_table_without_labels_leaves_those_of_the_folders(tmp_path):
    write(tmp_path, ["cat/0.png", "dog/0.png"])
    (tmp_path / "metadata.csv").write_text("file_name,width\ncat/0.png,10\ndog/0.png,20\n")
    images = open_images(str(tmp_path))
    assert told(images) == {"cat/0.png": "cat", "dog/0.png": "dog"}
    assert images.columns["width"].tolist() == [10, 20]


def test_lists_called_as_splits_are_splits(tmp_path):
    write(tmp_path, ["images/0.png", "images/1.png", "images/2.png"])
    (tmp_path / "train.txt").write_text("images/0.png 0\nimages/1.png 1\n")
    (tmp_path / "val.txt").write_text("images/2.png 1\n")
    images = open_images(str(tmp_path))
    assert (images.split, told(images)) == ("val", {"images/2.png": "1"})
    assert told(open_images(f"{tmp_path}:train")) == {"images/0.png": "0", "images/1.png": "1"}


def test_images_for_a_competition_have_no_labels_where_only_the_training_images_do(tmp_path):
    write(tmp_path, ["train/0.png", "train/1.png", "test/2.png", "test/3.png", "test/4.png"])
    (tmp_path / "train.csv").write_text("id,breed\n0,a\n1,b\n")
    images = open_images(str(tmp_path))
    assert (images.split, told(images)) == ("train", {"train/0.png": "a", "train/1.png": "b"})
    assert open_images(f"{tmp_path}:test").labels is None


def test_a_table_called_as_a_split_is_about_the_images_of_its_folder(tmp_path):
    write(tmp_path, ["train/0.png", "train/1.png", "test/0.png", "test/1.png"])
    (tmp_path / "train.csv").write_text("id,breed\n0,a\n1,b\n")
    assert told(open_images(str(tmp_path))) == {"train/0.png": "a", "train/1.png": "b"}


def test_numbers_in_a_table_are_called_as_the_folders_of_the_same_classes(tmp_path):
    write(tmp_path, ["cat/0.png", "cat/1.png", "dog/2.png"])
    (tmp_path / "labels.csv").write_text("file,label\ncat/0.png,1\ncat/1.png,1\ndog/2.png,0\n")
    assert told(open_images(str(tmp_path))) == {"cat/0.png": "cat", "cat/1.png": "cat", "dog/2.png": "dog"}
    (tmp_path / "labels.csv").write_text("file,label\ncat/0.png,1\ncat/1.png,0\ndog/2.png,0\n")
    assert told(open_images(str(tmp_path))) == {"cat/0.png": "1", "cat/1.png": "0", "dog/2.png": "0"}


def test_a_table_that_labels_only_some_of_the_images_that_it_names_labels_none_which_is_told(tmp_path):
    write(tmp_path, ["0.png", "1.png"])
    (tmp_path / "labels.csv").write_text("file,label\n0.png,a\n1.png,\n")
    images = open_images(str(tmp_path))
    assert not images.is_labelled
    assert any("labels.csv has those of 1 of 2, and none of 1.png" in note for note in images.notes)


def test_of_two_tables_of_the_same_images_the_unused_one_is_told(tmp_path):
    write(tmp_path, ["0.png", "1.png"])
    (tmp_path / "a.csv").write_text("file,label\n0.png,a\n1.png,b\n")
    (tmp_path / "b.csv").write_text("image,class\n0.png,b\n1.png,a\n")
    images = open_images(str(tmp_path))
    assert told(images) == {"0.png": "a", "1.png": "b"}
    assert any("Not used, though of these images too: b.csv" in note for note in images.notes)


def test_columns_of_a_table_beside_can_be_named(tmp_path):
    write(tmp_path, ["0.png", "1.png"])
    (tmp_path / "table.csv").write_text("file,one,two\n0.png,a,x\n1.png,a,y\n")
    assert told(open_images(str(tmp_path), columns=Columns(label="two"))) == {"0.png": "x", "1.png": "y"}
    with pytest.raises(DatasetError, match="no list with such columns"):
        open_images(str(tmp_path), columns=Columns(label="three"))


def test_several_labels_in_a_table_beside(tmp_path):
    write(tmp_path, ["0.png", "1.png"])
    (tmp_path / "labels.csv").write_text("file,label\n0.png,a;b\n1.png,\n")
    np.testing.assert_array_equal(open_images(str(tmp_path)).label_sets, [[True, True], [False, False]])


def test_other_labels_beside_are_another_set(tmp_path):
    write(tmp_path, ["0.png", "1.png"])
    digests = {open_images(str(tmp_path)).digest}
    for labels in ("ab", "ba", "aa"):
        (tmp_path / "labels.csv").write_text(f"file,label\n0.png,{labels[0]}\n1.png,{labels[1]}\n")
        digests.add(open_images(str(tmp_path)).digest)
    assert len(digests) == 4


def test_labels_in_a_zip_are_read_from_the_zip(tmp_path):
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("a.png", file.getvalue())
        archive.writestr("labels.csv", "file,label\na.png,ant\n")
    assert told(open_images(str(tmp_path / "set.zip"))) == {"a.png": "ant"}


def zipped(path: Path, names: list[str], **texts: str) -> Path:
    """A zip of pictures, and of texts."""
    write(path.with_suffix(".d"), names)
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.write(path.with_suffix(".d") / name, name)
        for name, text in texts.items():
            archive.writestr(name, text)
    return path


def test_a_table_beside_archives_labels_what_is_in_these(tmp_path):
    (tmp_path / "set").mkdir()
    for split in ("train", "test"):
        made = zipped(tmp_path / f"{split}.zip", [f"{split}/{split}{number}.png" for number in range(3)])
        made.rename(tmp_path / "set" / made.name)
    (tmp_path / "set" / "train.csv").write_text("id,label\n" + "".join(f"train{n},{'ab'[n % 2]}\n" for n in range(3)))
    (tmp_path / "set" / "notes.md").write_text("x")
    images = open_images(str(tmp_path / "set"))
    assert told(images) == {f"train/train/train{n}.png": "ab"[n % 2] for n in range(3)}
    assert images.split == "train"
    assert [each.names for each in images.aside] == [("notes.md",)]


def test_lists_of_splits_in_the_one_folder_of_an_archive_are_found(tmp_path):
    names = [f"food/images/{label}/{label}{number}.png" for label in "ab" for number in range(2)]
    lists = {
        f"food/meta/{s}.txt": "".join(f"{label}/{label}{n}\n" for label in "ab")
        for n, s in enumerate(("test", "train"))
    }
    images = open_images(str(zipped(tmp_path / "food.zip", names, **lists)))
    assert told(images) == {f"food/images/{label}/{label}0.png": label for label in "ab"}
    assert images.split == "test"


@pytest.mark.parametrize("head", ["file_name,photographer", "file_name,blurry,occluded"])
def test_folders_of_classes_count_for_more_than_a_column_that_is_not_called_as_labels(tmp_path, head):
    write(tmp_path, names := [f"{label}/{number}.png" for label in "ab" for number in range(4)])
    cells = ["0,1", "1,0", "0,0", "1,1"] if "," in head.partition(",")[2] else ["ann", "bob", "ann", "bob"]
    rows = "".join(f"{name},{cells[number % 4]}\n" for number, name in enumerate(names))
    (tmp_path / "metadata.csv").write_text(f"{head}\n{rows}")
    images = open_images(str(tmp_path))
    assert told(images) == {name: name[0] for name in names}
    assert [*images.columns] == head.split(",")[1:]
    assert any("--label-column" in note for note in images.notes)
    last = head.split(",")[-1]
    assert told(open_images(str(tmp_path), columns=Columns(label=last)))["a/0.png"] in ("ann", "1", "occluded")


def test_texts_of_which_each_stands_there_once_are_no_classes(tmp_path):
    write(tmp_path, names := [f"{number}.png" for number in range(5)])
    (tmp_path / "captions.csv").write_text("file_name,caption\n" + "".join(f"{name},photo {name}\n" for name in names))
    images = open_images(str(tmp_path))
    assert not images.is_labelled
    assert images.columns["caption"][0] == "photo 0.png"


def test_tables_of_one_name_may_have_other_further_columns(tmp_path):
    write(tmp_path, ["train/0.png", "train/1.png", "test/0.png", "test/1.png"])
    (tmp_path / "train" / "metadata.csv").write_text("file_name,label,lens\n0.png,a,5\n1.png,b,6\n")
    (tmp_path / "test" / "metadata.csv").write_text("file_name,label\n0.png,a\n1.png,b\n")
    assert told(open_images(str(tmp_path))) == {"test/0.png": "a", "test/1.png": "b"}
    assert open_images(f"{tmp_path}:train").columns["lens"].tolist() == [5, 6]


@pytest.mark.parametrize("inside", ["", "cat/"])
def test_a_table_of_splits_makes_no_classes_of_the_folders_of_splits(tmp_path, inside):
    folders = [inside, inside.replace("cat", "dog")]
    write(tmp_path, names := [f"{s}/{f}{n}.png" for s in ("train", "test") for n, f in enumerate(folders)])
    rows = "".join(f"{name},{name.split('/')[0]}\n" for name in names)
    (tmp_path / "splits.csv").write_text(f"path,split\n{rows}")
    images = open_images(str(tmp_path))
    assert images.split == "test"
    assert [*told(images).values()] == (["cat", "dog"] if inside else [None, None])


def test_a_list_of_one_split_leaves_the_others_their_folders(tmp_path):
    """As Tiny ImageNet has it, with the corners of a box behind."""
    names = [f"train/{label}/images/{n}.png" for label in ("cat", "dog") for n in (1, 2)]
    write(tmp_path, [*names, *(f"val/images/v{n}.png" for n in range(4))])
    rows = "".join(f"v{n}.png\t{('cat', 'dog')[n % 2]}\t0\t0\t62\t62\n" for n in range(4))
    (tmp_path / "val" / "val_annotations.txt").write_text(rows)
    images = open_images(str(tmp_path))
    assert [*told(images).values()] == ["cat", "dog", "cat", "dog"]
    assert images.class_names == ("cat", "dog")
    assert told(open_images(f"{tmp_path}:train")) == {name: name.split("/")[1] for name in names}
    assert len(open_images(f"{tmp_path}:all")) == 8


def test_a_table_may_be_larger_than_an_image_and_have_long_cells(tmp_path, monkeypatch):
    write(tmp_path, ["0.png", "1.png"])
    (tmp_path / "labels.csv").write_text(f"file_name,label,mask\n0.png,a,{'1 ' * 100_000}\n1.png,b,1\n")
    monkeypatch.setattr("features.datasets.images.MAX_BYTES", 1000)
    assert told(open_images(str(tmp_path))) == {"0.png": "a", "1.png": "b"}


def test_metadata_may_be_parquet(tmp_path):
    write(tmp_path, ["train/0.png", "train/1.png"])
    table = pa.table({"file_name": ["0.png", "1.png"], "label": ["b", "a"], "lens": [5, 6]})
    pq.write_table(table, tmp_path / "train" / "metadata.parquet")
    images = open_images(str(tmp_path))
    assert told(images) == {"train/0.png": "b", "train/1.png": "a"}
    assert images.columns["lens"].tolist() == [5, 6]
    (tmp_path / "train" / "metadata.parquet").write_bytes(b"PAR1 damaged")
    assert not open_images(str(tmp_path)).is_labelled


def test_further_rows_of_an_image_are_told(tmp_path):
    write(tmp_path, ["0.png", "1.png"])
    (tmp_path / "labels.csv").write_text("path,label\n0.png,a\n0.png,b\n1.png,b\n")
    images = open_images(str(tmp_path))
    assert told(images) == {"0.png": "a", "1.png": "b"}
    assert any("1 further row of labels.csv" in note for note in images.notes)


def test_numbers_of_archives_are_no_splits_of_a_table_beside(tmp_path):
    (tmp_path / "set").mkdir()
    for part in ("train-000", "train-001", "test-000", "test-001"):
        zipped(tmp_path / f"{part}.zip", [f"{part}.png"]).rename(tmp_path / "set" / f"{part}.zip")
    rows = "".join(f"{part}.png,a\n" for part in ("train-000", "train-001", "test-000", "test-001"))
    (tmp_path / "set" / "labels.csv").write_text(f"path,label\n{rows}")
    assert open_images(str(tmp_path / "set")).splits == {"test": 2, "train": 2}


def test_a_table_that_cannot_be_read_is_told_with_its_reason(tmp_path):
    write(tmp_path, ["cat/1.png", "dog/1.png"])
    (tmp_path / "labels.csv").write_bytes(b'file,label\ncat/1.png,x\ndog/1.png,"never closed\n')
    (tmp_path / "notes.txt").write_text('"never closed')
    found = open_images(str(tmp_path))
    assert [found.label_name(index) for index in range(2)] == ["cat", "dog"]
    (note,) = found.notes
    assert note.startswith("labels.csv beside the images is not used: ")


def parquet(path: Path, names: list[str], labels: list[str]) -> None:
    pq.write_table(pa.table({"path": names, "label": labels}), path)


@pytest.mark.parametrize("name", ["labels.parquet", "anything.parq"])
def test_parquet_of_paths_beside_images_labels_them_whatever_it_is_called(tmp_path, name):
    write(tmp_path, names := [f"images/{number}.png" for number in range(4)])
    parquet(tmp_path / name, names, [*"abab"])
    images = open_images(str(tmp_path))
    assert told(images) == dict(zip(names, "abab", strict=True))
    assert not images.aside
    assert any(f"{name} (column label)" in note for note in images.notes)
    parquet(tmp_path / name, [*names, *names, "gone.png"], [*"abababab", "a"])  # more rows than there are pictures
    assert told(open_images(str(tmp_path))) == dict(zip(names, "abab", strict=True))


@pytest.mark.parametrize("form", ["{}.parquet", "{}-00000-of-00001.parquet", "{}_labels.csv", "labels_{}.parquet"])
def test_tables_that_are_called_as_splits_are_splits(tmp_path, form):
    write(tmp_path, ["images/0.png", "images/1.png", "images/2.png"])
    for split, rows in (("train", [0, 1]), ("test", [2])):
        path = tmp_path / form.format(split)
        names, labels = [f"images/{row}.png" for row in rows], ["ab"[row % 2] for row in rows]
        if path.suffix == ".csv":
            path.write_text("path,label\n" + "".join(f"{n},{each}\n" for n, each in zip(names, labels, strict=True)))
        else:
            parquet(path, names, labels)
    images = open_images(str(tmp_path))
    assert (images.split, images.splits) == ("test", {"train": 2, "test": 1})
    assert told(images) == {"images/2.png": "a"}
    assert told(open_images(f"{tmp_path}:train")) == {"images/0.png": "a", "images/1.png": "b"}


def test_parquet_of_features_or_images_beside_images_is_left_aside_as_it_was(tmp_path):
    write(tmp_path, ["cat/0.png", "dog/1.png"])
    pq.write_table(pa.table({"image": [b"no image"], "label": ["x"]}), tmp_path / "other.parquet")
    pq.write_table(pa.table({"layer1": [[0.5, 1.0]]}), tmp_path / "part-00000.parquet")
    images = open_images(str(tmp_path))
    assert told(images) == {"cat/0.png": "cat", "dog/1.png": "dog"}
    assert [each.names for each in images.aside] == [("other.parquet", "part-00000.parquet")]
    assert not images.notes


def test_of_tables_that_hold_images_and_one_that_names_some_the_former_are_the_set(tmp_path):
    write(tmp_path, ["0.png"])
    picture = (tmp_path / "0.png").read_bytes()
    pq.write_table(pa.table({"image": [picture] * 3}), tmp_path / "images.parquet")
    parquet(tmp_path / "labels.parquet", ["0.png"], ["a"])
    for pictures in (1, 0):
        images = open_images(str(tmp_path))
        assert len(images) == 3
        assert ("labels.parquet",) in [each.names for each in images.aside]
        if pictures:
            (tmp_path / "0.png").unlink()


def test_parquet_that_names_images_elsewhere_is_a_list_though_a_picture_lies_beside_it(tmp_path):
    write(tmp_path / "elsewhere", names := ["0.png", "1.png"])
    write(tmp_path / "set", ["logo.png"])
    parquet(tmp_path / "set" / "list.parquet", [str(tmp_path / "elsewhere" / name) for name in names], ["a", "b"])
    assert [*told(open_images(str(tmp_path / "set"))).values()] == ["a", "b"]


@pytest.mark.parametrize("name", ["labels.csv", "instances_x.json", "metadata.parquet", "a.xml", "images.txt", "1.zip"])
def test_a_pipe_that_is_called_as_labels_or_archives_holds_nothing_up_and_is_told(tmp_path, name):
    write(tmp_path, ["cat/0.png", "dog/1.png"])
    os.mkfifo(tmp_path / name)
    images = open_images(str(tmp_path))
    assert told(images) == {"cat/0.png": "cat", "dog/1.png": "dog"}
    (aside,) = images.aside
    assert (aside.reason.startswith("pipes, sockets and devices"), aside.names) == (True, (name,))


def test_a_link_to_a_device_is_no_table(tmp_path):
    write(tmp_path, ["cat/0.png", "dog/1.png"])
    (tmp_path / "labels.csv").symlink_to("/dev/zero")
    assert [each.names for each in open_images(str(tmp_path)).aside] == [("labels.csv",)]


# --- lists whose images lie in archives -------------------------------------------------------------------------------


@pytest.mark.parametrize("inside", ["", "photos/"])
def test_a_list_names_the_images_of_archives_that_lie_beside_it(tmp_path, inside):
    zipped(tmp_path / "set.zip", [f"{inside}{n}.png" for n in range(3)], **{"labels.csv": "file,label\n0.png,wrong\n"})
    pictures = (tmp_path / "set.d" / f"{inside}0.png").read_bytes()
    shutil.rmtree(tmp_path / "set.d")
    (tmp_path / "labels.csv").write_text("file,label\n0.png,a\n1.png,b\n2.png,a\n")
    images = open_images(str(tmp_path / "labels.csv"))
    assert [*told(images).values()] == ["a", "b", "a"]
    assert images.open(1).getpixel((0, 0)) == (1, 0, 0)
    before = datasets.stamp(tmp_path / "labels.csv")
    os.utime(tmp_path / "set.zip", (1, 1))
    assert datasets.stamp(tmp_path / "labels.csv") != before
    (tmp_path / "0.png").write_bytes(pictures)  # now a file is there
    assert open_images(str(tmp_path / "labels.csv")).uri(0) == str(tmp_path / "0.png")


def test_a_path_may_lead_into_an_archive(tmp_path):
    names = ["photos/cat/0.png", "photos/dog/1.png", "others/2.png"]
    made = zipped(
        tmp_path / "set.zip", names, **{"one.csv": "id,label\n0,a\n1,b\n", "two.csv": "id,label\n0,x\n1,y\n2,z\n"}
    )
    assert [*told(open_images(f"{made}/one.csv")).values()] == ["a", "b"]
    assert [*told(open_images(f"{made}/two.csv")).values()] == ["z", "x", "y"]
    images = open_images(f"{made}/photos")
    assert told(images) == {"photos/cat/0.png": "cat", "photos/dog/1.png": "dog"}
    assert datasets.reopen(images.origin).digest == images.digest
    with pytest.raises(DatasetError, match=r"set\.zip has no nothing\. Name"):
        open_images(f"{made}/nothing")
    before = datasets.stamp(made / "photos")
    os.utime(made, (1, 1))
    assert datasets.stamp(made / "photos") != before


def test_archives_in_an_archive_and_the_list_beside_them(tmp_path):
    parts = {
        split: zipped(tmp_path / f"{split}.zip", [f"{split}{n}.png" for n in (0, 1)]) for split in ("train", "test")
    }
    rows = "".join(f"{split}{n},{'ab'[n]}\n" for split in parts for n in (0, 1))
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as outer:
        for split, path in parts.items():
            outer.write(path, f"{split}.zip")
        outer.writestr("labels.csv", f"id,label\n{rows}")
    images = open_images(f"{tmp_path}/outer.zip")
    assert told(images) == {"test/test0.png": "a", "test/test1.png": "b"}
    assert not images.aside
    for part in ("train.zip", "train"):
        assert open_images(f"{tmp_path}/outer.zip/{part}").ids == ("train/train0.png", "train/train1.png")
    assert [*told(open_images(f"{tmp_path}/outer.zip/labels.csv:train")).values()] == ["a", "b"]


def test_a_list_in_an_archive_that_names_none_of_its_images_is_refused(tmp_path):
    made = zipped(tmp_path / "set.zip", ["0.png"], **{"other.csv": "file,label\n8.png,a\n9.png,b\n"})
    with pytest.raises(DatasetError, match="names no images of"):
        open_images(f"{made}/other.csv")


def test_parquet_beside_archives_labels_what_is_in_these(tmp_path):
    (tmp_path / "set").mkdir()
    zipped(tmp_path / "a.zip", ["0.png", "1.png"]).rename(tmp_path / "set" / "a.zip")
    parquet(tmp_path / "set" / "labels.parquet", ["0.png", "1.png"], ["a", "b"])
    images = open_images(str(tmp_path / "set"))
    assert [*told(images).values()] == ["a", "b"]
    assert not images.aside


# --- sets as they are published ---------------------------------------------------------------------------------------


def test_names_may_differ_from_the_files_in_case_unless_files_do_from_each_other(tmp_path):
    write(tmp_path / "one", ["Cat/1.PNG", "Dog/2.png"])
    (tmp_path / "one" / "Labels.CSV").write_text("File,Label\ncat/1.png,c\nDOG/2.PNG,d\n")
    assert told(open_images(str(tmp_path / "one"))) == {"Cat/1.PNG": "c", "Dog/2.png": "d"}
    write(tmp_path / "two", ["a.png", "A.png"])
    (tmp_path / "two" / "labels.csv").write_text("file,label\na.png,small\nA.png,large\n")
    assert told(open_images(str(tmp_path / "two"))) == {"A.png": "large", "a.png": "small"}


def test_names_may_have_their_accents_in_the_other_way(tmp_path):
    write(tmp_path, [normalize("NFC", name) for name in ("é.png", "ü.png")])
    (tmp_path / "labels.csv").write_text(normalize("NFD", "file,label\né.png,a\nü.png,b\n"))
    assert [*told(open_images(str(tmp_path))).values()] == ["a", "b"]


def test_a_table_that_names_few_of_the_images_is_told_to_be_of_no_use(tmp_path):
    write(tmp_path, [f"{number}.png" for number in range(4)])
    (tmp_path / "labels.csv").write_text("file,label\n1.png,a\n")
    images = open_images(str(tmp_path))
    assert not images.is_labelled
    assert images.notes == ("labels.csv names 1 of 4 images, too few of them, and is not used.",)


def test_folds_of_the_same_images_are_not_mixed(tmp_path):
    """As the Describable Textures have them: ten ways to split, each in three lists."""
    write(tmp_path, [f"images/{label}/{label}{n}.png" for label in "ab" for n in range(3)])
    (tmp_path / "labels").mkdir()
    for fold in (1, 2):
        for n, split in enumerate(("train", "val", "test")):
            rows = "".join(f"{label}/{label}{(n + fold) % 3}.png\n" for label in "ab")
            (tmp_path / "labels" / f"{split}{fold}.txt").write_text(rows)
    images = open_images(str(tmp_path))
    assert images.splits == {"train1": 2, "val1": 2, "test1": 2}
    assert told(images) == {"images/a/a0.png": "a", "images/b/b0.png": "b"}


def test_lists_of_splits_count_for_more_than_one_of_two_of_these(tmp_path):
    """As FGVC-Aircraft has them, with 'trainval' beside 'train', 'val' and 'test'."""
    write(tmp_path, [f"images/{n}.png" for n in range(6)])
    for split, rows in (("train", (0, 1)), ("val", (2, 3)), ("test", (4, 5)), ("trainval", (0, 1, 2, 3))):
        text = "".join(f"{n} {('707-320', 'A300 B4')[n % 2]}\n" for n in rows)
        (tmp_path / f"images_variant_{split}.txt").write_text(text)
    images = open_images(str(tmp_path))
    assert images.splits == {"train": 2, "val": 2, "test": 2}
    assert told(images) == {"images/4.png": "707-320", "images/5.png": "A300 B4"}


def test_training_and_validation_images_in_one_list_are_a_split_where_nothing_parts_them(tmp_path):
    write(tmp_path, [f"images/{n}.png" for n in range(3)])
    (tmp_path / "trainval.txt").write_text("0 cat\n1 dog\n")
    (tmp_path / "test.txt").write_text("2 dog\n")
    images = open_images(str(tmp_path))
    assert (images.split, images.splits) == ("test", {"trainval": 2, "test": 1})
    assert told(open_images(f"{tmp_path}:train")) == {"images/0.png": "cat", "images/1.png": "dog"}


NAMES = ["Abyssinian_1", "Abyssinian_2", "beagle_1", "beagle_2", "pug_1", "pug_2"]


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """As the Oxford Pets lie: names without endings, three columns that may be labels, and masks that are pictures."""
    write(tmp_path, [*(f"images/{name}.jpg" for name in NAMES), *(f"annotations/trimaps/{name}.png" for name in NAMES)])
    rows = "".join(f"{name} {n // 2 + 1} {1 + (n > 1)} {max(1, n // 2)}\n" for n, name in enumerate(NAMES))
    head = "#Image CLASS-ID SPECIES BREED ID\n#SPECIES: 1:Cat 2:Dog\n"
    (tmp_path / "annotations" / "list.txt").write_text(head + rows)
    return tmp_path


def test_masks_are_left_aside_and_columns_of_which_any_may_be_labels_are_told(pets):
    images = open_images(str(pets))
    assert images.ids == tuple(f"images/{name}.jpg" for name in NAMES)
    assert not images.is_labelled
    assert any(each.reason.startswith("pictures that say something of others") for each in images.aside)
    assert any("holds the labels cannot be told" in note for note in images.notes)
    assert images.table.names == ("column 1", "column 2", "column 3", "column 4")
    named = open_images(str(pets), columns=Columns(label="column 2"))
    assert [*told(named).values()] == ["1", "1", "2", "2", "3", "3"]


def test_a_list_of_names_and_numbers_beside_a_folder_of_images_is_read(pets):
    with pytest.raises(DatasetError, match="holds the labels cannot be told") as refused:
        open_images(str(pets / "annotations" / "list.txt"))
    assert refused.value.columns == ("column 1", "column 2", "column 3", "column 4")
    images = open_images(str(pets / "annotations" / "list.txt"), columns=Columns(label="column 3"))
    assert [*told(images).values()] == ["1", "1", "2", "2", "2", "2"]
    assert images.open(0).size == (4, 4)


@pytest.mark.parametrize("above", ["", "images/", "data/images/"])
def test_classes_that_are_called_as_masks_are_classes(tmp_path, above):
    write(tmp_path, [f"{above}{label}/{number}.png" for label in ("mask", "no_mask") for number in (1, 2)])
    assert open_images(str(tmp_path)).class_names == ("mask", "no_mask")


def test_masks_of_each_split_are_left_aside(tmp_path):
    write(tmp_path, [f"{split}/{kind}/{split}.png" for split in ("train", "val") for kind in ("images", "masks")])
    images = open_images(f"{tmp_path}:all")
    assert images.ids == ("train/images/train.png", "val/images/val.png")


def test_a_list_that_begins_with_its_length_and_names_its_columns_with_blanks_is_read(tmp_path):
    """As CelebA's."""
    write(tmp_path, [f"img_align/{n}.png" for n in range(4)])
    rows = "".join(f"{n}.png {1 - n % 2 * 2:2d}  {n // 2 * 2 - 1:2d}\n" for n in range(4))
    (tmp_path / "list_attr.txt").write_text(f"4\nBald Male\n{rows}")
    for source in ("", "list_attr.txt"):
        images = open_images(str(tmp_path / source))
        assert [*told(images).values()] == ["Bald", "", "Bald;Male", "Male"]
        assert images.open(3).getpixel((0, 0)) == (3, 0, 0)
    (tmp_path / "list_attr.txt").unlink()
    (tmp_path / "boxes.txt").write_text("4\nimage_id x y\n" + "".join(f"{n}.png {n} 7\n" for n in range(4)))
    assert open_images(str(tmp_path)).columns["x"].tolist() == [0, 1, 2, 3]


def test_a_list_names_images_in_a_folder_beside_it_whatever_that_is_called(tmp_path):
    write(tmp_path, [f"val_256/{n}.png" for n in range(4)])
    (tmp_path / "places_val.txt").write_text("".join(f"{n}.png {n % 2}\n" for n in range(4)))
    images = open_images(str(tmp_path / "places_val.txt"))
    assert images.open(2).getpixel((0, 0)) == (2, 0, 0)
    assert [*told(images).values()] == [*"0101"]
    for number in range(1, 4):
        (tmp_path / "val_256" / f"{number}.png").unlink()  # one of four may only be called so
    assert open_images(str(tmp_path / "places_val.txt")).uri(0) == str(tmp_path / "0.png")


def test_splits_keep_their_folders_classes_though_a_test_split_has_none(tmp_path):
    """As Tiny ImageNet, with its test images."""
    write(tmp_path, [f"train/{label}/images/{n}.png" for label in ("cat", "dog") for n in (1, 2)])
    write(tmp_path, [*(f"val/images/v{n}.png" for n in range(4)), *(f"test/images/t{n}.png" for n in range(3))])
    rows = "".join(f"v{n}.png\t{('cat', 'dog')[n % 2]}\t0\t0\t62\t62\n" for n in range(4))
    (tmp_path / "val" / "val_annotations.txt").write_text(rows)
    assert [*told(open_images(str(tmp_path))).values()] == ["cat", "dog", "cat", "dog"]
    assert [*told(open_images(f"{tmp_path}:train")).values()] == ["cat", "cat", "dog", "dog"]
    assert not open_images(f"{tmp_path}:test").is_labelled


def test_a_table_of_few_images_does_not_stand_before_one_of_all(tmp_path):
    """As the NIH's chest radiographs, in folders that only number the parts, with the boxes of some."""
    write(tmp_path, names := [f"images_00{n // 2}/images/{n:04d}.png" for n in range(6)])
    rows = "".join(f"{n:04d}.png,{('No Finding', 'Edema|Mass')[n % 2]},{n},{50 + n},PA\n" for n in range(6))
    (tmp_path / "Data_Entry.csv").write_text(f"Image Index,Finding Labels,Patient ID,Age,View\n{rows}")
    (tmp_path / "BBox.csv").write_text("Image Index,Label,x,y\n0001.png,Mass,1,2\n")
    images = open_images(str(tmp_path))
    assert told(images) == {name: ("No Finding", "Edema;Mass")[n % 2] for n, name in enumerate(names)}
    (tmp_path / "Data_Entry.csv").unlink()
    (tmp_path / "BBox.csv").unlink()
    assert not open_images(str(tmp_path)).is_labelled


def test_paths_may_begin_above_the_folder_and_labels_be_left_open(tmp_path):
    """As CheXpert's, whose images of all patients are called alike."""
    for split, patients in (("train", "123"), ("valid", "45")):
        write(tmp_path, names := [f"{split}/patient{p}/study1/view1.png" for p in patients])
        rows = "".join(
            f"CheXpert-small/{name},{('1.0', '')[n % 2]},{('', '0.0', '1.0')[n]}\n" for n, name in enumerate(names)
        )
        (tmp_path / f"{split}.csv").write_text(f"Path,No Finding,Edema\n{rows}")
    for source in (f"{tmp_path}:train", f"{tmp_path}/train.csv"):
        images = open_images(source, columns=Columns(label="No Finding,Edema"))
        assert [*told(images).values()] == ["No Finding", "", "No Finding;Edema"]
        assert images.open(2).size == (4, 4)


JSON_BESIDE = {
    "pairs": {"labels": [["0.png", 1], ["1.png", 0]]},  # StyleGAN's dataset.json
    "path to label": {"0.png": "1", "1.png": "0"},
    "by class": {"1": ["0"], "0": ["1.png"]},
}


@pytest.mark.parametrize("content", JSON_BESIDE.values(), ids=[*JSON_BESIDE])
def test_json_beside_images_labels_them_but_not_what_only_lists_them(tmp_path, content):
    write(tmp_path, ["0.png", "1.png"])
    (tmp_path / "captions.json").write_text(json.dumps({"images": [{"file_name": "0.png"}, {"file_name": "1.png"}]}))
    assert not open_images(str(tmp_path)).columns
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    assert told(open_images(str(tmp_path))) == {"0.png": "1", "1.png": "0"}


def test_json_that_lists_each_splits_images_by_class_is_splits(tmp_path):
    """As Food-101 has it."""
    write(tmp_path, [f"images/{name}/{number}.jpg" for name in ("pie", "ribs") for number in (1, 2, 3)])
    for split, numbers in (("train", (1, 2)), ("test", (3,))):
        (tmp_path / "meta").mkdir(exist_ok=True)
        content = {name: [f"{name}/{number}" for number in numbers] for name in ("pie", "ribs")}
        (tmp_path / "meta" / f"{split}.json").write_text(json.dumps(content))
    images = open_images(str(tmp_path))
    assert images.splits == {"train": 4, "test": 2}
    assert told(images) == {"images/pie/3.jpg": "pie", "images/ribs/3.jpg": "ribs"}
    assert [*told(open_images(str(tmp_path / "meta/test.json"))).values()] == ["pie", "ribs"]


def test_a_table_of_a_split_is_about_the_folder_of_that_split_however_both_spell_it(tmp_path):
    write(tmp_path, [*(f"train/{n}.png" for n in range(4)), *(f"test/{n}.png" for n in range(2))])
    (tmp_path / "Training_set.csv").write_text(
        "filename,label\n" + "".join(f"{n}.png,{'ab'[n % 2]}\n" for n in range(4))
    )
    (tmp_path / "Testing_set.csv").write_text("filename\n0.png\n1.png\n")
    images = open_images(str(tmp_path))
    assert images.split == "train"
    assert told(images) == {f"train/{n}.png": "ab"[n % 2] for n in range(4)}
