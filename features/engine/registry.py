"""Every way to run a network: what it is called, where it can be used, and what starts it."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from features.engine.plan import CUDA_GRAPHS, OPENVINO, TORCH, TORCH_PLAIN, Plan, Runner
from features.networks.canonical import ResidualNetwork
from features.networks.preprocessing import Preprocessing
from features.registry import Registry

# In bf16 OpenVINO read 4 of 1,000 images of a CIFAR ResNet-20 (64 channels) at a cosine below 0.9999 with fp32, PyTorch
# none; of a ResNet-18 (512 channels) neither did.
NARROW = 256

Start = Callable[[ResidualNetwork, Preprocessing, Plan, str], Runner]


@dataclass(frozen=True)
class Engine:
    """A way to run a network.

    name: on the command line and in manifests. title: for people.
    start: makes a runner of a network, its preprocessing, a plan, and what the weights are known by ('' for nothing),
        for what an engine keeps on disk. It imports what the engine needs.
    obstacle: device and precision -> why it cannot be used there, '' if it can.
    doubt: network, device and precision -> why 'auto' does not take it, '' if it may.
    """

    name: str
    title: str
    start: Start
    obstacle: Callable[[torch.device, str], str]
    doubt: Callable[[ResidualNetwork, torch.device, str], str]


def has_fast_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for bf16: GPUs from Ampere on, CPUs with AVX512-BF16 or AMX."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def title_of(plan: Plan) -> str:
    """A plan's precision and engine for people."""
    return f"{plan.precision} with {ENGINES[plan.engine].title}"


def _start_torch(network: ResidualNetwork, preprocessing: Preprocessing, plan: Plan, key: str) -> Runner:
    from features.engine.torch_engine import TorchEngine

    return TorchEngine(network, preprocessing, plan)


def _start_cuda_graphs(network: ResidualNetwork, preprocessing: Preprocessing, plan: Plan, key: str) -> Runner:
    from features.engine.cuda_graphs import CudaGraphEngine

    return CudaGraphEngine(network, preprocessing, plan)


def _start_openvino(network: ResidualNetwork, preprocessing: Preprocessing, plan: Plan, key: str) -> Runner:
    from features.engine.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(network, preprocessing, plan, key)


def _on_cpus(device: torch.device, precision: str) -> str:
    return "" if device.type == "cuda" else f"it is for NVIDIA GPUs, and the device is {device.type}"


def _nowhere(device: torch.device, precision: str) -> str:
    return ""


def _without_doubt(network: ResidualNetwork, device: torch.device, precision: str) -> str:
    return ""


def _slow_in_half(network: ResidualNetwork, device: torch.device, precision: str) -> str:
    if precision == "bf16" and not has_fast_bf16(device):
        return "PyTorch computes bf16 in software on this processor"
    return ""


def _on_gpus(device: torch.device, precision: str) -> str:
    return "" if device.type == "cpu" else f"it is for CPUs, and the device is {device.type}"


def _but_in_bf16(network: ResidualNetwork, device: torch.device, precision: str) -> str:
    if precision != "bf16":
        return "it was never the faster in other precisions than bf16"
    return _slow_in_half(network, device, precision)


def _against_openvino(device: torch.device, precision: str) -> str:
    if device.type != "cpu":
        return _on_gpus(device, precision)
    if precision == "fp16":
        return "OpenVINO does not compute in fp16 on CPUs"
    if importlib.util.find_spec(OPENVINO) is None:
        return "OpenVINO is not installed (requirements-openvino.txt)"
    return ""


def _too_narrow(network: ResidualNetwork, device: torch.device, precision: str) -> str:
    *_, (_, block) = network.blocks()
    channels = [layer for layer in block.branch.modules() if isinstance(layer, nn.Conv2d)][-1].out_channels
    if precision == "bf16" and channels < NARROW:
        return "OpenVINO rounds biases to bf16, which narrow networks do not bear"
    return ""


ENGINES = Registry(
    "engine",
    (
        Engine(TORCH, "PyTorch", _start_torch, _nowhere, _slow_in_half),
        # As fast for large batches, much faster for small ones: 6 times for a ResNet-56 on one image (H100).
        Engine(CUDA_GRAPHS, "PyTorch's CUDA graphs", _start_cuda_graphs, _on_cpus, _without_doubt),
        # What torchvision's own networks are run by. Here so that a processor on which ready weights are a hindrance,
        # as they once were in bf16 on AMX, is never slower than with those.
        Engine(TORCH_PLAIN, "PyTorch's ordinary convolutions", _start_torch, _on_gpus, _but_in_bf16),
        Engine(OPENVINO, "OpenVINO", _start_openvino, _against_openvino, _too_narrow),
    ),
)
