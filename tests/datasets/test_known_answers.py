"""A common tree has the rows and labels that other libraries list, and the same images have the same classes of a
network in whatever layout they lie.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from features.datasets import ImageSet, open_images
from features.datasets.labels import match_labels
from tests.evaluate.test_evaluation import reader

ENDINGS = (".png", ".PPM", ".Jpeg", ".webp", ".bmp")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Splits of classes that are numbers, of pictures with odd endings."""
    root = tmp_path_factory.mktemp("tree")
    for split in ("train", "test"):
        for name in ("0", "1", "10", "2"):
            for number, ending in enumerate(ENDINGS):
                save(root / split / name / f"{number}{ending}", number)
    return root


def save(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), 20 * number, np.uint8)).save(path)


def rows(images: ImageSet) -> list[tuple[str, str | None]]:
    return [(images.uri(row), images.label_name(row)) for row in range(len(images))]


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_tree_has_the_rows_and_labels_of_torchvisions_image_folder(tree, tmp_path, split):
    root = Path(shutil.copytree(tree, tmp_path / "set"))
    save(tmp_path / "elsewhere" / "0.png", 0)
    for each in ("train", "test"):
        (root / each / "3").symlink_to(tmp_path / "elsewhere")
    reference = ImageFolder(str(root / split))
    images = open_images(f"{root}:{split}")
    assert rows(images) == [(path, reference.classes[label]) for path, label in reference.samples]
    assert images.class_names == tuple(reference.classes)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_tree_has_the_rows_and_labels_of_hugging_faces_imagefolder(tree, tmp_path, split):
    hub = pytest.importorskip("datasets", reason="wants Hugging Face's datasets")
    hub.disable_progress_bars()
    data = hub.load_dataset("imagefolder", data_dir=str(tree), split=split, cache_dir=str(tmp_path))
    names = data.features["label"].names
    listed = data.cast_column("image", hub.Image(decode=False))
    assert sorted(rows(open_images(f"{tree}:{split}"))) == sorted(
        (r["image"]["path"], names[r["label"]]) for r in listed
    )


# --- one set in all layouts ------------------------------------------------------------------------------------------

CLASSES = ("dog", "bird", "cat")  # of the network, in no order
PICTURES = {f"{name}/{name[0]}{number}.png": name for name in ("bird", "cat", "dog") for number in range(2)}


def _tree(root: Path, top: str = "{}") -> Path:
    for number, path in enumerate(PICTURES):
        save(root / top.format(path), number)
    return root


def _archive(root: Path, kind: str) -> Path:
    return Path(shutil.make_archive(str(root / "set"), kind, _tree(root / "folder")))


def _listed(root: Path, name: str, text: str) -> Path:
    (_tree(root) / name).write_text(text)
    return root / name


def _beside(root: Path, name: str, text: str) -> Path:
    for number, path in enumerate(PICTURES):
        save(root / "images" / path.rpartition("/")[2], number)
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text(text)
    return root


def _parquet(root: Path) -> Path:
    data = [(_tree(root / "folder") / path).read_bytes() for path in PICTURES]
    pq.write_table(pa.table({"image": data, "label": [*PICTURES.values()]}), root / "set.parquet")
    return root / "set.parquet"


LABELLED = "".join(f"{path.rpartition('/')[2]},{name}\n" for path, name in PICTURES.items())
NUMBERED = "".join(f"{path},{CLASSES.index(name)}\n" for path, name in PICTURES.items())
LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "folders": _tree,
    "splits": lambda root: _tree(root, "val/{}"),
    "splits below a folder": lambda root: _tree(_tree(root, "set/train/{}"), "set/test/{}"),
    "zip": lambda root: _archive(root, "zip"),
    "tar": lambda root: _archive(root, "gztar"),
    "list of paths": lambda root: _listed(root, "list.txt", "\n".join(PICTURES)),
    "list of labels": lambda root: _listed(
        root, "list.csv", "path,label\n" + "".join(f"{path},{name}\n" for path, name in PICTURES.items())
    ),
    "list of numbers": lambda root: _listed(root, "list.csv", "path,label\n" + NUMBERED),
    "JSON by path": lambda root: _listed(root, "list.json", json.dumps(PICTURES)),
    "table beside": lambda root: _beside(root, "labels.csv", "file,label\n" + LABELLED),
    "metadata of imagefolder": lambda root: _beside(root, "images/metadata.csv", "file_name,label\n" + LABELLED),
    "Parquet": _parquet,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_images_are_of_the_same_classes_in_every_layout(tmp_path, layout):
    images = open_images(str(LAYOUTS[layout](tmp_path)))
    classes = match_labels(reader(3, CLASSES).spec, images).classes
    pictures = [int(np.asarray(images.open(row))[0, 0, 0]) // 20 for row in range(len(images))]
    wanted = [CLASSES.index(name) for name in PICTURES.values()]
    assert dict(zip(pictures, classes.tolist(), strict=True)) == dict(enumerate(wanted))
