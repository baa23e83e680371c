"""How alike maps are: distributions beside chance, and classes."""

import numpy as np
import pytest

from features.compare.looks import Looks
from features.compare.sights import Settings
from features.results import Provenance
from viz import theme
from viz.figures import compare as figures


@pytest.fixture
def told(random):
    n = 60
    correlations, ious = random.uniform(-1, 1, n), random.uniform(0, 1, n)
    correlations[0] = ious[0] = np.nan
    labels = tuple(np.repeat(["ant", "<bee>", "cow"], 20).tolist())
    return Looks(
        "one", "other", np.arange(n), tuple(map(str, range(n))), labels, (labels, labels),
        (np.zeros(n, bool), np.zeros(n, bool)), correlations, ious, random.uniform(-1, 1, (n, 5)),
        random.uniform(0, 1, (n, 5)), n, Settings(), (), (Provenance(), Provenance()),
    )  # fmt: skip


def test_shares_of_images_add_up_beside_those_of_chance(told):
    figure = figures.alike(told)
    bars = [trace for trace in figure.data if trace.type == "bar"]
    steps = [trace for trace in figure.data if trace.type == "scatter"]
    assert [sum(trace.y) for trace in bars] == pytest.approx([1, 1])
    assert [sum(trace.y[::2]) for trace in steps] == pytest.approx([1, 1])
    assert (figure.layout.xaxis.range, figure.layout.xaxis2.range) == ((-1, 1), (0, 1))
    assert figure.layout.xaxis2.title.text == "IoU of the strongest 15%"
    assert figure.layout.shapes[0].x0 == pytest.approx(np.nanmean(told.correlations))


def test_classes_come_by_how_little_alike_their_maps_are(told):
    figure = figures.alike_by_class(told)
    means, chance = figure.data[:2]
    assert list(means.x) == sorted(means.x)
    assert set(means.y) == {"ant (20)", "&lt;bee&gt; (20)", "cow (20)"}
    by_name = {each.name: each for each in told.by_class}
    assert dict(zip(chance.y, chance.x, strict=True))["ant (20)"] == by_name["ant"].chance_correlation
    assert means.error_x.array[0] > 0
    assert figure.data[2].marker.color == theme.BLUE


def test_maps_of_one_image_have_no_chance_beside_them(told):
    few = Looks(
        "one", "other", np.arange(1), ("a",), None, (("ant",), ("ant",)), (np.zeros(1, bool),) * 2, np.array([0.5]),
        np.array([0.2]), np.empty((1, 0)), np.empty((1, 0)), 1, Settings(), (), (Provenance(), Provenance()),
    )  # fmt: skip
    assert len(figures.alike(few).layout.shapes) == 2
    assert list(figures.alike_by_class(few).data[0].x) == [0.5]
