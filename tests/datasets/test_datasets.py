import gzip
import io
import json
import os
import shutil
import struct
import sys
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from features import datasets
from features.datasets import ImageSet, images, open_images
from features.datasets.listing import Listing
from features.datasets.tables import row_groups
from features.datasets.understanding import understood
from features.errors import DatasetError, ImageError
from tests.datasets.pictures import colour, labels_of, png


def write(root: Path, names: list[str]) -> Path:
    for number, name in enumerate(sorted(names)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(number))
    return root


def zipped(path: Path, names: list[str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(sorted(names)):
            archive.writestr(name, png(number))
    return path


@pytest.fixture(params=["folder", "zip"])
def source(request, tmp_path):
    """source(names): a folder or a zip that holds images of these names; image number i in order has colour(i)."""

    def make(names: list[str]) -> str:
        if request.param == "zip":
            return str(zipped(tmp_path / "set.zip", names))
        return str(write(tmp_path / "set", names))

    return make


# --- folders and zips ------------------------------------------------------------------------------------------------


def test_a_flat_source_is_unlabelled_and_in_the_order_of_its_names(source):
    found = open_images(source(["b.png", "a.jpg", "c.TIFF"]))
    assert found.ids == ("a.jpg", "b.png", "c.TIFF")
    assert found.labels is None
    assert found.class_names == ()
    assert labels_of(found) == [None] * 3
    assert [found.open(index).getpixel((0, 0)) for index in range(3)] == [colour(0), colour(1), colour(2)]
    assert found.name == "set"


def test_folders_are_classes_in_the_order_of_their_names(source):
    found = open_images(source(["dog/1.png", "cat/2.png", "cat/1.png", "ant/x.webp"]))
    assert found.class_names == ("ant", "cat", "dog")
    assert labels_of(found) == ["ant", "cat", "cat", "dog"]
    assert found.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["pets/cat/1.png", "pets/dog/1.png"], ["cat", "dog"]),
        (["a/b/c/cat/1.png", "a/b/c/dog/1.png"], ["cat", "dog"]),
        (["pets/cat/young/1.png", "pets/cat/2.png", "pets/dog/old/grey/3.png"], ["cat", "cat", "dog"]),
        (["ca/1.png", "cat/1.png", "cats/1.png"], ["ca", "cat", "cats"]),
        (["all/cat/1.png", "all/cat/2.png"], None),
        (["cat/1.png", "dog/1.png", "stray.png"], None),
        (["only.png"], None),
    ],
    ids=["one common", "three common", "deeper", "common letters", "one class", "stray", "single"],
)
def test_the_first_folder_in_which_paths_differ_is_the_class(source, names, labels):
    found = open_images(source(names))
    assert labels_of(found) == (labels or [None] * len(names))


def test_wordnet_names_are_classes_when_folders_are_not(source):
    found = open_images(source(["n01440764_tench.JPEG", "n02504458_African_elephant.JPEG", "n01443537_goldfish.png"]))
    assert found.class_names == ("African_elephant", "goldfish", "tench")
    assert labels_of(found) == ["tench", "goldfish", "African_elephant"]


def test_one_name_that_is_not_wordnets_makes_all_unlabelled(source):
    assert open_images(source(["n01440764_tench.JPEG", "n0144_tench.JPEG"])).labels is None


def test_other_files_and_hidden_ones_are_passed_over(source):
    names = [
        "cat/1.png",
        "dog/1.png",
        "readme.txt",
        "cat/.thumb.png",
        ".git/x.png",
        "__MACOSX/cat/._1.png",
        "cat/1.csv",
    ]
    assert open_images(source(names)).ids == ("cat/1.png", "dog/1.png")


@pytest.mark.parametrize("name", ["Grüße/ñandú.png", "猫/一.png", "a b/c d.png"])
def test_names_of_all_scripts_are_read(source, name):
    found = open_images(source([name, "other/1.png"]))
    assert name in found.ids
    assert found.open(found.ids.index(name)).size == (5, 4)


