"""Maps against captum, closed forms, loops written by hand, and the promise to leave the network alone."""

import io
import json
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from features import datasets, rasters, saliency
from features.__main__ import main
from features.datasets import decoding
from features.engine import backward, forward
from features.errors import FeatureError
from features.faithfulness import rank_correlation
from features.networks import architecture, canonical, catalogue, zoo
from features.networks.card import ModelSpec
from features.progress import finish
from features.saliency import (
    BRANCH,
    BRANCHES,
    INPUT,
    METHODS,
    SHORTCUT,
    SUM,
    ClassTarget,
    Explainer,
    StageTarget,
    Tap,
    explain,
    ledger,
    methods,
)
from tests.random_networks import randomise

LAST = Tap("layer3")
FORMULAS = [name for name, method in METHODS.items() if method.weights is not None]
PIXEL_METHODS = [name for name, method in METHODS.items() if method.taps is saliency.Taps.INPUT]


def pixels(n_images=3, height=32, width=32, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n_images, 3, height, width), generator=random, dtype=torch.uint8)


def model_of(net, shape):
    return zoo.Model(net, ModelSpec("drawn", "", shape, catalogue.CIFAR_PREPROCESSING, (), "", ""), "0" * 64)


def scaled(model, images):
    return model.spec.preprocessing.scaled(images)


def classes(*indices):
    return [ClassTarget(index) for index in indices]


def close(found, wanted, tolerance=1e-4):
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * max(abs(wanted).max(), 1e-30))


@pytest.fixture
def explainer(tiny_model):
    return Explainer(tiny_model)


# --- against captum and closed forms ----------------------------------------------------------------------------------


def assert_equal_to_captum(model, source, layers, images, indices):
    """Signed maps equal captum's, and their positive parts the rectified ones of the paper."""
    from captum.attr import LayerGradCam  # which brings matplotlib

    maps = Explainer(model).maps(images, classes(*indices)).maps
    assert [tap.name for tap in maps] == list(layers)
    for stage, layer in layers.items():
        values = maps[Tap(stage)]
        for rectified, ours in ((False, values), (True, values.clip(0))):
            theirs = LayerGradCam(source, layer).attribute(
                scaled(model, images), list(indices), attr_dim_summation=True, relu_attributions=rectified
            )
            close(ours, theirs[:, 0].detach().numpy())  # (N, H, W)


def test_grad_cam_of_a_torchvision_network_equals_captums_at_every_stage(randomised):
    source = randomised(torchvision.models.resnet18(num_classes=7)).eval()
    shape = architecture.imagenet("basic", (2, 2, 2, 2), classes=7)
    model = model_of(canonical.freeze(canonical.canonical(deepcopy(source))), shape)
    layers = {stage: getattr(source, stage) for stage in ("layer1", "layer2", "layer3", "layer4")}
    assert_equal_to_captum(model, source, layers, pixels(2, 64, 64), [6, 3])


@pytest.mark.parametrize(("height", "width"), [(32, 32), (20, 44), (33, 31)], ids=["square", "not square", "odd"])
def test_grad_cam_of_a_cifar_network_equals_captums_at_every_stage(tiny_model, height, width):
    source = deepcopy(tiny_model.network).requires_grad_(True)
    assert_equal_to_captum(tiny_model, source, dict(source.stages.items()), pixels(3, height, width), [9, 0, 4])


def activation_and_gradient(model, images, name, indices):
    """A block's output and the gradient of the logits there, on the canonical network itself, in float64."""
    net = deepcopy(model.network).double()
    x = net.stem(scaled(model, images).double())
    kept = None
    for block_name, block in net.blocks():
        x = block(x)
        if block_name == name:
            kept = x = x.detach().requires_grad_()
    score = net.head(x)[range(len(images)), list(indices)].sum()
    (gradient,) = torch.autograd.grad(score, kept)
    return kept.detach(), gradient


def by_hand(method, a, g):
    """(N, H, W) in float64, as the papers write it, with loops over images and channels."""
    maps = []
    for image, gradient in zip(a, g, strict=True):
        total = torch.zeros(image.shape[1:], dtype=torch.float64)
        for activation, slope in zip(image, gradient, strict=True):
            match method:
                case "gradcam":
                    weight = slope.mean()
                case "hirescam":
                    weight = slope
                case "layercam":
                    weight = slope.clamp(min=0)
                case "xgradcam":
                    weight = (slope * activation).sum() / activation.sum() if activation.sum() else 0
                case "gradcam++":  # equation 19 as it stands, where the gradient is not zero
                    below = 2 * slope**2 + activation.sum() * slope**3
                    alpha = torch.where(below != 0, slope**2 / below, torch.zeros_like(below))
                    weight = (alpha * slope.clamp(min=0)).sum()
            total += weight * activation
        maps.append(total)
    return torch.stack(maps).numpy()


