"""Networks from people's own code, written here once more, in canonical form."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import avg_pool2d, max_pool2d, pad, relu
from torchvision.models import resnet18

from features.errors import FeatureError
from features.networks.canonical import canonical
from features.networks.recognition import architecture_of
from tests.random_networks import drawn, randomise

pytestmark = pytest.mark.slow

WIDTHS = (8, 16, 32)


def images(side: int = 32, channels: int = 3) -> Tensor:
    return torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(0))


def conv(inputs: int, outputs: int, stride: int = 1, kernel: int = 3, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias)


class Block(nn.Module):
    """As kuangliu's code has it: activations are functions, and an empty Sequential is the identity."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, outputs, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = conv(outputs, outputs), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(conv(inputs, outputs, stride, 1), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        out += self.shortcut(x)
        return relu(out)


class PreActBlock(nn.Module):
    """Pre-activation as kuangliu's code has it: projections see the activated input."""

    activated = True

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv(inputs, outputs, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(outputs), conv(outputs, outputs)
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(conv(inputs, outputs, stride, 1))

    def forward(self, x: Tensor) -> Tensor:
        out = relu(self.bn1(x))
        shortcut = x if not hasattr(self, "shortcut") else self.shortcut(out if self.activated else x)
        return self.conv2(relu(self.bn2(self.conv1(out)))) + shortcut


class RawPreActBlock(PreActBlock):
    """As weiaicunzai's code has it: projections see the input."""

    activated = False


class Lambda(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class PaddedBlock(Block):
    """Option A as akamaster's code has it: a module around a function, zeros on both sides."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, stride)
        if stride != 1 or inputs != outputs:
            n = (outputs - inputs) // 2
            self.shortcut = Lambda(lambda x: pad(x[:, :, ::2, ::2], (0, 0, 0, 0, n, n), "constant", 0))


class EndPaddedBlock(nn.Module):
    """Option A in the block's own code: zeros at the end."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, outputs, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = conv(outputs, outputs), nn.BatchNorm2d(outputs)
        self.stride, self.zeros = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        return relu(out + pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.zeros)))


class PlainBlock(EndPaddedBlock):
    def forward(self, x: Tensor) -> Tensor:
        return relu(self.bn2(self.conv2(relu(self.bn1(self.conv1(x))))))


