"""Finds out what a file does not say, by what its batch norms keep of what they were given in training."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from features.errors import FeatureError
from features.networks import fingerprint
from features.networks.architecture import Architecture
from features.networks.canonical import ResidualNetwork
from features.networks.card import ModelSpec
from features.networks.layout import ACTIVATIONS
from features.networks.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from features.networks.settings import BY_NAME, Settings, applied

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

# Drawn from trained networks on eight photographs each: under the settings of their training 0.000 to 0.002 nats
# (ImageNet networks) and 0.001 to 0.020 (CIFAR networks, also under another set's mean and deviation), under others
# 0.013 at the least where the truth had 0.002; of noise, 0.17.
FITS, MISSES = 0.015, 0.008
DECISIVE = 2.5  # how many times worse the next one must fit
FLOOR = 0.001  # nats that tell nothing
GLANCE = 3  # pictures on which everything is tried first
NEAR, MOST = 4.0, 6  # how many times as far as the best, and how many, are tried on all pictures then
FEWEST = 6  # pictures
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
        return tuple(rows[0] for rows, each in zip(best, given, strict=True) if _told([rows[0], each]))

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


def judge(
    spec: ModelSpec,
    network: ResidualNetwork,
    rebuilt: Callable[[Architecture], ResidualNetwork],
    is_open: Callable[[str], bool],
    pictures: Sequence["Image"],
) -> Verdict:
    """Test ways to take a file on some pictures.

    network: as assumed. rebuilt: the same weights in another architecture. is_open: whether a field of the architecture
    or of the preprocessing is neither known nor chosen, so that others are tested.
    """
    if len(pictures) < FEWEST:
        return Verdict((), ())
    if not fingerprint.has_statistics(network):
        return Verdict((), (), has_statistics=False)
    open_pixels = is_open("mean") and is_open("std")
    trial = _Trial(spec, network, rebuilt, pictures)
    ways = (AS_GIVEN, *(pixels_of(spec) if open_pixels else ()))
    others = tuple(structures_of(spec, is_open))
    pixels, structures = trial.best(ways, others)
    fits = structures[0].nats <= FITS
    close = [each for each in structures if not _told([structures[0], each])]
    settled: set[str] = set()
    if fits and open_pixels and _told(pixels):
        settled |= {"mean", "std"}
    if fits:
        settled |= _fields(others) - _fields(each.hypothesis for each in close if len(close) > 1)
    # What is assumed is given up only where it does not fit and is told from the best.
    given = next(each for each in structures if each.hypothesis == AS_GIVEN)
    differs = fits and given.nats >= MISSES and AS_GIVEN not in [each.hypothesis for each in close]
    chosen = (
        *(pixels[0].hypothesis.settings if "mean" in settled else ()),
        *(structures[0].hypothesis.settings if differs else ()),
    )
    return Verdict(tuple(pixels), tuple(structures), chosen, tuple(sorted(settled)))


def _fields(ways: Iterable[Hypothesis]) -> set[str]:
    return {field for way in ways for name, _ in way.settings for field in BY_NAME[name].fields}


def _told(tested: Sequence[Tested]) -> bool:
    """Whether the best is told from the next; where there is no other there is nothing to tell."""
    return len(tested) > 1 and tested[1].nats >= DECISIVE * max(tested[0].nats, FLOOR)


class _Trial:
    """Runs a network under hypotheses: first all on a few pictures, then those that are near the best on all.

    What is far behind the best so far is not run to its end.
    """

    def __init__(
        self,
        spec: ModelSpec,
        network: ResidualNetwork,
        rebuilt: Callable[[Architecture], ResidualNetwork],
        pictures: Sequence["Image"],
    ) -> None:
        self.spec, self.network, self.pictures = spec, network, pictures
        self.rebuilt = cache(rebuilt)  # most structures are run several times; all share the weights

    def best(self, ways: Sequence[Hypothesis], others: Sequence[Hypothesis]) -> tuple[list[Tested], list[Tested]]:
        """Pixels under the best structure and structures under the best pixels, the best first of both."""
        glances = self._pixels(ways, AS_GIVEN)
        pixels, structures = glances[0].hypothesis, self._structures(glances[0].hypothesis, others, GLANCE)
        if structures[0].nats > BADLY:  # pixels cannot be told under a structure that is wrong
            for glance in glances[1:]:
                tested = self._structures(glance.hypothesis, others, GLANCE) if glance.whole else structures
                if tested[0].nats < structures[0].nats:
                    pixels, structures = glance.hypothesis, tested
        near = NEAR * max(structures[0].nats, fingerprint.CLOSE)
        kept = [each.hypothesis for each in structures[:MOST] if each.whole and each.nats <= near]
        whole = self._structures(pixels, [each for each in kept if each != AS_GIVEN], len(self.pictures))
        rest = [replace(each, whole=False) for each in structures if each.hypothesis not in (*kept, AS_GIVEN)]
        structures = sorted([*whole, *rest], key=_rank)
        near_ways = [each for each in self._pixels(ways, structures[0].hypothesis) if each.hypothesis != pixels]
        told = [replace(each, whole=False) for each in near_ways]
        return sorted([Tested(pixels, structures[0].nats), *told], key=_rank), structures

    def _pixels(self, ways: Sequence[Hypothesis], structure: Hypothesis) -> list[Tested]:
        """What may be done to pixels, under a structure, the best first, at a glance."""

        def run(way: Hypothesis, best: Sequence[float] | None) -> fingerprint.Trace:
            taken = applied(self.spec, (*way.settings, *structure.settings))[0]
            return fingerprint.run(self._built(taken.architecture), self._scaled(way, GLANCE), best)

        return _each(ways, run)

    def _structures(self, pixels: Hypothesis, ways: Sequence[Hypothesis], few: int) -> list[Tested]:
        """Every structure under some pixels, the best first; each is run only from the first stage on that differs."""
        batch = self._scaled(pixels, few)
        trace = fingerprint.run(self.network, batch)

        def run(way: Hypothesis, best: Sequence[float] | None) -> fingerprint.Trace:
            architecture = applied(self.spec, (*pixels.settings, *way.settings))[0].architecture
            same = common_parts(self.spec.architecture, architecture)
            if same > len(architecture.blocks):
                return trace
            begun = replace(trace, outputs=trace.outputs[:same], divergences=trace.divergences[:same])
            return fingerprint.run(self._built(architecture), batch, best, begun if same else None)

        return _each((AS_GIVEN, *ways), run)

    def _built(self, architecture: Architecture) -> ResidualNetwork:
        return self.network if architecture == self.spec.architecture else self.rebuilt(architecture)

    def _scaled(self, way: Hypothesis, few: int) -> "Tensor":
        return fingerprint.scaled_batch(self.pictures[:few], applied(self.spec, way.settings)[0].preprocessing)


Run = Callable[[Hypothesis, Sequence[float] | None], fingerprint.Trace]


def _each(ways: Sequence[Hypothesis], run: Run) -> list[Tested]:
    """Every hypothesis, the best first; those that are far behind are not run to their end."""
    best: fingerprint.Trace | None = None
    tested = []
    for way in ways:
        trace = run(way, None if best is None else best.values)
        if trace.whole and (best is None or trace.nats < best.nats):
            best = trace
        tested.append(Tested(way, trace.nats, trace.whole))
    return sorted(tested, key=_rank)


def _rank(tested: Tested) -> tuple[bool, float]:
    """What was given up is behind all that was not, however near it was on the layers that it came to."""
    return not tested.whole, tested.nats


def common_parts(one: Architecture, other: Architecture) -> int:
    """How many of the stem and the stages are the same, from the beginning."""
    if one.stem_layers() != other.stem_layers():
        return 0
    differ = [a.stage for a, b in zip(one.plan(), other.plan(), strict=True) if a != b]
    padded = one.shortcut_padding != other.shortcut_padding
    differ += [block.stage for block in one.plan() if padded and block.shortcut == "padding"]
    return min((int(stage.removeprefix("layer")) for stage in differ), default=len(one.blocks) + 1)
