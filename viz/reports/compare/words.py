"""What page and report say of networks side by side, so that both say the same. Plain text: who shows it escapes it."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from viz.reports.document import BEST, QUIET

if TYPE_CHECKING:
    from features.compare import (
        Agreement,
        AlongDepth,
        Common,
        Comparison,
        Contender,
        Looks,
        Movers,
        Pair,
        SideBySide,
        Stitching,
    )
    from features.similarity import Measure, Similarity

TITLE = "Which network does better, and where"
NO_SLICES = "No group of ten images or more that a label or a column of the set tells apart."
COST = "Accuracy with its 95 % interval over what an image costs; grey what another network beats in both."
SIMILARITY = (
    "Unbiased linear CKA of pooled features (Kornblith et al. 2019; Song et al. 2012): 1 where one is the other but "
    "for rotation and scale, 0 for strangers. It does not see what a linear map of one could still tell of the other."
)
P_VALUE = "How likely so uneven a split of the images on which only one is right is by chance."
KAPPA = "Cohen's kappa of who is right: 1 for the same errors, 0 for what chance gives (Geirhos et al. 2020)."
CHURN = "Of which they say different classes."
RELIABILITY = (
    "How often answers are right over how sure of them the network is, in groups of about as many answers each. Below "
    "the dotted line a network is surer than it is right."
)
TEMPERATURE = (
    "ECE: the mean over all answers of how far accuracy and confidence of their group are apart. Temperature: what "
    "dividing all logits by makes a network as sure as it is right, fitted on one half of the images; ECE after it is "
    "of the other half (Guo et al. 2017). No prediction changes by it."
)
CLASSES = "The F1 of each network in the classes in which they lie farthest apart; all classes are in the table."
LOOKS = (
    "Rank correlation (Spearman) of the two maps over what both networks see of an image, and intersection over union "
    "of their strongest 15 %; orange, the same for maps of different images: what comes of always looking at the "
    "middle. A map is Grad-CAM for what the network itself says, at its last stage."
)
STAR = " ★"
ONLY_FIRST, ONLY_SECOND, NEITHER, BOTH = "only the first", "only the second", "neither", "both"
BY_RIGHT = (ONLY_FIRST, ONLY_SECOND, NEITHER, BOTH)


def networks(told: "Comparison") -> str:
    """How to read the table of networks."""
    return (
        f"On {len(told.ids):,} images of {told.images}; intervals of 95 % (Wilson 1927). F1 is the mean over the "
        "classes that occur, ECE by how much confidence and accuracy differ (Guo et al. 2017). "
        + " ".join(filter(None, (best(told), common(told.common), *told.common.notes, measured(told))))
    )


def best(told: "Comparison") -> str:
    """Which network is the best, or which are not told apart from the most accurate."""
    if told.best is not None:
        return f"★ {told.best.name} is right more often than each other, by more than chance (McNemar, Holm 1979)."
    unsure = ties(told)
    tied = [each.name for each in told.contenders if each.name in unsure]
    others = len(told.contenders) - len(tied)
    rest = f" The other {others} {'is' if others == 1 else 'are'} surely right less often than the most accurate."
    told_apart = f"{', '.join(tied[:-1])} and {tied[-1]} differ by no more than chance (McNemar, Holm 1979)."
    return told_apart + (rest if others else "")


def ties(told: "Comparison") -> set[str]:
    """The most accurate network and those that chance may keep apart from it; none where there are no such."""
    top = max(told.contenders, key=lambda each: each.accuracy.value)
    unsure = [each for each in told.pairs if top.name in (each.first, each.second) and not each.differs]
    return {name for each in unsure for name in (each.first, each.second)}


def rows(told: "Comparison") -> list[dict[str, str]]:
    """The table of networks: a row each, head -> cell."""
    winner = told.best
    return [
        {
            "network": each.name + (STAR if each is winner else ""),
            "accuracy": f"{each.accuracy.value:.2%}",
            "95 %": "{:.1%} to {:.1%}".format(*each.accuracy.interval),
            "F1": f"{each.macro_f1:.3f}",
            **_average_precision(each),
            "ECE": f"{each.calibration_error:.1%}",
            "parameters": f"{each.parameters:,}",
            "MB": f"{each.cost.weight_bytes / 1e6:.3g}",
            "GFLOPs": f"{each.macs / 1e9:.3g}",
            "ms for one": each.cost.latency.in_words(1e3),
            "images/s": f"{each.cost.rate.in_words()}, {each.cost.batch} at a time",
            "memory, MB": f"{each.cost.memory_bytes / 1e6:,.0f}",
        }
        for each in told.contenders
    ]


def _average_precision(told: "Contender") -> dict[str, str]:
    value = told.evaluation.mean_average_precision
    return {} if value is None else {"mAP": f"{value:.1%}"}


def pair(told: "Pair") -> str:
    """Two networks by their names."""
    return f"{told.second} beside {told.first}"


def verdict(told: "Pair") -> str:
    """Who of two is right more often, and whether that is more than chance."""
    counted, (low, high) = told.agreement, told.agreement.interval
    interval = f"95 % interval {100 * low:+.1f} to {100 * high:+.1f} points"
    if not counted.difference:
        return f"Both are right equally often ({interval})."
    more = "more" if counted.difference > 0 else "less"
    points = f"{100 * abs(counted.difference):.2f}"
    return f"{told.second} is right {more} often, by {points} percentage points ({interval}). {meaning(told)}"


def meaning(told: "Pair") -> str:
    """What McNemar's p value says of one pair among all."""
    if told.differs:
        return "That is more than chance would have it."
    among = "" if told.p_value == told.agreement.p_value else ", in one of so many pairs"
    return f"So small a difference is within what chance gives on as many images{among}."