@pytest.mark.parametrize("block", ["layer1.0", "layer2.0", "layer3.0"])
@pytest.mark.parametrize("method", ["gradcam", "hirescam", "layercam", "xgradcam", "gradcam++"])
def test_every_method_equals_its_formula_written_out(method, block, explainer, tiny_model):
    images, indices = pixels(2), [3, 8]
    a, g = activation_and_gradient(tiny_model, images, block, indices)
    found = explainer.maps(images, classes(*indices), method, [Tap(block)]).maps[Tap(block)]
    close(found, by_hand(method, a, g), 1e-3)


@pytest.mark.parametrize("scale", [1e-4, 1e-2, 1, 1e2, 1e4])
def test_grad_cam_plus_plus_in_float32_is_exact_however_large_the_logits_are(scale):
    random = torch.Generator().manual_seed(0)
    a = torch.rand(2, 5, 4, 4, generator=random)
    g = torch.randn(2, 5, 4, 4, generator=random) * scale * 1e-4
    found = methods.combined(methods.gradcam_plus_plus(a, g), a).numpy()
    close(found, by_hand("gradcam++", a.double(), g.double()), 1e-4)


def test_eigen_cam_is_the_projection_on_the_first_singular_vector_and_sums_to_more_than_zero(explainer, tiny_model):
    a, _ = activation_and_gradient(tiny_model, pixels(), "layer2.0", [0, 0, 0])
    found = explainer.maps(pixels(), classes(0, 0, 0), "eigencam", [Tap("layer2")]).maps[Tap("layer2")]
    for values, image in zip(found, a.numpy(), strict=True):
        matrix = image.reshape(len(image), -1).T  # (H W, C)
        left, size, _ = np.linalg.svd(matrix, full_matrices=False)
        assert values.sum() > 0
        close(abs(values.ravel()), abs(left[:, 0] * size[0]), 1e-3)


def last_activation(model, images):
    with torch.no_grad():
        return dict(model.network.walk(scaled(model, images)))["layer3"].numpy()  # (N, C, H, W)


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "xgradcam", "cam"])
def test_last_stage_map_is_the_classifiers_weights_times_the_activation_over_its_area(method, explainer, tiny_model):
    activation = last_activation(tiny_model, pixels())
    weights = tiny_model.network.classifier.weight.numpy()[[9, 0, 4]] / (8 * 8)  # (N, C)
    close(explainer.maps(pixels(), classes(9, 0, 4), method).maps[LAST], np.einsum("nc,nchw->nhw", weights, activation))


def test_every_class_at_once_equals_one_class_after_another(explainer):
    found = explainer.every_class(pixels())
    assert found.shape == (3, 10, 8, 8)
    for index in range(10):
        close(found[:, index], explainer.maps(pixels(), classes(*[index] * 3), taps=[LAST]).maps[LAST])


def test_a_contrast_is_the_difference_of_two_classes(explainer):
    against = explainer.maps(pixels(), [ClassTarget(2, 7)] * 3, "hirescam")
    one, other = (explainer.maps(pixels(), classes(*[index] * 3), "hirescam") for index in (2, 7))
    for tap, values in against.maps.items():
        close(values, one.maps[tap] - other.maps[tap], 1e-3)
    close(against.scores, one.scores - other.scores)
    assert against.targets == ("class 2 against class 7",) * 3
    assert against.against_ids.tolist() == [7, 7, 7]


def test_the_length_of_a_stages_features_is_explained_by_features_over_length(explainer, tiny_model):
    with torch.no_grad():
        outputs = dict(tiny_model.network.walk(scaled(tiny_model, pixels())))
    activation = outputs["layer2"].numpy()
    features = activation.mean((2, 3))
    length = np.linalg.norm(features, axis=1)
    found = explainer.maps(pixels(), [StageTarget("layer2")] * 3)
    assert [tap.name for tap in found.maps] == ["layer1", "layer2"]
    close(found.scores, length)
    close(found.maps[Tap("layer2")], np.einsum("nc,nchw->nhw", features / length[:, None] / 256, activation))
    assert found.logits is None


def test_likeness_is_one_and_flat_for_the_image_itself_and_its_gradient_is_that_of_the_cosine(explainer, tiny_model):
    images = pixels()
    found = explainer.maps(images, [StageTarget("layer3", images[1], "the second")] * 3)
    assert found.scores[1] == pytest.approx(1, abs=1e-5)
    assert abs(found.maps[LAST][1]).max() < 1e-4 * abs(found.maps[LAST][0]).max()
    activation = torch.from_numpy(last_activation(tiny_model, images)).double().requires_grad_()
    features = activation.mean((2, 3))
    cosine = torch.nn.functional.cosine_similarity(features, features[1:2].detach().expand_as(features))
    (gradient,) = torch.autograd.grad(cosine.sum(), activation)
    close(found.maps[LAST][[0, 2]], (gradient * activation).sum(1).detach().numpy()[[0, 2]], 1e-3)


