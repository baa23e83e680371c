"""One network's features of a set of images, layer by layer, as they are compared."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.errors import FeatureError
from features.registry import Registry
from features.results import Provenance
from features.similarity.hsic import LEAST_IMAGES
from features.store import FeatureSet


@dataclass(frozen=True)
class Form:
    """How maps (N, C, H, W) become rows (N, D): what this discards cannot be compared afterwards."""

    name: str
    title: str


POOLED, FLATTENED = "pooled", "flattened"
FORMS: Registry[Form] = Registry(
    "form of features",
    [
        Form(POOLED, "means over positions: what is in an image, wherever it is"),
        Form(FLATTENED, "every position by itself: what is in an image, and where"),
    ],
)


@dataclass(frozen=True, eq=False)
class Layers:
    """A network's features of N images.

    features: layer -> (N, D), in the order of depth; read when asked for where it is a folder's.
    ids: (N,) of the images. provenance: what made the features, with their form.
    """

    features: Mapping[str, np.ndarray]
    ids: tuple[str, ...]
    provenance: Provenance

    @property
    def names(self) -> tuple[str, ...]:
        """The layers, in the order of depth."""
        return tuple(self.features)

    def rows(self, layer: str, chosen: np.ndarray) -> np.ndarray:
        """(M, D), of chosen images (M,). Raises FeatureError if they cannot be compared."""
        where = f"{layer} of {self.provenance.model or 'the network'}"
        values = self.features[layer]
        if len(values) != len(self.ids):
            raise FeatureError(
                f"{where} has {len(values)} rows for {len(self.ids)} images. One row an image is needed: extract again."
            )
        return checked(values[chosen], where)


def layers(features: FeatureSet, form: str = POOLED) -> Layers:
    """The stages of extracted features. form: of FORMS, of maps that were not pooled; others are as they are."""
    FORMS.need(form)
    made = features.provenance.with_settings(form=form)
    return Layers(_Rows(features.stages, form), features.ids, made)


def as_rows(values: np.ndarray, form: str) -> np.ndarray:
    """Maps (N, C, H, W) -> (N, C) pooled or (N, C * H * W) flattened, float32; rows (N, D) as they are."""
    FORMS.need(form)
    if values.ndim == 2:
        return values
    if form == FLATTENED:
        return values.reshape(len(values), -1).astype(np.float32)  # (N, C * H * W)
    return values.mean(axis=(2, 3), dtype=np.float32)  # (N, C)


class _Rows(Mapping[str, np.ndarray]):
    """Stages as rows, each made when it is asked for."""

    def __init__(self, stages: Mapping[str, np.ndarray], form: str) -> None:
        self._stages, self._form = stages, form

    def __getitem__(self, name: str) -> np.ndarray:
        return as_rows(self._stages[name], self._form)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stages)

    def __len__(self) -> int:
        return len(self._stages)


def checked(values: np.ndarray, where: str) -> np.ndarray:
    """The same values. Raises FeatureError unless they are finite rows (N, D), D at least 1. where: as it is told."""
    if values.ndim != 2 or values.shape[1] == 0:
        raise FeatureError(
            f"{where} has the shape {values.shape}, but one row an image, (N, D), is compared. "
            "Pool maps over positions or flatten them; the two answer different questions."
        )
    if not np.isfinite(values).all():
        raise FeatureError(f"{where} holds NaN or infinite values, where finite ones are needed. Check the weights.")
    return values


def need_images(n_images: int) -> None:
    """Raises FeatureError for fewer images than the measures need."""
    if n_images < LEAST_IMAGES:
        raise FeatureError(
            f"Similarity is told from {LEAST_IMAGES} images on, hundreds to be of use, but got {n_images}. "
            "Choose more images."
        )


def need_same_images(left: Sequence[str], right: Sequence[str]) -> None:
    """Raises FeatureError unless both are ids of the same images in one order."""
    if tuple(left) == tuple(right):
        return
    remedy = "Extract both from one image set."
    if len(left) != len(right):
        raise FeatureError(f"The same images are compared, but got {len(left)} and {len(right)} of them. {remedy}")
    if sorted(left) == sorted(right):
        raise FeatureError(f"Both have the same {len(left)} images, in one order each, but one was needed. {remedy}")
    lost = set(left) - set(right)
    raise FeatureError(
        f"The same images are compared, but of {len(left)} images of the first {len(lost)} are not among those of the "
        f"second, such as {min(lost, default='copies')!r}. {remedy}"
    )


def need_same_set(left: Layers, right: Layers) -> None:
    """Raises FeatureError unless both are of the same images in one order, by ids and by the sets' digests."""
    need_same_images(left.ids, right.ids)
    digests = left.provenance.images_digest, right.provenance.images_digest
    if None not in digests and digests[0] != digests[1]:
        raise FeatureError(
            f"The images are called alike but are of two sets, {left.provenance.images} with the digest "
            f"{str(digests[0])[:12]} and {right.provenance.images} with {str(digests[1])[:12]}. "
            "Extract both from one image set."
        )