def facts(counted: "Agreement") -> list[tuple[str, str, str]]:
    """Name, value and meaning of what is counted of two networks."""
    told = [
        ("McNemar's p", f"{counted.p_value:.3g}", P_VALUE),
        ("Error consistency", f"{counted.kappa:.2f}", KAPPA),
    ]
    return told if counted.churn is None else [*told, ("Other classes", f"{counted.churn:.1%}", CHURN)]


def slices(told: "Pair", shown: int) -> str:
    """How to read the first `shown` slices of two networks."""
    sure = sum(each.differs for each in told.slices)
    return (
        f"The accuracy of {told.second} minus that of the other in the {min(shown, len(told.slices))} surest of "
        f"{len(told.slices):,} slices. Coloured: {sure or 'none'}, which chance would hardly bring about among so many "
        "(McNemar's test, Holm 1979). Intervals hold all at once 95 times of a hundred (Bonferroni)."
    )


def cells(told: "Pair") -> dict[str, str]:
    """Groups of images by who of two is right, and what they are called."""
    return dict(zip(BY_RIGHT, (f"only {told.first}", f"only {told.second}", NEITHER, BOTH), strict=True))


def answers(one: "Contender", other: "Contender", label: str, row: int) -> tuple[str, str, str]:
    """An image's label, and what two networks say of it."""
    first, second = (each.predictions.take(slice(row, row + 1)).names[0] or "nothing" for each in (one, other))
    return label, first, second


def below(told: "Pair") -> str:
    """What stands below pictures."""
    return f"Below each its label, then what {told.first} and {told.second} say."


def tones(told: "Comparison") -> list[dict[str, str]]:
    """Of each row of the table of networks, head -> BEST, or QUIET for what chance may keep apart from the best.

    Accuracy and F1 are as sure as McNemar's test of accuracy with the most accurate network, corrected for the pairs.
    """
    unsure = ties(told)
    made: list[dict[str, str]] = []
    for each in told.contenders:
        tone = BEST if each is told.best else QUIET if each.name in unsure else ""
        made.append({"network": tone if tone == BEST else "", "accuracy": tone, "95 %": tone, "F1": tone})
    for head, ranges in _costs(told).items():
        least = min(ranges, key=lambda each: each[1])  # by the middle
        for row, (low, _, _), is_least in zip(made, ranges, (each is least for each in ranges), strict=True):
            others = [each for each in ranges if each is not least]
            if is_least and all(least[2] < each[0] for each in others):
                row[head] = BEST
            elif least[0] < least[2] and low <= least[2]:
                row[head] = QUIET
    return made


def _costs(told: "Comparison") -> dict[str, list[tuple[float, float, float]]]:
    """Columns of the table in which less is better: the lowest, the middle and the highest of each network."""
    exact = {
        "parameters": [each.parameters for each in told.contenders],
        "MB": [each.cost.weight_bytes for each in told.contenders],
        "GFLOPs": [each.macs for each in told.contenders],
    }
    latencies = [each.cost.latency for each in told.contenders]
    rates = [each.cost.rate for each in told.contenders]
    single: dict[str, list[tuple[float, float, float]]] = {
        head: [(value, value, value) for value in values] for head, values in exact.items()
    }
    return single | {
        "ms for one": [(each.low, each.median, each.high) for each in latencies],
        "images/s": [(-each.high, -each.median, -each.low) for each in rates],
    }


def common(told: "Common") -> str:
    """Which classes networks are compared on, where these are not all."""
    if not told.how:
        return ""
    left = f" Left out: {told.n_images_left_out:,} images of other labels." if told.n_images_left_out else ""
    return (
        f"Compared on the {len(told.names):,} classes that all networks know ({told.how}), among which each chooses; "
        f"of their own {', '.join(f'{count:,}' for count in told.left_out)} more are left out.{left}"
    )


