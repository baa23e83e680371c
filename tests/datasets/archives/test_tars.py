"""Images in tars: plain and compressed ones, shards of a WebDataset, damaged and hostile ones."""

import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from features import datasets
from features.datasets import ImageSet, images, open_images, open_uri
from features.datasets.archives import opening as archives
from features.datasets.archives import spans, tar_index, unpacking
from features.errors import DatasetError, ImageError
from tests.datasets.pictures import colour, labels_of, numbers_of, png

PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": lambda data: zstd(data)}


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def tarred(members: dict[str, bytes | tarfile.TarInfo]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in members.items():
            member = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            member.size = 0 if isinstance(content, tarfile.TarInfo) else len(content)
            archive.addfile(member, None if isinstance(content, tarfile.TarInfo) else io.BytesIO(content))
    return file.getvalue()


def pictures(*names: str) -> dict[str, bytes]:
    return {name: png(number) for number, name in enumerate(names)}


pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def opened(tmp_path):
    """opened(members): a tar of these, as a set."""

    def make(members: dict, name: str = "set.tar") -> ImageSet:
        (tmp_path / name).write_bytes(tarred(members))
        return open_images(str(tmp_path / name))

    return make


# --- plain tars -----------------------------------------------------------------------------------------------------


def test_a_tar_holds_the_same_set_as_a_folder_of_it(opened, tmp_path):
    names = ["cat/1.png", "cat/2.png", "dog/1.png", "dog/x.jfif"]
    for name, data in pictures(*names).items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(data)
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.add(tmp_path / "photos", ".")  # as `tar -C photos -cf set.tar .`
    found, folder = open_images(str(tmp_path / "set.tar")), open_images(str(tmp_path / "photos"))
    assert found.ids == folder.ids
    assert labels_of(found) == labels_of(folder) == ["cat", "cat", "dog", "dog"]
    assert numbers_of(found) == numbers_of(folder)


def test_splits_of_a_tar_are_told_as_those_of_a_folder(opened):
    found = opened(pictures("train/cat/1.png", "train/dog/1.png", "val/cat/2.png", "val/dog/2.png"))
    assert (found.split, found.ids) == ("val", ("val/cat/2.png", "val/dog/2.png"))
    assert found.class_names == ("cat", "dog")
    assert "Taken: val" in found.notes[0]


def test_a_tar_is_told_by_its_content(tmp_path):
    (tmp_path / "photos").write_bytes(tarred(pictures("cat/1.png", "dog/1.png")))
    assert len(open_images(str(tmp_path / "photos"))) == 2


def test_a_tar_whose_last_file_is_a_zip_is_a_tar(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("x.png", png(9))
    (tmp_path / "set.tar").write_bytes(tarred(pictures("a.png") | {"extra.zip": inner.getvalue()}))
    assert open_images(str(tmp_path / "set.tar")).ids == ("a.png",)


def test_links_and_devices_are_left_aside_and_hidden_files_are_not_counted(opened):
    odd = {"cat/link.png": tarfile.SYMTYPE, "dog/hard.png": tarfile.LNKTYPE, "dog/device.png": tarfile.CHRTYPE}
    members: dict = pictures("cat/1.png", "dog/1.png", "__MACOSX/cat/._1.png", "cat/._1.png", "cat/Thumbs.db")
    for name, kind in odd.items():
        members[name] = tarfile.TarInfo(name)
        members[name].type, members[name].linkname = kind, "/etc/passwd"
    found = opened(members)
    assert found.ids == ("cat/1.png", "dog/1.png")
    assert {each.reason: each.names for each in found.aside} == {
        "links": ("cat/link.png", "dog/hard.png"),
        "devices and pipes": ("dog/device.png",),
    }


def test_of_two_members_of_one_name_the_later_counts(tmp_path):
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        for number in (1, 2):
            member = tarfile.TarInfo("a.png")
            member.size = len(png(number))
            archive.addfile(member, io.BytesIO(png(number)))
    assert numbers_of(open_images(str(tmp_path / "set.tar"))) == [2]


def test_names_with_backslashes_have_folders(opened):
    assert labels_of(opened(pictures("set\\cat\\1.png", "set\\dog\\1.png"))) == ["cat", "dog"]


def test_a_long_name_and_one_that_is_no_utf_8_are_read(tmp_path):
    long = f"{'x' * 150}/{'y' * 150}.png"
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        for number, name in enumerate((long, "caf\xe9.png")):
            member = tarfile.TarInfo(name)
            member.size = len(png(number))
            archive.addfile(member, io.BytesIO(png(number)))
    (tmp_path / "set.tar").write_bytes(file.getvalue())
    found = open_images(str(tmp_path / "set.tar"))
    assert found.ids == ("caf\\xe9.png", long)
    assert [open_uri(found.uri(index)).getpixel((0, 0)) for index in (0, 1)] == [colour(1), colour(0)]


def test_an_image_is_opened_again_by_its_place(opened, tmp_path):
    found = opened(pictures("cat/1.png", "dog/1.png"))
    assert found.uri(1) == f"tar://dog/1.png::{tmp_path}/set.tar"
    assert open_uri(found.uri(1)).getpixel((0, 0)) == colour(1)
    with pytest.raises(ImageError, match=r"has no cat/9\.png"):
        open_uri(f"tar://cat/9.png::{tmp_path}/set.tar")
    with pytest.raises(ImageError, match="cannot be"):
        open_uri(f"tar://cat/1.png::{tmp_path}/gone.tar")


def test_threads_each_get_the_image_that_they_asked_for(opened):
    found = opened(pictures(*(f"{number:03d}.png" for number in range(60))))
    indices = np.random.default_rng(0).integers(0, 60, 300).tolist()
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda index: found.open(index).getpixel((0, 0)), indices))
    assert seen == [colour(index) for index in indices]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_reads_the_tar_beside_its_parent(opened):
    found = opened(pictures(*(f"{number:02d}.png" for number in range(30))))
    found.open(0)
    child = os.fork()
    try:
        right = all(numbers_of(found) == [*range(30)] for _ in range(20))
    except ImageError:  # what two processes see that move one file's position under each other
        right = False
    if child == 0:
        os._exit(0 if right else 1)
    _, status = os.waitpid(child, 0)
    assert right
    assert os.waitstatus_to_exitcode(status) == 0


