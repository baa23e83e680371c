"""Measures what every residual branch adds, and what happens without it."""

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from features.commands.common import (
    Commands,
    add_cluster,
    add_limit,
    add_model,
    add_out,
    add_source,
    cluster_of,
    columns_of,
    command,
    load,
    made_of,
    names,
    print_numbers,
    seed,
    show,
    source_of,
)
from features.errors import FeatureError

if TYPE_CHECKING:
    import pandas as pd

    from features import residual
    from features.cluster import Cluster
    from features.datasets import ImageSet
    from features.networks.zoo import Model
    from features.progress import Task

    Tables = Mapping[str, pd.DataFrame]


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    residual = command(commands, "residual", _residual, "Measure what every residual branch adds, block by block.")
    add_source(residual)
    add_model(residual)
    add_out(residual, "where the tables go (default: they are only printed)", required=False)
    residual.add_argument("--lesions", action="store_true", help="also measure what is lost without every block")
    residual.add_choice(
        "--kinds", "features.residual:KINDS", "of lesions: {names} (default: without)", type=names, metavar="A,B"
    )
    residual.add_argument(
        "--paths", action="store_true", help="also measure the gradient along paths of every length (32 images)"
    )
    residual.add_argument("--seed", type=seed, default=0, metavar="N", help="of what is drawn (default: %(default)s)")
    add_limit(residual)
    add_cluster(residual)


def _residual(options: argparse.Namespace) -> None:
    from features import residual
    from features.claim import Claim, need_kind
    from features.datasets import need_outside

    kinds = (options.kinds or [residual.WITHOUT]) if options.lesions or options.kinds else []
    for kind in kinds:
        residual.KINDS.need(kind)
    if cluster_of(options) and (kinds or options.paths):
        raise FeatureError("A cluster measures branches only. Leave --lesions, --kinds and --paths out, or --cluster.")
    if options.out:
        need_outside(options.source, options.out)
        need_kind(options.out, residual.TABLES)
    images = source_of(options)
    model = load(options, images)
    if kinds:
        model.need_classifier()
    if options.paths:
        residual.need_paths(model)
    if not options.out:
        content, tables = _measured(model, images, kinds, options)
        _print(model.spec.name, images.name, content, tables)
        return
    settings = made_of(model, images) | {"kinds": kinds, "paths": options.paths, "seed": options.seed}
    with Claim(options.out, residual.TABLES, settings, options.replace) as claim:
        if claim.finished is None:
            content, tables = _measured(model, images, kinds, options)
            residual.write(claim, tables, content)
        else:
            content, tables = claim.finished, residual.read(options.out, claim.finished)
    _print(model.spec.name, images.name, content, tables)
    print(f"\nThe tables with all numbers are in {options.out}.")


def _measured(
    model: "Model", images: "ImageSet", kinds: list[str], options: argparse.Namespace
) -> tuple[Mapping[str, Any], "Tables"]:
    """The manifest's content, and the tables by their files' names."""
    from features import residual

    cluster = cluster_of(options)
    statistics = show(residual.statistics(model, images) if cluster is None else _on_cluster(options, model, cluster))
    sweep = paths = None
    if kinds:
        lesions = [
            lesion for kind in dict.fromkeys(kinds) for lesion in residual.lesions_of(model.network, kind, options.seed)
        ]
        sweep = show(residual.sweep(model, images, lesions))
    if options.paths:
        paths = show(residual.paths(model, images.sample(residual.PATH_IMAGES), seed=options.seed))
    return residual.describe(statistics, sweep, paths), residual.tables_of(statistics, sweep, paths)


def _on_cluster(options: argparse.Namespace, model: "Model", cluster: "Cluster") -> "Task[residual.BlockStatistics]":
    from features.cluster import Source
    from features.residual import cluster as on_cluster

    source = Source(options.source, options.data_root, options.limit, columns_of(options))
    return on_cluster.statistics(model, source, cluster)


def _print(model: str, images: str, content: Mapping[str, Any], tables: "Tables") -> None:
    from features import residual
    from features.datasets import labels

    for entry in content["rejected"]:
        print(f"left out: {entry['reason']}", file=sys.stderr)
    print(f"{model} on {content['n_images']:,} images of {images}")
    table, lesions, intact = tables[residual.BLOCKS], tables.get(residual.LESIONS), content["intact"]
    shown = ["block", "ratio_median", "cosine_mean", "branch_share", "sparsity", "dead_channels", "effective_rank"]
    shown += [name for name in ("class_mean_accuracy", "head_accuracy") if table[name].notna().any()]
    judged = intact is not None and intact["accuracy"] == intact["accuracy"]  # NaN where labels tell nothing
    without = "accuracy_without" if judged else "agreement_without"
    shown += [without] if without in table else []
    how = content["provenance"]["labels_matched"]
    if len(tables[residual.CLASSES]) and how != labels.BY_NAME:
        print(labels.said(how), file=sys.stderr)
    print_numbers(shown, table[shown].to_numpy().tolist(), 3)
    if intact is not None and lesions is not None:
        print(f"\nintact: accuracy {intact['accuracy']:.3g}, true class {intact['true_probability']:.3g}")
        others = lesions.query("kind != 'without'")
        if len(others):
            head = ["lesion", "accuracy", "true_probability", "agreement", "cosine"]
            print_numbers(head, others[head].to_numpy().tolist(), 3)
