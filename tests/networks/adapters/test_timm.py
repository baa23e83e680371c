"""timm's networks in canonical form, against timm itself."""

from contextlib import nullcontext

import pytest
import timm
import torch
from timm.layers import GELU, BlurPool2d, PReLU
from torch import nn

from features.errors import FeatureError
from features.networks.canonical import build, canonical, published_name
from features.networks.recognition import architecture_of
from tests.random_networks import randomise, undrawn

pytestmark = pytest.mark.slow

# One of every form: stems, shortcuts, gates, filters, norms, pre-activation, and those that only timm builds.
NAMES = (
    "resnet18", "resnet50c", "resnet26t", "resnext50_32x4d", "resnet10t", "seresnet18", "ecaresnet26t", "resnetblur18",
    "resnetaa34d", "resnet50_gn", "resnetrs50", "resnetv2_18", "resnetv2_18d", "resnetv2_50", "resnetv2_50d_gn",
    "resnetv2_50x1_bit", "skresnet18", "test_resnet",
)  # fmt: skip
BY_TIMM = ("skresnet18", "test_resnet")


def made(name: str, **settings: object) -> nn.Module:
    """A network of timm's without downloads, no layer of which is left at its initial value."""
    with undrawn():
        network = timm.create_model(name, pretrained=False, **settings)
    randomise(network)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv1d):
                for parameter in module.parameters():
                    parameter.uniform_(0.5, 1.5, generator=generator)
    return network.eval()


def images(side: int = 64) -> torch.Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(2))


def relative(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())


@pytest.fixture(scope="module", params=NAMES)
def named(request: pytest.FixtureRequest) -> tuple[str, nn.Module, nn.Module]:
    """(name, timm's module, its canonical form)."""
    source = made(request.param, num_classes=7)
    return request.param, source, canonical(source)


@torch.inference_mode()
def test_logits_and_stages_are_timms(named):
    _, source, network = named
    wanted = source(images())
    assert wanted.isfinite().all()
    assert relative(network(images()), wanted) < 1e-5
    walked = dict(network.walk(images()))
    stages = source.forward_intermediates(images(), intermediates_only=True)[1:]
    for stage, values in zip(network.stage_names, stages, strict=True):
        assert relative(walked[stage], values) < 1e-5, stage


def test_an_architecture_says_all_of_it_and_builds_a_network_with_the_same_logits(named):
    name, source, network = named
    architecture = architecture_of(network, f"timm:{name}")
    assert bool(architecture.builder) is (name in BY_TIMM)
    with nullcontext() if architecture.builder else undrawn():  # what timm builds is run to see that it is the same
        again = build(architecture)
    theirs = {published_name(key): tensor for key, tensor in network.state_dict().items()}
    ours = {key: theirs[published_name(key)] for key in again.state_dict()} if not architecture.builder else None
    again.load_state_dict(ours if ours is not None else network.state_dict())
    with torch.inference_mode():
        assert relative(again.eval()(images()), source(images())) < 1e-5


@pytest.mark.parametrize("name", ["seresnet18", "resnetv2_18", "skresnet18", "resnetblur18"])
def test_it_shares_every_parameter(name):
    source = made(name)
    mine, theirs = ({p.data_ptr() for p in each.parameters()} for each in (canonical(source), source))
    assert mine == theirs


@torch.inference_mode()
@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnetblur18", "resnetv2_18"])
def test_dilated_networks_are_read(name, stride):
    source = made(name, output_stride=stride, num_classes=3)
    network = canonical(source)
    assert relative(network(images()), source(images())) < 1e-5
    assert dict(network.walk(images()))[network.stage_names[-1]].shape[-1] == 64 // stride
    architecture = architecture_of(network)
    assert architecture.strides == (1, 2, 2, 1)[: 4 if stride == 16 else 2] + (() if stride == 16 else (1, 1))


@torch.inference_mode()
@pytest.mark.parametrize("activation", ["silu", "gelu", "leaky_relu"])
def test_other_activations_are_read(activation):
    layers = {"silu": nn.SiLU, "gelu": GELU, "leaky_relu": nn.LeakyReLU}
    source = timm.models.resnet.ResNet(
        timm.models.resnet.BasicBlock,
        (1, 1, 1, 1),
        num_classes=3,
        channels=(8, 16, 24, 32),
        act_layer=layers[activation],
    )
    network = canonical(randomise(source).eval())
    assert architecture_of(network).activation == activation
    assert relative(network(images()), source(images())) < 1e-5


@torch.inference_mode()
def test_a_filter_of_another_size_stays_timms_own():
    class Wide(BlurPool2d):
        def __init__(self, channels: int, stride: int, **_: object) -> None:
            super().__init__(channels, 5, stride)

    source = timm.models.resnet.ResNet(timm.models.resnet.BasicBlock, (1, 1, 1, 1), num_classes=3, aa_layer=Wide)
    network = canonical(randomise(source).eval())
    assert relative(network(images()), source(images())) < 1e-5
    assert architecture_of(network).builder == "code"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"act_layer": PReLU}, "PReLU"),
    ],
)
def test_what_has_no_place_in_the_canonical_form_is_refused_by_name(settings, words):
    with pytest.raises(FeatureError, match=words):
        canonical(timm.create_model("resnet18", pretrained=False, **settings))


def test_networks_of_another_kind_are_refused():
    with torch.device("meta"):
        for name in ("vit_tiny_patch16_224", "convnext_atto", "efficientnet_b0", "densenet121"):
            with pytest.raises(FeatureError):
                canonical(timm.create_model(name, pretrained=False))


def test_dropped_paths_and_dropout_are_left_out():
    source = made("resnet18", drop_rate=0.5, drop_path_rate=0.5, num_classes=3)
    network = canonical(source)
    with torch.inference_mode():
        assert relative(network(images()), source(images())) < 1e-5
    assert not any("Drop" in type(module).__name__ for module in network.modules())
