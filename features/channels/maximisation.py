"""Activation maximisation: a picture that a channel answers to as strongly as gradient ascent can make it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from features.channels import fourier
from features.channels.layers import STEM, layer_named
from features.channels.lesions import need_channels
from features.channels.results import Layer
from features.devices import device_of
from features.engine import FastNetwork, forward
from features.errors import FeatureError
from features.networks.preprocessing import Preprocessing, from_dark_to_bright
from features.networks.zoo import Model
from features.progress import Progress, Task
from features.registry import Registry
from features.results import Provenance, finite, provenance

MEAN, CENTRE = "mean", "centre"
STEPS = 256
RATE = 0.05
MAX_STEPS = 4096


@dataclass(frozen=True)
class Goal:
    """What is made as large as possible, of a channel's map. title: for people. of: (..., H, W) -> (...).

    best: the greatest that images of a set have, of their layer and the channel.
    """

    name: str
    title: str
    of: Callable[[Tensor], Tensor]
    best: Callable[[Layer, int], float]


GOALS = Registry(
    "goal",
    (
        Goal(
            MEAN,
            "the mean over all positions",
            lambda maps: maps.mean((-2, -1)),
            lambda layer, channel: float(layer.means[:, channel].max()),
        ),
        Goal(
            CENTRE,
            "the position in the centre",
            lambda maps: maps[..., maps.shape[-2] // 2, maps.shape[-1] // 2],
            lambda layer, channel: float(layer.highest[channel]),
        ),
    ),
)


@dataclass(frozen=True)
class Ascent:
    """How a picture is sought. goal: a name of GOALS. steps: of Adam. seed: of the start and of how it is shaken.

    shaken: whether every step sees the picture shifted, scaled and turned by chance.
    Raises FeatureError for a goal that does not exist and fewer than 1 or more than MAX_STEPS steps.
    """

    goal: str = MEAN
    steps: int = STEPS
    seed: int = 0
    shaken: bool = True

    def __post_init__(self) -> None:
        GOALS.need(self.goal)
        if not 1 <= self.steps <= MAX_STEPS:
            raise FeatureError(f"Wanted 1 to {MAX_STEPS:,} steps, but got {self.steps:,}.")


@dataclass(frozen=True, eq=False)
class Maximised:
    """A picture that a channel answers to. It is one of many maxima, and none of what the network was trained on.

    layer: 'stem' or a block. pixels: (C, S, S) float32 from 0 to 255, in the order of the network's planes. curve: (T,)
    float32, the goal before each of T steps, of the picture as it was shaken then. start, reached: the goal for the
    first picture and for the last one, both unshaken.
    """

    layer: str
    channel: int
    ascent: Ascent
    pixels: np.ndarray
    curve: np.ndarray
    start: float
    reached: float
    preprocessing: Preprocessing
    provenance: Provenance

    @property
    def picture(self) -> np.ndarray:
        """(S, S, 3) uint8: colours as they are, a single plane as grey, of other planes those that stand for colours,
        each from dark to bright."""
        planes = self.pixels.transpose(1, 2, 0)  # (S, S, C)
        if planes.shape[2] not in (1, 3):
            return from_dark_to_bright(planes[:, :, [plane % planes.shape[2] for plane in self.preprocessing.shown]])
        values = planes[:, :, ::-1] if self.preprocessing.channel_order == "bgr" else planes
        return np.rint(np.broadcast_to(values, (*values.shape[:2], 3))).astype(np.uint8)

    def beside(self, layer: Layer) -> float:
        """What was reached as a multiple of the most that an image of a set reaches; NaN where that is not above 0.

        layer: the same layer, measured. Of the mean over positions, the most of the images whose numbers were kept.
        Raises FeatureError for another layer.
        """
        if layer.name != self.layer:
            raise FeatureError(f"The picture is of {self.layer}, but {layer.name} was measured. Measure {self.layer}.")
        best = GOALS[self.ascent.goal].best(layer, self.channel)
        return self.reached / best if best > 0 else float("nan")

    def as_dict(self) -> dict[str, Any]:
        """All but the picture, as JSON can hold it."""
        return {
            "layer": self.layer,
            "channel": self.channel,
            **asdict(self.ascent),
            "start": self.start,
            "reached": self.reached,
            "curve": [float(value) for value in self.curve],
            "provenance": self.provenance.as_dict(),
        }


def maximise(model: Model, layer: str, channel: int, ascent: Ascent = Ascent()) -> Task[Maximised]:
    """Seek a picture that a channel of a layer answers to, by gradient ascent on its Fourier coefficients, in fp32.

    layer: 'stem', a block, or a stage for its last block. The picture is as large as the network's input. Where the
    channel is silent, and so has no gradient, it is raised before the layer's last activation until it is not.
    The same seed gives the same picture on a CPU with the same version of PyTorch, and one much like it on a GPU, which
    adds the gradients of the shaken picture's pixels in no fixed order.
    Olah, Mordvintsev & Schubert 2017, "Feature Visualization", doi:10.23915/distill.00007.
    Raises FeatureError if there is no such layer or channel, or if the network puts out NaN or infinite values.
    """
    name = layer_named(model.network, layer)
    preprocessing, device = model.spec.preprocessing, device_of(model.network)
    need_channels(model, name, [channel])
    climber = _Climber(model, name, channel, ascent)
    first = climber.pixels()
    curve = np.zeros(ascent.steps, np.float32)
    for step in range(ascent.steps):
        yield Progress(step, ascent.steps, "step", f"channel {channel} of {name}")
        curve[step] = climber.step()
    last = climber.pixels()
    return Maximised(
        layer=name,
        channel=channel,
        ascent=ascent,
        pixels=last[0].cpu().numpy(),
        curve=curve,
        start=climber.answer(first),
        reached=climber.answer(last),
        preprocessing=preprocessing,
        provenance=provenance(model, device=str(device)).with_settings(layer=name, channel=channel, **asdict(ascent)),
    )


class _Climber:
    """One ascent: a picture's coefficients and what is needed to change them."""

    def __init__(self, model: Model, layer: str, channel: int, ascent: Ascent) -> None:
        preprocessing, device = model.spec.preprocessing, device_of(model.network)
        self.model, self.channel, self.ascent = model, channel, ascent
        self.network = FastNetwork(model.network, preprocessing, torch.float32, device)
        blocks = list(self.network.blocks())
        at = 0 if layer == STEM else [name for name, _ in blocks].index(layer) + 1
        self.blocks = [block for _, block in blocks[:at]]
        self.goal = GOALS[ascent.goal].of
        with torch.inference_mode(False):
            self.generator = torch.Generator().manual_seed(ascent.seed)  # on the CPU, the same for every device
            self.canvas = fourier.canvas(preprocessing, device)
            self.coefficients = fourier.drawn(preprocessing, self.generator).to(device).requires_grad_()
            self.optimizer = torch.optim.Adam([self.coefficients], lr=RATE)

    # Modes are entered here and not around the loop: a generator would leave them with whoever it has handed something.
    def step(self) -> float:
        """Climb one step; what the goal was before it."""
        with torch.inference_mode(False), torch.enable_grad():
            pixels = self.canvas.pixels(self.coefficients)
            seen = fourier.shaken(pixels, self.generator) if self.ascent.shaken else pixels
            output, total = self._maps(seen)
            reached = finite(self.goal(output).detach(), self.model)
            rising = self.goal(output if reached != 0 else total)
            (gradient,) = torch.autograd.grad(-rising, self.coefficients)
        self.coefficients.grad = gradient
        self.optimizer.step()
        return float(reached)

    @torch.no_grad()
    def pixels(self) -> Tensor:
        """The picture as it is now, (1, C, S, S)."""
        return self.canvas.pixels(self.coefficients)

    @torch.no_grad()
    def answer(self, pixels: Tensor) -> float:
        """The goal of the layer's output for a picture."""
        return float(self.goal(finite(self._maps(pixels)[0], self.model)))

    def _maps(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """The channel's map (H, W) behind and before the layer's last activation; of the stem behind it twice."""
        x = self.network.stem(pixels.contiguous(memory_format=torch.channels_last))
        if not self.blocks:
            return x[0, self.channel], x[0, self.channel]
        *below, block = self.blocks
        total = forward.pre_activation(block, forward.through(below, x))  # (1, C, H, W)
        output = block.activation(total.clone())  # a clone, since it may work in place
        return output[0, self.channel], total[0, self.channel]
