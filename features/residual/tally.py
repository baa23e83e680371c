"""Reads image sets block by block into sums that can be merged: k shards give what one set gives."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from features import labels
from features.datasets import ImageSet, Rejected
from features.decoding import Batch, batch_size, through
from features.engine import FastNetwork
from features.errors import FeatureError
from features.extract import finite, provenance
from features.network import ResidualBlock, device_of
from features.progress import Task
from features.residual.images import ImageNumbers, digest, smallest
from features.residual.moments import Comoments, Moments, Readings, by_place, linear_cka, pieces, readings
from features.residual.statistics import (
    BRANCH,
    COSINE,
    KEPT,
    OUTPUT,
    PARTS,
    RATIO,
    SHORTCUT,
    SPARSITY,
    SUM,
    BlockStatistics,
    Channels,
)
from features.zoo import Model

SAMPLE = 1000  # images whose features are kept, for the nearest class mean
CLASS_VALUES = 1 << 25  # class means of the parts before the ReLU are kept up to 256 MB of them


def measure(model: Model, images: ImageSet) -> Task["Tally"]:
    """Read an image set, in one streaming pass in fp32.

    Raises DatasetError if no image can be read, FeatureError if the network makes NaN or infinite values.
    """
    tally = Tally(model, images)
    network = FastNetwork(model.network, model.spec.preprocessing, torch.float32, device_of(model.network))

    def work(batch: Batch) -> tuple[()]:
        tally.add(network, batch.pixels, batch.rows)
        return ()

    device = str(device_of(model.network))
    size = max(1, batch_size(model.spec.preprocessing, device) // 2)  # several maps of each block are held at a time
    _, tally.rejected = yield from through(model, images, work, size)
    return tally


def statistics(model: Model, images: ImageSet) -> Task[BlockStatistics]:
    """As `measure`, and what it amounts to."""
    return (yield from measure(model, images)).result()


class Tally:
    """What has been read of some images: sums over them for every block, and a few numbers of each.

    Of at most 200,000 images the numbers of each are held, 32 bytes a block; all else depends on the network alone,
    above all on the products of its channels: about 0.3 GB for ResNet-50 and 0.8 GB for ResNet-152.
    """

    def __init__(self, model: Model, images: ImageSet) -> None:
        self.model, self.images = model, images
        self.class_names = images.class_names if images.labels is not None else ()
        matched = labels.matched(model.spec, images)
        self._classes = None if matched is None else matched.classes
        device, n_classes = device_of(model.network), len(self.class_names)
        n_blocks = sum(1 for _ in model.network.blocks())
        self.blocks = {name: _BlockTally(block, n_classes, n_blocks, device) for name, block in model.network.blocks()}
        self.stem: Comoments | None = None  # of the stem's output with itself
        self.numbers = ImageNumbers(len(self.class_names))
        self.right = np.zeros(len(self.blocks))  # images that the head classifies rightly, NaN where it does not fit
        self.sample = _Sample()
        self.rejected: tuple[Rejected, ...] = ()
        self.sources = [provenance(model, images) | {"labels_matched": labels.how(matched)}]

    def add(self, network: FastNetwork, pixels: Tensor, rows: np.ndarray) -> None:
        """Read some of the images. network: the model's; pixels: (N, C, S, S) uint8; rows: (N,) their places."""
        with torch.inference_mode(False), torch.no_grad():  # whose tensors could not be added to later
            self._add(network, pixels, rows)

    def _add(self, network: FastNetwork, pixels: Tensor, rows: np.ndarray) -> None:
        ids = [self.images.ids[row] for row in rows]
        given = None if self.images.labels is None else self.images.labels[rows]
        x = network.stem(pixels.to(device_of(network), memory_format=torch.channels_last))
        found = readings(by_place(x))
        if self.stem is None:
            self.stem = Comoments(x.shape[1], x.shape[1], x.device)
        self.stem.add(found.mean, found.mean)
        last_stage = network.stage_names[-1]
        kept = self.sample.chosen(ids) if given is not None else []
        features, numbers, right = [], [], []
        targets = None if self._classes is None else self._classes[rows]
        for (name, block), tally in zip(network.blocks(), self.blocks.values(), strict=True):
            head = network.classifier if name.startswith(f"{last_stage}.") else None
            x, found, told = tally.add(block, x, found, given, self.model)
            numbers.append(told)
            right.append(_right(head, found.mean, targets))
            if kept:
                features.append(found.mean[kept].float().cpu().numpy())
        if given is not None and kept:
            self.sample.add([ids[place] for place in kept], given[kept], features)
        self.right = self.right + right
        self.numbers.add(ids, given, {name: np.stack([told[name] for told in numbers], 1) for name in numbers[0]})

    def merge(self, other: "Tally") -> "Tally":
        """Take up what another has read with the same network, of images with the same classes; returns itself.

        Raises FeatureError if networks or classes differ.
        """
        if (self.model.key, self.class_names) != (other.model.key, other.class_names):
            raise FeatureError(
                f"Only one network's readings of images of the same classes can be merged, but got "
                f"{self.model.spec.name} with {len(self.class_names)} classes and {other.model.spec.name} with "
                f"{len(other.class_names)}."
            )
        if other.stem is None:
            return self
        if self.stem is None:
            self.stem = Comoments(len(other.stem.mean), len(other.stem.mean), other.stem.mean.device)
        self.stem.merge(other.stem)
        for mine, theirs in zip(self.blocks.values(), other.blocks.values(), strict=True):
            mine.merge(theirs)
        self.sample.merge(other.sample)
        self.numbers.merge(other.numbers)
        self.right = self.right + other.right
        self.rejected += other.rejected
        self.sources += other.sources
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

    def _provenance(self) -> dict[str, Any]:
        """Of one set its own; of several their names, and one digest of their digests."""
        first = self.sources[0]
        if len(self.sources) == 1:
            return first
        digest = hashlib.sha256("".join(source["images_digest"] for source in self.sources).encode()).hexdigest()
        return {**first, "images": " + ".join(source["images"] for source in self.sources), "images_digest": digest}


