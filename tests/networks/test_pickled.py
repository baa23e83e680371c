"""What pickled modules say of their network: read, with the logits of the source, or refused by name; never assumed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import timm
import torch
from timm.layers import GroupNormAct, StdConv2d
from timm.models.resnetv2 import ResNetV2
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from features.errors import WeightsError
from features.networks import checkpoint, filling, zoo
from tests.random_networks import Narrow, drawn, randomise


def narrow(block: type = BasicBlock) -> Any:
    return Narrow(block, [1, 1, 2, 1], 5)


def set_all(network: nn.Module, kind: type, **attributes: Any) -> nn.Module:
    for module in network.modules():
        if isinstance(module, kind):
            for name, value in attributes.items():
                setattr(module, name, value)
    return network


def last_stride_1() -> nn.Module:
    network = narrow()
    for conv in (network.layer4[0].conv1, network.layer4[0].downsample[0]):
        conv.stride = (1, 1)
    return network


def strides_first() -> nn.Module:
    network = narrow(Bottleneck)
    for block in (network.layer2[0], network.layer3[0], network.layer4[0]):
        block.conv1.stride, block.conv2.stride = (2, 2), (1, 1)
    return network


def dilated(first: str) -> nn.Module:
    """The last two stages with stride 1 and gaps."""
    network = narrow(Bottleneck)
    for stage, own, before in ((network.layer3, 2, 1), (network.layer4, 4, 2)):
        for number, block in enumerate(stage):
            gaps = before if first == "previous" and number == 0 else own
            block.conv2.stride, block.conv2.dilation, block.conv2.padding = (1, 1), (gaps, gaps), (gaps, gaps)
        stage[0].downsample[0].stride = (1, 1)
    return network


def stem(conv: nn.Module, pool: nn.Module) -> nn.Module:
    network = narrow()
    network.conv1, network.maxpool = conv, pool
    return network


def pooled_shortcuts() -> nn.Module:
    network = narrow()
    for stage in (network.layer2, network.layer3, network.layer4):
        conv, norm = stage[0].downsample
        conv.stride = (1, 1)
        stage[0].downsample = nn.Sequential(nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False), conv, norm)
    return network


def with_head(*layers: nn.Module) -> nn.Module:
    network = narrow()
    network.fc = nn.Sequential(*layers)
    return network


def activated(make: Callable[[], nn.Module]) -> nn.Module:
    network = narrow()
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.ReLU):
                setattr(parent, name, make())
    return network


def cifar_conv(padding: int) -> nn.Conv2d:
    return nn.Conv2d(3, 16, 3, 1, padding, bias=False)


@dataclass(frozen=True)
class Case:
    """make: the network. fields: what is known of it that is not as usual."""

    make: Callable[[], nn.Module]
    fields: dict[str, Any] = field(default_factory=dict)


def max_pooled_head() -> nn.Module:
    network = narrow()
    network.avgpool = nn.AdaptiveMaxPool2d(1)
    return network


CASES = {
    "torchvision's": Case(narrow),
    "last stage of stride 1": Case(last_stride_1, {"strides": (1, 2, 2, 1)}),
    "stride in the first 1x1": Case(strides_first, {"stride_at": "first"}),
    "dilated": Case(
        lambda: dilated("own"), {"strides": (1, 2, 1, 1), "dilations": (1, 1, 2, 4), "first_dilation": "own"}
    ),
    "3x3 stem without a pool": Case(lambda: stem(cifar_conv(1), nn.Identity())),
    "3x3 stem with a pool": Case(lambda: stem(cifar_conv(1), nn.MaxPool2d(3, 2, 1)), {"stem_pool": "max"}),
    "3x3 stem padded by 2": Case(lambda: stem(cifar_conv(2), nn.Identity()), {"stem_padding": 2}),
    "pool in ceil mode": Case(
        lambda: stem(narrow().conv1, nn.MaxPool2d(3, 2, 1, ceil_mode=True)), {"stem_pool": "max-ceil"}
    ),
    "average pool": Case(lambda: stem(narrow().conv1, nn.AvgPool2d(2)), {"stem_pool": "average"}),
    "pooled shortcuts": Case(pooled_shortcuts, {"shortcut_pool": "average"}),
    "maxima before the head": Case(max_pooled_head, {"head_pool": "max"}),
    "epsilon": Case(lambda: set_all(narrow(), nn.BatchNorm2d, eps=1e-3), {"epsilon": 1e-3}),
    "SiLU": Case(lambda: activated(nn.SiLU), {"activation": "silu"}),
    "a head of two layers": Case(
        lambda: with_head(nn.Dropout(), nn.Linear(128, 32), nn.GELU(), nn.Linear(32, 5)), {"head_activation": "gelu"}
    ),
}  # fmt: skip


def saved(network: nn.Module, path) -> nn.Module:
    network = randomise(network).eval()
    torch.save(network, path)
    return network


@torch.inference_mode()
def need_equal(path, source: nn.Module) -> checkpoint.Checkpoint:
    file = checkpoint.read(path)
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    wanted, found = source(x), filling.load(file, file.inferred.architecture)(x)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))
    return file


@pytest.mark.parametrize("case", CASES)
def test_what_layers_keep_is_known_and_gives_the_logits_of_the_source(case, tmp_path):
    source = saved(CASES[case].make(), tmp_path / "net.pt")
    file = need_equal(tmp_path / "net.pt", source)
    architecture = file.inferred.architecture
    assert {name: getattr(architecture, name) for name in CASES[case].fields} == CASES[case].fields
    assert file.inferred.untold == ()


def test_of_a_whole_network_the_pixels_alone_are_assumed(tmp_path):
    torch.save(drawn(ResNet, block=BasicBlock, layers=[1, 1, 1, 1], num_classes=5), tmp_path / "net.pt")
    (guess,) = zoo.load(weights=tmp_path / "net.pt").spec.assumed
    assert "--mean" in guess


def test_a_network_inside_another_module_says_the_same(tmp_path):
    source = randomise(last_stride_1()).eval()
    torch.save({"epoch": 3, "model": nn.DataParallel(source)}, tmp_path / "net.pt")
    assert need_equal(tmp_path / "net.pt", source).inferred.untold == ()


def test_group_norms_are_known_by_their_class(tmp_path):
    network = narrow()
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, nn.GroupNorm(8, child.num_features))
    source = saved(network, tmp_path / "net.pt")
    assert need_equal(tmp_path / "net.pt", source).inferred.architecture.norm_groups == 8
    assert not any("group" in guess for guess in zoo.load(weights=tmp_path / "net.pt").spec.assumed)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnetblur18", "resnet26t", "seresnet18", "resnetv2_18d"])
def test_timms_pickled_networks_are_known_too(name, tmp_path):
    source = saved(timm.create_model(name, num_classes=5), tmp_path / "net.pt")
    file = need_equal(tmp_path / "net.pt", source)
    assert {choice.field for choice in file.inferred.untold} <= {"shortcut_from"}


def big_transfer(epsilon: float) -> nn.Module:
    conv, norm = partial(StdConv2d, eps=epsilon), partial(GroupNormAct, num_groups=32)
    return ResNetV2([1, 1, 1, 1], num_classes=5, stem_type="fixed", conv_layer=conv, norm_layer=norm)


@pytest.mark.slow
def test_standardised_weights_are_known_by_their_class_and_refused_with_another_epsilon(tmp_path):
    source = saved(big_transfer(1e-8), tmp_path / "net.pt")
    network = need_equal(tmp_path / "net.pt", source).inferred.architecture
    assert (network.standardised, network.norm_groups, network.stem_pool) == (True, 32, "max-zeros")
    saved(big_transfer(1e-6), tmp_path / "other.pt")
    with pytest.raises(WeightsError, match="standardised here and there, or with another epsilon"):
        zoo.load(weights=tmp_path / "other.pt")


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("way", ["script", "trace"])
@pytest.mark.parametrize("case", ["last stage of stride 1", "dilated", "3x3 stem with a pool", "epsilon"])
def test_torchscript_says_the_same_in_its_code(case, way, tmp_path):
    source = randomise(CASES[case].make()).eval()
    made = torch.jit.script(source) if way == "script" else torch.jit.trace(source, torch.zeros(1, 3, 64, 64))
    torch.jit.save(made, tmp_path / "net.pt")
    file = need_equal(tmp_path / "net.pt", source)
    assert {name: getattr(file.inferred.architecture, name) for name in CASES[case].fields} == CASES[case].fields
    assert file.inferred.untold == ()


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_with_another_pool_is_refused(tmp_path):
    traced = torch.jit.trace(stem(narrow().conv1, nn.MaxPool2d(2)).eval(), torch.zeros(1, 3, 64, 64))
    torch.jit.save(traced, tmp_path / "net.pt")
    with pytest.raises(WeightsError, match="max-pool 2x2"):
        zoo.load(weights=tmp_path / "net.pt")


class Skip(nn.Module):
    """Option A as a class of one's own, whose code lies in no file."""

    def forward(self, x):
        return nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, x.shape[1]))


