from types import SimpleNamespace

import numpy as np
import pytest

from features.embed import Moved, nearest, separation
from features.progress import finish
from tests.embed.drawn import blobs
from viz import theme
from viz.figures import embed


def test_cohesion_stands_beside_what_chance_would_give():
    figure = embed.cohesion({"layer1": 0.2, "layer2": 0.9}, 0.1)
    assert list(figure.data[0].x) == ["layer1", "layer2"]
    assert list(figure.data[0].y) == [0.2, 0.9]
    assert figure.layout.shapes[0].y0 == 0.1
    assert figure.layout.yaxis.range[0] == 0


def test_a_mix_shows_shares_of_the_selection_beside_all_the_largest_difference_on_top():
    names = np.array(["ant", "ant", "bee", "<cat>", None], dtype=object)
    all_images, selection = embed.mix(names, np.array([2, 4])).data
    assert all_images.y[-1] == "bee"  # bars grow upwards
    assert dict(zip(all_images.y, all_images.x, strict=True)) == {"ant": 0.5, "bee": 0.25, "&lt;cat&gt;": 0.25}
    assert dict(zip(selection.y, selection.x, strict=True)) == {"ant": 0, "bee": 1, "&lt;cat&gt;": 0}


def test_separation_has_intervals_of_what_is_known():
    values, labels = blobs()
    found = finish(separation(values, nearest(values, 6), labels, ("ant", "bee", "cat")))
    neighbours, probe, silhouette = embed.separation({"layer1": found, "layer2": found}).data
    assert list(neighbours.y) == list(probe.y) == [1, 1]
    assert neighbours.error_y.arrayminus[0] == pytest.approx(1 - found.by_neighbours.interval[0])
    assert silhouette.y[0] == pytest.approx(found.silhouette.mean())


def test_before_and_after_stand_side_by_side_on_the_same_axes():
    points = np.arange(6, dtype=float).reshape(3, 2)
    found = Moved(points, points + 1, 0.5)
    figure = embed.moved(found, np.array([0, 1, 1]), ["<a>", "b"], ["1.png", "2.png", "3.png"], "without <x>")
    before, after, *legend = figure.data
    assert [trace.name for trace in legend] == ["&lt;a&gt;", "b"]
    assert (before.xaxis, after.xaxis) == ("x", "x2")
    assert figure.layout.xaxis2.matches == "x"
    np.testing.assert_array_equal(after.x - before.x, 1)
    assert before.marker.color == (theme.category_colour(0), theme.category_colour(1), theme.category_colour(1))
    assert "&lt;a&gt;" in before.text[0]
    assert [note.text for note in figure.layout.annotations] == ["intact", "without &lt;x&gt;"]


# --- maps of every stage side by side --------------------------------------------------------------------------------


class Labelled(SimpleNamespace):
    def __len__(self):
        return len(self.ids)


def test_every_point_stands_on_the_map_of_its_stage_in_the_colour_of_its_label():
    labels = np.array(["b", "a", "b"], object)
    points = {"one": np.arange(6.0).reshape(3, 2), "two": -np.arange(6.0).reshape(3, 2)}
    features = Labelled(ids=("x", "<y>", "z"), label_names=lambda: labels)
    figure = embed.stage_maps(features, {name: SimpleNamespace(points=each) for name, each in points.items()})
    drawn = [(trace.name, trace.x.tolist(), [*trace.text]) for trace in figure.data]
    assert drawn[:2] == [("a", [2.0], ["&lt;y&gt;"]), ("b", [0.0, 4.0], ["x", "z"])]
    assert [trace.y.tolist() for trace in figure.data[2:]] == [[-3.0], [-1.0, -5.0]]
    assert len({trace.marker.color for trace in figure.data}) == 2
    assert [trace.showlegend for trace in figure.data] == [True, True, False, False]


def test_images_without_labels_have_one_colour():
    features = Labelled(ids=("x", "y"), label_names=lambda: None)
    figure = embed.stage_maps(features, {"one": SimpleNamespace(points=np.zeros((2, 2)))})
    assert len(figure.data) == 1
