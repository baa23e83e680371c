"""What is said of two networks beside each other, or of all along depth."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from features.compare import (
        Agreement,
        AlongDepth,
        Comparison,
        Contender,
        Looks,
        Movers,
        Pair,
        SideBySide,
        Stitching,
    )
    from features.similarity import Measure, Similarity

NO_SLICES = "No group of ten images or more that a label or a column of the set tells apart."
SIMILARITY = (
    "Unbiased linear CKA of pooled features (Kornblith et al. 2019; Song et al. 2012): 1 where one is the other but "
    "for rotation and scale, 0 for strangers. It does not see what a linear map of one could still tell of the other."
)
P_VALUE = "How likely so uneven a split of the images on which only one is right is by chance."
KAPPA = "Cohen's kappa of who is right: 1 for the same errors, 0 for what chance gives (Geirhos et al. 2020)."
CHURN = "Of which they say different classes."
LOOKS = (
    "Rank correlation (Spearman) of the two maps over what both networks see of an image, and intersection over union "
    "of their strongest 15 %; orange, the same for maps of different images: what comes of always looking at the "
    "middle. A map is Grad-CAM for what the network itself says, at its last stage."
)
ONLY_FIRST, ONLY_SECOND, NEITHER, BOTH = "only the first", "only the second", "neither", "both"
BY_RIGHT = (ONLY_FIRST, ONLY_SECOND, NEITHER, BOTH)


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
        "(McNemar's test, Holm 1979). Intervals hold all at once 95 times of a hundred (Bonferroni); "
        "at their very edge the test decides."
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
    return f"Below each its label, then what {told.first} and {told.second} say; those of which both are surest first."


def images_of(told: "Similarity") -> str:
    """Of how many images a similarity is, and what its chance is."""
    interval = "its interval and " if np.isfinite(told.low).any() else ""
    chance = f" Pointed at, a cell tells {interval}what shuffled images give." if told.chance.size else ""
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


def by_right(told: "Comparison", pair: "Pair") -> dict[str, np.ndarray]:
    """Of each of BY_RIGHT the images (R,) int64, by their rows in the comparison, the surest first."""
    one, other = told.named(pair.first), told.named(pair.second)
    first, second = one.correct, other.correct
    masks = first & ~second, ~first & second, ~first & ~second, first & second
    sure = np.asarray(one.predictions.confidence) + np.asarray(other.predictions.confidence)  # (N,)
    rows = np.argsort(-sure, kind="stable")
    return {name: rows[mask[rows]] for name, mask in zip(BY_RIGHT, masks, strict=True)}


def pair_table(told: "Comparison") -> "pd.DataFrame":
    """One row per pair: all that is counted of it."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "network": each.first,
                "beside": each.second,
                **_flat(each.agreement.as_dict()),
                "p among all": each.p_value,
            }
            for each in told.pairs
        ]
    )


def _flat(content: dict[str, Any]) -> dict[str, Any]:
    """Numbers of a pair, the interval as two."""
    low, high = content["interval"]
    return {name: value for name, value in content.items() if name != "interval"} | {"low": low, "high": high}
