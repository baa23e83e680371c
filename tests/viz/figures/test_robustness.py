"""Figures of worse pictures: where accuracy stands, and what its bars reach to."""

from types import SimpleNamespace

import numpy as np
import pytest

from features.results import Provenance
from features.robustness import Attacked, Curve, Robustness
from features.shares import Share
from viz.figures import robustness as figures

SHARES = tuple(Share(hits, 100) for hits in (90, 80, 70, 60, 50))


def told(name: str = "<net>") -> Robustness:
    curve = Curve("noise", "of the range", (0.1, 0.2, 0.3, 0.4, 0.5), SHARES)
    return Robustness(name, Share(95, 100), (curve,), 0, "by name", (), Provenance())


def attacked(norm: str) -> Attacked:
    return Attacked("net", norm, (0.0, 8 / 255), SHARES[:2], 10, 0.25, 0, (), Provenance())


def test_a_curve_begins_with_the_images_as_they_are_and_has_its_intervals():
    (line,) = figures.corruption([told()], "noise", "Gaussian noise").data
    assert list(line.x) == [0, 1, 2, 3, 4, 5]
    assert list(line.y) == [0.95, 0.9, 0.8, 0.7, 0.6, 0.5]
    assert line.customdata[0] == "as they are"
    assert line.customdata[5] == "0.5 of the range"
    low, high = SHARES[0].interval
    assert line.error_y.array[1] == pytest.approx(high - 0.9)
    assert line.error_y.arrayminus[1] == pytest.approx(0.9 - low)


def test_networks_are_told_apart_by_colour_and_symbol_and_named_as_they_are():
    figure = figures.corruption([told(), told("other")], "noise", "Gaussian noise")
    one, other = figure.data
    assert one.marker.color != other.marker.color
    assert one.marker.symbol != other.marker.symbol
    assert one.name == "&lt;net&gt;"
    assert figure.layout.showlegend
    assert not figures.corruption([told()], "noise", "Gaussian noise").layout.showlegend


def test_radii_of_the_largest_change_are_grey_levels():
    (line,) = figures.attack([attacked("linf")], "attack").data
    assert list(line.x) == pytest.approx([0, 8])
    figure = figures.attack([attacked("l2")], "attack")
    assert list(figure.data[0].x) == pytest.approx([0, 8 / 255])
    assert "grey" not in figure.layout.xaxis.title.text


def test_ratios_as_they_are_stand_beside_those_of_the_worse_picture():
    one, other = (
        SimpleNamespace(blocks=("layer1.0", "layer2.0"), stages=("layer1", "layer2"), ratios=np.array([values]))
        for values in ((0.5, 0.2), (0.7, 0.4))
    )
    intact, worse = figures.ratios(one, other, alike=False).data
    assert list(intact.y) == [0.5, 0.2]
    assert list(worse.y) == [0.7, 0.4]
    assert len(figures.ratios(one, one, alike=True).data) == 1
