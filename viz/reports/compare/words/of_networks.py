"""What is said of the networks of a comparison, each by itself."""

from typing import TYPE_CHECKING, Any

from viz.reports.document import BEST, QUIET

if TYPE_CHECKING:
    import pandas as pd

    from features.compare import Common, Comparison, Contender
    from features.compare.costs import Cost

TITLE = "Which network does better, and where"
COST = "Accuracy with its 95 % interval over what an image costs; grey what another network beats in both."
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
SCORES = (
    "Precision, recall and F1 are means over the classes that occur, each class counted alike, however many images it "
    "has; top 5: the label is among the five surest."
)
STAR = " ★"
LESS_ON_DISK = 0.9  # of the weights' bytes, below which the size of their file is told


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
            "MB": _size(each.cost),
            "GFLOPs": f"{each.macs / 1e9:.3g}",
            "ms for one": each.cost.latency.in_words(1e3),
            "images/s": f"{each.cost.rate.in_words()}, {each.cost.batch} at a time",
            "memory, MB": f"{each.cost.memory_bytes / 1e6:,.0f}",
        }
        for each in told.contenders
    ]


def _size(told: "Cost") -> str:
    """Of the weights as they run, and of their file where that takes much less."""
    smaller = told.file_bytes is not None and told.file_bytes < LESS_ON_DISK * told.weight_bytes
    on_disk = f", file {(told.file_bytes or 0) / 1e6:.3g}" if smaller else ""
    return f"{told.weight_bytes / 1e6:.3g}{on_disk}"


def _average_precision(told: "Contender") -> dict[str, str]:
    value = told.evaluation.mean_average_precision
    return {} if value is None else {"mAP": f"{value:.1%}"}


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


def table(told: "Comparison") -> "pd.DataFrame":
    """One row per network: all of its numbers, those of cost too."""
    import pandas as pd

    return pd.DataFrame([_numbers(each.as_dict()) for each in told.contenders])


def _numbers(content: dict[str, Any]) -> dict[str, Any]:
    """A network as a row of numbers, with what was measured of it in columns of their own."""
    import pandas as pd

    share, measured = content["accuracy"], pd.json_normalize(content["measured"], sep=" ").iloc[0].to_dict()
    rest = {name: value for name, value in content.items() if isinstance(value, int | float) and name != "name"}
    return {
        "network": content["name"], "accuracy": share["value"], "accuracy low": share["low"],
        "accuracy high": share["high"], "images": share["n"], **rest, **measured,
    }  # fmt: skip


def scores(told: "Comparison") -> "pd.DataFrame":
    """One row per network: the shares of right answers, and the means over classes."""
    import pandas as pd

    rows = []
    for each in told.contenders:
        of = each.evaluation
        row = {"network": each.name, "accuracy": of.accuracy_share.value, "top 5": of.top5_share.value}
        row |= {"precision": of.macro_precision, "recall": of.macro_recall, "F1": of.macro_f1}
        rows.append(row | ({} if of.mean_average_precision is None else {"mAP": of.mean_average_precision}))
    return pd.DataFrame(rows)


def groups(told: "Comparison") -> "pd.DataFrame":
    """One row per network and group of answers of like confidence: how many, how many are right, how sure they are."""
    import pandas as pd

    return pd.DataFrame(
        [
            {"network": each.name, "answers": count, "right": hits, "confidence": confidence}
            for each in told.contenders
            for of in [each.evaluation.calibration.equal_mass]
            for count, hits, confidence in zip(of.counts, of.hits, of.confidence, strict=True)
            if count
        ]
    )


def measured(told: "Comparison") -> str:
    """What ran the networks when they were timed, and how to read what is bold and grey."""
    cost = told.contenders[0].cost
    return (
        f"Times are medians of passes in turn, with the lowest and highest, by {cost.engine} in fp32 on {cost.device}: "
        f"one image, then as many at a time as are fastest; memory for one image: {cost.memory}. Bold: "
        "the best of a column. Grey: what chance or the spread of the passes may keep apart from it."
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
