"""Measures how far maps can be trusted."""

import argparse

from features.commands.common import (
    Commands,
    add_limit,
    add_model,
    add_out,
    add_source,
    command,
    left_out,
    load,
    made_of,
    named,
    names,
    positive,
    print_numbers,
    seed,
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
    add_model(faithfulness, several=True)
    add_out(faithfulness, "where the table and curves go")
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
        "--seed", type=seed, default=0, metavar="N", help="of all that is drawn (default: %(default)s)"
    )
    faithfulness.add_argument(
        "--quick", action="store_true", help="leave out infidelity, sensitivity and randomisation"
    )


def _faithfulness(options: argparse.Namespace) -> None:
    from features import faithfulness, saliency
    from features.claim import Claim, need_kind
    from features.datasets import Rejected, need_outside
    from features.networks import catalogue, naming

    networks = [None] if options.model is None else naming.several(options.model)
    if not networks:
        raise FeatureError("No network is named. Name at least one with --model, or leave it away.")
    if options.weights and len(networks) > 1:
        raise FeatureError("--weights are of one network. Name one with --model, or run the command again for others.")
    need_outside(options.source, options.out)
    need_kind(options.out, faithfulness.TRIALS)
    options_of = [argparse.Namespace(**vars(options) | {"model": name}) for name in networks]
    for name in map(named, options_of):  # before the first one is measured
        if name.weights is None:
            catalogue.spec(name.name or catalogue.DEFAULT)
    images = source_of(options)
    models = [load(one, images) for one in options_of]
    made = [made_of(model, images) for model in models]
    settings = {name: [one[name] for one in made] for name in made[0]} | {
        name: getattr(options, name) for name in ("methods", "tap", "steps", "seed", "quick")
    }
    with Claim(options.out, faithfulness.TRIALS, settings, options.replace) as claim:
        if claim.finished is None:
            trials: list[faithfulness.Trial] = []
            for model in models:
                explainer = saliency.Explainer(model)
                trials += show(
                    faithfulness.measure(
                        explainer, images, options.methods, options.tap, options.steps, options.seed, not options.quick
                    )
                )
            left_out(trials[0].rejected)
            faithfulness.write(claim, trials)
        else:
            left_out([Rejected(row["image"], row["reason"]) for row in claim.finished["left_out"]])
    table = faithfulness.read(options.out)
    head = [name for name in table if not name.startswith("rank_correlation")]
    print_numbers(head, table[head].to_numpy().tolist(), 4)
    if not options.quick:
        print("\nRank correlation with maps of networks whose parts are drawn anew, from the head down:")
        rest = [name for name in table if name.startswith("rank_correlation")]
        shown = [name.removeprefix("rank_correlation_randomised_to_") for name in rest]
        rows = zip(table[["model", "method"]].to_numpy().tolist(), table[rest].to_numpy().tolist(), strict=True)
        print_numbers(("model", "method", *shown), ((*who, *values) for who, values in rows), 4)
