"""What networks say of pictures, and where they look: a map of each, and where in the picture it lies."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from features.compare.grids import Box
from features.datasets import ImageSet, Rejected, labels
from features.datasets.decoding import batch_size, need_images, need_some
from features.errors import FeatureError, ImageError
from features.networks.preprocessing import Preprocessing
from features.networks.zoo import Model
from features.progress import Progress, Task, retold
from features.results import Provenance, provenance
from features.saliency import INPUT, METHODS, ClassTarget, Explainer, SaliencyMaps, Tap, Taps, explain

PREDICTED, TRUE = "predicted", "true"
N_IMAGES = 200  # seen by two ResNet-50s at 224 px: some 45 s on two cores


@dataclass(frozen=True)
class Settings:
    """How networks are asked where they look.

    method: of saliency.METHODS. stage: whose output the maps are of, None for each network's last. of: which class is
    explained, what each network predicts or the true one. n_images: at most so many, drawn by seed.
    """

    method: str = "gradcam"
    stage: str | None = None
    of: str = PREDICTED
    n_images: int = N_IMAGES
    seed: int = 0

    def need_sound(self) -> None:
        """Raises FeatureError for a method, a class or a number that cannot be."""
        if not METHODS.need(self.method).comparable:
            raise FeatureError(f"{self.method} makes no map that can be compared with another's. Choose gradcam.")
        if self.of not in (PREDICTED, TRUE) or self.n_images < 1:
            raise FeatureError(
                f"Maps are of the class that is {PREDICTED} or {TRUE}, of 1 image or more, but got {self.of!r} and "
                f"{self.n_images}."
            )

    def as_dict(self) -> dict[str, Any]:
        """As it stands in files."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Sight:
    """What one network says of a picture, and where it looks.

    values: (h, w) float32, positive where it speaks for the explained class. box: the part of the picture that the map
    fills. class_name, confidence: what is predicted, in the words of the images' labels where these are known, and its
    probability. explained: the class that the map is of.
    """

    values: np.ndarray
    box: Box
    class_name: str
    confidence: float
    explained: str


class Viewer:
    """One network, made to explain images of a set."""

    def __init__(self, model: Model, images: ImageSet, settings: Settings) -> None:
        """Raises FeatureError if the network has no classifier, or settings or labels do not fit."""
        settings.need_sound()
        model.need_classifier()
        self.explainer, self.settings = Explainer(model), settings
        self.preprocessing = model.spec.preprocessing
        self.batch_size = max(1, batch_size(self.preprocessing) // 2)  # maps and gradients are held beside each other
        stage = settings.stage or self.explainer.network.stage_names[-1]
        self.tap = INPUT if METHODS[settings.method].taps is Taps.INPUT else Tap(stage)
        self.names = _shared_names(model, images)
        self._truth = labels.match_labels(model.spec, images).classes if settings.of == TRUE else None
        if settings.of == TRUE and self._truth is None:
            raise FeatureError("The images have several labels each. Explain what is predicted.")

    def sights(self, framed: "Sequence[Framed]", number: int) -> Task[list[Sight]]:
        """Of some images. number: this network's among those that these were framed for."""
        if not framed:
            return []
        pixels = torch.stack([each.pixels[number] for each in framed])  # (n, C, S, S)
        targets = [ClassTarget(None if self._truth is None else int(self._truth[each.row])) for each in framed]
        taps = None if self.tap == INPUT else [self.tap]
        maps = yield from explain(self.explainer, pixels, targets, self.settings.method, taps, seed=self.settings.seed)
        return self._told(maps, [each.size for each in framed])

    def _told(self, maps: SaliencyMaps, sizes: Sequence[tuple[int, int]]) -> list[Sight]:
        chances = maps.probabilities
        assert chances is not None  # classes are explained
        predicted = chances.argmax(1)  # (n,)
        return [
            Sight(
                maps.maps[self.tap][number],
                Box(*self.preprocessing.box(size)),
                self.names[predicted[number]],
                float(chances[number, predicted[number]]),
                self.names[maps.class_ids[number]],
            )
            for number, size in enumerate(sizes)
        ]

    def provenance(self, images: ImageSet) -> Provenance:
        """Of the maps of this network."""
        settings = self.settings.as_dict() | {"stage": self.tap.name}
        return provenance(self.explainer.model, images).with_settings(**settings)


def _shared_names(model: Model, images: ImageSet) -> tuple[str, ...]:
    """(K,) what to call a network's classes: as the set's labels, which several networks share, else as it does.

    Where two classes are called the same, as ImageNet's two cranes, with their numbers.
    """
    matched = labels.matched(model.spec, images)
    names = list(matched.names)
    if matched.classes is not None and images.labels is not None:
        present, first = np.unique(images.labels, return_index=True)
        for label, image in zip(present, first, strict=True):
            names[matched.classes[image]] = images.class_names[label]
    counts = Counter(names)
    return tuple(name if counts[name] == 1 else f"{name} ({number})" for number, name in enumerate(names))


@dataclass(frozen=True, eq=False)
class Framed:
    """An image of a set, cut for each of several networks: without the picture itself, which may be large.

    row: its number. size: width and height. small: (H, W, 3) uint8, the picture at the side that was wanted, None where
    none was. pixels: (C, S, S) for each network; none once the networks have seen them.
    """

    row: int
    size: tuple[int, int]
    small: np.ndarray | None
    pixels: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Seen:
    """What two networks made of N images. sights: of each network (N,). rejected: images that could not be read."""

    images: tuple[Framed, ...]
    sights: tuple[list[Sight], list[Sight]]
    rejected: tuple[Rejected, ...]


def seen(images: ImageSet, viewers: tuple[Viewer, Viewer], side: int | None = None) -> Task[Seen]:
    """Show a set to two networks, image by image the same. side: of small pictures to keep, None for none.

    Raises DatasetError if there are no images or none can be read.
    """
    need_images(images)
    kept: list[Framed] = []
    sights: tuple[list[Sight], list[Sight]] = ([], [])
    rejected: list[Rejected] = []
    step = min(each.batch_size for each in viewers)
    for start in range(0, len(images), step):
        rows = range(start, min(start + step, len(images)))
        read, failed = framed(images, rows, [each.preprocessing for each in viewers], side)
        rejected += failed
        for number, viewer in enumerate(viewers):
            now = Progress(start, len(images), "image", f"maps of network {number + 1} of 2")
            yield now
            sights[number].extend((yield from retold(viewer.sights(read, number), partial(_as, now))))
        kept += [replace(each, pixels=()) for each in read]
    need_some(kept, images, rejected)
    return Seen(tuple(kept), sights, tuple(rejected))


def _as(now: Progress, report: Progress) -> Progress:
    """A network's own report as that of all images, which says no more."""
    return now


def framed(
    images: ImageSet, rows: Sequence[int], preprocessings: Sequence[Preprocessing], side: int | None
) -> tuple[list[Framed], list[Rejected]]:
    """Those images that can be read and that all networks take, and the others with the reason.

    side: of the longer side of small pictures, at most; None for none.
    """
    read, rejected = [], []
    for row in rows:
        try:
            picture = images.open(row)
            pixels = tuple(each.framed(picture) for each in preprocessings)
        except ImageError as error:
            rejected.append(Rejected(images.ids[row], str(error)))
        else:
            read.append(Framed(row, picture.size, None if side is None else _small(picture, side), pixels))
    return read, rejected


def _small(picture: Image.Image, side: int) -> np.ndarray:
    """(H, W, 3) uint8."""
    small = picture.convert("RGB")
    if max(small.size) > side:
        small.thumbnail((side, side))
    return np.asarray(small)
