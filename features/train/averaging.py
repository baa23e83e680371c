"""A running average of a network's weights over the steps of a training."""

from typing import Any

import torch
from torch import nn

from features.networks.canonical import ResidualNetwork, own_copy


class Average:
    """The exponential moving average of all weights and running statistics (Polyak and Juditsky 1992).

    Its decay rises to the one asked for, (1 + t) / (10 + t) at step t, so that the first weights are soon
    forgotten. What does not change stays as it is to the last bit.
    """

    def __init__(self, network: ResidualNetwork, decay: float) -> None:
        self.network, self.decay, self.steps = own_copy(network), decay, 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the weights after a step."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        latest = network.state_dict()
        for name, mean in self.network.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(latest[name], 1 - decay)
            else:  # counters
                mean.copy_(latest[name])
        self.steps += 1

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.steps = state["steps"]
