"""Lays images out by their features, places new ones on the maps, and looks for what is like an image."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.commands.common import (
    SOURCE_HELP,
    Commands,
    Parser,
    add_limit,
    add_model,
    add_out,
    add_source,
    command,
    load,
    names,
    positive,
    print_table,
    show,
    source_of,
    whole,
)
from features.errors import FeatureError

if TYPE_CHECKING:
    import numpy as np

    from features import embed
    from features.results import Provenance
    from features.store import FeatureSet

MEAN = "mean"  # the pooling of features that do not tell theirs
FEATURES_HELP = "features (a folder of `extract`, or Parquet with a column of vectors) or images: "


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    embed = command(commands, "embed", _embed, "Lay images out on a plane by their features, stage by stage.")
    _add_features(embed)
    embed.add_argument("--stages", type=names, metavar="A,B", help="of stem, layer1, ..., pool (default: all of them)")
    embed.add_choice("--method", "features.embed:METHODS", "how: {names}", default="umap", metavar="X")
    embed.add_argument(
        "--neighbours", type=positive, default=15, metavar="K", help="of each image, itself among them (default: 15)"
    )
    embed.add_argument(
        "--min-dist", type=float, default=0.1, metavar="X", help="how close UMAP may set points, 0 to 1 (default: 0.1)"
    )
    embed.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="of the maps; none is faster and not repeatable (default: 0)"
    )
    embed.add_argument("--quick", action="store_true", help="leave out the maps of another seed and the linear probes")
    add_out(embed, "where the maps go")

    place = command(commands, "place", _place, "Place new images on maps, none of whose points moves.")
    _add_features(place)
    place.add_argument("--map", type=Path, required=True, metavar="DIR", help="what `embed` wrote")
    add_out(place, "where the places go")

    search = command(commands, "search", _search, "Find the images whose features are nearest to those of an image.")
    search.add_argument("image", metavar="IMAGE", help="a file, or the id of an image among the features")
    search.add_argument(
        "--in", type=Path, required=True, dest="among", metavar="DIR", help="features: what `extract` wrote, or vectors"
    )
    search.add_argument("--stage", metavar="X", help="whose features to compare (default: the last but the logits)")
    search.add_argument("--count", type=positive, default=10, metavar="N", help="how many to find (default: 10)")
    search.add_argument("--json", action="store_true", help="print JSON")
    add_model(search)


def _add_features(parser: Parser) -> None:
    add_source(parser)
    for action in parser._actions:  # the source may hold features as well
        if action.dest == "source":
            action.help = FEATURES_HELP + SOURCE_HELP
    add_model(parser)
    add_limit(parser)
    parser.add_argument("--vectors", default="", metavar="NAME", help="the column of vectors (default: all of them)")


def _seed(text: str) -> int | None:
    return None if text == "none" else whole(text)


def _embed(options: argparse.Namespace) -> None:
    from features import embed
    from features.claim import Claim, need_kind
    from features.embed import export

    settings = embed.MapSettings(options.method, options.neighbours, options.min_dist, options.seed)
    settings.need_sound()
    need_kind(options.out, export.MAPS)
    features = _features(options)
    stages = _stages(features, options.stages)
    digests = {name: embed.digest(values) for name, values in stages.items()}
    told = export.settings_of(features.provenance, digests, settings) | {"quick": options.quick}
    with Claim(options.out, export.MAPS, told, options.replace) as claim:
        content = claim.finished
        if content is None:
            maps = show(embed.stage_maps(stages, settings, features.provenance))
            described = _described(features, stages, maps, options.quick)
            content = export.write(claim, maps, stages, features.ids, described)
    _print(content, options.out)


def _described(
    features: "FeatureSet", stages: "Mapping[str, np.ndarray]", maps: "embed.StageMaps", quick: bool
) -> "embed.export.Described":
    from features import embed
    from features.embed.export import Described

    separation: dict[str, embed.Separation] = {}
    if quick:
        return Described({}, separation, features.label_names())
    if (labels := features.labels) is not None and len(features.class_names) > 1:
        for stage, projection in maps.items():
            task = embed.separation(stages[stage], projection.graph, labels, features.class_names)
            separation[stage] = show(task)
    return Described(show(embed.reseeded(stages, maps)), separation, features.label_names())


def _print(content: Mapping[str, Any], out: Path) -> None:
    head = ("stage", "trustworthiness", "continuity", "neighbours kept", "seed to seed", "k-NN accuracy", "linear")
    rows: list[tuple[str, ...]] = [head]
    for stage, told in content["stages"].items():
        trust, separation = told["trust"], told.get("separation")
        rows.append(
            (
                stage,
                f"{trust['trustworthiness']:.3f}",
                f"{trust['continuity']:.3f}",
                f"{trust['recall']:.0%}",
                f"{told['seed_to_seed']:.3f}" if "seed_to_seed" in told else "-",
                _share(separation["neighbours_accuracy"] if separation else None),
                _share(separation["linear_accuracy"] if separation else None),
            )
        )
    print_table(rows)
    print(f"\nMaps of {content['n_images']:,} images are in {out}.")


def _share(told: Mapping[str, float] | None) -> str:
    return "-" if told is None else f"{told['value']:.3f} ({told['low']:.3f} to {told['high']:.3f})"


def _place(options: argparse.Namespace) -> None:
    from features import embed
    from features.claim import Claim, need_kind
    from features.embed import export

    need_kind(options.out, export.PLACED_IMAGES)
    maps = export.open_maps(options.map)
    features = _features(options, maps.provenance)
    _need_same_network(features.provenance, maps.provenance, options.map)
    stages = _stages(features, list(maps.stages))
    digests = {name: embed.digest(values) for name, values in stages.items()}
    told = {"map": maps.content.get("settings"), "stages": digests, "limit": options.limit}
    told["features"] = features.provenance.as_dict()
    with Claim(options.out, export.PLACED_IMAGES, told, options.replace) as claim:
        if claim.finished is None:
            placed = {name: maps.placement(name).place(values) for name, values in stages.items()}
            export.write_placed(claim, placed, features.ids, maps)
    print(f"{options.out}: {len(features):,} images placed on the maps of {', '.join(maps.stages)}")


def _search(options: argparse.Namespace) -> None:
    from features import embed
    from features.engine import without_logits

    among = _opened(options.among, "")
    stage = options.stage or without_logits(among.stages)[-1]
    known = _stages(among, [stage])[stage]
    row = among.ids.index(options.image) if options.image in among.ids else None
    wanted = known[row : row + 1] if row is not None else _of_image(options, among, stage)
    for values in (known, wanted):
        embed.need_finite(values)
    count = min(options.count + (row is not None), len(known))
    indices, distances = embed.Exact(known).nearest(wanted, count, None if row is None else _array(row))
    hits = [(int(index), float(far)) for index, far in zip(indices[0], distances[0], strict=True) if index != row]
    labels = among.label_names()
    nearest: list[dict[str, Any]] = [
        {"id": among.ids[index], "label": None if labels is None else labels[index], "distance": far}
        for index, far in hits
    ]
    if options.json:
        print(json.dumps({"image": options.image, "stage": stage, "nearest": nearest}))
        return
    rows = [(str(hit["id"]), str(hit["label"] or "-"), f"{hit['distance']:.4g}") for hit in nearest]
    print_table([("image", "label", "distance"), *rows])


def _array(row: int) -> "np.ndarray":
    import numpy as np

    return np.array([row])


def _of_image(options: argparse.Namespace, among: "FeatureSet", stage: str) -> "np.ndarray":
    """The features (1, D) of an image file at a stage, by the network that made the others."""
    from features.datasets import open_files

    if not Path(options.image).is_file():
        such = f", such as {among.ids[0]}" if among.ids else ""
        raise FeatureError(
            f"{options.image} is no file, and no id of the {len(among):,} images in {options.among}{such}. "
            "Name one of the two."
        )
    made = _extracted(options, open_files([options.image]), among.provenance)
    _need_same_network(made.provenance, among.provenance, options.among)
    return _stages(made, [stage])[stage]


def _features(options: argparse.Namespace, like: "Provenance | None" = None) -> "FeatureSet":
    """The features of a command with `_add_features`. like: what made those that they are to be compared with."""
    from features import store
    from features.claim import MANIFEST
    from features.datasets.image_set import from_store
    from features.files import path_of

    path = path_of(options.source)
    with from_store(path, options.source):
        holds_features = (path / MANIFEST).is_file() or options.vectors or store.holds_vectors(path)
    if holds_features:
        if options.limit:
            raise FeatureError(f"{options.source} holds features, of which --limit takes no part. Leave it away.")
        return _opened(path, options.vectors)
    return _extracted(options, source_of(options), like)


def _opened(path: Path, column: str) -> "FeatureSet":
    from features import store
    from features.claim import MANIFEST

    if column or (not (path / MANIFEST).is_file() and store.holds_vectors(path)):
        return store.open_vectors(path, column)
    return store.open_features(path)


def _extracted(options: argparse.Namespace, images: Any, like: "Provenance | None") -> "FeatureSet":
    from features import extract
    from features.networks import catalogue

    if options.model is None and options.weights is None and like is not None and catalogue.is_known(like.model or ""):
        options.model = like.model
    model = load(options, images)
    features = show(extract.features(model, images, MEAN if like is None else _pool(like)))
    for rejected in features.rejected:
        print(f"left out: {rejected.reason}", file=sys.stderr)
    return features


def _need_same_network(one: "Provenance", other: "Provenance", where: Path) -> None:
    """Raises FeatureError if features are of two networks, whose values have nothing to do with each other."""
    if _pool(one) != _pool(other):
        raise FeatureError(f"{where} is pooled by {_pool(other)}, but these features by {_pool(one)}. Use one --pool.")
    if one.variant != other.variant:
        raise FeatureError(
            f"{where} is of a network {other.variant or 'as it is'}, but these features are of one "
            f"{one.variant or 'as it is'}. Name the same with --model NETWORK?lesion=..."
        )
    if one.preprocessing != other.preprocessing:
        raise FeatureError(
            f"{where} is of pixels prepared by {_pixels(other)}, but these features by {_pixels(one)}. Use the same "
            "options."
        )
    if other.weights_sha256 is not None and one.weights_sha256 != other.weights_sha256:
        raise FeatureError(
            f"{where} is of {other.model} with weights {str(other.weights_sha256)[:12]}..., but these features are of "
            f"{one.model or 'another program'} with {(one.weights_sha256 or 'unknown weights')[:12]}. Name the same "
            "network with --model or --weights."
        )


def _pixels(made: "Provenance") -> str:
    settings = {} if made.preprocessing is None else made.preprocessing.settings()
    return ", ".join(f"{name} {value}" for name, value in settings.items()) or "unknown settings"


def _pool(made: "Provenance") -> str:
    return str(made.settings.get("pool", MEAN))


def _stages(features: "FeatureSet", wanted: Sequence[str] | None) -> "dict[str, np.ndarray]":
    """The vectors (N, D) float32 of some stages by name; by default of all but the logits, where there are others.

    Raises FeatureError for stages that are not there or hold whole maps.
    """
    import numpy as np

    from features.engine import without_logits

    chosen = list(wanted or without_logits(features.stages))
    for name in chosen:
        if name not in features.stages:
            raise FeatureError(f"There is no stage {name!r} here, only {', '.join(features.stages)}.")
    stages = {name: np.asarray(features.stages[name]) for name in chosen}
    for name, values in stages.items():
        if values.ndim != 2:
            raise FeatureError(f"{name} holds whole maps {values.shape[1:]}. Extract it with --pool mean.")
    return {name: np.asarray(values, np.float32) for name, values in stages.items()}
