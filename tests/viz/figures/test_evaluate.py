"""Figures of how far a network can be relied on: what stands where."""

import numpy as np
import pytest

from features.evaluate.calibration import BINS
from features.evaluate.calibration import calibration as calibration_of
from features.evaluate.novelty import Novelty, Scored
from features.evaluate.retrieval import Retrieval
from features.evaluate.separating import separating
from features.shares import Share
from viz.figures import evaluate as figures

NAMES = ("ant", "bee", "<cat>")
COUNTS = np.array([[8, 2, 0], [0, 5, 0], [1, 1, 8]])


def confusion(**changed):
    given = {"counts": COUNTS, "support": COUNTS.sum(1), "names": NAMES, "one_each": True} | changed
    return figures.confusion(**given)


def test_every_cell_has_a_point_numbered_row_by_row():
    points, heat = confusion().data[:2]
    assert [divmod(number, 3) for number in range(9)] == list(zip(points.y, points.x, strict=True))
    assert "label ant<br>predicted as bee<br>2 images, 20.0% of the label" in points.hovertext[1]
    np.testing.assert_allclose(np.square(heat.z[0]), [0.8, 0.2, 0])


def test_cells_with_images_say_how_many_and_names_are_shown_as_they_are():
    figure = confusion()
    assert sorted(each.text for each in figure.layout.annotations) == ["1", "1", "2", "5", "8", "8"]
    assert figure.layout.xaxis.ticktext[2] == "&lt;cat&gt;"


def test_of_very_many_classes_those_with_the_most_mistakes_are_shown():
    counts = np.diag(np.full(100, 5))
    counts[90, 3] = counts[3, 90] = 4
    counts[7, 7] = 0  # which does not occur
    shown = figures.shown_classes(counts)
    assert len(shown) == figures.MOST_CLASSES
    assert {3, 90} <= set(shown.tolist())
    assert 7 not in figures.shown_classes(counts[:20, :20])
    many = confusion(counts=np.eye(30, dtype=int), support=np.ones(30), names=[str(n) for n in range(30)])
    assert not many.layout.annotations


def test_the_reliability_diagram_shows_accuracy_over_confidence_and_how_many_answers():
    told = calibration_of(np.repeat([0.3, 0.95], 10), np.repeat([0, 1], 10).astype(bool))
    line, bars, mass, histogram = figures.reliability(told, decisions=False).data
    assert (list(line.x), list(line.y)) == ([0, 1], [0, 1])
    assert list(bars.y) == list(mass.y) == [0, 1]
    assert sum(histogram.y) == pytest.approx(1)
    assert len(histogram.x) == BINS


def test_retrieval_is_a_line_for_each_number_over_the_stages():
    def scores(hits):
        return Retrieval({1: Share(hits, 10), 5: Share(9, 10)}, np.array([hits / 10]), 10)

    figure = figures.retrieval({"layer1": scores(2), "layer2": scores(8)})
    assert [trace.name for trace in figure.data] == ["recall at 1", "recall at 5", "mean average precision"]
    assert list(figure.data[0].y) == [0.2, 0.8]
    low, high = Share(2, 10).interval
    assert figure.data[0].error_y.array[0] == pytest.approx(high - 0.2)
    assert figure.data[0].error_y.arrayminus[0] == pytest.approx(0.2 - low)


@pytest.fixture
def told():
    random = np.random.default_rng(0)

    def scored(name, stage, away):
        known, others = random.normal(size=40), random.normal(away, 1, 30)
        return Scored(name, stage, known, others, separating(known, others))

    entries = scored("energy", "", 1), scored("neighbours", "stem", 0), scored("neighbours", "pool", 5)
    return Novelty(entries, "labels", 40, np.arange(40), "known", "<others>")


def test_scores_of_features_run_along_depth_and_those_of_outputs_stand_at_its_end(told):
    figure = figures.areas(told, {"energy": "Energy", "neighbours": "Neighbours"})
    assert [list(trace.x) for trace in figure.data] == [["logits"], ["stem", "pool"]]
    assert list(figure.layout.xaxis.categoryarray) == ["stem", "pool", "logits"]
    assert figure.data[1].y[1] > 0.99


def test_a_distribution_is_of_all_images_of_both_sets_even_far_ones(told):
    far = told.scored[2]
    figure = figures.histogram(far, "Neighbours", told.known_name, told.others_name)
    assert [sum(trace.y) for trace in figure.data] == [pytest.approx(1), pytest.approx(1)]
    assert figure.data[1].name == "&lt;others&gt;"


def test_a_score_that_is_the_same_everywhere_has_a_distribution():
    same = np.ones(5)
    figure = figures.histogram(Scored("energy", "", same, same, separating(same, same)), "Energy", "a", "b")
    assert [sum(trace.y) for trace in figure.data] == [pytest.approx(1)] * 2
