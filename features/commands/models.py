"""Lists the networks that can be named."""

import argparse
import json
from typing import Any

from features.commands.common import (
    Commands,
    command,
    print_table,
)


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    models = command(commands, "models", _models, "List the networks that can be named.")
    models.add_argument("--json", action="store_true", help="print JSON")
    models.add_argument(
        "--timm", action="store_true", help="list the names of timm's ResNet family instead, 'timm:NAME.WEIGHTS'"
    )


def _models(options: argparse.Namespace) -> None:
    from features.networks import catalogue
    from features.networks.anatomy import anatomy

    if options.timm:
        names = catalogue.timm_names()
        print(json.dumps(names, indent=1) if options.json else "\n".join(names))
        return
    rows: list[dict[str, Any]] = []
    for spec in catalogue.entries():
        built = anatomy(spec.architecture, spec.preprocessing.crop)
        rows.append(
            {
                "name": spec.name,
                "family": spec.family,
                "weights": spec.source,
                "classes": spec.architecture.classes,
                "input_size": spec.preprocessing.crop,
                "parameters": built.parameters,
                "gflops": built.macs / 1e9,
                "licence": spec.licence,
                "on_this_machine": spec.file is not None,
            }
        )
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    table: list[tuple[str, ...]] = [
        ("name", "family", "classes", "input", "parameters", "GFLOPs", "here", "weights", "licence")
    ]
    for row in rows:
        table.append(
            (
                row["name"],
                row["family"],
                str(row["classes"]),
                f"{row['input_size']} px",
                f"{row['parameters'] / 1e6:.2f} M",
                f"{row['gflops']:.3f}",
                "yes" if row["on_this_machine"] else "no",
                row["weights"],
                row["licence"],
            )
        )
    print_table(table)
    print("\nGFLOPs: a multiplication and an addition counted as one, for one image, as in He et al. 2015.")
