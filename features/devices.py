"""What networks run on, and how float32 is computed there."""

import platform

import torch
from torch import nn

# PyTorch lets cuDNN round the factors of float32 convolutions to 10 bits. Here fp32 is float32: what is fast is bf16.
torch.backends.cudnn.allow_tf32 = False
torch.backends.cuda.matmul.allow_tf32 = False  # as it comes; whoever runs this may have set it


def best_device() -> torch.device:
    """The GPU when there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name() -> str:
    """The best device in words."""
    if best_device().type == "cuda":
        return f"the GPU ({torch.cuda.get_device_name()})"
    threads = torch.get_num_threads()
    return f"the CPU ({threads} thread{'s' if threads > 1 else ''})"


def processor_name(device: torch.device) -> str:
    """What computes there, as its maker calls it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return str(torch.cpu.get_capabilities().get("cpu_name") or platform.processor() or platform.machine())


def device_of(network: nn.Module) -> torch.device:
    """Where the network's parameters lie."""
    return next(network.parameters()).device
