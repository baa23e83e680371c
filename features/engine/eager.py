"""PyTorch made fast: BatchNorm folded away, channels last, in the precision of the hardware."""

import copy
import sys
from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from features.engine.layers import folded, lowered, pixel_stem
from features.engine.reading import LOGITS, POOLED, PRECISIONS, Reading, pooled
from features.errors import FeatureError
from features.images import Preprocessing
from features.network import ResidualBlock, ResidualNetwork

CACHED_VALUES = 1 << 18  # 1 MiB in float32


class TorchEngine:
    """PyTorch in eager mode on a private copy of the network."""

    def __init__(self, network: ResidualNetwork, preprocessing: Preprocessing, reading: Reading) -> None:
        self.name = f"torch {torch.__version__}"
        self.reading = reading
        self.device = torch.device(reading.device)
        fast = (
            _Fast(network, preprocessing, PRECISIONS[reading.precision])
            .to(self.device)
            .to(memory_format=torch.channels_last)
        )
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
        x = pixels.to(self.device, memory_format=torch.channels_last, non_blocking=True)
        return {name: values.cpu().numpy() for name, values in self._walk(x)}

    def _walk(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        for name, values in self.network.walk(x):
            if name == LOGITS or name in self.reading.stages:
                yield name, values if name in (POOLED, LOGITS) else _pooled(values, self.reading.pool)


def _pooled(values: Tensor, how: str) -> Tensor:
    """As `pooled`; on a CPU in pieces whose float32 stays in the cache, a tenth of the time on the widest maps."""
    if values.device.type != "cpu":
        return pooled(values, how)
    pieces = values.split(max(1, CACHED_VALUES // values[0].numel()))
    return torch.cat([pooled(piece, how) for piece in pieces])


class _Fast(ResidualNetwork):
    """A network's function without its BatchNorms, in modules of its own that may work in place.

    It takes pixels as uint8. The weights of its convolutions are of `dtype`, their biases and its head float32.
    """

    def __init__(self, network: ResidualNetwork, preprocessing: Preprocessing, dtype: torch.dtype) -> None:
        blocks: dict[str, list[ResidualBlock]] = {}
        for name, block in network.blocks():
            blocks.setdefault(name.split(".")[0], []).append(_FastBlock(block, dtype))
        stem = lowered(pixel_stem(network.stem, preprocessing, dtype), dtype)
        super().__init__(cast(nn.Sequential, stem), blocks, copy.deepcopy(network.head))

    def walk(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """As ResidualNetwork.walk, with the pooled features before the logits, both in float32."""
        x = yield from self.trunk(x)
        features = _pooled(x, "mean")  # (N, D)
        yield POOLED, features
        if self.classifier is not None:
            yield LOGITS, self.classifier(features)


class _FastBlock(ResidualBlock):
    def __init__(self, block: ResidualBlock, dtype: torch.dtype) -> None:
        shortcut, branch = (lowered(folded(part), dtype) for part in (block.shortcut, block.branch))
        super().__init__(shortcut, cast(nn.Sequential, branch), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        shortcut, branch = self.parts(x)
        return self.activation(branch.add_(shortcut))
