"""Grad-CAM against captum, closed forms and the promise to leave the network alone."""

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision
from captum.attr import LayerGradCam

from features import architecture, catalogue, network, saliency, zoo
from features.errors import FeatureError


def pixels(n_images=3, height=32, width=32, seed=0):
    return torch.randn(n_images, 3, height, width, generator=torch.Generator().manual_seed(seed))


def model_of(net, shape):
    return zoo.Model(net, catalogue.ModelSpec("drawn", "", shape, catalogue.CIFAR_PREPROCESSING, (), "", ""), "0" * 64)


def assert_equal_to_captum(model, source, layers, images, classes):
    """Signed maps equal captum's, and their positive parts the rectified ones of the paper."""
    maps = saliency.maps(model, images, classes).maps
    assert maps.keys() == layers.keys()
    for stage, layer in layers.items():
        for rectified, ours in ((False, maps[stage]), (True, maps[stage].clip(0))):
            theirs = LayerGradCam(source, layer).attribute(
                images, classes, attr_dim_summation=True, relu_attributions=rectified
            )
            theirs = theirs[:, 0].detach().numpy()  # (N, H, W)
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * abs(theirs).max(), err_msg=stage)


def test_maps_of_a_torchvision_network_equal_captums_at_every_stage(randomised):
    source = randomised(torchvision.models.resnet18(num_classes=7)).eval()
    shape = architecture.imagenet("basic", (2, 2, 2, 2), classes=7)
    model = model_of(network.freeze(network.canonical(deepcopy(source))), shape)
    layers = {stage: getattr(source, stage) for stage in ("layer1", "layer2", "layer3", "layer4")}
    assert_equal_to_captum(model, source, layers, pixels(2, 64, 64), [6, 3])


@pytest.mark.parametrize(("height", "width"), [(32, 32), (20, 44)], ids=["square", "not square"])
def test_maps_of_a_cifar_network_equal_captums_at_every_stage(tiny_model, height, width):
    source = deepcopy(tiny_model.network).requires_grad_(True)
    assert_equal_to_captum(tiny_model, source, dict(source.stages.items()), pixels(3, height, width), [9, 0, 4])


def test_there_is_one_map_per_stage_at_the_stages_own_resolution(tiny_model):
    found = saliency.maps(tiny_model, pixels(2, 32, 48))
    shapes = {stage: values.shape for stage, values in found.maps.items()}
    assert shapes == {"layer1": (2, 32, 48), "layer2": (2, 16, 24), "layer3": (2, 8, 12)}


def last_activation(model, images):
    with torch.no_grad():
        return dict(model.network.walk(images))["layer3"].numpy()  # (N, C, H, W)


def test_last_stage_map_is_the_classifiers_weights_times_the_activation_over_its_area(tiny_model):
    images, classes = pixels(), [9, 0, 4]
    activation = last_activation(tiny_model, images)
    weights = tiny_model.network.classifier.weight.numpy()[classes] / (8 * 8)  # (N, C)
    expected = np.einsum("nc,nchw->nhw", weights, activation)
    found = saliency.maps(tiny_model, images, classes).maps["layer3"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * abs(expected).max())


def test_last_stage_map_sums_to_the_logit_without_its_bias(tiny_model):
    found = saliency.maps(tiny_model, pixels())
    bias = tiny_model.network.classifier.bias.numpy()[found.class_ids]
    logits = found.logits.max(1)
    np.testing.assert_allclose(found.maps["layer3"].sum((1, 2)), logits - bias, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-4, 3, 1e4])
def test_scaling_the_logits_scales_every_map(tiny_model, scale):
    scaled = replace(tiny_model, network=deepcopy(tiny_model.network))
    with torch.no_grad():
        scaled.network.classifier.weight.mul_(scale)
        scaled.network.classifier.bias.mul_(scale)
    one, other = (saliency.maps(model, pixels(), [1, 2, 3]).maps for model in (tiny_model, scaled))
    for stage in one:
        np.testing.assert_allclose(
            other[stage], scale * one[stage], rtol=1e-3, atol=1e-5 * scale * abs(one[stage]).max()
        )


def test_shifting_every_bias_changes_no_map(tiny_model):
    shifted = replace(tiny_model, network=deepcopy(tiny_model.network))
    with torch.no_grad():
        shifted.network.classifier.bias.add_(5)
    one, other = (saliency.maps(model, pixels(), [1, 2, 3]).maps for model in (tiny_model, shifted))
    for stage in one:
        np.testing.assert_array_equal(other[stage], one[stage])