def test_a_folder_and_a_zip_of_it_hold_the_same_set(tmp_path):
    names = ["cat/1.png", "cat/2.png", "dog/1.png"]
    one = open_images(str(write(tmp_path / "set", names)))
    other = open_images(str(zipped(tmp_path / "set.zip", names)))
    assert one.ids == other.ids
    assert np.array_equal(one.labels, other.labels)
    for index in range(3):
        assert one.open(index).tobytes() == other.open(index).tobytes()


def test_an_archive_without_the_zip_ending_is_read(tmp_path):
    assert len(open_images(str(zipped(tmp_path / "upload.bin", ["a.png"])))) == 1


def test_of_two_members_of_one_name_the_later_counts_as_when_unpacking(tmp_path):
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("a.png", png(1))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.png", png(2))
    found = open_images(str(tmp_path / "twice.zip"))
    assert found.ids == ("a.png",)
    assert found.open(0).getpixel((0, 0)) == colour(2)


def test_the_home_directory_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    write(tmp_path / "pictures", ["a.png"])
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_images("~/pictures").ids == ("a.png",)


# --- what is bad -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("/no/such/place", "'/no/such/place' does not exist. Give a folder"),
        ("", "'' is not|holds no images"),
        ("torchvision:", "no image set called ''"),
        ("torchvision:Nothing", "no image set called 'Nothing'"),
        ("torchvision:datasets", "no image set called 'datasets'"),
        ("torchvision:FashionMNIST:val", "'train' and 'test', but got 'val'"),
    ],
)
def test_sources_that_cannot_be_opened_are_refused(source, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match=text):
        open_images(source, str(tmp_path))


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "one.png").write_bytes(png())
    with pytest.raises(DatasetError, match=r"one\.png' is not a folder, a zip"):
        open_images(str(tmp_path / "one.png"))


def test_a_source_without_images_is_refused(source):
    with pytest.raises(DatasetError, match=r"holds no images \(\.jpg, "):
        open_images(source(["readme.txt"]))


def test_a_zip_whose_directory_is_damaged_is_refused(tmp_path):
    path = zipped(tmp_path / "set.zip", ["a.png", "b.png"])
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02")] = 0
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"set\.zip cannot be opened as a zip"):
        open_images(str(path))


def test_bad_files_do_not_stop_the_rest(source, tmp_path):
    names = ["a/empty.png", "a/good.png", "b/good.png", "b/text.jpg"]
    where = Path(source(names))
    bad = {"a/empty.png": b"", "b/text.jpg": b"not an image"}
    if where.is_dir():
        for name, data in bad.items():
            (where / name).write_bytes(data)
    else:
        with zipfile.ZipFile(where, "w") as archive:
            for name in names:
                archive.writestr(name, bad.get(name, png()))
    found = open_images(str(where))
    assert labels_of(found) == ["a", "a", "b", "b"]
    for index, name in enumerate(names):
        if name in bad:
            with pytest.raises(ImageError, match=name):
                found.open(index)
        else:
            assert found.open(index).size == (5, 4)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_to_nowhere_is_one_bad_image(tmp_path):
    write(tmp_path, ["a.png", "c.png"])
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    found = open_images(str(tmp_path))
    assert found.ids == ("a.png", "b.png", "c.png")
    with pytest.raises(ImageError, match=r"b\.png cannot be read: No such file"):
        found.open(1)
    assert found.open(2).size == (5, 4)


def test_a_source_that_goes_away_is_an_image_error(source):
    where = Path(source(["a.png"]))
    found = open_images(str(where))
    shutil.rmtree(where) if where.is_dir() else where.unlink()
    with pytest.raises(ImageError, match=r"a\.png cannot be"):
        found.open(0)


