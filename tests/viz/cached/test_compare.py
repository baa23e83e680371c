"""The report of the page Compare: its command makes the same comparison, as far as a command can."""

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import features.compare
from features import __main__ as command_line
from features.compare import ExtraResult
from features.datasets import Origin, open_images, reopen
from features.datasets.corrections import Corrections, corrected
from features.networks import naming, zoo
from features.progress import finish
from features.residual import lesioned, parse
from viz.cached import compare
from viz.cached.server import uploads


@pytest.fixture(scope="module")
def images():
    return open_images("sample").sample(40)


@pytest.fixture(scope="module")
def model():
    return zoo.load("resnet20-fashion")


def options_of(line):
    return command_line._parser().parse_args(shlex.split(line, comments=True)[3:])


def test_networks_and_images_are_named_as_the_command_line_takes_them(images, model):
    pair = [model, lesioned(model, parse("without:layer3.1"))]
    options = options_of(compare.command(pair, images))
    assert options.models == ["resnet20-fashion", "resnet20-fashion?lesion=without:layer3.1"]
    again = open_images(options.source).sample(options.limit)
    assert again.digest == images.digest == reopen(images.origin).digest


def test_columns_that_were_named_are_named_again(images, model):
    listed = replace(images, origin=Origin("list.csv:test", columns=replace(images.origin.columns, label="a,b")))
    options = options_of(compare.command([model, model], listed))
    assert (options.source, options.label_column, options.limit) == ("list.csv:test", "a,b", None)


def test_corrected_labels_are_asked_for_again(images, model):
    told = Corrections(images.digest, np.array([0]), (("Coat",),))
    options = options_of(compare.command([model, model], corrected(images, told)))
    assert (options.source, options.limit, options.corrections) == ("sample", 40, "mine")
    assert options_of(compare.command([model, model], images)).corrections is None


def test_what_a_command_cannot_name_is_told_beside_it(images, model):
    selected = replace(images, origin=Origin("sample", (40, "a1b2")))
    assert compare.command([model, model], selected).endswith("# on 40 images selected of these")
    assert "that were uploaded" in compare.command([model, model], replace(images, origin=None))


def test_paths_of_uploads_stay_on_the_server(images, model):
    folder = uploads()
    uploaded = replace(images, origin=Origin(str(folder / "set.zip")))
    mine = replace(model, name=naming.NetworkName(weights=folder / "mine.pth", classes=Path("classes.txt")))
    line = compare.command([mine, model], uploaded)
    assert str(folder) not in line
    assert options_of(line).models == ["mine.pth?classes=classes.txt", "resnet20-fashion"]


@pytest.mark.slow
def test_the_report_has_the_command(images, model):
    models = [model, zoo.load("plain20-fashion")]
    made = compare.report(finish(compare.comparison_work(models, images).make_task()), models, images)
    assert compare.command(models, images).encode() in made


def extra(name, *networks):
    return ExtraResult(name, networks, None)


def test_a_command_makes_the_extras_that_are_there_and_no_others(images, model):
    assert options_of(compare.command([model, model], images)).extras == ["none"]
    few = [extra("maps", "a", "b"), extra("branches", "a"), extra("branches", "b")]
    options = options_of(compare.command([model, model], images, few, "a"))
    assert (options.extras, options.all_pairs) == (["maps,branches"], False)
    assert options_of(compare.command([model] * 3, images, [*few, extra("maps", "b", "c")], "a")).all_pairs


def test_extras_of_other_images_are_other_work(images, model):
    told = finish(features.compare.compare([model, lesioned(model, parse("without:layer3.1"))], images))
    one = compare.extra_work("maps", told, [model, model], (0, 1))
    fewer = replace(told, ids=told.ids[1:])  # which a third network could not read
    assert compare.extra_work("maps", fewer, [model, model], (0, 1)).key != one.key
    assert compare.extra_work("maps", told, [model, model], (0, 1)).key == one.key
