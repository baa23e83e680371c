"""Networks of widely used code bases, built small: their files are read right, or refused with the reason."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu
from torchvision.models.resnet import BasicBlock, ResNet

from features.errors import WeightsError
from features.networks import zoo
from tests.random_networks import drawn, randomise

State = dict[str, Tensor]


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias)


def pixels(side: int = 32) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))


def staged(block: Callable[[int, int, int], nn.Module], widths=(8, 16, 32)) -> list[nn.Sequential]:
    """Stages of two blocks each, of which all but the first begin with a stride."""
    return [
        nn.Sequential(block(inputs, outputs, 1 + (number > 0)), block(outputs, outputs, 1))
        for number, (inputs, outputs) in enumerate(pairwise(widths))
    ]


# --- read right ------------------------------------------------------------------------------------------------------


class LateWideBlock(nn.Module):
    """The first convolution widens and the second has the stride; projections see the input; all with biases."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv(inputs, outputs, bias=True)
        self.bn2, self.conv2 = nn.BatchNorm2d(outputs), conv(outputs, outputs, stride=stride, bias=True)
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=True))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(relu(self.bn2(self.conv1(relu(self.bn1(x)))))) + self.shortcut(x)


class LateWide(nn.Module):
    """meliketoy's Wide ResNets."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = conv(3, 8, bias=True)
        self.layer1, self.layer2 = staged(LateWideBlock, (8, 16, 32))
        self.bn1, self.linear = nn.BatchNorm2d(32), nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(relu(self.bn1(self.layer2(self.layer1(self.conv1(x))))).mean((2, 3)))


class WideBlock(nn.Module):
    """Norms before convolutions; projections see what the first norm and ReLU made."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn0, self.conv0 = nn.BatchNorm2d(inputs), conv(inputs, outputs, stride=stride)
        self.bn1, self.conv1 = nn.BatchNorm2d(outputs), conv(outputs, outputs)
        if stride > 1 or inputs != outputs:
            self.convdim = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = relu(self.bn0(x))
        return self.conv1(relu(self.bn1(self.conv0(y)))) + (self.convdim(y) if hasattr(self, "convdim") else x)


class Wide(nn.Module):
    """szagoruyko's Wide ResNets, whose names are those of functions: group0.block0.conv0."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = conv(3, 8)
        self.stages = nn.Sequential(*staged(WideBlock))
        self.bn, self.fc = nn.BatchNorm2d(32), nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(relu(self.bn(self.stages(self.conv0(x)))).mean((2, 3)))

    def saved(self) -> State:
        state = {}
        for name, value in self.state_dict().items():
            stage, _, rest = name.removeprefix("stages.").partition(".")
            state[f"group{stage}.block{rest}" if stage.isdecimal() else name] = value
        return state


class SecondFirstStage(Wide):
    """TRADES' Wide ResNets, which keep a second first stage that they never run."""

    def __init__(self) -> None:
        super().__init__()
        self.stages.add_module("never", staged(WideBlock)[0])

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(relu(self.bn(self.stages[1](self.stages[0](self.conv0(x))))).mean((2, 3)))

    def saved(self) -> State:
        named = {"stages.0.": "block1.layer.", "stages.1.": "block2.layer.", "stages.never.": "sub_block1.layer."}
        state = {}
        for name, value in self.state_dict().items():
            start = next((start for start in named if name.startswith(start)), "")
            state[named.get(start, "") + name.removeprefix(start)] = value
        return state


