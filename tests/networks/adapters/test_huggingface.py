"""Hugging Face's ResNets in canonical form, against transformers itself."""

import pytest
import torch

from features.networks.canonical import canonical
from features.networks.recognition import architecture_of
from tests.random_networks import randomise

pytestmark = pytest.mark.slow

SMALL = {"embedding_size": 8, "hidden_sizes": [16, 24, 32], "depths": [2, 1, 1], "num_labels": 5}
FORMS = {
    "basic": {"layer_type": "basic"},
    "bottleneck": {"layer_type": "bottleneck"},
    "stride in the first 1x1": {"layer_type": "bottleneck", "downsample_in_bottleneck": True},
    "stride in the first stage": {"layer_type": "basic", "downsample_in_first_stage": True},
    "another activation": {"layer_type": "basic", "hidden_act": "silu"},
    "five channels": {"layer_type": "basic", "num_channels": 5},
}


@pytest.fixture(scope="module")
def library():
    """transformers' ResNets, which take seconds to import: only those who run these tests wait for them."""
    return pytest.importorskip("transformers.models.resnet")


def images(channels: int = 3) -> torch.Tensor:
    return torch.randn(2, channels, 70, 70, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
@pytest.mark.parametrize("form", FORMS)
def test_logits_are_those_of_the_image_classifier(library, form):
    settings = SMALL | FORMS[form]
    source = randomise(library.ResNetForImageClassification(library.ResNetConfig(**settings))).eval()
    x = images(settings.get("num_channels", 3))
    torch.testing.assert_close(canonical(source)(x), source(pixel_values=x).logits, rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_a_model_without_a_head_puts_out_its_pooled_features(library):
    source = randomise(library.ResNetModel(library.ResNetConfig(**SMALL))).eval()
    network = canonical(source)
    wanted = source(pixel_values=images())
    assert network.classifier is None
    torch.testing.assert_close(network(images()), wanted.pooler_output.flatten(1), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(dict(network.walk(images()))["layer3"], wanted.last_hidden_state, rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_a_backbones_feature_maps_are_the_stages(library):
    source = randomise(library.ResNetBackbone(library.ResNetConfig(**SMALL))).eval()
    walked = dict(canonical(source).walk(images()))
    torch.testing.assert_close(walked["layer3"], source(images()).feature_maps[-1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("form", "field", "value"),
    [
        ("stride in the first 1x1", "stride_at", "first"),
        ("stride in the first stage", "strides", (2, 2, 2)),
        ("five channels", "in_channels", 5),
        ("basic", "block", "basic"),
    ],
)
def test_its_configuration_is_read_off_its_layers(library, form, field, value):
    source = library.ResNetForImageClassification(library.ResNetConfig(**SMALL | FORMS[form]))
    architecture = architecture_of(canonical(source))
    assert getattr(architecture, field) == value
    assert not architecture.builder


def test_an_activation_of_its_blocks_that_is_not_that_inside_them_is_only_described(library):
    source = library.ResNetForImageClassification(library.ResNetConfig(**SMALL | FORMS["another activation"]))
    network = canonical(source)
    ((_, block), *_) = network.blocks()
    assert (repr(block.activation), repr(block.branch.relu1)) == ("SiLU()", "ReLU()")  # as transformers has it
    assert architecture_of(network).builder == "code"