@pytest.mark.parametrize("damage", ["checksum", "method", "encrypted"])
def test_a_damaged_member_is_an_image_error_and_the_others_are_read(damage, tmp_path):
    path = zipped(tmp_path / "set.zip", ["a.png", "b.png"])
    data = bytearray(path.read_bytes())
    local, central = data.index(b"PK\x03\x04"), data.index(b"PK\x01\x02")
    if damage == "checksum":
        data[data.index(b"\x89PNG") + 40] ^= 255
    else:  # the flags and the compression method stand in both headers (APPNOTE.TXT 4.3.7 and 4.3.12)
        offsets = (8, 10) if damage == "method" else (6, 8)
        for start, offset in zip((local, central), offsets, strict=True):
            data[start + offset] = 99 if damage == "method" else 1
    path.write_bytes(data)
    found = open_images(str(path))
    with pytest.raises(ImageError, match=r"^a\.png cannot be unpacked"):
        found.open(0)
    assert found.open(1).getpixel((0, 0)) == colour(1)


def test_a_pipe_that_a_list_calls_an_image_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "list.txt").write_text("a.png\n")
    found = open_images(str(tmp_path / "list.txt"))
    with pytest.raises(ImageError, match="not a file"):
        found.open(0)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(bytes(1000))
    monkeypatch.setattr(images, "MAX_BYTES", 999)
    monkeypatch.setattr(Path, "read_bytes", lambda path: 1 / 0)
    with pytest.raises(ImageError, match=r"a\.png has .* at most"):
        open_images(str(tmp_path)).open(0)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(3_000_000))
    assert (tmp_path / "bomb.zip").stat().st_size < 10_000
    monkeypatch.setattr(images, "MAX_BYTES", 2_000_000)
    with pytest.raises(ImageError, match=r"a\.png has 3 MiB"):
        open_images(str(tmp_path / "bomb.zip")).open(0)


def test_a_zip_that_lies_about_its_sizes_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    path = tmp_path / "liar.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(3_000_000))
    true, told = (3_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(true, told))
    monkeypatch.setattr(images, "MAX_BYTES", 100_000)
    asked = []
    read = zipfile.ZipExtFile.read
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda self, n=-1: asked.append(n) or read(self, n))
    with pytest.raises(ImageError, match=r"a\.png"):
        open_images(str(path)).open(0)
    assert asked == [100_001]


# --- digests ---------------------------------------------------------------------------------------------------------


def test_the_digest_stays_the_same_while_the_set_does(source):
    where = source(["cat/1.png", "dog/1.png"])
    assert open_images(where).digest == open_images(where).digest
    assert len(bytes.fromhex(open_images(where).digest)) == 32


def grow(root: Path) -> None:
    (root / "new.png").write_bytes(png(9))


def lose(root: Path) -> None:
    (root / "b.png").unlink()


def rename(root: Path) -> None:
    (root / "b.png").rename(root / "c.png")


def swap_content(root: Path) -> None:
    file = root / "a.png"
    status = file.stat()
    file.write_bytes(png(77))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))


@pytest.mark.parametrize("change", [grow, lose, rename, swap_content])
def test_the_digest_of_a_folder_changes_with_it(change, tmp_path):
    write(tmp_path, ["a.png", "b.png"])
    before = open_images(str(tmp_path)).digest
    change(tmp_path)
    assert open_images(str(tmp_path)).digest != before


def test_the_digest_of_a_zip_changes_with_the_bytes_of_a_member(tmp_path):
    digests = set()
    for number in range(3):
        with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
            archive.writestr("a.png", png(number))
        digests.add(open_images(str(tmp_path / "set.zip")).digest)
    assert len(digests) == 3


def test_the_digest_of_a_choice_depends_on_which_and_in_which_order(tiny_images):
    choices = [[0, 1], [1, 0], [0], [1], [0, 1, 2]]
    digests = [tiny_images.take(choice).digest for choice in choices]
    assert len({*digests, tiny_images.digest}) == len(choices) + 1
    assert tiny_images.take([0, 1]).digest == digests[0]


# --- choices ---------------------------------------------------------------------------------------------------------


def test_taking_keeps_images_ids_and_labels_together(tiny_images):
    order = [11, 0, 5, 5]
    taken = tiny_images.take(order)
    assert len(taken) == 4
    for position, index in enumerate(order):
        assert taken.ids[position] == tiny_images.ids[index]
        assert taken.label_name(position) == tiny_images.label_name(index)
        assert taken.open(position).tobytes() == tiny_images.open(index).tobytes()


