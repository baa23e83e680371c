"""Sets that Hugging Face's library has in its cache, or has saved."""

import shutil

import numpy as np
import pytest

import features.datasets as ours
from features.errors import DatasetError
from features.sources import split_of
from tests.datasets.test_datasets import labels_of, write

hub = pytest.importorskip("datasets", reason="wants Hugging Face's datasets")
NAMES = [f"{split}/{name}/{number}.png" for split in ("train", "test") for name in ("cat", "dog") for number in (1, 2)]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A set as the library has saved it, and the folder of images of which it was made."""
    root = tmp_path_factory.mktemp("hf")
    write(root / "images", NAMES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub.config, "HF_DATASETS_CACHE", root / "cache")
        hub.disable_progress_bars()
        made = hub.load_dataset(str(root / "images"), cache_dir=str(root / "cache"))
        made.save_to_disk(str(root / "saved"))
    return root


def test_a_saved_set_has_the_rows_and_labels_that_the_library_gives(saved):
    found = ours.open_images(f"hf:{saved}/saved")
    reference = hub.load_from_disk(str(saved / "saved"))["test"]
    assert (found.split, found.splits) == ("test", {"train": 4, "test": 4})
    assert "Taken: test." in found.notes[0]
    assert found.class_names == tuple(reference.features["label"].names)
    assert found.labels.tolist() == reference["label"][:]
    for index in range(len(found)):
        assert np.array_equal(np.asarray(found.open(index)), np.asarray(reference[index]["image"].convert("RGB")))


def test_a_saved_folder_is_known_without_being_called_so(saved):
    assert ours.open_images(f"{saved}/saved:train").digest == ours.open_images(f"hf:{saved}/saved:train").digest


def test_a_split_is_named_and_all_are_taken(saved):
    found = ours.open_images(f"hf:{saved}/saved:train")
    assert len(found) == 4
    assert found.notes == ()
    every = ours.open_images(f"hf:{saved}/saved:all")
    assert len(every) == 8
    assert sorted(labels_of(every)) == ["cat"] * 4 + ["dog"] * 4
    assert len({found.digest, every.digest, ours.open_images(f"hf:{saved}/saved").digest}) == 3
    again = ours.reopen(ours.open_images(f"hf:{saved}/saved").origin)
    assert again.split == "test"
    with pytest.raises(DatasetError, match="no split called 'fold1', but train, test"):
        ours.open_images(f"hf:{saved}/saved:fold1")


def test_a_set_of_the_hub_is_read_from_the_cache(saved, tmp_path, monkeypatch):
    built = next(path for path in (saved / "cache").glob("images/*/*/*") if path.is_dir())
    kept = tmp_path / "cache" / "somebody___pets" / "default" / "0.0.0"
    shutil.copytree(built, kept / "0123456789abcdef")
    for file in (kept / "0123456789abcdef").glob("images-*"):
        file.rename(file.with_name(file.name.replace("images-", "pets-")))
    monkeypatch.setattr(hub.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    found = ours.open_images("hf:somebody/pets:test")
    assert labels_of(found) == ["cat", "cat", "dog", "dog"]
    assert found.name == "somebody/pets"


def test_what_is_not_in_the_cache_is_refused_with_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(hub.config, "HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(DatasetError, match=r"hf:nobody/nothing cannot be opened: .* add --download"):
        ours.open_images("hf:nobody/nothing")
    assert not hub.config.HF_HUB_OFFLINE


def test_a_set_without_images_and_one_without_labels(tmp_path):
    hub.Dataset.from_dict({"text": ["a", "b"]}).save_to_disk(str(tmp_path / "text"))
    with pytest.raises(DatasetError, match=r'no column of images, only \["text"\]'):
        ours.open_images(f"hf:{tmp_path}/text")
    files = [str(path) for path in sorted(write(tmp_path / "images", ["1.png", "2.png"]).iterdir())]
    plain = hub.Dataset.from_dict({"image": files}).cast_column("image", hub.Image())
    plain.save_to_disk(str(tmp_path / "plain"))
    found = ours.open_images(f"hf:{tmp_path}/plain")
    assert (found.labels, found.split, len(found)) == (None, "", 2)
    assert found.open(1).size == (5, 4)


def test_names_of_the_hub_are_told_from_splits():
    assert split_of("hf:somebody/pets") == ("hf:somebody/pets", None)
    assert split_of("hf:mnist:test") == ("hf:mnist", "test")
    assert split_of("hf:mnist") == ("hf:mnist", None)


def test_several_labels_and_further_columns(tmp_path):
    files = [str(path) for path in sorted(write(tmp_path / "images", ["1.png", "2.png"]).iterdir())]
    made = hub.Dataset.from_dict({"image": files, "labels": [[0, 1], [1]], "size": [3, 4], "note": ["a", None]})
    kinds = hub.Features({
        "image": hub.Image(), "labels": hub.List(hub.ClassLabel(names=["cat", "dog"])), "size": hub.Value("int64"),
        "note": hub.Value("string"),
    })  # fmt: skip
    made.cast(kinds).save_to_disk(str(tmp_path / "many"))
    found = ours.open_images(f"hf:{tmp_path}/many")
    assert (found.labels, found.class_names) == (None, ("cat", "dog"))
    assert found.label_sets.astype(int).tolist() == [[1, 1], [0, 1]]
    assert found.columns["size"].tolist() == [3, 4]
    assert found.columns["note"].tolist() == ["a", None]
