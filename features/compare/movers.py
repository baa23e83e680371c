"""Two networks' maps of the same images on each other, and the images whose neighbours changed most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from features.embed import MapSettings, Trust, distance, drift, stage_maps, turnover
from features.embed.trust import SCORED_NEIGHBOURS
from features.errors import FeatureError
from features.progress import Task

if TYPE_CHECKING:
    import pandas as pd

N_IMAGES = 2000  # of 2,048 features each: some 20 s on two cores, and a minute of 10,000
K = 15  # neighbours that are compared
LEAST = 4  # images


@dataclass(frozen=True)
class MoverSettings:
    """How neighbours are compared.

    maps: how features are laid out. k: nearest neighbours of each image that are compared, fewer than those of the
    layout or at most 15. n_images: at most so many, drawn by the seed of `maps`.
    """

    maps: MapSettings = MapSettings()  # noqa: RUF009  # frozen
    k: int = K
    n_images: int = N_IMAGES

    def need_sound(self) -> None:
        """Raises FeatureError for numbers that cannot be."""
        self.maps.need_sound()
        most = max(self.maps.neighbours - 1, SCORED_NEIGHBOURS)  # of which the maps' graphs know
        if not 1 <= self.k <= most or self.n_images < LEAST:
            raise FeatureError(
                f"1 to {most} neighbours of at least {LEAST} images are compared, but got {self.k} of {self.n_images}. "
                "More neighbours of the maps allow more."
            )

    def as_dict(self) -> dict[str, Any]:
        """As it stands in files."""
        return {**self.maps.as_dict(), "k": self.k, "n_images": self.n_images}


@dataclass(frozen=True, eq=False)
class Movers:
    """N images on two networks' maps.

    first, second: the networks' names. rows: (N,) int64 of the features that were given; ids: (N,).
    points: for each network (N, 2) float32; the second's were laid out from the first's and are turned, mirrored, moved
        and scaled to lie as nearly as they can on these, which changes no neighbour. Groups that no neighbours join,
        as there are among few images, may lie elsewhere all the same: `apart` tells how much that is.
    changed: (N,) float32 in [0, 1], the share of an image's k nearest by the first's features that are not among its k
        nearest by the second's. moved: (N,) float32, how far it moves from one map to the other, in widths of the
        second map (the root mean square distance from its centre).
    apart: in [0, 1], the share of one map's variance that the other does not hold (Procrustes).
    trust: of each map. n_asked: of how many images N were drawn.
    """

    first: str
    second: str
    rows: np.ndarray
    ids: tuple[str, ...]
    points: tuple[np.ndarray, np.ndarray]
    changed: np.ndarray
    moved: np.ndarray
    apart: float
    trust: tuple[Trust, Trust]
    k: int
    n_asked: int
    settings: MoverSettings

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def chance(self) -> float:
        """The share that would change, on average, if the second's neighbours were any of the other images."""
        return 1 - self.k / (len(self) - 1)

    @property
    def order(self) -> np.ndarray:
        """(N,) int64, those first that changed most neighbours, equal ones by how far they move."""
        return np.lexsort((-self.moved, -self.changed))

    def table(self) -> "pd.DataFrame":
        """One row per image, in the order given: id, both places, share of neighbours changed, and how far it moved."""
        import pandas as pd

        one, other = self.points
        return pd.DataFrame(
            {
                "id": np.array(self.ids, dtype=object),
                "x": one[:, 0], "y": one[:, 1], "x beside": other[:, 0], "y beside": other[:, 1],
                "changed": self.changed, "moved": self.moved,
            }
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it: all but what has a row for every image."""
        return {
            "network": self.first, "beside": self.second, "n_images": len(self), "n_asked": self.n_asked, "k": self.k,
            "changed": float(self.changed.mean()), "chance": self.chance, "apart": self.apart,
            "trust": self.trust[0].scores(), "trust_beside": self.trust[1].scores(),
            "settings": self.settings.as_dict(),
        }  # fmt: skip


def movers(
    features: Mapping[str, np.ndarray], ids: Sequence[str], settings: MoverSettings | None = None
) -> Task[Movers]:
    """Lay two networks' features of the same images out, the second on the first, and compare neighbours.

    features: the first network's name -> (N, D), the second's -> (N, E). Of more than `settings.n_images` a part is
    drawn, among which neighbours are looked for.
    Raises FeatureError unless there are two of the same images, at least 4, and as `embed.project`.
    """
    settings = settings or MoverSettings()
    settings.need_sound()
    names = _need_two(features, ids)
    rows = _drawn(len(ids), settings)
    k = min(settings.k, len(rows) - 1)
    one, other = (np.ascontiguousarray(features[name][rows], np.float32) for name in names)
    maps = yield from stage_maps({names[1]: other, names[0]: one}, settings.maps)  # the last is laid out first
    first, second = maps[names[0]], maps[names[1]]
    return Movers(
        names[0], names[1], rows, tuple(ids[row] for row in rows), (first.points, second.points),
        turnover(maps, k)[:, 0], drift(maps)[:, 0], distance(first.points, second.points),
        (first.trust, second.trust), k, len(ids), settings,
    )  # fmt: skip


def _need_two(features: Mapping[str, np.ndarray], ids: Sequence[str]) -> tuple[str, str]:
    """The two networks' names. Raises FeatureError unless there are two, of the same images."""
    shapes = {name: values.shape for name, values in features.items()}
    if len(features) != 2 or any(shape[0] != len(ids) for shape in shapes.values()):
        raise FeatureError(
            f"Two networks' features of the same images are compared, but got {shapes} for {len(ids)} images. "
            "Read both on one set."
        )
    first, second = features
    return first, second


def _drawn(n: int, settings: MoverSettings) -> np.ndarray:
    """At most as many of n rows as are wanted, ascending."""
    if n <= settings.n_images:
        return np.arange(n)
    return np.sort(np.random.default_rng(settings.maps.seed or 0).permutation(n)[: settings.n_images])
