"""The report of a comparison: it says what the comparison says, in a file of bounded size."""

import html as markup
import json
import re
import shlex
from dataclasses import replace
from functools import partial
from itertools import count

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from plotly.offline import get_plotlyjs

from features import __main__ as command_line
from features.compare.costs import costs
from features.datasets import Rejected
from features.progress import finish
from tests.viz.reports.compare.made_up import of_names
from tests.viz.reports.documents import HOSTILE
from tests.viz.reports.pages import named
from tests.viz.reports.test_encoding import decoded
from viz.reports import LIMIT, Download, Figure, Gallery, Table
from viz.reports.compare import SECTIONS, Told, again, document_of, report, words
from viz.reports.compare import made as sections_of_making

LINE = "python -m features compare sample --out comparison"


def document(told, images):
    return finish(document_of(Told(told, images, LINE)))


def parts(made, kind):
    return [part for part in made.parts() if isinstance(part, kind)]


def part(made, key):
    return next(part for part in made.parts() if getattr(part, "key", None) == key)


def cells(table):
    """Head -> the texts of its cells."""
    return {
        column.head: [cell if isinstance(cell, str) else cell.text for cell in column.cells] for column in table.columns
    }


def test_the_table_has_a_row_for_each_network_with_what_it_measures(told, images):
    table = part(document(told, images), "networks")
    assert cells(table)["network"] == [each.name for each in told.contenders]
    assert cells(table)["accuracy"] == [f"{each.accuracy.value:.2%}" for each in told.contenders]
    assert table.data["accuracy"].tolist() == [each.accuracy.value for each in told.contenders]
    assert table.data["gflops"].tolist() == [each.macs / 1e9 for each in told.contenders]


def test_differences_within_noise_are_quiet_and_the_winner_is_marked(told, images):
    made = of_names(told, ["good", "bad", "worse"], [1.0, 0.3, 0.25])
    table = part(document(made, images), "networks")
    tones = {column.head: [cell.tone for cell in column.cells] for column in table.columns}
    assert tones["network"] == ["best", "", ""]
    assert cells(table)["network"][0] == "good ★"
    assert tones["to the best"] == ["best", "", ""]
    alike = of_names(told, ["one", "two", "three"], [0.5, 0.5, 0.5])
    beside = next(c for c in part(document(alike, images), "networks").columns if c.head == "to the best")
    assert sorted(cell.tone for cell in beside.cells) == ["best", "quiet", "quiet"]


def test_the_matrix_of_differences_is_its_own_mirror_with_the_other_sign(told, images):
    made = of_names(told, ["a", "b", "c", "d"], [0.9, 0.5, 0.5, 0.1])
    table = part(document(made, images), "differences")
    matrix = np.array([[0 if cell == "-" else float(cell) for cell in cells(table)[str(n)]] for n in range(1, 5)]).T
    np.testing.assert_array_equal(matrix, -matrix.T)
    rights = [each.accuracy.value for each in made.contenders]
    np.testing.assert_allclose(matrix, 100 * np.subtract.outer(rights, rights), atol=0.051)
    links = {cell.link for column in table.columns[1:] for cell in column.cells if not isinstance(cell, str)}
    assert links == {f"pair-{number}" for number in range(1, 7)}


def test_two_networks_have_no_matrix_and_no_folds(told, images):
    made = document(told, images)
    assert [section.key for section in made.sections] == [
        "quality", "calibration", "pair-1", "images-as-data", "provenance",
    ]  # fmt: skip
    assert len(parts(made, Figure)) == 5


def test_galleries_show_the_images_of_each_cell_with_both_predictions(told, images):
    counted = told.pairs[0].agreement
    galleries = parts(document(told, images), Gallery)
    assert [gallery.total for gallery in galleries] == [counted.first_only, counted.second_only, counted.neither]
    one, other = told.contenders
    rows = {image_id: row for row, image_id in enumerate(told.ids)}
    for gallery in galleries:
        for tile in gallery.tiles:
            (picture,) = tile.pictures
            row = rows[images.ids[int(picture.key)]]
            assert tile.lines == (told.labels[row], one.predictions.names[row], other.predictions.names[row])
            np.testing.assert_array_equal(np.asarray(picture.make()), np.asarray(images.open(int(picture.key))))


