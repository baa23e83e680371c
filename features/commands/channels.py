"""Tells what every channel of a network answers to."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from features.commands import channel_pictures
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
    loaded,
    made_of,
    names,
    positive,
    print_table,
    seed,
    show,
    source_of,
)
from features.errors import FeatureError

if TYPE_CHECKING:
    from features.channels import Beside, Channels, ChannelSweep, Evidence, Ranking
    from features.datasets import ImageSet
    from features.networks.zoo import Model

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
    channels.add_choice(
        "--rank",
        "features.channels:RANKINGS",
        "by what the first channels of a layer are shown: {names} (default: auroc, or highest without labels)",
        metavar="NAME",
    )
    channels.add_argument("--class", dest="of_class", metavar="NAME", help="the class that an order is about")
    channels.add_argument(
        "--lesions", action="store_true", help="also measure what is lost without every channel of these layers"
    )
    channels.add_argument(
        "--against",
        metavar="NETWORK",
        help="also find the channels of another network that are most alike; of stem and stages, or of --layers",
    )
    channels.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="of the sample of a very large set (default: %(default)s)"
    )
    channel_pictures.add(channels)
    add_limit(channels)
    add_cluster(channels)


def _channels(options: argparse.Namespace) -> None:
    from features import channels
    from features.claim import Claim, need_kind
    from features.datasets import need_outside
    from features.networks import naming

    ranking = _ranking(options)
    beside_name = None if options.against is None else naming.parse(options.against)
    if cluster_of(options) and (options.lesions or options.against):
        raise FeatureError("A cluster reads answers only. Leave --lesions and --against out, or --cluster.")
    need_outside(options.source, options.out)
    need_kind(options.out, channels.CHANNELS)
    images = source_of(options)
    model = load(options, images)
    if ranking is not None and ranking.classes is not None:
        _need_class(options, ranking, model, images)
    if options.lesions:
        model.need_classifier()
    other = None if beside_name is None else loaded(beside_name, images)
    settings = made_of(model, images) | {"layers": options.layers, "top": options.top, "seed": options.seed}
    settings |= {"lesions": True} if options.lesions else {}
    settings |= {"against": made_of(other, images)} if other is not None else {}
    pictures = channel_pictures.Pictures(options, model, images)
    settings |= pictures.settings()
    with Claim(options.out, channels.CHANNELS, settings, options.replace) as claim:
        if claim.finished is not None:
            print(f"{options.out}: is complete already")
            return
        told = _answers(options, model, images)
        sweeps = [show(channels.sweep(model, images, each.name)) for each in told.layers] if options.lesions else []
        against = None
        if other is not None:
            against = show(channels.beside(model, other, images, options.layers, seed=options.seed))
        sought = pictures.write(claim, told)
        show(channels.write(claim, told, model, images, sweeps, against))
    for rejected in told.rejected:
        print(f"left out: {rejected.reason}", file=sys.stderr)
    _print(told, model, ranking, options.of_class, sweeps)
    if against is not None:
        _print_beside(against)
    print("", *sought, f"{options.out}: {told.n_images:,} images", sep="\n")


def _ranking(options: argparse.Namespace) -> "Ranking | None":
    """The order that is asked for. Raises FeatureError where it needs what is not asked for, or the class no order."""
    from features import channels

    ranking = None if options.rank is None else channels.RANKINGS.need(options.rank)
    about_class = ranking is not None and ranking.classes is not None
    if about_class and options.of_class is None:
        raise FeatureError(f"The order {options.rank} is about a class. Name one: --class NAME.")
    if options.of_class is not None and not about_class:
        orders = [name for name, each in channels.RANKINGS.items() if each.classes is not None]
        raise FeatureError(f"--class belongs to an order about a class: --rank {' or '.join(orders)}.")
    if ranking is not None and ranking.needs_sweep and not options.lesions:
        raise FeatureError(f"The order {options.rank} needs what is lost without each channel. Add --lesions.")
    return ranking


def _need_class(options: argparse.Namespace, ranking: "Ranking", model: "Model", images: "ImageSet") -> None:
    """Raises FeatureError for a class that those do not have of whom the order is, before anything is measured."""
    from features.channels.rankings import CONTRIBUTIONS

    of_network = CONTRIBUTIONS in ranking.needs
    whose, classes = (model.spec.name, model.spec.classes) if of_network else (images.name, images.class_names)
    if options.of_class not in classes:
        raise FeatureError(
            f"The order {ranking.name} is about a class of {whose}, which has none called {options.of_class!r}. "
            "Name another, or choose another order."
        )


def _answers(options: argparse.Namespace, model: "Model", images: "ImageSet") -> "Channels":
    from features import channels

    cluster = cluster_of(options)
    how = (options.layers, options.top, options.seed)
    if cluster is None:
        return show(channels.responses(model, images, *how))
    from features.channels import cluster as on_cluster
    from features.cluster import Source

    source = Source(options.source, options.data_root, options.limit, columns_of(options))
    return show(on_cluster.responses(model, source, cluster, *how))


def _print(
    told: "Channels", model: "Model", ranking: "Ranking | None", of_class: str | None, sweeps: "list[ChannelSweep]"
) -> None:
    from features import channels

    ranking = ranking or channels.RANKINGS["auroc" if told.classes.names else "highest"]
    swept = {each.layer: each for each in sweeps}
    for layer in told.layers:
        known = channels.evidence(told, model, layer.name, of_class, swept.get(layer.name))
        silent = int((layer.silent == 1).sum())
        print(f"\n{layer.name}: {layer.n_channels} channels, {silent} silent on all images{_unread(model, layer.name)}")
        if missing := ranking.missing(known):
            print(f"the order by {ranking.title} needs {missing}")
        else:
            print_table(_rows(known, ranking))


def _unread(model: "Model", layer: str) -> str:
    from features import channels

    *_, (last, _) = model.network.blocks()
    alone = channels.reader_of(model, layer) is None and layer != last
    return "; no convolution reads them, since the next branch has been left out" if alone else ""


def _rows(known: "Evidence", ranking: "Ranking") -> list[tuple[str, ...]]:
    """The first channels of an order, with what tells most of each."""
    ranked, layer = ranking.of(known), known.layer
    best: dict[str, Any] | None = known.selectivity.best() if known.labels else None
    heads = ("channel", ranking.title, *(("tells apart", "AUROC") if best else ()), "silent", "excited most by")
    rows = [heads]
    for channel, value in list(zip(ranked.channels.tolist(), ranked.values.tolist(), strict=True))[:SHOWN]:
        apart = (str(best["best_class"][channel]), f"{best['auroc'][channel]:.3f}") if best else ()
        top = known.told.ids[layer.top.rows[channel, 0]]
        rows.append((str(channel), f"{value:.4g}", *apart, f"{layer.silent[channel]:.0%}", str(top)))
    return rows


def _print_beside(against: "Beside") -> None:
    one, other = against.names
    print(f"\n{one} beside {other}: the channels most alike, by correlation over {against.n_images:,} images")
    rows: list[tuple[str, ...]] = [
        ("layer", "of", "channels", "constant", "median r", "mutual", "beyond chance", "chance below")
    ]
    rows += [
        (row.layer, row.network, str(row.channels), str(row.constant), f"{row.median:.3f}", f"{row.mutual:.0%}",
         f"{row.beyond_chance:.0%}", f"{row.limit:.3f}")
        for row in against.summary().itertuples()
    ]  # fmt: skip
    print_table(rows)
