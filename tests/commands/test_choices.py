"""Names that can be chosen are those of the registries, in the help as in the README."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from features import engine, faithfulness, rasters, residual, saliency, store
from features.__main__ import COMMANDS, main
from features.commands import families
from features.embed import METHODS as PROJECTIONS
from features.errors import FeatureError
from features.registry import spelled
from features.train.optimizers import OPTIMIZERS
from features.train.recipe import Recipe

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize(
    ("command", "family"),
    [
        ("extract", engine.POOLINGS),
        ("residual", residual.KINDS),
        ("saliency", saliency.KINDS),
        ("saliency", rasters.COLOURS),
        ("train", OPTIMIZERS),
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
    ("names", "family"),
    [
        (families.METHODS, saliency.METHODS),
        (families.MEASURABLE, faithfulness.measurable()),
        (families.TAPS, saliency.KINDS),
        (families.COLOURS, rasters.COLOURS),
        (families.LESIONS, residual.KINDS),
        (families.POOLINGS, engine.POOLINGS),
        (families.PRECISIONS, engine.PRECISIONS),
        (families.ENGINES, engine.ENGINES),
        (families.FORMATS, store.FORMATS),
    ],
    ids=lambda value: getattr(value, "family", ""),
)
def test_the_names_in_helps_are_those_of_the_registries(names, family):
    assert names == tuple(family)


def test_every_help_does_without_large_libraries():
    """They take seconds to import, which nobody who asks for help should wait for."""
    code = """
import argparse, sys
from features.__main__ import _parser
helps = [each.format_help() for action in _parser()._actions if isinstance(action, argparse._SubParsersAction)
         for each in action.choices.values()]
print(len(helps), sorted({"torch", "torchvision", "timm", "numpy", "pandas", "pyarrow", "PIL"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=README.parent, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{len(COMMANDS) + len(('convert', 'info'))} []"


@pytest.mark.parametrize(
    ("option", "names"),
    [("--kinds", ",".join(residual.KINDS)), ("--pool", "|".join(engine.POOLINGS)), ("--optimizer", None)],
)
def test_the_readme_names_what_can_be_chosen(option, names):
    found = re.findall(rf"{option} ([\w|,]+)", README.read_text(encoding="utf-8"))
    assert (names in found) if names else not found


@pytest.mark.parametrize(
    ("family", "refusal"),
    [
        (engine.POOLINGS, "There is no pooling called 'x'. Choose one of mean, max, gem, none."),
        (residual.KINDS, "There is no kind of lesion called 'x'. Choose one of without, scaled, random, swapped."),
        (saliency.KINDS, "There is no kind of taps called 'x'. Choose one of stages, blocks, branches."),
        (PROJECTIONS, "There is no projection method called 'x'. Choose one of umap, pca."),
        (OPTIMIZERS, "There is no optimizer called 'x'. Choose one of sgd, adamw."),
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
    assert Recipe(optimizer=name).optimizer == name
