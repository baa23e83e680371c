"""Layers of other libraries as PyTorch's own or the canonical network's, on the same parameters."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn
from torch.nn import functional

from features.errors import FeatureError
from features.networks.modules import BlurPool, ChannelAttention, SqueezeExcite, StandardisedConv

Named = list[tuple[str, nn.Module]]
# Run their children one after the other, in the order in which they are registered.
COMPOSITES = (
    "torch.Sequential", "torchvision.Conv2dNormActivation", "timm.ConvNormAct", "timm.DownsampleConv",
    "timm.DownsampleAvg", "transformers.ResNetConvLayer", "transformers.ResNetShortCut",
)  # fmt: skip
# Do nothing in eval mode.
IDENTITIES = (
    "torch.Identity", "torch.Dropout", "torch.Dropout1d", "torch.Dropout2d", "torchvision.StochasticDepth",
    "torchvision.DropBlock2d", "timm.DropPath", "timm.DropBlock2d",
)  # fmt: skip
# Kept as they are: what they hold is seen by whoever runs them alone.
KEPT = (
    "torch.Conv2d", "torch.BatchNorm2d", "torch.GroupNorm", "torch.InstanceNorm2d", "torch.MaxPool2d",
    "torch.AvgPool2d", "torch.AdaptiveAvgPool2d", "torch.ConstantPad2d", "torch.ZeroPad2d", "torch.Flatten",
    "torch.Linear", "torch.BatchNorm1d", "torch.LayerNorm", "torchvision.FrozenBatchNorm2d",
    "detectron2.FrozenBatchNorm2d", "timm.AvgPool2dSame", "timm.SelectiveKernel", "timm.EvoNorm2dS0",
    "timm.FilterResponseNormTlu2d",
)  # fmt: skip
# The arguments that make another of the same kind; they must not work in place, since a block's input is used twice.
ACTIVATIONS: dict[str, tuple[str, ...]] = {
    "torch.ReLU": (), "torch.SiLU": (), "torch.Mish": (), "torch.Hardswish": (), "torch.ReLU6": (), "torch.Tanh": (),
    "torch.SELU": (), "torch.GELU": ("approximate",), "torch.ELU": ("alpha",), "torch.LeakyReLU": ("negative_slope",),
    "torch.Softplus": ("beta", "threshold"),
}  # fmt: skip


def kind(module: nn.Module) -> str:
    """'torch.Conv2d': the library and the class; of a class that changes nothing in how it runs, that of its base."""
    for base in type(module).__mro__:
        if all(getattr(base, way, None) is getattr(type(module), way, None) for way in ("forward", "_conv_forward")):
            known = f"{base.__module__.split('.')[0]}.{base.__name__}"
            if known in KNOWN:
                return known
    return f"{type(module).__module__.split('.')[0]}.{type(module).__name__}"


def plain(module: nn.Module, name: str = "") -> Named:
    """The layers of a module in the order in which they run; what does nothing in eval mode is left out.

    name: of the module; the layers' begin with it. Raises FeatureError, naming it, for a layer that is not known.
    """
    known = kind(module)
    if known in IDENTITIES:
        return []
    if known in COMPOSITES:
        return [layer for own, child in module.named_children() for layer in plain(child, f"{name}.{own}".strip("."))]
    if known in ACTIVATIONS:
        return [(name, another(module))]
    if known in TRANSLATIONS:
        return [(f"{name}.{own}".strip("."), layer) for own, layer in TRANSLATIONS[known](module)]
    if known in KEPT:
        return [(name, module)]
    raise FeatureError(f"{repr(name) if name else 'A layer'} is {type(module).__name__}, which is not known there.")


def another(activation: nn.Module) -> nn.Module:
    """An activation of the same kind that does not work in place."""
    settings = {name: getattr(activation, name) for name in ACTIVATIONS[kind(activation)]}
    return type(activation)(**settings)


def _sharing(made: nn.Module, source: nn.Module, names: Iterable[str] = ("weight", "bias")) -> nn.Module:
    """A layer on another's tensors, in the same mode."""
    for name in names:
        value = getattr(source, name)
        if name in made._buffers:
            made._buffers[name] = value
        else:
            made._parameters[name] = value
    return made.train(source.training)


def _batch_norm(source: Any) -> nn.Module:
    made = nn.BatchNorm2d(
        source.num_features, source.eps, source.momentum, source.affine, source.track_running_stats, device="meta"
    )
    names = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    return _sharing(made, source, names)


