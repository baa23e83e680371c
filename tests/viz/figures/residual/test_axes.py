"""What all figures along depth share."""

import math

import pytest

from tests.viz.figures.residual.made import BLOCKS, STAGES, STATISTICS
from viz.figures.residual import branches, channels, representation, variance

ALONG_DEPTH = [
    branches.ratio, branches.cosine, channels.negative, channels.dead, channels.silent, channels.gamma, variance.budget,
    variance.propagation, representation.movement, representation.readout, representation.rank,
]  # fmt: skip


def test_the_line_of_equal_size_and_its_text_lie_at_one_on_the_logarithmic_axis():
    layout = branches.ratio(STATISTICS).layout
    assert layout.yaxis.type == "log"
    line = next(shape for shape in layout.shapes if shape.yref == "y")
    text = next(note for note in layout.annotations if note.text == "as large as the shortcut")
    assert line.y0 == line.y1 == 1
    assert text.y == math.log10(1)  # Plotly takes an annotation's place on such an axis as a logarithm


def test_ticks_of_the_logarithmic_axis_are_written_as_plain_numbers():
    axis = branches.ratio(STATISTICS).layout.yaxis
    assert [float(text) for text in axis.ticktext] == pytest.approx(list(axis.tickvals))
    assert {0.01, 0.1, 1, 10} <= set(axis.tickvals)


@pytest.mark.parametrize("draw", ALONG_DEPTH)
def test_a_line_parts_the_stages_and_each_is_named_where_it_begins(draw):
    layout = draw(STATISTICS).layout
    lines = [shape.x0 for shape in layout.shapes if shape.yref == "paper"]
    assert lines == [1.5, 3.5]  # between the blocks 1 and 2, and 3 and 4
    begins = {note.text: note.x for note in layout.annotations if note.text in STAGES}
    assert {stage: math.ceil(x) for stage, x in begins.items()} == {"layer1": 0, "layer2": 2, "layer3": 4}
    assert layout.xaxis.categoryarray == BLOCKS
