"""The canonical residual network: stem -> stages of activation(shortcut(x) + branch(x)) -> head."""

import copy
import re
from collections import OrderedDict
from collections.abc import Generator, Iterator, Mapping
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from features.errors import FeatureError
from features.networks.architecture import Architecture, BlockPlan, Conv

Module = TypeVar("Module", bound=nn.Module)


class PaddedShortcut(nn.Module):
    """Option A of He et al. 2015, section 3.3: take every stride-th pixel, pad new channels with zeros.

    Free of parameters. The new channels are split evenly before and after the old ones, as in the
    CIFAR-10 code whose checkpoints are most widely used.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.before = (out_channels - in_channels) // 2
        self.after = out_channels - in_channels - self.before

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]  # (N, C, H/s, W/s)
        return nn.functional.pad(x, (0, 0, 0, 0, self.before, self.after))  # (N, C', H/s, W/s)

    def extra_repr(self) -> str:
        return f"stride={self.stride}, zeros=({self.before}, {self.after})"


class NoShortcut(nn.Module):
    """What a plain network has in the shortcut's place: zeros of the branch's shape."""

    def __init__(self, out_channels: int, stride: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        height, width = (-(-side // self.stride) for side in x.shape[2:])
        # Not len(x), which an exported network would keep as it is.
        return x.new_zeros(x.shape[0], self.out_channels, height, width)  # (N, C', H/s, W/s)

    def extra_repr(self) -> str:
        return f"{self.out_channels}, stride={self.stride}"


class ResidualBlock(nn.Module):
    """activation(shortcut(x) + branch(x)), with both terms in reach of whoever wants to look."""

    def __init__(self, shortcut: nn.Module, branch: nn.Sequential, activation: nn.Module) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.branch = branch
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        shortcut, branch = self.parts(x)
        return self.activation(shortcut + branch)

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """shortcut(x) and branch(x), each (N, C, H, W); their sum is the block's pre-activation."""
        return self.shortcut(x), self.branch(x)

    @property
    def shortcut_kind(self) -> str:
        """'identity', 'projection' (option B), 'padding' (option A) or 'none' (a plain network)."""
        kinds = {nn.Identity: "identity", PaddedShortcut: "padding", NoShortcut: "none"}
        return kinds.get(type(self.shortcut), "projection")


