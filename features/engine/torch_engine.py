"""PyTorch in eager mode, batch by batch, within the memory of its device."""

import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from features.engine import fusing
from features.engine.fast_network import FastNetwork, pooled_in_pieces
from features.engine.plan import LOGITS, POOLED, PRECISIONS, TORCH_PLAIN, Plan
from features.engine.timing import example_pixels
from features.errors import FeatureError
from features.networks.canonical import ResidualNetwork
from features.networks.preprocessing import Preprocessing

REUSED = 32 << 20  # bytes


class TorchEngine:
    """PyTorch in eager mode on a private copy of the network."""

    def __init__(self, network: ResidualNetwork, preprocessing: Preprocessing, plan: Plan) -> None:
        self.plan, ordinary = plan, plan.engine == TORCH_PLAIN
        self.name = f"torch {torch.__version__}" + (", ordinary convolutions" if ordinary else "")
        self.device = torch.device(plan.device)
        dtype, self.fusion = PRECISIONS[plan.precision], ""  # by what blocks are fused
        try:
            self.network = FastNetwork(network, preprocessing, dtype, self.device, ordinary)
            if self.device.type == "cuda" and not ordinary:
                pixels = example_pixels(preprocessing, fusing.EXAMPLES)
                pixels = pixels.to(self.device, memory_format=torch.channels_last)
                self.fusion = fusing.fuse(self.network, pixels, dtype)
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            raise FeatureError(
                f"The network does not fit into the memory of {self.device}. Free some, or choose 'cpu'."
            ) from error
        # Images at a time: on a GPU, halved once that many do not fit.
        self.limit = maps_at_once(preprocessing, plan.precision) if self.device.type == "cpu" else sys.maxsize
        self._uploads = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None

    def __call__(self, pixels: Tensor) -> dict[str, np.ndarray]:
        return self.begin(pixels)()

    def begin(self, pixels: Tensor) -> Callable[[], dict[str, np.ndarray]]:
        """Start a batch, in smaller pieces once one did not fit into the device's memory."""
        while True:
            try:
                begun = [self._begin(piece) for piece in self.pieces(pixels)]
                break
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
                self.limit = min(self.limit, len(pixels)) // 2
                if not self.limit:
                    raise FeatureError(
                        f"Not even one image fits into the memory of {self.device}. Read fewer stages, or choose 'cpu'."
                    ) from error
            torch.cuda.empty_cache()  # by now the error has let go of its tensors

        def read() -> dict[str, np.ndarray]:
            pieces = [end() for end in begun]
            if len(pieces) == 1:
                return pieces[0]
            return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}

        return read

    def pieces(self, pixels: Tensor) -> Sequence[Tensor]:
        """A batch as it is run: in as few pieces as the limit allows, of one size, for which weights lie ready."""
        return pixels.tensor_split(max(1, -(-len(pixels) // self.limit)))

    @torch.inference_mode()
    def _begin(self, pixels: Tensor) -> Callable[[], dict[str, np.ndarray]]:
        if self._uploads is None:
            x = pixels.to(memory_format=torch.channels_last)
            features = {name: values.numpy() for name, values in self._read(x)}
            return lambda: features
        # A GPU gets its orders and works them off by itself: this batch's pixels arrive on a stream of their own while
        # the batch before is computed. Memory that is not pinned would make both copies wait.
        computing = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(self._uploads):
            x = pixels.pin_memory().to(self.device, memory_format=torch.channels_last, non_blocking=True)
        computing.wait_stream(self._uploads)
        x.record_stream(computing)
        # What `to` copies to is pinned.
        pinned = {name: values.to("cpu", non_blocking=True) for name, values in self._read(x)}
        finished = torch.cuda.Event(blocking=True)  # leaves its core to the decoders
        finished.record(computing)

        def end() -> dict[str, np.ndarray]:
            finished.synchronize()
            return {name: values.numpy() for name, values in pinned.items()}

        return end

    def _read(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        for name, values in self.network.walk(x, blocks=True):
            if name == LOGITS or name in self.plan.stages:
                yield name, values if name in (POOLED, LOGITS) else pooled_in_pieces(values, self.plan.pool)


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device or its libraries had no memory left, or the host none that it could pin."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "ALLOC_FAILED" in text


def maps_at_once(preprocessing: Preprocessing, precision: str) -> int:
    """Images whose widest map lies in memory that is used again: a tenth faster than 32 at a time (ResNet-50, fp32).

    A block of more than 32 MiB glibc gives back to the system, which fills the next one with zeros. All networks here
    are widest at 16 channels per pixel of the image: 64 at half its sides, 256 at a quarter.
    """
    image = 16 * PRECISIONS[precision].itemsize * preprocessing.crop**2
    return max(1, REUSED // image)
