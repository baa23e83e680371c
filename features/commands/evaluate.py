"""Counts how often a network is right on labelled images, and says how far it can be relied on."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from features.commands import robustness
from features.commands.common import (
    Commands,
    add_limit,
    add_model,
    add_source,
    columns_of,
    command,
    load,
    print_table,
    show,
    source_of,
)
from features.shares import Share

if TYPE_CHECKING:
    import numpy as np

    from features.datasets import ImageSet
    from features.evaluate import Calibration, Evaluation, Novelty, Retrieval
    from features.networks.zoo import Model
    from features.store import FeatureSet

WAYS = {"name": "by name", "number": "by number", "wordnet": "by WordNet id", "order": "by order"}


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    evaluate = command(commands, "evaluate", _evaluate, "Count how often a network is right on labelled images.")
    add_source(evaluate)
    add_model(evaluate)
    add_limit(evaluate)
    evaluate.add_argument(
        "--match", choices=tuple(WAYS), help="how labels are matched with the network's classes (default: what fits)"
    )
    evaluate.add_argument(
        "--retrieval",
        action="store_true",
        help="recall at 1, 5, 10 and mean average precision of each stage's features",
    )
    evaluate.add_argument(
        "--against",
        metavar="SOURCE",
        help="a second set of images: how well it is told from the first by energy, softmax, Mahalanobis distance and "
        "neighbours, at each stage",
    )
    robustness.add(evaluate)
    evaluate.add_argument("--json", action="store_true", help="print only JSON on standard output")


def _evaluate(options: argparse.Namespace) -> None:
    from features.datasets import labels
    from features.evaluate import evaluate

    robustness.need_asked(options)
    images = source_of(options)
    model = load(options, images)
    result = show(evaluate(model, images, None if options.match is None else WAYS[options.match]))
    for rejected in result.rejected:
        print(f"left out: {rejected.reason}", file=sys.stderr)
    if result.labels_matched != labels.BY_NAME:
        print(result.labels_guessed or labels.said(result.labels_matched), file=sys.stderr)
    retrieved, told = _of_features(options, model, images)
    worse = robustness.measured(options, model, images, None if options.match is None else WAYS[options.match])
    if options.json:
        print(json.dumps(result.as_dict() | _as_dict(retrieved, told) | worse))
        return
    print(f"{model.spec.name} on {result.n_images} images of {images.name}")
    _print_scores(result)
    _print_calibration(result.calibration)
    _print_classes(result)
    _print_retrieval(retrieved)
    if told is not None:
        _print_novelty(told)
    robustness.tell(worse)


def _of_features(
    options: argparse.Namespace, model: "Model", images: "ImageSet"
) -> tuple["dict[str, Retrieval]", "Novelty | None"]:
    """What needs the features of every stage, where it is asked for."""
    if not options.retrieval and options.against is None:
        return {}, None
    from features.evaluate import novelty, retrieval
    from features.extract import features

    others = None if options.against is None else _second_set(options)
    known = show(features(model, images))
    retrieved = show(retrieval(known.stages, _labels(known))) if options.retrieval else {}
    told = None if others is None else show(novelty(known, show(features(model, others))))
    return retrieved, told


def _second_set(options: argparse.Namespace) -> "ImageSet":
    from features.datasets import opening

    others = show(opening(options.against, options.data_root, options.download, columns=columns_of(options)))
    return others if options.limit is None else others.sample(options.limit)


def _labels(known: "FeatureSet") -> "np.ndarray":
    labels = known.label_sets if known.label_sets is not None else known.labels
    assert labels is not None  # or they could not have been evaluated
    return labels


def _as_dict(retrieved: "dict[str, Retrieval]", told: "Novelty | None") -> dict[str, object]:
    content: dict[str, object] = {}
    if retrieved:
        content["retrieval"] = {stage: each.as_dict() for stage, each in retrieved.items()}
    if told is not None:
        content["novelty"] = told.as_dict()
    return content


def _between(share: Share) -> str:
    low, high = share.interval
    return f"{low:.1%} to {high:.1%}"


def _print_scores(result: "Evaluation") -> None:
    top5 = f"   top-5 {result.top5:.2%}" if len(result.class_names) > 5 else ""
    average = result.mean_average_precision
    right = "every label right" if result.predictions.assigned is not None else "the prediction is one of the labels"
    exact = "" if average is None else f" ({right})   mean average precision {average:.2%}"
    print(f"accuracy {result.accuracy:.2%}{exact}{top5}")
    print(f"95 % interval of the accuracy: {_between(result.accuracy_share)}")
    print(f"macro precision {result.macro_precision:.2%}   recall {result.macro_recall:.2%}   F1 {result.macro_f1:.2%}")


def _print_calibration(told: "Calibration") -> None:
    print(
        f"expected calibration error {told.equal_width.error:.2%} in groups of equal width, "
        f"{told.equal_mass.error:.2%} of equal mass"
    )
    if (fitted := told.temperature) is not None:
        print(
            f"temperature {fitted.value:.3f}, fitted on {fitted.n_fitted} images: on {fitted.n_told} others the error "
            f"goes from {fitted.error_before:.2%} to {fitted.error_after:.2%}"
        )
    print()


def _print_classes(result: "Evaluation") -> None:
    table: list[tuple[str, ...]] = [("class", "precision", "recall", "F1", "images", "95 % interval of recall")]
    table += [
        (
            score.name, f"{score.precision:.3f}", f"{score.recall:.3f}", f"{score.f1:.3f}", str(score.support),
            _between(score.recall_share),
        )
        for score in result.per_class
    ]  # fmt: skip
    if result.mean_average_precision is not None:
        column = ["average precision", *(f"{score.average_precision:.3f}" for score in result.per_class)]
        table = [(*row, cell) for row, cell in zip(table, column, strict=True)]
    print_table(table)


def _print_retrieval(retrieved: "dict[str, Retrieval]") -> None:
    if not retrieved:
        return
    first = next(iter(retrieved.values()))
    print(f"\nretrieval: {first.n_queries} queries among {first.n_images} images, each left out of its own answers")
    table: list[tuple[str, ...]] = [("stage", *(f"recall at {k}" for k in first.recall), "mean average precision")]
    table += [
        (stage, *(f"{share.value:.3f}" for share in each.recall.values()), f"{each.mean_average_precision:.3f}")
        for stage, each in retrieved.items()
    ]
    print_table(table)


def _print_novelty(told: "Novelty") -> None:
    print(
        f"\n{told.others_name} told from {told.known_name}; {told.n_reference} of the known images are what distances "
        f"are measured from, their classes by {told.classes_by}"
    )
    table: list[tuple[str, ...]] = [("score", "stage", "AUROC", "95 % interval", "FPR at 95 % TPR")]
    table += [
        (
            each.score, each.stage or "logits", f"{each.separating.auroc:.3f}",
            "{:.3f} to {:.3f}".format(*each.separating.interval), f"{each.separating.accepted.value:.3f}",
        )
        for each in told.scored
    ]  # fmt: skip
    print_table(table)
