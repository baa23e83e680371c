"""Augmentation by policies of many kinds of change: which there are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.registry import Registry

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Policy:
    """name: in a recipe; title: for people; paper: its source; make: the transform of a picture, or None."""

    name: str
    title: str
    paper: str
    make: Callable[[], "nn.Module | None"]


def _none() -> None:
    return None


def _randaugment() -> "nn.Module":
    from torchvision.transforms import v2

    return v2.RandAugment()


def _trivialaugment() -> "nn.Module":
    from torchvision.transforms import v2

    return v2.TrivialAugmentWide()


POLICIES = Registry(
    "policy",
    (
        Policy("none", "none", "", _none),
        Policy("randaugment", "randaugment (two of 14 changes)", "Cubuk et al. 2020, arXiv:1909.13719", _randaugment),
        Policy(
            "trivialaugment",
            "trivialaugment (one of 14 changes, of any strength)",
            "Müller and Hutter 2021, arXiv:2103.10158",
            _trivialaugment,
        ),
    ),
)
