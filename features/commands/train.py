"""Trains a network."""

import argparse
import sys
from pathlib import Path

from features.commands.common import Commands, add_out, command, show
from features.commands.recipes import add_training, need_one_start, recipe_of, sets_of, start_of
from features.errors import FeatureError


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    train = command(
        commands, "train", _train, "Train a network on labelled images; run it again to go on after an interruption."
    )
    add_training(train)
    train.add_argument("--name", required=True, help="what to call the result: NAME.safetensors and NAME.json")
    add_out(train, "where it goes (default: %(default)s)", required=False)
    train.set_defaults(out=Path("runs"))
    train.add_argument(
        "--licence", help="the licence of the weights, kept in the file (default: that of --from, else unspecified)"
    )


def _train(options: argparse.Namespace) -> None:
    from features.claim import MANIFEST, Claim, need_kind
    from features.evaluate import evaluate
    from features.networks import zoo
    from features.train import export, fit

    if Path(options.name).name != options.name or not options.name.strip("."):
        raise FeatureError(f"The name is {options.name!r}. Give a name without folders; --out says where it goes.")
    if f"{options.name}.json" == MANIFEST:
        raise FeatureError(
            f"The name is {options.name!r}, and {MANIFEST} would say that the whole folder is one result's. Choose "
            "another name."
        )
    need_one_start(options)
    need_kind(options.out, export.TRAINING, options.name)
    recipe = recipe_of(options)
    images, test_images = sets_of(options)
    start = start_of(options, images)
    licence = export.licence_of(start, options.licence)
    told = {"family": start.family, "licence": licence}
    settings = export.settings_of(start, images, test_images, recipe, told)
    with Claim(options.out, export.TRAINING, settings, options.replace, options.name) as claim:
        content = claim.finished
        if content is None:
            state = export.state_file(claim)
            training = show(fit.fit(start, images, test_images, recipe, state))
            with claim.errors():
                staged = export.publish(training, start, images, options.name, licence, claim.new)
            scores = None
            if training.architecture.classes is not None:
                scores = show(evaluate(zoo.load(weights=staged), test_images))
            content = export.card_of(training, start, staged, scores)
            claim.commit(content, {state.name: state.name})
    if content.get("head"):
        print(content["head"], file=sys.stderr)
    weights, result = options.out / f"{options.name}{export.WEIGHTS}", content["test"]
    said = "" if result is None else f": test accuracy {result['accuracy']:.2%} on {result['n_images']} images"
    print(f"{weights}{said}. Everything else is in {weights.with_suffix('.json')}.")
