"""Whether images have changed, told without opening them."""

import os
import shutil

import pytest

from features import datasets
from features.errors import DatasetError


def overwritten(root):
    (root / "cat" / "0.png").write_bytes(b"another picture")


def touched(root):
    os.utime(root / "dog" / "1.png", (1, 1))


def added(root):
    shutil.copy(root / "fox" / "0.png", root / "fox" / "9.png")


def removed(root):
    (root / "fox" / "0.png").unlink()


def renamed(root):
    (root / "fox" / "0.png").rename(root / "fox" / "7.png")


def moved(root):
    (root / "fox").rename(root / "wolf")


@pytest.mark.parametrize("change", [overwritten, touched, added, removed, renamed, moved])
def test_the_stamp_of_a_folder_changes_with_what_an_image_set_would(change, tiny_folder):
    before = datasets.stamp(tiny_folder), datasets.open_images(str(tiny_folder)).digest
    assert datasets.stamp(tiny_folder) == before[0]
    change(tiny_folder)
    assert datasets.stamp(tiny_folder) != before[0]
    assert datasets.open_images(str(tiny_folder)).digest != before[1]


def test_what_no_image_set_reads_changes_no_stamp(tiny_folder):
    before = datasets.stamp(tiny_folder)
    (tiny_folder / "notes.md").write_text("no image")
    (tiny_folder / ".thumbnails").mkdir()
    (tiny_folder / ".thumbnails" / "0.png").write_bytes(b"small")
    (tiny_folder / "cat" / ".0.png").write_bytes(b"hidden")
    (tiny_folder / "cat" / "again").symlink_to(tiny_folder)  # a link without an end, which is not followed
    assert datasets.stamp(tiny_folder) == before


def test_a_linked_folder_counts_as_one_that_is_there(tiny_folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(tiny_folder / "cat" / "0.png", elsewhere)
    before = datasets.stamp(tiny_folder)
    (tiny_folder / "linked").symlink_to(elsewhere)
    linked = datasets.stamp(tiny_folder)
    os.utime(elsewhere / "0.png", (1, 1))
    assert len({before, linked, datasets.stamp(tiny_folder)}) == 3


def test_tables_of_images_count(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.parquet").write_bytes(b"one")
    before = datasets.stamp(tmp_path)
    (tmp_path / "deep" / "a.parquet").write_bytes(b"another")
    assert datasets.stamp(tmp_path) != before


def test_the_stamp_of_a_list_changes_with_it_and_with_an_image_that_it_names(tiny_folder):
    listed = tiny_folder / "list.txt"
    listed.write_text("cat/0.png\tcat\ndog/0.png\tdog\ns3://bucket/elsewhere.png\tdog\n")
    stamps = [datasets.stamp(listed)]
    assert datasets.stamp(listed) == stamps[0]
    (tiny_folder / "dog" / "0.png").write_bytes(b"another picture")
    stamps.append(datasets.stamp(listed))
    listed.write_text("cat/0.png\tcat\n")
    stamps.append(datasets.stamp(listed))
    listed.unlink()
    stamps.append(datasets.stamp(listed))
    assert len(set(stamps)) == 4


def test_a_link_to_nowhere_has_a_stamp_and_a_folder_that_is_forbidden_has_none(tiny_folder, monkeypatch):
    before = datasets.stamp(tiny_folder)
    (tiny_folder / "cat" / "lost.png").symlink_to(tiny_folder / "nowhere.png")
    assert datasets.stamp(tiny_folder) != before

    def forbidden(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", forbidden)
    with pytest.raises(DatasetError, match="cannot be read: Permission denied"):
        datasets.stamp(tiny_folder)
