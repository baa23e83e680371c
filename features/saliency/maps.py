"""What a network's maps are of, and what they come in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from features.networks.card import Outputs
from features.predictions import probabilities
from features.registry import Registry
from features.results import Provenance

OUTPUT, SUM, BRANCH, SHORTCUT = "output", "sum", "branch", "shortcut"
STAGES, BLOCKS, BRANCHES = "stages", "blocks", "branches"


class Tap(NamedTuple):
    """A place in a network that has a map.

    name: a stage ('layer3', the same as its last block), a block ('layer3.1') or 'input'.
    part: 'output', or of a block 'branch', 'shortcut' or their 'sum' before the ReLU.
    """

    name: str
    part: str = OUTPUT


INPUT = Tap("input")


@dataclass(frozen=True)
class TapKind:
    """A choice of taps. name: on the command line; title: for people; taps: of a network's stages and blocks."""

    name: str
    title: str
    taps: Callable[[Sequence[str], Sequence[str]], tuple[Tap, ...]]


KINDS = Registry(
    "kind of taps",
    (
        TapKind(STAGES, "the output of every stage", lambda stages, blocks: tuple(map(Tap, stages))),
        TapKind(BLOCKS, "the output of every block", lambda stages, blocks: tuple(map(Tap, blocks))),
        TapKind(
            BRANCHES,
            "the branch, the shortcut and the sum of every block",
            lambda stages, blocks: tuple(Tap(name, part) for name in blocks for part in (SUM, BRANCH, SHORTCUT)),
        ),
    ),
)


@dataclass(frozen=True)
class Options:
    """How maps are made, beyond what they are of.

    smooth: noisy copies of the image to average over (Smilkov et al. 2017, arXiv:1706.03825), 0 for none. seed: of all
    that is drawn.
    """

    smooth: int = 0
    seed: int = 0


@dataclass(frozen=True, eq=False)
class SaliencyMaps:
    """Maps of N images at several taps.

    maps: tap -> (N, H, W) float32 at the tap's own resolution, signed: positive speaks for the target.
    targets: (N,) what is explained, in words. scores: (N,) float32, the explained numbers.
    class_ids, against_ids: (N,) int64, the explained class and the one it is compared with, -1 for none.
    logits: (N, K) float32, of each class, as `predictions.class_logits` gives them; None if the network has no
        classifier or the explained number needs none.
    method: a name of METHODS.
    biases: (N,) float32, what of each score belongs to no place, where maps sum to the rest (the ledger); else None.
    outputs: what the logits say.
    """

    maps: dict[Tap, np.ndarray]
    targets: tuple[str, ...]
    scores: np.ndarray
    class_ids: np.ndarray
    against_ids: np.ndarray
    logits: np.ndarray | None
    method: str
    provenance: Provenance
    biases: np.ndarray | None = None
    outputs: Outputs = Outputs.MULTICLASS

    @property
    def probabilities(self) -> np.ndarray | None:
        """(N, K) float32 of every class."""
        return None if self.logits is None else probabilities(self.logits, self.outputs)
