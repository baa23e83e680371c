"""Which stages of two networks can be stitched, over how many images, and what that costs."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import ceil

from features.errors import FeatureError
from features.networks.anatomy import Anatomy
from features.networks.measured import measured
from features.networks.zoo import Model

SHARE = 0.12  # of what it costs to run both networks over all images; the time it takes is about a sixth more
FREE = 400e9  # multiply-adds that are worth it for any set: a hundred images of a ResNet-50, some seconds
FITTING = 0.4  # of these for the fit, the rest to tell what is left
MOST = 500  # images for either
LEAST = 2  # images for a fit: one of them to choose the ridge
# Of fewer images than BOUNDED that share is no answer (of 200 images and two ResNet-50s: 18 to fit on and 12 to count
# on). They have at least these, whatever share it is: it takes as long as reading some hundreds of images.
BOUNDED = 1000
LEAST_TOLD = 100  # images that are counted: a 95 % interval of 20 points at most
DETERMINED = 2  # positions per unknown: at one, least squares follows the noise most
SOLVING = 8  # multiply-adds of the solution for one direction, over the cube of the channels; in float64


@dataclass(frozen=True)
class Stitches:
    """How stitching is measured.

    n_fitted, n_told: images that maps are fitted on, and others on which is counted what is right; None for as many as
    cost SHARE of running both networks over the set, and of fewer than BOUNDED images at least as many as determine the
    fit and LEAST_TOLD, as far as there are. seed: of which images these are.
    """

    n_fitted: int | None = None
    n_told: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Partners:
    """Two stages with maps of one size, of the first network and of the second.

    stages: their names. widths: their channels. resolution: (H, W). tails: multiply-adds for one image of what follows
    each of them.
    """

    stages: tuple[str, str]
    widths: tuple[int, int]
    resolution: tuple[int, int]
    tails: tuple[int, int]

    @property
    def positions(self) -> int:
        return self.resolution[0] * self.resolution[1]


@dataclass(frozen=True)
class Unmatched:
    """A stage without a partner. network: 0 for the first, 1 for the second."""

    network: int
    stage: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """What is stitched, and on how many images.

    forward: multiply-adds of both networks for one image. notes: why on so many, in sentences; none where that was
    asked for.
    """

    partners: tuple[Partners, ...]
    unmatched: tuple[Unmatched, ...]
    n_fitted: int
    n_told: int
    forward: int
    notes: tuple[str, ...] = ()

    @property
    def macs(self) -> float:
        """Multiply-adds in all."""
        return self.n_fitted * _fitting(self) + self.n_told * _telling(self) + _solving(self)


@dataclass(frozen=True)
class _Stage:
    name: str
    shape: tuple[int, int, int]  # (C, H, W)
    tail: int


def planned(first: Model, second: Model, n_images: int, settings: Stitches | None = None) -> Plan:
    """Which stages are stitched over how many of `n_images` images; takes a moment, since both networks are measured.

    Of several stages with maps of one size, as dilated networks have, the first is stitched to the first, and so on.
    Raises FeatureError if no stage has a partner or there are too few images.
    """
    settings = settings or Stitches()
    sides = [measured(model.network, model.spec.preprocessing.crop) for model in (first, second)]
    stages = [list(_stages(side)) for side in sides]
    partners, unmatched = _matched(*stages)
    if not partners:
        sizes = [", ".join(_size(stage) for stage in each) for each in stages]
        raise FeatureError(
            f"No stage of {first.spec.name} ({sizes[0]}) has maps as large as one of {second.spec.name} ({sizes[1]}). "
            "Stitch networks whose maps have equal sizes."
        )
    plan = Plan(partners, unmatched, 0, 0, sum(side.macs for side in sides))
    return _with_images(plan, n_images, settings)


def _stages(anatomy: Anatomy) -> Iterable[_Stage]:
    names = dict.fromkeys(part.stage for part in anatomy.parts if part.stage)
    left = anatomy.macs - sum(part.macs for part in anatomy.parts if part.kind == "stem")
    for name in names:
        blocks = [part for part in anatomy.parts if part.stage == name]
        left -= sum(block.macs for block in blocks)
        channels, height, width = blocks[-1].outputs
        yield _Stage(name, (channels, height, width), left)


def _matched(first: list[_Stage], second: list[_Stage]) -> tuple[tuple[Partners, ...], tuple[Unmatched, ...]]:
    partners: list[Partners] = []
    free = list(second)
    alone: list[tuple[int, _Stage]] = []
    for stage in first:
        other = next((each for each in free if each.shape[1:] == stage.shape[1:]), None)
        if other is None:
            alone.append((0, stage))
            continue
        free.remove(other)
        partners.append(
            Partners(
                (stage.name, other.name), (stage.shape[0], other.shape[0]), stage.shape[1:], (stage.tail, other.tail)
            )
        )
    alone += [(1, stage) for stage in free]
    others = {0: {stage.shape[1:] for stage in second}, 1: {stage.shape[1:] for stage in first}}
    return tuple(partners), tuple(
        Unmatched(network, stage.name, _reason(stage, others[network])) for network, stage in alone
    )


def _reason(stage: _Stage, sizes: set[tuple[int, int]]) -> str:
    """Why a stage has no partner. sizes: of the other network's maps."""
    _, height, width = stage.shape
    if (height, width) in sizes:
        return f"the other network has fewer stages with maps of {height} x {width}"
    return f"no stage of the other network has maps of {height} x {width}"


