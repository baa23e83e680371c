"""A network's function in the form that PyTorch runs fastest."""

from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import Tensor, nn

from features.engine import forward
from features.engine.convolution import Convolution
from features.engine.folding import pixel_stem, prepared
from features.engine.plan import LOGITS, POOLED, pooled
from features.networks.canonical import ResidualBlock, ResidualNetwork, own_copy
from features.networks.preprocessing import Preprocessing

CACHED_VALUES = 1 << 18  # 1 MiB in float32


class FastNetwork(ResidualNetwork):
    """A network's function without its BatchNorms, channels last, in modules of its own that may work in place.

    It takes pixels as they are, (N, C, H, W) from 0 to 255, uint8 or float32. The weights of its convolutions are of
    `dtype`, their biases and its head float32. Frozen and in eval mode; gradients flow through it to activations.
    Networks that share layers, as those with a lesion do with the intact one, share their folded weights too.
    """

    def __init__(
        self,
        network: ResidualNetwork,
        preprocessing: Preprocessing,
        dtype: torch.dtype,
        device: torch.device,
        ordinary: bool = False,
    ) -> None:
        """ordinary: whether its convolutions are those that PyTorch itself would run, for comparison."""
        # Tensors made in inference mode cannot enter a graph later; a copy on the CPU is prepared there whatever comes.
        with torch.inference_mode(False), torch.no_grad():
            blocks: dict[str, list[ResidualBlock]] = {}
            for name, block in network.blocks():
                blocks.setdefault(name.split(".")[0], []).append(_FastBlock(block, dtype, device))
            stem = pixel_stem(own_copy(network.stem, "cpu"), preprocessing, dtype)
            super().__init__(cast(nn.Sequential, prepared(stem, dtype, device)), blocks, own_copy(network.head, "cpu"))
            for layer in self.modules():
                if isinstance(layer, Convolution):
                    layer.ordinary = ordinary
            self.to(device).to(memory_format=torch.channels_last)
            self.eval().requires_grad_(False)

    def walk(self, x: Tensor, blocks: bool = False) -> Iterator[tuple[str, Tensor]]:
        """As ResidualNetwork.walk, with the pooled features before the logits, both in float32. blocks: also theirs."""
        x = yield from self.trunk(x, blocks)
        features = self.pooled(x) if len(self.neck) else in_pieces(x, self.pooled)  # (N, D)
        yield POOLED, features
        if self.classifier is not None:
            yield LOGITS, self.classifier(features)  # (N, K)


class _FastBlock(ResidualBlock):
    def __init__(self, block: ResidualBlock, dtype: torch.dtype, device: torch.device) -> None:
        shortcut, branch = (prepared(part, dtype, device) for part in (block.shortcut, block.branch))
        activation = nn.ReLU(inplace=True) if type(block.activation) is nn.ReLU else own_copy(block.activation, device)
        super().__init__(shortcut, cast(nn.Sequential, branch), activation)
        self.fused: Callable[[Tensor], Tensor | None] | None = None  # set by `fusing.fuse`

    def forward(self, x: Tensor) -> Tensor:
        return forward.output(self, x)


def pooled_in_pieces(values: Tensor, how: str) -> Tensor:
    """As `plan.pooled`, in pieces."""
    return in_pieces(values, lambda piece: pooled(piece, how))


def in_pieces(values: Tensor, pool: Callable[[Tensor], Tensor]) -> Tensor:
    """What a pool makes of maps (N, C, H, W); on a CPU in pieces whose float32 stays in the cache, a tenth of the time
    on the widest maps."""
    if values.device.type != "cpu" or not len(values):
        return pool(values)
    return torch.cat([pool(piece) for piece in values.split(cached_at_once(values))])


def cached_at_once(values: Tensor) -> int:
    """How many of some images' maps (N, ...) a CPU's cache holds as float32, at least 1."""
    return max(1, CACHED_VALUES // values[0].numel())
