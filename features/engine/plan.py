"""What is read off a network and how, and what every way to run one offers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from features.networks.canonical import ResidualNetwork
from features.registry import Registry

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
GEM_POWER, GEM_FLOOR = 3.0, 1e-6
POOLED, LOGITS = "pool", "logits"
TORCH, TORCH_PLAIN, CUDA_GRAPHS, OPENVINO = "torch", "torch-plain", "cuda-graphs", "openvino"
AUTO = "auto"


@dataclass(frozen=True)
class Pooling:
    """How a stage's maps become a vector. name: on the command line; title: for people; paper: its source, '' for none.

    function: (N, C, H, W) -> (N, C) float32, summed in float32; or, where it keeps_maps, (N, C, H, W) float16.
    """

    name: str
    title: str
    function: Callable[[Tensor], Tensor]
    paper: str = ""
    keeps_maps: bool = False


def _mean(values: Tensor) -> Tensor:
    return values.mean((2, 3), dtype=torch.float32)  # (N, C)


def _max(values: Tensor) -> Tensor:
    return values.amax((2, 3)).float()  # (N, C)


def _generalised_mean(values: Tensor) -> Tensor:
    return values.float().clamp_min(GEM_FLOOR).pow(GEM_POWER).mean((2, 3)).pow(1 / GEM_POWER)  # (N, C)


def _whole(values: Tensor) -> Tensor:
    return values.to(torch.float16).contiguous()  # (N, C, H, W)


POOLINGS = Registry(
    "pooling",
    (
        Pooling("mean", "mean over space", _mean),
        Pooling("max", "maximum over space", _max),
        Pooling("gem", "generalised mean with power 3", _generalised_mean, "Radenovic et al. 2018, arXiv:1711.02512"),
        Pooling("none", "the whole map, in half precision", _whole, keeps_maps=True),
    ),
)


def pooled(values: Tensor, how: str) -> Tensor:
    """(N, C, H, W) -> what a pooling of POOLINGS makes of it."""
    return POOLINGS.need(how).function(values)


@dataclass(frozen=True)
class Plan:
    """What is read off a network, and how.

    stages: any of 'stem', the network's stages ('layer1', ...) and blocks ('layer1.0', ...), 'pool' (what the
    classifier sees, by the head's own pool) and 'logits'.
    pool: of POOLINGS, how a stage's (C, H, W) becomes a vector ('gem' counts values below 1e-6 as 1e-6), whatever the
    head does.
    precision: 'fp32', 'bf16' or 'fp16'. device: 'cpu' or 'cuda', as torch writes them.
    engine: a name of `registry.ENGINES`; why: the reason for precision and engine, in words.
    Precision and engine are 'auto' while a timing has to decide between them (`choice.decide`).
    """

    stages: tuple[str, ...]
    pool: str
    precision: str
    device: str
    engine: str = TORCH
    why: str = ""

    @property
    def keeps_maps(self) -> bool:
        """Whether a stage's values are maps, in float16, and not vectors, in float32."""
        return POOLINGS.need(self.pool).keeps_maps

    @property
    def is_open(self) -> bool:
        """Whether precision or engine are still to be decided."""
        return AUTO in (self.precision, self.engine)


def stages_of(network: ResidualNetwork) -> tuple[str, ...]:
    """Everything that can be read off a network, in its order, but its single blocks."""
    return ("stem", *network.stage_names, POOLED, *((LOGITS,) if network.classifier is not None else ()))


def blocks_of(network: ResidualNetwork) -> tuple[str, ...]:
    """The stem and every block, in their order: all that representations are told apart by."""
    return ("stem", *(name for name, _ in network.blocks()))


def readable(network: ResidualNetwork) -> tuple[str, ...]:
    """Everything that can be read off a network, in its order: a stage behind its last block."""
    blocks = [name for name, _ in network.blocks()]
    stages = [
        name
        for stage in network.stage_names
        for name in (*(block for block in blocks if block.rsplit(".", 1)[0] == stage), stage)
    ]
    return ("stem", *stages, POOLED, *((LOGITS,) if network.classifier is not None else ()))


def without_logits(stages: Iterable[str]) -> tuple[str, ...]:
    """Those that hold features, not predictions; logits alone where there is nothing else."""
    names = tuple(stages)
    return tuple(name for name in names if name != LOGITS) or names


class Runner(Protocol):
    """A network that is ready to run.

    name: what runs it, with its version. Calling it with pixels (N, C, S, S) uint8 on the CPU gives one array a stage:
    (N, D) float32, or (N, C, H, W) float16 for unpooled maps, and always 'logits' where there is a classifier.
    `begin` hands a batch over and gives what waits for the same arrays: a GPU computes meanwhile.
    """

    name: str

    def __call__(self, pixels: Tensor) -> dict[str, np.ndarray]: ...

    def begin(self, pixels: Tensor) -> Callable[[], dict[str, np.ndarray]]: ...