def option_a() -> nn.Module:
    network = narrow()
    for stage in (network.layer2, network.layer3, network.layer4):
        stage[0].downsample = Skip()
    return network


@pytest.mark.parametrize("way", ["pickle", "script"])
@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_where_a_class_of_its_own_pads_is_assumed_and_can_be_said(way, tmp_path):
    source = randomise(option_a()).eval()
    torch.save(source, tmp_path / "net.pt") if way == "pickle" else torch.jit.script(source).save(tmp_path / "net.pt")
    assumed = " ".join(zoo.load(weights=tmp_path / "net.pt").spec.assumed)
    assert "zeros on both sides of the old channels, where many of its kind have zeros after" in assumed
    assert "(--shortcut-padding end)" in assumed
    assert "(--stride-at)" not in assumed
    model = zoo.load(f"{tmp_path / 'net.pt'}?shortcut-padding=end")
    assert "--shortcut-padding" not in " ".join(model.spec.assumed)
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(model.network(x), source(x), rtol=1e-5, atol=1e-4)


def test_compiled_and_traced_networks_are_read_as_what_they_are_made_of(tmp_path):
    source = saved(last_stride_1(), tmp_path / "net.pt")
    for made in (torch.compile(source), torch.fx.symbolic_trace(source)):
        torch.save(made, tmp_path / "made.pt")
        assert need_equal(tmp_path / "made.pt", source).inferred.architecture.strides == (1, 2, 2, 1)


