"""Looks for a learning rate."""

import argparse

from features.commands.common import Commands, add_out, command, positive, show
from features.commands.recipes import add_training, need_one_start, recipe_of, start_of, training_images_of

NOT_OF_A_TEST = (
    "epochs", "accumulate", "learning_rate", "schedule", "warmup_epochs", "step_epochs", "milestones", "step_factor",
    "restart_epochs", "restart_factor", "unfreeze_epochs", "ema_decay", "held_back", "patience", "keep",
)  # fmt: skip


def add(commands: Commands) -> None:
    """Add what this file does to the command line."""
    find = command(
        commands, "find-lr", _find, "Look for a learning rate: the loss while the rate rises from step to step."
    )
    add_training(find, NOT_OF_A_TEST, tested=False)
    add_out(find, "where the losses go")
    find.add_argument("--lowest", type=float, default=1e-5, metavar="X", help="first rate (default: %(default)s)")
    find.add_argument("--highest", type=float, default=10.0, metavar="X", help="last rate (default: %(default)s)")
    find.add_argument(
        "--steps", type=positive, default=100, metavar="N", help="batches that are tried (default: %(default)s)"
    )


def _find(options: argparse.Namespace) -> None:
    from features.claim import Claim, need_kind
    from features.datasets import need_outside
    from features.train import export, find_lr

    need_one_start(options)
    need_outside(options.source, options.out)
    need_kind(options.out, find_lr.RANGE_TEST)
    recipe = recipe_of(options, schedule="constant", warmup_epochs=0.0, learning_rate=1.0)
    images = training_images_of(options)
    start = start_of(options, images)
    settings = export.settings_of(start, images, None, recipe, {"family": start.family})
    settings |= {name: getattr(options, name) for name in ("lowest", "highest", "steps")}
    with Claim(options.out, find_lr.RANGE_TEST, settings, options.replace) as claim:
        content = claim.finished
        if content is None:
            result = show(find_lr.range_test(start, images, recipe, options.lowest, options.highest, options.steps))
            find_lr.write(claim, result)
            content = {"proposal": result.proposal}
    print(
        f"{options.out / find_lr.FILE}: the proposal is --learning-rate {content['proposal']:.2g}, a tenth of the rate "
        "with the least loss."
    )
