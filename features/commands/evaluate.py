"""Counts how often a network is right on labelled images."""

import argparse
import json
import sys

from features.commands.common import (
    Commands,
    add_limit,
    add_model,
    add_source,
    command,
    load,
    print_table,
    show,
    source_of,
)


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    evaluate = command(commands, "evaluate", _evaluate, "Count how often a network is right on labelled images.")
    add_source(evaluate)
    add_model(evaluate)
    add_limit(evaluate)
    evaluate.add_argument("--json", action="store_true", help="print only JSON on standard output")


def _evaluate(options: argparse.Namespace) -> None:
    from features.datasets import labels
    from features.evaluate import evaluate

    images = source_of(options)
    model = load(options, images)
    result = show(evaluate(model, images))
    for rejected in result.rejected:
        print(f"left out: {rejected.reason}", file=sys.stderr)
    if result.labels_matched != labels.BY_NAME:
        print(result.labels_guessed or labels.said(result.labels_matched), file=sys.stderr)
    if options.json:
        print(json.dumps(result.as_dict()))
        return
    print(f"{model.spec.name} on {result.n_images} images of {images.name}")
    top5 = f"   top-5 {result.top5:.2%}" if len(result.class_names) > 5 else ""
    average = result.mean_average_precision
    right = "every label right" if result.predictions.assigned is not None else "the prediction is one of the labels"
    exact = "" if average is None else f" ({right})   mean average precision {average:.2%}"
    print(f"accuracy {result.accuracy:.2%}{exact}{top5}")
    print(
        f"macro precision {result.macro_precision:.2%}   recall {result.macro_recall:.2%}   F1 {result.macro_f1:.2%}\n"
    )
    table: list[tuple[str, ...]] = [("class", "precision", "recall", "F1", "images")]
    table += [
        (score.name, f"{score.precision:.3f}", f"{score.recall:.3f}", f"{score.f1:.3f}", str(score.support))
        for score in result.per_class
    ]
    if average is not None:
        column = ["average precision", *(f"{score.average_precision:.3f}" for score in result.per_class)]
        table = [(*row, cell) for row, cell in zip(table, column, strict=True)]
    print_table(table)