def test_a_batch_gives_what_its_images_give_one_by_one(tiny_model):
    images, classes = pixels(4), [0, 1, 2, 3]
    together = saliency.maps(tiny_model, images, classes)
    for index, class_id in enumerate(classes):
        alone = saliency.maps(tiny_model, images[index : index + 1], [class_id])
        for stage, values in together.maps.items():
            np.testing.assert_allclose(values[index], alone.maps[stage][0], rtol=1e-4, atol=1e-5 * abs(values).max())


def test_without_classes_each_image_is_explained_by_its_prediction(tiny_model):
    found = saliency.maps(tiny_model, pixels())
    assert found.class_ids.tolist() == found.logits.argmax(1).tolist()
    named = saliency.maps(tiny_model, pixels(), found.class_ids)
    for stage in found.maps:
        np.testing.assert_array_equal(found.maps[stage], named.maps[stage])


def test_probabilities_are_the_softmax_of_the_networks_logits(tiny_model):
    found = saliency.maps(tiny_model, pixels())
    with torch.no_grad():
        expected = tiny_model.network(pixels()).softmax(1).numpy()
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-5, atol=1e-7)


def test_no_images_give_no_maps(tiny_model):
    found = saliency.maps(tiny_model, pixels(0), [])
    assert found.maps["layer1"].shape == (0, 32, 32)
    assert found.logits.shape == (0, 10)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_callers_gradient_mode_does_not_matter(tiny_model, mode):
    expected = saliency.maps(tiny_model, pixels()).maps
    with mode():
        images = pixels()  # an inference tensor under inference_mode
        found = saliency.maps(tiny_model, images).maps
        assert torch.is_inference_mode_enabled() == (mode is torch.inference_mode)
        assert torch.is_grad_enabled() == (mode is torch.enable_grad)
    for stage in expected:
        np.testing.assert_array_equal(found[stage], expected[stage])


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
@pytest.mark.parametrize(
    ("images", "classes", "error"),
    [(pixels(), [0, 1, 2], None), (pixels(), [0, 1, 10], FeatureError), (pixels()[:, :2], None, RuntimeError)],
    ids=["success", "wrong class", "wrong channels"],
)
def test_the_network_is_left_as_it_was(tiny_model, images, classes, error, trainable):
    tiny_model.network.requires_grad_(trainable)
    before = everything_of(tiny_model.network)
    if error is None:
        saliency.maps(tiny_model, images, classes)
    else:
        with pytest.raises(error):
            saliency.maps(tiny_model, images, classes)
    assert everything_of(tiny_model.network) == before
    assert torch.is_grad_enabled()


def test_the_callers_images_are_left_as_they_were(tiny_model):
    images = pixels()
    saliency.maps(tiny_model, images)
    assert torch.equal(images, pixels())
    assert not images.requires_grad
    assert images._version == 0


def test_threads_that_share_a_network_get_the_maps_they_would_get_alone(tiny_model):
    inputs = [pixels(2, seed=seed) for seed in range(8)]
    alone = [saliency.maps(tiny_model, images, [3, 7]).maps for images in inputs]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda images: saliency.maps(tiny_model, images, [3, 7]).maps, inputs * 3))
    for expected, found in zip(alone * 3, together, strict=True):
        for stage in expected:
            np.testing.assert_allclose(found[stage], expected[stage], rtol=1e-4, atol=1e-6)


def test_every_image_needs_a_class_of_its_own(tiny_model):
    with pytest.raises(FeatureError, match="2 classes for 3 images"):
        saliency.maps(tiny_model, pixels(), [1, 2])


@pytest.mark.parametrize("class_id", [-1, 10])
def test_classes_outside_the_networks_are_errors(tiny_model, class_id):
    with pytest.raises(FeatureError, match="from 0 to 9"):
        saliency.maps(tiny_model, pixels(1), [class_id])


def test_a_network_without_a_head_is_an_error_that_says_so():
    shape = architecture.cifar(8, classes=None)
    model = model_of(network.freeze(network.build(shape)), shape)
    with pytest.raises(FeatureError, match="no classifier"):
        saliency.maps(model, pixels(1))


def test_broken_weights_are_an_error_instead_of_a_map(tiny_model):
    with torch.no_grad():
        tiny_model.network.classifier.weight[0, 0] = torch.nan
    with pytest.raises(FeatureError, match="NaN"):
        saliency.maps(tiny_model, pixels(1))