class Swish(nn.Module):
    def forward(self, x):
        return x * x.sigmoid()


class SamePadded(nn.Conv2d):
    pass


def replaced_conv(**settings: Any) -> nn.Module:
    network = narrow()
    network.layer3[0].conv2 = nn.Conv2d(64, 64, 3, bias=False, **settings)
    return network


def own_class() -> nn.Module:
    network = narrow()
    network.layer2[0].conv2 = SamePadded(32, 32, 3, padding=1, bias=False)
    return network


def two_epsilons() -> nn.Module:
    network = narrow()
    network.bn1.eps = 1e-3
    return network


def lp_pooled_head() -> nn.Module:
    network = narrow()
    network.avgpool = nn.LPPool2d(2, 2)
    return network


def without_statistics() -> nn.Module:
    network = narrow()
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, nn.BatchNorm2d(child.num_features, track_running_stats=False))
    return network


REFUSED = {
    "another pool": (lambda: stem(narrow().conv1, nn.MaxPool2d(2)), "max-pool 2x2, stride 2"),
    "a padding that no block has": (lambda: replaced_conv(padding=2, dilation=1), "is a 3x3.*padding 2"),
    "a dilation in one block": (lambda: replaced_conv(padding=3, dilation=3), r"layer3\.0\.conv2 is a 3x3.*dilation 3"),
    "a border that is mirrored": (lambda: replaced_conv(padding=1, padding_mode="reflect"), "border"),
    "sides that differ": (lambda: replaced_conv(padding=(1, 0)), "sides that differ"),
    "a convolution of its own class": (own_class, "SamePadded"),
    "an activation of its own class": (lambda: activated(Swish), "Swish"),
    "an activation with other settings": (lambda: activated(lambda: nn.LeakyReLU(0.3)), "another negative_slope"),
    "two epsilons": (two_epsilons, "whose epsilon differs"),
    "a pool before the head that is none of these": (lp_pooled_head, "LPPool2d"),
    "batch norms of each batch": (without_statistics, "BatchNorm2d"),
    "a head without activations": (lambda: with_head(nn.Linear(128, 9), nn.Linear(9, 5)), "0 activations before"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_run_here_is_refused_by_name_with_a_way_out(case, tmp_path):
    make, text = REFUSED[case]
    torch.save(make(), tmp_path / "net.pt")
    with pytest.raises(WeightsError, match=text) as caught:
        zoo.load(weights=tmp_path / "net.pt")
    assert "features.networks.canonical" in str(caught.value)
    assert len(str(caught.value)) < 500


def problem(path, left: str = "") -> str:
    """Why a file is refused, '' for one that is read with something left unsaid."""
    try:
        untold = {choice.field for choice in checkpoint.read(path).inferred.untold}
    except WeightsError as error:
        return str(error)
    assert left in untold if left else untold
    return ""


@pytest.mark.parametrize("value", [[[1]], {"a": 1}, None, "x" * 1000, -1, 1 << 70, (2, 2, 2), [], 0.5, True])
@pytest.mark.parametrize("name", ["stride", "padding", "dilation", "groups", "padding_mode"])
def test_attributes_that_no_layer_has_are_refused_or_left_unsaid_in_a_sentence(name, value, tmp_path):
    network = narrow()
    setattr(network.layer2[0].conv1, name, value)
    torch.save(network, tmp_path / "net.pt")
    assert len(problem(tmp_path / "net.pt")) < 500


@pytest.mark.parametrize("value", [[[1]], {"a": 1}, None, "x", True, 1 << 70, float("nan")])
def test_an_epsilon_that_no_norm_has_is_refused_or_left_unsaid_in_a_sentence(value, tmp_path):
    torch.save(set_all(narrow(), nn.BatchNorm2d, eps=value), tmp_path / "net.pt")
    assert len(problem(tmp_path / "net.pt", "epsilon")) < 500
