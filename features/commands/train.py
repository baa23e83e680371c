"""Trains a network."""

import argparse
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from features.commands.common import (
    Commands,
    add_norms,
    add_out,
    add_source,
    columns_of,
    command,
    said,
    show,
    tell_understood,
)
from features.errors import FeatureError
from features.networks import naming
from features.networks.settings import Settings, applied
from features.train.recipe import Recipe

if TYPE_CHECKING:
    from features.networks.card import ModelSpec


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    train = command(
        commands, "train", _train, "Train a network on labelled images; run it again to go on after an interruption."
    )
    add_source(train)
    train.add_argument("--test", metavar="SOURCE", help="held-out images (default: the set's own test split)")
    train.add_argument(
        "--model",
        default="resnet20-cifar",
        metavar="NAME",
        help="the architecture, as of a name of the catalogue, resnet20-cifar?norm=group or timm:NAME (default: "
        "%(default)s)",
    )
    add_norms(train)
    train.add_argument("--name", required=True, help="what to call the result: NAME.safetensors and NAME.json")
    add_out(train, "where it goes (default: %(default)s)", required=False)
    train.set_defaults(out=Path("runs"))
    train.add_argument("--licence", default="unspecified", help="the licence of the weights, kept in the file")
    for field in fields(Recipe):
        train.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=type(field.default),
            default=field.default,
            metavar="X",
            help=f"{field.metadata['help']} (default: %(default)s)",
        )


def _train(options: argparse.Namespace) -> None:
    from features.claim import MANIFEST, Claim, need_kind
    from features.datasets import held_out, opening, splits
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
    source, test = _splits(options.source, options.test)
    need_kind(options.out, export.TRAINING, options.name)
    columns = columns_of(options)
    images = show(opening(source, options.data_root, options.download, splits.FIRST_TRAINING, columns))
    test_images = show(opening(test or held_out(images), options.data_root, options.download, columns=columns))
    for each in (images, test_images):
        tell_understood(each)
    recipe = Recipe(**{field.name: getattr(options, field.name) for field in fields(Recipe)})
    entry = _entry(options.model, said(options))
    told = {"family": entry.family, "licence": options.licence}
    settings = export.settings_of(entry.architecture, images, test_images, recipe, told)
    with Claim(options.out, export.TRAINING, settings, options.replace, options.name) as claim:
        content = claim.finished
        if content is None:
            state = export.state_file(claim)
            training = show(fit.fit(entry.architecture, images, test_images, recipe, state))
            with claim.errors():
                staged = export.publish(training, images, options.name, entry.family, options.licence, claim.new)
            content = export.card_of(training, staged, show(evaluate(zoo.load(weights=staged), test_images)))
            claim.commit(content, {state.name: state.name})
    weights, result = options.out / f"{options.name}{export.WEIGHTS}", content["test"]
    print(
        f"{weights}: test accuracy {result['accuracy']:.2%} on {result['n_images']} images. "
        f"Everything else is in {weights.with_suffix('.json')}."
    )


def _entry(text: str, said: Settings) -> "ModelSpec":
    """A network that is trained anew. said: beside its name. Raises FeatureError where weights would be needed."""
    from features.networks import catalogue

    name = naming.parse(text)
    if name.name is None or name != naming.NetworkName(name.name, settings=name.settings):
        raise FeatureError(
            f"--model is {text[:80]!r}, a file or more than a name, but training draws all weights anew. Name an "
            "architecture, as resnet20-cifar or timm:resnet18."
        )
    entry, _ = applied(catalogue.spec(name.name), tuple(dict((*name.settings, *said)).items()))
    return entry


def _splits(source: str, test: str | None) -> tuple[str, str | None]:
    """The sources of training and test images; None for these where the first may have a split of them."""
    if test is not None:
        return source, test
    if source.startswith("torchvision:"):
        base = ":".join(source.split(":")[:2])
        return f"{base}:train", f"{base}:test"
    return source, None
