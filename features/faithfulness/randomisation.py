"""The randomisation check: maps that stay the same when the weights are drawn anew do not show what was learnt."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from features.faithfulness.metrics import rank_correlations
from features.networks.canonical import ResidualNetwork, own_copy
from features.progress import Progress, Result, Task, retold
from features.saliency import ClassTarget, Explainer, SaliencyMaps, StageTarget, Tap, Target, explain

HEAD, STEM = "head", "stem"


@dataclass(frozen=True, eq=False)
class Randomised:
    """Maps of a network, and of the same with its weights drawn anew part by part (Adebayo et al. 2018,
    arXiv:1810.03292).

    intact: the network's own maps. redrawn: part -> maps of the same targets at the same taps once everything from
    what is explained down to this part is drawn anew: from the head for a class, from a stage for what it makes.
    """

    intact: SaliencyMaps
    redrawn: dict[str, SaliencyMaps]

    def correlations(self, tap: Tap) -> np.ndarray:
        """(P, N) Spearman's correlation of each part's maps at a tap with the network's own; NaN of constant maps."""
        own = self.intact.maps[tap]
        return np.stack([rank_correlations(own, drawn.maps[tap]) for drawn in self.redrawn.values()])


def randomised(
    explainer: Explainer,
    pixels: Tensor,
    targets: Sequence[Target],
    method: str = "gradcam",
    taps: Sequence[Tap] | None = None,
    seed: int = 0,
) -> Task[Randomised]:
    """The randomisation check of a method on pixels (N, C, H, W), for the classes that the intact network predicts.

    All else as `saliency.explain`, seed: of the weights too.
    """
    explainer.top(targets)  # all are of one kind, and of what the network has
    stage = next((target.stage for target in targets if isinstance(target, StageTarget)), None)
    parts = _parts(explainer.network, stage)
    networks = len(parts) + 1
    intact = yield from _counted(explain(explainer, pixels, targets, method, taps, seed=seed), 0, networks)
    definite = [
        replace(target, index=int(index)) if isinstance(target, ClassTarget) else target
        for target, index in zip(targets, intact.class_ids, strict=True)
    ]
    redrawn: dict[str, SaliencyMaps] = {}
    for done, (part, other) in enumerate(drawn_anew(explainer, seed, parts), start=1):
        yield Progress(done, networks, "network", f"drawn anew down to {part}")
        redrawn[part] = yield from _counted(
            explain(other, pixels, definite, method, taps, seed=seed), done, networks, f"drawn anew down to {part}: "
        )
    return Randomised(intact, redrawn)


def _counted(task: Task[Result], done: int, networks: int, note: str = "") -> Task[Result]:
    """A task as one of several networks'."""

    def of_networks(inner: Progress) -> Progress:
        return Progress(done, networks, "network", f"{note}{inner.done:,} of {inner.total:,} {inner.unit}s")

    return retold(task, of_networks)


def _parts(network: ResidualNetwork, stage: str | None = None) -> list[str]:
    """What lies below a stage, with itself, from there down; None for all of the network, from the head down."""
    down = [HEAD, *reversed(network.stage_names), STEM]
    return down if stage is None else down[down.index(stage) :]


def drawn_anew(explainer: Explainer, seed: int, parts: Sequence[str] | None = None) -> Iterator[tuple[str, Explainer]]:
    """Networks whose head, then last stage, ..., then stem are drawn anew, each with all that was drawn before.

    parts: which of them, in this order; None for all. Every parameter becomes a draw from the normal distribution with
    its mean and standard deviation.
    """
    model = explainer.model
    network = own_copy(model.network)
    generator = torch.Generator().manual_seed(seed)
    modules = {HEAD: network.head, STEM: network.stem, **dict(network.stages.items())}
    for name in _parts(network) if parts is None else parts:
        with torch.no_grad():
            for parameter in modules[name].parameters():
                spread = parameter.std(unbiased=False).item()
                drawn = torch.randn(parameter.shape, generator=generator) * spread + parameter.mean().item()
                parameter.copy_(drawn)
        changed = replace(model, network=own_copy(network), variant=f"drawn anew down to {name} with seed {seed}")
        yield name, Explainer(changed, explainer.precision)
