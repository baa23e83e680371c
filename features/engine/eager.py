"""PyTorch in eager mode, batch by batch, within the memory of its device."""

import sys
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from features.engine.fast import FastNetwork, pooled_in_pieces
from features.engine.reading import LOGITS, POOLED, PRECISIONS, Reading
from features.errors import FeatureError
from features.images import Preprocessing
from features.network import ResidualNetwork


class TorchEngine:
    """PyTorch in eager mode on a private copy of the network."""

    def __init__(self, network: ResidualNetwork, preprocessing: Preprocessing, reading: Reading) -> None:
        self.name = f"torch {torch.__version__}"
        self.reading = reading
        self.device = torch.device(reading.device)
        self.network = FastNetwork(network, preprocessing, PRECISIONS[reading.precision], self.device)
        self.limit = sys.maxsize  # images at a time

    def __call__(self, pixels: Tensor) -> dict[str, np.ndarray]:
        """Read a batch, in smaller pieces once one did not fit into the device's memory."""
        while True:
            try:
                pieces = [self._read(piece) for piece in pixels.split(min(self.limit, len(pixels)))]
                return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
            except torch.OutOfMemoryError as error:
                self.limit = min(self.limit, len(pixels)) // 2
                if not self.limit:
                    raise FeatureError(
                        f"Not even one image fits into the memory of {self.device}. Read fewer stages, or choose 'cpu'."
                    ) from error
                torch.cuda.empty_cache()

    @torch.inference_mode()
    def _read(self, pixels: Tensor) -> dict[str, np.ndarray]:
        if self.device.type == "cuda":
            pixels = pixels.pin_memory()  # or the copy would not go on beside the computing
        x = pixels.to(self.device, memory_format=torch.channels_last, non_blocking=True)
        return {name: values.cpu().numpy() for name, values in self._walk(x)}

    def _walk(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        for name, values in self.network.walk(x):
            if name == LOGITS or name in self.reading.stages:
                yield name, values if name in (POOLED, LOGITS) else pooled_in_pieces(values, self.reading.pool)
