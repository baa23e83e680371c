"""Finds out what a file does not say, by what its batch norms keep of what they were given in training."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from features.errors import FeatureError
from features.networks import fingerprint
from features.networks.architecture import Architecture
from features.networks.canonical import ResidualNetwork
from features.networks.card import ModelSpec
from features.networks.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from features.networks.settings import Settings, applied

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

# Drawn from trained networks on eight photographs each: under the settings of their training 0.000 to 0.002 nats
# (ImageNet networks) and 0.001 to 0.020 (CIFAR networks, also under another set's mean and deviation), under others
# 0.013 at the least where the truth had 0.002; of noise, 0.17.
FITS = 0.03
DECISIVE = 2.5  # how many times worse the next one must fit
FEWEST = 4  # pictures
BADLY = 0.1  # above which even the best is worth a warning
TESTED = ("stride_at", "stem_pool", "stem_stride", "antialias", "shortcut_padding", "shortcut", "strides")


@dataclass(frozen=True)
class Hypothesis:
    """One way to take a file. settings: what differs from what is assumed."""

    title: str
    settings: Settings = ()


AS_GIVEN = Hypothesis("as assumed")


@dataclass(frozen=True)
class Tested:
    """A hypothesis with how far a network's norms are from their statistics under it, in nats.

    whole: whether it was run to its end; else the nats are of the layers before it was given up.
    """

    hypothesis: Hypothesis
    nats: float
    whole: bool = True

    def __str__(self) -> str:
        options = " ".join(f"--{name} {value}" for name, value in self.hypothesis.settings)
        told = f"{self.hypothesis.title} ({options})" if options else self.hypothesis.title
        return f"{told}: {self.nats:.2g} nats{'' if self.whole else ' when it was given up'}"


@dataclass(frozen=True)
class Verdict:
    """What statistics say.

    pixels, structures: what was tested, the best first; structures under the best of the pixels.
    settings: those of the best that fit and are told from the others; () to take the file as assumed.
    settled: 'pixels' and 'structure', as far as each is told from the others and fits. has_statistics: whether the
    network keeps any; nothing is tested of one that does not.
    """

    pixels: tuple[Tested, ...]
    structures: tuple[Tested, ...]
    settings: Settings = ()
    settled: tuple[str, ...] = ()
    has_statistics: bool = True

    @property
    def nats(self) -> float:
        """Of the best."""
        return min((each.nats for each in (*self.pixels, *self.structures)), default=float("nan"))

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
            if other.architecture != spec.architecture:
                yield Hypothesis(title, settings)


def _structures(network: Architecture) -> Iterator[tuple[str, tuple[str, ...], Settings]]:
    stages = len(network.blocks)
    usual = [1, *[2] * (stages - 1)]
    yield "stride in the first 1x1 of bottlenecks", ("stride_at",), (("stride-at", "first"),)
    yield "blurred in the place of strides", ("antialias",), (("antialias", "blur"),)
    yield "averaged in the place of strides", ("antialias",), (("antialias", "average"),)
    if stages > 1:
        text = ",".join(map(str, [*usual[:-1], 1]))
        yield "last stage with stride 1", ("strides",), (("strides", text),)
    if network.stem == "cifar":
        yield "max-pool after the stem", ("stem_pool",), (("stem-pool", "max"),)
        yield "stem of stride 2", ("stem_stride",), (("stem-stride", "2"),)
        both = (("stem-stride", "2"), ("stem-pool", "max"))
        yield "stem of stride 2 and max-pool", ("stem_stride", "stem_pool"), both
        yield "first stage with stride 2", ("strides",), (("strides", ",".join(["2"] * stages)),)
    else:
        yield "average pool after the stem", ("stem_pool",), (("stem-pool", "average"),)
        yield "no pool after the stem", ("stem_pool",), (("stem-pool", "none"),)
        both = (("stem-stride", "1"), ("stem-pool", "none"))
        yield "stem of stride 1 without a pool", ("stem_stride", "stem_pool"), both
    yield "average pool before projections", ("shortcut_pool",), (("shortcut-pool", "average"),)
    yield "zeros of shortcuts at the end", ("shortcut_padding",), (("shortcut-padding", "end"),)
    yield "no shortcuts", ("shortcut",), (("shortcut", "none"),)


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
    pixels = sorted(map(trial.of_pixels, ways), key=lambda each: each.nats)
    structures = trial.of_structures(pixels[0].hypothesis, others)
    if structures[0].nats > FITS:  # pixels cannot be told under a structure that is wrong
        for way in pixels[1:]:
            found = trial.of_structures(way.hypothesis, others)
            if found[0].nats < structures[0].nats:
                pixels = [replace(way, nats=found[0].nats), *(each for each in pixels if each != way)]
                structures = found
    if structures[0].hypothesis != AS_GIVEN:
        pixels = [pixels[0], *(trial.of_pixels(way, structures[0].hypothesis) for way in ways)]
        pixels = sorted({each.hypothesis: each for each in pixels}.values(), key=lambda each: each.nats)
    fits = structures[0].nats <= FITS
    settled = {"pixels": fits and open_pixels and _told(pixels), "structure": fits and _told(structures)}
    changed = structures[0].hypothesis.settings
    chosen = (
        *(pixels[0].hypothesis.settings if settled["pixels"] else ()),
        *(changed if settled["structure"] else ()),
    )
    return Verdict(tuple(pixels), tuple(structures), chosen, tuple(name for name, is_so in settled.items() if is_so))


def _told(tested: Sequence[Tested]) -> bool:
    """Whether the best is told from the next; where there is no other there is nothing to tell."""
    return len(tested) > 1 and tested[1].nats >= DECISIVE * max(tested[0].nats, fingerprint.CLOSE / 2)


class _Trial:
    """Runs a network under hypotheses. What is far behind the best so far is not run to its end."""

    def __init__(
        self,
        spec: ModelSpec,
        network: ResidualNetwork,
        rebuilt: Callable[[Architecture], ResidualNetwork],
        pictures: Sequence["Image"],
    ) -> None:
        self.spec, self.network, self.rebuilt, self.pictures = spec, network, rebuilt, pictures
        self.best: fingerprint.Trace | None = None

    def of_pixels(self, way: Hypothesis, structure: Hypothesis | None = None) -> Tested:
        """Pixels under a structure, None for the assumed one."""
        network = self.network
        if structure is not None:
            network = self.rebuilt(applied(self.spec, (*way.settings, *structure.settings))[0].architecture)
        return self._tested(way, network, self._scaled(way))

    def of_structures(self, pixels: Hypothesis, ways: Sequence[Hypothesis]) -> list[Tested]:
        """Every structure under some pixels, the best first; each is run only from the first stage on that differs."""
        batch = self._scaled(pixels)
        trace = fingerprint.run(self.network, batch)
        if self.best is None or trace.nats < self.best.nats:
            self.best = trace
        tested = [Tested(AS_GIVEN, trace.nats)]
        for way in ways:
            architecture = applied(self.spec, (*pixels.settings, *way.settings))[0].architecture
            same = common_parts(self.spec.architecture, architecture)
            begun = replace(trace, outputs=trace.outputs[:same], divergences=trace.divergences[:same])
            tested.append(self._tested(way, self.rebuilt(architecture), batch, begun if same else None))
        return sorted(tested, key=lambda each: each.nats)

    def _scaled(self, way: Hypothesis) -> "Tensor":
        return fingerprint.scaled_batch(self.pictures, applied(self.spec, way.settings)[0].preprocessing)

    def _tested(
        self, way: Hypothesis, network: ResidualNetwork, batch: "Tensor", begun: fingerprint.Trace | None = None
    ) -> Tested:
        trace = fingerprint.run(network, batch, None if self.best is None else self.best.values, begun)
        if trace.whole and (self.best is None or trace.nats < self.best.nats):
            self.best = trace
        return Tested(way, trace.nats, trace.whole)


def common_parts(one: Architecture, other: Architecture) -> int:
    """How many of the stem and the stages are the same, from the beginning."""
    if one.stem_layers() != other.stem_layers():
        return 0
    differ = [a.stage for a, b in zip(one.plan(), other.plan(), strict=True) if a != b]
    padded = one.shortcut_padding != other.shortcut_padding
    differ += [block.stage for block in one.plan() if padded and block.shortcut == "padding"]
    return min((int(stage.removeprefix("layer")) for stage in differ), default=len(one.blocks) + 1)
