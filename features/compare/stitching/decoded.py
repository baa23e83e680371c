"""The images of a stitching, decoded for both networks: those of the fit, and others on which is counted."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from torch import Tensor

from features.compare.stitching.planning import Plan
from features.datasets import ImageSet, Rejected
from features.datasets.decoding import Batch, batches
from features.errors import DatasetError
from features.networks.preprocessing import Preprocessing
from features.progress import Progress

FITTED, HELD, TOLD = range(3)  # the spans in which images are read
HELD_SHARE = 0.2  # of the images of the fit, to choose the ridge by


class Read(NamedTuple):
    """Some images as both networks take them. rows: (n,) of the set; pixels: (n, C, S, S) each; seen: with unreadable
    ones."""

    rows: np.ndarray
    pixels: tuple[Tensor, Tensor]
    seen: int


class Reader:
    """The images of the fit, those that are held for its ridge, and those that are counted, for both networks."""

    def __init__(
        self, preprocessings: Sequence[Preprocessing], images: ImageSet, plan: Plan, seed: int, size: int, device: str
    ) -> None:
        """seed: of their order. size: how many at a time. device: where their pixels go."""
        n_held = max(1, int(HELD_SHARE * plan.n_fitted))
        self.spans = (plan.n_fitted - n_held, n_held, plan.n_told)
        self.total = sum(self.spans)
        self.order = np.random.default_rng(seed).permutation(len(images))[: self.total]
        self.images, self.size, self.device = images, size, device
        self.frames = list(dict.fromkeys(map(frame, preprocessings)))
        self.rejected: dict[str, Rejected] = {}
        self.done, self.n_read = 0, [0, 0, 0]

    def batches(self) -> Generator[Read, None, None]:
        """Those of the three spans after each other. Pixels are decoded once where both networks see the same ones."""
        ends = np.cumsum(self.spans).tolist()
        parts = [range(end - length, end) for length, end in zip(self.spans, ends, strict=True)]
        mixed = self.images.take(self.order.tolist())
        with ExitStack() as stack:
            streams = [
                stack.enter_context(closing(batches(mixed, each, self.size, parts, self.device)))
                for each in self.frames
            ]
            for together in zip(*streams, strict=True):
                for batch in together:
                    self.rejected |= {each.id: each for each in batch.rejected}
                yield self._joined(together)

    def span(self, stream: Iterator[Read], number: int) -> Iterator[Read]:
        """The batches of one of the three spans, of which some images can be read."""
        end = sum(self.spans[: number + 1])
        while self.done < end:
            read = next(stream)
            if len(read.rows):
                yield read
            self.n_read[number] += len(read.rows)
            self.done += read.seen
        if number != HELD and not self.n_read[number]:
            reason = next(iter(self.rejected.values())).reason
            raise DatasetError(f"None of {self.spans[number]} images can be read by both networks; the first: {reason}")

    def progress(self, note: str, share: float = 0.0, read: Read | None = None) -> Progress:
        """read: the batch of which a share is done, None between batches."""
        if read is None:
            return Progress(self.done, self.total, "image", note)
        return Progress(self.done + int(share * read.seen), self.total, "image", note)

    def _joined(self, together: Sequence[Batch]) -> Read:
        common = sorted(set.intersection(*({*batch.rows.tolist()} for batch in together)))
        pixels = [
            batch.pixels if len(common) == len(batch.rows) else batch.pixels[np.isin(batch.rows, common)]
            for batch in together
        ]
        return Read(self.order[common], (pixels[0], pixels[-1]), together[0].seen)


def frame(preprocessing: Preprocessing) -> Preprocessing:
    """What two networks that see the same pixels have in common: these are normalised by the networks' stems."""
    nothing = (0.0,) * preprocessing.channels, (1.0,) * preprocessing.channels
    return replace(preprocessing, mean=nothing[0], std=nothing[1], shown=(0, 1, 2))
