"""PyTorch made fast: BatchNorm folded away, channels last, in the precision of the hardware."""

import copy
import sys
from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from features.engine.reading import LOGITS, POOLED, PRECISIONS, Reading, pooled
from features.errors import FeatureError
from features.network import ResidualBlock, ResidualNetwork


class TorchEngine:
    """PyTorch in eager mode on a private copy of the network."""

    def __init__(self, network: ResidualNetwork, reading: Reading) -> None:
        self.name = f"torch {torch.__version__}"
        self.reading = reading
        self.dtype = PRECISIONS[reading.precision]
        self.device = torch.device(reading.device)
        fast = _Fast(network).to(self.device, self.dtype).to(memory_format=torch.channels_last)
        self.network = fast.eval().requires_grad_(False)
        self.limit = sys.maxsize  # images at a time

    def __call__(self, pixels: Tensor) -> dict[str, np.ndarray]:
        """Read a batch, in smaller pieces once one did not fit into the device's memory."""
        while True:
            try:
                pieces = [self._read(piece) for piece in pixels.split(min(self.limit, len(pixels)))]
                return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
            except torch.OutOfMemoryError as error:
                self.limit = min(self.limit, len(pixels)) // 2
                if not self.limit:
                    raise FeatureError(
                        f"Not even one image fits into the memory of {self.device}. Read fewer stages, or choose 'cpu'."
                    ) from error
                torch.cuda.empty_cache()

    @torch.inference_mode()
    def _read(self, pixels: Tensor) -> dict[str, np.ndarray]:
        x = pixels.to(self.device, self.dtype, memory_format=torch.channels_last, non_blocking=True)
        return {name: values.cpu().numpy() for name, values in self._walk(x)}

    def _walk(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        for name, values in self.network.walk(x):
            if name == LOGITS:
                yield name, values.float()
            elif name in self.reading.stages:
                yield name, values if name == POOLED else pooled(values, self.reading.pool)


class _Fast(ResidualNetwork):
    """A network's function without its BatchNorms, in modules of its own that may work in place."""

    def __init__(self, network: ResidualNetwork) -> None:
        blocks: dict[str, list[ResidualBlock]] = {}
        for name, block in network.blocks():
            blocks.setdefault(name.split(".")[0], []).append(_FastBlock(block))
        super().__init__(cast(nn.Sequential, _fold(network.stem)), blocks, copy.deepcopy(network.head))

    def walk(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """As ResidualNetwork.walk, with the pooled features, summed in float32, before the logits."""
        x = yield from self.trunk(x)
        features = x.mean((2, 3), dtype=torch.float32)  # (N, D)
        yield POOLED, features
        if self.classifier is not None:
            yield LOGITS, self.classifier(features.to(x.dtype))


class _FastBlock(ResidualBlock):
    def __init__(self, block: ResidualBlock) -> None:
        super().__init__(_fold(block.shortcut), cast(nn.Sequential, _fold(block.branch)), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        shortcut, branch = self.parts(x)
        return self.activation(branch.add_(shortcut))


def _fold(layers: nn.Module) -> nn.Module:
    """A copy with the same function in eval mode, every BatchNorm folded into the convolution before it."""
    if not isinstance(layers, nn.Sequential):
        return copy.deepcopy(layers)
    folded: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d):
            folded[-1] = fuse_conv_bn_eval(cast(nn.Conv2d, folded[-1]), layer)
        elif isinstance(layer, nn.ReLU):
            folded.append(nn.ReLU(inplace=True))
        else:
            folded.append(copy.deepcopy(layer))
    return nn.Sequential(*folded)