def test_taking_twice_is_taking_the_composition(tiny_images):
    twice = tiny_images.take([3, 4, 8, 9]).take([2, 0])
    once = tiny_images.take([8, 3])
    assert twice.ids == once.ids
    assert labels_of(twice) == labels_of(once)
    assert twice.open(0).tobytes() == once.open(0).tobytes()


def test_taking_nothing_gives_an_empty_set_with_the_same_classes(tiny_images):
    empty = tiny_images.take([])
    assert len(empty) == len(empty.labels) == 0
    assert empty.class_names == tiny_images.class_names


def labelled(counts: list[int]) -> ImageSet:
    labels = np.repeat(np.arange(len(counts)), counts)
    np.random.default_rng(1).shuffle(labels)
    names = tuple(f"class {number}" for number in range(len(counts)))
    ids = tuple(f"{index:05d}" for index in range(len(labels)))
    return ImageSet("drawn", ids, labels, names, "0" * 64, lambda index: Image.new("RGB", (1, 1)))


def fair(counts: list[int], limit: int) -> list[int]:
    """Dealing one image of each class at a time until the limit is reached, or until a class has no more."""
    dealt = [0] * len(counts)
    while sum(dealt) < limit:
        for number, count in enumerate(counts):
            if dealt[number] < count and sum(dealt) < limit:
                dealt[number] += 1
    return dealt


@pytest.mark.parametrize(
    ("counts", "limit"),
    [([10, 10, 10], 9), ([10, 10, 10], 10), ([2, 10, 100], 12), ([1, 1, 50], 30), ([5] * 20, 7), ([3], 2), ([4, 4], 1)],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_sample_is_as_balanced_as_dealing_the_classes_in_turn(counts, limit, seed):
    sample = labelled(counts).sample(limit, seed)
    found = Counter(sample.labels.tolist())
    assert len(sample) == limit
    assert sorted(found[number] for number in range(len(counts))) == sorted(fair(counts, limit))


@pytest.mark.parametrize("limit", [12, 13, 1000])
def test_a_sample_of_all_is_the_set_itself(limit, tiny_images):
    assert tiny_images.sample(limit) is tiny_images


def many_labelled(sets: np.ndarray) -> ImageSet:
    names = tuple(str(number) for number in range(len(sets)))
    classes = tuple(f"c{number}" for number in range(sets.shape[1]))
    return ImageSet("many", names, None, classes, "0" * 64, lambda index: Image.new("RGB", (1, 1)), label_sets=sets)


@pytest.mark.parametrize(("limit", "seed"), [(7, 0), (30, 1), (100, 2), (400, 3)])
def test_a_sample_of_many_labels_has_of_each_what_dealing_them_in_turn_gives_at_least(limit, seed):
    shares = np.array([0.9, 0.3, 0.05, 0.01, 0.0])  # of the images, how many have each label
    sets = np.random.default_rng(seed).random((1000, len(shares))) < shares
    few = many_labelled(sets).sample(limit, seed)
    assert len(few) == limit
    assert few.ids == tuple(sorted(few.ids, key=int))
    wanted = np.minimum(sets.sum(axis=0), limit // (len(shares) + 1))  # those without a label are dealt out as well
    assert (few.label_sets.sum(axis=0) >= wanted).all()
    np.testing.assert_array_equal(few.label_sets, sets[[int(name) for name in few.ids]])


@pytest.mark.parametrize("limit", [5, 20, 33])
def test_one_label_an_image_is_sampled_alike_however_it_is_told(limit):
    classes = np.random.default_rng(0).integers(0, 4, 60)
    one = replace(many_labelled(np.eye(4, dtype=bool)[classes]), labels=classes, label_sets=None)
    assert many_labelled(np.eye(4, dtype=bool)[classes]).sample(limit).ids == one.sample(limit).ids


def test_a_sample_keeps_the_old_order_repeats_nothing_and_follows_its_seed():
    images = labelled([100, 100])
    sample = images.sample(50, seed=3)
    assert list(sample.ids) == sorted(set(sample.ids))
    assert sample.ids == images.sample(50, seed=3).ids
    assert sample.ids != images.sample(50, seed=4).ids
    assert sample.labels.tolist() == [int(images.labels[int(name)]) for name in sample.ids]


def test_every_image_is_as_likely_to_be_sampled():
    images = labelled([20, 20])
    drawn = Counter(name for seed in range(400) for name in images.sample(10, seed).ids)
    # Each of 40 images is drawn with probability 1/4: 100 times in 400, with a standard deviation of 8.7.
    assert len(drawn) == 40
    assert all(abs(count - 100) < 5 * 8.7 for count in drawn.values())


def test_an_unlabelled_set_is_sampled_too(source):
    found = open_images(source([f"{number}.png" for number in range(10)])).sample(4)
    assert len(found) == 4
    assert found.labels is None


# --- threads ---------------------------------------------------------------------------------------------------------


def test_threads_that_share_a_set_each_get_the_image_they_asked_for(source):
    found = open_images(source([f"{number:03d}.png" for number in range(60)]))
    indices = np.random.default_rng(0).integers(0, 60, 600).tolist()
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda index: found.open(index).getpixel((0, 0)), indices))
    assert seen == [colour(index) for index in indices]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_reads_the_zip_beside_its_parent(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (20, 60, 60, 3), dtype=np.uint8)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for number, picture in enumerate(pictures):
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "BMP")  # larger than a read buffer
            archive.writestr(f"{number:02d}.bmp", file.getvalue())
    found = open_images(str(tmp_path / "set.zip"))
    found.open(0)
    child = os.fork()
    try:
        right = all(np.array_equal(found.open(index), pictures[index]) for index in [*range(20)] * 50)
    except ImageError:  # what two processes see that move one file's position under each other
        right = False
    if child == 0:
        os._exit(0 if right else 1)
    _, status = os.waitpid(child, 0)
    assert right
    assert os.waitstatus_to_exitcode(status) == 0


