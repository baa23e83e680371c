"""What was asked for beyond the comparison itself, as parts of a report."""

from collections.abc import Sequence
from functools import partial
from typing import cast

import pandas as pd
from PIL import Image

from features.compare import AlongDepth, Drawing, Looked, Measured, Movers, Pair, SideBySide, Stitching, drawn
from features.compare import Gallery as SideBySides
from features.similarity import MEASURES
from viz.figures import compare as figures
from viz.reports.compare import words
from viz.reports.compare.told import Told
from viz.reports.document import Beside, Figure, Gallery, Part, Picture, Prose, Section, Tile


def branches(told: Told) -> Section | None:
    """All networks along relative depth."""
    curves = [told.extra("branches", each.name) for each in told.comparison.contenders]
    made = tuple(cast("AlongDepth", each) for each in curves if each is not None)
    if not made:
        return None
    figure = Figure(
        "branches", "Branches along relative depth", figures.along_depth(made),
        pd.concat([each.table() for each in made]),
        "Size and direction of every block's branch, and what is lost without it, of each network along depth.",
        words.branches(made),
    )  # fmt: skip
    return Section("branches-along-depth", "Branches", (figure,))


def of_pair(told: Told, key: str, pair: Pair) -> Sequence[Part]:
    """The extras of two networks. key: of the pair."""
    names = pair.first, pair.second
    measures, stitching = told.extra("measures", *names), told.extra("stitching", *names)
    maps, looks = told.extra("maps", *names), told.extra("saliency", *names)
    return (
        *(_measures(key, pair, cast("Measured", measures)) if measures is not None else ()),
        *(_stitching(key, cast("Stitching", stitching)) if stitching is not None else ()),
        *(_maps(told, key, cast("Movers", maps)) if maps is not None else ()),
        *(_looks(key, pair, cast("Looked", looks)) if looks is not None else ()),
    )


def _measures(key: str, pair: Pair, told: Measured) -> Sequence[Part]:
    data = told.table()
    made = [
        Figure(
            f"{key}-{each.measure}", MEASURES[each.measure].title,
            figures.similarity(each, pair.first, pair.second, farthest=MEASURES[each.measure].farthest),
            data[data["measure"] == each.measure],
            f"Heat map of the stages of {pair.first}, in rows, beside those of {pair.second}, in columns.",
            words.measure(MEASURES[each.measure]) + words.images_of(each),
        )
        for each in told.tables
    ]  # fmt: skip
    return [Beside(tuple(made[number : number + 2])) for number in range(0, len(made), 2)]


def _stitching(key: str, told: Stitching) -> Sequence[Part]:
    figure = Figure(
        f"{key}-stitching", "Stitching", figures.stitching(told), told.table(),
        "Accuracy of each network with the other's stage in place of its own, stage by stage.", words.stitching(told),
    )  # fmt: skip
    return (figure, *(Prose(note, quiet=True) for note in words.stitching_notes(told)))


def _maps(told: Told, key: str, maps: Movers) -> Sequence[Part]:
    label = dict(zip(told.comparison.ids, told.comparison.labels, strict=True))
    return [
        Figure(
            f"{key}-maps", "Maps on each other", figures.moved(maps, [label[image] for image in maps.ids]),
            maps.table(),
            "Both networks' maps of the images, the second turned onto the first.", words.maps(maps),
        ),
        Figure(
            f"{key}-changed", "Neighbours changed", figures.changed(maps), maps.table(),
            "How many images changed how large a share of their neighbours.",
        ),
    ]  # fmt: skip


def _looks(key: str, pair: Pair, told: Looked) -> Sequence[Part]:
    alike = told.alike
    return [
        Prose(words.looks(alike)),
        Figure(
            f"{key}-looks", "Where they look", figures.alike(alike), alike.table(),
            "How alike both networks' saliency maps of each image are, beside those of different images.",
            words.LOOKS,
        ),
        Figure(
            f"{key}-looks-by-class", "Where they look, class by class", figures.alike_by_class(alike),
            alike.class_table(), "How alike the maps are on average in each class.",
        ),
        _side_by_side(key, pair, "The same class, another part of the image", told.differing, len(alike.differing)),
        _side_by_side(key, pair, "Only one is right", told.disagreed, told.n_disagreed),
    ]  # fmt: skip


def _side_by_side(key: str, pair: Pair, title: str, made: SideBySides, total: int) -> Gallery:
    tiles = []
    for each in made.pairs:
        pictures = tuple(
            Picture(f"{key} {each.row} {number}", partial(_picture, made, each, number), f"{name} looks at {each.id}")
            for number, name in enumerate((pair.first, pair.second))
        )
        said = " | ".join(f"{sight.class_name} {sight.confidence:.0%}" for sight in each.sights)
        tiles.append(Tile(pictures, (words.below_maps(each), said)))
    return Gallery(title, tuple(tiles), total, words.maps_of(pair))


def _picture(made: SideBySides, each: SideBySide, number: int) -> Image.Image:
    return Image.fromarray(drawn(each, made.tap, Drawing())[number])
