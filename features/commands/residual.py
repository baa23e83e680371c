"""Measures what every residual branch adds, and what happens without it."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from features.commands.common import (
    Commands,
    add_cluster,
    add_limit,
    add_model,
    add_source,
    cluster_of,
    command,
    left_out,
    load,
    names,
    print_numbers,
    show,
    source_of,
    whole,
)
from features.errors import FeatureError

if TYPE_CHECKING:
    from features import residual
    from features.cluster import Cluster
    from features.networks.zoo import Model
    from features.progress import Task


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    residual = command(commands, "residual", _residual, "Measure what every residual branch adds, block by block.")
    add_source(residual)
    add_model(residual)
    residual.add_argument(
        "--out", type=Path, metavar="DIR", help="where the tables go (default: they are only printed)"
    )
    residual.add_argument("--lesions", action="store_true", help="also measure what is lost without every block")
    residual.add_choice(
        "--kinds", "features.residual:KINDS", "of lesions: {names} (default: without)", type=names, metavar="A,B"
    )
    residual.add_argument(
        "--paths", action="store_true", help="also measure the gradient along paths of every length (32 images)"
    )
    residual.add_argument("--seed", type=whole, default=0, metavar="N", help="of what is drawn (default: %(default)s)")
    add_limit(residual)
    add_cluster(residual)


def _residual(options: argparse.Namespace) -> None:
    from features import residual
    from features.datasets import need_outside

    kinds = (options.kinds or [residual.WITHOUT]) if options.lesions or options.kinds else []
    for kind in kinds:
        residual.KINDS.need(kind)
    cluster = cluster_of(options)
    if cluster and (kinds or options.paths):
        raise FeatureError("A cluster measures branches only. Leave --lesions, --kinds and --paths out, or --cluster.")
    if options.out:
        need_outside(options.source, options.out)
        residual.earlier(options.out)
    model = load(options)
    if kinds:
        model.need_classifier()
    if options.paths:
        residual.need_paths(model)
    images = source_of(options)
    statistics = show(residual.statistics(model, images) if cluster is None else _on_cluster(options, model, cluster))
    left_out(statistics.rejected)
    sweep = paths = None
    if kinds:
        lesions = [
            lesion for kind in dict.fromkeys(kinds) for lesion in residual.lesions_of(model.network, kind, options.seed)
        ]
        sweep = show(residual.sweep(model, images, lesions))
    if options.paths:
        paths = show(residual.paths(model, images.sample(residual.PATH_IMAGES), seed=options.seed))
    if options.out:
        residual.clear(options.out)  # not before something can take the place of what is there
        residual.write(options.out, statistics, sweep, paths)
    _print(model.spec.name, images.name, statistics, sweep, options.out)


def _on_cluster(options: argparse.Namespace, model: "Model", cluster: "Cluster") -> "Task[residual.BlockStatistics]":
    from features.cluster import Source
    from features.residual import cluster as on_cluster

    return on_cluster.statistics(model, Source(options.source, options.data_root, options.limit), cluster)


def _print(
    model: str, images: str, statistics: "residual.BlockStatistics", sweep: "residual.Sweep | None", out: Path | None
) -> None:
    from features import residual

    print(f"{model} on {statistics.n_images:,} images of {images}")
    table = residual.blocks(statistics, sweep)
    shown = ["block", "ratio_median", "cosine_mean", "branch_share", "sparsity", "dead_channels", "effective_rank"]
    shown += [name for name in ("class_mean_accuracy", "head_accuracy") if table[name].notna().any()]
    without = "accuracy_without" if sweep is not None and sweep.judged else "agreement_without"
    shown += [without] if without in table else []
    how = statistics.provenance["labels_matched"]
    if statistics.labels is not None and how != "by name":
        print(f"The labels are the network's classes {how}, since no names agree.", file=sys.stderr)
    print_numbers(shown, table[shown].to_numpy().tolist(), 3)
    if sweep is not None:
        print(f"\nintact: accuracy {sweep.intact_accuracy:.3g}, true class {sweep.intact_true_probability:.3g}")
        others = sweep.table().query("kind != 'without'")
        if len(others):
            head = ["lesion", "accuracy", "true_probability", "agreement", "cosine"]
            print_numbers(head, others[head].to_numpy().tolist(), 3)
    if out:
        print(f"\nThe tables with all numbers are in {out}.")