# --- branches and the ledger ------------------------------------------------------------------------------------------


def drawn_model(name, randomised):
    match name:
        case "resnet18":
            shape = architecture.imagenet("basic", (2, 2, 2, 2), classes=7)
        case "resnet50":
            shape = architecture.imagenet("bottleneck", (3, 4, 6, 3), classes=7)
        case _:
            shape = architecture.cifar(20)
    return model_of(canonical.freeze(randomised(canonical.build(shape))), shape)


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "layercam", "eigencam"])
def test_branch_and_shortcut_sum_to_the_pre_activation_at_every_block(method, explainer):
    found = explainer.maps(pixels(), classes(1, 2, 3), method, explainer.taps(BRANCHES)).maps
    assert len(found) == 3 * 3
    for name, _ in explainer.blocks:
        close(found[Tap(name, BRANCH)] + found[Tap(name, SHORTCUT)], found[Tap(name, SUM)], 1e-5)


def test_a_branchs_map_is_what_hooks_on_an_unfolded_copy_give(explainer, tiny_model):
    """The branch's output and the gradient of the sum, recorded one after another on a copy of the network."""
    net = deepcopy(tiny_model.network)
    block = net.stages["layer2"][0]
    x = net.stages["layer1"](net.stem(scaled(tiny_model, pixels())))
    branch = block.branch(x).detach()
    total = (block.shortcut(x) + branch).detach().requires_grad_()
    logits = net.head(net.stages["layer3"](total.relu()))
    (gradient,) = torch.autograd.grad(logits[:, 5].sum(), total)
    found = explainer.maps(pixels(), classes(5, 5, 5), "hirescam", [Tap("layer2.0", BRANCH)]).maps
    close(found[Tap("layer2.0", BRANCH)], (gradient * branch).sum(1).detach().numpy(), 1e-3)


def test_hirescam_of_the_sum_equals_that_of_the_output(explainer):
    """What the ReLU removes has no gradient, and what it keeps it does not change."""
    found = explainer.maps(pixels(), classes(1, 2, 3), "hirescam", [Tap("layer1.0"), Tap("layer1.0", SUM)]).maps
    close(found[Tap("layer1.0", SUM)], found[Tap("layer1.0")])


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "cifar"])
def test_the_ledger_adds_up_to_the_logit_of_the_network(name, randomised):
    model = drawn_model(name, randomised)
    images = pixels(2, 64, 64)
    found = ledger(Explainer(model), images, [ClassTarget(4), ClassTarget(4, 1)])
    with torch.no_grad():
        logits = model.network(scaled(model, images)).numpy()
    wanted = np.array([logits[0, 4], logits[1, 4] - logits[1, 1]])
    close(found.values.sum(1) + found.biases, wanted)
    bias = model.network.classifier.bias.numpy()
    close(found.biases, np.array([bias[4], bias[4] - bias[1]]))
    close(found.maps.sum((2, 3), dtype=np.float64), found.values)
    last = [name for name, _ in model.network.blocks() if name.startswith(model.network.stage_names[-1])]
    assert found.terms == ("shortcut", *last)


def test_a_branch_that_is_zero_adds_nothing_to_the_ledger(tiny_model):
    model = replace(tiny_model, network=deepcopy(tiny_model.network))
    model.network.stages["layer3"][0].branch.bn2.weight.data.zero_()
    model.network.stages["layer3"][0].branch.bn2.bias.data.zero_()
    found = ledger(Explainer(model), pixels(), classes(1, 2, 3))
    assert not found.values[:, 1].any()
    assert found.values[:, 0].any()


def test_the_ledgers_maps_sum_to_the_last_stages_map(explainer):
    found = ledger(explainer, pixels(), classes(1, 2, 3))
    close(found.maps.sum(1), explainer.maps(pixels(), classes(1, 2, 3), taps=[LAST]).maps[LAST])


# --- laws -------------------------------------------------------------------------------------------------------------


def test_there_is_one_map_per_stage_at_the_stages_own_resolution(explainer):
    found = explainer.maps(pixels(2, 32, 48), classes(0, 1))
    shapes = {tap.name: values.shape for tap, values in found.maps.items()}
    assert shapes == {"layer1": (2, 32, 48), "layer2": (2, 16, 24), "layer3": (2, 8, 12)}


