"""What is told of the images of a source."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from features import datasets
from features.__main__ import main
from features.look import difference_hash, look, near_duplicates
from features.progress import finish


def photograph(seed, side=64):
    """A smooth picture of random content."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path):
    for name, size, kind in (("cat/a.jpg", 64, "JPEG"), ("cat/b.png", 48, "PNG"), ("dog/c.bmp", 20, "BMP")):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        photograph(len(name) + size, size).save(tmp_path / "set" / name, kind)
    (tmp_path / "set" / "dog" / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "set" / "notes.txt").write_text("no image")
    return tmp_path / "set"


def test_formats_sizes_classes_and_problems_are_told(folder):
    seen = finish(look(datasets.open_images(str(folder))))
    assert (seen.n_images, seen.classes) == (4, {"cat": 2, "dog": 2})
    assert seen.formats == {"JPEG": 1, "PNG": 1, "BMP": 1}
    assert seen.modes == {"RGB": 3}
    assert seen.widths == seen.heights == (20, 48, 64)
    assert seen.n_bytes == sum(file.stat().st_size for file in folder.rglob("*.*") if file.name[1] == ".")
    assert [each.id for each in seen.rejected] == ["dog/broken.jpg"]
    assert seen.alike is None


def test_sets_whose_images_are_no_files_are_told_too(tiny_images):
    seen = finish(look(tiny_images, duplicates=True))
    assert seen.n_images == len(tiny_images)
    assert sum(seen.classes.values()) == len(tiny_images)


def test_files_of_several_frames_are_counted(tmp_path):
    frames = [photograph(seed, 20) for seed in range(3)]
    for name in ("moves.gif", "pages.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "still.gif")
    found = datasets.open_images(str(tmp_path))
    assert finish(look(found)).n_frames == 2
    first = np.asarray(found.open(found.ids.index("pages.tif")))
    assert np.array_equal(first, np.asarray(frames[0]))


def test_scaled_and_saved_copies_are_nearly_the_same_and_others_are_not(tmp_path):
    for seed in range(12):
        photograph(seed).save(tmp_path / f"{seed:02}.png")
    photograph(3).save(tmp_path / "copy.jpg", quality=60)
    photograph(3).resize((200, 200), Image.Resampling.BICUBIC).save(tmp_path / "large.webp")
    seen = finish(look(datasets.open_images(str(tmp_path)), duplicates=True))
    assert seen.alike == (("03.png", "copy.jpg", "large.webp"),)


def test_near_duplicates_are_those_that_a_look_at_all_pairs_finds():
    rng = np.random.default_rng(0)
    hashes = [int(value) for value in rng.integers(0, 2**63, 60)]
    for place in range(0, 40, 4):  # neighbours at 1 to 5 bits
        flipped = rng.choice(64, 1 + place % 5, replace=False)
        hashes.append(hashes[place] ^ sum(1 << int(bit) for bit in flipped))
    hashes += hashes[:2]
    linked = {(a, b) for b in range(len(hashes)) for a in range(b) if (hashes[a] ^ hashes[b]).bit_count() <= 3}
    groups = near_duplicates(hashes)
    assert {pair for group in groups for pair in linked if set(pair) <= set(group)} == linked
    assert sum(map(len, groups)) == len({place for pair in linked for place in pair})


def test_the_hash_is_of_each_pixel_and_its_right_neighbour():
    falling = Image.fromarray(np.tile(np.arange(255, -1, -16, dtype=np.uint8)[:9], (8, 1)))
    assert difference_hash(falling) == 2**64 - 1
    assert difference_hash(falling.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == 0


def test_the_command_tells_what_was_understood(folder, capsys):
    assert main(["look", str(folder), "--duplicates"]) == 0
    printed = capsys.readouterr()
    assert "set: 4 images, 2 classes; 1 file left aside" in printed.out
    assert "formats: JPEG 1, PNG 1, BMP 1" in printed.out
    assert "cannot be read: 1" in printed.out
    assert ".txt is not an image's: notes.txt" in printed.err
    assert main(["look", str(folder), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["aside"] == [{"reason": ".txt is not an image's", "names": ["notes.txt"]}]
    assert content["widths"] == [20, 48, 64]


def test_the_command_tells_the_split(tmp_path, capsys):
    buffer = io.BytesIO()
    photograph(0).save(buffer, "PNG")
    for name in ("train/a", "train/b", "test/a"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "1.png").write_bytes(buffer.getvalue())
    assert main(["look", str(tmp_path)]) == 0
    assert "1 image, 2 classes, split test of 2" in capsys.readouterr().out
