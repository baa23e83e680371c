"""Networks of other norms, or of none: layers equal PyTorch's own, blocks begin as their papers say, files keep it.

Of group, layer and instance norms the tensors are the same, so that a file of our own says which it has.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.models.convnext import LayerNorm2d

from features.__main__ import main
from features.errors import FeatureError, WeightsError
from features.networks import card, catalogue, filling, zoo
from features.networks.architecture import cifar, imagenet
from features.networks.canonical import build, canonical, freeze, published_name
from features.networks.card import ModelSpec
from features.networks.modules import StandardisedConv
from features.networks.preprocessing import Preprocessing
from features.networks.recognition import architecture_of
from features.networks.settings import applied
from tests.networks.unusual import BASIC, BOTTLENECK
from tests.random_networks import randomise

PIXELS = Preprocessing(32, 32, (0.5,) * 3, (0.25,) * 3)
KINDS = {
    "group": {"norm": "group", "norm_groups": 4},
    "layer": {"norm": "layer"},
    "instance": {"norm": "instance"},
    "none": {"norm": "none", "bias": True},
    "skipinit": {"norm": "none", "scalars": "skipinit", "bias": True},
    "fixup": {"norm": "none", "scalars": "fixup"},
    "standardised layer": {"norm": "layer", "standardised": True},
    "standardised batch": {"standardised": True},
}


def images(side: int = 16, n_images: int = 4) -> torch.Tensor:
    return torch.randn(n_images, 3, side, side, generator=torch.Generator().manual_seed(0))


def made(kind: str, base=BASIC) -> nn.Module:
    """A network of a kind of norms in eval mode, every parameter drawn."""
    return randomise(build(replace(base, **KINDS[kind]))).eval()


def layer(network: nn.Module, name: str) -> nn.Module:
    return dict(network.named_modules())[f"stages.layer1.0.branch.{name}"]


@torch.inference_mode()
def test_layer_norms_normalise_every_position_over_its_channels():
    norm = layer(made("layer"), "bn1")
    x = torch.randn(2, 8, 5, 7, generator=torch.Generator().manual_seed(0)) * 3 + 1
    theirs = LayerNorm2d(8, eps=1e-5)
    theirs.load_state_dict(norm.state_dict())
    assert torch.equal(norm(x), theirs(x))
    at_one_place = functional.layer_norm(x[:, :, 2, 3], (8,), norm.weight, norm.bias)
    torch.testing.assert_close(norm(x)[:, :, 2, 3], at_one_place)


@torch.inference_mode()
def test_instance_norms_are_group_norms_of_one_channel_each():
    norm = layer(made("instance"), "bn1")
    x = torch.randn(2, 8, 5, 7, generator=torch.Generator().manual_seed(0)) * 3 + 1
    torch.testing.assert_close(norm(x), functional.group_norm(x, 8, norm.weight, norm.bias))


@torch.inference_mode()
def test_standardised_filters_have_mean_0_and_variance_1_with_any_norm():
    for kind in ("standardised layer", "standardised batch"):
        conv = layer(made(kind), "conv1")
        assert isinstance(conv, StandardisedConv)
        filters = conv.standardised().flatten(1)
        torch.testing.assert_close(filters.mean(1), torch.zeros(8), atol=1e-6, rtol=0)
        torch.testing.assert_close(filters.var(1, correction=0), torch.ones(8), atol=1e-4, rtol=0)


@pytest.mark.parametrize("base", [BASIC, BOTTLENECK, replace(BASIC, shortcut="padding")], ids=["B", "bottleneck", "A"])
@pytest.mark.parametrize("kind", ["fixup", "skipinit"])
@torch.inference_mode()
def test_without_norms_every_block_begins_as_its_shortcut(base, kind):
    network = build(replace(base, **KINDS[kind]))
    nn.init.normal_(network.head.fc.weight)  # Fixup's classifier begins at 0, whatever it is given
    x = shortcuts_alone = network.stem(images())
    for _, block in network.blocks():
        assert not block.branch(x).any()
        x = block(x)
        shortcuts_alone = block.activation(block.shortcut(shortcuts_alone))
    assert torch.equal(network.head(shortcuts_alone), network(images()))
    assert network(images()).std() > 0


def test_fixups_first_weights_shrink_with_the_number_of_blocks():
    torch.manual_seed(0)
    for network, power, fan_out in ((cifar(20), -1 / 2, 9 * 64), (imagenet("bottleneck", (3, 4, 6, 3)), -1 / 4, 512)):
        built = build(replace(network, norm="none", scalars="fixup"))
        conv = list(built.blocks())[-1][1].branch.conv1
        n_blocks = len(list(built.blocks()))
        assert conv.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5 * n_blocks**power, rel=0.02)
    assert not built.head.fc.weight.any()
    assert not built.head.fc.bias.any()


def test_a_block_of_fixups_is_what_its_paper_says():
    block = dict(made("fixup").blocks())["layer1.0"]
    numbers = {
        name.partition(".")[0]: value.item() for name, value in block.branch.named_parameters() if value.numel() == 1
    }
    x = images()[:, :1].expand(-1, 8, -1, -1)
    conv1, conv2 = block.branch.conv1, block.branch.conv2
    with torch.inference_mode():
        wanted = functional.relu(conv1(x + numbers["bias1a"]) + numbers["bias1b"])
        wanted = conv2(wanted + numbers["bias2a"]) * numbers["scale"] + numbers["shift"]
        torch.testing.assert_close(block(x), functional.relu(x + wanted))
    assert sorted(numbers) == ["bias1a", "bias1b", "bias2a", "scale", "shift"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_built_is_described_and_counted(kind):
    architecture = replace(BASIC, **KINDS[kind])
    network = made(kind)
    assert architecture_of(network) == architecture
    counted = sum(each.parameters for _, each in (*architecture.stem_layers(), *architecture.head_layers()))
    counted += sum(each.parameters for plan in architecture.plan() for _, each in (*plan.branch, *plan.projection))
    assert counted == sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_our_own_says_what_normalises_in_it(kind, tmp_path, capsys):
    network = freeze(made(kind))
    spec = ModelSpec("net", "ResNet", replace(BASIC, **KINDS[kind]), PIXELS, tuple("abcde"), "here", "none")
    filling.save(network, tmp_path / "net.safetensors", card.describe(spec))
    model = zoo.load(weights=tmp_path / "net.safetensors")
    assert model.spec.architecture == spec.architecture
    assert not model.spec.assumed
    with torch.inference_mode():
        torch.testing.assert_close(model.network(images()), network(images()), atol=2e-2, rtol=2e-2)  # from fp16
    assert main(["inspect", str(tmp_path / "net.safetensors")]) == 0
    told = capsys.readouterr().out
    assert f"taken as: {spec.architecture.describe()}" in told
    assert "assumed" not in told


@pytest.mark.parametrize("norm", ["group", "layer", "instance"])
def test_of_other_peoples_files_it_is_said_which_norms_they_have(norm, tmp_path):
    network = made(norm)
    state = {published_name(name): value for name, value in network.state_dict().items()}
    torch.save(state, tmp_path / "net.pt")
    name = f"{tmp_path / 'net.pt'}?norm={norm}" + "&norm-groups=4" * (norm == "group")
    model = zoo.load(name)
    assert model.spec.architecture == replace(BASIC, **KINDS[norm])
    with torch.inference_mode():
        assert torch.equal(model.network(images()), network(images()))


def test_a_file_with_batch_norms_is_not_taken_for_one_with_others(tmp_path):
    torch.save(randomise(build(BASIC)).state_dict(), tmp_path / "net.pt")
    with pytest.raises(WeightsError, match=r"do not fit a network of .* layer norms"):
        zoo.load(f"{tmp_path / 'net.pt'}?norm=layer")


def of_name(name: str, **settings: str):
    return applied(catalogue.spec(name), tuple((key.replace("_", "-"), text) for key, text in settings.items()))[0]


def test_a_name_says_what_normalises():
    assert of_name("resnet20-cifar", norm="group").architecture == replace(cifar(20), norm="group", norm_groups=16)
    assert of_name("resnet50", norm="group").architecture.norm_groups == 32
    assert of_name("resnet20-cifar", norm="group", norm_groups="4").architecture.norm_groups == 4
    assert of_name("resnet20-cifar", norm="none").architecture.bias
    fixup = of_name("resnet20-cifar", norm="none", scalars="fixup").architecture
    assert (fixup.scalars, fixup.bias) == ("fixup", False)
    assert of_name("resnet20-cifar", norm="batch").architecture == cifar(20)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"norm": "weight"}, "--norm is 'weight'. Wanted one of batch, group, layer, instance, none"),
        ({"scalars": "fixup"}, "scalars are of networks without norms"),
        ({"norm": "group", "norm_groups": "5"}, "norm_groups do not divide"),
        ({"norm": "none", "standardised": "yes"}, "--standardised changes nothing"),
    ],
)
def test_what_cannot_be_built_is_refused_in_a_sentence(settings, words):
    with pytest.raises(FeatureError, match=words):
        of_name("resnet20-cifar", **settings)


def test_a_plain_network_has_nothing_to_begin_as():
    with pytest.raises(FeatureError, match="changes nothing"):
        of_name("plain20-cifar", norm="none", scalars="skipinit")


def test_torchvisions_resnet_with_instance_norms_in_memory_is_known():
    from torchvision.models.resnet import BasicBlock, ResNet

    source = ResNet(BasicBlock, [1, 1, 1, 1], norm_layer=lambda width: nn.InstanceNorm2d(width, affine=True)).eval()
    network = canonical(source)
    assert architecture_of(network).norm == "instance"
    x = images(64, 1)
    with torch.inference_mode():
        assert np.array_equal(network(x).numpy(), source(x).numpy())
