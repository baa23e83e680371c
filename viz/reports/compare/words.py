"""What page and report say of networks side by side, so that both say the same. Plain text: who shows it escapes it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from features.compare import Agreement, Comparison, Contender, Pair

TITLE = "Which network does better, and where"
NO_SLICES = "No group of ten images or more that a label or a column of the set tells apart."
COST = "Accuracy with its 95 % interval over what an image costs; grey what another network beats in both."
SIMILARITY = (
    "Unbiased linear CKA of pooled features (Kornblith et al. 2019; Song et al. 2012): 1 where one is the other but for "
    "rotation and scale, 0 for strangers. It does not see what a linear map of one could still tell of the other."
)
P_VALUE = "How likely so uneven a split of the images on which only one is right is by chance."
KAPPA = "Cohen's kappa of who is right: 1 for the same errors, 0 for what chance gives (Geirhos et al. 2020)."
CHURN = "Of which they say different classes."
STAR = " ★"
ONLY_FIRST, ONLY_SECOND, NEITHER, BOTH = "only the first", "only the second", "neither", "both"
BY_RIGHT = (ONLY_FIRST, ONLY_SECOND, NEITHER, BOTH)


def networks(told: "Comparison") -> str:
    """How to read the table of networks."""
    return (
        f"On {len(told.ids):,} images of {told.images}; intervals of 95 % (Wilson 1927). F1 is the mean over the classes "
        "that occur, ECE by how much confidence and accuracy differ (Guo et al. 2017). " + best(told)
    )


def best(told: "Comparison") -> str:
    """Which network is the best, if one is."""
    if told.best is None:
        return "No network is right more often than each other by more than chance would have it."
    return f"★ {told.best.name} is right more often than each other, by more than chance (McNemar's test, Holm 1979)."


def rows(told: "Comparison") -> list[dict[str, str]]:
    """The table of networks: a row each, head -> cell."""
    winner = told.best
    return [
        {
            "network": each.name + (STAR if each is winner else ""),
            "accuracy": f"{each.accuracy.value:.2%}",
            "95 %": "{:.1%} to {:.1%}".format(*each.accuracy.interval),
            "F1": f"{each.macro_f1:.3f}",
            "ECE": f"{each.calibration_error:.1%}",
            "parameters": f"{each.parameters:,}",
            "GFLOPs": f"{each.macs / 1e9:.3g}",
        }
        for each in told.contenders
    ]


def pair(told: "Pair") -> str:
    """Two networks by their names."""
    return f"{told.second} beside {told.first}"


def verdict(told: "Pair") -> str:
    """Who of two is right more often, and whether that is more than chance."""
    counted, (low, high) = told.agreement, told.agreement.interval
    return (
        f"{told.second} is right {abs(counted.difference):.2%} {'more' if counted.difference >= 0 else 'less'} often "
        f"(95 % interval {low:+.1%} to {high:+.1%}). {meaning(counted)}"
    )


def meaning(counted: "Agreement") -> str:
    """What McNemar's p value says of one pair."""
    if counted.p_value < 0.05:
        return "That is more than chance would have it."
    return "So small a difference is within what chance gives on as many images."


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