# --- torchvision's sets ----------------------------------------------------------------------------------------------

TEXTILES = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
KINDS = np.arange(20, dtype=np.uint8) % 10


@pytest.fixture
def fashion_mnist(tmp_path: Path) -> str:
    """A data root with a Fashion-MNIST of 20 drawn test images, in the IDX format of yann.lecun.com/exdb/mnist."""
    folder = tmp_path / "data" / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for split in ("train", "t10k"):
        pictures = struct.pack(">HBBIII", 0, 8, 3, *TEXTILES.shape) + TEXTILES.tobytes()
        kinds = struct.pack(">HBBI", 0, 8, 1, len(KINDS)) + KINDS.tobytes()
        (folder / f"{split}-images-idx3-ubyte").write_bytes(pictures)
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(kinds)
        (folder / f"{split}-images-idx3-ubyte.gz").write_bytes(gzip.compress(pictures))
    return str(tmp_path / "data")


@pytest.mark.parametrize(("source", "split"), [("", "test"), (":test", "test"), (":train", "train")])
def test_a_torchvision_set_is_read_from_local_files(source, split, fashion_mnist):
    found = open_images(f"torchvision:FashionMNIST{source}", fashion_mnist)
    assert found.name == f"FashionMNIST {split}"
    assert found.ids[:2] == (f"FashionMNIST/{split}/000000", f"FashionMNIST/{split}/000001")
    assert found.labels.tolist() == KINDS.tolist()
    assert found.class_names[0] == "T-shirt/top"
    assert len(found.class_names) == 10
    for index, wanted in enumerate(TEXTILES):
        assert np.array_equal(np.asarray(found.open(index)), np.repeat(wanted[..., None], 3, 2))


def test_the_data_root_may_come_from_the_environment(fashion_mnist, monkeypatch):
    monkeypatch.setenv("TORCHVISION_DATA", fashion_mnist)
    assert len(open_images("torchvision:FashionMNIST")) == 20


def test_a_torchvision_set_that_is_not_there_is_named_with_its_place_and_the_way_out(tmp_path):
    with pytest.raises(DatasetError, match=f"CIFAR10 .test. cannot be opened under {tmp_path}.*--download"):
        open_images("torchvision:CIFAR10", str(tmp_path))


