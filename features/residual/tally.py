"""Reads image sets block by block into sums that can be merged: k shards give what one set gives, but for rounding."""

import hashlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from features.datasets import ImageSet, Rejected, labels
from features.datasets.decoding import Batch, batch_size, batches, need_images, need_some, run_through
from features.devices import device_of
from features.engine import FastNetwork, forward
from features.errors import FeatureError
from features.networks.card import Outputs
from features.networks.zoo import Model
from features.predictions import class_logits, decisions, one_class
from features.progress import Task
from features.residual.block_tally import BlockTally
from features.residual.image_numbers import ImageNumbers, digest, smallest
from features.residual.moments import Comoments, by_place, linear_cka, map_moments
from features.residual.statistics import (
    COSINE,
    KEPT,
    OUTPUT,
    PARTS,
    SPARSITY,
    BlockStatistics,
)
from features.results import Provenance, provenance

SAMPLE = 1000  # images whose features are kept, for the nearest class mean


def measure(model: Model, images: ImageSet) -> Task["Tally"]:
    """Read an image set, in one streaming pass in fp32.

    Raises DatasetError if no image can be read, FeatureError if the network makes NaN or infinite values.
    """
    need_images(images)
    tally = yield from Reader(model, images).measure(range(len(images)))
    need_some(tally.numbers.ids, images, tally.rejected)
    return tally


def statistics(model: Model, images: ImageSet) -> Task[BlockStatistics]:
    """As `measure`, and what it amounts to."""
    return (yield from measure(model, images)).result()


