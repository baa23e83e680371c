"""Networks with drawn weights and BatchNorm statistics: no downloads, and nothing is left at its initial value."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torchvision.models.resnet import ResNet
from torchvision.ops import FrozenBatchNorm2d

from features.networks.modules import ChannelNorm, ScalarBias, ScalarFactor

# Of torchvision's classifiers one of each kind: basic blocks, bottlenecks, bottlenecks of groups with an own width.
ONE_OF_EACH_KIND = ("resnet18", "resnet50", "resnext50_32x4d")


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
            elif isinstance(part, nn.GroupNorm | ChannelNorm | nn.InstanceNorm2d):
                part.weight.uniform_(0.5, 1.5, generator=generator)
                part.bias.normal_(0, 0.2, generator=generator)
            elif isinstance(part, ScalarBias):
                part.bias.normal_(0, 0.2, generator=generator)
            elif isinstance(part, ScalarFactor):
                part.weight.uniform_(0.5, 1.5, generator=generator)
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


class Narrow(ResNet):
    """torchvision's ResNet with a quarter of its channels, whose files are a sixteenth of the size."""

    def __init__(self, block: type, layers: list[int], num_classes: int) -> None:
        with torch.device("meta"):
            super().__init__(block, layers, num_classes)
        self.inplanes = 16
        self.conv1 = nn.Conv2d(3, 16, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for number, count in enumerate(layers):
            setattr(self, f"layer{number + 1}", self._make_layer(block, 16 << number, count, 1 + (number > 0)))
        self.fc = nn.Linear(128 * block.expansion, num_classes)


@contextmanager
def undrawn() -> Iterator[None]:
    """Layers made here hold what was in memory until `randomise` draws them, so that they are drawn once."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("kaiming_uniform_", "kaiming_normal_", "uniform_", "normal_", "trunc_normal_"):
            patch.setattr(nn.init, name, lambda tensor, *_, **__: tensor)
        yield
