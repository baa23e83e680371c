"""What is drawn of how far maps can be trusted."""

import numpy as np

from features.faithfulness import Curves
from viz import theme
from viz.figures import faithfulness


def test_a_map_has_two_curves_of_one_colour_and_insertion_is_the_solid_one():
    made = Curves(np.array([0.0, 0.5, 1.0]), np.array([[0.9, 0.4, 0.1]]), np.array([[0.1, 0.6, 0.9]]))
    figure = faithfulness.curves([("a <b>", made), ("random", made)])
    insertion, deletion, *others = figure.data
    assert (insertion.name, insertion.line.dash) == ("a &lt;b&gt;, insertion", "solid")
    assert (deletion.name, deletion.line.dash) == ("a &lt;b&gt;, deletion", "dash")
    np.testing.assert_array_equal(insertion.y, [0.1, 0.6, 0.9])
    np.testing.assert_array_equal(deletion.y, [0.9, 0.4, 0.1])
    assert insertion.line.color == deletion.line.color == theme.category_colour(0)
    assert {trace.line.color for trace in others} == {theme.category_colour(1)}


def test_correlations_begin_at_one_with_the_trained_network_and_end_at_the_stem():
    figure = faithfulness.randomised(["head", "stem"], {"layer1": np.array([0.5, -0.1])})
    (line,) = figure.data
    assert list(line.x) == ["trained", "head", "stem"]
    assert list(line.y) == [1.0, 0.5, -0.1]
    low, high = figure.layout.yaxis.range
    assert low <= -1 < 1 <= high
