"""Lists of images in the forms that people write them."""

import io
import json
import os
import zipfile
from collections import Counter
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from features import datasets, files
from features.datasets import Columns, ImageSet, open_images
from features.datasets.labelling import of_cells
from features.datasets.lists import opening
from features.errors import DatasetError, FeatureError, ImageError

NAMES = tuple(f"{name}/{number}.png" for name in ("cat", "dog") for number in range(3))
CLASSES = [name[:3] for name in NAMES]


def png(number: int = 0) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (5, 4), (number, 255 - number, 7)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six images; number i has the red value i."""
    for number, name in enumerate(NAMES):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(png(number))
    return tmp_path


def opened(folder: Path, name: str, text: str | bytes, **settings) -> ImageSet:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_images(str(folder / name), **settings)


def labels_of(images: ImageSet) -> list[str | None]:
    return [images.label_name(index) for index in range(len(images))]


def reds(images: ImageSet) -> list[int]:
    return [images.open(index).getpixel((0, 0))[0] for index in range(len(images))]


def lines(end: str = "\n", form: str = "{path}") -> str:
    return end.join(form.format(path=path, label=path[:3], number=int(path[0] == "d")) for path in NAMES) + end


PLAIN = {
    "newlines": lines(),
    "CRLF": lines("\r\n"),
    "CR": lines("\r"),
    "a mark of UTF-8": lines().encode("utf-8-sig"),
    "UTF-16": lines("\r\n").encode("utf-16"),
    "UTF-16 without a mark": lines("\r\n").encode("utf-16-le"),
    "UTF-32": lines().encode("utf-32"),
    "quotes": lines(form='"{path}"'),
    "a dot": lines(form="./{path}"),
    "backslashes": lines().replace("/", "\\"),
    "blanks behind": lines(form="{path}  "),
    "a comment": "# mine\n" + lines(),
    "a comment and empty lines": "#\n\n" + lines("\n\n"),
    "no last newline": lines().rstrip(),
}


@pytest.mark.parametrize("text", PLAIN.values(), ids=PLAIN)
@pytest.mark.parametrize("name", ["list.txt", "LIST.TXT"])
def test_a_list_of_paths_is_read_however_it_was_saved(folder, text, name):
    images = opened(folder, name, text)
    assert images.ids == NAMES
    assert reds(images) == [*range(6)]
    assert labels_of(images) == CLASSES  # as those of the folder that was listed
    assert any("the labels are the names of the folders" in note for note in images.notes)


@pytest.mark.parametrize(
    ("paths", "labels"),
    [
        (["train/cat/0.png", "train/dog/0.png", "test/dog/1.png"], ["cat", "dog", "dog"]),
        (["/data/cat/0.png", "/data/dog/0.png"], ["cat", "dog"]),
        (["s3://x/cat/0.png", "s3://x/dog/0.png"], ["cat", "dog"]),
        (["0.png", "1.png"], [None] * 2),
        (["cat/0.png", "cat/1.png"], [None] * 2),
        (["cat/0.png", "1.png"], [None] * 2),
        (["https://a.org/0.png", "https://b.org/0.png"], [None] * 2),
    ],
)
def test_folders_in_paths_are_labels_where_a_list_has_nothing_else(tmp_path, monkeypatch, paths, labels):
    monkeypatch.setattr(opening, "marked", lambda places: ["" for _ in places])
    images = opened(tmp_path, "list.txt", "\n".join(paths))
    assert labels_of(images) == labels
    assert not images.splits


LABELLED = {
    "tab.txt": lines(form="{path}\t{label}"),
    "blank.txt": lines(form="{path} {label}"),
    "blanks.txt": lines(form="{path}   {label}"),
    "comma.txt": lines(form="{path},{label}"),
    "semicolon.txt": lines(form="{path};{label}"),
    "bar.txt": lines(form="{path}|{label}"),
    "quoted.txt": lines(form='"{path}" {label}'),
    "first.txt": lines(form="{label} {path}"),
    "windows.txt": lines("\r\n", "{path}\t{label}").encode("utf-16"),
    "list.tsv": lines(form="{path}\t{label}"),
    "list.csv": "path,label\n" + lines(form="{path},{label}"),
    "german.csv": "path;label\n" + lines(form="{path};{label}"),
    "headless.csv": lines(form="{path},{label}"),
    "index.csv": ",file_name,label\n" + "".join(f"{n},{path},{path[:3]}\n" for n, path in enumerate(NAMES)),
    "mxnet.lst": "".join(f"{n}\t{path[:3]}\t{path}\n" for n, path in enumerate(NAMES)),
    "list.jsonl": lines(form='{{"file_name": "{path}", "label": "{label}"}}'),
    "list.json": json.dumps([{"image": path, "class": path[:3]} for path in NAMES]),
    "paths.json": json.dumps({path: path[:3] for path in NAMES}),
    "by_path.json": json.dumps({path: {"label": path[:3], "width": 9} for path in NAMES}),
    "by_class.json": json.dumps({name: [path for path in NAMES if path.startswith(name)] for name in ("cat", "dog")}),
    "columns.json": json.dumps({"path": [*NAMES], "label": [path[:3] for path in NAMES]}),
    "pairs.json": json.dumps([[path, path[:3]] for path in NAMES]),
    **{
        f"pandas_{way}.json": pd.DataFrame({"path": NAMES, "label": [path[:3] for path in NAMES]}).to_json(orient=way)
        for way in ("columns", "index", "split", "records", "values", "table")
    },
    "named.csv": "ImageFile,Class Name,class_id\n" + lines(form="{path},{label},{number}"),
    "one_hot.csv": "id,cat,dog\n" + "".join(f"{path},{int(path[0] == 'c')},{int(path[0] == 'd')}\n" for path in NAMES),
    "breeds.csv": "picture,breed\n" + lines(form="{path},{label}"),
}


def test_json_that_lists_the_images_of_each_split_has_splits(folder):
    rows = [{"image": path, "label": path[:3]} for path in NAMES]
    images = opened(folder, "datalist.json", json.dumps({"name": "x", "training": rows[1:], "test": rows[:1]}))
    assert (images.split, images.splits) == ("test", {"training": len(NAMES) - 1, "test": 1})
    assert labels_of(images) == CLASSES[:1]


@pytest.mark.parametrize("name", LABELLED)
def test_labels_behind_paths_or_in_columns_are_found(folder, name):
    images = opened(folder, name, LABELLED[name])
    assert images.ids == NAMES
    assert labels_of(images) == CLASSES
    assert images.class_names == ("cat", "dog")


def test_numbers_behind_paths_are_labels_as_they_stand(folder):
    assert labels_of(opened(folder, "val.txt", lines(form="{path} {number}"))) == ["0"] * 3 + ["1"] * 3


def test_a_number_as_a_library_writes_it_is_the_whole_one(folder):
    assert labels_of(opened(folder, "l.csv", "path,label\n" + lines(form="{path},{number}.0"))) == ["0"] * 3 + ["1"] * 3


@pytest.mark.parametrize("odd", ["two words.png", "a,b.png", "it's.png", "#1.png", " lead.png", "a;b|c.png", "ü.png"])
def test_signs_in_names_are_no_separators_where_the_file_is_there(tmp_path, odd):
    (tmp_path / odd).write_bytes(png(3))
    assert reds(opened(tmp_path, "list.txt", f"{odd}\n")) == [3]


def test_a_name_with_blanks_and_a_label_behind_it(tmp_path):
    (tmp_path / "two words.png").write_bytes(png(3))
    images = opened(tmp_path, "list.txt", "two words.png 7\n")
    assert images.ids == ("two words.png",)
    assert labels_of(images) == ["7"]


def test_a_class_may_have_commas_and_blanks_in_its_name(folder):
    images = opened(folder, "list.txt", "cat/0.png\ttench, Tinca tinca\ncat/1.png\tgreat white shark, white shark\n")
    assert labels_of(images) == ["tench, Tinca tinca", "great white shark, white shark"]


def test_absolute_paths_addresses_and_files_of_the_web_name_what_they_name(folder):
    from fsspec.implementations.memory import MemoryFileSystem

    MemoryFileSystem.store.clear()
    with MemoryFileSystem().open("/bucket/far.png", "wb") as file:
        file.write(png(9))
    text = f"{folder}/cat/0.png\nmemory://bucket/far.png\n{(folder / 'dog' / '0.png').as_uri()}\n"
    assert reds(opened(folder, "list.txt", text)) == [0, 9, 3]


def test_a_list_at_an_address_names_images_from_its_own_folder_on():
    from fsspec.implementations.memory import MemoryFileSystem

    MemoryFileSystem.store.clear()
    system = MemoryFileSystem()
    for name, data in (("/set/a.png", png(4)), ("/set/list.csv", b"path,label\na.png,ant\n")):
        with system.open(name, "wb") as file:
            file.write(data)
    images = open_images("memory://set/list.csv")
    assert (reds(images), labels_of(images)) == ([4], ["ant"])


def test_a_path_that_stands_there_twice_is_two_images(folder):
    images = opened(folder, "list.txt", "cat/0.png\ndog/0.png\n./cat/0.png\ncat/0.png\n")
    assert images.ids == ("cat/0.png", "dog/0.png", "cat/0.png (2)", "cat/0.png (3)")
    assert reds(images) == [0, 3, 0, 0]
    assert any("1 image is named more than once (cat/0.png)" in note for note in images.told())


def test_a_missing_file_is_an_image_that_cannot_be_read(folder):
    images = opened(folder, "list.txt", lines() + "cat/nope.png\n")
    assert len(images) == 7
    with pytest.raises(ImageError, match=r"cat/nope\.png cannot be read"):
        images.open(6)


def test_images_of_which_some_have_no_label_have_none_and_it_is_told(folder):
    images = opened(folder, "list.csv", "cat/0.png,cat\ncat/1.png\n")
    assert (len(images), images.is_labelled) == (2, False)
    (note,) = images.notes
    assert "has those of 1 of 2, and none of cat/1.png. Label all of them, or none." in note


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no images"),
        ("\n\n", "names no images"),
        ("# only this\n", "names no images"),
        ("path,label\n", "names no images"),
        ("cat\ndog\n", "names a folder: cat"),
        ("path,label\ncat/0.png,cat\n,dog\n", r"Row 2 .* names no image in its column path"),
        ("a,b\n1,2\n", r"--path-column. It has: a \(1\), b \(2\)"),
        ("left,right\ncat/0.png,dog/0.png\n", r"--path-column. It has: left"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_way_out(folder, text, said):
    with pytest.raises(DatasetError, match=said):
        opened(folder, "list.csv" if "," in text else "list.txt", text)


def test_columns_can_be_named_where_they_cannot_be_guessed(folder):
    text = "left,right,what,side\ncat/0.png,dog/0.png,a,x\ncat/1.png,dog/1.png,b,y\n"
    images = opened(folder, "list.csv", text, columns=Columns("right", "side"))
    assert (images.ids, labels_of(images)) == (("dog/0.png", "dog/1.png"), ["x", "y"])
    assert [*images.columns] == ["left", "what"]
    assert reds(datasets.reopen(images.origin)) == [3, 4]
    with pytest.raises(DatasetError, match="no column 'front', which --path-column names"):
        open_images(str(folder / "list.csv"), columns=Columns("front"))


def test_a_source_without_columns_takes_no_names_of_them(folder):
    with pytest.raises(DatasetError, match="--path-column and --label-column"):
        open_images(str(folder), columns=Columns("path"))


def test_further_columns_are_kept_with_their_types_through_samples(folder):
    head = "path,label,width,score,site,sharp\n"
    rows = [f"{path},{path[:3]},{n},{n / 4},{'ab'[n % 2]},{n % 2 == 0}" for n, path in enumerate(NAMES)]
    images = opened(folder, "list.csv", head + "\n".join(rows))
    assert {name: values.dtype.name for name, values in images.columns.items()} == {
        "width": "int64", "score": "float64", "site": "object", "sharp": "bool"
    }  # fmt: skip
    few = images.sample(4)
    numbers = [int(row) for row in few.columns["width"]]
    assert few.ids == tuple(NAMES[number] for number in numbers)
    assert few.columns["score"].tolist() == [number / 4 for number in numbers]


def test_cells_that_hold_nothing_are_unknown(folder):
    images = opened(folder, "list.csv", "path,n,word\ncat/0.png,1,a\ncat/1.png,,\n")
    np.testing.assert_array_equal(images.columns["n"], [1.0, np.nan])
    assert images.columns["word"].tolist() == ["a", None]


SPLIT = "path,label,split\n" + "".join(
    f"{path},{path[:3]},{('train', 'val', 'test')[number % 3]}\n" for number, path in enumerate(NAMES)
)


def test_a_column_of_splits_is_a_choice(folder):
    images = opened(folder, "list.csv", SPLIT)
    assert images.ids == ("cat/2.png", "dog/2.png")
    assert (images.split, dict(images.splits)) == ("test", {"train": 2, "val": 2, "test": 2})
    assert "Taken: test" in images.notes[0]
    assert open_images(f"{folder}/list.csv:train").ids == ("cat/0.png", "dog/0.png")
    assert open_images(f"{folder}/list.csv:all").ids == NAMES
    opened(folder, "plain.csv", LABELLED["list.csv"])
    with pytest.raises(DatasetError, match="has no splits"):
        open_images(f"{folder}/plain.csv:test")


def test_a_split_without_labels_does_not_spoil_the_others(folder):
    text = "path,label,split\ncat/0.png,cat,train\ndog/0.png,dog,train\ncat/1.png,,test\n"
    images = opened(folder, "list.csv", text)
    assert (images.split, labels_of(images)) == ("train", ["cat", "dog"])
    assert open_images(f"{folder}/list.csv:test").labels is None


def test_parquet_of_paths_is_a_list(folder):
    table = pa.table(
        {"file": NAMES, "label": CLASSES, "n": range(6), "vector": pa.array([[0.0]] * 6, pa.list_(pa.float32(), 1))}
    )
    pq.write_table(table, folder / "list.parquet")
    images = open_images(str(folder / "list.parquet"))
    assert (images.ids, labels_of(images)) == (NAMES, CLASSES)
    assert images.columns["n"].tolist() == [*range(6)]
    assert reds(images) == [*range(6)]


@pytest.mark.parametrize(
    "kind", [pa.binary(), pa.large_binary(), pa.struct({"bytes": pa.binary(), "path": pa.string()})]
)
def test_parquet_that_holds_bytes_is_no_list(kind):
    from features.datasets.lists.parquet_lists import names_paths

    assert not names_paths(pa.schema({"path": pa.string(), "image": kind}))
    assert names_paths(pa.schema({"path": pa.string(), "label": pa.int64()}))


def test_parts_of_features_name_images_by_their_addresses(folder):
    with zipfile.ZipFile(folder / "set.zip", "w") as archive:
        archive.writestr("in/0.png", png(8))
    table = pa.table({"id": ["in/0.png"], "uri": [f"zip://in/0.png::{folder}/set.zip"], "label": ["ant"]})
    pq.write_table(table, folder / "part-00000.parquet")
    images = open_images(str(folder / "part-00000.parquet"))
    assert (reds(images), labels_of(images)) == ([8], ["ant"])


def test_objects_within_objects_are_columns(folder):
    row = {"file_name": "cat/0.png", "objects": {"bbox": [[0, 0, 1, 1]], "categories": ["cat"]}}
    images = opened(folder, "metadata.jsonl", json.dumps(row) + "\n")
    assert images.label_sets.tolist() == [[True]]
    assert images.columns["objects.bbox"].tolist() == ["[[0, 0, 1, 1]]"]


def test_all_forms_of_a_list_have_the_same_labels_as_the_folder(folder):
    wanted = dict(zip(NAMES, labels_of(open_images(str(folder))), strict=True))
    for name in ("tab.txt", "list.csv", "list.tsv", "list.jsonl", "one_hot.csv"):
        images = opened(folder, name, LABELLED[name])
        assert dict(zip(images.ids, labels_of(images), strict=True)) == wanted
        (folder / name).unlink()


MANY = {
    "semicolon.csv": "path,label\na.png,cat;dog\nb.png,dog\nc.png,\n",
    "bar.txt": "a.png\tcat|dog\nb.png\tdog\nc.png\t\n",
    "comma.csv": 'path,labels\na.png,"cat, dog"\nb.png,dog\nc.png,\n',
    "json.jsonl": "".join(
        json.dumps({"path": f"{name}.png", "tags": tags}) + "\n"
        for name, tags in {"a": ["cat", "dog"], "b": ["dog"], "c": []}.items()
    ),
    "json.csv": 'path,labels\na.png,"[""cat"", ""dog""]"\nb.png,"[""dog""]"\nc.png,[]\n',
    "python.csv": "path,labels\na.png,\"['cat', 'dog']\"\nb.png,['dog']\nc.png,[]\n",
    "columns.csv": "path,cat,dog\na.png,1,1\nb.png,0,1\nc.png,0,0\n",
    "signs.csv": "path,cat,dog\na.png,1,1\nb.png,-1,1\nc.png,-1,-1\n",
    "words.csv": "path,cat,dog\na.png,True,True\nb.png,False,True\nc.png,False,False\n",
}


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (["16 0", "7", "0"], ["16;0", "7", "0"]),  # numbers with blanks are several
        (["a", "b", "a b", "b a"], ["a", "b", "a;b", "a;b"]),  # fewer tags than their combinations
        (["x", "y", "x,y"], ["x", "y", "x;y"]),
        (["tench, Tinca tinca", "cock, rooster"], None),
        (["golden retriever", "labrador retriever", "retriever"], None),
        (["Paris, TX", "Austin, TX", "Paris, IL", "Austin, IL"], None),
        (["1 a", "2 b"], None),
    ],
)
def test_commas_and_blanks_part_labels_only_where_they_can_be_no_part_of_names(cells, labels):
    labelling = of_cells(cells)
    assert labelling.many == (labels is not None)
    if labels is not None:
        assert [set(names) for names in labelling.of] == [set(each.split(";")) for each in labels]


@pytest.mark.parametrize("name", MANY)
def test_several_labels_an_image(tmp_path, name):
    images = opened(tmp_path, name, MANY[name])
    assert images.labels is None
    assert images.class_names == ("cat", "dog")
    assert images.label_sets.tolist() == [[True, True], [False, True], [False, False]]
    assert labels_of(images) == ["cat;dog", "dog", ""]
    assert images.take([1, 0]).label_sets.tolist() == [[False, True], [True, True]]
    assert "2 labels" in images.describe()


def test_several_columns_of_labels_can_be_named(tmp_path):
    text = "path,cat,dog,indoors\na.png,1,1,0\nb.png,0,1,1\n"
    images = opened(tmp_path, "list.csv", text, columns=Columns(label="cat,dog"))
    assert images.class_names == ("cat", "dog")
    assert images.columns["indoors"].tolist() == [0, 1]


def test_kaggles_ids_are_found_in_their_folder_with_their_ending(tmp_path):
    (tmp_path / "train_images").mkdir()
    for number in range(2):
        (tmp_path / "train_images" / f"{number}abc.png").write_bytes(png(number))
    images = opened(tmp_path, "train.csv", "id_code,diagnosis\n0abc,2\n1abc,0\n")
    assert (reds(images), labels_of(images)) == ([0, 1], ["2", "0"])
    assert any("in train_images/ with .png behind" in note for note in images.notes)


@pytest.mark.parametrize("text", ["b.png\tzebra\n", "b.png\tant\n", "b.png\n", "b.png\tzebra\nc.png\tant\n"])
def test_other_labels_are_another_set(tmp_path, text):
    (tmp_path / "b.png").write_bytes(png())
    first = opened(tmp_path, "list.txt", "b.png\tgnu\n").digest
    assert opened(tmp_path, "list.txt", text).digest != first
    assert opened(tmp_path, "list.txt", "b.png\tgnu\n").digest == first


def test_the_digest_changes_with_an_image_and_with_a_further_column(folder):
    first = opened(folder, "list.csv", "path,n\ncat/0.png,1\n").digest
    assert opened(folder, "list.csv", "path,n\ncat/0.png,2\n").digest != first
    (folder / "cat/0.png").write_bytes(png(77) + b"more")
    assert opened(folder, "list.csv", "path,n\ncat/0.png,1\n").digest != first


def test_no_list_leads_out_of_the_folders_that_may_be_read(folder, tmp_path_factory, monkeypatch):
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.png"
    secret.write_bytes(png(99))
    (folder / "link.png").symlink_to(secret)
    monkeypatch.setenv(files.ROOTS, str(folder))
    outside = [
        str(secret),
        "link.png",
        f"../{secret.parent.name}/secret.png",
        secret.as_uri(),
        "http://127.0.0.1/x.png",
    ]
    images = opened(folder, "list.txt", "\n".join(["cat/0.png", *outside]))
    assert images.ids == ("cat/0.png",)
    assert Counter(len(each.names) for each in images.aside) == {5: 1}
    with pytest.raises(DatasetError, match="folders that may be read"):
        opened(folder, "list.txt", f"{secret}\n")


def test_names_of_other_bytes_than_utf8_are_those_of_files(tmp_path):
    name = b"b\xe4r.png"
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(png(5))
    images = opened(tmp_path, "list.txt", name + b"\tb\xe4r\n")
    assert (images.ids, labels_of(images), reds(images)) == (("b\\xe4r.png",), ["b\\xe4r"], [5])


def test_a_spreadsheet_of_windows_is_read_in_its_own_encoding(tmp_path):
    (tmp_path / "bär.png").write_bytes(png(5))
    images = opened(tmp_path, "list.csv", "path;label\nbär.png;Köter\n".encode("cp1252"))
    assert (images.ids, labels_of(images), reds(images)) == (("bär.png",), ["Köter"], [5])


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_letters_with_marks_name_files_however_they_are_composed(tmp_path, form):
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    (tmp_path / normalize(other, "bär.png")).write_bytes(png(5))
    assert reds(opened(tmp_path, "list.txt", normalize(form, "bär.png\n"))) == [5]


@pytest.mark.parametrize("name", ["list.csv", "list.parquet"])
def test_a_stamp_changes_with_a_list_and_with_an_image_that_it_names(folder, name):
    def save(labels: list[str]) -> None:
        if name.endswith("csv"):
            (folder / name).write_text(
                "path,label\n" + "".join(f"{p},{c}\n" for p, c in zip(NAMES, labels, strict=True))
            )
        else:
            pq.write_table(pa.table({"path": NAMES, "label": labels}), folder / name)

    save(CLASSES)
    stamps = [datasets.stamp(folder / name)]
    assert datasets.stamp(folder / name) == stamps[0]
    (folder / "dog/2.png").write_bytes(png(1) + b"more")
    stamps.append(datasets.stamp(folder / name))
    save(["wolves" if label == "dog" else label for label in CLASSES])
    stamps.append(datasets.stamp(folder / name))
    assert len(set(stamps)) == 3


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.json", b"-1"),
        ("list.json", b"{"),
        ("list.json", b"[" * 100_000),
        ("list.jsonl", b"\xff\xfe\0"),
        ("list.csv", b'path,label\n"a' + b"x" * 200_000),
        ("list.txt", b"\xff\xfe\0"),
    ],
)
def test_what_is_no_list_is_refused_in_words(tmp_path, name, content):
    with pytest.raises(DatasetError):
        opened(tmp_path, name, content)


@pytest.mark.parametrize("odd", ["a\0b.png", "~\0.png", "x" * 5000 + ".png", "C:\\pictures\\a.png"])
def test_a_name_that_no_file_can_have_spoils_no_other_image(folder, odd):
    images = opened(folder, "list.csv", f"path,label\ncat/0.png,a\n{odd},b\n")
    assert reds(images.take([0])) == [0]
    with pytest.raises(ImageError, match="cannot be read"):
        images.open(1)


def test_addresses_of_a_kind_that_nobody_knows_are_refused_at_once(folder):
    with pytest.raises(FeatureError, match=r"nobody://a\.png cannot be used"):
        opened(folder, "list.txt", "cat/0.png\nnobody://a.png\n")


def test_a_quote_that_is_never_closed_loses_no_rows_without_a_word(tmp_path):
    rows = [f"{number}.png,a,{chr(34) if number == 7 else ''}note\n" for number in range(20)]
    (tmp_path / "list.csv").write_text("path,label,note\n" + "".join(rows))
    with pytest.raises(DatasetError, match="never closed"):
        open_images(str(tmp_path / "list.csv"))


@pytest.mark.parametrize("root", ["/content/drive/set/", "C:\\Users\\me\\set\\", "D:/set/"])
def test_a_list_that_was_made_on_another_machine_names_the_files_beside_it(folder, root):
    sign = "\\" if "\\" in root else "/"
    rows = "".join(f"{root}{name.replace('/', sign)},{label}\n" for name, label in zip(NAMES, CLASSES, strict=True))
    images = opened(folder, "list.csv", f"path,label\n{rows}")
    assert reds(images) == [*range(6)]
    assert [note for note in images.notes if "which is taken for its own folder" in note]
    assert [*map(images.label_name, range(6))] == CLASSES


def test_absolute_paths_of_which_few_are_called_as_files_here_stay_where_they_were(folder):
    rows = "".join(f"/elsewhere/{name}\n" for name in ("cat/0.png", "ape/1.png", "ape/2.png"))
    images = opened(folder, "list.txt", rows)
    assert images.uri(0) == "/elsewhere/cat/0.png"