def test_the_digest_and_the_stamp_change_with_the_tar(opened, tmp_path):
    first = opened(pictures("a.png", "b.png")).digest, datasets.stamp(tmp_path / "set.tar")
    assert opened({"a.png": png(0), "b.png": png(5)}).digest != first[0]
    assert datasets.stamp(tmp_path / "set.tar") != first[1]


# --- damaged and hostile ones ----------------------------------------------------------------------------------------


def test_an_image_that_a_cut_tar_lacks_is_an_error_of_that_image_and_the_cut_is_told(tmp_path):
    data = tarred({"a.png": png(0), "b.png": png(1) + bytes(5000), "c.png": png(2)})
    (tmp_path / "set.tar").write_bytes(data[:3000])  # in the midst of b.png
    found = open_images(str(tmp_path / "set.tar"))
    assert found.ids == ("a.png", "b.png")
    assert "unexpected end of data" in found.notes[0]
    assert found.open(0).getpixel((0, 0)) == colour(0)
    with pytest.raises(ImageError, match=r"b\.png has .* bytes, but its tar ends"):
        found.open(1)


def test_what_follows_a_damaged_header_or_the_end_is_told_to_be_missing(tmp_path):
    data = bytearray(tarred(pictures("a.png", "b.png", "c.png")))
    middle = data.index(b"b.png")
    data[middle : middle + 5] = b"XXXXX"
    (tmp_path / "damaged.tar").write_bytes(data)
    assert "is damaged or ends early" in open_images(str(tmp_path / "damaged.tar")).notes[0]
    (tmp_path / "two.tar").write_bytes(tarred(pictures("a.png")) + tarred(pictures("b.png")))
    assert "others follow in the same file" in open_images(str(tmp_path / "two.tar")).notes[0]


