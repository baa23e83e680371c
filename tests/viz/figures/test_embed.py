import numpy as np
import pytest

from features.embed.projection import Moved, Projection
from features.results import Provenance
from viz import theme
from viz.figures import embed


def projection(n_points, method="umap"):
    points = np.random.default_rng(0).normal(size=(n_points, 2)).astype(np.float32)
    return Projection(points, method, 15, 0.1, 0, 1.0, 1.0, Provenance())


def draw(groups, names, places=None, method="umap"):
    groups = np.asarray(groups)
    texts = [f"{number}.png|label: {names[group]}" for number, group in enumerate(groups)]
    places = np.arange(len(groups)) if places is None else places
    return embed.scatter(projection(len(groups), method), groups, names, texts, places)


def colours_of(points):
    """The colour that Plotly draws each point in: the step of the scale that holds the point's number."""
    scale, low, high = points.marker.colorscale, points.marker.cmin, points.marker.cmax
    shares = [(number - low) / (high - low) for number in points.marker.color]
    return [next(colour for place, colour in reversed(scale) if place <= share) for share in shares]


def names(number):
    return [f"group {index}" for index in range(number)]


def test_point_number_i_of_the_first_trace_is_row_i_of_the_result():
    points, *legend = draw([2, 0, 1, 1, 2, 0], names(3)).data
    expected = projection(6).points
    np.testing.assert_array_equal(points.x, expected[:, 0])
    np.testing.assert_array_equal(points.y, expected[:, 1])
    for entry in legend:
        assert list(entry.x) == list(entry.y) == [None], "a point that could be selected"


def test_every_point_carries_its_picture_on_the_sheet_and_its_text():
    figure = draw([1, 0, 1], names(2), places=np.array([4, 7, 9]))
    assert [tuple(entry) for entry in figure.data[0].customdata] == [
        (4, "0.png|label: group 1"),
        (7, "1.png|label: group 0"),
        (9, "2.png|label: group 1"),
    ]


@pytest.mark.parametrize("n_groups", [1, 2, 12])
def test_points_have_the_colour_that_the_legend_gives_their_group(n_groups):
    groups = np.arange(2 * n_groups) * 7 % n_groups
    points, *legend = draw(groups, names(n_groups)).data
    told = {entry.name: entry.marker.color for entry in legend}
    assert list(told) == names(n_groups)
    assert len(set(told.values())) == n_groups
    assert colours_of(points) == [told[f"group {group}"] for group in groups]


def test_groups_without_points_are_in_the_legend_and_do_not_shift_colours():
    points, *legend = draw([2, 2], names(3)).data
    assert [entry.name for entry in legend] == names(3)
    assert set(colours_of(points)) == {legend[2].marker.color}


def test_more_than_twelve_groups_are_coloured_along_a_scale_without_a_legend():
    groups = np.arange(26) % 13
    (points,) = draw(groups, names(13)).data
    assert len(points.x) == 26
    assert list(points.marker.color) == groups.tolist()
    assert points.marker.colorscale is not None
    assert not points.showlegend


def test_many_points_are_drawn_smaller():
    few, many = (draw(np.zeros(number, dtype=int), names(1)).data[0].marker.size for number in (3000, 3001))
    assert many < few


def test_a_unit_is_as_long_across_as_it_is_up():
    assert draw([0, 0], names(1)).layout.yaxis.scaleanchor == "x"


@pytest.mark.parametrize(("method", "title"), [("umap", "UMAP 1"), ("pca", "PCA 1")])
def test_the_axes_are_named_by_the_method(method, title):
    layout = draw([0, 0], names(1), method=method).layout
    assert layout.xaxis.title.text == title
    assert layout.yaxis.title.text == title.replace("1", "2")


def test_a_click_on_the_legend_hides_no_points():
    legend = draw([0, 1], names(2)).layout.legend
    assert legend.itemclick is legend.itemdoubleclick is False


def test_the_figure_says_lasso_and_shows_what_was_not_chosen_fainter():
    figure = draw([0, 1], names(2))
    assert figure.layout.dragmode == "lasso"
    assert figure.data[0].unselected.marker.opacity < figure.data[0].selected.marker.opacity
    assert colours_of(figure.data[0])[0] == theme.category_colour(0)


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
