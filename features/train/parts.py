"""Which parts of a network are trained, and how fast each."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from features.errors import FeatureError
from features.networks.canonical import ResidualNetwork
from features.train.recipe import ALL_BUT_HEAD, Recipe

STEM, HEAD = "stem", "head"
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class Parts:
    """A network in training as its stem, stages and head, of which some may be frozen.

    A frozen part is as it was to the last bit: its parameters get no gradients, its norms use their running statistics
    and leave them, and what lies before the first part that learns runs without a graph.
    """

    def __init__(self, network: ResidualNetwork, recipe: Recipe) -> None:
        """Raises FeatureError for parts to freeze that the network does not have, and if nothing is left to learn."""
        self.network, self.recipe = network, recipe
        self.modules = {STEM: network.stem, **network.stages, HEAD: network.head}
        self.frozen, self.begins_at = self._frozen_at_first(), STEM
        self.prepare(0)

    def _frozen_at_first(self) -> tuple[str, ...]:
        """In the network's order."""
        text = self.recipe.freeze
        wanted = (
            {*self.modules} - {HEAD} if text == ALL_BUT_HEAD else {part.strip() for part in text.split(",") if text}
        )
        strange = sorted(wanted - {*self.modules})
        if strange:
            raise FeatureError(
                f"The network has no part {strange[0]!r} to freeze. Its parts are {', '.join(self.modules)}; "
                f"{ALL_BUT_HEAD} is all but the last."
            )
        if wanted == {*self.modules}:
            raise FeatureError("Every part of the network is to be frozen, and nothing can be learned. Leave one out.")
        return tuple(name for name in self.modules if name in wanted)

    def frozen_in(self, epoch: int) -> tuple[str, ...]:
        """The parts that stay as they are in an epoch, counted from 0: one less every `unfreeze_epochs`."""
        every = self.recipe.unfreeze_epochs
        return self.frozen[: max(len(self.frozen) - epoch // every, 0)] if every else self.frozen

    def prepare(self, epoch: int) -> None:
        """Set the network to train mode, but for what is frozen in this epoch."""
        frozen = self.frozen_in(epoch)
        for name, part in self.modules.items():
            part.train(name not in frozen).requires_grad_(name not in frozen)
        if self.recipe.norm_statistics == "frozen":
            for module in self.network.modules():
                if isinstance(module, BATCH_NORMS):
                    module.eval()
        learning = [name for name in self.modules if name not in frozen]
        self.first_learning = learning[0]

    def untouched(self, epochs: int) -> list[str]:
        """The tensors that no epoch of so many changes."""
        parts = [self.modules[name] for name in self.frozen_in(max(epochs - 1, 0))]
        inside = {id(tensor) for part in parts for tensor in (*part.parameters(), *part.buffers())}
        tensors = (*self.network.named_parameters(), *self.network.named_buffers())
        return [name for name, tensor in tensors if id(tensor) in inside]

    @property
    def unchanging(self) -> bool:
        """Whether the same parts in front are frozen in every epoch, so that what they put out can be kept."""
        behind = self.first_learning != HEAD or not len(self.network.neck)
        return self.first_learning != STEM and not self.recipe.unfreeze_epochs and behind

    def put_out(self, pixels: Tensor) -> Tensor:
        """What the parts before the first one that learns make of pixels: maps, or for the head pooled features."""
        x = pixels
        with torch.no_grad():
            for name, part in self.modules.items():
                if name == self.first_learning:
                    break
                x = part(x)
            return self.network.head[:-1](x) if self.first_learning == HEAD else x  # (N, D), or (N, C, H, W)

    def begin_behind(self) -> None:
        """From now on take what `put_out` gives in the place of pixels."""
        self.begins_at = self.first_learning

    def logits(self, pixels: Tensor) -> Tensor:
        """(N, K) of pixels (N, C, S, S); without a classifier the features (N, D)."""
        if self.begins_at == HEAD:
            return self.network.head[-1](pixels)
        return self.modules[HEAD](self.trunk(pixels))

    def features(self, pixels: Tensor) -> Tensor:
        """The features (N, D) that a classifier would see."""
        return pixels if self.begins_at == HEAD else self.network.pooled(self.trunk(pixels))

    def trunk(self, pixels: Tensor) -> Tensor:
        """The last stage's output (N, C, H, W). Parts before the first one that learns run without a graph."""
        x, learns = pixels, False
        for name in [*self.modules][[*self.modules].index(self.begins_at) : -1]:
            learns = learns or name == self.first_learning
            with torch.set_grad_enabled(learns and torch.is_grad_enabled()):
                x = self.modules[name](x)
        return x  # (N, C, H, W)

    def groups(self, learner: nn.Module | None = None) -> list[dict[str, Any]]:
        """Parameters as optimizers take them: those of one learning rate and weight decay together.

        learner: whose own parameters learn as the head's do.
        """
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        seen: set[int] = set()
        for rate, parameter in self._rated(learner):
            if id(parameter) in seen:  # of norms that a branch shares with its shortcut
                continue
            seen.add(id(parameter))
            decayed = self.recipe.weight_decay_on == "all" or parameter.ndim > 1  # norms and biases have one axis
            decay = self.recipe.weight_decay if decayed else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
        return [{"params": members, "lr": rate, "weight_decay": decay} for (rate, decay), members in groups.items()]

    def _rated(self, learner: nn.Module | None) -> Iterator[tuple[float, nn.Parameter]]:
        depths = {name: depth for depth, name in enumerate(reversed(self.modules))}
        for name, part in self.modules.items():
            rate = self.recipe.learning_rate * self.recipe.stage_decay ** depths[name]
            yield from ((rate, parameter) for parameter in part.parameters())
        if learner is not None:
            yield from ((self.recipe.learning_rate, parameter) for parameter in learner.parameters())
