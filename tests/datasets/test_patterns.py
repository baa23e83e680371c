"""Patterns that name several files as one source."""

import os
import time
from pathlib import Path

import pytest

from features import datasets
from features.commands import common
from features.datasets import need_outside, open_files, open_images, patterns
from features.errors import DatasetError
from features.sources import fixed_part, is_pattern, split_of
from tests.datasets.pictures import labels_of, numbers_of, png


@pytest.fixture
def photos(tmp_path) -> Path:
    for number, name in enumerate(("2023/cat/1.png", "2023/dog/1.png", "2024/cat/1.png", "2024/dog/1.JPG", "x.png")):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(png(number))
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    return tmp_path / "photos"


@pytest.mark.parametrize(
    ("pattern", "numbers", "labels"),
    [
        ("*.png", [4], [None]),
        ("*/cat/*.png", [0, 2], ["2023", "2024"]),
        ("2023/*/*", [0, 1], ["cat", "dog"]),
        ("20{23,24}/dog/1.*", [1, 3], ["2023", "2024"]),
        ("{2024..2023}/cat/?.png", [2, 0], ["2024", "2023"]),
        ("2024/*", [2, 3], ["cat", "dog"]),
        ("**/*.png", [0, 1, 2, 4], [None] * 4),
    ],
)
def test_a_pattern_names_what_a_shell_would(pattern, numbers, labels, photos):
    found = open_images(f"{photos}/{pattern}")
    assert numbers_of(found) == numbers
    assert labels_of(found) == labels


def test_ids_are_paths_below_what_all_have_in_common(photos):
    assert open_images(f"{photos}/2023/*/1.png").ids == ("cat/1.png", "dog/1.png")
    assert open_files([f"{photos}/2023/*/1.png"]).ids == ("cat/1.png", "dog/1.png")


def test_a_pattern_may_be_relative_and_its_set_be_opened_again(photos, monkeypatch):
    monkeypatch.chdir(photos)
    found = open_images("2023/*/*.png")
    assert found.uri(0) == f"{photos}/2023/cat/1.png"
    assert datasets.reopen(found.origin).digest == found.digest
    assert open_images("2023/*/*.png:all").ids == found.ids


@pytest.mark.parametrize("pattern", ["*/1.png", "./*/1.png", "{c,d}at/1.png", "~/*/1.png"])
def test_the_part_above_all_that_a_pattern_names_is_no_part_of_ids(pattern, tmp_path, monkeypatch):
    for name in ("cat", "dat"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(png(1))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    found = open_images(pattern)
    assert (found.ids, numbers_of(found)) == (("cat/1.png", "dat/1.png"), [1, 1])


def test_a_file_that_is_called_like_a_pattern_is_that_file(tmp_path):
    (tmp_path / "a[1]").mkdir()
    (tmp_path / "a[1]" / "x.png").write_bytes(png(3))
    (tmp_path / "a1").mkdir()
    assert numbers_of(open_images(f"{tmp_path}/a[1]")) == [3]


def test_braces_stand_for_what_a_shell_makes_of_them():
    assert [*patterns.braced("{08..10}")] == ["08", "09", "10"]
    assert [*patterns.braced("a{1..3}b{x,y}")] == ["a1bx", "a1by", "a2bx", "a2by", "a3bx", "a3by"]
    assert [*patterns.braced("{3..1}")] == ["3", "2", "1"]
    assert [*patterns.braced("{one}")] == ["{one}"]


def test_a_name_that_is_missing_in_braces_is_told(photos):
    with pytest.raises(DatasetError, match=r"There is no .*2025/cat/1\.png.* \(1 of 3 are not there\)"):
        open_images(f"{photos}/{{2023..2025}}/cat/1.png")
    with pytest.raises(DatasetError, match="nothing that is called"):
        open_images(f"{photos}/*.gif")
    with pytest.raises(DatasetError, match="holds no images"):
        open_images(f"{photos}/*.txt")
    with pytest.raises(DatasetError, match="stands for more than"):
        open_images(f"{photos}/{{0..99999999999}}.png")


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("data/*.parquet", True),
        ("data/{000..999}.tar", True),
        ("data/{a,b}.tar", True),
        ("data/{a}.tar", False),
        ("http://host/image.png?size=5", False),
        ("s3://bucket/{00..99}.tar", True),
        ("data/set.zip", False),
    ],
)
def test_patterns_are_told_from_names(source, wanted):
    assert is_pattern(source) == wanted


