"""A network's layers without BatchNorm, in a precision that may be lower than float32.

Only a BatchNorm right behind a convolution can be folded into it. Norms before convolutions, group norms, attention and
filters against aliasing stay the layers that they are.

What bf16 loses on trained networks it loses in three places, all of which are kept here at no cost in time:

- The first filters take differences of neighbouring pixels, which are small beside the rounding of scaled pixels. Here
  the first convolution sees differences of whole grey levels, which are exact, and does the scaling itself.
- Rounded weights of such a filter no longer sum to what they did. Here each is rounded so that the sum stays.
- A rounded bias is off by the same amount at every position, which no mean over space removes. Here biases stay
  float32, where the engine allows it.
"""

import copy
from typing import Any, NamedTuple, cast
from weakref import WeakKeyDictionary, WeakValueDictionary

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from features.engine.convolution import Convolution
from features.networks.canonical import own_copy
from features.networks.modules import StandardisedConv
from features.networks.preprocessing import Preprocessing
from features.networks.structure import leaves

# Convolution -> what it was folded to, by precision, device and the state of its weights: kept while somebody uses it.
_FOLDED: WeakKeyDictionary[nn.Conv2d, WeakValueDictionary[object, nn.Conv2d]] = WeakKeyDictionary()


def folded(layers: nn.Module) -> nn.Module:
    """A copy on the CPU with the same function in eval mode, every BatchNorm folded into the convolution before it."""
    if not isinstance(layers, nn.Sequential):
        return own_copy(layers, "cpu")
    return nn.Sequential(*(_folded_pair(pair, "cpu") for pair in _pairs(layers)))


class _Pair(NamedTuple):
    """A layer and the BatchNorm that follows it. in_place: whether a ReLU may overwrite what it is given."""

    layer: nn.Module
    norm: Any = None
    in_place: bool = True


def _pairs(layers: nn.Sequential) -> list[_Pair]:
    """Each layer, out of any Sequentials, with the BatchNorm that follows it, where that can be folded into it.

    A norm of another kind, and one that follows no convolution, is a layer of its own. The first layer of a part is
    given what others need as well.
    """
    pairs: list[_Pair] = []
    for layer in leaves(layers):
        if pairs and is_foldable(layer) and is_plain(pairs[-1].layer) and pairs[-1].norm is None:
            pairs[-1] = pairs[-1]._replace(norm=layer)
        else:
            pairs.append(_Pair(layer, in_place=bool(pairs)))
    return pairs


def is_plain(layer: nn.Module) -> bool:
    """Whether it is a convolution that computes with its weights as they are, and pads with zeros."""
    if isinstance(layer, StandardisedConv):
        return True  # once its weights are standardised
    plain = isinstance(layer, nn.Conv2d) and type(layer).forward is nn.Conv2d.forward
    return plain and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)


def is_foldable(norm: nn.Module) -> bool:
    """Whether it is a BatchNorm with statistics, trained or frozen."""
    frozen = type(norm).__name__ == "FrozenBatchNorm2d"
    return frozen or (type(norm) is nn.BatchNorm2d and norm.running_mean is not None)


def _as_plain(conv: nn.Module) -> nn.Module:
    """A convolution of standardised weights as an ordinary one."""
    if not isinstance(conv, StandardisedConv):
        return conv
    kernel, stride, padding, dilation = cast(
        tuple[tuple[int, int], ...], (conv.kernel_size, conv.stride, conv.padding, conv.dilation)
    )
    made = nn.Conv2d(
        conv.in_channels, conv.out_channels, kernel, stride, padding, dilation, conv.groups, conv.bias is not None,
        device="meta",
    )  # fmt: skip
    made.weight, made.bias = nn.Parameter(conv.standardised()), conv.bias
    return made


def _folded_pair(pair: _Pair, device: torch.device | str) -> nn.Module:
    layer, norm, in_place = pair
    if isinstance(layer, nn.ReLU):
        return nn.ReLU(inplace=in_place)
    layer = _as_plain(own_copy(layer, device))
    if norm is None:
        return layer
    norm = own_copy(norm, device)
    conv = cast(nn.Conv2d, layer)
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    return conv


def rounded(layers: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The same layers, whose convolutions' weights are numbers of `dtype` (and still float32), as `round_weight`."""
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d) and dtype != torch.float32:
            layer.weight.data = round_weight(layer.weight.data, dtype)
    return layers


