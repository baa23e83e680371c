"""Names that can be chosen are those of the registries, in the help as in the README."""

import re
from pathlib import Path

import pytest

from features import channels, engine, rasters, residual, saliency
from features.__main__ import main
from features.embed import METHODS as PROJECTIONS
from features.errors import FeatureError
from features.registry import spelled
from features.train.heads import HEADS
from features.train.objectives import OBJECTIVES
from features.train.optimizers import OPTIMIZERS
from features.train.policies import POLICIES
from features.train.recipe import Recipe
from features.train.schedules import SCHEDULES

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize(
    ("command", "family"),
    [
        ("extract", engine.POOLINGS),
        ("embed", PROJECTIONS),
        ("residual", residual.KINDS),
        ("channels", channels.RANKINGS),
        ("saliency", saliency.KINDS),
        ("saliency", rasters.COLOURS),
        ("train", OPTIMIZERS),
        ("train", SCHEDULES),
        ("train", HEADS),
        ("train", POLICIES),
        ("train", OBJECTIVES),
    ],
    ids=lambda value: value if isinstance(value, str) else value.family,
)
def test_the_help_of_a_command_lists_what_can_be_chosen(command, family, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name in spelled(family):
        assert name in text


@pytest.mark.parametrize(
    ("option", "names"),
    [("--kinds", ",".join(residual.KINDS)), ("--pool", "|".join(engine.POOLINGS)), ("--optimizer", None)],
)
def test_the_readme_names_what_can_be_chosen(option, names):
    found = re.findall(rf"{option} ([\w|,]+)", README.read_text(encoding="utf-8"))
    assert (names in found) if names else not found


def test_the_readme_names_all_orders_of_channels():
    line = README.read_text(encoding="utf-8").partition("printed in an order, `--rank`:")[2].partition("`--against")[0]
    named = re.findall(r"`([a-z-]+)`", line)
    assert [name for name in named if not name.startswith("--")] == [*channels.RANKINGS]


@pytest.mark.parametrize("family", [HEADS, SCHEDULES, OPTIMIZERS, POLICIES], ids=lambda family: family.family)
def test_the_readme_has_every_choice_of_a_training_with_its_source(family):
    section = README.read_text(encoding="utf-8").split("\n## Training\n")[1].split("\n## ")[0]
    for entry in family.values():
        assert entry.name == "none" or f"`{entry.name}`" in section or f" {entry.name}`" in section
        assert family is HEADS or f" {entry.paper}".split(" ")[-1].removeprefix("arXiv:") in section  # of none, ""


@pytest.mark.parametrize(
    ("family", "refusal"),
    [
        (engine.POOLINGS, "There is no pooling called 'x'. Choose one of mean, max, gem, none."),
        (residual.KINDS, "There is no kind of lesion called 'x'. Choose one of without, scaled, random, swapped."),
        (saliency.KINDS, "There is no kind of taps called 'x'. Choose one of stages, blocks, branches."),
        (PROJECTIONS, "There is no projection method called 'x'. Choose one of umap, pca, tsne, pacmap."),
        (OPTIMIZERS, "There is no optimizer called 'x'. Choose one of sgd, adamw, lars, lamb, schedule-free."),
    ],
    ids=lambda value: "" if isinstance(value, str) else value.family,
)
def test_an_unknown_name_is_refused_in_one_form(family, refusal):
    with pytest.raises(FeatureError) as caught:
        family.need("x")
    assert str(caught.value) == refusal


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (["saliency", "sample", "--taps", "x"], "kind of taps called 'x'"),
        (["saliency", "sample", "--colours", "x"], "colour scale called 'x'"),
        (["residual", "sample", "--kinds", "without,x"], "kind of lesion called 'x'"),
        (["embed", "sample", "--method", "x"], "projection method called 'x'"),
        (["extract", "sample", "--pool", "x"], "pooling called 'x'"),
    ],
    ids=lambda value: value[2] if isinstance(value, list) else "",
)
def test_the_command_line_refuses_an_unknown_name_before_it_writes(arguments, refusal, tmp_path, capsys):
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    assert f"There is no {refusal}. Choose one of" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_recipe_takes_every_optimizer(name):
    assert Recipe(optimizer=name, schedule=OPTIMIZERS[name].schedule or "cosine").optimizer == name
