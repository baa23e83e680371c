"""Measures how far maps can be trusted."""

import argparse
import json
from pathlib import Path

from features.commands.common import (
    Commands,
    add_limit,
    add_model,
    add_source,
    command,
    left_out,
    load,
    names,
    positive,
    print_numbers,
    show,
    source_of,
)
from features.errors import FeatureError


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    faithfulness = command(
        commands, "faithfulness", _faithfulness, "Measure how far maps of several methods can be trusted."
    )
    add_source(faithfulness)
    add_model(faithfulness)
    faithfulness.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the table and curves go")
    faithfulness.add_choice(
        "--methods",
        "features.faithfulness:measurable",
        "of {names}; random knows nothing of the network (default: %(default)s)",
        type=names,
        default="gradcam,hirescam,gradcam++,layercam,eigencam,random",
        metavar="A,B",
    )
    faithfulness.add_argument("--tap", metavar="NAME", help="a stage or block (default: the last stage)")
    faithfulness.add_argument(
        "--steps", type=positive, default=32, metavar="N", help="of the curves (default: %(default)s)"
    )
    add_limit(faithfulness)
    faithfulness.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of all that is drawn (default: %(default)s)"
    )
    faithfulness.add_argument(
        "--quick", action="store_true", help="leave out infidelity, sensitivity and randomisation"
    )


def _faithfulness(options: argparse.Namespace) -> None:
    import numpy as np

    from features import faithfulness, files, saliency
    from features.datasets import need_outside
    from features.networks import catalogue

    networks = names(options.model) if options.model else [None]
    if options.weights and len(networks) > 1:
        raise FeatureError("--weights are of one network. Name one with --model, or run the command again for others.")
    need_outside(options.source, options.out)
    files.need_no_file(options.out)
    for name in networks if not options.weights else ():
        catalogue.spec(name or catalogue.DEFAULT)  # before the first one is measured
    images = source_of(options)
    trials: list[faithfulness.Trial] = []
    for name in networks:
        explainer = saliency.Explainer(load(argparse.Namespace(**vars(options) | {"model": name})))
        trials += show(
            faithfulness.measure(
                explainer, images, options.methods, options.tap, options.steps, options.seed, not options.quick
            )
        )
    options.out.mkdir(parents=True, exist_ok=True)
    table = faithfulness.table(trials)
    files.write_whole(options.out / "faithfulness.csv", table.to_csv(index=False).encode())
    arrays = {
        f"{trial.model}/{trial.method}/{kind}": getattr(trial.curves, kind)
        for trial in trials
        for kind in ("shares", "deletion", "insertion")
    }
    with files.written_whole(options.out / "curves.npz") as file:
        np.savez(file, **arrays)
    content = {
        "trials": [
            {name: None if value != value else value for name, value in trial.summary().items()}  # JSON has no NaN
            | {"ids": trial.ids, "provenance": trial.provenance}
            for trial in trials
        ],
        "left_out": left_out(trials[0].rejected),
    }
    files.write_whole(options.out / "manifest.json", (json.dumps(content, indent=1) + "\n").encode())
    head = [name for name in table if not name.startswith("rank_correlation")]
    print_numbers(head, table[head].to_numpy().tolist(), 4)
    if not options.quick:
        print("\nRank correlation with maps of networks whose parts are drawn anew, from the head down:")
        rest = [name for name in table if name.startswith("rank_correlation")]
        shown = [name.removeprefix("rank_correlation_randomised_to_") for name in rest]
        rows = zip(table[["model", "method"]].to_numpy().tolist(), table[rest].to_numpy().tolist(), strict=True)
        print_numbers(("model", "method", *shown), ((*who, *values) for who, values in rows), 4)
