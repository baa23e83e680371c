"""Every two networks of a comparison: verdict, images by who is right, slices, how alike their stages are."""

from functools import partial

import pandas as pd

from features.compare import Pair
from features.compare.measures import rows_of
from viz.figures import compare as figures
from viz.reports.compare import words
from viz.reports.compare.extras import of_pair
from viz.reports.compare.told import Told, pair_key
from viz.reports.document import Fact, Facts, Figure, Fold, Gallery, Part, Picture, Prose, Section, Tile

SLICES, TILES = 20, 24  # that are shown
MOST_OF_BLOCKS = 6  # pairs that are told block by block; of more the last block of every stage is
OPEN = 1  # so many pairs are unfolded at first
DISAGREEMENTS = (words.ONLY_FIRST, words.ONLY_SECOND, words.NEITHER)
LONGEST = 60  # letters of a name below a picture


def pairs(told: Told) -> Section:
    """All pairs, folded away where there are several."""
    folds = tuple(_fold(told, number, pair) for number, pair in enumerate(told.comparison.pairs))
    if len(folds) == 1:
        return Section(folds[0].key, folds[0].title, folds[0].parts)
    return Section("pairs", "Pair by pair", folds)


def _fold(told: Told, number: int, pair: Pair) -> Fold:
    key, counted = pair_key(number), pair.agreement
    note = f"{100 * counted.difference:+.2f} pp, McNemar p = {counted.p_value:.2g}"
    parts: tuple[Part, ...] = (
        Prose(words.verdict(pair)),
        Facts(tuple(Fact(*each) for each in words.facts(counted))),
        *_figures(told, key, pair),
        *of_pair(told, key, pair),
        *_galleries(told, pair),
    )
    return Fold(key, words.pair(pair), note, parts, is_open=number < OPEN)


def _figures(told: Told, key: str, pair: Pair) -> tuple[Part, ...]:
    if not pair.slices:
        return Prose(words.NO_SLICES, quiet=True), *_similarity(told, key, pair)
    return _slices(key, pair), *_similarity(told, key, pair)


def _slices(key: str, pair: Pair) -> Figure:
    return Figure(
        f"{key}-slices", "Where they differ", figures.slices(pair.slices[:SLICES]),
        pd.DataFrame([each.as_dict() for each in pair.slices]),
        f"Difference of the accuracies of {pair.second} and {pair.first} in each slice, with intervals.",
        words.slices(pair, SLICES),
    )  # fmt: skip


def _similarity(told: Told, key: str, pair: Pair) -> tuple[Figure, ...]:
    """By the names of blocks; by relative depth as well where one network has more of them."""
    alike = pair.similarity
    if len(told.comparison.pairs) > MOST_OF_BLOCKS:  # whose tables would fill the file
        ends = [[*told.comparison.named(name).stage_names.values()] for name in (pair.first, pair.second)]
        alike = alike.of(*ends)
    data = pd.DataFrame(rows_of(alike, "block"))
    said = f"Heat map of the similarity of the blocks of {pair.first}, in rows, and of {pair.second}, in columns"
    named = Figure(
        f"{key}-similarity", "How alike their blocks are", figures.similarity(alike, pair.first, pair.second), data,
        f"{said}.", words.SIMILARITY + words.images_of(alike),
    )  # fmt: skip
    if len(alike.rows) == len(alike.columns):
        return (named,)
    by_depth = figures.similarity(alike, pair.first, pair.second, relative=True)
    return named, Figure(
        f"{key}-similarity-by-depth", "The same by relative depth", by_depth, data, f"{said}, by relative depth.",
        "Both axes from the first layer, 0, to the last, 1.",
    )  # fmt: skip


def _galleries(told: Told, pair: Pair) -> list[Gallery]:
    titles = words.cells(pair)
    made = []
    for cell, rows in words.by_right(told.comparison, pair).items():
        if cell in DISAGREEMENTS:
            tiles = tuple(_tile(told, pair, row) for row in rows[:TILES].tolist())
            title = titles[cell][:1].upper() + titles[cell][1:]
            made.append(Gallery(f"{title} is right ({len(rows):,})", tiles, len(rows), words.below(pair)))
    return made


def _tile(told: Told, pair: Pair, row: int) -> Tile:
    label = told.comparison.labels[row]
    number = int(told.numbers[row])
    lines = words.answers(told.comparison.named(pair.first), told.comparison.named(pair.second), label, row)
    picture = Picture(str(number), partial(told.images.open, number), f"{told.comparison.ids[row]}, {label}")
    return Tile((picture,), tuple(line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…" for line in lines))
