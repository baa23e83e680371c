"""Splits of a source are told from its classes, and one of them is taken and said."""

import unicodedata

import pytest

from features import datasets
from features.datasets import splits
from features.errors import DatasetError
from features.sources import split_of
from tests.datasets.test_datasets import labels_of, write, zipped


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, "train") for name in ("train", "Training", "train2017", "training_set", "seg_train", "train_images")),
        *((name, "validation") for name in ("val", "valid", "validation", "dev", "val2017", "valset")),
        *((name, "test") for name in ("test", "TEST", "testing", "test_set", "test-images", "testset")),
        *((name, "test") for name in ("eval", "evaluation", "Evaluation")),  # Hugging Face's, Omniglot's
        *((name, "train") for name in ("trainval", "train-standard", "TrainingSet")),  # torchvision's
        *((name, "validation") for name in ("minival", "validate")),
        *((name, "test") for name in ("PublicTest", "private_test", "holdout")),  # Kaggle's
        *((name, "extra") for name in ("unlabeled", "extra", "single_prediction", "seg_pred")),
        *((name, "test") for name in ("query", "gallery", "multi-query", "test_A", "testB", "valid-test", "val_test")),
        *((name, "train") for name in ("train_val", "train-valid", "train_all")),
        *((name, None) for name in ("train_A", "query letters", "all", "a", "val_A")),
        *((name, None) for name in ("trains", "test tube", "trainer", "latest", "images", "", "train_test", "valley")),
    ],
)
def test_names_of_splits_are_known_in_their_spellings(name, kind):
    assert splits.kind_of(name) == kind


@pytest.fixture(params=["folder", "zip"])
def opened(request, tmp_path):
    """Opens a set with images of some names."""

    def open_as(names, split="", order=splits.HELD_OUT):
        made = write(tmp_path / "set", names) if request.param == "folder" else zipped(tmp_path / "set.zip", names)
        return datasets.open_images(f"{made}:{split}" if split else str(made), order=order)

    return open_as


CATS_AND_DOGS = [
    f"{split}/{name}/{number}.png" for split in ("test", "train") for name in ("cat", "dog") for number in (1, 2)
]


def test_labels_are_the_class_folders_of_the_split_that_is_held_out_and_it_is_said(opened):
    found = opened(CATS_AND_DOGS)
    assert found.ids == tuple(CATS_AND_DOGS[:4])
    assert labels_of(found) == ["cat", "cat", "dog", "dog"]
    assert (found.split, found.splits) == ("test", {"test": 4, "train": 4})
    (note,) = found.notes
    assert "has splits: test (4), train (4). Taken: test." in note


@pytest.mark.parametrize(("split", "wanted"), [("train", [4, 5, 6, 7]), ("TRAINING", [4, 5, 6, 7]), ("all", range(8))])
def test_a_split_is_named_behind_a_colon(opened, split, wanted):
    found = opened(CATS_AND_DOGS, split)
    assert found.ids == tuple(CATS_AND_DOGS[row] for row in wanted)
    assert found.class_names == ("cat", "dog")
    assert found.notes == ()
    for index, row in enumerate(wanted):
        assert found.label_name(index) == CATS_AND_DOGS[row].split("/")[1]


def test_the_order_of_preference_is_the_callers(opened):
    assert opened(CATS_AND_DOGS, order=splits.FIRST_TRAINING).split == "train"


@pytest.mark.parametrize(
    ("folders", "taken", "labels"),
    [
        (("trainA", "trainB", "testA", "testB"), "test", ["A", "B"]),  # of two domains
        (("train_cat", "train_dog", "val_cat", "val_dog"), "val", ["cat", "dog"]),
        (("1_test", "1_train", "2_test", "2_train"), "test", []),  # a number alone says no class
        (("trainA", "trainB", "testA"), "", ["testA", "trainA", "trainB"]),
        (("train/a", "train/b", "query/a", "gallery/b"), "test", ["a", "b"]),
        (("bounding_box_train", "bounding_box_test", "query"), "test", []),
        (("train/a", "train/b", "test_A/a", "test_B/b"), "test", ["a", "b"]),
        (("train/a", "train/b", "valid-test/a"), "valid-test", ["a"]),
    ],
)
def test_folders_of_retrieval_competitions_and_domains_are_splits(folders, taken, labels, opened):
    made = opened([f"{folder}/{number}.png" for folder in folders for number in (1, 2)])
    assert made.split == taken
    assert len(made) == (2 * len(folders) if not taken else 4 if taken != "valid-test" else 2)
    assert sorted({made.label_name(row) for row in range(len(made))} - {None}) == labels


