"""The command line: one subcommand per capability."""

import argparse
import os
import sys

from features.commands import (
    channels,
    compare,
    embed,
    evaluate,
    extract,
    faithfulness,
    find_lr,
    inspect,
    look,
    models,
    notebook,
    notes,
    residual,
    saliency,
    train,
    workspace,
)
from features.commands.common import Parser
from features.errors import FeatureError

COMMANDS = (
    models, inspect, look, evaluate, compare, extract, embed, saliency, faithfulness, residual, channels, train,
    find_lr, notes, workspace, notebook,
)  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; returns the exit status: 0 done, 2 the user's mistake, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except FeatureError as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{options.command}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `models | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        print(
            f"{options.command}: {error.filename or 'A file'} cannot be used: {error.strerror or error}.",
            file=sys.stderr,
        )
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m features", description="Look into residual networks.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
