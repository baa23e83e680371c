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


def _inspect(options: argparse.Namespace) -> None:
    from features.networks.inspection import inspect

    inspection = inspect(options.file)
    print(f"{options.file}: {inspection.format}, {inspection.n_tensors:,} tensors")
    for number, network in enumerate(inspection.networks):
        _print(network, main=number == 0)


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
    if part.left:
        rest = f" and {len(part.left) - LISTED} more" if len(part.left) > LISTED else ""
        print(f"  left aside: {', '.join(part.left[:LISTED])}{rest}")