def test_hirescam_of_the_last_stage_sums_to_the_logit_without_its_bias(explainer, tiny_model):
    found = explainer.maps(pixels(), classes(1, 2, 3), "hirescam")
    bias = tiny_model.network.classifier.bias.numpy()[[1, 2, 3]]
    close(found.maps[LAST].sum((1, 2)), found.scores - bias)


@pytest.mark.parametrize("scale", [1e-4, 3, 1e4])
@pytest.mark.parametrize("method", ["gradcam", "hirescam", "xgradcam", "layercam"])
def test_scaling_the_logits_scales_every_map(tiny_model, scale, method):
    larger = replace(tiny_model, network=deepcopy(tiny_model.network))
    with torch.no_grad():
        larger.network.classifier.weight.mul_(scale)
        larger.network.classifier.bias.mul_(scale)
    one, other = (Explainer(model).maps(pixels(), classes(1, 2, 3), method).maps for model in (tiny_model, larger))
    for tap in one:
        close(other[tap], scale * one[tap], 1e-3)


def test_shifting_every_bias_changes_no_map(tiny_model):
    shifted = replace(tiny_model, network=deepcopy(tiny_model.network))
    with torch.no_grad():
        shifted.network.classifier.bias.add_(5)
    one, other = (Explainer(model).maps(pixels(), classes(1, 2, 3)).maps for model in (tiny_model, shifted))
    for tap in one:
        np.testing.assert_array_equal(other[tap], one[tap])


@pytest.mark.parametrize("method", FORMULAS)
def test_a_batch_gives_what_its_images_give_one_by_one(method, explainer):
    images, targets = pixels(4), classes(0, 1, 2, 3)
    together = explainer.maps(images, targets, method)
    for index, target in enumerate(targets):
        alone = explainer.maps(images[index : index + 1], [target], method)
        for tap, values in together.maps.items():
            close(values[index], alone.maps[tap][0], 1e-3)


def test_without_a_class_each_image_is_explained_by_its_prediction(explainer):
    found = explainer.maps(pixels(), [ClassTarget()] * 3)
    assert found.class_ids.tolist() == found.logits.argmax(1).tolist()
    named = explainer.maps(pixels(), classes(*found.class_ids.tolist()))
    for tap in found.maps:
        np.testing.assert_array_equal(found.maps[tap], named.maps[tap])


def test_probabilities_are_the_softmax_of_the_networks_logits(explainer, tiny_model):
    with torch.no_grad():
        expected = tiny_model.network(scaled(tiny_model, pixels())).softmax(1).numpy()
    close(explainer.maps(pixels(), [ClassTarget()] * 3).probabilities, expected)


def test_no_images_give_no_maps(explainer):
    found = explainer.maps(pixels(0), [])
    assert found.maps[Tap("layer1")].shape == (0, 32, 32)
    assert found.logits.shape == (0, 10)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_gradient_in_half_precision_ranks_places_as_in_fp32(precision, tiny_model):
    explainers = [Explainer(tiny_model, kind) for kind in ("fp32", precision)]
    for method in FORMULAS:
        one, other = (each.maps(pixels(), classes(1, 2, 3), method).maps for each in explainers)
        for tap, values in one.items():
            for expected, found in zip(values, other[tap], strict=True):
                assert rank_correlation(expected, found) > 0.999


@pytest.mark.parametrize("kind", ["padding", "projection", "none"])
def test_a_gradient_taken_down_by_hand_is_autograds(kind):
    net = canonical.freeze(randomise(canonical.build(architecture.cifar(14, kind))))
    fast = Explainer(model_of(net, architecture.cifar(14, kind))).network
    x = torch.rand(2, 16, 17, 15, generator=torch.Generator().manual_seed(0))
    for _, block in fast.blocks():
        found = forward.layer_inputs(block.branch, x.clone())
        shortcut = block.shortcut(x)
        output = torch.relu(shortcut + block.branch[-1](found[-1]))
        gradient = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
        source = x.clone().requires_grad_()
        (wanted,) = torch.autograd.grad(block(source), source, gradient)
        close(backward.through_block(block, found, backward.gate_(gradient.clone(), output)), wanted.numpy(), 1e-5)
        x = output


@pytest.mark.parametrize("method", FORMULAS)
def test_a_black_image_and_a_dead_stage_give_numbers(method, tiny_model):
    dead = replace(tiny_model, network=deepcopy(tiny_model.network))
    for block in dead.network.stages["layer3"]:
        block.shortcut = canonical.NoShortcut(64, 2)
        block.branch.bn2.weight.data.zero_()
        block.branch.bn2.bias.data.fill_(-1)
    found = Explainer(dead).maps(torch.zeros(1, 3, 32, 32, dtype=torch.uint8), classes(1), method)
    assert all(np.isfinite(values).all() for values in found.maps.values())
    assert not found.maps[LAST].any()
    assert saliency.blank(found.maps[LAST][0]) == "zero"


