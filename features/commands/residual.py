"""Measures what every residual branch adds, and what happens without it."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from features.commands.common import Commands, add_limit, add_model, add_source, command, load, print_table, show
from features.errors import FeatureError

if TYPE_CHECKING:
    from features import residual


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    residual = command(commands, "residual", _residual, "Measure what every residual branch adds, block by block.")
    add_source(residual)
    add_model(residual)
    residual.add_argument(
        "--out", type=Path, metavar="DIR", help="where the tables go (default: they are only printed)"
    )
    residual.add_argument(
        "--lesions",
        nargs="*",
        metavar="KIND",
        help="also leave out every block in turn; with words of without, scaled, random, swapped: do these",
    )
    residual.add_argument(
        "--paths", action="store_true", help="also measure the gradient along paths of every length (128 images)"
    )
    residual.add_argument("--seed", type=int, default=0, metavar="N", help="of what is drawn (default: %(default)s)")
    add_limit(residual)


def _residual(options: argparse.Namespace) -> None:
    from features import residual
    from features.datasets import open_images

    kinds = None if options.lesions is None else options.lesions or [residual.WITHOUT]
    if kinds and (unknown := sorted(set(kinds) - set(residual.KINDS))):
        raise FeatureError(f"There are no lesions {', '.join(unknown)}. Choose of {', '.join(residual.KINDS)}.")
    model = load(options)
    images = open_images(options.source, options.data_root, options.download)
    if options.limit:
        images = images.sample(options.limit)
    statistics = show(residual.statistics(model, images))
    for rejected in statistics.rejected:
        print(f"left out: {rejected.reason}", file=sys.stderr)
    sweep = paths = None
    if kinds:
        lesions = [lesion for kind in dict.fromkeys(kinds) for lesion in residual.lesions_of(model.network, kind)]
        sweep = show(residual.sweep(model, images, lesions))
    if options.paths:
        paths = show(residual.paths(model, images.sample(residual.PATH_IMAGES), seed=options.seed))
    if options.out:
        residual.write(options.out, statistics, sweep, paths)
    _print(model.spec.name, images.name, statistics, sweep, options.out)


def _print(
    model: str, images: str, statistics: "residual.BlockStatistics", sweep: "residual.Sweep | None", out: Path | None
) -> None:
    from features import residual

    print(f"{model} on {statistics.n_images:,} images of {images}")
    table = residual.blocks(statistics, sweep)
    shown = ["block", "ratio_median", "cosine_mean", "branch_share", "sparsity", "dead_channels", "effective_rank"]
    shown += [name for name in ("class_mean_accuracy", "accuracy_without") if name in table]
    rows = table[shown].to_numpy().tolist()
    print_table([tuple(shown), *(tuple(_short(value) for value in row) for row in rows)])
    if sweep is not None:
        print(f"\nintact: accuracy {_short(sweep.intact_accuracy)}, true class {_short(sweep.intact_true_probability)}")
        others = sweep.table().query("kind != 'without'")
        if len(others):
            names = ["lesion", "accuracy", "true_probability", "agreement", "cosine"]
            print_table(
                [tuple(names), *(tuple(_short(value) for value in row) for row in others[names].to_numpy().tolist())]
            )
    if out:
        print(f"\nThe tables with all numbers are in {out}.")


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
