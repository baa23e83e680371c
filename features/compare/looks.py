"""How far two networks look at the same part of each image, by their saliency maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from features.compare.grids import common, sampled
from features.compare.means import Mean, mean_of, or_none
from features.compare.overlap import TOP_SHARE, iou, rank_correlation, ranked
from features.compare.sights import Seen, Settings, Viewer, seen
from features.datasets import ImageSet, Rejected
from features.networks.zoo import Model
from features.progress import Progress, Task
from features.results import Provenance

if TYPE_CHECKING:
    import pandas as pd

SIDE = 112  # of the grid on which maps are compared
DRAWS = 10  # maps of other images that each map is compared with


@dataclass(frozen=True, eq=False)
class Looks:
    """Where two networks look in the same N images.

    first, second: the networks' names. rows: (N,) int64 of the set; ids: (N,). labels: (N,) their classes in the set's
    words, None unless each has one. predicted: for each network (N,) what it says, in words that both share.
    constant: for each network (N,) bool, whether its map is the same everywhere in what both see.
    correlations: (N,) float64 in [-1, 1], Spearman's of the two maps over what both networks see of the image; ious:
        (N,) in [0, 1], intersection over union of the strongest `top_share` of it. NaN where a map is constant.
    chance_correlations, chance_ious: (N, D), of the first network's map and the second's of D other images, as if it
        were of this one: what comes of looking at the middle always.
    n_asked: of how many images these were drawn. provenance: of each network's maps.
    """

    first: str
    second: str
    rows: np.ndarray
    ids: tuple[str, ...]
    labels: tuple[str, ...] | None
    predicted: tuple[tuple[str, ...], tuple[str, ...]]
    constant: tuple[np.ndarray, np.ndarray]
    correlations: np.ndarray
    ious: np.ndarray
    chance_correlations: np.ndarray
    chance_ious: np.ndarray
    n_asked: int
    settings: Settings
    rejected: tuple[Rejected, ...]
    provenance: tuple[Provenance, Provenance]
    top_share: float = TOP_SHARE

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def same_class(self) -> np.ndarray:
        """(N,) bool, whether both say the same class."""
        one, other = self.predicted
        return np.array([first == second for first, second in zip(one, other, strict=True)], bool)

    @property
    def n_constant(self) -> tuple[int, int]:
        """Images of which each network's map is the same everywhere, which count nowhere else."""
        return int(self.constant[0].sum()), int(self.constant[1].sum())

    @property
    def differing(self) -> np.ndarray:
        """(M,) int64, those of the N images of which both say the same class, that come first whose maps are least
        alike in rank, equal ones by their IoU."""
        agreed = np.flatnonzero(self.same_class & ~np.isnan(self.correlations))
        return agreed[np.lexsort((self.ious[agreed], self.correlations[agreed]))]

    @cached_property
    def overall(self) -> "Alike":
        """All images together."""
        return self._alike("", np.arange(len(self)))

    @cached_property
    def by_agreement(self) -> "tuple[Alike, ...]":
        """Images of which both say the same class, and others, where there are any."""
        parts = (("the same class", self.same_class), ("another class", ~self.same_class))
        return tuple(self._alike(name, np.flatnonzero(chosen)) for name, chosen in parts if chosen.any())

    @cached_property
    def by_class(self) -> "tuple[Alike, ...]":
        """The images of each class by name: of their labels, or without these of what the first network says."""
        classes = np.array(self.predicted[0] if self.labels is None else self.labels, dtype=object)
        return tuple(self._alike(name, np.flatnonzero(classes == name)) for name in sorted(set(classes.tolist())))

    def _alike(self, name: str, rows: np.ndarray) -> "Alike":
        return Alike(
            name,
            len(rows),
            int(self.same_class[rows].sum()),
            mean_of(self.correlations[rows], -1, 1),
            mean_of(self.ious[rows], 0, 1),
            mean_of(self.chance_correlations[rows].ravel(), -1, 1).value,
            mean_of(self.chance_ious[rows].ravel(), 0, 1).value,
            mean_of(_beyond(self.correlations[rows], self.chance_correlations[rows]), -2, 2),
            mean_of(_beyond(self.ious[rows], self.chance_ious[rows]), -1, 1),
        )

    def table(self) -> "pd.DataFrame":
        """One row per image: id, label, what each network says, whether that is the same, how alike the maps are."""
        import pandas as pd

        none = np.full(len(self), None, dtype=object)
        return pd.DataFrame(
            {
                "id": np.array(self.ids, dtype=object),
                "label": none if self.labels is None else np.array(self.labels, dtype=object),
                "predicted": np.array(self.predicted[0], dtype=object),
                "predicted beside": np.array(self.predicted[1], dtype=object),
                "same class": self.same_class,
                "rank correlation": self.correlations,
                "iou": self.ious,
                "constant": self.constant[0],
                "constant beside": self.constant[1],
            }
        )

    def class_table(self) -> "pd.DataFrame":
        """One row per class, as of `Alike.as_dict`."""
        import pandas as pd

        return pd.json_normalize([each.as_dict() for each in self.by_class], sep=" ")

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it: all but what has a row for every image."""
        first, second = self.n_constant
        return {
            "network": self.first, "beside": self.second, "n_images": len(self), "n_asked": self.n_asked,
            "settings": self.settings.as_dict(), "top_share": self.top_share,
            "n_constant": first, "n_constant_beside": second,
            "overall": self.overall.as_dict(),
            "by_agreement": [each.as_dict() for each in self.by_agreement],
            "classes": [each.as_dict() for each in self.by_class],
            "differing": [self.ids[row] for row in self.differing],
            "rejected": [{"id": each.id, "reason": each.reason} for each in self.rejected],
        }  # fmt: skip


@dataclass(frozen=True)
class Alike:
    """How alike maps of some images are.

    name: what the images have in common. n_same_class: of how many both networks say the same. chance_*: means of maps
    of different images. beyond_*: of each image's value less that of its chance, about 0 for networks that look at the
    same part of all images whatever these show.
    """

    name: str
    n_images: int
    n_same_class: int
    correlation: Mean
    iou: Mean
    chance_correlation: float
    chance_iou: float
    beyond_correlation: Mean
    beyond_iou: Mean

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "name": self.name, "n_images": self.n_images, "n_same_class": self.n_same_class,
            "rank_correlation": self.correlation.as_dict(), "iou": self.iou.as_dict(),
            "chance_rank_correlation": or_none(self.chance_correlation), "chance_iou": or_none(self.chance_iou),
            "beyond_chance_rank_correlation": self.beyond_correlation.as_dict(),
            "beyond_chance_iou": self.beyond_iou.as_dict(),
        }  # fmt: skip


def _beyond(values: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """(n,) by how much values (n,) exceed the mean of their draws (n, D); NaN where there is none."""
    known = ~np.isnan(chance)
    sums, counts = np.where(known, chance, 0).sum(1), known.sum(1)
    return values - np.divide(sums, counts, out=np.full(len(values), np.nan), where=counts > 0)


def looks(
    first: Model, second: Model, images: ImageSet, rows: Sequence[int] | np.ndarray, settings: Settings | None = None
) -> Task[Looks]:
    """Explain some images of a set with two networks and compare the maps, each image where both networks see it.

    rows: the images' numbers; of more than `settings.n_images` a part, drawn with its seed, as many of each class as of
    any other. Each network has its own preprocessing and explains its own class, or the true one.
    Raises FeatureError for a network without a classifier and for settings that do not fit it; DatasetError if no image
    can be read, or labels cannot be matched where the true class is explained.
    """
    settings = settings or Settings()
    few, chosen = _drawn(images, np.asarray(rows, np.int64), settings)
    viewers = Viewer(first, few, settings), Viewer(second, few, settings)
    told = yield from seen(few, viewers)
    measured = yield from _measured(told, settings.seed)
    read = [each.row for each in told.images]
    names = None if few.labels is None else few.label_names(read)
    return Looks(
        first.spec.name, second.spec.name, chosen[read], tuple(few.ids[row] for row in read),
        None if names is None else tuple(map(str, names)),
        (tuple(each.class_name for each in told.sights[0]), tuple(each.class_name for each in told.sights[1])),
        **measured, n_asked=len(rows), settings=settings, rejected=told.rejected,
        provenance=(viewers[0].provenance(images), viewers[1].provenance(images)),
    )  # fmt: skip


def _drawn(images: ImageSet, rows: np.ndarray, settings: Settings) -> tuple[ImageSet, np.ndarray]:
    """At most as many images as are wanted, and their numbers in the whole set."""
    taken = images.take(rows.tolist())
    few = taken.sample(settings.n_images, settings.seed)
    number = dict(zip(taken.ids, rows.tolist(), strict=True))
    return few, np.array([number[each] for each in few.ids], np.int64)


def _measured(told: Seen, seed: int) -> Task[dict[str, Any]]:
    """The fields of `Looks` that are measured of N images' maps."""
    n = len(told.images)
    shifts = np.random.default_rng(seed).permutation(np.arange(1, n))[:DRAWS].tolist()
    values = np.full((2, n, 1 + len(shifts)), np.nan)
    constant = np.zeros((2, n), bool)
    for row, (image, one, other) in enumerate(zip(told.images, *told.sights, strict=True)):
        yield Progress(n, n, "image", "maps of other images")  # which take little beside the maps themselves
        region = common((one.box, other.box), image.size)
        mine = ranked(sampled(one.values, one.box, region, SIDE))
        for number, shift in enumerate((0, *shifts)):
            there = told.sights[1][(row + shift) % n].values
            theirs = ranked(sampled(there, other.box, region, SIDE))
            values[:, row, number] = rank_correlation(mine, theirs), iou(mine, theirs)
            if not shift:
                constant[:, row] = mine.ranks is None, theirs.ranks is None
    return {
        "constant": (constant[0], constant[1]),
        "correlations": values[0, :, 0], "ious": values[1, :, 0],
        "chance_correlations": values[0, :, 1:], "chance_ious": values[1, :, 1:],
    }  # fmt: skip
