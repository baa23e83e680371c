"""Tells what a source of images holds."""

import argparse
import json

from features.commands.common import Commands, add_limit, add_source, command, print_table, show, source_of

SHOWN_CLASSES, SHOWN_GROUPS, SHOWN_NAMES, SHOWN_REJECTED = 30, 10, 6, 8


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    look = command(
        commands, "look", _look, "Tell what a source of images holds: classes, splits, sizes, formats, problems."
    )
    add_source(look)
    add_limit(look)
    look.add_argument("--duplicates", action="store_true", help="also find pictures that are nearly the same")
    look.add_argument("--json", action="store_true", help="print only JSON on standard output")


def _look(options: argparse.Namespace) -> None:
    from features.look import look

    images = source_of(options)
    result = show(look(images, options.duplicates))
    if options.json:
        content = result.as_dict() | {
            "name": images.name,
            "split": images.split,
            "splits": dict(images.splits),
            "columns": [*images.columns],
            "aside": [{"reason": each.reason, "names": list(each.names)} for each in images.aside],
            "notes": list(images.notes),
        }
        print(json.dumps(content))
        return
    print(f"{images.name}: {images.describe()}")
    (w0, w1, w2), (h0, h1, h2) = result.widths, result.heights
    print(f"width {w0} to {w2} px (median {w1}), height {h0} to {h2} px (median {h1})")
    for what, counts in (("formats", result.formats), ("modes", result.modes)):
        if counts:
            print(f"{what}: {', '.join(f'{name} {count:,}' for name, count in counts.items())}")
    if result.n_frames:
        print(f"files of several frames or pages, of which the first is taken: {result.n_frames:,}")
    if result.n_bytes:
        print(f"{result.n_bytes / 1e6:,.1f} MB")
    if images.columns:
        print(f"further columns: {', '.join(images.columns)}")
    print(f"cannot be read: {len(result.rejected):,}")
    for rejected in result.rejected[:SHOWN_REJECTED]:
        print(f"  {rejected.reason}")
    if result.alike is not None:
        print(f"groups of pictures that are nearly the same: {len(result.alike):,}")
        for group in result.alike[:SHOWN_GROUPS]:
            print(f"  {', '.join(group[:SHOWN_NAMES])}{', ...' if len(group) > SHOWN_NAMES else ''}")
    if result.classes:
        rows: list[tuple[str, ...]] = [("class", "images")]
        rows += [(name, f"{count:,}") for name, count in result.classes.items()]
        print()
        print_table(rows[: SHOWN_CLASSES + 1])
        if len(rows) > SHOWN_CLASSES + 1:
            print(f"... and {len(rows) - SHOWN_CLASSES - 1:,} more")