def _group_norm(source: Any) -> nn.Module:
    made = nn.GroupNorm(source.num_groups, source.num_channels, source.eps, source.affine, device="meta")
    return _sharing(made, source)


def _linear(source: Any) -> nn.Module:
    made = nn.Linear(source.in_features, source.out_features, source.bias is not None, device="meta")
    return _sharing(made, source)


def _with_activation(norm: Callable[[Any], nn.Module]) -> Callable[[Any], Named]:
    """timm's norms that hold the activation behind them."""
    return lambda source: [("", norm(source)), *plain(source.drop, "drop"), *plain(source.act, "act")]


def _blur(source: Any) -> Named:
    usual = source.filt_size == 3 and source.pad_mode == "reflect"
    return [("", BlurPool(source.stride) if usual else source)]


SIGMOIDS = ("torch.Sigmoid", "timm.Sigmoid")


def _squeeze(source: Any) -> Named:
    parts = [kind(part) for part in (source.bn, source.act, source.gate)]
    if (
        parts[:2] != ["torch.Identity", "torch.ReLU"]
        or parts[2] not in SIGMOIDS
        or source.add_maxpool
        or source.fc1.bias is None
    ):
        return [("", source)]
    made = SqueezeExcite(1, 1)
    made.fc1, made.fc2 = source.fc1, source.fc2
    return [("", made)]


def _efficient(source: Any) -> Named:
    if source.conv2 is not None or kind(source.gate) not in SIGMOIDS:
        return [("", source)]
    made = ChannelAttention(1)
    made.conv = source.conv
    return [("", made)]


def _as(make: Callable[[], nn.Module]) -> Callable[[Any], Named]:
    """Classes of other libraries that do what one of PyTorch's does."""
    return lambda source: [("", make())]


def _gelu(source: Any) -> Named:
    """transformers' class, which may hold a formula of its own."""
    return [("", nn.GELU() if source.act is functional.gelu else source)]


TRANSLATIONS: dict[str, Callable[[Any], Named]] = {
    "timm.GELU": _as(nn.GELU),
    "timm.GELUTanh": _as(lambda: nn.GELU("tanh")),
    "timm.Swish": _as(nn.SiLU),
    "timm.Mish": _as(nn.Mish),
    "timm.Tanh": _as(nn.Tanh),
    "timm.HardSwish": _as(nn.Hardswish),
    "transformers.SiLUActivation": _as(nn.SiLU),
    "transformers.MishActivation": _as(nn.Mish),
    "transformers.GELUActivation": _gelu,
    "timm.BatchNormAct2d": _with_activation(_batch_norm),
    "timm.GroupNormAct": _with_activation(_group_norm),
    "timm.GroupNorm": lambda source: [("", _group_norm(source))],
    "timm.Linear": lambda source: [("", _linear(source))],
    "torch.SyncBatchNorm": lambda source: [("", _batch_norm(source))],
    "timm.StdConv2d": lambda source: [("", StandardisedConv(source, source.eps))],
    "timm.BlurPool2d": _blur,
    "timm.SEModule": _squeeze,
    "timm.EcaModule": _efficient,
}
KNOWN = {*COMPOSITES, *IDENTITIES, *KEPT, *ACTIVATIONS, *TRANSLATIONS}


def is_conv(module: nn.Module) -> bool:
    """Whether it takes the place of a convolution."""
    return isinstance(module, nn.Conv2d | StandardisedConv) or holds_norm(module)


def holds_norm(module: nn.Module) -> bool:
    """Whether it is a convolution with the norm and the activation behind it."""
    return kind(module) == "timm.SelectiveKernel"


def is_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.BatchNorm2d | nn.GroupNorm | nn.InstanceNorm2d) or holds_activation(module) or (
        type(module).__name__ == "FrozenBatchNorm2d"
    )  # fmt: skip


def holds_activation(module: nn.Module) -> bool:
    """Whether it is a norm with the activation behind it that cannot be parted."""
    return kind(module) in ("timm.EvoNorm2dS0", "timm.FilterResponseNormTlu2d")


def is_activation(module: nn.Module) -> bool:
    return kind(module) in ACTIVATIONS


def is_filter(module: nn.Module) -> bool:
    """Whether it is an average or a blur over squares of pixels."""
    return isinstance(module, BlurPool | nn.AvgPool2d) or kind(module) in ("timm.BlurPool2d", "timm.AvgPool2dSame")


def is_pool(module: nn.Module) -> bool:
    """Whether it may stand in a stem's pool."""
    return is_filter(module) or isinstance(module, nn.MaxPool2d | nn.ConstantPad2d)