def images_at_once(model: Model, device: str) -> int:
    """Images per batch, fewer than elsewhere: several maps of each block are held at a time."""
    return max(1, batch_size(model.spec.preprocessing, device) // 2)


class Reader:
    """Reads parts of an image set with one network."""

    def __init__(self, model: Model, images: ImageSet) -> None:
        self.model, self.images = model, images
        self.device = device_of(model.network)
        self.network = FastNetwork(model.network, model.spec.preprocessing, torch.float32, self.device)
        self.batch_size = images_at_once(model, str(self.device))
        self._matched = labels.matched(model.spec, images)

    def measure(self, part: range) -> Task["Tally"]:
        """What the images of a part amount to, also where none of them can be read."""
        tally = Tally(self.model, self.images)

        def work(batch: Batch) -> tuple[()]:
            tally.add(self.model, self.network, batch.pixels, self._known(batch.rows))
            return ()

        preprocessing, device = self.model.spec.preprocessing, str(self.device)
        with closing(batches(self.images, preprocessing, self.batch_size, [part], device)) as stream:
            _, tally.rejected = yield from run_through(stream, len(part), work)
        return tally

    def _known(self, rows: np.ndarray) -> "Known":
        return Known(
            ids=[self.images.ids[row] for row in rows],
            labels=None if self.images.labels is None else self.images.labels[rows],
            targets=self._matched.at(rows),
        )


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of N images before they are read.

    labels: (N,) int64, their classes in the set; targets: (N,) int64, the network's classes of them; None if unknown.
    """

    ids: Sequence[str]
    labels: np.ndarray | None
    targets: np.ndarray | None


class Tally:
    """What has been read of some images: sums over them for every block, and a few numbers of each.

    Of at most 200,000 images the numbers of each are held, 32 bytes a block; all else depends on the network alone,
    above all on the products of its channels: about 0.3 GB for ResNet-50 and 0.8 GB for ResNet-152.
    It holds neither the network nor the images, so that it can be sent from one machine to another.
    """

    def __init__(self, model: Model, images: ImageSet, device: torch.device | None = None) -> None:
        """device: where its sums lie, None for the network's."""
        self.key, self.name = model.key, model.spec.name
        self.class_names = images.class_names if images.labels is not None else ()
        self.device = device or device_of(model.network)
        n_classes = len(self.class_names)
        blocks = dict(model.network.blocks())
        self.blocks = {name: BlockTally(block, n_classes, len(blocks), self.device) for name, block in blocks.items()}
        self.stem: Comoments | None = None  # of the stem's output with itself
        self.numbers = ImageNumbers(len(self.class_names))
        self.right = np.zeros(len(self.blocks))  # images that the head classifies rightly, NaN where it does not fit
        self.sample = _Sample()
        self.rejected: tuple[Rejected, ...] = ()
        how = labels.matched(model.spec, images).how
        self.sources = [provenance(model, images).with_settings(labels_matched=how)]

    def add(self, model: Model, network: FastNetwork, pixels: Tensor, known: Known) -> None:
        """Read some images. network: the model's; pixels: (N, C, S, S) uint8."""
        with torch.inference_mode(False), torch.no_grad():  # whose tensors could not be added to later
            self._add(model, network, pixels, known)

    def _add(self, model: Model, network: FastNetwork, pixels: Tensor, known: Known) -> None:
        ids, given = known.ids, known.labels
        x = network.stem(pixels.to(device_of(network), memory_format=torch.channels_last))  # (N, C, H, W)
        moments = map_moments(by_place(x))
        if self.stem is None:
            self.stem = Comoments(x.shape[1], x.shape[1], x.device)
        self.stem.add(moments.mean, moments.mean)
        last_stage = network.stage_names[-1]
        kept = self.sample.chosen(ids) if given is not None else []
        features, numbers, right = [], [], []
        for step in forward.steps(network.blocks(), x, lambda index: forward.PARTS):
            moments, told = self.blocks[step.name].add(step, x, moments, given, model)
            head = network.classifier if step.name.startswith(f"{last_stage}.") else None
            numbers.append(told)
            by_means = head is None or network.sees_means
            pooled = moments.mean if by_means else network.pooled(step.output)  # (N, D)
            right.append(_right(head, pooled, known.targets, model.spec.outputs))
            if kept:
                features.append(moments.mean[kept].float().cpu().numpy())
            x = step.output
            del step  # its parts are large, and the next block needs room for its own
        if given is not None and kept:
            self.sample.add([ids[row] for row in kept], given[kept], features)
        self.right = self.right + right
        self.numbers.add(ids, given, {name: np.stack([told[name] for told in numbers], 1) for name in numbers[0]})

    def merge(self, other: "Tally") -> "Tally":
        """Take up what another has read with the same network, of images with the same classes; returns itself.

        Raises FeatureError if networks or classes differ.
        """
        if (self.key, self.class_names) != (other.key, other.class_names):
            raise FeatureError(
                f"Only one network's statistics of images of the same classes can be merged, but got {self.name} with "
                f"{len(self.class_names)} classes and {other.name} with {len(other.class_names)}."
            )
        self.rejected += other.rejected
        known = {source.images_digest for source in self.sources}  # parts of one set count as one
        self.sources += [source for source in other.sources if source.images_digest not in known]
        if other.stem is None:
            return self
        if self.stem is None:
            self.stem = Comoments(len(other.stem.mean), len(other.stem.mean), self.device)
        self.stem.merge(other.stem)
        for mine, theirs in zip(self.blocks.values(), other.blocks.values(), strict=True):
            mine.merge(theirs)
        self.sample.merge(other.sample)
        self.numbers.merge(other.numbers)
        self.right = self.right + other.right
        return self

    def result(self) -> BlockStatistics:
        """What has been read so far. Raises FeatureError if nothing has."""
        if self.stem is None:
            raise FeatureError("No image has been read yet, so there is nothing to tell.")
        tallies = list(self.blocks.values())
        ids, given, numbers = self.numbers.content()
        means = self.numbers.means()
        befores = [self.stem, *(tally.features for tally in tallies)][:-1]
        return BlockStatistics(
            blocks=tuple(self.blocks),
            stages=tuple(name.split(".")[0] for name in self.blocks),
            shortcuts=tuple(tally.kind for tally in tallies),
            n_images=self.numbers.n,
            ids=ids,
            labels=given,
            class_names=self.class_names,
            class_counts=self.numbers.counts,
            norms={part: numbers[part] for part in PARTS},
            cosines=numbers[COSINE],
            kept=numbers[KEPT],
            sparsities=numbers[SPARSITY],
            means={name: values[-1] for name, values in means.items()},
            class_means={name: values[:-1] for name, values in means.items()},
            channels=tuple(tally.channels(self.numbers.counts) for tally in tallies),
            effective_rank=np.array([tally.features.participation_ratio for tally in tallies]),
            cka=np.array(
                [linear_cka(tally.step, before, tally.features) for before, tally in zip(befores, tallies, strict=True)]
            ),
            class_mean_accuracy=self._class_mean_accuracies(),
            head_accuracy=self.right / self.numbers.n,
            rejected=self.rejected,
            provenance=self._provenance(),
        )

    def _class_mean_accuracies(self) -> np.ndarray:
        if (self.numbers.counts > 0).sum() < 2:
            return np.full(len(self.blocks), np.nan)
        own, features = self.sample.content()
        return np.array(
            [
                nearest_class_mean(values, own, tally.class_sums[OUTPUT].cpu().numpy(), self.numbers.counts)
                for values, tally in zip(features, self.blocks.values(), strict=True)
            ]
        )

    def _provenance(self) -> Provenance:
        """Of one set its own; of several their names, and one digest of their digests."""
        first = self.sources[0]
        if len(self.sources) == 1:
            return first
        digest = hashlib.sha256("".join(str(source.images_digest) for source in self.sources).encode()).hexdigest()
        return replace(first, images=" + ".join(str(source.images) for source in self.sources), images_digest=digest)


def _right(head: nn.Module | None, features: Tensor, targets: np.ndarray | None, outputs: Outputs) -> float:
    """How many of N images a head classifies rightly by their features (N, C); NaN without a head or their classes."""
    if head is None or targets is None:
        return float("nan")
    predicted = decisions(class_logits(head(features.float()), outputs), outputs)  # (N, K)
    true = one_class(torch.from_numpy(targets).to(predicted.device), predicted.shape[1])  # (N, K)
    return float((predicted == true).all(1).sum())


def nearest_class_mean(features: np.ndarray, own: np.ndarray, sums: np.ndarray, counts: np.ndarray) -> float:
    """Share of M images whose nearest class mean is that of their own class, each left out of its own mean.

    features: (M, C); own: (M,) their classes; sums: (K, C) of the features of each class, counts: (K,) its images,
    among which the M are. Images that are alone in their class are not counted; NaN if all are.
    """
    features = features.astype(np.float64)
    centre = sums.sum(0) / counts.sum()  # distances stay the same, and lose fewer digits
    features, sums = features - centre, sums - counts[:, None] * centre
    means = sums / np.maximum(counts, 1)[:, None]  # (K, C)
    distances = np.square(means).sum(1) - 2 * features @ means.T  # (M, K), less the features' own squares
    distances[:, counts == 0] = np.inf
    rest = np.maximum(counts[own] - 1, 1)[:, None]  # (M, 1)
    others = (sums[own] - features) / rest  # (M, C), the own class without the image
    distances[np.arange(len(own)), own] = np.square(others).sum(1) - 2 * (features * others).sum(1)
    counted = counts[own] > 1
    return float((distances.argmin(1) == own)[counted].mean()) if counted.any() else float("nan")


class _Sample:
    """The features, at every block, of the images whose ids have the smallest digests, whatever the shards."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[int, list[np.ndarray]]] = {}  # id -> its label, and (C,) per block

    def chosen(self, ids: Sequence[str]) -> list[int]:
        """Rows of those that could be among them, as far as is known."""
        if len(self._kept) < SAMPLE:
            return list(range(len(ids)))
        limit = max(map(digest, self._kept))
        return [row for row, name in enumerate(ids) if digest(name) < limit]

    def add(self, ids: Sequence[str], labels: np.ndarray, features: Sequence[np.ndarray]) -> None:
        """labels: (N,); features: per block (N, C)."""
        rows = zip(ids, labels.tolist(), strict=True)
        self._take({name: (label, [values[at] for values in features]) for at, (name, label) in enumerate(rows)})

    def merge(self, other: "_Sample") -> None:
        self._take(other._kept)

    def _take(self, more: dict[str, tuple[int, list[np.ndarray]]]) -> None:
        both = self._kept | more
        self._kept = {name: both[name] for name in smallest(both, SAMPLE)}

    def content(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """Their labels (M,), and per block (M, C)."""
        labels, rows = zip(*self._kept.values(), strict=True)
        return np.array(labels), [np.stack(values) for values in zip(*rows, strict=True)]
