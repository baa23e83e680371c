"""What every block of a network does along relative depth, so that networks of different lengths lie in one figure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from features.compare.means import or_none
from features.datasets import ImageSet, Rejected
from features.datasets.decoding import need_images
from features.networks.zoo import Model
from features.progress import Task, part_of, retold
from features.residual import BlockStatistics, Sweep, statistics, sweep, without
from features.results import Provenance
from features.similarity import relative_depths

if TYPE_CHECKING:
    import pandas as pd

N_IMAGES = 200  # through a ResNet-50 at 224 px: some 30 s on two cores, and 2 min more for its 16 lesions
SPREAD = (5, 50, 95)  # percentiles over images
NO_SHORTCUT = "none"


@dataclass(frozen=True)
class DepthSettings:
    """On how many images blocks are measured, at most, and what draws them."""

    n_images: int = N_IMAGES
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """As it stands in files."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Lost:
    """What a network loses with each of its B blocks left out in turn.

    accuracy, agreement: (B,) float64 in [0, 1], the share of images classified rightly without the block, and of those
    of which the same is predicted as by the intact network; NaN where there is nothing to leave out. Accuracies are NaN
    where labels are missing or do not fit.
    """

    accuracy: np.ndarray
    agreement: np.ndarray
    intact_accuracy: float

    @property
    def judged(self) -> bool:
        """Whether labels told how accurate the network is."""
        return not np.isnan(self.intact_accuracy)

    @property
    def lost(self) -> np.ndarray:
        """(B,) accuracy lost without each block; without labels the share of images of which another class is said."""
        return self.intact_accuracy - self.accuracy if self.judged else 1 - self.agreement


@dataclass(frozen=True, eq=False)
class AlongDepth:
    """A network's B blocks in the order of depth, measured on N images.

    name: the network's. depths: (B,) relative depth from 0, the first block, to 1, the last. shortcuts: (B,) kinds.
    ratios, cosines: (B, 3) float64, |F| / |x| and the angle between branch and shortcut as 5th percentile, median and
        95th over images; shares: (B,) the branch's share of the sum's variance in [0, 1]; all as of
        `residual.BlockStatistics`, NaN at blocks without a shortcut or where nothing tells, and None of a network that
        has no shortcuts.
    lost: None where it was not measured.
    n_asked: of how many images N were drawn.
    """

    name: str
    blocks: tuple[str, ...]
    depths: np.ndarray
    shortcuts: tuple[str, ...]
    ratios: np.ndarray | None
    cosines: np.ndarray | None
    shares: np.ndarray | None
    lost: Lost | None
    n_images: int
    n_asked: int
    rejected: tuple[Rejected, ...]
    provenance: Provenance

    @property
    def is_residual(self) -> bool:
        """Whether any block has a shortcut."""
        return self.ratios is not None

    def table(self) -> "pd.DataFrame":
        """One row per block; NaN where there is nothing to tell."""
        import pandas as pd

        columns: dict[str, Any] = {
            "network": self.name, "block": self.blocks, "depth": self.depths, "shortcut": self.shortcuts,
        }  # fmt: skip
        nothing = np.full(len(self.blocks), np.nan)
        for name, values in (("ratio", self.ratios), ("cosine", self.cosines)):
            for number, end in enumerate((" low", "", " high")):
                columns[name + end] = nothing if values is None else values[:, number]
        columns["branch share"] = nothing if self.shares is None else self.shares
        columns["accuracy without"] = nothing if self.lost is None else self.lost.accuracy
        columns["agreement without"] = nothing if self.lost is None else self.lost.agreement
        columns["lost"] = nothing if self.lost is None else self.lost.lost
        return pd.DataFrame(columns)

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        table = self.table().drop(columns="network")
        intact = None if self.lost is None else or_none(self.lost.intact_accuracy)
        return {
            "network": self.name, "n_images": self.n_images, "n_asked": self.n_asked, "is_residual": self.is_residual,
            "intact_accuracy": intact,
            "blocks": [
                {name: or_none(value) if isinstance(value, float) else value for name, value in row.items()}
                for row in table.to_dict("records")
            ],
            "rejected": [{"id": each.id, "reason": each.reason} for each in self.rejected],
            "provenance": self.provenance.as_dict(),
        }  # fmt: skip


def along_depth(
    model: Model, images: ImageSet, lesions: bool = False, settings: DepthSettings | None = None
) -> Task[AlongDepth]:
    """Measure a network's blocks on some images of a set, the same for every network.

    lesions: whether to leave out every block in turn as well, which takes about half as many passes through the network
    as it has blocks. Raises DatasetError if no image can be read, FeatureError if the network puts out NaN, or has no
    classifier that lesions could change.
    """
    settings = settings or DepthSettings()
    need_images(images)
    if lesions:
        model.need_classifier()
    few = images.sample(settings.n_images, settings.seed)
    parts = 2 if lesions else 1
    measured = yield from retold(statistics(model, few), partial(part_of, number=0, total=parts, note="blocks"))
    lost = None
    if lesions:
        lost = yield from retold(_lost(model, few), partial(part_of, number=1, total=parts, note="without each block"))
    has_shortcut = np.array([kind != NO_SHORTCUT for kind in measured.shortcuts])  # (B,)
    ratios, cosines, shares = (
        _where(has_shortcut, values)
        for values in (*_spread(measured), [each.branch_share for each in measured.channels])
    )
    return AlongDepth(
        model.spec.name, measured.blocks, relative_depths(len(measured.blocks)), measured.shortcuts,
        ratios, cosines, shares, lost, measured.n_images, len(images), measured.rejected,
        replace(measured.provenance, images_digest=images.digest).with_settings(**settings.as_dict()),
    )  # fmt: skip


def _lost(model: Model, few: ImageSet) -> Task[Lost]:
    blocks = list(model.network.blocks())
    # A network with a lesion has blocks that are left out already: their shape has no channels.
    there = np.array([bool(block.shape[0]) for _, block in blocks])  # (B,)
    names = [name for name, _ in blocks]
    told: Sweep = yield from sweep(
        model, few, [without(name) for name, is_there in zip(names, there, strict=True) if is_there]
    )
    accuracy, agreement = np.full((2, len(names)), np.nan)
    accuracy[there], agreement[there] = told.accuracy, told.agreement
    return Lost(accuracy, agreement, told.intact_accuracy)


def _spread(measured: BlockStatistics) -> tuple[np.ndarray, np.ndarray]:
    """Percentiles (B, 3) over images of ratios and cosines."""
    ratios, cosines = (_percentiles(values) for values in (measured.ratios, measured.cosines))
    return ratios, cosines


def _percentiles(values: np.ndarray) -> np.ndarray:
    """(B, 3) of values (N, B), NaN where all are."""
    known = ~np.isnan(values).all(0)  # (B,)
    told = np.full((values.shape[1], len(SPREAD)), np.nan)
    if known.any():
        told[known] = np.nanpercentile(values[:, known].astype(np.float64), SPREAD, axis=0).T
    return told


def _where(has_shortcut: np.ndarray, values: Sequence[float] | np.ndarray) -> np.ndarray | None:
    """The values (B,) or (B, 3) of blocks that have a shortcut; None if none has."""
    if not has_shortcut.any():
        return None
    told = np.array(values, np.float64)
    told[~has_shortcut] = np.nan
    return told
