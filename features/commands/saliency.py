"""Draws where a network looks."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from features.commands.common import (
    SOURCE_HELP,
    Commands,
    add_model,
    command,
    left_out,
    load,
    show,
)
from features.errors import FeatureError


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    saliency = command(
        commands, "saliency", _saliency, "Draw where a network looks: overlays, raw maps and what made them."
    )
    saliency.add_argument("images", nargs="+", metavar="IMAGE", help="image files, or one SOURCE: " + SOURCE_HELP)
    add_model(saliency)
    saliency.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the files go")
    saliency.add_argument(
        "--method",
        default="gradcam",
        metavar="X",
        help="how: gradcam (default), hirescam, gradcam++, xgradcam, layercam, cam, scorecam, eigencam, ledger, "
        "integrated-gradients, "
        "guided-gradcam or occlusion",
    )
    saliency.add_argument(
        "--target",
        default="predicted",
        metavar="X",
        help="what is explained: predicted (default), a class by name or number, A-vs-B, norm:STAGE, or "
        "alike:STAGE:FILE for the likeness to another image",
    )
    saliency.add_argument(
        "--taps", choices=("stages", "blocks", "branches"), help="where maps are taken (default: by method)"
    )
    saliency.add_argument(
        "--precision", default="fp32", metavar="X", help="of gradients: fp32, bf16 or fp16 (default: fp32)"
    )
    saliency.add_argument(
        "--colours", metavar="NAME", help="of the overlays (default: Inferno, of branches Blue, black, orange)"
    )
    saliency.add_argument("--opacity", type=float, default=0.5, metavar="X", help="0 is the image, 1 the heat map")
    saliency.add_argument("--one-scale", action="store_true", help="scale all maps of an image alike")
    saliency.add_argument(
        "--smooth", type=int, default=0, metavar="N", help="average over N noisy copies (pixel methods)"
    )
    saliency.add_argument("--seed", type=int, default=0, metavar="N", help="of that noise (default: %(default)s)")


def _saliency(options: argparse.Namespace) -> None:
    from contextlib import closing
    from dataclasses import asdict

    from features import rasters, saliency
    from features.datasets import need_outside, open_files
    from features.datasets.decoding import batch_size, batches

    drawing = saliency.Drawing(options.colours, options.opacity, options.one_scale)
    colours = (*rasters.RECTIFIED, *rasters.SIGNED)
    if options.colours not in (None, *colours):
        raise FeatureError(f"The colours are {options.colours!r}. Wanted one of {', '.join(colours)}.")
    if not 0 <= options.opacity <= 1:
        raise FeatureError(f"The opacity is {options.opacity}. Wanted a number from 0 (the image) to 1 (the heat map).")
    for source in options.images:
        need_outside(source, options.out)
    saliency.earlier(options.out)
    model = load(options)
    images = open_files(options.images)
    target = saliency.parse(options.target, model)
    explainer = saliency.Explainer(model, options.precision)
    taps = explainer.taps(options.taps) if options.taps else None
    if taps and isinstance(target, saliency.StageTarget):
        taps = tuple(tap for tap in taps if explainer.block_index(tap) <= explainer.top([target]))
    size = max(1, batch_size(model.spec.preprocessing) // 4)  # what gradients need is kept as well
    rows: list[dict[str, Any]] = []
    provenance: dict[str, Any] = {}
    rejected: list[dict[str, str]] = []
    with saliency.replacing(options.out) as making:
        with closing(batches(images, model.spec.preprocessing, size)) as stream:
            for batch in stream:
                rejected += left_out(batch.rejected)
                if not len(batch.rows):
                    continue
                targets = [target] * len(batch.rows)
                found = show(
                    saliency.explain(
                        explainer, batch.pixels, targets, options.method, taps, options.smooth, options.seed
                    )
                )
                seen = batch.pixels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()  # (N, H, W, 3)
                pictures = {images.ids[row]: picture for row, picture in zip(batch.rows, seen, strict=True)}
                rows += _written(saliency.exported(found, model, pictures, drawing), making)
                provenance = found.provenance
        if not rows:
            raise FeatureError(f"None of the {len(images)} images could be read.")
        settings = {
            "target": options.target,
            "taps": options.taps,
            "drawing": asdict(drawing),
            "smooth": options.smooth,
            "seed": options.seed,
            "left_out": rejected,
            "provenance": provenance,
        }
        (making / "manifest.json").write_bytes(saliency.manifest(rows, settings))
    for row in rows:
        if row["blank"] and not (row["blank"] == "negative" and row["signed"]):
            print(f"{row['file']} shows nothing: it is {row['blank']} everywhere", file=sys.stderr)
    print(f"{options.out}: {len(rows):,} maps of {len({row['image'] for row in rows}):,} images")


def _written(files: Iterable[tuple[str, bytes, dict[str, Any] | None]], folder: Path) -> list[dict[str, Any]]:
    """Write exported maps, and give back the manifest's rows of them."""
    rows = []
    for name, content, row in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        rows += [row] if row else []
    return rows