class CaffeBlock(nn.Module):
    """A bottleneck whose first convolution has the stride."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        inner = outputs // 4
        self.conv1, self.bn1 = conv(inputs, inner, stride, 1), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = conv(inner, inner), nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = conv(inner, outputs, 1, 1), nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(conv(inputs, outputs, stride, 1), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = relu(self.bn2(self.conv2(relu(self.bn1(self.conv1(x))))))
        return relu(self.bn3(self.conv3(out)) + (x if self.downsample is None else self.downsample(x)))


class SequentialBlock(nn.Module):
    """As weiaicunzai's code has it: the branch is one Sequential."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.residual_function = nn.Sequential(
            conv(inputs, outputs, stride), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
            conv(outputs, outputs), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(conv(inputs, outputs, stride, 1), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return nn.ReLU(inplace=True)(self.residual_function(x) + self.shortcut(x))


class Network(nn.Module):
    """A stem, three stages and a linear layer, with a mean over squares of 8 pixels."""

    def __init__(self, block: type[nn.Module], bn: bool = True, last: bool = False, pool: bool = False) -> None:
        super().__init__()
        self.conv1 = conv(3, WIDTHS[0])
        if bn:
            self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        width = WIDTHS[0]
        for number, outputs in enumerate(WIDTHS, start=1):
            stride = 1 if number == 1 else 2
            self.add_module(f"layer{number}", nn.Sequential(block(width, outputs, stride), block(outputs, outputs, 1)))
            width = outputs
        if last:
            self.bn = nn.BatchNorm2d(width)
        self.linear = nn.Linear(width, 5)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = relu(self.bn1(x)) if hasattr(self, "bn1") else x
        x = max_pool2d(x, 3, 2, 1) if self.pool else x
        x = self.layer3(self.layer2(self.layer1(x)))
        x = relu(self.bn(x)) if hasattr(self, "bn") else x
        return self.linear(avg_pool2d(x, x.shape[-1]).flatten(1))


class Wide(nn.Module):
    """A Wide ResNet whose stages are modules around a Sequential, with a last norm, as CIFAR code often has it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = conv(3, 8)
        for number, (inputs, outputs) in enumerate(((8, 16), (16, 32)), start=1):
            stage = nn.Module()
            stage.layer = nn.Sequential(PreActBlock(inputs, outputs, number), PreActBlock(outputs, outputs, 1))
            stage.forward = stage.layer.forward
            self.add_module(f"block{number}", stage)
        self.bn1, self.relu, self.fc = nn.BatchNorm2d(32), nn.ReLU(inplace=True), nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.block2.layer(self.block1.layer(self.conv1(x)))))
        return self.fc(avg_pool2d(x, 16).flatten(1))


NETWORKS = {
    "kuangliu's": lambda: Network(Block),
    "kuangliu's pre-activation": lambda: Network(PreActBlock, bn=False),
    "pre-activation with a last norm": lambda: Network(PreActBlock, bn=False, last=True),
    "pre-activation with raw projections": lambda: Network(RawPreActBlock),
    "option A around a function": lambda: Network(PaddedBlock),
    "option A in the block": lambda: Network(EndPaddedBlock),
    "plain": lambda: Network(PlainBlock),
    "stride in the first 1x1": lambda: Network(CaffeBlock),
    "one Sequential a branch": lambda: Network(SequentialBlock),
    "a max-pool that is a function": lambda: Network(Block, pool=True),
    "wide": Wide,
}
CHOICES = {
    "kuangliu's pre-activation": {"preactivation": True, "last_norm": False},
    "pre-activation with a last norm": {"preactivation": True, "shortcut_from": "activated"},
    "pre-activation with raw projections": {"preactivation": True, "shortcut_from": "input", "stem_norm": True},
    "option A around a function": {"shortcut": "padding", "shortcut_padding": "both"},
    "option A in the block": {"shortcut": "padding", "shortcut_padding": "end"},
    "plain": {"shortcut": "none"},
    "stride in the first 1x1": {"stride_at": "first", "block": "bottleneck"},
    "a max-pool that is a function": {"stem_pool": "max"},
}


@torch.inference_mode()
@pytest.mark.parametrize("name", NETWORKS)
def test_logits_are_those_of_the_code(name):
    source = randomise(NETWORKS[name]()).eval()
    torch.testing.assert_close(canonical(source)(images()), source(images()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", CHOICES)
def test_the_architecture_tells_how_the_code_runs_its_layers(name):
    architecture = architecture_of(canonical(randomise(NETWORKS[name]())))
    assert not architecture.builder
    assert {field: getattr(architecture, field) for field in CHOICES[name]} == CHOICES[name]


def test_neither_weights_nor_statistics_nor_modes_of_the_source_are_touched():
    source = randomise(Network(Block)).train()
    source.layer2.eval()
    before = {name: tensor.clone() for name, tensor in source.state_dict().items()}
    modes = {name: module.training for name, module in source.named_modules()}
    network = canonical(source)
    assert all(torch.equal(before[name], tensor) for name, tensor in source.state_dict().items())
    assert {name: module.training for name, module in source.named_modules()} == modes
    assert {p.data_ptr() for p in network.parameters()} == {p.data_ptr() for p in source.parameters()}


def test_hooks_that_cannot_be_copied_are_no_obstacle():
    source = randomise(Network(Block)).eval()
    source.conv1.register_forward_hook(lambda *_: None)
    source.layer1[0].lock = None
    canonical(source)
    assert len(source.conv1._forward_hooks) == 1


# --- what is not computed as it seems is refused ----------------------------------------------------------------------


class Scaled(Block):
    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        return relu(0.5 * out + self.shortcut(x))


class Swish(Block):
    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(functional.silu(self.bn1(self.conv1(x)))))
        return functional.silu(out + self.shortcut(x))


class Swapped(Block):
    """Its children are registered in another order than that in which they run."""

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn1(self.conv2(relu(self.bn2(self.conv1(x)))))
        return relu(out + self.shortcut(x))


class Noisy(Network):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + torch.rand(()))


class Crashing(Network):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("no such operation")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Network(Scaled), "compute something else"),
        (lambda: Network(Swish), "compute something else"),
        (lambda: Network(Swapped), "compute something else"),
        (lambda: Noisy(Block), "compute something else"),
        (lambda: Crashing(Block), "could not be run .*no such operation"),
    ],
    ids=["scaled", "functional SiLU", "swapped norms", "noise", "crash"],
)
def test_code_that_does_something_else_is_refused_and_never_read_wrong(make, words):
    with pytest.raises(FeatureError, match=words):
        canonical(randomise(make()).eval())


def test_a_difference_that_only_untrained_weights_hide_is_seen():
    source = Network(Scaled).eval()
    for module in source.modules():
        if isinstance(module, Scaled):
            nn.init.zeros_(module.bn2.weight)  # as training often begins: branches add nothing
    with pytest.raises(FeatureError, match="compute something else"):
        canonical(source)


class Strange(Block):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, stride)
        self.mixer = nn.MultiheadAttention(outputs, 1)


def test_layers_that_are_not_known_in_a_place_are_named():
    with pytest.raises(FeatureError, match="'mixer' is MultiheadAttention"):
        canonical(Network(Strange))


# --- heads ------------------------------------------------------------------------------------------------------------


class Headed(Network):
    """A head of two linear layers, with a function of PyTorch's between them, or none."""

    def __init__(self, between=None) -> None:
        super().__init__(Block)
        self.between = between
        self.linear, self.fc2 = nn.Linear(WIDTHS[-1], 12), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        hidden = super().forward(x)
        return self.fc2(hidden if self.between is None else self.between(hidden))


HEADS = {
    "dropout": nn.Sequential(nn.Dropout(0.5), nn.Linear(512, 5)),
    "dropout around two layers": nn.Sequential(
        nn.Dropout(0.5), nn.Linear(512, 12), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(12, 5)
    ),
    "three layers": nn.Sequential(
        nn.Linear(512, 12), nn.Tanh(), nn.Sequential(nn.Linear(12, 9), nn.Tanh()), nn.Linear(9, 1)
    ),
    "batch norm": nn.Sequential(nn.BatchNorm1d(512), nn.Linear(512, 5)),
    "batch norm inside": nn.Sequential(nn.Linear(512, 12, bias=False), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 5)),
    "activation before all": nn.Sequential(nn.Tanh(), nn.Linear(512, 5)),
    "no activation": nn.Sequential(nn.Linear(512, 12), nn.Linear(12, 5)),
    "no bias": nn.Linear(512, 5, bias=False),
    "weight norm": nn.utils.parametrizations.weight_norm(nn.Linear(512, 5)),
}
TOLD = {  # what an architecture says all of
    "dropout": ((), "relu"),
    "dropout around two layers": ((12,), "relu"),
    "three layers": ((12, 9), "tanh"),
}


