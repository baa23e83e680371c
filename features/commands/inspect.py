"""Tells what lies in a file of weights."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from features.commands.common import Commands, command

if TYPE_CHECKING:
    from features.networks.inspection import Network

LISTED = 8


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    inspect = command(
        commands,
        "inspect",
        _inspect,
        "Tell which residual networks lie in a file of weights, and what it does not tell.",
    )
    inspect.add_argument("file", type=Path, metavar="FILE", help="a file of weights, whatever its name ends in")
    inspect.add_argument("--part", metavar="NAME", help="the network to look at closely (default: the main one)")
    inspect.add_argument("--head", metavar="NAME", help="which head of a network with several (default: the first)")
    inspect.add_argument(
        "--images",
        metavar="SOURCE",
        help="images of the kind it was trained on, to test on what its tensors do not tell",
    )


def _inspect(options: argparse.Namespace) -> None:
    from features.networks import card
    from features.networks.inspection import inspect

    inspection = inspect(options.file)
    print(f"{options.file}: {inspection.format}, {inspection.n_tensors:,} tensors")
    if card.is_described(inspection.metadata):
        said = card.described(inspection.metadata)
        print(f"it says of itself: {said.name}, {said.family}, weights: {said.source}, licence: {said.licence}")
    for number, network in enumerate(inspection.networks):
        _print(network, main=number == 0)
    chosen = next((each for each in inspection.networks if each.part.name == options.part), inspection.networks[0])
    if chosen.inferred is not None:
        _taken(options, chosen)


def _taken(options: argparse.Namespace, chosen: "Network") -> None:
    """What becomes of the network when it is loaded, and the command that uses it."""
    from features.datasets import open_images
    from features.networks import zoo
    from features.networks.naming import NetworkName

    images = open_images(options.images) if options.images else None
    part = chosen.part.name if options.part is not None else None
    name = NetworkName(weights=options.file, part=part, head=options.head)
    model = zoo.load(name, pictures=images.pictures if images else None)
    print(f"\ntaken as: {model.spec.architecture.describe()}")
    print(f"  pixels: {model.spec.preprocessing.describe()}")
    verdict = model.verdict
    if verdict is not None and verdict.structures:
        print("  tested by the statistics of its norms, the best first:")
        for kind, rows in (("pixels", verdict.pixels), ("structure", verdict.structures)):
            print("\n".join(f"    {kind}: {tested}" for tested in rows))
    for guess in model.spec.assumed:
        print(f"  assumed: {guess}")
    if verdict is None and not options.images:
        print("  --images SOURCE tests what is assumed on images of the kind it was trained on")
    said = f" --part {part}" * bool(part) + f" --head {options.head}" * bool(options.head)
    print(f"use it: python -m features extract SOURCE --weights {options.file}{said} --out DIR")


def _print(network: "Network", main: bool) -> None:
    part = network.part
    where = f"at {part.name!r}" if part.name else "at the top"
    print(f"\n{'network' if main else 'another network'} {where}, spelled as {part.title}")
    print(
        f"  {part.parameters:,} numbers in its blocks"
        + ("; a copy that follows another's training" if part.copy else "")
    )
    if network.inferred is None:
        print(f"  not understood: {network.problem}")
        return
    architecture = network.inferred.architecture
    print(f"  known from its tensors: {architecture.describe()}")
    untold = "; ".join(f"{choice.words(architecture)} ({choice.option})" for choice in network.inferred.untold)
    print(f"  not told by them, and taken as usual: {untold}")
    if len(part.heads) > 1:
        print(f"  heads: {', '.join(part.heads[:LISTED])}; the first is taken, or another with --head")
    if part.left:
        rest = f" and {len(part.left) - LISTED} more" if len(part.left) > LISTED else ""
        print(f"  left aside: {', '.join(part.left[:LISTED])}{rest}")
