"""Tests hypotheses of what a file does not say by running its network on some pictures."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import TYPE_CHECKING

from features.networks import fingerprint
from features.networks.architecture import Architecture
from features.networks.canonical import ResidualNetwork
from features.networks.card import ModelSpec
from features.networks.fingerprint import Trace
from features.networks.hypotheses import (
    AS_GIVEN,
    BADLY,
    FITS,
    MISSES,
    Hypothesis,
    Tested,
    Verdict,
    pixels_of,
    structures_of,
    told,
)
from features.networks.settings import BY_NAME, applied

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

GLANCE = 3  # pictures on which everything is tried first
NEAR, MOST = 4.0, 6  # how many times as far as the best, and how many, are tried on the other pictures too
FEWEST = 6  # pictures
LARGE = 28  # places along a side, from which on two grids stand for all (`is_dilated`); of small maps they tell less


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
    close = [each for each in structures if not told([structures[0], each])]
    settled: set[str] = set()
    if fits and open_pixels and told(pixels):
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


class _Trial:
    """Runs a network under hypotheses: first all on a few pictures, then those that are near the best on the others.

    What is far behind the best so far is not run to its end, nothing is run twice, and what hypotheses have in common
    with what is assumed is run once.
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
        self.batch = cache(self._batch)
        self.traces: dict[tuple[Hypothesis, Hypothesis, bool], Trace] = {}  # those that got to the end

    def best(self, ways: Sequence[Hypothesis], others: Sequence[Hypothesis]) -> tuple[list[Tested], list[Tested]]:
        """Pixels under the best structure and structures under the best pixels, the best first of both."""
        glances = self._pixels(ways, AS_GIVEN)
        pixels, structures = glances[0].hypothesis, self._structures(glances[0].hypothesis, others)
        if structures[0].nats > BADLY:  # pixels cannot be told under a structure that is wrong
            for glance in glances[1:]:
                tested = self._structures(glance.hypothesis, others) if glance.whole else structures
                if tested[0].nats < structures[0].nats:
                    pixels, structures = glance.hypothesis, tested
        near = NEAR * max(structures[0].nats, fingerprint.CLOSE)
        kept = [each.hypothesis for each in structures[:MOST] if each.whole and each.nats <= near]
        whole = [self._on_all(pixels, each) for each in (AS_GIVEN, *(each for each in kept if each != AS_GIVEN))]
        rest = [replace(each, whole=False) for each in structures if each.hypothesis not in (*kept, AS_GIVEN)]
        structures = sorted([*whole, *rest], key=_rank)
        best = structures[0].hypothesis
        others_of = self._pixels([way for way in ways if way != pixels], best, self._run(pixels, best, late=False))
        others_of = [replace(each, whole=False) for each in others_of]
        return sorted([Tested(pixels, structures[0].nats), *others_of], key=_rank), structures

    def _pixels(self, ways: Sequence[Hypothesis], structure: Hypothesis, best: Trace | None = None) -> list[Tested]:
        """What may be done to pixels, under a structure, the best first, at a glance. best: a run to compare with."""
        return _each(ways, lambda way, nearest: self._run(way, structure, False, nearest), best)

    def _structures(self, pixels: Hypothesis, ways: Sequence[Hypothesis]) -> list[Tested]:
        """What is assumed and other structures under some pixels, the best first, at a glance."""
        return _each((AS_GIVEN, *ways), lambda way, nearest: self._run(pixels, way, False, nearest))

    def _on_all(self, pixels: Hypothesis, structure: Hypothesis) -> Tested:
        """What was run at a glance, on the other pictures too."""
        first, others = (self._run(pixels, structure, late) for late in (False, True))
        return Tested(structure, first.with_images(others).nats)

    def _run(self, pixels: Hypothesis, structure: Hypothesis, late: bool, best: Trace | None = None) -> Trace:
        """Of the first pictures, or of the others (late)."""
        key = (pixels, structure, late)
        if key not in self.traces:
            trace = self._ran(pixels, structure, late, None if best is None else best.values)
            if not trace.whole:  # under another best one it may get further
                return trace
            self.traces[key] = trace if structure == AS_GIVEN else replace(trace, outputs=())
        return self.traces[key]

    def _ran(self, pixels: Hypothesis, structure: Hypothesis, late: bool, best: Sequence[float] | None) -> Trace:
        """From the first stage on that differs from what is assumed."""
        architecture = applied(self.spec, (*pixels.settings, *structure.settings))[0].architecture
        given = self.traces.get((pixels, AS_GIVEN, late))
        same = common_parts(self.spec.architecture, architecture) if given else 0
        if given is None or same == 0:
            return fingerprint.run(self._built(architecture), self.batch(pixels, late), best)
        if same > len(architecture.blocks):
            return given
        begun = given.until(same)
        sides = [side for output in given.outputs[same - 1 : -1] for side in output.shape[2:]]
        is_large = max(sides) >= LARGE and not any(side % 2 for side in sides)
        if is_large and is_dilated(self.spec.architecture, architecture):
            rotated = (*begun.outputs[:-1], fingerprint.rotated(begun.outputs[-1]))
            other = fingerprint.run(self.rotated, rotated[-1], best, replace(begun, outputs=rotated))
            return given.with_places(other, same)
        return fingerprint.run(self._built(architecture), begun.outputs[-1], best, begun)

    def _built(self, architecture: Architecture) -> ResidualNetwork:
        return self.network if architecture == self.spec.architecture else self.rebuilt(architecture)

    @cached_property
    def rotated(self) -> ResidualNetwork:
        """As assumed, with rotated kernels."""
        return fingerprint.rotate_kernels(self.rebuilt(self.spec.architecture))

    def _batch(self, way: Hypothesis, late: bool) -> "Tensor":
        taken = self.pictures[GLANCE:] if late else self.pictures[:GLANCE]
        return fingerprint.scaled_batch(taken, applied(self.spec, way.settings)[0].preprocessing)


def _each(
    ways: Sequence[Hypothesis], run: Callable[[Hypothesis, Trace | None], Trace], best: Trace | None = None
) -> list[Tested]:
    """Every hypothesis, the best first; those that are far behind are not run to their end."""
    tested = []
    for way in ways:
        trace = run(way, best)
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


def is_dilated(network: Architecture, other: Architecture) -> bool:
    """Whether the other one is a network of bottlenecks whose last strides of 2 were replaced by dilation, and no more.

    Then its maps are those of the network, on grids of every second place that lie in each other: two for each side and
    stride. Where sides are even, the network rotated by 180 degrees makes that grid which begins at the other ends.
    The two, farthest apart, stand for all: they cost as much as the network's own, all of them 4 and 16 times as much.
    """
    fields = {name: getattr(network, name) for name in ("strides", "dilations", "first_dilation")}
    kept = (network.antialias, network.shortcut_pool, network.attention) == ("none",) * 3
    middle = network.block == "bottleneck" and network.stride_at == "middle"  # else a 3x3 sees other places
    if replace(other, **fields) != network or network.dilations or not middle or not kept:
        return False
    if other.first_dilation != "previous":
        return False
    grown, same = 1, True
    rows = zip(*(each.resolved("strides") for each in (network, other)), other.resolved("dilations"), strict=True)
    for mine, theirs, dilation in rows:
        grown *= mine // theirs
        same = same and (mine, theirs) == (2, 1) if grown > 1 else same and mine == theirs
        same = same and dilation == grown
    return same and grown > 1
