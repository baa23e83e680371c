"""Networks side by side on the same images: how often each is right, what it costs, and where they differ."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from features.compare.classes import Common, common_classes
from features.compare.contender import SAMPLE, Contender, common_rows, contender, read
from features.compare.costs import costs
from features.compare.names import told_apart
from features.compare.pair import CLUSTER, Pair, clusters, corrected, pair
from features.compare.pictures import properties
from features.compare.slices import COLUMNS, slices
from features.datasets import ImageSet, Rejected
from features.errors import FeatureError
from features.networks.zoo import Model
from features.progress import Progress, Task, part_of, retold
from features.similarity.layers import need_images

if TYPE_CHECKING:
    import pandas as pd

LEAST, MOST = 2, 10


@dataclass(frozen=True, eq=False)
class Comparison:
    """Networks on the N images that all of them could read.

    ids, labels: (N,). common: the classes that they are compared on. rejected: images that some network could not read.
    seed: of what chance gives.
    """

    contenders: tuple[Contender, ...]
    pairs: tuple[Pair, ...]
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    images: str
    common: Common
    rejected: tuple[Rejected, ...]
    seed: int = 0

    @property
    def best(self) -> Contender | None:
        """The network that is more often right than each other by more than chance; None where there is none."""
        sure: dict[str, int] = {}
        for each in self.pairs:
            if each.differs:
                winner = each.second if each.agreement.difference > 0 else each.first
                sure[winner] = sure.get(winner, 0) + 1
        return next((each for each in self.contenders if sure.get(each.name) == len(self.contenders) - 1), None)

    @cached_property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of the images and the classes that were compared, which depend on all networks: on what
        each of them could read, and on what it knows.
        """
        told = repr((self.ids, self.common.names)).encode("utf-8", "surrogatepass")
        return hashlib.sha256(told).hexdigest()

    def named(self, name: str) -> Contender:
        """A network by its name."""
        return next(each for each in self.contenders if each.name == name)

    def number(self, name: str) -> int:
        """Which of the networks it is."""
        return [each.name for each in self.contenders].index(name)

    def names_of(self, numbers: Sequence[int]) -> tuple[str, ...]:
        """The names of some of the networks."""
        return tuple(self.contenders[number].name for number in numbers)

    def table(self) -> "pd.DataFrame":
        """One row per image: id, label, class (the label as the networks call it), and of every network its prediction,
        confidence and whether that is right.
        """
        import pandas as pd

        columns: dict[str, Any] = {"id": self.ids, "label": self.labels, "class": self._classes()}
        for each in self.contenders:
            columns |= {
                f"{each.name} pred": each.predictions.names,
                f"{each.name} confidence": each.predictions.confidence,
                f"{each.name} correct": each.correct,
            }
        return pd.DataFrame(columns)

    def _classes(self) -> np.ndarray:
        """(N,) objects, the images' classes, several with ', ' between them, as predictions are called."""
        truth, names = self.contenders[0].evaluation.truth, np.array(self.common.names, dtype=object)
        if truth.ndim == 1:
            return names[truth]
        return np.array([", ".join(names[has]) for has in truth], dtype=object)

    def class_table(self) -> "pd.DataFrame":
        """One row per network and class that occurs: its counts and scores."""
        import pandas as pd

        rows = [
            {"network": each.name, **score.as_dict()} for each in self.contenders for score in each.evaluation.per_class
        ]
        return pd.DataFrame(rows)

    def slice_table(self) -> "pd.DataFrame":
        """One row per pair and slice, as of `Compared.as_dict`."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"network": each.first, "beside": each.second, **told.as_dict()}
                for each in self.pairs
                for told in each.slices
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
    """Compare networks on a labelled set, each on its own preprocessing, by the classes that all know.

    What a network puts out is kept in the cache and not computed again. seed: of what chance gives.
    Raises FeatureError for fewer than two or a network without a classifier, and as `common_classes`, `extract.cached`.
    """
    need_number(len(models))
    for model in models:
        model.need_classifier()
    names = told_apart([model.spec for model in models])
    called = [replace(model.spec, name=name) for model, name in zip(models, names, strict=True)]
    common = common_classes(called, images)  # its notes and errors tell which network they are of
    need_images(len(common.images))
    reads = []
    for number, model in enumerate(models):
        place = partial(_of_all, number=number, total=len(models))
        reads.append((yield from retold(read(model, common.images), place)))
    rows = common_rows(reads)
    paid = yield from costs(models)
    contenders = tuple(
        contender(name, model, cost, common, number, told, rows)
        for number, (name, model, cost, told) in enumerate(zip(names, models, paid, reads, strict=True))
    )
    columns = yield from _columns(common.images.take(rows.tolist()), contenders[0], seed)
    ids = tuple(common.images.ids[row] for row in rows)
    cut = slices(columns)
    pairs: list[Pair] = []
    together = list(combinations(contenders, 2))
    for number, (first, second) in enumerate(together):
        place = partial(_of_all, number=number, total=len(together), what="pair")
        pairs.append((yield from retold(pair(first, second, ids, cut, seed), place)))
    rejected = {each.id: each for told in reads for each in told.rejected}
    return Comparison(
        contenders, corrected(pairs), ids, tuple(map(str, contenders[0].evaluation.labels)), images.name, common,
        (*rejected.values(),), seed,
    )  # fmt: skip


def _of_all(progress: Progress, number: int, total: int, what: str = "network") -> Progress:
    """One network's report, or one pair's, as that of all."""
    note = f"{what} {number + 1} of {total}" + (f": {progress.note}" if progress.note else "")
    return part_of(progress, number, total, note)


def _columns(images: ImageSet, first: Contender, seed: int) -> Task[dict[str, np.ndarray]]:
    """What is known of the images, by which slices are cut: (N,) each.

    Of more than SAMPLE images the pictures of those are measured that the first network's blocks were read for.
    """
    labels = images.label_names(np.arange(len(images)))
    assert labels is not None  # classes were matched with them
    columns: dict[str, np.ndarray] = {"label": np.asarray(labels, dtype=object), **images.columns}
    if images.label_sets is not None:
        columns |= {f"label {name}": images.label_sets[:, number] for number, name in enumerate(images.class_names)}
    if len(images) <= SAMPLE:
        measured = yield from properties(images)
    else:
        told = yield from properties(images.take(first.rows.tolist()))
        measured = {name: _spread(values, first.rows, len(images)) for name, values in told.items()}
    # What the set itself says under the same name counts.
    return measured | {CLUSTER: clusters(first, len(images), seed)} | columns


def _spread(values: np.ndarray, rows: np.ndarray, n_images: int) -> np.ndarray:
    """(N,) with values at some rows and NaN elsewhere."""
    whole = np.full(n_images, np.nan)
    whole[rows] = values
    return whole
