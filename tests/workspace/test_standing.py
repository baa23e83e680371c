"""A workspace that is opened again: what is missing or has changed is told, and what it is on can be elsewhere."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from features.datasets import open_images
from features.errors import DatasetError
from features.files import digest_of
from features.progress import finish
from features.selection import kept
from features.workspace import (
    WorkspaceError,
    kept_selections,
    need_sound,
    problems,
    with_contents,
    with_images,
    with_weights,
)


@pytest.fixture
def sound(world):
    network = replace(world.workspace.network, digest=digest_of(world.weights))
    return replace(world.workspace, network=network)


def told(workspace):
    return [(each.of, each.kind) for each in problems(workspace)]


def test_nothing_is_told_where_all_is_as_it_was(sound):
    assert told(sound) == []
    need_sound(sound)


def test_weights_that_are_gone_or_others_are_told(sound, world):
    world.weights.write_bytes(b"others")
    assert told(sound) == [("weights", "changed")]
    world.weights.unlink()
    assert told(sound) == [("weights", "missing")]
    with pytest.raises(WorkspaceError, match="There are no weights at"):
        need_sound(sound)


def test_images_that_are_gone_or_others_are_told(sound, world):
    Image.new("RGB", (9, 9)).save(world.folder / "a" / "new.png")
    assert told(sound) == [("images", "changed")]
    shutil.rmtree(world.folder)
    assert told(sound) == [("images", "missing")]


def test_a_network_that_nobody_knows_is_told(sound):
    assert told(replace(sound, network=replace(sound.network, name="resnet-of-tomorrow"))) == [("weights", "missing")]


def test_what_may_not_be_read_is_missing_and_not_opened(sound):
    told = problems(sound, may_read=lambda path: False)
    assert [(each.of, each.kind) for each in told] == [("weights", "missing"), ("images", "missing")]
    far = replace(sound, images=replace(sound.images, source="s3://bucket/folder"))
    assert "may not be read here" in problems(far, may_read=lambda path: not path.startswith("s3:"))[0].said


def test_weights_are_taken_from_elsewhere_if_they_are_the_same(sound, world, tmp_path):
    moved = tmp_path / "moved.safetensors"
    shutil.move(world.weights, moved)
    again = with_weights(sound, moved)
    assert told(again) == []
    moved.write_bytes(b"others")
    with pytest.raises(WorkspaceError, match="other weights"):
        with_weights(sound, moved)
    with pytest.raises(WorkspaceError, match="nothing at"):
        with_weights(sound, tmp_path / "nowhere")


@pytest.fixture
def elsewhere(sound, world, tmp_path):
    """The workspace as it was handed over, and the images on another machine: other names, one gone and one new."""
    handed = finish(with_contents(sound))
    there = tmp_path / "there"
    (there / "x").mkdir(parents=True)
    for number, row in enumerate((5, 1, 0, 2)):
        shutil.copy(world.images.uri(row), there / "x" / f"{number}.png")
    Image.new("RGB", (9, 9)).save(there / "x" / "new.png")
    shutil.rmtree(world.folder)
    return handed, there


def test_selections_are_found_elsewhere_by_what_their_images_are(elsewhere):
    handed, there = elsewhere
    moved = finish(with_images(handed, str(there)))
    images = open_images(str(there))
    named = {each.name: [Path(images.ids[row]).name for row in each.rows] for each in moved.workspace.selections}
    assert named == {"odd ones": ["1.png"], "first": ["2.png"]}
    assert moved.lost == {"odd ones": 1, "first": 0}
    assert moved.describe() == "Images of selections that are not here: 1 of odd ones."
    assert told(moved.workspace) == [("images", "missing")] * 0


def test_links_lead_to_the_new_place_and_the_new_selection(elsewhere):
    handed, there = elsewhere
    moved = finish(with_images(handed, str(there))).workspace
    view = moved.views[0]
    assert view.one("folder") == str(there)
    images = open_images(str(there))
    assert images.select(kept(view.one("selection"))).ids == tuple(images.ids[row] for row in moved.selections[0].rows)
    assert view.one("residual view") == "variance"
    assert view.one("of") == "1 selected"


def test_numbers_alone_are_not_taken_for_images_of_a_changed_set(sound, world):
    Image.new("RGB", (9, 9)).save(world.folder / "a" / "0.png")
    with pytest.raises(WorkspaceError, match="Nothing tells which images the selection odd ones holds"):
        finish(with_images(sound))
    with pytest.raises(WorkspaceError, match="have changed"):
        finish(with_contents(sound))


def test_images_that_cannot_be_opened_are_told(sound, tmp_path):
    with pytest.raises(DatasetError, match="does not exist"):
        finish(with_images(sound, str(tmp_path / "nowhere")))


def test_the_images_as_they_were_keep_all(sound, world):
    moved = finish(with_images(sound))
    assert moved.workspace == sound
    assert moved.describe() == ""
    assert {name: each.rows.tolist() for name, each in kept_selections(sound).items()} == {
        "odd ones": [1, 4],
        "first": [0],
    }