def _right(head: nn.Linear | None, features: Tensor, targets: np.ndarray | None) -> float:
    """How many of N images a head classifies rightly by their features (N, C); NaN without a head or their classes."""
    if head is None or targets is None:
        return float("nan")
    return float((head(features.float()).argmax(1).cpu().numpy() == targets).sum())


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
        """Places of those that could be among them, as far as is known."""
        if len(self._kept) < SAMPLE:
            return list(range(len(ids)))
        limit = max(map(digest, self._kept))
        return [place for place, name in enumerate(ids) if digest(name) < limit]

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


class _BlockTally:
    """What one block did to the images so far."""

    def __init__(self, block: ResidualBlock, n_classes: int, n_blocks: int, device: torch.device) -> None:
        self.kind = block.shortcut_kind
        last = block.branch[-1]
        self.gamma = last.weight.detach().double().cpu().numpy() if isinstance(last, nn.BatchNorm2d) else None
        self.n_classes, self.n_blocks, self.device = n_classes, n_blocks, device
        self._empty = True

    def _begin(self, width: int, width_before: int) -> None:
        self.moments = {part: Moments(width, self.device) for part in PARTS}
        self.features = Comoments(width, width, self.device)  # of the output's mean over places with itself
        self.step = Comoments(width_before, width, self.device)  # of the input's with it
        self.negative = torch.zeros(width, dtype=torch.float64, device=self.device)
        self.positive = torch.zeros_like(self.negative)
        self.lowest = torch.full_like(self.negative, torch.inf)
        self.highest = torch.full_like(self.negative, -torch.inf)
        few = self.n_classes * width <= CLASS_VALUES // (3 * self.n_blocks)
        self.class_sums = {
            part: torch.zeros(self.n_classes, width, dtype=torch.float64, device=self.device)
            for part in (PARTS if few else (OUTPUT,))
        }
        self.class_squares = torch.zeros(len(PARTS), self.n_classes, dtype=torch.float64, device=self.device)
        self._empty = False

    def add(
        self, block: ResidualBlock, x: Tensor, before: Readings, given: np.ndarray | None, model: Model
    ) -> tuple[Tensor, Readings, dict[str, np.ndarray]]:
        """Read a batch (N, C, H, W) of a block's input, whose readings are known.

        Returns the block's output, its readings, and each image's numbers by name, (N,) float32.
        """
        shortcut, branch = block.parts(x)
        total = shortcut + branch
        output = torch.relu(total)
        maps = {SHORTCUT: by_place(shortcut), BRANCH: by_place(branch), SUM: by_place(total), OUTPUT: by_place(output)}
        found = {part: readings(values) for part, values in maps.items()}
        # NaN stands for an absent shortcut in the result, so it must not come from elsewhere.
        finite(found[SHORTCUT].norms + found[BRANCH].norms, model)
        if self._empty:
            self._begin(total.shape[1], x.shape[1])
        for part, values in found.items():
            self.moments[part].add(values)
        pooled = found[OUTPUT].mean  # (N, C)
        self.features.add(pooled, pooled)
        self.step.add(before.mean, pooled)
        if given is not None:
            rows = torch.from_numpy(given).to(pooled.device)
            for part, sums in self.class_sums.items():
                sums.index_add_(0, rows, found[part].mean)
            for squares, part in zip(self.class_squares, PARTS, strict=True):
                squares.index_add_(0, rows, found[part].squares.mean(1) / found[part].places)
        numbers = {part: values.norms for part, values in found.items()}
        numbers[RATIO] = torch.where(numbers[SHORTCUT] > 0, numbers[BRANCH] / numbers[SHORTCUT], torch.nan)
        numbers[COSINE] = _cosine(maps[SHORTCUT], maps[BRANCH], found[SHORTCUT], found[BRANCH])
        numbers[KEPT] = torch.full_like(numbers[RATIO], torch.nan)
        if x.shape == output.shape:
            numbers[KEPT] = _cosine(by_place(x), maps[OUTPUT], before, found[OUTPUT])
        numbers[SPARSITY] = self._count(maps[SUM], maps[OUTPUT])
        return output, found[OUTPUT], {name: values.float().cpu().numpy() for name, values in numbers.items()}

    def _count(self, total: Tensor, output: Tensor) -> Tensor:
        """Signs and extremes of (N, P, C); returns each image's share of zeros in the output, (N,)."""
        positive = []
        for sums, outputs in pieces(total, output):
            self.negative -= sums.clamp_max(0).sign_().sum((0, 1))
            positive.append(outputs.sign().sum(1))  # (n, C)
            self.lowest = torch.minimum(self.lowest, outputs.amin((0, 1)))
            self.highest = torch.maximum(self.highest, outputs.amax((0, 1)))
        counts = torch.cat(positive).double()  # (N, C)
        self.positive += counts.sum(0)
        return 1 - counts.sum(1) / output[0].numel()

    def merge(self, other: "_BlockTally") -> None:
        if self._empty:
            self._begin(other.step.products.shape[1], other.step.products.shape[0])
        for part in PARTS:
            self.moments[part].merge(other.moments[part])
        self.features.merge(other.features)
        self.step.merge(other.step)
        self.negative += other.negative.to(self.device)
        self.positive += other.positive.to(self.device)
        self.lowest = torch.minimum(self.lowest, other.lowest.to(self.device))
        self.highest = torch.maximum(self.highest, other.highest.to(self.device))
        for part, sums in self.class_sums.items():
            sums += other.class_sums[part].to(self.device)
        self.class_squares += other.class_squares.to(self.device)

    def channels(self, class_counts: np.ndarray) -> Channels:
        """class_counts: (K,) images of each class."""
        n = self.moments[SUM].n
        counts = np.where(class_counts > 0, class_counts, np.nan)  # (K,)
        means = {part: sums.cpu().numpy() / counts[:, None] for part, sums in self.class_sums.items()}
        squares = dict(zip(PARTS, self.class_squares.cpu().numpy() / counts, strict=True))
        squared_means = {part: np.square(values).mean(1) for part, values in means.items()}
        return Channels(
            means={part: moments.mean.cpu().numpy() for part, moments in self.moments.items()},
            variances={part: moments.variance.cpu().numpy() for part, moments in self.moments.items()},
            negative=self.negative.cpu().numpy() / n,
            sparsity=1 - self.positive.cpu().numpy() / n,
            lowest=self.lowest.cpu().numpy(),
            highest=self.highest.cpu().numpy(),
            gamma=self.gamma,
            class_means=means[OUTPUT] if self.n_classes else None,
            class_squared_means=squared_means,
            class_variances={part: squares[part] - values for part, values in squared_means.items()},
        )


def _cosine(x: Tensor, y: Tensor, of_x: Readings, of_y: Readings) -> Tensor:
    """(N,) float64 in [-1, 1], of the angle between maps (N, P, C); NaN where either is zero."""
    products = torch.cat([(one * other).sum(1) for one, other in pieces(x, y)]).double().sum(1)  # (N,)
    sizes = of_x.norms * of_y.norms
    return torch.where(sizes > 0, products / sizes, torch.nan).clamp(-1, 1)
