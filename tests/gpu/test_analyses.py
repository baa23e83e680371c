"""Every analysis on a GPU against the CPU's numbers in fp32, which is float32 on both."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from features import datasets, faithfulness, residual
from features.evaluate import evaluate
from features.networks import zoo
from features.networks.canonical import own_copy
from features.progress import finish
from features.saliency import BLOCKS, BRANCHES, STAGES, ClassTarget, Explainer, StageTarget, Tap, explain, ledger

pytestmark = pytest.mark.gpu

FORMULAS = ("gradcam", "hirescam", "gradcam++", "xgradcam", "layercam")
GRADIENT = {"fp32": 1e-3, "fp16": 2e-2, "bf16": 5e-2}  # of the largest value, where a map averages gradients
BY_PLACE = 2e-2  # where it does not, and feels each ReLU that rounding opens or closes


@pytest.fixture(scope="module", params=["resnet20-fashion", "plain20-fashion"])
def model(request) -> zoo.Model:
    return zoo.load(request.param)


@pytest.fixture(scope="module")
def there(model) -> zoo.Model:
    return replace(model, network=own_copy(model.network, "cuda"))


@pytest.fixture(scope="module")
def images() -> datasets.ImageSet:
    return datasets.open_images("sample").sample(64)


@pytest.fixture(scope="module")
def pixels(model, images) -> torch.Tensor:
    return torch.stack([model.spec.preprocessing.framed(images.open(row)) for row in range(8)])


CLASSES = [ClassTarget(number) for number in range(8)]


def differs(found, wanted) -> float:
    """The largest error relative to the largest value; not-a-numbers are to stand at the same places."""
    one, other = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    assert one.shape == other.shape
    assert np.array_equal(np.isnan(one), np.isnan(other))
    top = np.nanmax(np.abs(other), initial=0)
    return float(np.nanmax(np.abs(one - other), initial=0) / (top or 1))


def of_maps(found, wanted) -> float:
    assert list(found.maps) == list(wanted.maps)
    return max(differs(found.maps[tap], values) for tap, values in wanted.maps.items())


@pytest.mark.parametrize("kind", [STAGES, BLOCKS, BRANCHES])
@pytest.mark.parametrize("precision", GRADIENT)
def test_maps_of_every_tap(model, there, pixels, kind, precision):
    on_cpu, on_gpu = Explainer(model), Explainer(there, precision)
    wanted = on_cpu.maps(pixels, CLASSES, taps=on_cpu.taps(kind))
    assert of_maps(on_gpu.maps(pixels, CLASSES, taps=on_gpu.taps(kind)), wanted) < GRADIENT[precision]


@pytest.mark.parametrize("method", FORMULAS)
def test_maps_of_every_formula(model, there, pixels, method):
    wanted = Explainer(model).maps(pixels, CLASSES, method)
    assert of_maps(Explainer(there).maps(pixels, CLASSES, method), wanted) < BY_PLACE


@pytest.mark.parametrize("method", ["cam", "eigencam", "scorecam"])
def test_maps_of_the_last_stage(model, there, pixels, method):
    taps = [Tap(model.network.stage_names[-1])]
    one, other = (finish(explain(Explainer(each), pixels[:2], CLASSES[:2], method, taps)) for each in (there, model))
    assert of_maps(one, other) < 1e-3


def test_maps_of_features_and_of_likenesses(model, there, pixels):
    length = [StageTarget("layer2")] * 8
    alike = [StageTarget("layer3", pixels[0])] * 7
    for chosen, targets in ((pixels, length), (pixels[1:], alike)):
        found, wanted = (Explainer(each).maps(chosen, targets) for each in (there, model))
        assert of_maps(found, wanted) < 1e-3
        assert differs(found.scores, wanted.scores) < 1e-4


def test_every_class_and_the_ledger(model, there, pixels):
    assert differs(Explainer(there).every_class(pixels), Explainer(model).every_class(pixels)) < 1e-3
    found, wanted = (ledger(Explainer(each), pixels, CLASSES) for each in (there, model))
    assert differs(found.maps, wanted.maps) < 1e-3
    np.testing.assert_allclose(found.values.sum(1) + found.biases, found.logits, rtol=1e-3, atol=1e-3)


def test_statistics_of_branches(model, there, images):
    found, wanted = (finish(residual.statistics(each, images)) for each in (there, model))
    for part, values in wanted.norms.items():
        assert differs(found.norms[part], values) < 1e-4
    for name in ("cosines", "kept", "sparsities", "effective_rank", "cka"):
        assert differs(getattr(found, name), getattr(wanted, name)) < 1e-3
    for one, other in zip(found.channels, wanted.channels, strict=True):
        for part, values in other.variances.items():
            assert differs(one.variances[part], values) < 1e-3


def test_lesions_and_evaluation(model, there, images):
    lesions = residual.each(model.network)
    found, wanted = (finish(residual.sweep(each, images, lesions)) for each in (there, model))
    assert differs(found.true_probability, wanted.true_probability) < 1e-3
    assert differs(found.cosine, wanted.cosine) < 1e-3
    assert np.abs(found.accuracy - wanted.accuracy).max() <= 2 / 64  # an image may be on the edge
    assert abs(finish(evaluate(there, images)).accuracy - finish(evaluate(model, images)).accuracy) <= 1 / 64


def test_gradients_along_paths(model, there, images):
    if model.spec.name.startswith("plain"):
        pytest.skip("a plain network has one path")
    found, wanted = (finish(residual.paths(each, images.take(range(4)), draws=2)) for each in (there, model))
    assert differs(found.single, wanted.single) < 1e-3
    assert differs(found.together, wanted.together) < 1e-3


def test_curves_of_the_same_maps(model, there, pixels):
    tap = Tap(model.network.stage_names[-1])
    explained = Explainer(model).maps(pixels, CLASSES, taps=[tap])
    found, wanted = (faithfulness.trial_of(Explainer(each), pixels, explained, tap, steps=8) for each in (there, model))
    assert differs(found.curves.deletion, wanted.curves.deletion) < 1e-3
    assert differs(found.curves.insertion, wanted.curves.insertion) < 1e-3


def test_pixel_methods(model, there, pixels):
    pytest.importorskip("captum", reason="captum is not installed")
    for method in ("integrated-gradients", "occlusion"):
        found, wanted = (finish(explain(Explainer(each), pixels[:1], CLASSES[:1], method)) for each in (there, model))
        assert of_maps(found, wanted) < BY_PLACE
