"""Finds out what a file does not say, by what its batch norms keep of what they were given in training."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from features.errors import FeatureError
from features.networks.architecture import Architecture
from features.networks.card import ModelSpec
from features.networks.layout import ACTIVATIONS
from features.networks.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from features.networks.settings import Settings, applied

# Drawn from trained networks on eight photographs each: under the settings of their training 0.000 to 0.002 nats
# (ImageNet networks) and 0.001 to 0.020 (CIFAR networks, also under another set's mean and deviation), under others
# 0.013 at the least where the truth had 0.002; of noise, 0.17.
FITS, MISSES = 0.015, 0.008
DECISIVE = 2.5  # how many times worse the next one must fit
FLOOR = 0.001  # nats that tell nothing
BADLY = 0.05  # above which even the best is worth a warning
NOISE = 0.17  # from which on nothing is told


@dataclass(frozen=True)
class Hypothesis:
    """One way to take a file. settings: what differs from what is assumed."""

    title: str
    settings: Settings = ()


AS_GIVEN = Hypothesis("as assumed")


@dataclass(frozen=True)
class Tested:
    """A hypothesis with how far a network's norms are from their statistics under it, in nats.

    whole: whether it was run on all pictures to its end; else it was far behind others before, and its nats are those
    of the layers that it came to.
    """

    hypothesis: Hypothesis
    nats: float
    whole: bool = True

    def __str__(self) -> str:
        options = " ".join(f"--{name} {value}" for name, value in self.hypothesis.settings)
        told = f"{self.hypothesis.title} ({options})" if options else self.hypothesis.title
        return f"{told}: {self.nats:.2g} nats{'' if self.whole else ' at a glance'}"


@dataclass(frozen=True)
class Verdict:
    """What statistics say.

    pixels, structures: what was tested, the best first; structures under the best of the pixels.
    settings: those of the best that fit and are told from the others; () to take the file as assumed.
    settled: the fields of which nothing else that was tried fits nearly as well. has_statistics: whether the network
    keeps any; nothing is tested of one that does not.
    """

    pixels: tuple[Tested, ...]
    structures: tuple[Tested, ...]
    settings: Settings = ()
    settled: tuple[str, ...] = ()
    has_statistics: bool = True

    @property
    def nats(self) -> float:
        """Of the best."""
        return self.structures[0].nats if self.structures else float("nan")

    @property
    def nearer(self) -> tuple[Tested, ...]:
        """What is told to be nearer than what is assumed though it does not fit, so that it is not taken."""
        tells = FITS < self.nats < NOISE
        best = [each for each in (self.pixels, self.structures) if each] if tells else []
        given = [next((each for each in rows if each.hypothesis == AS_GIVEN), rows[0]) for rows in best]
        return tuple(rows[0] for rows, each in zip(best, given, strict=True) if told([rows[0], each]))

    @property
    def chosen(self) -> tuple[Tested, ...]:
        """What differs from what was assumed."""
        best = [each[0] for each in (self.pixels, self.structures) if each]
        return tuple(each for each in best if set(each.hypothesis.settings) & set(self.settings))

    @property
    def fits(self) -> bool:
        return self.nats <= FITS

    @property
    def fits_badly(self) -> bool:
        """Whether even the best is far from the statistics: pixels of another kind, or another network."""
        return self.nats > BADLY


PIXELS = {
    3: (
        Hypothesis("ImageNet's mean and standard deviation", (
            ("mean", ",".join(map(str, IMAGENET_MEAN))), ("std", ",".join(map(str, IMAGENET_STD))),
        )),
        Hypothesis("pixels from -1 to 1", (("range", "signed"),)),
        Hypothesis("pixels from 0 to 1", (("range", "unit"),)),
        Hypothesis("pixels from 0 to 255 less ImageNet's mean", (
            ("range", "bytes"), ("mean", ",".join(f"{255 * value:.6g}" for value in IMAGENET_MEAN)),
        )),
        Hypothesis("pixels from 0 to 255", (("range", "bytes"),)),
    ),
    1: (
        Hypothesis("pixels from -1 to 1", (("range", "signed"),)),
        Hypothesis("pixels from 0 to 1", (("range", "unit"),)),
        Hypothesis("pixels from 0 to 255", (("range", "bytes"),)),
    ),
}  # fmt: skip


def pixels_of(spec: ModelSpec) -> Iterator[Hypothesis]:
    """What else may have been done to pixels."""
    for hypothesis in PIXELS.get(spec.preprocessing.channels, ()):
        if applied(spec, hypothesis.settings)[0].preprocessing != spec.preprocessing:
            yield hypothesis


def structures_of(spec: ModelSpec, is_open: Callable[[str], bool]) -> Iterator[Hypothesis]:
    """Other structures with the same tensors, one difference each. is_open: whether a field is not known."""
    for title, fields, settings in _structures(spec.architecture):
        if all(map(is_open, fields)):
            try:
                other = applied(spec, settings)[0]
            except FeatureError:  # it does not go with what the network has
                continue
            if other.architecture != spec.architecture and _projects(other.architecture) == _projects(
                spec.architecture
            ):
                yield Hypothesis(title, settings)


def _projects(network: Architecture) -> list[bool]:
    """Which blocks have a projection, whose tensors are there or not."""
    return [block.shortcut == "projection" for block in network.plan()]


def _structures(network: Architecture) -> Iterator[tuple[str, tuple[str, ...], Settings]]:
    """Title, fields that must be open, settings."""
    stages = len(network.blocks)
    usual = [1, *[2] * (stages - 1)]
    last = (("strides", ",".join(map(str, [*usual[:-1], 1]))),)
    first = (("stride-at", "first"),)
    yield "stride in the first 1x1 of bottlenecks", ("stride_at",), first
    if network.stride_at == "first":
        yield "stride in the 3x3 of bottlenecks", ("stride_at",), (("stride-at", "middle"),)
    if network.block == "basic":
        for at, which in (("middle", "first"), ("last", "last")):
            yield f"stride in the {which} convolution of basic blocks", ("stride_at",), (("stride-at", at),)
    yield "blurred in the place of strides", ("antialias",), (("antialias", "blur"),)
    yield "averaged in the place of strides", ("antialias",), (("antialias", "average"),)
    if stages > 1:
        yield "last stage with stride 1", ("strides",), last
        yield "stride in the first 1x1, last stage with stride 1", ("stride_at", "strides"), (*first, *last)
    if stages > 2:
        ones = ["1"] * (stages - 2)
        dilated = (*last, ("dilation", ",".join([*ones, "1", "2"])))
        twice = (
            ("strides", ",".join(map(str, [*usual[:-2], 1, 1]))),
            ("dilation", ",".join([*ones, "2", "4"])),
        )
        yield "last stage dilated", ("strides", "dilations"), dilated
        yield "last two stages dilated", ("strides", "dilations"), twice
    if network.stem == "cifar":
        yield "max-pool after the stem", ("stem_pool",), (("stem-pool", "max"),)
        yield "stem of stride 2", ("stem_stride",), (("stem-stride", "2"),)
        both = (("stem-stride", "2"), ("stem-pool", "max"))
        yield "stem of stride 2 and max-pool", ("stem_stride", "stem_pool"), both
        yield "first stage with stride 2", ("strides",), (("strides", ",".join(["2"] * stages)),)
    else:
        yield "average pool after the stem", ("stem_pool",), (("stem-pool", "average"),)
        yield "no pool after the stem", ("stem_pool",), (("stem-pool", "none"),)
    for kind in ("average", "none"):
        yield f"{POOLED[kind]} before projections", ("shortcut_pool",), (("shortcut-pool", kind),)
    yield "projections of the input", ("shortcut_from",), (("shortcut-from", "input"),)
    yield "zeros of shortcuts at the end", ("shortcut_padding",), (("shortcut-padding", "end"),)
    yield "no shortcuts", ("shortcut",), (("shortcut", "none"),)
    for activation in ("silu", "gelu", "leaky_relu"):
        yield f"{ACTIVATIONS[activation]} for ReLU", ("activation",), (("activation", activation),)


POOLED = {"average": "average pool", "none": "no pool"}


def told(tested: Sequence[Tested]) -> bool:
    """Whether the best is told from the next; where there is no other there is nothing to tell."""
    return len(tested) > 1 and tested[1].nats >= DECISIVE * max(tested[0].nats, FLOOR)
