"""One of the networks that are compared, and what it makes of the images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from features import engine, extract
from features.compare.classes import Common
from features.compare.costs import Cost
from features.datasets import ImageSet, Rejected
from features.errors import FeatureError
from features.evaluate import Evaluation, of_logits
from features.networks.zoo import Model
from features.predictions import Predictions
from features.progress import Task
from features.results import Provenance
from features.shares import Share
from features.similarity import Layers
from features.store import FeatureSet

SAMPLE = 10_000  # images whose blocks are read, of larger sets
SAMPLE_SEED = 0  # not a choice: what was read is asked for again
LOGITS_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class Read:
    """What a network puts out for a set of images.

    sample: of all images, or SAMPLE of more: stem, blocks, 'pool' and 'logits', with rows as of the whole set. rest:
    'logits' of the others, None where there are none.
    """

    sample: FeatureSet
    sample_rows: np.ndarray
    rest: FeatureSet | None
    rest_rows: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """(N,) int64, the images that could be read, ascending."""
        return np.sort(np.concatenate([self.sample_rows, self.rest_rows]))

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        return (*self.sample.rejected, *(self.rest.rejected if self.rest is not None else ()))

    def logits(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Blocks (n, K) of some of the images, in their order."""
        parts = [(self.sample, self.sample_rows)]
        if self.rest is not None:
            parts.append((self.rest, self.rest_rows))
        for start in range(0, len(rows), LOGITS_AT_ONCE):
            wanted = rows[start : start + LOGITS_AT_ONCE]
            block = None
            for read, there in parts:
                mask = np.isin(wanted, there)
                if mask.any():
                    values = read.stages[engine.LOGITS][np.searchsorted(there, wanted[mask])]
                    block = np.empty((len(wanted), values.shape[1]), np.float32) if block is None else block
                    block[mask] = values
            assert block is not None  # all rows are among those that were read
            yield block


def read(model: Model, images: ImageSet) -> Task[Read]:
    """Read a set, or what the cache has of it. Raises as `extract.cached`."""
    n_images = len(images)
    chosen = np.arange(n_images)
    if n_images > SAMPLE:
        chosen = np.sort(np.random.default_rng(SAMPLE_SEED).permutation(n_images)[:SAMPLE])
    others = np.setdiff1d(np.arange(n_images), chosen)
    blocks = (*engine.blocks_of(model.network), engine.POOLED, engine.LOGITS)
    sample = yield from extract.cached(model, images if not len(others) else images.take(chosen.tolist()), blocks)
    if not len(others):
        return Read(sample, chosen[sample.rows], None, others)
    rest = yield from extract.cached(model, images.take(others.tolist()), [engine.LOGITS])
    return Read(sample, chosen[sample.rows], rest, others[rest.rows])


@dataclass(frozen=True, eq=False)
class Contender:
    """A network, and what it says of N images.

    name: different from the others'. cost: what it takes. evaluation: how often it is right, by the common classes.
    layers: the stem's and every block's features of those M of the images that were read for it, and what its
    classifier sees ('pool'), in the order of depth; rows: (M,) int64, which of the N these are. stage_names: those of
    the layers with which a stage ends. provenance: what made it.
    """

    name: str
    cost: Cost
    evaluation: Evaluation
    layers: Mapping[str, np.ndarray]
    rows: np.ndarray
    stage_names: Mapping[str, str]
    provenance: Provenance

    @property
    def predictions(self) -> Predictions:
        return self.evaluation.predictions

    @property
    def correct(self) -> np.ndarray:
        """(N,) bool, whether each prediction is right."""
        return self.evaluation.correct

    @property
    def accuracy(self) -> Share:
        return self.evaluation.accuracy_share

    @property
    def calibration_error(self) -> float:
        """The expected calibration error, of groups of equal width, in [0, 1]."""
        return self.evaluation.calibration.equal_width.error

    @property
    def parameters(self) -> int:
        return self.cost.parameters

    @property
    def macs(self) -> int:
        """Multiply-adds for one image."""
        return self.cost.macs

    @property
    def macro_f1(self) -> float:
        """The mean over the classes that occur."""
        return self.evaluation.macro_f1

    @property
    def blocks(self) -> tuple[str, ...]:
        """The stem and every block, in the order of depth."""
        return tuple(name for name in self.layers if name != engine.POOLED)

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        told, temperature = self.evaluation, self.evaluation.calibration.temperature
        return {
            "name": self.name, **self.cost.as_dict(), "accuracy": self.accuracy.as_dict(),
            "top5": told.top5_share.as_dict(), "macro_precision": told.macro_precision,
            "macro_recall": told.macro_recall, "macro_f1": told.macro_f1,
            "mean_average_precision": told.mean_average_precision, "calibration_error": self.calibration_error,
            "temperature": None if temperature is None else temperature.value,
            "provenance": self.provenance.as_dict(),
        }  # fmt: skip


def contender(
    name: str, model: Model, cost: Cost, common: Common, number: int, told: Read, rows: np.ndarray
) -> Contender:
    """A network on those images of `common` that all could read. number: which of the networks it is. rows: (N,)."""
    evaluation = of_logits(
        model, common.images, common.matched[number], rows,
        (common.logits(number, block) for block in told.logits(rows)), told.rejected,
    )  # fmt: skip
    here = np.flatnonzero(np.isin(told.sample_rows, rows))
    layers = {name: told.sample.stages[name] for name in (*engine.blocks_of(model.network), engine.POOLED)}
    if len(here) < len(told.sample_rows):  # another network could not read an image: these are copies
        layers = {name: values[here] for name, values in layers.items()}
    return Contender(
        name=name,
        cost=cost,
        evaluation=evaluation,
        layers=layers,
        rows=np.searchsorted(rows, told.sample_rows[here]),
        stage_names=_last_blocks(model),
        provenance=told.sample.provenance,
    )


def _last_blocks(model: Model) -> dict[str, str]:
    """Stage -> the block with which it ends; the stem is its own."""
    last = {"stem": "stem"}
    for name, _ in model.network.blocks():
        last[name.rsplit(".", 1)[0]] = name
    return last


def common_rows(reads: Sequence[Read]) -> np.ndarray:
    """(N,) int64, the images that all networks could read. Raises FeatureError if there are none."""
    rows = reads[0].rows
    for each in reads[1:]:
        rows = np.intersect1d(rows, each.rows)
    if not len(rows):
        raise FeatureError("No image could be read by all networks. Compare them on others.")
    return rows


def layers_of(told: Contender, ids: Sequence[str], names: Sequence[str], rows: np.ndarray | None = None) -> Layers:
    """Some layers of a network as `similarity` compares them. ids: (N,) of all images. rows: (R,) among the M, or all.

    Nothing is read from the disk before it is asked for, but where only some rows are.
    """
    chosen = told.rows if rows is None else told.rows[rows]
    layers = {name: told.layers[name] if rows is None else told.layers[name][rows] for name in names}
    return Layers(layers, tuple(ids[row] for row in chosen), told.provenance)
