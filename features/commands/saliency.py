"""Draws where a network looks."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from features.commands.common import (
    SOURCE_HELP,
    Commands,
    add_model,
    add_out,
    command,
    left_out,
    load,
    made_of,
    seed,
    show,
    tell_understood,
)
from features.errors import FeatureError

if TYPE_CHECKING:
    from features.claim import Claim
    from features.datasets import ImageSet
    from features.results import Provenance
    from features.saliency import Explainer, Tap, Target


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    saliency = command(
        commands, "saliency", _saliency, "Draw where a network looks: overlays, raw maps and what made them."
    )
    saliency.add_argument("images", nargs="+", metavar="IMAGE", help="image files, or one SOURCE: " + SOURCE_HELP)
    add_model(saliency)
    add_out(saliency, "where the files go")
    saliency.add_choice("--method", "features.saliency:METHODS", "how: {names}", default="gradcam", metavar="X")
    saliency.add_argument(
        "--target",
        default="predicted",
        metavar="X",
        help="what is explained: predicted (default), a class by name or number, A-vs-B, norm:STAGE, or "
        "alike:STAGE:FILE for the likeness to another image",
    )
    saliency.add_choice(
        "--taps", "features.saliency:KINDS", "where maps are taken: {names} (default: by method)", metavar="X"
    )
    saliency.add_choice(
        "--precision", "features.engine:PRECISIONS", "of gradients: {names}", default="fp32", metavar="X"
    )
    saliency.add_choice(
        "--colours",
        "features.rasters:COLOURS",
        "of the overlays: {names} (default: Inferno, of branches Blue, black, orange)",
        metavar="NAME",
    )
    saliency.add_argument("--opacity", type=float, default=0.5, metavar="X", help="0 is the image, 1 the heat map")
    saliency.add_argument("--one-scale", action="store_true", help="scale all maps of an image alike")
    saliency.add_argument(
        "--smooth", type=int, default=0, metavar="N", help="average over N noisy copies (pixel methods)"
    )
    saliency.add_argument("--seed", type=seed, default=0, metavar="N", help="of that noise (default: %(default)s)")


def _saliency(options: argparse.Namespace) -> None:
    from dataclasses import asdict

    from features import rasters, saliency
    from features.claim import Claim, need_kind
    from features.datasets import Rejected, need_outside, open_files

    drawing = saliency.Drawing(options.colours, options.opacity, options.one_scale)
    saliency.METHODS.need(options.method)
    if options.taps is not None:
        saliency.KINDS.need(options.taps)
    if options.colours is not None:
        rasters.COLOURS.need(options.colours)
    if not 0 <= options.opacity <= 1:
        raise FeatureError(f"The opacity is {options.opacity}. Wanted a number from 0 (the image) to 1 (the heat map).")
    for source in options.images:
        need_outside(source, options.out)
    need_kind(options.out, saliency.MAPS)
    images = open_files(options.images)
    tell_understood(images)
    model = load(options, images)
    target = saliency.parse(options.target, model)
    explainer = saliency.Explainer(model, options.precision)
    taps = explainer.taps(options.taps) if options.taps else None
    if taps and isinstance(target, saliency.StageTarget):
        taps = tuple(tap for tap in taps if explainer.block_index(tap) <= explainer.top([target]))
    told = {
        "target": options.target,
        "taps": options.taps,
        "drawing": asdict(drawing),
        "smooth": options.smooth,
        "seed": options.seed,
    }
    settings = made_of(model, images) | told | {"method": options.method, "precision": options.precision}
    if isinstance(target, saliency.StageTarget) and target.other is not None:
        settings["other_sha256"] = sha256(target.other.numpy().tobytes()).hexdigest()
    with Claim(options.out, saliency.MAPS, settings, options.replace) as claim:
        content = claim.finished
        if content is None:
            rows, rejected, provenance = _explained(explainer, images, target, taps, options, claim)
            content = {"maps": rows, **told, "left_out": rejected, "provenance": provenance.as_dict()}
            claim.commit(content)
        else:
            left_out([Rejected(row["image"], row["reason"]) for row in content["left_out"]])
    rows = content["maps"]
    for row in rows:
        if row["blank"] and not (row["blank"] == "negative" and row["signed"]):
            print(f"{row['file']} shows nothing: it is {row['blank']} everywhere", file=sys.stderr)
    print(f"{options.out}: {len(rows):,} maps of {len({row['image'] for row in rows}):,} images")


def _explained(
    explainer: "Explainer",
    images: "ImageSet",
    target: "Target",
    taps: "Sequence[Tap] | None",
    options: argparse.Namespace,
    claim: "Claim",
) -> tuple[list[dict[str, Any]], list[dict[str, str]], "Provenance"]:
    """Write maps of all images; gives the manifest's rows of them, of the images left out, and what made them."""
    from features import saliency
    from features.datasets.decoding import batch_size, batches
    from features.results import Provenance

    model = explainer.model
    drawing = saliency.Drawing(options.colours, options.opacity, options.one_scale)
    size = max(1, batch_size(model.spec.preprocessing) // 4)  # what gradients need is kept as well
    rows: list[dict[str, Any]] = []
    provenance = Provenance()
    rejected: list[dict[str, str]] = []
    with closing(batches(images, model.spec.preprocessing, size, device=str(explainer.device))) as stream:
        for batch in stream:
            rejected += left_out(batch.rejected)
            if not len(batch.rows):
                continue
            targets = [target] * len(batch.rows)
            maps = show(
                saliency.explain(explainer, batch.pixels, targets, options.method, taps, options.smooth, options.seed)
            )
            seen = batch.pixels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()  # (N, H, W, 3)
            pictures = {images.ids[row]: picture for row, picture in zip(batch.rows, seen, strict=True)}
            rows += saliency.write(saliency.exported(maps, model, pictures, drawing), claim)
            provenance = maps.provenance
    if not rows:
        raise FeatureError(f"None of the {len(images)} images could be read.")
    return rows, rejected, provenance