def test_everything_shown_can_be_taken_away_as_data(told, images):
    made = document(told, images)
    assert len(part(made, "pair-1-slices").data) == len(told.pairs[0].slices)
    alike = told.pairs[0].similarity
    table = part(made, "pair-1-similarity").data
    cell = table[(table["block"] == alike.rows[1]) & (table["block beside"] == alike.columns[2])]
    assert cell["value"].item() == alike.values[1, 2]
    pd.testing.assert_frame_equal(part(made, "images").data, told.table())
    assert all(not each.data.empty for each in parts(made, Table))


def test_a_table_of_too_many_images_is_left_to_the_folder(told, images, monkeypatch):
    monkeypatch.setattr(sections_of_making, "MOST_VALUES", 100)
    made = document(told, images)
    assert not parts(made, Download)
    assert any("images.parquet" in getattr(each, "text", "") for each in made.parts())


def test_images_that_were_left_out_are_told(told, images):
    made = document(replace(told, rejected=(Rejected("a.png", HOSTILE),)), images)
    assert cells(part(made, "left-out")) == {"image": ["a.png"], "reason": [HOSTILE]}
    assert "left-out" not in [getattr(each, "key", "") for each in document(told, images).parts()]


def test_provenance_tells_weights_and_images_by_their_digests(told, images):
    made = document(told, images)
    common, *own = (cells(part(made, key)) for key in ("made-of", "made-of-1", "made-of-2"))
    assert told.contenders[0].provenance.images_digest in common["value"]
    for table, each in zip(own, told.contenders, strict=True):
        assert dict(zip(table["fact"], table["value"], strict=True))["weights sha256"] == each.provenance.weights_sha256


def test_hostile_names_of_networks_classes_and_images_are_shown_as_they_are(told, images):
    named_so = of_names(told, [f"{HOSTILE} {number}" for number in range(3)])
    strange = replace(named_so, labels=(HOSTILE,) * len(told.ids), images=HOSTILE)
    file = finish(report(strange, images, LINE)).decode()
    assert len([each for each in named(file, "script") if "type" not in each.attributes]) == 2
    assert not [each for each in named(file, "img") if "src" in each.attributes]
    heads = {each.text for each in named(file, "th") if each.attributes["scope"] == "row"}
    assert {each.name for each in strange.contenders} & heads == {each.name for each in strange.contenders}


@pytest.mark.slow
def test_ten_networks_with_many_disagreements_stay_below_the_limit_and_are_told(told, images):
    random = np.random.default_rng(0)
    pictures = [Image.fromarray(random.integers(0, 256, (96, 96, 3), dtype=np.uint8)) for _ in range(20)]
    many = 2000  # images, none of which compresses
    big = replace(
        images, ids=tuple(f"folder/{'x' * 40}{number}.jpg" for number in range(many)), labels=None,
        opener=lambda number: pictures[number % 20],
    )  # fmt: skip
    rows = np.arange(many) % len(told.ids)
    base = replace(
        told, ids=big.ids, labels=tuple(told.labels[row] for row in rows),
        contenders=tuple(
            replace(
                each,
                evaluation=replace(
                    each.evaluation, truth=each.evaluation.truth[rows], predictions=each.predictions.take(rows)
                ),
            )
            for each in told.contenders
        ),
    )  # fmt: skip
    ten = of_names(base, [f"a network of which the name is rather long, number {number}" for number in range(10)])
    made = finish(report(ten, big, LINE))
    assert len(made) <= LIMIT
    page = made.decode()
    assert page.count(get_plotlyjs()) == 1
    assert len([each for each in named(page, "div") if each.attributes.get("class") == "plot"]) == 3 + 2 * 45
    shown = [tuple(map(int, counts)) for counts in re.findall(r"The first (\d+) of (\d+)\.", page.replace(",", ""))]
    assert len(shown) == 3 * 45
    assert all(0 < few < many for few, many in shown)