def test_a_split_of_a_set_that_has_none_is_refused(tmp_path, monkeypatch):
    import torchvision

    class Whole(torchvision.datasets.VisionDataset):
        def __init__(self, root):
            super().__init__(root)

    monkeypatch.setattr(torchvision.datasets, "Whole", Whole, raising=False)
    with pytest.raises(DatasetError, match="Whole has no split 'test', only one set"):
        open_images("torchvision:Whole:test", str(tmp_path))


def test_a_set_without_a_single_class_per_image_is_refused(tmp_path, monkeypatch):
    import torchvision

    class Boxes(torchvision.datasets.VisionDataset):
        targets = [[1, 2], [3]]

        def __len__(self):
            return 2

    monkeypatch.setattr(torchvision.datasets, "Boxes", Boxes, raising=False)
    with pytest.raises(DatasetError, match="Boxes has no single class for each image"):
        open_images("torchvision:Boxes", str(tmp_path))


def test_an_image_that_a_torchvision_set_cannot_read_is_an_image_error(tmp_path, monkeypatch):
    import torchvision

    class Torn(torchvision.datasets.VisionDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            raise OSError("torn")

    monkeypatch.setattr(torchvision.datasets, "Torn", Torn, raising=False)
    found = open_images("torchvision:Torn", str(tmp_path))
    assert found.labels is None
    with pytest.raises(ImageError, match="Torn/all/000000 cannot be read: torn"):
        found.open(0)


# --- the bundled sample ----------------------------------------------------------------------------------------------


@pytest.mark.skipif(not datasets.SAMPLE_FILE.is_file(), reason="the bundled sample has not been made yet")
def test_the_bundled_sample_is_labelled_balanced_and_readable():
    sample = open_images(datasets.SAMPLE)
    counts = Counter(labels_of(sample))
    assert len(counts) == 10
    assert len(set(counts.values())) == 1
    assert {sample.open(index).size for index in range(0, len(sample), 50)} == {(28, 28)}


# --- Parquet ------------------------------------------------------------------------------------------------


def table_file(path: Path, columns: dict, metadata: dict | None = None, group: int = 3) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    if metadata:
        table = table.replace_schema_metadata({"huggingface": json.dumps(metadata)})
    pq.write_table(table, path, row_group_size=group)
    return str(path)


@contextmanager
def noting_what_arrow_holds(peak: list[int]):
    """Notes how much Arrow holds whenever a table of Parquet's has been read."""
    read = pq.ParquetFile.read

    def noted(*arguments, **settings):
        found = read(*arguments, **settings)
        peak.append(pa.total_allocated_bytes())
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pq.ParquetFile, "read", noted)
        yield


def colours_of(found: ImageSet, order: list[int]) -> list[tuple[int, ...]]:
    return [found.open(index).getpixel((0, 0)) for index in order]


def test_images_in_a_column_of_bytes_are_read_in_any_order(tmp_path):
    found = open_images(table_file(tmp_path / "set.parquet", {"pixels": [png(number) for number in range(8)]}))
    order = [7, 0, 3, 4, 2, 6, 1, 5]
    assert colours_of(found, order) == [colour(number) for number in order]
    assert found.ids[:2] == ("set.parquet/0", "set.parquet/1")
    assert found.uri(4) == f"parquet://4::{tmp_path}/set.parquet"
    assert found.labels is None


@pytest.mark.parametrize("nested", [False, True])
def test_large_row_groups_are_read_in_pieces_in_any_order(nested, tmp_path, monkeypatch):
    monkeypatch.setattr(row_groups, "LARGE_GROUP", 0)
    monkeypatch.setattr(row_groups, "PIECE_ROWS", 2)
    monkeypatch.setattr(row_groups, "PIECES_KEPT", 2)
    pictures = [{"bytes": png(number)} if nested else png(number) for number in range(11)]
    found = open_images(table_file(tmp_path / "set.parquet", {"image": pictures}, group=7))
    for order in ([*range(11)], [*range(10, -1, -1)], [7, 0, 3, 10, 2, 6, 9, 1, 5]):
        assert colours_of(found, order) == [colour(number) for number in order]
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda number: found.open(number).getpixel((0, 0)), range(11)))
    assert opened == [colour(number) for number in range(11)]


