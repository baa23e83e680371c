"""Writes features to a folder, tells what a folder is and writes it anew in another format."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from features.commands.common import (
    FORMAT_HELP,
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
    names,
    place,
    positive_or_auto,
    print_table,
    show,
    source_of,
)
from features.errors import FeatureError

if TYPE_CHECKING:
    from features.store import Manifest


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    extract = command(commands, "extract", _extract, "Write the features of images to a folder; run it again to go on.")
    add_source(extract)
    add_model(extract)
    add_limit(extract)
    add_out(extract, "where the features go", place)
    extract.add_argument(
        "--stages",
        type=names,
        metavar="A,B",
        help="of stem, layer1, layer1.0 (a block), ..., pool, logits (default: every layer)",
    )
    extract.add_choice(
        "--pool", "features.engine:POOLINGS", "{names}; none keeps whole maps", default="mean", metavar="HOW"
    )
    extract.add_choice(
        "--precision",
        "features.engine:PRECISIONS",
        "{names}; auto (default) takes fp32 or bf16, whichever a short timing finds faster",
        default="auto",
        metavar="X",
    )
    extract.add_choice("--format", "features.store:FORMATS", FORMAT_HELP, default="parquet", metavar="X")
    extract.add_argument("--device", default="auto", metavar="X", help="cpu, cuda or auto (default: %(default)s)")
    extract.add_choice(
        "--engine",
        "features.engine:ENGINES",
        "{names}; auto (default) takes the fastest that is measured here",
        default="auto",
        metavar="X",
    )
    extract.add_argument(
        "--batch-size", type=positive_or_auto, metavar="N", help="images at a time, or auto: by their size (default)"
    )
    add_cluster(extract)
    extract.add_argument("--strict", action="store_true", help="fail if an image could not be read")

    convert = command(
        commands, "convert", _convert, "Write a folder of features anew in another format; its values stay the same."
    )
    convert.add_argument("folder", type=place, metavar="DIR", help="what `extract` wrote")
    convert.add_choice("--format", "features.store:FORMATS", FORMAT_HELP, required=True, metavar="X")
    add_out(convert, "where the copy goes", place)

    info = command(commands, "info", _info, "Tell what a folder of features is.")
    info.add_argument("folder", type=place, metavar="DIR", help="what `extract` wrote")
    info.add_argument("--json", action="store_true", help="print JSON")


def _extract(options: argparse.Namespace) -> None:
    from features import engine, extract, store
    from features.claim import need_kind
    from features.datasets import need_outside
    from features.datasets.decoding import batch_size

    need_outside(options.source, options.out)
    need_kind(options.out, store.FEATURES)
    joined = cluster_of(options)
    if joined and options.format != store.PARQUET:
        raise FeatureError("A cluster writes Parquet. Leave --format away, and convert what comes out.")
    images = source_of(options)
    model = load(options, images)
    choices = (options.stages, options.pool, options.precision, options.device, options.engine)
    if joined:
        from features.extract import cluster

        plan = cluster.choose(model, joined, *choices)
        plan = cluster.decide(model, plan, options.out, joined, options.batch_size, options.replace)
    else:
        plan = engine.choose(model.network, *choices)
        if extract.recall(model, plan, options.out, options.batch_size, options.replace) is None:
            print("finding the fastest precision and engine, once for each kind of network", file=sys.stderr)
        plan = extract.decide(model, plan, options.out, options.batch_size, options.replace)
    size = options.batch_size or batch_size(model.spec.preprocessing, plan.device)
    planned = extract.planned_manifest(model, images, plan, size, options.format)
    widths = ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in planned.shapes.items())
    print(
        f"{model.spec.name} on {len(images):,} images of {images.name}: {widths}; {plan.precision} on "
        f"{plan.device} with {plan.engine} ({plan.why}); "
        f"about {planned.bytes_in_all / 2**20:,.1f} MiB in {options.out}",
        file=sys.stderr,
    )
    if joined:
        from features.cluster import Source

        source = Source(options.source, options.data_root, options.limit, columns_of(options))
        done = show(cluster.to_folder(model, source, plan, options.out, joined, size, options.replace))
    else:
        done = show(extract.to_folder(model, images, plan, options.out, size, options.format, options.replace))
    print(f"{options.out}: {_rows(done)}, {_rate(done)}")
    if options.strict and done.n_rejected:
        raise FeatureError(f"{done.n_rejected} images could not be read; {options.out / 'rejected.parquet'} has them.")


def _convert(options: argparse.Namespace) -> None:
    from features import store

    done = show(store.convert(options.folder, options.out, options.format, options.replace))
    print(f"{options.out}: {_rows(done)} as {done.format}")
    if done.format == store.TENSORBOARD and not (options.out / store.SPRITE).exists():
        print("The images are not where they were, so there is no sprite with their pictures.", file=sys.stderr)


def _info(options: argparse.Namespace) -> None:
    from dataclasses import asdict

    from features.store import read_manifest

    manifest = read_manifest(options.folder)
    if options.json:
        print(json.dumps(asdict(manifest) | {"complete": manifest.complete}, indent=1))
        return
    state = _rows(manifest) if manifest.complete else "not complete"
    rows: list[tuple[str, ...]] = [
        (str(options.folder), f"features as {manifest.format}, format version {manifest.version}")
    ]
    rows += [("images", f"{manifest.n_images:,} ({state})"), ("speed", _rate(manifest))]
    rows += [(name, f"{' x '.join(map(str, shape))} {manifest.dtype}") for name, shape in manifest.shapes.items()]
    rows += [(name, str(value)) for name, value in (manifest.settings | manifest.made_with).items()]
    print_table(rows)


def _rows(manifest: "Manifest") -> str:
    rows = f"{manifest.n_rows:,} rows"
    if manifest.sampled:
        rows += f" (a sample of {manifest.n_images - (manifest.n_rejected or 0):,}, each class with its share)"
    return f"{rows}, {manifest.n_rejected:,} images rejected"


def _rate(manifest: "Manifest") -> str:
    rate = manifest.images_per_second
    return "speed unknown" if rate is None else f"{rate:,.1f} images/s"
