"""What commands that train have in common: the images, where the network begins, and the recipe."""

import argparse
from typing import TYPE_CHECKING

from features.commands.common import (
    Parser,
    add_norms,
    add_source,
    columns_of,
    corrected,
    loaded,
    said,
    show,
    tell_understood,
)
from features.errors import FeatureError
from features.networks import naming
from features.networks.settings import Settings, applied
from features.train.recipe import SETTINGS, Recipe

if TYPE_CHECKING:
    from features.datasets import ImageSet
    from features.networks.card import ModelSpec
    from features.train.start import Start

DRAWN = "resnet20-cifar"


def add_training(parser: Parser, without: tuple[str, ...] = (), tested: bool = True) -> None:
    """Add the arguments of a training. without: settings of the recipe that the command does not have. tested: whether
    it has test images.
    """
    add_source(parser)
    if tested:
        parser.add_argument("--test", metavar="SOURCE", help="held-out images (default: the set's own test split)")
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="the architecture of drawn weights, as of a name of the catalogue, resnet20-cifar?norm=group or timm:NAME "
        f"(default: {DRAWN})",
    )
    add_norms(parser)
    parser.add_argument(
        "--from",
        dest="begin",
        metavar="NETWORK",
        help="begin with the weights of a name of the catalogue, timm:NAME or a file (behind it ?as=..., ?part=...); "
        "of its head the rows of common classes are kept",
    )
    groups = {group: parser.add_argument_group(group) for group in dict.fromkeys(each.group for each in SETTINGS)}
    for each in SETTINGS:
        if each.name not in without:
            needs = f"; with {each.need_in_words().replace('_', '-')}" if each.needs else ""
            groups[each.group].add_argument(
                f"--{each.name.replace('_', '-')}",
                type=type(each.default),
                default=each.default,
                metavar="X",
                help=f"{each.help}{needs} (default: {'%(default)s' if each.default != '' else 'none'})",
            )


def recipe_of(options: argparse.Namespace, **fixed: object) -> Recipe:
    """The recipe of a command with `add_training`. fixed: settings that the command does not have."""
    given = {each.name: getattr(options, each.name) for each in SETTINGS if hasattr(options, each.name)}
    return Recipe(**{**given, **fixed})


def training_images_of(options: argparse.Namespace) -> "ImageSet":
    """The images to learn from, of a command with `add_training`."""
    images = corrected(options, _opened(options))
    tell_understood(images)
    return images


def sets_of(options: argparse.Namespace) -> tuple["ImageSet", "ImageSet"]:
    """The images to learn from and those to test with, of a command with `add_training`."""
    from features.datasets import held_out, opening

    images = _opened(options)
    _, test = _splits(options.source, options.test)
    test_images = show(
        opening(test or held_out(images), options.data_root, options.download, columns=columns_of(options))
    )
    images, test_images = corrected(options, images), corrected(options, test_images)
    for each in (images, test_images):
        tell_understood(each)
    return images, test_images


def _opened(options: argparse.Namespace) -> "ImageSet":
    from features.datasets import opening, splits

    source, _ = _splits(options.source, getattr(options, "test", None))
    return show(opening(source, options.data_root, options.download, splits.FIRST_TRAINING, columns_of(options)))


def need_one_start(options: argparse.Namespace) -> None:
    """Raise FeatureError for two beginnings, or an architecture that is none, before images are opened."""
    if options.begin is not None and options.model is not None:
        raise FeatureError(
            "--model names the architecture of a network whose weights are drawn, and --from a network that has one. "
            "Give one of the two."
        )
    if options.begin is not None and said(options):
        raise FeatureError(
            f"--{said(options)[0][0]} is of drawn weights, and --from begins with a network that has its norms. "
            "Leave it away, or name an architecture with --model."
        )
    if options.begin is None:
        _entry(options.model or DRAWN, said(options))


def start_of(options: argparse.Namespace, images: "ImageSet") -> "Start":
    """Where the network begins, of a command with `add_training`. images: on which is tested what a file does not say.

    Raises FeatureError as `need_one_start` does, and for a network that cannot be trained.
    """
    from features.train.start import Start

    need_one_start(options)
    if options.begin is None:
        return Start.anew(_entry(options.model or DRAWN, said(options)))
    name = naming.parse(options.begin)
    name.need_file_for_parts()
    return Start.of(loaded(name, images))


def _entry(text: str, said: Settings) -> "ModelSpec":
    """A network that is trained anew. said: beside its name. Raises FeatureError where weights would be needed."""
    from features.networks import catalogue

    name = naming.parse(text)
    if name.name is None or name != naming.NetworkName(name.name, settings=name.settings):
        raise FeatureError(
            f"--model is {text[:80]!r}, a file or more than a name, but training draws all weights anew. Name an "
            "architecture, as resnet20-cifar or timm:resnet18, or begin with its weights: --from."
        )
    entry, _ = applied(catalogue.spec(name.name), tuple(dict((*name.settings, *said)).items()))
    return entry


def _splits(source: str, test: str | None) -> tuple[str, str | None]:
    """The sources of training and test images; None for these where the first may have a split of them."""
    if test is not None:
        return source, test
    if source.startswith("torchvision:"):
        base = ":".join(source.split(":")[:2])
        return f"{base}:train", f"{base}:test"
    return source, None
