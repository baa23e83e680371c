"""Tells what lies in a file of weights."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from features.commands.common import Commands, add_said, command, said, tell_understood
from features.errors import FeatureError, WeightsError

if TYPE_CHECKING:
    from features.networks.naming import NetworkName

LISTED = 8


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    inspect = command(
        commands,
        "inspect",
        _inspect,
        "Tell which residual networks lie in a file of weights, and what it does not tell.",
    )
    inspect.add_argument(
        "file",
        metavar="FILE",
        help="a file of weights, whatever its name ends in; behind it ?part=... as of --model",
    )
    inspect.add_argument("--part", metavar="NAME", help="the network to look at closely (default: the main one)")
    inspect.add_argument("--head", metavar="NAME", help="which head of a network with several (default: the first)")
    inspect.add_argument(
        "--images",
        metavar="SOURCE",
        help="images of the kind it was trained on, to test on what its tensors do not tell",
    )
    inspect.add_argument("--classes", type=Path, metavar="FILE", help="class names, one a line")
    add_said(inspect)


def _inspect(options: argparse.Namespace) -> None:
    from features.networks import card, catalogue, hub_configs, naming, specification
    from features.networks.checkpoint import choose, refusal
    from features.networks.inspection import described, inspect

    name = naming.parse(options.file)
    if name.weights is None and catalogue.is_known(str(name.name)):
        raise FeatureError(
            f"{options.file[:80]} is the name of a network, of which `python -m features models` tells. Give a file of "
            "weights."
        )
    head = options.head or name.head
    settings = tuple(dict((*name.settings, *said(options))).items())
    name = replace(
        name, part=options.part or name.part, head=head, weights=name.weights or Path(options.file), settings=settings,
        classes=options.classes or name.classes,
    )  # fmt: skip
    assert name.weights is not None
    named = name.name or hub_configs.name_beside(name.weights)
    try:
        inspection = inspect(name.weights, head)
    except WeightsError:
        if named is None or not name.weights.exists():
            raise
        print(f"{name.weights}: a network that tensors alone do not tell, named {named}")
        _taken(options, name)
        return
    print(f"{name.weights}: {inspection.summary()}")
    if card.is_described(inspection.metadata):
        own = specification.said_of_itself(inspection.path, inspection.metadata)
        print(f"it says of itself: {own.name}, {own.family}, weights: {own.source}, licence: {own.licence}")
    for number, network in enumerate(inspection.networks):
        print("", *described(network, main=number == 0), sep="\n")
    part = choose(name.weights, [each.part for each in inspection.networks], name.part)
    (chosen,) = (each for each in inspection.networks if each.part is part)
    if chosen.inferred is None and named is None:
        raise refusal(name.weights, chosen.problem)
    _taken(options, name)


def _taken(options: argparse.Namespace, name: "NetworkName") -> None:
    """What becomes of the network when it is loaded, and the command that uses it."""
    from features.datasets import open_images
    from features.networks import naming, zoo

    images = open_images(options.images) if options.images else None
    if images is not None:
        tell_understood(images)
    model = zoo.load(name, pictures=images.pictures if images else None)
    print(f"\ntaken as: {model.spec.architecture.describe()}")
    print(f"  pixels: {model.spec.preprocessing.describe()}")
    if model.spec.class_names:
        rest = ", ..." if len(model.spec.class_names) > LISTED else ""
        print(f"  classes: {', '.join(model.spec.class_names[:LISTED])}{rest}")
    verdict = model.verdict
    if verdict is not None and verdict.structures:
        print("  tested by the statistics of its norms, the best first:")
        for kind, rows in (("pixels", verdict.pixels), ("structure", verdict.structures)):
            print("\n".join(f"    {kind}: {tested}" for tested in rows))
    for guess in model.spec.assumed:
        print(f"  assumed: {guess}")
    if verdict is None and model.spec.assumed and not options.images:
        print("  --images SOURCE tests what is assumed on images of the kind it was trained on")
    print(f"use it: python -m features extract SOURCE {naming.as_options(name)} --out DIR")
