"""Networks side by side on the same images: how often each is right, what it costs, and where they differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from features.compare.agreement import Agreement, agreement
from features.compare.slices import COLUMNS, LEVEL, Compared, compared, holm, slices
from features.datasets import ImageSet, Rejected, labels
from features.errors import FeatureError
from features.evaluate.calibration import calibration
from features.evaluate.scores import by_class
from features.extract import features
from features.networks.measured import measured
from features.networks.zoo import Model
from features.predictions import Predictions
from features.progress import Progress, Task, retold
from features.results import Provenance
from features.shares import Share
from features.similarity import Layers, Resampling, Similarity
from features.similarity import compared as similarity_of
from features.store import FeatureSet

if TYPE_CHECKING:
    import pandas as pd

LEAST, MOST = 2, 10
MEASURE = "cka"
PERMUTATIONS = 20


@dataclass(frozen=True, eq=False)
class Contender:
    """One of the networks, and what it says of N images.

    name: different from the others'. parameters, macs: what it has, and multiply-adds for one image. correct: (N,)
    bool. macro_*: means over the classes that occur. calibration_error: of groups of equal
    width, in [0, 1]. stages: name -> (N, D) pooled features, in the order of depth.
    """

    name: str
    parameters: int
    macs: int
    predictions: Predictions
    correct: np.ndarray
    macro_precision: float
    macro_recall: float
    macro_f1: float
    calibration_error: float
    stages: Mapping[str, np.ndarray]
    provenance: Provenance

    @property
    def accuracy(self) -> Share:
        return Share(int(self.correct.sum()), len(self.correct))

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "name": self.name, "parameters": self.parameters, "gflops": self.macs / 1e9,
            "accuracy": self.accuracy.as_dict(), "macro_precision": self.macro_precision,
            "macro_recall": self.macro_recall, "macro_f1": self.macro_f1, "calibration_error": self.calibration_error,
            "provenance": self.provenance.as_dict(),
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Pair:
    """Two of the networks. first, second: their names. similarity: of every stage with every other."""

    first: str
    second: str
    agreement: Agreement
    slices: tuple[Compared, ...]
    similarity: Similarity


@dataclass(frozen=True, eq=False)
class Comparison:
    """Networks on the N images that all of them could read.

    ids, labels: (N,). rejected: images that some network could not read.
    """

    contenders: tuple[Contender, ...]
    pairs: tuple[Pair, ...]
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    images: str
    rejected: tuple[Rejected, ...]

    @property
    def best(self) -> Contender | None:
        """The network that is more often right than each other by more than chance: McNemar's p values, corrected for
        the number of pairs (Holm), below LEVEL. None where there is none."""
        sure: dict[str, int] = {}
        for pair, p_value in zip(self.pairs, holm([pair.agreement.p_value for pair in self.pairs]), strict=True):
            if p_value < LEVEL:
                winner = pair.second if pair.agreement.difference > 0 else pair.first
                sure[winner] = sure.get(winner, 0) + 1
        return next((each for each in self.contenders if sure.get(each.name) == len(self.contenders) - 1), None)

    def table(self) -> "pd.DataFrame":
        """One row per image: id, label, and of every network its prediction, confidence and whether that is right."""
        import pandas as pd

        columns: dict[str, Any] = {"id": self.ids, "label": self.labels}
        for each in self.contenders:
            names = np.array(each.predictions.class_names, dtype=object)
            columns |= {
                f"{each.name} pred": names[each.predictions.predicted],
                f"{each.name} confidence": each.predictions.confidence,
                f"{each.name} correct": each.correct,
            }
        return pd.DataFrame(columns)

    def slice_table(self) -> "pd.DataFrame":
        """One row per pair and slice, as of `Compared.as_dict`."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"network": pair.first, "beside": pair.second, **each.as_dict()}
                for pair in self.pairs
                for each in pair.slices
            ],
            columns=["network", "beside", *COLUMNS],
        )


def need_number(n_networks: int) -> None:
    """Raises FeatureError unless as many networks can be compared."""
    if not LEAST <= n_networks <= MOST:
        raise FeatureError(
            f"{LEAST} to {MOST} networks are compared, but {n_networks} {'is' if n_networks == 1 else 'are'} named. "
            "Name them with --models A,B."
        )


