"""Tells what every channel of a network answers to."""

import argparse
from typing import TYPE_CHECKING

from features.commands.common import (
    Commands,
    add_limit,
    add_model,
    add_out,
    add_source,
    command,
    load,
    made_of,
    names,
    positive,
    print_table,
    seed,
    show,
    source_of,
)

if TYPE_CHECKING:
    from features.channels import Channels

SHOWN = 5  # channels of a layer


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    channels = command(commands, "channels", _channels, "Tell what every channel answers to.")
    add_source(channels)
    add_model(channels)
    add_out(channels, "where the tables go")
    channels.add_argument(
        "--layers", type=names, default=[], metavar="A,B", help="of stem, stages and blocks (default: every block)"
    )
    channels.add_argument(
        "--top", type=positive, default=16, metavar="K", help="images kept of each channel (default: %(default)s)"
    )
    channels.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="of the sample of a very large set (default: %(default)s)"
    )
    add_limit(channels)


def _channels(options: argparse.Namespace) -> None:
    from features import channels
    from features.claim import Claim, need_kind
    from features.datasets import need_outside

    need_outside(options.source, options.out)
    need_kind(options.out, channels.CHANNELS)
    images = source_of(options)
    model = load(options, images)
    settings = made_of(model, images) | {"layers": options.layers, "top": options.top, "seed": options.seed}
    with Claim(options.out, channels.CHANNELS, settings, options.replace) as claim:
        if claim.finished is not None:
            print(f"{options.out}: is complete already")
            return
        told = show(channels.responses(model, images, options.layers, options.top, options.seed))
        show(channels.write(claim, told, model, images))
    _print(told)
    print(f"\n{options.out}: {told.n_images:,} images")


def _print(told: "Channels") -> None:
    table = told.table()
    for layer in told.layers:
        mine = table[table["layer"] == layer.name]
        silent = int((layer.silent == 1).sum())
        print(f"\n{layer.name}: {layer.n_channels} channels, {silent} silent on all images")
        if "auroc" in mine:
            best = mine.sort_values("auroc", ascending=False).head(SHOWN)
            rows = [
                (str(row.channel), str(row.best_class), f"{row.auroc:.3f}", f"{row.silent:.0%}", str(row.top_image))
                for row in best.itertuples()
            ]
            print_table([("channel", "tells apart", "AUROC", "silent", "excited most by"), *rows])