def test_a_read_that_fails_once_loses_one_image(tmp_path, monkeypatch):
    monkeypatch.setattr(row_groups, "LARGE_GROUP", 0)
    monkeypatch.setattr(row_groups, "PIECE_ROWS", 1)
    found = open_images(table_file(tmp_path / "set.parquet", {"image": [png(number) for number in range(6)]}, group=6))
    following, failures = row_groups._OpenGroup.next, [OSError("connection reset")]

    def once(reading):
        if reading.row == 3 and failures:
            raise failures.pop()
        return following(reading)

    monkeypatch.setattr(row_groups._OpenGroup, "next", once)
    assert colours_of(found, [0, 1, 2]) == [colour(number) for number in range(3)]
    with pytest.raises(ImageError, match="connection reset"):
        found.open(3)
    assert colours_of(found, [4, 5, 3]) == [colour(number) for number in (4, 5, 3)]


def test_opening_a_set_of_structures_does_not_read_its_images(tmp_path):
    random = np.random.default_rng(0)
    pictures = [{"bytes": random.bytes(100_000), "path": f"{number}.png"} for number in range(50)]
    path = table_file(tmp_path / "set.parquet", {"image": pictures}, group=50)
    del pictures
    pa.default_memory_pool().release_unused()
    before = pa.total_allocated_bytes()
    peak = []
    with noting_what_arrow_holds(peak):
        assert open_images(path).ids[49] == "49.png"
    assert max(peak) - before < 1_000_000


def test_a_damaged_row_group_is_an_image_error_for_what_lies_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(row_groups, "LARGE_GROUP", 0)
    monkeypatch.setattr(row_groups, "PIECE_ROWS", 1)
    path = tmp_path / "set.parquet"
    table = pa.table({"image": [png(number) for number in range(4)]})
    pq.write_table(table, path, data_page_size=1, use_dictionary=False, write_batch_size=1, compression="gzip")
    found, data = open_images(str(path)), bytearray(path.read_bytes())
    middle = data.index(b"\x1f\x8b", len(data) // 2)  # where a later page is packed
    data[middle : middle + 20] = bytes(20)
    path.write_bytes(data)
    assert found.open(0).getpixel((0, 0)) == colour(0)
    for _ in range(2):
        with pytest.raises(ImageError, match="cannot be read"):
            found.open(3)
    assert found.open(0).getpixel((0, 0)) == colour(0)


def test_sets_as_hugging_face_writes_them_have_their_names_and_classes(tmp_path):
    told = {"info": {"features": {"label": {"names": ["ant", "bee", "cat"], "_type": "ClassLabel"}}}}
    for file, start in (("train-00000", 0), ("train-00001", 4)):
        rows = range(start, start + 4)
        picture = [{"bytes": png(number), "path": f"{number}.png"} for number in rows]
        table_file(tmp_path / f"data/{file}.parquet", {"image": picture, "label": [n % 3 for n in rows]}, told)
    found = open_images(str(tmp_path))
    assert found.ids == tuple(f"{number}.png" for number in range(8))
    assert found.class_names == ("ant", "bee", "cat")
    assert labels_of(found) == ["ant", "bee", "cat"] * 2 + ["ant", "bee"]
    assert colours_of(found, [5, 1]) == [colour(5), colour(1)]
    assert found.uri(5) == f"parquet://1::{tmp_path}/data/train-00001.parquet"
    chosen = found.take([6, 2])
    assert (chosen.uri(0), chosen.ids) == (f"parquet://2::{tmp_path}/data/train-00001.parquet", ("6.png", "2.png"))


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        (["b", "a", "b"], ["b", "a", "b"]),
        ([0, 2, 1], ["0", "2", "1"]),
        ([-1, -1, -1], [None] * 3),
        ([0, None, 1], [None] * 3),
    ],
)
def test_labels_of_rows_are_words_or_numbers_or_missing(labels, wanted, tmp_path):
    found = open_images(
        table_file(tmp_path / "a.parquet", {"image": [png()] * 3, "label": labels, "id": ["x", "y", "z"]})
    )
    assert labels_of(found) == wanted
    assert found.ids == ("x", "y", "z")


