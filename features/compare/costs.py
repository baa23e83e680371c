"""What a network takes: parameters and multiply-adds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from features.networks.measured import measured
from features.networks.zoo import Model
from features.progress import Progress, Task


@dataclass(frozen=True)
class Cost:
    """macs: multiply-adds for one image."""

    parameters: int
    macs: int

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {"parameters": self.parameters, "gflops": self.macs / 1e9}


def costs(models: Sequence[Model]) -> Task[tuple[Cost, ...]]:
    """Of each network, as it is: a lesion takes blocks away."""
    yield Progress(0, 1, "network", "cost")
    told = (measured(model.network, model.spec.preprocessing.crop) for model in models)
    return tuple(Cost(each.parameters, each.macs) for each in told)