@pytest.mark.parametrize(
    ("names", "taken", "labels"),
    [
        (["data/train/a/1.png", "data/train/b/1.png", "data/valid/b/1.png"], "valid", ["b"]),
        (["a/train/1.png", "a/test/1.png", "b/train/1.png", "b/test/1.png"], "test", ["a", "b"]),  # classes first
        (["train/a/1.png", "train/b/1.png", "test/1.png", "test/2.png"], "train", ["a", "b"]),  # a competition's
        (["train/1.png", "test/1.png"], "test", [None]),
        (["train/images/a/1.png", "train/images/b/1.png", "dev/images/a/1.png"], "dev", ["a"]),
        (["train/good/1.png", "test/bad/1.png", "test/good/2.png"], "test", ["bad", "good"]),
        (["train/a/1.png", "train/b/1.png"], "", ["a", "b"]),  # nothing to choose
        ([f"{name}/1.png" for name in ("train", "test", "bus", "car")], "", ["bus", "car", "test", "train"]),
        (["train/a/1.png", "train/b/1.png", "test/a/1.png", "images/1.png", "images/2.png"], "test", ["a"]),
        (["train/1.png", "bus/1.png", "tram/1.png"], "", ["bus", "train", "tram"]),  # vehicles
        (["test tube/1.png", "train set/1.png"], "", ["test tube", "train set"]),
        ([f"cats_{split}/{c}/1.png" for split in ("train", "test") for c in "ab"], "test", ["a", "b"]),
        ([f"ILSVRC2012_img_{split}/{c}/1.png" for split in ("train", "val") for c in "ab"], "val", ["a", "b"]),
        ([f"x_{split}/{c}/1.png" for split in ("train", "test") for c in "ab"] + ["docs/1.png"], "test", ["a", "b"]),
        ([f"{name}/1.png" for name in ("trainA", "trainB", "testA")], "", ["testA", "trainA", "trainB"]),
        (["x_train/x_train/a/1.png", "x_train/x_train/b/1.png", "x_test/x_test/1.png"], "train", ["a", "b"]),
        ([f"{split}/{c}/1.png" for split in ("train", "eval") for c in "ab"], "eval", ["a", "b"]),
        ([f"{split}/{c}/1.png" for split in ("trainval", "test") for c in "ab"], "test", ["a", "b"]),
        (
            [f"{top}{split}/{c}/1.png" for top in ("", "x/") for split in ("train", "test") for c in "ab"],
            "test",
            ["a", "b"],
        ),
    ],
)
def test_layouts_that_people_have(opened, names, taken, labels):
    found = opened(names)
    assert found.split == taken
    assert sorted(map(str, labels_of(found))) == sorted(map(str, labels))


def test_classes_have_the_places_that_they_have_among_all_splits(opened):
    found = opened(["train/ant/1.png", "train/bee/1.png", "train/cat/1.png", "test/cat/1.png"])
    assert found.class_names == ("ant", "bee", "cat")
    assert found.labels.tolist() == [2]


def test_images_beside_the_splits_are_counted(opened):
    found = opened([*CATS_AND_DOGS, "logo.png", "extra material/1.png"])
    (aside,) = found.aside
    assert set(aside.names) == {"logo.png", "extra material/1.png"}
    assert len(opened([*CATS_AND_DOGS, "logo.png"], "all")) == 8


def test_a_split_that_is_not_there_is_refused_with_those_that_are(opened):
    with pytest.raises(DatasetError, match="no split called 'val', but test, train"):
        opened(CATS_AND_DOGS, "val")


def test_a_split_of_a_source_that_has_none_is_refused(opened):
    with pytest.raises(DatasetError, match="has no splits, but 'test' was asked for"):
        opened(["a/1.png", "b/1.png"], "test")
    assert len(opened(["a/1.png", "b/1.png"], "all")) == 2


def test_the_origin_names_the_split_so_that_the_same_images_are_opened_again(opened):
    found = opened(CATS_AND_DOGS)
    assert found.origin.source.endswith(":test")
    again = datasets.reopen(found.origin)
    assert (again.ids, again.digest) == (found.ids, found.digest)
    assert found.digest != opened(CATS_AND_DOGS, "train").digest
    assert datasets.held_out(opened(CATS_AND_DOGS, order=splits.FIRST_TRAINING)).endswith(":test")


def test_a_colon_in_a_path_is_no_split(tmp_path):
    for name in ("a:b", "photos:test"):
        write(tmp_path / name, ["1.png"])
        assert len(datasets.open_images(str(tmp_path / name))) == 1
    assert split_of("s3://bucket/photos") == ("s3://bucket/photos", None)
    assert split_of("s3://bucket/photos:test") == ("s3://bucket/photos", "test")
    assert split_of("torchvision:CIFAR10:test") == ("torchvision:CIFAR10:test", None)


@pytest.mark.parametrize("inside", ["", "cat/"])
def test_a_folder_of_a_split_in_one_of_the_same_is_no_class(opened, inside):
    """As archives of a split are unpacked into a folder that is called as they are."""
    others = inside.replace("cat", "dog")
    names = [f"{s}/{s}/{f}{n}.png" for s in ("test", "train") for n, f in enumerate((inside, others))]
    images = opened(names)
    assert images.split == "test"
    assert labels_of(images) == (["cat", "dog"] if inside else [None, None])


def test_a_class_may_be_called_as_its_split(opened):
    names = [f"{split}/{name}/1.png" for split in ("test", "train") for name in ("bus", "train")]
    assert labels_of(opened(names, "train")) == ["bus", "train"]


def test_one_folder_of_images_in_a_split_is_no_class_of_it(opened):
    images = opened(["train/cat/1.png", "train/dog/1.png", "val/images/1.png", "val/images/2.png"])
    assert images.class_names == ("cat", "dog")
    assert images.split == "train"
    assert not opened(["train/cat/1.png", "train/dog/1.png", "val/images/1.png"], "val").is_labelled


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_classes_are_the_same_however_a_system_writes_accents(form, tmp_path):
    there = {"train": "NFC", "test": form}
    for split, written in there.items():
        for name in ("B\u00e4r", "K\u00f6ter"):
            write(tmp_path / "set" / split / unicodedata.normalize(written, name), ["1.png"])
    rows = "".join(f"{unicodedata.normalize(form, name)}/1.png,{unicodedata.normalize(form, name)}\n"
                   for name in ("B\u00e4r", "K\u00f6ter"))  # fmt: skip
    (tmp_path / "set/test/list.csv").write_text("file,label\n" + rows, encoding="utf-8")
    for source in ("set:all", "set:test", "set/test/list.csv"):
        opened = datasets.open_images(str(tmp_path / source))
        assert opened.class_names == ("B\u00e4r", "K\u00f6ter")
        assert len(opened) == (4 if source == "set:all" else 2)