@pytest.mark.parametrize("section", SECTIONS)
def test_sections_stand_by_themselves(section, told, images):
    made = section(Told(told, images, LINE))
    assert made is None or made.parts


def test_the_command_is_read_as_what_it_was_made_of():
    line = again(
        "my photos:test", ["a b.pth?as=resnet18", "resnet50"], limit=20, data_root=None, seed=0, label_column="l"
    )
    (python, dash_m, package, *rest) = shlex.split(line)
    assert (python, dash_m, package) == ("python", "-m", "features")
    options = command_line._parser().parse_args(rest)
    assert (options.command, options.source, options.limit) == ("compare", "my photos:test", 20)
    assert options.models == ["a b.pth?as=resnet18", "resnet50"]
    assert (options.label_column, options.data_root, options.seed) == ("l", None, 0)
    assert shlex.split(again("sample", ["a"], "on images\nof mine"), comments=True)[-2:] == ["--out", "comparison"]


@pytest.mark.slow
def test_the_command_in_a_report_makes_the_same_report(tmp_path, monkeypatch):
    # Passes take one second each by this clock: how long they take here and now differs from run to run.
    monkeypatch.setattr("features.compare.comparison.costs", partial(costs, clock=count().__next__))
    out = tmp_path / "first"
    line = ["compare", "sample", "--limit", "40", "--models", "resnet20-fashion,plain20-fashion", "--out", str(out)]
    assert command_line.main(line) == 0
    made = (out / "report.html").read_text(encoding="utf-8")
    (code,) = (each.text for each in named(made, "code"))
    words_of = shlex.split(code)
    assert words_of[-2:] == ["--out", "comparison"]
    assert command_line.main([*words_of[3:-1], str(tmp_path / "second")]) == 0
    assert (tmp_path / "second" / "report.html").read_text(encoding="utf-8") == made
    assert "report.html" in (out / "manifest.json").read_text(encoding="utf-8")


def test_data_in_the_file_is_what_was_told(told, images):
    page = finish(report(told, images, LINE)).decode()
    text = re.search(r'id="data-images">(.*?)</script>', page).group(1)
    content = json.loads(markup.unescape(text))
    columns = dict(zip(content["columns"], map(decoded, content["values"]), strict=True))
    assert columns["id"] == list(told.ids)
    assert columns[f"{told.contenders[0].name} correct"] == told.contenders[0].correct.tolist()
    assert words.networks(told) in markup.unescape(page)


def test_images_come_first_of_which_both_networks_are_surest(told):
    (pair, *_) = told.pairs
    one, other = told.named(pair.first), told.named(pair.second)
    groups = words.by_right(told, pair)
    assert sorted(np.concatenate([*groups.values()])) == [*range(len(told.ids))]
    for rows in groups.values():
        sure = one.predictions.confidence[rows] + other.predictions.confidence[rows]
        assert (np.diff(sure) <= 0).all()
    assert (one.correct & ~other.correct)[groups[words.ONLY_FIRST]].all()


def test_scores_are_those_of_the_evaluations(told, images):
    table = words.scores(told)
    for each, row in zip(told.contenders, table.to_dict("records"), strict=True):
        of = each.evaluation
        assert (row["precision"], row["recall"], row["F1"]) == (of.macro_precision, of.macro_recall, of.macro_f1)
    shown = part(document(told, images), "scores")
    assert cells(shown)["precision"] == [f"{value:.3f}" for value in table["precision"]]


def test_blocks_stand_by_relative_depth_too_where_one_network_has_more(told, images):
    (pair,) = told.pairs
    alike = pair.similarity
    fewer = replace(told, pairs=(replace(pair, similarity=alike.of(list(alike.rows), list(alike.columns)[1:])),))
    keys = [[each.key for each in parts(document(made, images), Figure)] for made in (told, fewer)]
    assert [any(key.endswith("by-depth") for key in shown) for shown in keys] == [False, True]
