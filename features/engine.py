"""Runs a network fast, for its features: BatchNorm folded away, channels last, in the precision of the hardware."""

import copy
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from features.errors import FeatureError
from features.network import ResidualBlock, ResidualNetwork, best_device

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
POOLS = ("mean", "max", "gem", "none")
GEM_POWER, GEM_FLOOR = 3.0, 1e-6
POOLED, LOGITS = "pool", "logits"


@dataclass(frozen=True)
class Reading:
    """What is read off a network, and how.

    stages: any of 'stem', the network's stages ('layer1', ...), 'pool' (what the classifier sees) and 'logits'.
    pool: how a stage's (C, H, W) becomes a vector: 'mean', 'max', 'gem' (generalised mean with power 3,
        Radenovic et al. 2018, arXiv:1711.02512; values below 1e-6 count as 1e-6), or 'none' for the whole map.
    precision: 'fp32', 'bf16' or 'fp16'. device: 'cpu' or 'cuda', as torch writes them.
    """

    stages: tuple[str, ...]
    pool: str
    precision: str
    device: str


def choose(
    network: ResidualNetwork,
    stages: Sequence[str] | None = None,
    pool: str = "mean",
    precision: str = "auto",
    device: str = "auto",
) -> Reading:
    """A reading with its open choices made: None means every stage, 'auto' what is fastest here.

    Raises FeatureError for stages, pools, precisions and devices that do not exist here.
    """
    known = ("stem", *network.stage_names, POOLED, *((LOGITS,) if network.classifier is not None else ()))
    wanted = tuple(dict.fromkeys(stages)) if stages is not None else network.stage_names
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        raise FeatureError(f"There is no stage {', '.join(unknown) or 'named'}. This network has {', '.join(known)}.")
    if pool not in POOLS:
        raise FeatureError(f"The pooling is {pool!r}. Wanted one of {', '.join(POOLS)}.")
    try:
        place = best_device() if device == "auto" else torch.device(device)
    except RuntimeError as error:
        raise FeatureError(f"The device is {device!r}. Wanted 'auto', 'cpu' or 'cuda'.") from error
    if place.type == "cuda" and not torch.cuda.is_available():
        raise FeatureError("There is no CUDA device on this machine. Leave the device at 'auto', or choose 'cpu'.")
    if precision == "auto":
        precision = "bf16" if has_fast_bf16(place) else "fp32"
    if precision not in PRECISIONS:
        raise FeatureError(f"The precision is {precision!r}. Wanted 'auto' or one of {', '.join(PRECISIONS)}.")
    return Reading(wanted, pool, precision, str(place))


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bf16 is faster than fp32 there: GPUs from Ampere on, CPUs with AVX512-BF16 or AMX."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


class Engine(Protocol):
    """Something that runs a network.

    name: what runs it, with its version. Calling it with pixels (N, C, S, S) float32 on the CPU gives one array a
    stage: (N, D) float32, or (N, C, H, W) float16 for unpooled maps, and always 'logits' where there is a classifier.
    """

    name: str

    def __call__(self, pixels: Tensor) -> dict[str, np.ndarray]: ...


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


def pooled(values: Tensor, how: str) -> Tensor:
    """(N, C, H, W) -> (N, C) float32, summed in float32; or float16 maps as they are for 'none'."""
    match how:
        case "mean":
            return values.mean((2, 3), dtype=torch.float32)
        case "max":
            return values.amax((2, 3)).float()
        case "gem":
            return values.float().clamp_min(GEM_FLOOR).pow(GEM_POWER).mean((2, 3)).pow(1 / GEM_POWER)
        case _:
            return values.to(torch.float16).contiguous()


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
