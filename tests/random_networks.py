"""Networks with drawn weights and BatchNorm statistics: no downloads, and nothing is left at its initial value."""

from collections.abc import Callable

import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d


def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """The same module with every parameter and BatchNorm statistic drawn anew, as training would leave them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                fan_in = part.weight[0].numel()
                part.weight.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
                if part.bias is not None:
                    part.bias.normal_(0, 0.1, generator=generator)
            elif isinstance(part, nn.GroupNorm):
                part.weight.uniform_(0.5, 1.5, generator=generator)
                part.bias.normal_(0, 0.2, generator=generator)
            elif isinstance(part, nn.BatchNorm2d | FrozenBatchNorm2d):
                part.weight.uniform_(0.5, 1.5, generator=generator)
                part.bias.normal_(0, 0.2, generator=generator)
                part.running_mean.normal_(0, 0.2, generator=generator)
                part.running_var.uniform_(0.5, 2, generator=generator)
    return module


def drawn(build: Callable[..., nn.Module], seed: int = 0, **settings: object) -> nn.Module:
    """A network in eval mode with drawn weights and statistics, without the time that its own initialisation takes."""
    with torch.device("meta"):
        module = build(**settings)
    module.to_empty(device="cpu")
    for buffer in module.buffers():
        buffer.zero_()
    return randomise(module, seed).eval()