def _size(stage: _Stage) -> str:
    return f"{stage.name} {stage.shape[1]} x {stage.shape[2]}"


def _with_images(plan: Plan, n_images: int, settings: Stitches) -> Plan:
    budget = max(SHARE * n_images * plan.forward, FREE) - _solving(plan)
    is_small = n_images < BOUNDED
    n_fitted, n_told = settings.n_fitted, settings.n_told
    if n_fitted is None:
        wanted = max(int(FITTING * budget / _fitting(plan)), _determining(plan) if is_small else 0)
        n_fitted = max(LEAST, min(wanted, MOST, int(FITTING * n_images)))
    if n_told is None:
        wanted = max(int((1 - FITTING) * budget / _telling(plan)), LEAST_TOLD if is_small else 0)
        n_told = max(1, min(wanted, MOST, n_images - n_fitted))
    if n_fitted < LEAST or n_told < 1 or n_fitted + n_told > n_images:
        raise FeatureError(
            f"Stitching fits maps on {n_fitted} images and counts on {n_told} others, of {n_images} images. Wanted at "
            f"least {LEAST} and 1, together no more than there are."
        )
    plan = replace(plan, n_fitted=n_fitted, n_told=n_told)
    asked = settings.n_fitted is not None or settings.n_told is not None
    return plan if asked else replace(plan, notes=(_reason_of(plan, n_images),))


def _determining(plan: Plan) -> int:
    """Images whose positions are DETERMINED times the unknowns, at every pair of stages and in both directions."""
    return max(ceil(DETERMINED * (max(each.widths) + 1) / each.positions) for each in plan.partners)


def _reason_of(plan: Plan, n_images: int) -> str:
    """Why maps are fitted and counted on so many of the images."""
    told = f"Of {n_images:,} images, maps are fitted on {plan.n_fitted:,} and counted on {plan.n_told:,} others"
    share = plan.macs / (n_images * plan.forward)
    cost = f"{share:.0%} of the multiply-adds of running both networks over all"
    if plan.n_fitted + plan.n_told == n_images:
        return f"{told}, which are all there are: {cost}."
    if plan.n_fitted == plan.n_told == MOST:
        return f"{told}, the most that are used: {cost}."
    if n_images < BOUNDED:
        return (
            f"{told}: {cost}. Of fewer than {BOUNDED:,} images at least {LEAST_TOLD} are counted, where there are as "
            f"many, and positions are at least {DETERMINED} times the unknowns of a fit."
        )
    few = ", so few that intervals are wide" if plan.n_told < LEAST_TOLD else ""
    return f"{told}{few}: as many as cost {SHARE:.0%} of running both networks over all."


def _fitting(plan: Plan) -> float:
    """Multiply-adds for one image of the fit: both networks, and the products of their channels."""
    products = sum(each.positions * (a * a + b * b + a * b) for each in plan.partners for a, b in [each.widths])
    return plan.forward + products


def _telling(plan: Plan) -> float:
    """Multiply-adds for one image that is counted: both networks, the maps and what follows them."""
    maps = sum(2 * each.positions * each.widths[0] * each.widths[1] for each in plan.partners)
    return plan.forward + maps + sum(sum(each.tails) for each in plan.partners)


def _solving(plan: Plan) -> float:
    return SOLVING * sum(width**3 for each in plan.partners for width in each.widths)
