"""Tells what a network is made of: shapes, layers, parameters, operations and receptive fields."""

from dataclasses import dataclass, replace
from functools import cache

from features.networks.architecture import Architecture
from features.networks.layout import HEAD_POOLS, BlockPlan, Conv, Layer, Layers, Linear


@dataclass(frozen=True)
class Part:
    """One step of the network: the stem, a block, or the head.

    kind: 'stem', 'basic', 'bottleneck' or 'head'. stage: '' for stem and head.
    inputs, outputs: (C, H, W), or (K,) after the head.
    layers: the branch's (or stem's, head's) layers, as text.
    shortcut: as ResidualBlock.shortcut_kind, '' outside blocks.
    parameters: weights and biases that are learned.
    macs: multiply-adds of convolutions and the classifier for one image.
    receptive_field, stride: side in input pixels of what one output position sees along the longest path, and
        the distance between neighbouring positions; 0 for the head, which sees everything.
    """

    name: str
    stage: str
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    layers: tuple[str, ...]
    shortcut: str
    parameters: int
    macs: int
    receptive_field: int
    stride: int


@dataclass(frozen=True)
class Anatomy:
    """All parts of a network in order, for images of `side` x `side` pixels."""

    parts: tuple[Part, ...]
    side: int

    @property
    def parameters(self) -> int:
        return sum(part.parameters for part in self.parts)

    @property
    def macs(self) -> int:
        """Multiply-adds for one image; papers and torchvision call these FLOPs."""
        return sum(part.macs for part in self.parts)

    @property
    def receptive_field(self) -> int:
        """Side in pixels of what one position before the head sees; it may exceed the image."""
        return max(part.receptive_field for part in self.parts)


@cache
def anatomy(architecture: Architecture, side: int) -> Anatomy:
    """Walk an architecture with an image of `side` pixels; needs neither weights nor PyTorch.

    Only a network that another library builds is built, without its weights, and measured.
    """
    if architecture.builder:
        from features.networks.measured import built

        return built(architecture, side)
    walk = Walk(architecture.in_channels, side)
    parts = [walk.part("stem", "", "stem", architecture.stem_layers())]
    parts += [walk.block(plan, architecture.block) for plan in architecture.plan()]
    parts.append(walk.head(architecture))
    return Anatomy(tuple(parts), side)


class Walk:
    """What one part hands to the next: the shape, and how far a position of it sees.

    Receptive field and stride grow layer by layer (Araujo et al. 2019, doi:10.23915/distill.00021). The gates of
    channel attention, which are made of the whole image, are left out of account.
    """

    def __init__(self, channels: int, side: int) -> None:
        self.channels, self.side = channels, side
        self.field = self.stride = 1

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels, self.side, self.side

    def part(self, name: str, stage: str, kind: str, layers: Layers, shortcut: str = "", beside: int = 0) -> Part:
        """Go through the layers of a part. beside: parameters that are not in these."""
        inputs = self.shape
        macs = sum(self._pass(layer) for _, layer in layers)
        parameters = sum(layer.parameters for _, layer in layers) + beside
        words = tuple(layer.describe() for _, layer in layers)
        return Part(name, stage, kind, inputs, self.shape, words, shortcut, parameters, macs, self.field, self.stride)

    def block(self, plan: BlockPlan, kind: str) -> Part:
        macs, beside, side = 0, 0, self.side
        for _, layer in plan.projection:
            side = layer.side(side)
            macs, beside = macs + layer.macs(side), beside + layer.parameters
        made = self.part(plan.name, plan.stage, kind, plan.branch, plan.shortcut, beside)
        return replace(made, macs=made.macs + macs)

    def head(self, architecture: Architecture) -> Part:
        neck = architecture.neck_layers()
        inputs, layers = self.shape, [layer for _, layer in (*neck, *architecture.head_layers())]
        words = [layer.describe() for layer in layers]
        words.insert(len(neck), HEAD_POOLS[architecture.head_pool].words)
        widths = [layer.outputs for layer in layers if isinstance(layer, Linear)]
        outputs = (widths[-1] if widths else architecture.pooled_features,)
        parameters, macs = sum(layer.parameters for layer in layers), sum(layer.macs(1) for layer in layers)
        return Part("head", "", "head", inputs, outputs, tuple(words), "", parameters, macs, 0, 0)

    def _pass(self, layer: Layer) -> int:
        """Go through a layer; its multiply-adds."""
        self.see(*layer.window)
        self.side = layer.side(self.side)
        if isinstance(layer, Conv):
            self.channels = layer.outputs
        return layer.macs(self.side)

    def see(self, window: int, stride: int) -> None:
        """Go through squares of `window` pixels, `stride` from one to the next."""
        self.field += (window - 1) * self.stride
        self.stride *= stride
