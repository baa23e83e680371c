"""The list of saliency methods: who reads it, and that one entry is all that a new method takes."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from features import faithfulness, saliency
from features.__main__ import main
from features.datasets import open_images
from features.errors import FeatureError
from features.progress import finish
from features.saliency import METHODS, ClassTarget, Explainer, Method, Need, Taps, explain
from features.saliency.maps import INPUT, SaliencyMaps, Tap

README = Path(__file__).parents[2] / "README.md"


def pixels(n_images=2):
    return torch.randint(0, 256, (n_images, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture
def registry(monkeypatch):
    """The list of methods, as it was again after the test."""
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS))
    return METHODS


@pytest.fixture
def toy(registry):
    """A new method: every channel counts alike."""
    method = Method(
        name="toycam",
        title="Toy-CAM",
        shows="The sum over channels.",
        paper="nobody 2000",
        run=saliency.by_formula("toycam"),
        needs=(Need.ACTIVATION,),
        weights=lambda a, g: torch.ones_like(a[:, :, :1, :1]),
    )
    registry.add(method)
    return method


def whole_in_red(explainer, pixels, targets, taps, options):
    """Maps that are how red each pixel is, whatever is explained."""
    walk = explainer.walk(pixels, targets, {explainer.top(targets): False}, down=False)
    return explainer.result(walk, {INPUT: pixels[:, 0].float().numpy() + options.seed}, "redness")
    yield


def help_of(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    return re.sub(r"-\s+", "-", capsys.readouterr().out)  # a name with a hyphen may stand on two lines


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_method_says_what_it_shows_and_where_it_is_from(method):
    assert method.shows.endswith(".")
    assert method.title
    assert method.paper
    assert method.needs


@pytest.mark.parametrize("command", ["saliency", "faithfulness"])
def test_the_command_lines_help_lists_every_method(command, capsys):
    text = help_of(command, capsys)
    for name in METHODS if command == "saliency" else faithfulness.measurable():
        assert name in text


def test_the_readme_lists_every_method_as_it_is():
    section = README.read_text(encoding="utf-8").split("### Saliency methods")[1].split("\n## ")[0]
    _, *rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", section, re.MULTILINE)  # the first is the table's head
    listed = [(name, *rest.split(" | ")) for name, rest in rows]
    assert listed == [
        (method.name, method.title, ", ".join(method.needs), method.taps, method.speed, method.paper)
        for method in METHODS.values()
    ]


def test_a_new_method_is_found_by_the_command_line(toy, capsys):
    assert "toycam" in help_of("saliency", capsys)


def test_a_new_formula_makes_maps_of_every_stage(toy, tiny_model):
    explainer = Explainer(tiny_model)
    maps = finish(explain(explainer, pixels(), [ClassTarget(1)] * 2, "toycam"))
    assert maps.method == "toycam"
    with torch.no_grad():
        stages = dict(tiny_model.network.walk(tiny_model.spec.preprocessing.scaled(pixels())))
    for tap, values in maps.maps.items():
        np.testing.assert_allclose(values, stages[tap.name].sum(1).numpy(), rtol=1e-3, atol=1e-3)


def test_a_new_method_with_a_function_of_its_own_is_run_with_the_options(registry, tiny_model):
    needs = (Need.PIXELS,)
    registry.add(Method("redness", "Redness", "How red it is.", "nobody 2000", whole_in_red, needs, Taps.INPUT))
    maps = finish(explain(Explainer(tiny_model), pixels(), [ClassTarget(1)] * 2, "redness", seed=3))
    np.testing.assert_array_equal(maps.maps[INPUT], pixels()[:, 0].float() + 3)


def test_a_new_method_is_measured_as_all_others_are(toy, tiny_model, tiny_folder):
    images = open_images(str(tiny_folder)).take(range(2))
    assert "toycam" in faithfulness.measurable()
    (trial,) = finish(faithfulness.measure(Explainer(tiny_model), images, ["toycam"], steps=2, thorough=False))
    assert (trial.method, trial.tap, len(trial.full)) == ("toycam", "layer3", 2)


def refusals(tiny_model, tiny_folder):
    explainer, images = Explainer(tiny_model), open_images(str(tiny_folder))
    targets = [ClassTarget(1)] * 2
    return {
        "explainer": lambda: explainer.maps(pixels(), targets, "magic"),
        "explain": lambda: finish(explain(explainer, pixels(), targets, "magic")),
        "randomised": lambda: finish(faithfulness.randomised(explainer, pixels(), targets, "magic")),
        "measure": lambda: finish(faithfulness.measure(explainer, images, ["gradcam", "magic"])),
    }


@pytest.mark.parametrize("who", ["explainer", "explain", "randomised", "measure"])
def test_an_unknown_method_is_refused_with_the_list(who, tiny_model, tiny_folder):
    with pytest.raises(FeatureError, match=r"method called 'magic'. Choose one of gradcam, hirescam, .*, occlusion"):
        refusals(tiny_model, tiny_folder)[who]()


@pytest.mark.parametrize(
    "arguments",
    [["saliency", "--method", "magic"], ["faithfulness", "--methods", "magic", "--limit", "2"]],
    ids=lambda given: given[0],
)
def test_the_command_line_refuses_an_unknown_method_with_the_list(arguments, tiny_folder, tmp_path, capsys):
    command, *rest = arguments
    assert main([command, str(tiny_folder), "--out", str(tmp_path / "out"), *rest]) == 2
    assert "Choose one of gradcam, hirescam" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.smooths])
def test_only_methods_that_can_be_smoothed_are(name, tiny_model):
    with pytest.raises(FeatureError, match="Only integrated-gradients, guided-gradcam, occlusion can be smoothed"):
        finish(explain(Explainer(tiny_model), pixels(), [ClassTarget(1)] * 2, name, smooth=2))


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.taps is Taps.INPUT])
def test_maps_of_the_input_have_no_other_taps(name, tiny_model):
    with pytest.raises(FeatureError, match="is of the input"):
        finish(explain(Explainer(tiny_model), pixels(), [ClassTarget(1)] * 2, name, [Tap("layer3")]))


def test_a_random_baseline_has_the_shape_of_the_maps_that_it_is_compared_with(tiny_model):
    explainer, targets, taps = Explainer(tiny_model), [ClassTarget(1)] * 2, [Tap("layer2")]
    run = faithfulness.BASELINES["random"].run

    def drawn(seed) -> SaliencyMaps:
        return finish(run(explainer, pixels(), targets, taps, saliency.Options(seed=seed)))

    assert drawn(0).method == "random"
    assert drawn(0).maps[taps[0]].shape == explainer.maps(pixels(), targets, "gradcam", taps).maps[taps[0]].shape
    np.testing.assert_array_equal(drawn(0).maps[taps[0]], drawn(0).maps[taps[0]])
    assert (drawn(0).maps[taps[0]] != drawn(1).maps[taps[0]]).all()
