"""The exact nearest rows of features by a GPU, where a million of them need no index."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from features.neighbours.exact import SPARE, Exact, share_of_rounding

MOST_WORK = 4e15  # products of a search of all rows for all others: two million rows of a thousand values
TILE = 1 << 16  # rows of one matrix product
DIFFERENCES = 1 << 26  # numbers at once whose squares are summed in float64
SPACE = 3 << 30  # bytes for both beside the features


def takes(n_rows: int, width: int) -> bool:
    """Whether there is a GPU whose memory holds so many rows, and not too many for it."""
    if n_rows**2 * width > MOST_WORK or not torch.cuda.is_available():
        return False
    free, _ = torch.cuda.mem_get_info()
    return n_rows * width * 4 + SPACE < free


class ExactOnGpu(Exact):
    """As `Exact`, with the same answers: the products, and the candidates' distances in float64, are a GPU's work.

    Rows whose candidates are not certain, as where many are alike, are answered one by one.
    """

    def __init__(self, features: np.ndarray, device: str = "cuda") -> None:
        """features: (N, D) float32, finite, of which a copy lies on the device."""
        super().__init__(features)
        self.device = torch.device(device)
        self._there = self._moved(features)  # (N, D)
        self._middle = self._moved(self.centre)  # (D,)

    @torch.inference_mode()
    def _of_block(self, rows: np.ndarray, k: int, own: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        there = self._moved(rows)  # (M, D)
        chosen, least = self._nearest_by_product(there, min(k + SPARE, len(self.features)))  # (M, K), (M,)
        chosen = chosen.sort(dim=1).values  # so that ties come by number
        distances = self._distances(there, chosen)  # (M, K)
        order = torch.where(chosen == self._moved(own)[:, None], -1.0, distances)
        order = order.sort(dim=1, stable=True).indices[:, :k]
        nearest, far = chosen.gather(1, order), distances.gather(1, order)  # (M, k) each
        answers = list(zip(nearest.cpu().numpy(), far.cpu().numpy(), strict=True))
        doubtful = (far[:, -1].square() >= least).cpu().numpy().nonzero()[0]
        if len(doubtful) and chosen.shape[1] < len(self.features):
            limits = far[:, -1].square().cpu().numpy()[doubtful]
            for row, candidates in zip(doubtful.tolist(), self._within(rows[doubtful], limits), strict=True):
                answers[row] = self._measured(rows[row], candidates, k, own[row])
        return iter(answers)

    def _moved(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.array(values)).to(self.device)  # a copy, since not all can be written to

    def _distances(self, rows: Tensor, chosen: Tensor) -> Tensor:
        """From rows (M, D) to some of the features (M, K) each: (M, K) float64."""
        at_once = max(1, DIFFERENCES // max(1, chosen.shape[1] * rows.shape[1]))
        pairs = zip(rows.split(at_once), chosen.split(at_once), strict=True)
        apart = (self._there[numbers].double() - few.double()[:, None] for few, numbers in pairs)  # (m, K, D) each
        return torch.cat([values.square_().sum(2).sqrt_() for values in apart])

    def _nearest_by_product(self, rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """The nearest (M, count) by the product, in no order, and what others' squared distances (M,) are at least."""
        chosen = rows.new_empty((len(rows), 0), dtype=torch.int64)
        best = rows.new_empty((len(rows), 0))
        for start, squares in self._products(rows):
            near = squares.topk(min(count, squares.shape[1]), dim=1, largest=False, sorted=False)
            best, chosen = torch.cat([best, near.values], 1), torch.cat([chosen, near.indices + start], 1)
            if best.shape[1] > count:
                best, kept = best.topk(count, dim=1, largest=False, sorted=False)
                chosen = chosen.gather(1, kept)
        return chosen, best.amax(dim=1)

    def _products(self, rows: Tensor) -> Iterator[tuple[int, Tensor]]:
        """As `_tiles`, on the device."""
        share = float(share_of_rounding(rows.shape[1]))
        rows = rows - self._middle
        squared = rows.square().sum(1)  # (M,)
        lengths = squared.sqrt()
        for start in range(0, len(self._there), TILE):
            tile = self._there[start : start + TILE] - self._middle  # (T, D)
            others = tile.square().sum(1)  # (T,)
            least = rows @ tile.T  # (M, T)
            least.addcmul_(lengths[:, None], others.sqrt()[None], value=share)
            least.mul_(-2).add_((squared * (1 - share))[:, None]).add_(others * (1 - share))
            yield start, least

    def _within(self, rows: np.ndarray, limits: np.ndarray) -> list[np.ndarray]:
        parts: list[list[Tensor]] = [[] for _ in rows]
        bounds = self._moved(limits)[:, None]
        for start, least in self._products(self._moved(rows)):
            for row, near in enumerate(least.double() <= bounds):
                parts[row].append(near.nonzero().flatten() + start)
        return [torch.cat(part).cpu().numpy() for part in parts]
