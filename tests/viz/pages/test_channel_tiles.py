"""Tiles of images on the page Channels: with what is noted of them."""

import pytest

from features.notes import ImageNotes
from viz.cached.patches import PatchPicture
from viz.pages.channels.tiles import tile_of

WHOLE = (0.0, 0.0, 1.0, 1.0)
PICTURE = PatchPicture("data:,", 1.0, WHOLE, WHOLE, (), "", WHOLE, (0.5, 0.5))


@pytest.mark.parametrize(
    ("noted", "told"),
    [
        (None, "cat"),
        (ImageNotes("0" * 64), "cat"),
        (ImageNotes("0" * 64, tags=("<b>", "odd"), label="dog", note="why"), "cat [<b>, odd, relabelled dog, a note]"),
    ],
)
def test_what_is_noted_of_an_image_stands_behind_its_label(noted, told):
    tile = tile_of(PICTURE, "1.5", "cat", "a.png", "hint", noted=noted)
    assert tile.caption == told
    assert tile.alt == f"a.png, {told}"
    assert tile.hint == told.replace("cat", "hint")
