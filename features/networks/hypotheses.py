"""Chooses between the readings of a file that its tensors allow, by the statistics that its norms keep."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from features.networks import fingerprint
from features.networks.architecture import Architecture
from features.networks.canonical import ResidualNetwork
from features.networks.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

# Drawn from trained networks on photographs: under the settings of their training 0.0014 to 0.003 nats (ImageNet
# networks) and 0.019 (CIFAR networks); under others 0.0121 at the least, four times the truth's.
FITS = 0.05
DECISIVE = 2.5  # how many times worse the next reading must fit
BADLY = 0.3  # above which even the best reading is worth a warning


@dataclass(frozen=True)
class Hypothesis:
    """One way to read a file: values of fields of the architecture and of the preprocessing, and what to call it."""

    title: str
    architecture: tuple[tuple[str, Any], ...] = ()
    preprocessing: tuple[tuple[str, Any], ...] = ()

    def read(self, architecture: Architecture, preprocessing: Preprocessing) -> tuple[Architecture, Preprocessing]:
        return replace(architecture, **dict(self.architecture)), replace(preprocessing, **dict(self.preprocessing))


@dataclass(frozen=True, eq=False)
class Tested:
    """A hypothesis with its fit in nats."""

    hypothesis: Hypothesis
    nats: float


@dataclass(frozen=True, eq=False)
class Verdict:
    """What statistics say of the readings of a file.

    tested: every hypothesis, the best first. decisive: whether the best fits in absolute terms and far better than the
    next. fits_badly: whether even the best is far from the statistics: pixels of another kind, or another network.
    statistics: whether the file keeps any.
    """

    tested: tuple[Tested, ...]
    decisive: bool
    fits_badly: bool
    statistics: bool = True

    @property
    def best(self) -> Hypothesis:
        return self.tested[0].hypothesis


def pixels_of(preprocessing: Preprocessing) -> tuple[Hypothesis, ...]:
    """What may have been done to pixels: the present settings, and what else is common."""
    channels = preprocessing.channels
    if channels == 3:
        ways = {
            "ImageNet's mean and standard deviation": (IMAGENET_MEAN, IMAGENET_STD),
            "[-1, 1]": ((0.5,) * 3, (0.5,) * 3),
            "[0, 1]": ((0.0,) * 3, (1.0,) * 3),
            "0 to 255 minus ImageNet's mean": (IMAGENET_MEAN, (1 / 255,) * 3),
            "0 to 255": ((0.0,) * 3, (1 / 255,) * 3),
        }
    else:
        ways = {
            "[-1, 1]": ((0.5,) * channels, (0.5,) * channels),
            "[0, 1]": ((0.0,) * channels, (1.0,) * channels),
            "0 to 255": ((0.0,) * channels, (1 / 255,) * channels),
        }
    present = (preprocessing.mean, preprocessing.std)
    named = {title: way for title, way in ways.items() if way != present}
    return tuple(
        Hypothesis(f"pixels {title}", (), (("mean", mean), ("std", std))) for title, (mean, std) in named.items()
    )


def structures_of(architecture: Architecture, assumed: Sequence[str]) -> tuple[Hypothesis, ...]:
    """Other structures with the same tensors, one difference each. assumed: the fields that are open."""
    return tuple(hypothesis for hypothesis in _structures(architecture) if hypothesis.architecture[0][0] in assumed)


def _structures(architecture: Architecture) -> Iterator[Hypothesis]:
    stages = len(architecture.blocks)
    usual = tuple(1 if number == 0 else 2 for number in range(stages))
    if architecture.block == "bottleneck":
        yield Hypothesis("stride in the first 1x1", (("stride_at", "first"),))
    for kind in ("blur", "average"):
        yield Hypothesis(f"anti-aliased ({kind})", (("antialias", kind),))
    if stages > 1:
        yield Hypothesis("last stage with stride 1", (("strides", (*usual[:-1], 1)),))
    if architecture.stem == "cifar":
        yield Hypothesis("max-pool behind the 3x3 stem", (("stem_pool", "max"),))
        yield Hypothesis("stem with stride 2", (("stem_stride", 2),))
        yield Hypothesis("stem with stride 2 and max-pool", (("stem_stride", 2), ("stem_pool", "max")))
        yield Hypothesis("first stage with stride 2", (("strides", (2,) * stages),))
    else:
        yield Hypothesis("average pool behind the stem", (("stem_pool", "average"),))
        yield Hypothesis("no pool behind the stem", (("stem_pool", "none"),))
        yield Hypothesis("stem with stride 1, no pool", (("stem_stride", 1), ("stem_pool", "none")))
    if architecture.shortcut == "padding":
        yield Hypothesis("zeros at the end of shortcuts", (("shortcut_padding", "end"),))
        yield Hypothesis("no shortcuts", (("shortcut", "none"),))


def judge(
    build: Callable[[Architecture], ResidualNetwork],
    architecture: Architecture,
    preprocessing: Preprocessing,
    open_choices: Sequence[Hypothesis],
    pictures: Sequence[Any],
) -> Verdict:
    """Test ways to take a file on some pictures: as given, with each other way for pixels, with each other structure.

    build: makes the network of an architecture with the file's weights. open_choices: what is not known; what the file
    says itself, or the user, is not tested. After the pixels are settled, structures are tested under the best of them.
    """
    as_given = Hypothesis("as given")
    network = build(architecture)
    if not fingerprint.has_statistics(network):
        return Verdict((Tested(as_given, float("nan")),), decisive=False, fits_badly=False, statistics=False)
    tested = [_test(network, preprocessing, as_given, architecture, pictures)]
    for hypothesis in open_choices:
        if not hypothesis.architecture:
            tested.append(_test(network, preprocessing, hypothesis, architecture, pictures))
    pixels = min(tested, key=lambda each: each.nats).hypothesis
    for hypothesis in open_choices:
        if hypothesis.architecture:
            joined = replace(hypothesis, preprocessing=pixels.preprocessing)
            other, _ = joined.read(architecture, preprocessing)
            tested.append(_test(build(other), preprocessing, joined, architecture, pictures))
    tested.sort(key=lambda each: each.nats)
    best, *others = tested
    margin = others[0].nats / max(best.nats, 1e-9) if others else float("inf")
    return Verdict(tuple(tested), best.nats <= FITS and margin >= DECISIVE, best.nats > BADLY)


def _test(
    network: ResidualNetwork,
    preprocessing: Preprocessing,
    hypothesis: Hypothesis,
    architecture: Architecture,
    pictures: Sequence[Any],
) -> Tested:
    _, pixels = hypothesis.read(architecture, preprocessing)
    return Tested(hypothesis, fingerprint.fit(network, fingerprint.scaled_batch(pictures, pixels)).nats)
