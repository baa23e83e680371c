"""The figures of small pictures side by side."""

import numpy as np

from viz.figures.channels.pictures import COLUMNS, filters_of, patches_of, pictures_of


def test_every_picture_stands_under_its_name():
    shown = {f"<{at}>": np.full((5, 9, 3), at, np.uint8) for at in range(COLUMNS + 1)}
    figure = pictures_of(None, shown)
    assert len(figure.data) == COLUMNS + 1
    assert figure.layout.annotations[1].text == "&lt;1&gt;"
    assert patches_of(None, ("stem", 0), {}) is None


def test_a_sheet_of_filters_is_one_picture():
    figure = filters_of(None, np.zeros((63, 126, 3), np.uint8))
    (picture,) = figure.data
    assert picture.source.startswith("data:image/png;base64,")