class ResidualNetwork(nn.Module):
    """A residual network as three parts that are walked in order.

    stem:   images (N, C, H, W) -> the first stage's input.
    stages: name -> the stage's blocks, in order.
    head:   the last stage's output -> logits (N, K), or pooled features (N, D) when there is no classifier.
    """

    def __init__(self, stem: nn.Sequential, stages: Mapping[str, list[ResidualBlock]], head: nn.Sequential) -> None:
        super().__init__()
        self.stem = stem
        self.stages = nn.ModuleDict({name: nn.Sequential(*blocks) for name, blocks in stages.items()})
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for stage in self.stages.values():
            x = stage(x)
        return self.head(x)

    def walk(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """What each part puts out, in order: 'stem', every stage by its name, 'logits'."""
        x = yield from self.trunk(x)
        yield "logits", self.head(x)

    def trunk(self, x: Tensor) -> Generator[tuple[str, Tensor], None, Tensor]:
        """As `walk`, without the head; returns the last stage's output."""
        x = self.stem(x)
        yield "stem", x
        for name, stage in self.stages.items():
            x = stage(x)
            yield name, x
        return x

    @property
    def stage_names(self) -> tuple[str, ...]:
        return tuple(self.stages)

    def blocks(self) -> Iterator[tuple[str, ResidualBlock]]:
        """Every block in order with its name, 'layer1.0' first."""
        for stage_name, stage in self.stages.items():
            for index, block in enumerate(cast(nn.Sequential, stage)):
                yield f"{stage_name}.{index}", cast(ResidualBlock, block)

    @property
    def classifier(self) -> nn.Linear | None:
        """The linear layer that makes the logits, or None for a network without a head."""
        fc = self.head.fc
        return fc if isinstance(fc, nn.Linear) else None


def build(architecture: Architecture) -> ResidualNetwork:
    """A new network with He initialisation (He et al. 2015, arXiv:1502.01852), in train mode.

    Draws from torch's global generator, as torch's own layers do; build under `torch.device("meta")` to get
    shapes without memory.
    """
    stages: dict[str, list[ResidualBlock]] = {}
    for block in architecture.plan():
        stages.setdefault(block.stage, []).append(_make_block(block))
    classes = architecture.classes
    fc = None if classes is None else nn.Linear(architecture.features, classes)
    network = ResidualNetwork(_make_stem(architecture), stages, make_head(fc))
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def _make_stem(architecture: Architecture) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv1"] = _make_conv(architecture.stem_conv)
    layers["bn1"] = nn.BatchNorm2d(architecture.stem_width)
    layers["relu"] = nn.ReLU()
    if architecture.stem == "imagenet":
        layers["maxpool"] = nn.MaxPool2d(3, stride=2, padding=1)
    return nn.Sequential(layers)


def _make_block(plan: BlockPlan) -> ResidualBlock:
    branch = make_branch([(_make_conv(conv), nn.BatchNorm2d(conv.outputs)) for conv in plan.branch])
    return ResidualBlock(_make_shortcut(plan.shortcut, plan.whole), branch, nn.ReLU())


def _make_shortcut(kind: str, whole: Conv) -> nn.Module:
    match kind:
        case "identity":
            return nn.Identity()
        case "padding":
            return PaddedShortcut(whole.inputs, whole.outputs, whole.stride)
        case "none":
            return NoShortcut(whole.outputs, whole.stride)
        case _:
            return nn.Sequential(_make_conv(whole), nn.BatchNorm2d(whole.outputs))


def _make_conv(conv: Conv) -> nn.Conv2d:
    return nn.Conv2d(
        conv.inputs, conv.outputs, conv.kernel, conv.stride, padding=conv.kernel // 2, groups=conv.groups, bias=False
    )


def canonical(source: nn.Module) -> ResidualNetwork:
    """The canonical form of a network with torchvision's ResNet layout, sharing its parameters.

    source: a torchvision ResNet, ResNeXt or Wide ResNet, or the body of a detector or an FCN made of one
    (conv1, bn1, optional maxpool, layer1, layer2, ..., optional fc). Nothing is copied: training one trains
    the other. The logits equal the source's bit for bit, in the mode (train or eval) that the source is in.
    Raises FeatureError if the layout is another one, or has a part whose place in it is not known.
    """
    parts = dict(source.named_children())
    stages = {name: parts[name] for name in sorted(parts) if re.fullmatch(r"layer\d", name)}
    known = parts.keys() <= {"conv1", "bn1", "relu", "maxpool", "avgpool", "fc", *stages}
    if not stages or not known or not {"conv1", "bn1"} <= parts.keys():
        raise FeatureError(
            f"Only networks laid out as torchvision's ResNet can be converted (conv1, bn1, layer1, ...), but "
            f"{type(source).__name__} has {', '.join(parts) or 'no parts'}. Pass its ResNet body instead."
        )
    _need_kind(parts, "relu", nn.ReLU)
    _need_kind(parts, "avgpool", nn.AdaptiveAvgPool2d)
    stem = OrderedDict(conv1=parts["conv1"], bn1=parts["bn1"], relu=nn.ReLU())
    if "maxpool" in parts:
        stem["maxpool"] = parts["maxpool"]
    network = ResidualNetwork(
        nn.Sequential(stem),
        {name: [_canonical_block(block) for block in cast(nn.Sequential, stage)] for name, stage in stages.items()},
        make_head(parts.get("fc")),
    )
    shared = set(source.modules())
    for module in network.modules():
        if module not in shared:  # train() would also overrule layers that the source keeps in another mode
            module.training = source.training
    return network


def make_head(fc: nn.Module | None) -> nn.Sequential:
    """Global average pooling, then the classifier if there is one."""
    return nn.Sequential(OrderedDict(avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(1), fc=fc or nn.Identity()))


def make_branch(layers: list[tuple[nn.Module, nn.Module]]) -> nn.Sequential:
    """Convolution and normalisation pairs, rectified between pairs but not after the last."""
    branch: OrderedDict[str, nn.Module] = OrderedDict()
    for index, (conv, norm) in enumerate(layers, start=1):
        branch[f"conv{index}"] = conv
        branch[f"bn{index}"] = norm
        if index < len(layers):
            branch[f"relu{index}"] = nn.ReLU()
    return nn.Sequential(branch)


def _canonical_block(source: nn.Module) -> ResidualBlock:
    parts = dict(source.named_children())
    depth = 3 if "conv3" in parts else 2
    layers = [(f"conv{number}", f"bn{number}") for number in range(1, depth + 1)]
    needed = {name for layer in layers for name in layer}
    if not needed <= parts.keys() <= needed | {"relu", "downsample"}:
        raise FeatureError(
            f"A residual block needs conv1, bn1, conv2, bn2 (conv3, bn3) and at most a downsample, but "
            f"{type(source).__name__} has {', '.join(parts)}. This kind of block is not supported."
        )
    _need_kind(parts, "relu", nn.ReLU)
    branch = make_branch([(parts[conv], parts[norm]) for conv, norm in layers])
    return ResidualBlock(parts.get("downsample") or nn.Identity(), branch, nn.ReLU())


def _need_kind(parts: Mapping[str, nn.Module], name: str, kind: type[nn.Module]) -> None:
    """The canonical form has layers of its own without parameters: the source's must do the same."""
    if name in parts and not isinstance(parts[name], kind):
        raise FeatureError(
            f"{name!r} is {type(parts[name]).__name__}, but only networks with {kind.__name__} there can be converted."
        )


def freeze(network: Module) -> Module:
    """The same network, or part of one, in eval mode with frozen parameters: what every analysis is given."""
    return network.eval().requires_grad_(False)


def own_copy(network: Module, device: torch.device | str | None = None) -> Module:
    """A frozen copy of a network or a part, in eval mode, on a device (None: where it lies).

    Without the hooks of whoever made it. Nothing is copied on a GPU for a copy that is made elsewhere.
    """
    with torch.inference_mode(False), torch.no_grad():  # tensors made in inference mode enter no graph later
        tensors = [*network.parameters(), *network.buffers()]
        copied: dict[int, Any] = {id(each): each.detach().to(device or each.device, copy=True) for each in tensors}
        for each in network.parameters():
            copied[id(each)] = nn.Parameter(copied[id(each)], requires_grad=False)
        for module in network.modules():
            hooks = (value for name, value in vars(module).items() if "hooks" in name and isinstance(value, dict))
            copied |= {id(value): type(value)() for value in hooks}  # which may hold what cannot be copied
        return freeze(copy.deepcopy(network, copied))
