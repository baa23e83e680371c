"""What is read off a network and how, with every open choice made."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from features.devices import best_device
from features.errors import FeatureError
from features.networks.canonical import ResidualNetwork
from features.registry import Registry

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
GEM_POWER, GEM_FLOOR = 3.0, 1e-6
POOLED, LOGITS = "pool", "logits"
TORCH, OPENVINO = "torch", "openvino"
ENGINES = (TORCH, OPENVINO)
# In bf16 OpenVINO read 4 of 1,000 images of a CIFAR ResNet-20 (64 channels) at a cosine below 0.9999 with fp32, PyTorch
# none; of a ResNet-18 (512 channels) neither did.
NARROW = 256


@dataclass(frozen=True)
class Pooling:
    """How a stage's maps become a vector. name: on the command line; title: for people; paper: its source, '' for none.

    function: (N, C, H, W) -> (N, C) float32, summed in float32; or the maps as they are, in float16.
    """

    name: str
    title: str
    function: Callable[[Tensor], Tensor]
    paper: str = ""


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
        Pooling("none", "the whole map, in half precision", _whole),
    ),
)


def pooled(values: Tensor, how: str) -> Tensor:
    """(N, C, H, W) -> what a pooling of POOLINGS makes of it."""
    return POOLINGS.need(how).function(values)


@dataclass(frozen=True)
class Reading:
    """What is read off a network, and how.

    stages: any of 'stem', the network's stages ('layer1', ...), 'pool' (what the classifier sees) and 'logits'.
    pool: of POOLINGS, how a stage's (C, H, W) becomes a vector ('gem' counts values below 1e-6 as 1e-6).
    precision: 'fp32', 'bf16' or 'fp16'. device: 'cpu' or 'cuda', as torch writes them.
    engine: 'torch' or 'openvino'; why: the reason for it, in words.
    """

    stages: tuple[str, ...]
    pool: str
    precision: str
    device: str
    engine: str = TORCH
    why: str = ""


def choose(
    network: ResidualNetwork,
    stages: Sequence[str] | None = None,
    pool: str = "mean",
    precision: str = "auto",
    device: str = "auto",
    engine: str = "auto",
) -> Reading:
    """A reading with its open choices made: None means every stage, 'auto' what is fastest here.

    Raises FeatureError for stages, pools, precisions, devices and engines that do not exist here.
    """
    known = stages_of(network)
    wanted = tuple(dict.fromkeys(stages)) if stages is not None else network.stage_names
    unknown = [name for name in wanted if name not in known]
    if not wanted:
        raise FeatureError(f"No stage is named. Choose of {', '.join(known)}.")
    if unknown:
        raise FeatureError(f"There is no stage {', '.join(unknown)}. This network has {', '.join(known)}.")
    POOLINGS.need(pool)
    try:
        place = best_device() if device == "auto" else torch.device(device)
    except RuntimeError:
        place = None
    if place is None or place.type not in ("cpu", "cuda"):
        raise FeatureError(f"The device is {device!r}. Wanted 'auto', 'cpu' or 'cuda'.")
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise FeatureError(
            f"The device is {device!r}, and this machine has {torch.cuda.device_count()} for CUDA. Leave the device at "
            "'auto', or choose 'cpu'."
        )
    if precision == "auto":
        precision = "bf16" if has_fast_bf16(place) else "fp32"
    if precision not in PRECISIONS:
        raise FeatureError(f"The precision is {precision!r}. Wanted 'auto' or one of {', '.join(PRECISIONS)}.")
    return Reading(
        wanted,
        pool,
        precision,
        "cpu" if place.type == "cpu" else str(place),
        *_choose_engine(engine, network, place.type, precision),
    )


def stages_of(network: ResidualNetwork) -> tuple[str, ...]:
    """Everything that can be read off a network, in its order."""
    return ("stem", *network.stage_names, POOLED, *((LOGITS,) if network.classifier is not None else ()))


def _choose_engine(engine: str, network: ResidualNetwork, device: str, precision: str) -> tuple[str, str]:
    """The engine and why it is that."""
    if engine not in ("auto", *ENGINES):
        raise FeatureError(f"The engine is {engine!r}. Wanted 'auto' or one of {', '.join(ENGINES)}.")
    obstacle = _against_openvino(device, precision)
    if engine == OPENVINO and obstacle:
        raise FeatureError(f"OpenVINO cannot be used: {obstacle}. Leave the engine at 'auto', or choose 'torch'.")
    if engine != "auto":
        return engine, "as asked for"
    if obstacle:
        return TORCH, obstacle
    if precision == "bf16" and _width(network) < NARROW:
        return TORCH, "OpenVINO rounds biases to bf16, which narrow networks do not bear"
    return OPENVINO, "the fastest measured on CPUs, and installed"


def _width(network: ResidualNetwork) -> int:
    """Channels of the last stage."""
    *_, (_, block) = network.blocks()
    return [layer for layer in block.branch.modules() if isinstance(layer, nn.Conv2d)][-1].out_channels


def _against_openvino(device: str, precision: str) -> str:
    if device != "cpu":
        return f"it is for CPUs, and the device is {device}"
    if precision == "fp16":
        return "OpenVINO does not compute in fp16 on CPUs"
    if importlib.util.find_spec(OPENVINO) is None:
        return "OpenVINO is not installed (requirements-openvino.txt)"
    return ""


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bf16 is faster than fp32 there: GPUs from Ampere on, CPUs with AVX512-BF16 or AMX."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


class Engine(Protocol):
    """Something that runs a network.

    name: what runs it, with its version. Calling it with pixels (N, C, S, S) uint8 on the CPU gives one array a stage:
    (N, D) float32, or (N, C, H, W) float16 for unpooled maps, and always 'logits' where there is a classifier.
    `begin` hands a batch over and gives what waits for the same arrays: a GPU computes meanwhile.
    """

    name: str

    def __call__(self, pixels: Tensor) -> dict[str, np.ndarray]: ...

    def begin(self, pixels: Tensor) -> Callable[[], dict[str, np.ndarray]]: ...