def test_rows_without_or_with_damaged_bytes_are_image_errors(tmp_path):
    found = open_images(
        table_file(tmp_path / "a.parquet", {"image": [png(), None, b"no image"], "id": ["x", "x", "y"]})
    )
    found.open(0)
    with pytest.raises(ImageError, match=r"x#2 has no bytes"):
        found.open(1)
    with pytest.raises(ImageError, match=r"y is not an image"):
        found.open(2)


def test_tables_without_images_are_refused_with_what_they_hold(tmp_path):
    with pytest.raises(DatasetError, match="no column of image bytes, only x, y"):
        open_images(table_file(tmp_path / "a.parquet", {"x": [1], "y": [2]}))
    with pytest.raises(DatasetError, match="no rows"):
        open_images(table_file(tmp_path / "b.parquet", {"x": pa.array([], pa.binary())}))
    (tmp_path / "c.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(DatasetError, match="cannot be read as Parquet"):
        open_images(str(tmp_path / "c.parquet"))


def test_odd_tables_are_read_or_refused_with_a_reason(tmp_path):
    table_file(tmp_path / "set/a.parquet", {"image": [png()], "label": [1]})
    table_file(tmp_path / "set/b.parquet", {"picture": [png()], "label": [1]})
    with pytest.raises(DatasetError, match=r"b\.parquet has the columns picture, label"):
        open_images(str(tmp_path / "set"))
    found = open_images(
        table_file(tmp_path / "c.parquet", {"image": [png()] * 2, "id": [[1], [1]], "label": [5, 3 * 10**9]})
    )
    assert found.ids == ("c.parquet/0", "c.parquet/1")
    assert labels_of(found) == ["5", "3000000000"]


def test_a_tables_digest_changes_with_its_content(tmp_path):
    path = table_file(tmp_path / "a.parquet", {"image": [png(1)]})
    first = open_images(path).digest, datasets.stamp(tmp_path)
    table_file(tmp_path / "a.parquet", {"image": [png(1), png(2)]})
    assert open_images(path).digest != first[0]
    assert datasets.stamp(tmp_path) != first[1]


def test_a_few_images_beside_folders_of_classes_are_left_aside_and_many_are_told(tmp_path):
    folders = [f"{name}/{number}.png" for name in ("cat", "dog") for number in range(10)]
    found = datasets.open_images(str(write(tmp_path, [*folders, "logo.png"])))
    assert (found.ids, found.class_names) == (tuple(folders), ("cat", "dog"))
    (aside,) = found.aside
    assert (aside.reason, aside.names) == ("images beside the folders of classes", ("logo.png",))
    write(tmp_path, ["other.png"])
    found = datasets.open_images(str(tmp_path))
    assert (len(found), found.is_labelled) == (22, False)
    assert "2 lie beside the 2 folders of others (logo.png)" in found.notes[0]


def test_a_folder_that_repeats_those_beside_it_is_left_aside(tmp_path):
    names = [f"{top}{name}/{number}.png" for top in ("", "set/") for name in ("no", "yes") for number in (1, 2)]
    found = datasets.open_images(str(write(tmp_path, names)))
    assert (found.ids, found.class_names) == (tuple(names[:4]), ("no", "yes"))
    (aside,) = found.aside
    assert (aside.reason, len(aside.names)) == ("a folder with the same folders as lie beside it", 4)
    others = datasets.open_images(str(write(tmp_path / "x", ["a/1.png", "b/1.png", "c/a/1.png", "c/d/1.png"])))
    assert others.class_names == ("a", "b", "c")


@pytest.mark.timeout(30)  # a pass over all images for each image takes minutes
def test_many_images_without_labels_are_looked_through_once():
    names = [f"{number:06d}.png" for number in range(30_000)]
    listing = Listing("set", "set", names, ["1 2"] * len(names), lambda index: (b"", ""), lambda index: names[index])
    assert not understood(listing).is_labelled