def compare(models: Sequence[Model], images: ImageSet, seed: int = 0) -> Task[Comparison]:
    """Compare networks on a labelled set, one class an image, each on its own preprocessing.

    Raises FeatureError for fewer than two or a network without a classifier, DatasetError if the images have no labels
    or these cannot be matched with a network's classes.
    """
    need_number(len(models))
    for model in models:
        model.need_classifier()
        if model.spec.multilabel:
            raise FeatureError(f"{model.spec.name} predicts several labels an image. Compare networks of one class.")
    matched = [labels.match_labels(model.spec, images) for model in models]
    read = []
    for number, model in enumerate(models):
        read.append((yield from retold(features(model, images), partial(_of_all, number=number, total=len(models)))))
    rows = _common(read)
    known = [_of_rows(each, rows) for each in read]
    names = _names(models)
    contenders = tuple(
        _contender(name, model, each, match.truth(rows))
        for name, model, each, match in zip(names, models, known, matched, strict=True)
    )
    given = images.label_names(rows)
    assert given is not None  # match_labels found them
    columns = {"label": np.asarray(given, dtype=object), **known[0].columns}
    pairs = []
    for first, second in combinations(range(len(models)), 2):
        pairs.append((yield from _pair(contenders[first], contenders[second], known[first].ids, columns, seed)))
    rejected = {each.id: each for one in read for each in one.rejected}
    return Comparison(
        contenders, tuple(pairs), known[0].ids, tuple(map(str, given)), images.name, (*rejected.values(),)
    )


def _of_all(progress: Progress, number: int, total: int) -> Progress:
    """One network's report as that of all."""
    note = f"network {number + 1} of {total}" + (f": {progress.note}" if progress.note else "")
    return replace(progress, done=progress.done + number * progress.total, total=total * progress.total, note=note)


def _common(read: Sequence[FeatureSet]) -> np.ndarray:
    """(N,) int64, the images that all networks could read."""
    rows = read[0].rows
    for each in read[1:]:
        rows = np.intersect1d(rows, each.rows)
    if not len(rows):
        raise FeatureError("No image could be read by all networks. Compare them on others.")
    return rows


def _of_rows(read: FeatureSet, rows: np.ndarray) -> FeatureSet:
    chosen = np.searchsorted(read.rows, rows)
    assert read.predictions is not None  # there is a classifier
    return replace(
        read,
        rows=rows,
        ids=tuple(read.ids[row] for row in chosen),
        stages={name: values[chosen] for name, values in read.stages.items()},
        columns={name: values[chosen] for name, values in read.columns.items()},
        predictions=read.predictions.take(chosen),
    )


def _contender(name: str, model: Model, read: FeatureSet, truth: np.ndarray | None) -> Contender:
    assert read.predictions is not None
    if truth is None or truth.ndim == 2:
        raise FeatureError("The images have several labels each. Compare networks on images of one class.")
    per_class, _ = by_class(read.predictions.class_names, read.predictions.predicted, truth)
    means = {
        score: float(np.mean([getattr(row, score) for row in per_class])) for score in ("precision", "recall", "f1")
    }
    right = read.predictions.correct(truth)
    anatomy = measured(model.network, model.spec.preprocessing.crop)  # of itself: a lesion takes blocks away
    return Contender(
        name, anatomy.parameters, anatomy.macs, read.predictions, right,
        means["precision"], means["recall"], means["f1"],
        calibration(read.predictions.confidence, right, None).equal_width.error, read.stages, read.provenance,
    )  # fmt: skip


def _names(models: Sequence[Model]) -> list[str]:
    """The networks' names, with their numbers where two are called the same."""
    names = [model.spec.name for model in models]
    return [name if names.count(name) == 1 else f"{name} ({number})" for number, name in enumerate(names, start=1)]


def _pair(
    first: Contender, second: Contender, ids: tuple[str, ...], columns: Mapping[str, np.ndarray], seed: int
) -> Task[Pair]:
    one, other = (each.predictions for each in (first, second))
    same = one.predicted == other.predicted if one.class_names == other.class_names else None
    note = f"{first.name} and {second.name}"
    yield Progress(0, 1, "comparison", note)
    chosen = compared(slices(columns), first.correct, second.correct)
    left, right = (Layers(each.stages, ids, each.provenance) for each in (first, second))
    alike = yield from similarity_of(left, right, MEASURE, Resampling(PERMUTATIONS, 0, seed))
    return Pair(first.name, second.name, agreement(first.correct, second.correct, same), tuple(chosen), alike)
