"""Reads an image set once for what every channel of some layers answers to it."""

from collections.abc import Iterator, Sequence
from contextlib import closing

import numpy as np
import torch
from torch import Tensor

from features.channels.layers import STEM, layers_of
from features.channels.results import Channels
from features.channels.selectivity import Classes
from features.channels.tally import Known, LayerTally
from features.datasets import ImageSet, Rejected
from features.datasets.decoding import Batch, batch_size, batches, need_images, need_some, run_through
from features.devices import device_of
from features.engine import FastNetwork, forward
from features.errors import FeatureError
from features.networks.measured import anatomy_of
from features.networks.zoo import Model
from features.progress import Task
from features.results import provenance

TOP = 16
KEPT_VALUES = 1 << 25  # means, and as many maxima, that are kept of single images: 268 MB of both
CLASS_VALUES = 1 << 26  # sums, and as many sums of squares: 1.1 GB of both, which 1,000 classes and ResNet-152 take


def responses(
    model: Model, images: ImageSet, layers: Sequence[str] = (), k: int = TOP, seed: int = 0
) -> Task[Channels]:
    """What the channels of some layers answer to every image of a set, in one pass in fp32.

    layers: of 'stem', stages (their last blocks) and blocks; none for all blocks. k: how many images with the highest
    and the lowest maxima are kept. seed: of the sample of images whose own numbers are kept, for quantiles, histograms
    and AUROC, where images times channels exceed KEPT_VALUES. All else is exact over sets of any size.
    Raises DatasetError if no image can be read, FeatureError for layers that do not exist, a k below 1, more classes
    than can be held, or if the network puts out NaN or infinite values.
    """
    need_images(images)
    if k < 1:
        raise FeatureError(f"Wanted at least 1 image per channel, but got {k}.")
    tally = Tally(model, images, layers, k, seed)
    yield from read(tally, model, images, range(len(images)))
    need_some(range(tally.n_images), images, tally.rejected)
    return tally.result(model, images)


def read(tally: "Tally", model: Model, images: ImageSet, part: range) -> Task[None]:
    """Read a part of a set into a tally."""
    preprocessing, device = model.spec.preprocessing, device_of(model.network)
    network = FastNetwork(model.network, preprocessing, torch.float32, device)

    def work(batch: Batch) -> tuple[()]:
        with torch.inference_mode():
            tally.add(model, network, batch)
        return ()

    size = batch_size(preprocessing, str(device))
    with closing(batches(images, preprocessing, size, [part], str(device))) as stream:
        _, rejected = yield from run_through(stream, len(part), work)
    tally.rejected += rejected


class Tally:
    """What was read of some images of a set: k tallies of parts of it, merged, give what one gives, but for rounding.

    It holds of the set its labels alone, and nothing of the network.
    """

    def __init__(
        self, model: Model, images: ImageSet, layers: Sequence[str], k: int, seed: int, part: range | None = None
    ) -> None:
        """part: the images that are to be read, None for all: nothing is held for others."""
        part = range(len(images)) if part is None else part
        stages = layers_of(model.network, layers)
        built = anatomy_of(model.network, model.spec.architecture, model.spec.preprocessing.crop)
        shapes = {part.name: part.outputs for part in built.parts}
        n_channels = sum(shapes[name][0] for name in stages)
        rows = slice(part.start, part.stop)
        self.first = part.start  # of the labels
        self.labels = None if images.labels is None else images.labels[rows].copy()
        self.label_sets = None if images.label_sets is None else images.label_sets[rows].copy()
        self.class_names = images.class_names if images.is_labelled else ()
        n_classes = len(self.class_names)
        if n_classes * n_channels > CLASS_VALUES:
            raise FeatureError(
                f"{n_classes:,} classes times {n_channels:,} channels are more than the {CLASS_VALUES:,} numbers that "
                "can be held. Choose fewer layers."
            )
        self.made_of = (model.key, images.digest, k, seed)
        capacity = min(len(images), max(2, KEPT_VALUES // n_channels))
        sample = np.sort(np.random.default_rng(seed).permutation(len(images))[:capacity])
        self.sample = sample[slice(*np.searchsorted(sample, (part.start, part.stop)))]  # rows of the set
        self.filled = np.zeros(len(self.sample), bool)
        self.counts = np.zeros(n_classes, np.int64)
        self.n_images = 0
        self.rejected: tuple[Rejected, ...] = ()
        sizes = (n_classes, len(self.sample))
        self.layers = {name: LayerTally(name, stage, shapes[name], k, sizes) for name, stage in stages.items()}

    def add(self, model: Model, network: FastNetwork, batch: Batch) -> None:
        """Take up a batch. network: the model's."""
        known = self._known(batch.rows)
        self.n_images += len(batch.rows)
        self.counts += known.members.sum(0)
        self.filled[known.slots[known.slots >= 0]] = True
        for name, maps in outputs(network, batch.pixels, [*self.layers]):
            self.layers[name].add(maps, known, model)
            del maps

    def _known(self, rows: np.ndarray) -> Known:
        at = np.searchsorted(self.sample, rows)
        sampled = np.isin(rows, self.sample)
        return Known(rows, np.where(sampled, at, -1), self._members(rows))

    def _members(self, rows: np.ndarray) -> np.ndarray:
        """(R, K) bool, the labels of the images at some rows; K is 0 without labels."""
        if self.label_sets is not None:
            return self.label_sets[rows - self.first]
        if self.labels is None:
            return np.zeros((len(rows), 0), bool)
        return self.labels[rows - self.first, None] == np.arange(len(self.class_names))

    def merge(self, other: "Tally") -> "Tally":
        """Take up what another has read of other images of the same set, which must be among its own; returns itself.

        Raises FeatureError if network, set, layers or settings differ.
        """
        if self.made_of != other.made_of or self.layers.keys() != other.layers.keys():
            raise FeatureError(
                "Only what one network's same layers answered to parts of one set, with the same k and seed, can be "
                "merged. Read both parts again in one way."
            )
        theirs = np.flatnonzero(other.filled)
        own = np.searchsorted(self.sample, other.sample[theirs])
        for name, layer in self.layers.items():
            layer.merge(other.layers[name], own, theirs)
        self.filled[own] = True
        self.counts += other.counts
        self.n_images += other.n_images
        self.rejected += other.rejected
        return self

    def result(self, model: Model, images: ImageSet) -> Channels:
        """What has been read so far. Raises FeatureError if nothing has."""
        if not self.n_images:
            raise FeatureError("No image has been read yet, so there is nothing to tell.")
        slots = np.flatnonzero(self.filled)
        rows = self.sample[slots]
        _, _, k, seed = self.made_of
        return Channels(
            layers=tuple(layer.result(slots) for layer in self.layers.values()),
            ids=images.ids,
            n_images=self.n_images,
            classes=Classes(self.class_names, self.counts.copy(), self._members(rows)),
            sample_rows=rows,
            rejected=self.rejected,
            provenance=provenance(model, images).with_settings(
                layers=[*self.layers], k=k, seed=seed, n_sampled=len(rows)
            ),
        )


def outputs(network: FastNetwork, pixels: Tensor, names: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
    """What some layers put out, (N, C, H, W) each, in their order; what lies above the last is not computed."""
    x = network.stem(pixels.to(device_of(network), memory_format=torch.channels_last))
    if STEM in names:
        yield STEM, x
    last = names[-1]
    if last == STEM:
        return
    for step in forward.steps(network.blocks(), x):
        if step.name in names:
            yield step.name, step.output
        if step.name == last:
            return
        del step  # its maps, before the next block makes its own
