"""Compares networks on the same labelled images."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from features.commands.common import (
    Commands,
    add_limit,
    add_out,
    add_source,
    command,
    loaded,
    made_of,
    names,
    print_table,
    seed,
    show,
    source_of,
)
from features.errors import FeatureError

if TYPE_CHECKING:
    from features.compare import Compared, Comparison, Contender, Pair
    from features.networks.naming import NetworkName

SHOWN = 10  # slices of a pair


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    compare = command(commands, "compare", _compare, "Compare networks on the same labelled images.")
    add_source(compare)
    compare.add_argument(
        "--models",
        action="append",
        default=[],
        metavar="A,B",
        help="two to ten networks, as --model of other commands takes one: names or files, with commas, or each with a "
        "--models of its own; '?' behind one says more of it, as in A,A?lesion=without:layer3.1",
    )
    compare.add_argument(
        "--weights",
        action="append",
        default=[],
        metavar="A,B",
        help="files of weights, for the networks of --models in their order or by themselves",
    )
    add_out(compare, "where the comparison goes")
    add_limit(compare)
    compare.add_choice(
        "--with",
        "features.compare:EXTRAS",
        "what else is told, with commas: {names}; all or none (default: measures and stitching)",
        action="append",
        dest="extras",
        metavar="A,B",
    )
    compare.add_argument(
        "--all-pairs", action="store_true", help="make these of every two networks (default: of the first with each)"
    )
    compare.add_argument("--seed", type=seed, default=0, metavar="N", help="of what is drawn (default: %(default)s)")


def _compare(options: argparse.Namespace) -> None:
    from features import compare
    from features.claim import Claim, need_kind
    from features.datasets import need_outside
    from viz.reports.compare import again, report

    asked = _asked(options)  # before the first one is loaded
    networks = [str(each) for each in asked]
    compare.need_number(len(asked))
    need_outside(options.source, options.out)
    need_kind(options.out, compare.COMPARISON)
    images = source_of(options)
    models = [loaded(each, images) for each in asked]
    extras = _extras(options.extras)
    told = {
        "models": ", ".join(networks),
        "networks": [made_of(model, images) for model in models], "seed": options.seed, "with": list(extras),
        "all_pairs": options.all_pairs,
    }  # fmt: skip
    with Claim(options.out, compare.COMPARISON, told, options.replace) as claim:
        if claim.finished is not None:
            print(f"{options.out}: is complete already")
            return
        result = show(compare.compare(models, images, options.seed))
        more = show(compare.with_extras(result, models, extras, options.all_pairs))
        line = again(
            options.source, networks, limit=options.limit, path_column=options.path_column,
            label_column=options.label_column, data_root=options.data_root, seed=options.seed,
            all_pairs=options.all_pairs, corrections=options.corrections, **{"with": ",".join(extras) or "none"},
        )  # fmt: skip
        compare.write(claim, result, more, show(report(result, images, line, more)))
    for rejected in result.rejected:
        print(f"left out: {rejected.reason}", file=sys.stderr)
    _print(result)
    print(f"\n{options.out}: {len(result.ids):,} images, {len(models)} networks")


def _asked(options: argparse.Namespace) -> "list[NetworkName]":
    """The networks that are named, with their weights. Raises FeatureError where names and files do not fit."""
    from features.networks import zoo
    from features.networks.naming import several

    networks, files = several(options.models), several(options.weights)
    if networks and files and len(networks) != len(files):
        raise FeatureError(
            f"{len(networks)} networks and {len(files)} files of weights are given. Give as many, in one order, or "
            "each file as a network of --models."
        )
    if not files:
        return [zoo.named_as(name) for name in networks]
    known: list[str | None] = [*networks] if networks else [None] * len(files)
    return [zoo.named_as(name, Path(file)) for name, file in zip(known, files, strict=True)]


def _extras(given: list[str] | None) -> tuple[str, ...]:
    """The extras that are asked for. Raises FeatureError for one that does not exist."""
    from features import compare

    wanted = [name for text in given or () for name in names(text)]
    if not wanted:
        return compare.DEFAULT_EXTRAS
    if wanted in (["all"], ["none"]):
        return tuple(compare.EXTRAS) if wanted == ["all"] else ()
    if {"all", "none"} & {*wanted}:
        raise FeatureError(f"'all' and 'none' stand alone behind --with, but got {', '.join(wanted)}.")
    return tuple(compare.EXTRAS.need(name).name for name in dict.fromkeys(wanted))


HEADS = "network", "accuracy", "95 % interval", "F1", "ECE", "parameters", "GFLOPs", "ms for one", "images/s"


def _print(told: "Comparison") -> None:
    heads: tuple[str, ...] = HEADS
    rows = [_of_network(each) for each in told.contenders]
    averages = [each.evaluation.mean_average_precision for each in told.contenders]
    if any(each is not None for each in averages):
        heads = *HEADS, "mAP"
        rows = [(*row, "" if each is None else f"{each:.3f}") for row, each in zip(rows, averages, strict=True)]
    print_table([heads, *rows])
    if told.best is None:
        print("no network is right more often than each other by more than chance would have it")
    else:
        print(f"{told.best.name} is right more often than each other, by more than chance")
    for note in told.common.notes:
        print(note, file=sys.stderr)
    if told.common.how:
        print(
            f"compared on the {len(told.common.names):,} classes that all know ({told.common.how}); "
            f"{told.common.n_images_left_out:,} images of other labels are left out"
        )
    for pair in told.pairs:
        _print_pair(pair)


def _of_network(each: "Contender") -> tuple[str, ...]:
    low, high = each.accuracy.interval
    return (
        each.name, f"{each.accuracy.value:.2%}", f"{low:.1%} to {high:.1%}", f"{each.macro_f1:.3f}",
        f"{each.calibration_error:.2%}", f"{each.parameters:,}",
        f"{each.macs / 1e9:.3g}", each.cost.latency.in_words(1e3), each.cost.rate.in_words(),
    )  # fmt: skip


def _print_pair(pair: "Pair") -> None:
    told, (low, high) = pair.agreement, pair.agreement.interval
    print(f"\n{pair.second} beside {pair.first}")
    print(
        f"accuracy {100 * told.difference:+.2f} points (95 % interval {100 * low:+.1f} to {100 * high:+.1f}), "
        f"McNemar p = {told.p_value:.3g}{_of_pairs(pair)}: "
        f"right alone {told.second_only:,}, the other alone {told.first_only:,}, both {told.both:,}, "
        f"neither {told.neither:,}"
    )
    churn = "" if told.churn is None else f"other classes for {told.churn:.1%} of the images; "
    print(f"{churn}error consistency (kappa) {told.kappa:.2f}")
    last = pair.similarity.rows[-1], pair.similarity.columns[-1]
    value, chance = pair.similarity.values[-1, -1], pair.similarity.chance[-1, -1]
    print(f"unbiased CKA of {last[0]} and {last[1]}: {value:.3f}, by chance {chance:.3f}")
    sure = [each for each in pair.slices if each.differs][:SHOWN]
    if not sure:
        print(f"no slice of {len(pair.slices):,} differs more than chance would have it")
        return
    print_table([("slice", "images", "difference", "interval of all", "p"), *map(_row, sure)])


def _of_pairs(pair: "Pair") -> str:
    """The p value among all pairs, where there are several."""
    return "" if pair.p_value == pair.agreement.p_value else f" ({pair.p_value:.3g} among all pairs)"


def _row(each: "Compared") -> tuple[str, ...]:
    return (
        f"{each.slice.by} {each.slice.name}", f"{each.agreement.n_images:,}", f"{each.agreement.difference:+.1%}",
        f"{each.interval[0]:+.1%} to {each.interval[1]:+.1%}", f"{each.p_value:.2g}",
    )  # fmt: skip