@torch.inference_mode()
@pytest.mark.parametrize("name", HEADS)
def test_logits_of_torchvisions_networks_with_another_head_are_equal(name):
    source = drawn(resnet18)
    source.fc = HEADS[name].eval()
    for module in source.fc.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.copy_(torch.linspace(-1, 1, len(module.running_mean)))
    network = canonical(source)
    torch.testing.assert_close(network(images()), source(images()), rtol=0, atol=0)
    architecture = architecture_of(network)
    assert architecture.classes == source(images()).shape[1]
    if name in TOLD:
        assert (architecture.head_widths, architecture.head_activation, architecture.builder) == (*TOLD[name], "")
    elif name != "weight norm":
        assert architecture.builder == "code"


@torch.inference_mode()
@pytest.mark.parametrize(
    ("between", "widths"), [(relu, (12,)), (None, (12,))], ids=["a function between", "nothing between"]
)
def test_several_linear_layers_of_code_are_read_with_what_lies_between(between, widths):
    source = randomise(Headed(between)).eval()
    network = canonical(source)
    torch.testing.assert_close(network(images()), source(images()), rtol=1e-5, atol=1e-5)
    architecture = architecture_of(network)
    assert (architecture.head_widths, architecture.builder) == (widths, "" if between else "code")


@pytest.mark.parametrize(
    "head",
    [
        nn.Sequential(nn.Linear(512, 5), nn.ReLU()),
        nn.Sequential(nn.Linear(512, 5), nn.Sigmoid()),
        nn.Sequential(nn.Linear(512, 5), nn.LogSoftmax(1)),
        nn.Sequential(nn.Linear(512, 5), nn.BatchNorm1d(5)),
        nn.Sequential(nn.Bilinear(512, 512, 5)),
    ],
    ids=["ReLU", "sigmoid", "log-softmax", "norm", "another layer"],
)
def test_heads_that_do_not_end_with_logits_of_a_linear_layer_are_refused(head):
    source = drawn(resnet18)
    source.fc = head
    with pytest.raises(FeatureError, match=r"fc\.|is not known"):
        canonical(source)


@pytest.mark.parametrize("between", [torch.tanh, functional.gelu, functional.relu6])
def test_functions_between_linear_layers_that_are_no_children_are_seen(between):
    with pytest.raises(FeatureError, match="compute something else"):
        canonical(randomise(Headed(between)).eval())


class Clipped(Block):
    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(functional.relu6(self.bn1(self.conv1(x)))))
        return functional.relu6(out + self.shortcut(x))


def test_activations_that_differ_for_large_values_only_are_seen():
    with pytest.raises(FeatureError, match="compute something else"):
        canonical(randomise(Network(Clipped)).eval())
