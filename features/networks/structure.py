"""The canonical residual network's own classes: stem -> stages of activation(shortcut(x) + branch(x)) -> head."""

import copy
import re
from collections import OrderedDict
from collections.abc import Generator, Iterable, Iterator, Mapping
from math import prod
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from features.errors import FeatureError
from features.networks.layout import AVERAGE
from features.networks.modules import GlobalPool, NoShortcut, PaddedShortcut, global_average

Module = TypeVar("Module", bound=nn.Module)


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
    def shape(self) -> tuple[int, int, int]:
        """Channels in, channels out, and what a side is divided by, of the branch's layers; (0, 0, 1) without any."""
        convs: list[Any] = [layer for layer in leaves(self.branch) if hasattr(layer, "in_channels")]
        if not convs:
            return 0, 0, 1
        return convs[0].in_channels, convs[-1].out_channels, prod(map(stride_of, leaves(self.branch)))

    @property
    def shortcut_kind(self) -> str:
        """'identity', 'projection' (option B), 'padding' (option A) or 'none' (a plain network)."""
        kinds = {nn.Identity: "identity", PaddedShortcut: "padding", NoShortcut: "none"}
        return kinds.get(type(self.shortcut), "projection")


class ResidualNetwork(nn.Module):
    """A residual network as three parts that are walked in order.

    stem:   images (N, C, H, W) -> the first stage's input.
    stages: name -> the stage's blocks, in order.
    head:   the last stage's output -> logits (N, K), or pooled features (N, D) when there is no classifier. What comes
            before its `pool` is the `neck`: norm and activation of pre-activation networks, nothing in others.
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

    def trunk(self, x: Tensor, blocks: bool = False) -> Generator[tuple[str, Tensor], None, Tensor]:
        """As `walk`, without the head; returns the last stage's output. blocks: also every block's, by its name."""
        x = self.stem(x)
        yield "stem", x
        for name, stage in self.stages.items():
            for index, block in enumerate(cast(nn.Sequential, stage)):
                x = block(x)
                if blocks:
                    yield f"{name}.{index}", x
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
    def neck(self) -> nn.Sequential:
        """What the head does to the last stage's output before it pools. Often empty."""
        return self.head[: self._pool_at]

    @property
    def pool(self) -> nn.Module:
        """What makes features of maps in the head: nn.AdaptiveAvgPool2d, or a GlobalPool of another kind."""
        return self.head[self._pool_at]

    @property
    def _pool_at(self) -> int:
        return [isinstance(layer, nn.AdaptiveAvgPool2d | GlobalPool) for layer in self.head].index(True)

    @property
    def head_pool(self) -> str:
        """The name of the pool in layout.HEAD_POOLS."""
        return self.pool.kind if isinstance(self.pool, GlobalPool) else AVERAGE

    @property
    def sees_means(self) -> bool:
        """Whether the classifier sees nothing but the means over space of the last stage's output."""
        return not len(self.neck) and self.head_pool == AVERAGE

    def pooled(self, x: Tensor) -> Tensor:
        """The features that the classifier sees, (N, D), of the last stage's output (N, C, H, W)."""
        neck = self.neck
        x = neck(x.float()) if len(neck) else x  # (N, C, H, W)
        return (self.pool if isinstance(self.pool, GlobalPool) else global_average)(x).flatten(1)  # (N, D)

    @property
    def classifier(self) -> nn.Module | None:
        """What makes the logits (N, K) of pooled features (N, D), or None for a network without a head.

        One linear layer, or several in a Sequential, with activations between them.
        """
        fc = cast(nn.Module, self.head.fc)
        return None if isinstance(fc, nn.Identity) else fc


def make_head(
    fc: nn.Module | None, neck: Iterable[tuple[str, nn.Module]] = (), head_pool: str = AVERAGE
) -> nn.Sequential:
    """Pooling over all of space, then the classifier if there is one. neck: named layers before the pooling."""
    pool = nn.AdaptiveAvgPool2d(1) if head_pool == AVERAGE else GlobalPool(head_pool)
    pooling = [("pool", pool), ("flatten", nn.Flatten(1))]
    return nn.Sequential(OrderedDict([*neck, *pooling, ("fc", fc or nn.Identity())]))


def make_branch(layers: list[tuple[nn.Module, nn.Module]]) -> nn.Sequential:
    """Convolution and normalisation pairs, rectified between pairs but not after the last."""
    branch: OrderedDict[str, nn.Module] = OrderedDict()
    for index, (conv, norm) in enumerate(layers, start=1):
        branch[f"conv{index}"] = conv
        branch[f"bn{index}"] = norm
        if index < len(layers):
            branch[f"relu{index}"] = nn.ReLU()
    return nn.Sequential(branch)


def nested(layers: Iterable[tuple[str, nn.Module]]) -> nn.Sequential:
    """Named layers in one Sequential, those whose names have a part before a dot in one of their own."""
    outer: OrderedDict[str, nn.Module] = OrderedDict()
    for name, layer in layers:
        first, _, rest = name.partition(".")
        if not rest:
            outer[first] = layer
        else:
            cast(nn.Sequential, outer.setdefault(first, nn.Sequential())).add_module(rest, layer)
    return nn.Sequential(outer)


def published_name(name: str) -> str:
    """The name that a tensor of the canonical network has in files: torchvision's, or timm's where it has none.

    A norm that a branch shares with its projection (pre-activation) has two names in a network and one in files.
    """
    name = re.sub(r"^(stem|stages|head)\.", "", name)
    name = re.sub(r"\.shortcut\.(bn\d)\.", r".\1.", name)
    return name.replace(".branch.", ".").replace(".shortcut.", ".downsample.")


def leaves(module: nn.Module) -> Iterator[nn.Module]:
    """The layers of a part in order, out of any Sequentials; what does nothing is left out."""
    if isinstance(module, nn.Sequential):
        for child in module:
            yield from leaves(child)
    elif not isinstance(module, nn.Identity):
        yield module


def stride_of(layer: nn.Module) -> int:
    """What a layer divides a side by; of one with convolutions inside, its first one's."""
    if not hasattr(layer, "stride"):
        inside = [part for part in layer.modules() if isinstance(part, nn.Conv2d)] if hasattr(layer, "paths") else []
        return stride_of(inside[0]) if inside else 1
    stride: Any = layer.stride
    return stride[0] if isinstance(stride, tuple) else stride


def copy_of(module: Module, device: torch.device | str | None = None) -> Module:
    """A copy of a module that wants no gradients and has no hooks, on a device (None: where it lies)."""
    with torch.inference_mode(False), torch.no_grad():  # tensors made in inference mode enter no graph later
        tensors = [*module.parameters(), *module.buffers()]
        copied: dict[int, Any] = {id(each): each.detach().to(device or each.device, copy=True) for each in tensors}
        for each in module.parameters():
            copied[id(each)] = nn.Parameter(copied[id(each)], requires_grad=False)
        for part in module.modules():
            hooks = (value for name, value in vars(part).items() if "hooks" in name and isinstance(value, dict))
            copied |= {id(value): type(value)() for value in hooks}  # which may hold what cannot be copied
        try:
            return copy.deepcopy(module, copied)
        except RuntimeError as error:  # weights that hooks make anew: pruning, the older weight and spectral norms
            raise FeatureError(
                "The network keeps weights that are made of others by hooks (pruning, weight or spectral norm), and "
                "cannot be copied. Make them plain first: prune.remove, remove_weight_norm or remove_spectral_norm."
            ) from error