# --- nothing is changed -----------------------------------------------------------------------------------------------


def test_an_error_half_way_through_a_backward_pass_leaves_the_network_as_it_was(tiny_model, monkeypatch):
    explainer = Explainer(tiny_model)
    before = everything_of(tiny_model.network)
    mine = everything_of(explainer.network)

    def broken(*_args, **_kwargs):
        raise RuntimeError("no memory")

    with monkeypatch.context() as patched:
        patched.setattr(saliency.explainer, "through_block", broken)
        with pytest.raises(RuntimeError, match="no memory"):
            explainer.maps(pixels(), classes(1, 2, 3))
    with monkeypatch.context() as patched:
        patched.setattr(saliency.targets.LogitScore, "__call__", broken)
        with pytest.raises(RuntimeError, match="no memory"):
            finish(explain(explainer, pixels(1), classes(1), "guided-gradcam"))
    assert everything_of(tiny_model.network) == before
    assert everything_of(explainer.network) == mine
    close(
        explainer.maps(pixels(), classes(1, 2, 3)).maps[LAST],
        Explainer(tiny_model).maps(pixels(), classes(1, 2, 3)).maps[LAST],
    )


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_callers_gradient_mode_does_not_matter(tiny_model, mode):
    expected = Explainer(tiny_model).maps(pixels(), classes(1, 2, 3)).maps
    with mode():
        images = pixels()  # an inference tensor under inference_mode
        found = Explainer(tiny_model).maps(images, classes(1, 2, 3)).maps
        assert torch.is_inference_mode_enabled() == (mode is torch.inference_mode)
        assert torch.is_grad_enabled() == (mode is torch.enable_grad)
    for tap in expected:
        np.testing.assert_array_equal(found[tap], expected[tap])