class Squeezed(nn.Module):
    """weiaicunzai's SE-ResNets: a branch called residual, a gate called excitation."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            conv(inputs, outputs, stride=stride, bias=True), nn.BatchNorm2d(outputs), nn.ReLU(),
            conv(outputs, outputs, bias=True), nn.BatchNorm2d(outputs), nn.ReLU(),
        )[:5]  # fmt: skip
        self.excitation = nn.Sequential(nn.Linear(outputs, 4), nn.ReLU(), nn.Linear(4, outputs), nn.Sigmoid())
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.residual(x)
        return relu(y * self.excitation(y.mean((2, 3)))[..., None, None] + self.shortcut(x))


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pre = nn.Sequential(conv(3, 8, bias=True), nn.BatchNorm2d(8), nn.ReLU())
        self.stage1, self.stage2 = staged(Squeezed)
        self.linear = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.stage2(self.stage1(self.pre(x))).mean((2, 3)))


class CadenesBlock(nn.Module):
    """A bottleneck with its stride in the first convolution, and a gate."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        planes = outputs // 4
        self.conv1, self.bn1 = nn.Conv2d(inputs, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = conv(planes, planes), nn.BatchNorm2d(planes)
        self.conv3, self.bn3 = nn.Conv2d(planes, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.se_module = nn.ModuleDict({"fc1": nn.Conv2d(outputs, 4, 1), "fc2": nn.Conv2d(4, outputs, 1)})
        self.downsample = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn3(self.conv3(relu(self.bn2(self.conv2(relu(self.bn1(self.conv1(x))))))))
        gate = self.se_module["fc2"](relu(self.se_module["fc1"](y.mean((2, 3), keepdim=True)))).sigmoid()
        return relu(y * gate + (x if self.downsample is None else self.downsample(x)))


class Cadenes(nn.Module):
    """Cadene's SE-ResNets, with the stem in layer0 and Caffe's pool."""

    def __init__(self) -> None:
        super().__init__()
        self.layer0 = nn.ModuleDict({"conv1": nn.Conv2d(3, 8, 7, 2, 3, bias=False), "bn1": nn.BatchNorm2d(8)})
        self.layer1, self.layer2 = staged(CadenesBlock)
        self.last_linear = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = max_pool2d(relu(self.layer0["bn1"](self.layer0["conv1"](x))), 3, 2, ceil_mode=True)
        return self.last_linear(self.layer2(self.layer1(x)).mean((2, 3)))


READ = {"meliketoy": LateWide, "szagoruyko": Wide, "TRADES": SecondFirstStage, "weiaicunzai's SE": Gated,
        "Cadene": Cadenes}  # fmt: skip


@pytest.mark.parametrize("kind", READ)
@torch.inference_mode()
def test_the_networks_of_a_code_base_give_its_logits(kind, tmp_path):
    source = randomise(READ[kind]()).eval()
    torch.save(source.saved() if hasattr(source, "saved") else source.state_dict(), tmp_path / "net.pth")
    model = zoo.load(weights=tmp_path / "net.pth")
    for side in (32, 37):
        wanted = source(pixels(side))
        torch.testing.assert_close(
            model.network(pixels(side)), wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max())
        )


# --- refused with the reason -----------------------------------------------------------------------------------------


def norm(name: str, width: int, statistics: bool = True) -> State:
    owns = ("weight", "bias", "running_mean", "running_var") if statistics else ("weight", "bias")
    return {f"{name}.{own}": torch.rand(width) + 0.5 for own in owns}


def without(state: State, *names: str) -> State:
    return {name: value for name, value in state.items() if not any(part in name for part in names)}


def in_every_block(state: State, more: Callable[[int], State]) -> State:
    """The state with something in every block. more: of the width that the block puts out."""
    blocks = {name.split(".conv2")[0]: value.shape[0] for name, value in state.items() if ".conv2.weight" in name}
    return state | {f"{block}.{name}": value for block, width in blocks.items() for name, value in more(width).items()}


def cbam(name: str, width: int) -> State:
    return {f"{name}.fc1.weight": torch.randn(4, width, 1, 1), f"{name}.fc2.weight": torch.randn(width, 4, 1, 1)}


REFUSED = {
    "IBN-Net a": (
        lambda s: without(s, "layer1.0.bn1") | norm("layer1.0.bn1.IN", 32, False) | norm("layer1.0.bn1.BN", 32),
        "2 convolutions and 3 norms",
    ),
    "IBN-Net b": (lambda s: s | norm("layer1.0.IN", 64, False), "2 convolutions and 3 norms"),
    "iresnet of ArcFace": (
        lambda s: in_every_block(s, lambda width: norm("bn0", width) | {"prelu.weight": torch.rand(width)}),
        "2 convolutions and 4 norms",
    ),
    "PReLU in the stem": (lambda s: s | {"prelu.weight": torch.rand(64)}, "not understood.*prelu.weight"),
    "PReLU with norms folded away": (
        lambda s: in_every_block(
            without(s, "bn"),
            lambda width: {"relu1.weight": torch.rand(width), "relu2.weight": torch.rand(width)},
        ),
        "as PReLUs have",
    ),
    "PyramidNet": (lambda s: in_every_block(s, lambda width: norm("bn3", width)), "2 convolutions and 3 norms"),
    "ODConv": (
        lambda s: {
            name: value[None].repeat(4, 1, 1, 1, 1) if name == "layer1.0.conv1.weight" else value
            for name, value in s.items()
        },
        "no residual network",
    ),
    "deformable convolutions": (
        lambda s: s | {"layer4.0.conv2_offset.weight": torch.randn(18, 512, 3, 3)}, "3-3-3",
    ),
    "CBAM": (
        lambda s: in_every_block(
            s, lambda width: cbam("ca", width) | {"sa.conv1.weight": torch.randn(1, 2, 7, 7)}
        ),
        "attention",
    ),
    "CBAM's channels alone": (lambda s: in_every_block(s, lambda width: cbam("attn", width)), "maxima as CBAM's"),
    "SE beside a spatial gate": (
        lambda s: in_every_block(
            s, lambda width: cbam("se", width) | {"sa.conv1.weight": torch.randn(1, 2, 7, 7)}
        ),
        "attention",
    ),
    "Fixup": (
        lambda s: in_every_block(without(s, "bn", "downsample.1"), lambda _: {"bias1a": torch.zeros(1)}),
        "not understood|no residual network",
    ),
    "layer scale": (lambda s: in_every_block(s, lambda width: {"gamma": torch.ones(width, 1, 1)}), "not understood"),
    "convolutions of no known name": (
        lambda s: without(s, "fc.") | {"mixing.0.weight": torch.randn(512, 512, 3, 3)}, "not understood.*mixing",
    ),
    "learned pool in the network": (lambda s: s | {"pool.p": torch.ones(1)}, "not understood.*pool.p"),
}  # fmt: skip


NAMED_AS_TIMMS = ("PyramidNet", "ODConv")  # whose names alone do not tell that timm has none of the kind


@pytest.fixture(scope="module")
def state() -> State:
    return dict(drawn(ResNet, block=BasicBlock, layers=[1, 1, 1, 1], num_classes=7).state_dict())


@pytest.mark.parametrize("kind", REFUSED)
def test_the_networks_of_a_code_base_that_is_not_read_are_refused_with_the_reason(kind, state, tmp_path):
    change, words = REFUSED[kind]
    torch.save(change(state), tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=words) as caught:
        zoo.load(weights=tmp_path / "net.pth")
    assert len(str(caught.value)) < 500
    assert "timm:NAME" not in str(caught.value) or kind in NAMED_AS_TIMMS


def test_a_distilled_network_with_two_heads_tells_of_both(state, tmp_path):
    torch.save(state | {"fc_dist.weight": torch.randn(7, 512), "fc_dist.bias": torch.randn(7)}, tmp_path / "net.pth")
    assumed = zoo.load(weights=tmp_path / "net.pth").spec.assumed
    assert any("of the heads fc, fc_dist the first (--head)" in guess for guess in assumed)