def test_a_tar_without_its_end_marker_is_whole(tmp_path):
    data = tarred(pictures("a.png", "b.png"))
    (tmp_path / "set.tar").write_bytes(data.rstrip(b"\0") + bytes(-len(data.rstrip(b"\0")) % 512))
    found = open_images(str(tmp_path / "set.tar"))
    assert numbers_of(found) == [0, 1]
    assert not found.notes


def raw_header(name: bytes, size: bytes, kind: bytes) -> bytes:
    """A header as POSIX.1-1988 lays it out."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108], block[108:116], block[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
    block[124:136], block[136:148], block[156:157] = size, b"00000000000\0", kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block)


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        (b"0", b"\xff" * 12),  # -1, in base 256
        (b"L", b"\xff" * 12),
        (b"x", b"77777777777\0"),  # 8 GiB of an extended header
        (b"L", b"77777777777\0"),
    ],
)
def test_a_header_that_lies_about_its_size_ends_the_tar_and_neither_time_nor_memory(kind, size, tmp_path):
    good = tarred(pictures("a.png"))
    good = good[: 512 + -(-len(png(0)) // 512) * 512]  # a header and its data
    (tmp_path / "set.tar").write_bytes(good + raw_header(b"evil.png", size, kind) + bytes(2048))
    found = open_images(str(tmp_path / "set.tar"))
    assert found.ids[0] == "a.png"
    assert found.open(0).getpixel((0, 0)) == colour(0)


def test_a_member_that_is_too_large_is_refused_before_it_is_read(opened, monkeypatch):
    found = opened({"a.png": bytes(5000), "b.png": png(1)})
    monkeypatch.setattr(images, "MAX_BYTES", 4000)
    with pytest.raises(ImageError, match=r"a\.png has .* at most"):
        found.open(0)
    assert found.open(1).getpixel((0, 0)) == colour(1)


def test_an_empty_tar_holds_no_images(tmp_path):
    (tmp_path / "set.tar").write_bytes(bytes(10240))
    with pytest.raises(DatasetError, match="holds no images"):
        open_images(str(tmp_path / "set.tar"))


# --- compressed tars -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packer", PACKERS)
def test_a_compressed_tar_is_read_in_any_order(packer, tmp_path, cache):
    data = tarred(pictures("cat/1.png", "cat/2.png", "dog/1.png"))
    path = tmp_path / f"set.tar.{packer}"
    path.write_bytes(PACKERS[packer](data))
    found = open_images(str(path))
    assert [found.open(index).getpixel((0, 0)) for index in (2, 0, 1)] == [colour(2), colour(0), colour(1)]
    assert labels_of(found) == ["cat", "cat", "dog"]
    assert found.name == "set"
    assert found.uri(2) == f"tar://dog/1.png::{path}"
    assert open_uri(found.uri(2)).getpixel((0, 0)) == colour(2)
    assert [entry.read_bytes() for entry in cache.iterdir()] == [data]  # unpacked once


def test_what_somebody_took_out_of_the_cache_folder_is_unpacked_again(tmp_path, cache):
    (tmp_path / "set.tgz").write_bytes(gzip.compress(tarred(pictures("a.png", "b.png"))))
    found = open_images(str(tmp_path / "set.tgz"))
    shutil.rmtree(cache)
    assert numbers_of(found) == [0, 1]


@pytest.mark.parametrize("packer", PACKERS)
def test_a_compressed_tar_that_is_cut_is_refused(packer, tmp_path, cache):
    data = PACKERS[packer](tarred({"a.png": np.random.default_rng(0).bytes(300_000)}))
    (tmp_path / "set.tar.x").write_bytes(data[: len(data) // 2])
    with pytest.raises(DatasetError, match=r"set\.tar\.x is damaged after|neither|is not a folder"):
        open_images(str(tmp_path / "set.tar.x"))
    assert not cache.exists() or not list(cache.iterdir())


def test_a_compressed_bomb_is_refused_before_it_fills_the_disk(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(unpacking, "FREELY", 1 << 20)
    monkeypatch.setattr(unpacking, "PIECE", 1 << 16)
    data = gzip.compress(tarred({"a.png": bytes(30 << 20)}))
    assert len(data) < 40_000
    (tmp_path / "bomb.tar.gz").write_bytes(data)
    with pytest.raises(DatasetError, match="more than 100 times as much"):
        open_images(str(tmp_path / "bomb.tar.gz"))
    assert not list(cache.iterdir())


def test_a_full_disk_and_a_forbidden_cache_folder_are_told_with_the_way_out(tmp_path, cache, monkeypatch):
    (tmp_path / "set.tar.gz").write_bytes(gzip.compress(tarred(pictures("a.png"))))
    with monkeypatch.context() as patch:
        patch.setattr(unpacking, "SPARED_BYTES", 1 << 60)
        with pytest.raises(DatasetError, match="Unpack it elsewhere"):
            open_images(str(tmp_path / "set.tar.gz"))
    shutil.rmtree(cache)
    cache.write_bytes(b"a file where the folder would be")
    with pytest.raises(DatasetError, match="Unpack it yourself"):
        open_images(str(tmp_path / "set.tar.gz"))


def test_the_cache_keeps_what_was_used_last(tmp_path, cache, monkeypatch):
    for number in range(3):
        (tmp_path / f"{number}.tgz").write_bytes(gzip.compress(tarred(pictures(f"{number}.png"))))
    open_images(str(tmp_path / "0.tgz"))
    (first,) = cache.iterdir()
    os.utime(first, (1, 1))
    open_images(str(tmp_path / "1.tgz"))
    monkeypatch.setattr(unpacking, "MOST_BYTES", 10240)
    open_images(str(tmp_path / "2.tgz"))
    assert len(list(cache.iterdir())) == 2
    assert not first.exists()


# --- a WebDataset ---------------------------------------------------------------------------------------------------


def samples(classes: list, start: int = 0, ending: str = "cls") -> dict[str, bytes]:
    members = {}
    for number, label in enumerate(classes, start):
        members[f"{number:04d}.png"] = png(number)
        members[f"{number:04d}.{ending}"] = str(label).encode() if ending == "cls" else json.dumps(label).encode()
        members[f"{number:04d}.txt"] = b"a caption"
    return members


def test_a_shard_has_the_labels_of_its_samples(opened):
    found = opened(samples([2, 0, 2]), "shard-000000.tar")
    assert found.ids == tuple(f"shard-000000/000{number}.png" for number in range(3))
    assert labels_of(found) == ["2", "0", "2"]
    assert found.class_names == ("0", "1", "2")
    assert not found.aside
    assert numbers_of(found) == [0, 1, 2]
    broken = opened(samples([1]) | {"0000.png": b"no image"}, "shard-000000.tar")
    with pytest.raises(ImageError, match=r"shard-000000/0000\.png"):
        broken.open(0)


@pytest.mark.parametrize(
    ("classes", "ending", "wanted"),
    [
        (["dog", "cat"], "cls", ["dog", "cat"]),
        ([{"label": 1}, {"label": 0}], "json", ["1", "0"]),
        ([{"label": 1, "class_name": "dog"}, {"label": 0, "class_name": "cat"}], "json", ["dog", "cat"]),
        ([{"caption": "a dog"}, {"caption": "a cat"}], "json", [None, None]),
        (["{torn", []], "json", [None, None]),
    ],
)
def test_labels_are_words_or_numbers_or_stand_in_records(classes, ending, wanted, opened):
    assert labels_of(opened(samples(classes, ending=ending))) == wanted


def test_a_sample_without_a_label_is_told(opened):
    members = samples([1, 2, 3])
    del members["0001.cls"]
    found = opened(members)
    assert found.labels is None
    assert "1 of 3 have none (set/0001.png)" in found.notes[0]


def test_masks_of_samples_are_left_aside(opened):
    members = samples([1, 2]) | {"0000.mask.png": png(7), "0001.mask.png": png(8)}
    found = opened(members)
    assert found.ids == ("set/0000.png", "set/0001.png")
    assert found.aside[0].names == ("set/0000.mask.png", "set/0001.mask.png")


def test_names_with_dots_are_samples_of_their_own(opened):
    members = {f"1.{number}.{end}": data for number in range(3) for end, data in (("png", png(number)), ("cls", b"4"))}
    assert numbers_of(opened(members)) == [0, 1, 2]


@pytest.fixture
def shards(tmp_path) -> Path:
    root = tmp_path / "shards"
    root.mkdir()
    for number in range(3):
        (root / f"{number:03d}.tar").write_bytes(tarred(samples([number, 5], 2 * number)))
    return root


IDS = tuple(f"{number // 2:03d}/{number:04d}.png" for number in range(6))
LABELS = ["0", "5", "1", "5", "2", "5"]


@pytest.mark.parametrize("form", ["", "/*.tar", "/{000..002}.tar", "/{000,001,002}.tar", "/00?.tar", "/[0]*.tar"])
def test_a_folder_of_shards_and_patterns_of_them_hold_the_same_set(form, shards):
    found = open_images(f"{shards}{form}")
    assert found.ids == IDS
    assert labels_of(found) == LABELS
    assert numbers_of(found) == [*range(6)]
    assert [open_uri(found.uri(index)).getpixel((0, 0)) for index in (5, 0)] == [colour(5), colour(0)]
    assert found.uri(5) == f"tar://0005.png::{shards}/002.tar"


def test_shards_at_an_address_are_found_by_braces_and_stars(shards):
    upath = pytest.importorskip("upath")
    for path in shards.iterdir():
        upath.UPath(f"memory://webdataset/{path.name}").write_bytes(path.read_bytes())
    for form in ("memory://webdataset", "memory://webdataset/{000..002}.tar", "memory://webdataset/*.tar"):
        found = open_images(form)
        assert found.ids == IDS
        assert labels_of(found) == LABELS
        assert numbers_of(found) == [*range(6)]
        assert open_uri(found.uri(3)).getpixel((0, 0)) == colour(3)


def test_numbered_shards_are_splits_by_what_is_not_their_number(tmp_path):
    for split, start in (("train", 0), ("val", 4)):
        for number in range(2):
            (tmp_path / f"{split}-00000{number}.tar").write_bytes(tarred(samples([1, 0], start + 2 * number)))
    found = open_images(str(tmp_path))
    assert numbers_of(found) == [4, 5, 6, 7]
    assert found.split == "val"
    assert "train (4), val (4)" in found.notes[0]
    assert numbers_of(open_images(f"{tmp_path}:train")) == [0, 1, 2, 3]


def test_unlabelled_shards_are_no_classes_and_archives_with_names_are(tmp_path):
    for folder, names in (("shards", ("a-000", "a-001")), ("classes", ("n01440764", "n01443537"))):
        (tmp_path / folder).mkdir()
        for number, name in enumerate(names):
            (tmp_path / folder / f"{name}.tar").write_bytes(tarred({f"{number}.png": png(number)}))
    assert open_images(str(tmp_path / "shards")).labels is None
    assert labels_of(open_images(str(tmp_path / "classes"))) == ["n01440764", "n01443537"]


def test_a_damaged_shard_is_left_aside_with_the_reason(shards):
    (shards / "001.tar").write_bytes(b"half a download")
    found = open_images(str(shards))
    assert found.ids == IDS[:2] + IDS[4:]
    assert found.aside[0].names == ("001.tar",)
    assert "001.tar is neither a zip nor a tar" in found.notes[0]


def test_more_shards_than_files_may_be_open_are_read(shards, monkeypatch):
    monkeypatch.setattr(spans, "OPEN", 1)
    found = open_images(str(shards))
    assert [found.open(index).getpixel((0, 0)) for index in (0, 5, 2, 1, 4, 3)] == [
        colour(index) for index in (0, 5, 2, 1, 4, 3)
    ]


# --- tars in tars ----------------------------------------------------------------------------------------------------


def test_a_tar_of_tars_has_them_as_classes_and_unpacks_nothing(tmp_path, cache):
    inner = {f"n0144{number:04d}.tar": tarred({f"{number}_1.png": png(number)}) for number in range(3)}
    (tmp_path / "train.tar").write_bytes(tarred(inner))
    found = open_images(str(tmp_path / "train.tar"))
    assert labels_of(found) == ["n01440000", "n01440001", "n01440002"]
    assert numbers_of(found) == [0, 1, 2]
    assert found.uri(1) == f"tar://1_1.png::tar://n01440001.tar::{tmp_path}/train.tar"
    assert open_uri(found.uri(1)).getpixel((0, 0)) == colour(1)
    assert not cache.exists()


def test_archives_lie_in_each_other_to_a_bounded_depth(tmp_path):
    data = tarred(pictures("a.png"))
    for _ in range(archives.DEPTH):
        data = tarred({"inner.tar": data})
    (tmp_path / "set.tar").write_bytes(data)
    assert numbers_of(open_images(str(tmp_path / "set.tar"))) == [0]
    (tmp_path / "set.tar").write_bytes(tarred({"inner.tar": data}))
    with pytest.raises(DatasetError, match="holds no images"):
        open_images(str(tmp_path / "set.tar"))


def test_what_is_opened_one_by_one_is_indexed_once(opened, monkeypatch):
    found = opened(pictures("a.png", "b.png"))
    monkeypatch.setattr(tar_index, "_indexed", lambda *arguments: 1 / 0)
    assert [open_uri(found.uri(index)).getpixel((0, 0)) for index in (1, 0)] == [colour(1), colour(0)]


def test_the_index_of_a_large_tar_is_kept_until_the_tar_changes(opened, cache, monkeypatch):
    monkeypatch.setattr(tar_index, "MANY", 2)
    names = ("cat/1.png", "dog/caf\udce9.png")
    first = opened(samples([1, 0]) | pictures(*names))
    tar_index._indices.clear()
    with monkeypatch.context() as patch:
        patch.setattr(tar_index, "_indexed", lambda *arguments: 1 / 0)
        again = open_images(first.origin.source)
    assert (again.ids, again.digest, labels_of(again)) == (first.ids, first.digest, labels_of(first))
    assert numbers_of(again) == numbers_of(first)
    (kept,) = (cache.parent / "archive-indices").iterdir()
    tar_index._indices.clear()
    kept.write_bytes(b"torn")
    assert open_images(first.origin.source).ids == first.ids
    assert opened(pictures("cat/1.png", "dog/1.png")).ids == ("cat/1.png", "dog/1.png")


def test_absolute_names_of_a_tar_make_no_class_and_are_told(opened):
    found = opened(pictures("a/1.png", "/abs/1.png", "b/1.png"))
    assert (labels_of(found), numbers_of(found)) == (["a", "b"], [0, 2])
    assert [each.names for each in found.aside] == [("/abs/1.png",)]
    whole = opened(pictures("/home/me/a/1.png", "/home/me/b/1.png") | {"/home/me/a/1.cls": b"x"}, "whole.tar")
    assert [name.rpartition("/")[2] for name in whole.ids] == ["1.png", "1.png"]
    assert numbers_of(whole) == [0, 1]
    assert [note for note in whole.notes if "absolute paths" in note]