def everything_of(net):
    """All of a network's state that a careless analysis could change."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    modules = [
        (name, id(part), part.training, [len(getattr(part, kind)) for kind in hooks])
        for name, part in net.named_modules()
    ]
    tensors = [*net.named_parameters(), *net.named_buffers()]
    return modules, [(name, id(t), t._version, t.requires_grad, t.grad is None, t.sum().item()) for name, t in tensors]


@pytest.mark.parametrize("trainable", [False, True], ids=["frozen", "trainable"])
@pytest.mark.parametrize("method", METHODS)
def test_the_network_is_left_as_it_was(tiny_model, method, trainable):
    tiny_model.network.requires_grad_(trainable)
    before = everything_of(tiny_model.network)
    found = finish(explain(Explainer(tiny_model), pixels(1), classes(1), method))
    assert all(np.isfinite(values).all() for values in found.maps.values())
    with pytest.raises(FeatureError):
        finish(explain(Explainer(tiny_model), pixels(1), classes(10), method))
    assert everything_of(tiny_model.network) == before
    assert torch.is_grad_enabled()


def test_the_callers_images_are_left_as_they_were(explainer):
    images = pixels().float()
    explainer.maps(images, classes(1, 2, 3))
    assert torch.equal(images, pixels().float())
    assert not images.requires_grad
    assert images._version == 0


@pytest.mark.parametrize(
    ("method", "taps"),
    [
        ("hirescam", BRANCHES),
        ("gradcam", "stages"),
        pytest.param("scorecam", "stages", marks=pytest.mark.slow),
        (saliency.LEDGER, None),
        *(pytest.param(name, None, marks=pytest.mark.slow) for name in PIXEL_METHODS),
    ],
)
def test_threads_that_share_an_explainer_get_the_maps_they_would_get_alone(method, taps, explainer):
    inputs = [pixels(2, seed=seed) for seed in range(4)]

    def maps(images):
        chosen = explainer.taps(taps)[-1:] if method == "scorecam" else taps and explainer.taps(taps)
        return finish(explain(explainer, images, classes(3, 7), method, chosen)).maps

    alone = [maps(images) for images in inputs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(maps, inputs))
    for expected, found in zip(alone, together, strict=True):
        for tap in expected:
            np.testing.assert_allclose(found[tap], expected[tap], rtol=1e-4, atol=1e-6)


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("targets", "settings", "text"),
    [
        (classes(1, 2), {}, "2 targets for 3 images"),
        (classes(1, 2, 10), {}, "from 0 to 9"),
        (classes(1, -1, 2), {}, "from 0 to 9"),
        ([ClassTarget(), StageTarget("layer1"), ClassTarget()], {}, "several kinds"),
        ([StageTarget("layer9")] * 3, {}, "no stage layer9"),
        ([StageTarget("layer1")] * 3, {"taps": [LAST]}, "after layer1"),
        (classes(1, 2, 3), {"method": "magic"}, "gradcam, hirescam"),
        (classes(1, 2, 3), {"taps": [Tap("layer7")]}, "layer7"),
        (classes(1, 2, 3), {"taps": []}, "no taps"),
        (classes(1, 2, 3), {"method": "cam", "taps": [Tap("layer1")]}, "layer3 alone"),
        (classes(1, 2, 3), {"method": "scorecam"}, "task"),
    ],
)
def test_what_cannot_be_explained_is_an_error_that_says_why(explainer, targets, settings, text):
    with pytest.raises(FeatureError, match=text):
        explainer.maps(pixels(), targets, **settings)


def test_pixels_of_another_kind_are_refused(explainer):
    for wrong in (pixels()[:, :2], pixels().double(), pixels()[0]):
        with pytest.raises(FeatureError, match="Wanted pixels"):
            explainer.maps(wrong, classes(*[1] * len(wrong)))


def test_a_network_without_a_head_explains_its_stages_only():
    shape = architecture.cifar(8, classes=None)
    model = model_of(canonical.freeze(canonical.build(shape)), shape)
    with pytest.raises(FeatureError, match="no classifier"):
        Explainer(model).maps(pixels(1), classes(1))
    assert Explainer(model).maps(pixels(1), [StageTarget("layer3")]).maps[LAST].any()


def test_broken_weights_are_an_error_instead_of_a_map(tiny_model):
    with torch.no_grad():
        tiny_model.network.classifier.weight[0, 0] = torch.nan
    with pytest.raises(FeatureError, match="NaN"):
        Explainer(tiny_model).maps(pixels(1), classes(1))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("predicted", ClassTarget()),
        ("class 3", ClassTarget(3)),
        ("Class 3", ClassTarget(3)),
        ("7", ClassTarget(7)),
        ("class 3-vs-7", ClassTarget(3, 7)),
        ("predicted-vs-class 1", ClassTarget(None, 1)),
    ],
)
def test_targets_are_read_as_they_are_written(text, wanted, tiny_model):
    assert saliency.parse(text, tiny_model) == wanted


def test_stages_are_targets_too(tiny_model, tiny_folder):
    assert saliency.parse("norm:layer2", tiny_model).stage == "layer2"
    found = saliency.parse(f"alike:layer3:{tiny_folder / 'cat' / '0.png'}", tiny_model)
    assert (found.stage, found.other_name, found.other.shape) == ("layer3", "0.png", (3, 32, 32))


@pytest.mark.parametrize("text", ["1-vs-1", "Trouser-vs-1"])
def test_a_class_against_itself_is_refused(text):
    with pytest.raises(FeatureError, match="against itself"):
        saliency.parse(text, zoo.load("resnet20-fashion"))


@pytest.mark.parametrize("text", ["zebra", "10", "class 1-vs-zebra", "norm:layer9", "-vs-", "1-vs-predicted"])
def test_targets_that_are_none_are_refused(text, tiny_model):
    with pytest.raises(FeatureError):
        saliency.parse(text, tiny_model)


# --- what takes long --------------------------------------------------------------------------------------------------


def test_score_cam_of_parts_is_refused_since_it_shows_outputs_to_the_network(explainer):
    with pytest.raises(FeatureError, match="Score-CAM is of outputs"):
        finish(explain(explainer, pixels(1), classes(1), "scorecam", explainer.taps(BRANCHES)[-3:]))


def test_score_cam_weighs_channels_by_what_is_seen_through_them(explainer, tiny_model):
    image, index = pixels(1), 4
    found = finish(explain(explainer, image, classes(index), "scorecam")).maps[LAST][0]
    activation = torch.from_numpy(last_activation(tiny_model, image))  # (1, C, h, w)
    levels = scaled(tiny_model, image)
    scores = []
    for channel in activation[0]:
        mask = torch.nn.functional.interpolate(channel[None, None], (32, 32), mode="bilinear")
        spread = mask.max() - mask.min()
        mask = (mask - mask.min()) / spread if spread else torch.zeros_like(mask)
        with torch.no_grad():
            scores.append((tiny_model.network(levels * mask) - tiny_model.network(levels * 0))[0, index])
    weights = torch.stack(scores).softmax(0)
    close(found, torch.einsum("c,chw->hw", weights, activation[0]).numpy(), 1e-3)


def test_integrated_gradients_sum_to_the_difference_from_the_mean_colour(explainer, tiny_model):
    found = finish(explain(explainer, pixels(2), classes(4, 5), "integrated-gradients"))
    levels = scaled(tiny_model, pixels(2))
    with torch.no_grad():
        logits = tiny_model.network(levels)
        nothing = tiny_model.network(levels * 0)
    wanted = (logits - nothing)[[0, 1], [4, 5]].numpy()
    assert found.maps[INPUT].shape == (2, 32, 32)
    np.testing.assert_allclose(found.maps[INPUT].sum((1, 2)), wanted, rtol=0.1, atol=0.1 * abs(wanted).max())


def test_smoothing_is_reproducible_and_leaves_the_global_generator_alone(explainer):
    def smoothed(seed):
        task = explain(explainer, pixels(1), classes(1), "integrated-gradients", smooth=2, seed=seed)
        return finish(task).maps[INPUT]

    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    one, again, other = smoothed(0), smoothed(0), smoothed(1)
    assert torch.equal(torch.rand(3), wanted)
    np.testing.assert_array_equal(one, again)
    assert abs(one - other).max() > 0


def test_what_takes_long_tells_how_far_it_is_and_can_be_stopped(explainer):
    for method in ("scorecam", "occlusion"):
        task = explain(explainer, pixels(1), classes(1), method)
        assert next(task).total >= 1
        task.close()


# --- files ------------------------------------------------------------------------------------------------------------


def picture(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.slow
def test_the_command_writes_overlays_raw_maps_and_a_manifest(tiny_folder, tmp_path):
    images = [str(tiny_folder / "cat" / "0.png"), str(tiny_folder / "dog" / "0.png")]
    out = tmp_path / "out"
    assert main(["saliency", *images, "--taps", "branches", "--target", "Bag-vs-Coat", "--out", str(out)]) == 0
    content = json.loads((out / "manifest.json").read_text())
    rows = content["maps"]
    assert len(rows) == 2 * 9 * 3
    assert {row["part"] for row in rows} == {"sum", "branch", "shortcut"}
    assert {row["image"] for row in rows} == set(images)
    assert {(row["class_name"], row["against_name"]) for row in rows} == {("Bag", "Coat")}
    first = {row["part"]: np.load(out / row["file"], allow_pickle=False) for row in rows[:3]}
    close(first["branch"] + first["shortcut"], first["sum"], 1e-5)
    for row in rows:
        assert picture((out / row["file"]).with_suffix(".png")).shape[0] >= 448
    assert content["provenance"]["weights_sha256"]


def test_the_command_writes_the_ledger_whose_sums_make_the_logit(tiny_folder, tmp_path):
    image = str(tiny_folder / "cat" / "0.png")
    assert main(["saliency", image, "--method", "ledger", "--target", "Bag", "--out", str(tmp_path / "out")]) == 0
    content = json.loads((tmp_path / "out" / "manifest.json").read_text())
    rows = content["maps"]
    assert [row["part"] for row in rows] == ["shortcut", "branch", "branch", "branch"]
    total = sum(row["sum"] for row in rows) + rows[0]["bias"]
    assert total == pytest.approx(rows[0]["score"], rel=1e-4)


def test_opacity_zero_writes_the_image_and_one_the_heat_map(tiny_folder, tmp_path):
    image = str(tiny_folder / "cat" / "0.png")
    for opacity in ("0", "1"):
        assert main(["saliency", image, "--opacity", opacity, "--out", str(tmp_path / opacity)]) == 0
    seen = next((tmp_path / "0").rglob("input.png"))
    for overlay in seen.parent.glob("gradcam*.png"):
        np.testing.assert_array_equal(picture(overlay), picture(seen))
    content = json.loads((tmp_path / "1" / "manifest.json").read_text())
    for row in content["maps"]:
        values = np.load(tmp_path / "1" / row["file"], allow_pickle=False)
        overlay = picture((tmp_path / "1" / row["file"]).with_suffix(".png"))
        np.testing.assert_array_equal(overlay, rasters.heat_map(values, overlay.shape[1::-1]))


def test_every_image_of_a_large_set_has_its_own_bias_in_the_ledger(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "batch_size", lambda preprocessing, device="cpu": 8)  # so that batches hold 2
    source = zoo.load("resnet20-fashion")
    (tmp_path / "set").mkdir()
    for place in range(5):
        datasets.open_images("sample").open(place * 150).save(tmp_path / "set" / f"{place}.png")
    (tmp_path / "set" / "broken.png").write_bytes(b"no image")
    out = tmp_path / "out"
    assert main(["saliency", str(tmp_path / "set"), "--method", "ledger", "--out", str(out)]) == 0
    content = json.loads((out / "manifest.json").read_text())
    biases = source.network.classifier.bias.tolist()
    for image in {row["image"] for row in content["maps"]}:
        rows = [row for row in content["maps"] if row["image"] == image]
        assert rows[0]["bias"] == pytest.approx(biases[rows[0]["class_index"]], rel=1e-5)
        assert sum(row["sum"] for row in rows) + rows[0]["bias"] == pytest.approx(rows[0]["score"], rel=1e-4)
    assert len({row["image"] for row in content["maps"]}) == 5
    assert [row["image"] for row in content["left_out"]] == ["broken.png"]


@pytest.mark.slow
def test_a_second_run_leaves_no_file_of_the_first_behind_and_touches_no_others(tiny_folder, tmp_path, capsys):
    image, out = str(tiny_folder / "cat" / "0.png"), tmp_path / "out"
    assert main(["saliency", image, "--taps", "branches", "--out", str(out)]) == 0
    assert main(["saliency", image, "--out", str(out)]) == 2
    assert 'taps was "branches" and is null' in capsys.readouterr().err
    assert main(["saliency", image, "--out", str(out), "--replace"]) == 0
    rows = json.loads((out / "manifest.json").read_text())["maps"]
    assert {str(path.relative_to(out)) for path in out.rglob("*.npy")} == {row["file"] for row in rows}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    assert main(["saliency", image, "--out", str(tmp_path / "mine")]) == 2
    assert "holds other things than maps" in capsys.readouterr().err
    assert main(["saliency", str(tiny_folder), "--out", str(tiny_folder / "maps")]) == 2
    assert "lies inside" in capsys.readouterr().err
    assert not (tiny_folder / "maps").exists()


def test_a_run_that_fails_leaves_what_was_there(tiny_folder, tmp_path, monkeypatch):
    image, out = str(tiny_folder / "cat" / "0.png"), tmp_path / "out"
    assert main(["saliency", image, "--out", str(out)]) == 0
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    for wrong in (["--method", "magic"], ["--method", "cam", "--taps", "blocks"], ["--smooth", "2"]):
        assert main(["saliency", image, "--out", str(out), *wrong]) == 2
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before
    monkeypatch.setattr(decoding, "batch_size", lambda preprocessing, device="cpu": 8)  # so that batches hold 2
    explain, calls = saliency.explain, []

    def fails(*arguments):
        calls.append(len(calls))
        if len(calls) > 1:
            raise KeyboardInterrupt
        return explain(*arguments)

    monkeypatch.setattr(saliency, "explain", fails)
    assert main(["saliency", str(tiny_folder), "--out", str(out), "--replace"]) == 130
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before


def test_maps_on_one_scale_share_it_with_those_of_other_results(explainer, tiny_model):
    faint, strong = (explainer.maps(pixels(1), [ClassTarget(index)], "cam") for index in (0, 1))
    for values in faint.maps.values():
        values *= 1e-6
    seen = {"a": np.zeros((32, 32, 3), np.uint8)}
    for one_scale in (False, True):
        drawing = saliency.Drawing(opacity=1, one_scale=one_scale)
        files = {name: content for name, content, _ in saliency.exported(faint, tiny_model, seen, drawing, [strong])}
        (overlay,) = (picture(io.BytesIO(content)) for name, content in files.items() if name.endswith("layer3.png"))
        assert overlay.max() < 20 if one_scale else overlay.max() > 200


@pytest.mark.parametrize("method", PIXEL_METHODS)
def test_pixel_maps_are_the_same_whatever_the_networks_mode_and_hooks(method, tiny_model):
    wanted = finish(saliency.explain(Explainer(tiny_model), pixels(1), [ClassTarget(0)], method)).maps[INPUT]
    network = deepcopy(tiny_model.network).train().requires_grad_(True)
    network.stem.register_forward_hook(lambda *_: 1 / 0)
    found = finish(
        saliency.explain(Explainer(replace(tiny_model, network=network)), pixels(1), [ClassTarget(0)], method)
    )
    np.testing.assert_allclose(found.maps[INPUT], wanted, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--method", "magic"], "no method"),
        (["--target", "zebra"], "zebra"),
        (["--colours", "Mauve"], "Inferno"),
        (["--opacity", "2"], "opacity"),
        (["--smooth", "3"], "smoothed"),
        (["--smooth", "-3", "--method", "occlusion"], "smoothing is -3"),
        (["--precision", "fp8"], "fp8"),
    ],
)
def test_the_command_says_what_is_wrong(arguments, text, tiny_folder, tmp_path, capsys):
    image = str(tiny_folder / "cat" / "0.png")
    assert main(["saliency", image, "--out", str(tmp_path / "out"), *arguments]) == 2
    assert text in capsys.readouterr().err
