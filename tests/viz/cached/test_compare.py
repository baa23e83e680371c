"""The report of the page Compare: its command makes the same comparison, as far as a command can."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from features import __main__ as command_line
from features.datasets import Origin, open_images, reopen
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