def test_the_folder_above_a_pattern():
    assert fixed_part("data/test-*.parquet") == "data"
    assert fixed_part("*.png") == "."
    assert fixed_part("/*/x") == "/"
    assert fixed_part("/a/{b/c,d}/x") == "/a"
    assert fixed_part("s3://bucket/shards/{0..9}.tar") == "s3://bucket/shards"


def test_a_split_may_follow_a_pattern():
    assert split_of("data/{0..9}.tar:test") == ("data/{0..9}.tar", "test")
    assert split_of("data/*.parquet:train2017") == ("data/*.parquet", "train2017")
    assert split_of("data/*.parquet") == ("data/*.parquet", None)


def test_links_that_lead_out_of_the_allowed_folders_are_not_followed(photos, tmp_path, monkeypatch):
    (tmp_path / "secret.png").write_bytes(png(9))
    (photos / "link.png").symlink_to(tmp_path / "secret.png")
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(photos))
    found = open_images(f"{photos}/*.png")
    assert found.ids == ("x.png",)
    assert found.aside[0].names == (f"{photos}/link.png",)
    with pytest.raises(DatasetError, match="leads out of the folders"):
        open_images(f"{photos}/lin*.png")


def test_a_pattern_of_many_files_takes_no_longer_for_each_and_looks_at_each_once(tmp_path, monkeypatch):
    many = [f"{number}.png" for number in range(20_000)]
    looks = []
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    monkeypatch.setattr(patterns, "_matches", lambda root, pattern: many)
    monkeypatch.setattr(patterns.folders.os, "stat", lambda path, **how: looks.append(path) or os.lstat(tmp_path))
    began = time.perf_counter()
    assert patterns.named(f"{tmp_path}/*.png").folders == many
    assert time.perf_counter() - began < 10
    assert len([path for path in looks if str(path).endswith(".png")]) == len(many)


def test_a_pattern_may_go_through_a_link_and_tells_what_is_no_file(photos, tmp_path):
    (tmp_path / "link").symlink_to(photos)
    (photos / "deeper").symlink_to(photos / "2024")
    assert open_images(f"{tmp_path}/link/*.png").ids == ("x.png",)
    assert open_images(f"{tmp_path}/link/deep*/cat/*").ids == ("deeper/cat/1.png",)
    assert open_images(f"{tmp_path}/lin*/x.png").ids == ("link/x.png",)
    os.mkfifo(photos / "p.png")
    found = open_images(f"{photos}/*.png")
    assert found.ids == ("x.png",)
    assert [each.names for each in found.aside] == [("p.png",)]


def test_the_stamp_of_a_pattern_changes_with_what_it_names(photos):
    pattern = photos / "2023" / "*" / "*.png"
    before = datasets.stamp(pattern)
    (photos / "2024" / "cat" / "1.png").write_bytes(b"another")
    assert datasets.stamp(pattern) == before
    (photos / "2023" / "cat" / "1.png").write_bytes(b"another")
    assert datasets.stamp(pattern) != before


def test_results_may_lie_beside_what_a_pattern_names_but_not_among_it(photos):
    need_outside(f"{photos}/*.png", photos / "features")
    for pattern in ("*", "20*", "**/*.parquet"):
        with pytest.raises(DatasetError, match="whose files are read"):
            need_outside(f"{photos}/{pattern}", photos / "2025" / "features")


def test_several_files_for_one_source_are_answered_with_the_pattern(capsys):
    from features.__main__ import main

    with pytest.raises(SystemExit) as end:
        main(["evaluate", "data/a-0.parquet", "data/a-1.parquet", "data/a-2.parquet"])
    assert end.value.code == 2
    errors = capsys.readouterr().err
    assert errors.startswith("evaluate: One source is taken, but got 3: data/a-0.parquet, data/a-1.parquet, ...")
    assert "'data/a-*.parquet'" in errors
    assert common._pattern(["x/train.tar", "x/test.tar"]) == "x/t*.tar"
