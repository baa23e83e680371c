"""A workspace as a file: what is written is read again, and what cannot be one is refused."""

import json
from dataclasses import replace

import pytest

from features.workspace import View, WorkspaceError, decode, encode, state_of


def test_what_is_written_is_read_again(world):
    assert decode(encode(world.workspace), "x") == world.workspace


def test_a_line_tells_what_it_holds(world):
    said = world.workspace.describe()
    assert said.endswith("6 images of set, 2 selections, 2 views, 1 comparison, a note")


def test_a_view_takes_the_place_of_one_of_its_title(world):
    new = View("anatomy", {}, "Both")
    assert [view.page for view in world.workspace.with_view(new).views] == ["residual", "anatomy"]


def test_a_link_holds_all_of_a_page(world):
    assert [View(page, {}, "x").link for page in ("a", "anatomy")] == ["/a", "/"]
    view = View("compare", state_of({"compared": ["a?b=c", "d"], "limit": 100}), "x")
    assert view.link == "/compare?compared=a%3Fb%3Dc&compared=d&limit=100"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"images": 3}, "images"),
        ({"uid": "../../x"}, "its uid is none"),
        ({"views": [{"page": "../evil", "state": {}, "title": "x"}]}, "is no page"),
        ({"views": [{"page": "a", "state": {"x": "y"}, "title": "x"}]}, "state"),
        ({"selections": [{"name": "x", "rows": [6]}]}, "images that there are not"),
        ({"selections": [{"name": "x", "rows": [2, 1]}]}, "images that there are not"),
        ({"selections": [{"name": "x", "rows": [-1]}]}, "rows"),
        ({"selections": [{"name": "x", "rows": [1], "contents": [None, None]}]}, "contents of other images"),
        ({"version": 2}, "later version"),
    ],
)
def test_what_cannot_be_a_workspace_is_refused_with_the_reason(change, why, world):
    content = json.loads(encode(world.workspace)) | change
    with pytest.raises(WorkspaceError, match=why):
        decode(json.dumps(content).encode(), "the file")


@pytest.mark.parametrize("data", [b"", b"no JSON", b"[1]", b"{}", b"\xff\xfe", b"[" * 100_000])
def test_other_files_are_refused(data):
    with pytest.raises(WorkspaceError, match=r"the file is no workspace, or a damaged one"):
        decode(data, "the file")


def test_a_selection_is_the_one_that_pages_know(world):
    assert world.workspace.selections[0].of(world.workspace.images).key == world.workspace.views[0].one("selection")
    assert replace(world.workspace.images, digest="x").digest == "x"