def round_weight(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """(O, I, H, W) -> the same in numbers of `dtype`, each (H, W) filter with nearly the sum that it had.

    Error diffusion: what rounding takes from one number is given to the next smaller one before it is rounded.
    """
    if weight[0, 0].numel() == 1:
        return weight.to(dtype).to(weight.dtype)  # there is no next number
    flat = weight.flatten(2)  # (O, I, H * W)
    order = flat.abs().argsort(-1, descending=True)
    values = flat.gather(-1, order)
    error = torch.zeros_like(values[..., 0])
    for tap in range(values.shape[-1]):
        wanted = values[..., tap] + error
        values[..., tap] = wanted.to(dtype)
        error = wanted - values[..., tap]
    return torch.empty_like(flat).scatter(-1, order, values).reshape(weight.shape)


def prepared(layers: nn.Module, dtype: torch.dtype, device: torch.device) -> nn.Module:
    """The same function on a device, BatchNorms folded, convolutions ready to run in a precision that they round to."""
    if not isinstance(layers, nn.Sequential):
        return own_copy(layers, device)
    return nn.Sequential(
        *(
            Convolution(_folded_once(pair, dtype, device), dtype)
            if is_plain(pair.layer)
            else _in_precision(_folded_pair(pair, device), dtype)
            for pair in _pairs(layers)
        )
    )


def _in_precision(layer: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A layer for maps of a precision. Statistics of a BatchNorm that is not folded stay in float32, as biases do."""
    return layer if isinstance(layer, nn.BatchNorm2d) else layer.to(dtype)


def _folded_once(pair: _Pair, dtype: torch.dtype, device: torch.device) -> nn.Conv2d:
    """A convolution with its BatchNorm folded in, weights of a precision and bias in float32: made once, then shared.

    So networks that have layers in common, as those with a lesion have with the intact one, fold and hold them once.
    Only what is frozen is shared, and only as long as none of its tensors has been written to.
    """
    conv, norm = cast(nn.Conv2d, pair.layer), pair.norm
    sources = [*conv.parameters(), *conv.buffers()]
    sources += [] if norm is None else [*norm.parameters(), *norm.buffers()]
    kept: WeakValueDictionary[object, nn.Conv2d] = WeakValueDictionary()
    key: object = None
    if not conv.training and not any(each.requires_grad or each.is_inference() for each in sources):
        kept = _FOLDED.setdefault(conv, kept)
        # A BatchNorm that is trained writes to its statistics unseen, but counts its batches in one of its buffers.
        state = tuple((each.data_ptr(), each._version) for each in sources)
        key = (state, None if norm is None else norm.eps, dtype, device)
    if (known := kept.get(key)) is not None:
        return known
    made = cast(nn.Conv2d, rounded(_folded_pair(pair, "cpu"), dtype))  # on the CPU, the same on every device
    made.weight.data = made.weight.data.to(dtype).to(device, memory_format=torch.channels_last)
    if made.bias is not None:
        made.bias.data = made.bias.data.to(device)
    made.__dict__["sources"] = [each.detach() for each in sources]  # whose memory must not become another tensor's
    kept[key] = made
    return made


def pixel_stem(stem: nn.Sequential, preprocessing: Preprocessing, dtype: torch.dtype) -> nn.Sequential:
    """A folded stem that takes pixels as they are, (N, C, S, S) uint8, with weights `rounded` to a lower precision."""
    layers = list(cast(nn.Sequential, folded(stem)))
    if dtype == torch.float32 or not layers or not is_plain(layers[0]):
        return nn.Sequential(Scale(preprocessing, dtype), *layers)
    centre = Centre(preprocessing)
    whole = centre.absorbed(cast(nn.Conv2d, layers[0]), preprocessing)
    return nn.Sequential(centre, rounded(whole, dtype), *layers[1:])


class Scale(nn.Module):
    """uint8 -> the network's input in float32, as `Preprocessing.scaled`, for a network that is exported or moved."""

    mean: Tensor  # (C, 1, 1)
    std: Tensor

    def __init__(self, preprocessing: Preprocessing, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.dtype = dtype
        self.register_buffer("mean", torch.tensor(preprocessing.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(preprocessing.std)[:, None, None])

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.to(torch.float32).div(255).sub_(self.mean).div_(self.std).to(self.dtype)


class Centre(nn.Module):
    """uint8 -> grey levels above the mean's nearest whole number, over 64: exact in every floating-point precision."""

    shift: Tensor  # (C, 1, 1)
    STEP = 1 / 64  # makes values, and the weights that they meet, about as large as those of scaled pixels

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.register_buffer("shift", torch.tensor(preprocessing.mean).mul(255).round()[:, None, None])

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.to(self.shift.dtype).sub(self.shift).mul_(self.STEP)

    def absorbed(self, conv: nn.Conv2d, preprocessing: Preprocessing) -> nn.Conv2d:
        """A convolution of these numbers that equals `conv` of scaled pixels.

        But for the zeros that it pads with, which are off by what the mean was rounded: less than half a grey level.
        """
        mean, std = (255 * torch.tensor(values) for values in (preprocessing.mean, preprocessing.std))
        weight = conv.weight.detach() / std[:, None, None]  # of grey levels
        bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()
        whole = copy.deepcopy(conv)
        whole.weight.data = weight / self.STEP
        whole.bias = nn.Parameter(bias + (weight.sum((2, 3)) * (self.shift.flatten() - mean)).sum(1))
        return whole