def calibration(told: "Comparison") -> list[dict[str, str]]:
    """A row for each network: ECE, temperature, ECE after it."""
    rows = []
    for each in told.contenders:
        fitted = each.evaluation.calibration.temperature
        rows.append(
            {
                "network": each.name,
                "ECE": f"{each.calibration_error:.2%}",
                "temperature": "-" if fitted is None else f"{fitted.value:.3f}",
                "after it": "-" if fitted is None else f"{fitted.error_before:.2%} → {fitted.error_after:.2%}",
            }
        )
    return rows


def images_of(told: "Similarity") -> str:
    """Of how many images a similarity is, and what its chance is."""
    chance = " Pointed at, a cell tells its interval and what shuffled images give." if told.chance.size else ""
    return f" Of {told.n_images:,} images.{chance}"


def measure(told: "Measure") -> str:
    """What a measure of similarity sees, and what it does not."""
    return f"Sees: {told.sees} Does not see: {told.blind} {told.source}."


def stitching(told: "Stitching") -> str:
    """How to read what is left of networks that were stitched."""
    bounds = any(joint.is_lower_bound for joint in told.joints)
    return (
        "Accuracy of a network that goes on after the other's stage, whose maps a 1x1 convolution turns into its own "
        f"(least squares over all positions of {told.n_fitted:,} images), on {told.n_told:,} other images with 95 % "
        "intervals; dotted, the intact network on the same. What CKA cannot tell: whether the one can use what the "
        "other has found (Bansal et al. 2021, arXiv:2106.07682)."
        + (" Open marks: few positions for each unknown, so that more images may leave more." if bounds else "")
    )


def stitching_notes(told: "Stitching") -> Iterator[str]:
    """What else should be known of a stitching, a sentence each."""
    yield from told.notes
    for each in told.unmatched:
        yield f"{each.stage} of {told.names[each.network]} is not stitched: {each.reason}"


def branches(told: "Sequence[AlongDepth]") -> str:
    """How to read networks along depth."""
    n_images = max(each.n_images for each in told)
    plain = [each.name for each in told if not each.is_residual]
    without = f" {' and '.join(plain)} has no shortcuts, so only what is lost is told of it." if plain else ""
    return (
        "By relative depth, from the first block to the last: how large the branch F is beside the shortcut x (median "
        "and 90 % of the images), the cosine between them, the branch's share of the variance of their sum, and what "
        f"is lost with that block left out. Of {n_images:,} images.{without}"
    )


def maps(told: "Movers") -> str:
    """How to read two aligned maps."""
    return (
        f"Features before the classifiers, the second map laid out from the first and turned onto it, which changes no "
        f"neighbour. An image keeps {1 - float(told.changed.mean()):.0%} of its {told.k} nearest neighbours on "
        f"average, {1 - told.chance:.1%} by chance. The numbered images changed most. Of {len(told):,} images."
    )


def looks(told: "Looks") -> str:
    """How far two networks look at the same part of images, in a sentence."""
    overall = told.overall
    return (
        f"Where they look agrees by {overall.correlation.value:.2f} in rank (by chance "
        f"{overall.chance_correlation:.2f}) and {overall.iou.value:.2f} in the strongest 15 % (by chance "
        f"{overall.chance_iou:.2f}), over {len(told):,} images, of {overall.n_same_class:,} of which they say the same "
        f"class. Maps that are the same everywhere: {told.n_constant[0]:,} and {told.n_constant[1]:,}."
    )


def below_maps(told: "SideBySide") -> str:
    """What stands below an image's two maps."""
    alike = "a map is the same everywhere" if told.iou != told.iou else f"IoU {told.iou:.2f}"
    return f"{told.label or told.id}: {alike}"


def maps_of(told: "Pair") -> str:
    """How to read two networks' maps side by side."""
    return (
        f"Left {told.first}, right {told.second}: each image's Grad-CAM for what the network says, at its last stage, "
        "both on one scale; dark where a network does not see the picture. IoU is that of the strongest 15 %."
    )


def measured(told: "Comparison") -> str:
    """What ran the networks when they were timed, and how to read what is bold and grey."""
    cost = told.contenders[0].cost
    return (
        f"Times are medians of passes in turn, with the lowest and highest, by {cost.engine} in fp32 on {cost.device}: "
        f"one image, then as many at a time as are fastest; memory for one image: {cost.memory}. Bold: "
        "the best of a column. Grey: what chance or the spread of the passes may keep apart from it."
    )


def by_right(told: "Comparison", pair: "Pair") -> dict[str, np.ndarray]:
    """Of each of BY_RIGHT the images (R,) int64, by their rows in the comparison."""
    one, other = told.named(pair.first).correct, told.named(pair.second).correct
    masks = one & ~other, ~one & other, ~one & ~other, one & other
    return {name: np.flatnonzero(mask) for name, mask in zip(BY_RIGHT, masks, strict=True)}
