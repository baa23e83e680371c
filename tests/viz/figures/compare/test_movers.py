"""Two maps of the same images: which points are which."""

from types import SimpleNamespace

import numpy as np
import pytest

from viz import theme
from viz.figures import compare as figures


class Told(SimpleNamespace):
    def __len__(self):
        return len(self.ids)


@pytest.fixture
def told(random):
    changed = np.array([0, 0.2, 1, 0.4, 0, 0.2, 0, 0, 0.6, 0])
    return Told(
        first="<one>", second="other", ids=tuple(f"{n}.png" for n in range(10)), k=5, chance=1 - 5 / 9,
        points=(random.normal(size=(10, 2)), random.normal(size=(10, 2))), changed=changed,
        order=np.argsort(-changed, kind="stable"),
    )  # fmt: skip


def test_both_maps_hold_all_images_and_the_same_are_numbered_in_both(told):
    labels = ["ant", "bee"] * 5
    figure = figures.moved(told, labels, top=3)
    left, ring, right, ring_too = figure.data[:4]
    np.testing.assert_array_equal(np.stack([left.x, left.y], 1), told.points[0])
    np.testing.assert_array_equal(np.stack([right.x, right.y], 1), told.points[1])
    assert list(left.customdata) == list(right.customdata) == list(range(10))
    assert list(ring.customdata) == list(ring_too.customdata) == [2, 8, 3]
    assert ring.text == ("1", "2", "3")
    assert (left.marker.color[0], left.marker.color[1]) == (theme.category_colour(0), theme.category_colour(1))
    assert left.text[2] == "2.png<br>ant<br>100% of 5 neighbours are others"
    assert figure.layout.annotations[0].text == "&lt;one&gt;"
    assert (figure.layout.xaxis2.matches, figure.layout.yaxis2.matches) == ("x", "y")


def test_without_labels_or_with_very_many_all_points_have_one_colour(told):
    assert figures.moved(told).data[0].marker.color == theme.BLUE
    told.ids = tuple(map(str, range(10)))
    assert figures.moved(told, [str(n) for n in range(10)]).data[0].marker.color != theme.BLUE


def test_every_image_is_counted_where_its_share_lies(told):
    figure = figures.changed(told)
    (bars,) = figure.data
    assert sum(bars.y) == 10
    counts = {round(share, 2): count for share, count in zip(bars.x, bars.y, strict=True)}
    assert counts == {0.0: 5, 0.2: 2, 0.4: 1, 0.6: 1, 0.8: 0, 1.0: 1}
    assert figure.layout.shapes[0].x0 == told.chance
