"""PyTorch on a GPU that starts all kernels of a batch by itself: a CUDA graph for every size of batch that comes again.

In eager mode the CPU starts each kernel, which takes it a few microseconds: small networks and small batches wait for
it. A graph is captured once and replayed on buffers that stay where they are. Optionally the network is compiled first,
which merges biases, ReLUs and shortcuts into fewer passes over memory.
"""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from features.engine import fusing
from features.engine.fast_network import FastNetwork
from features.engine.plan import LOGITS, POOLED, Plan, pooled, readable
from features.engine.torch_engine import TorchEngine
from features.errors import FeatureError
from features.networks.canonical import ResidualNetwork
from features.networks.preprocessing import Preprocessing

MAX_GRAPHS = 4  # sizes of batches with a graph of their own
WARM_UPS = 3
# Before a capture the whole device is synchronised, which another engine's capture would not survive.
_CAPTURING = threading.Lock()


def obstacle(device: str) -> str:
    """Why CUDA graphs cannot be used on a device, '' if they can."""
    if torch.device(device).type != "cuda":
        return f"CUDA graphs are for NVIDIA GPUs, and the device is {device}"
    return "" if torch.cuda.is_available() else "this machine has no CUDA device"


class _Captured(NamedTuple):
    """A graph, the pixels that it reads, (N, C, S, S) uint8, and what it writes at every replay."""

    graph: torch.cuda.CUDAGraph
    pixels: Tensor
    outputs: tuple[Tensor, ...]


class CudaGraphEngine(TorchEngine):
    """PyTorch with CUDA graphs, on a private copy of the network. Any number of threads may share it.

    The first batch of a size runs eagerly, or within the graph of a size up to twice as large; the second is captured.
    """

    def __init__(
        self, network: ResidualNetwork, preprocessing: Preprocessing, plan: Plan, compiled: bool = False
    ) -> None:
        """compiled: whether `torch.compile` takes the network first: seconds to minutes for every size of batch.

        Raises FeatureError where there is no CUDA device.
        """
        if why := obstacle(plan.device):
            raise FeatureError(f"{why}. Leave the engine at 'auto', or choose 'torch'.")
        super().__init__(network, preprocessing, plan)
        if compiled:  # which merges what fused operations merge, and does not follow them
            fusing.unfuse(self.network)
        self.name = f"torch {torch.__version__}, CUDA graphs{', compiled' if compiled else ''}"
        self._pixel_type = getattr(torch, preprocessing.pixel_type)
        outputs = Outputs(self.network, plan.stages, plan.pool)
        self.output_names = outputs.names
        self._run: Callable[[Tensor], tuple[Tensor, ...]] = (
            torch.compile(outputs, dynamic=False) if compiled else outputs
        )
        # All graphs run on one stream, in turn: so they may share memory, and an output is copied before it is
        # overwritten.
        self._computing = torch.cuda.Stream(self.device)
        self._computing.wait_stream(torch.cuda.current_stream(self.device))  # on which the weights are still arriving
        self._pool = torch.cuda.graph_pool_handle()
        self._graphs: dict[tuple[int, ...], _Captured] = {}
        self._seen: Counter[tuple[int, ...]] = Counter()
        self._not_captured: set[tuple[int, ...]] = set()  # sizes for whose graphs there was no memory
        self._lock = threading.Lock()

    @torch.inference_mode()
    def _begin(self, pixels: Tensor) -> Callable[[], dict[str, np.ndarray]]:
        with self._lock:
            try:
                return self._enqueue(pixels)
            except RuntimeError:  # most likely out of memory, of which the graphs hold much
                with suppress(RuntimeError):
                    self._computing.synchronize()
                self._graphs.clear()
                raise

    def _enqueue(self, pixels: Tensor) -> Callable[[], dict[str, np.ndarray]]:
        """Hand the GPU a batch's upload, its kernels and the download of what they make."""
        assert self._uploads is not None  # there is a GPU
        with torch.cuda.stream(self._uploads):
            # As they lie on the host: they are brought into the network's order on the GPU, on the way into its input.
            uploaded = pixels.pin_memory().to(self.device, non_blocking=True)  # (N, C, S, S) uint8
        self._computing.wait_stream(self._uploads)
        uploaded.record_stream(self._computing)
        with torch.cuda.stream(self._computing):
            captured = self._graph_for(tuple(pixels.shape))
            if captured is None:
                outputs = self._run(uploaded.to(memory_format=torch.channels_last))
            else:
                captured.pixels[: len(pixels)].copy_(uploaded)
                captured.graph.replay()
                outputs = tuple(values[: len(pixels)] for values in captured.outputs)
            on_host = [values.to("cpu", non_blocking=True) for values in outputs]  # pinned memory
            finished = torch.cuda.Event(blocking=True)  # leaves its core to the decoders
            finished.record(self._computing)

        def end(graph: _Captured | None = captured) -> dict[str, np.ndarray]:  # which lives until it has run
            finished.synchronize()
            return {name: values.numpy() for name, values in zip(self.output_names, on_host, strict=True)}

        return end

    def _graph_for(self, shape: tuple[int, ...]) -> _Captured | None:
        """The graph to run a batch (N, C, S, S) with: of its size, or of the next larger one below twice its size."""
        self._seen[shape] += 1
        known = shape in self._graphs or shape in self._not_captured
        if not known and self._seen[shape] > 1 and len(self._graphs) < MAX_GRAPHS:
            try:
                self._graphs[shape] = self._capture(shape)
            except RuntimeError:  # a graph holds its memory for good; eagerly the size has fitted before
                self._not_captured.add(shape)
        fits = [size for size in self._graphs if size[1:] == shape[1:] and shape[0] <= size[0] < 2 * shape[0]]
        return self._graphs[min(fits)] if fits else None

    def _capture(self, shape: tuple[int, ...]) -> _Captured:
        pixels = torch.zeros(shape, dtype=self._pixel_type, device=self.device).to(memory_format=torch.channels_last)
        graph = torch.cuda.CUDAGraph()
        with _CAPTURING:
            for _ in range(WARM_UPS):  # what is compiled, chosen and allocated at first does not belong in a graph
                self._run(pixels)
            with torch.cuda.graph(graph, pool=self._pool, stream=self._computing, capture_error_mode="thread_local"):
                outputs = self._run(pixels)
        return _Captured(graph, pixels, outputs)


class Outputs(nn.Module):
    """What is read off a network, as a tuple, without the generators that compilers do not follow.

    names: of what `forward` gives, in the order of TorchEngine's arrays.
    """

    def __init__(self, network: FastNetwork, stages: tuple[str, ...], pool: str) -> None:
        super().__init__()
        self.network, self.pool = network, pool
        has_logits = network.classifier is not None
        known = [name for name in readable(network) if name in stages and name != LOGITS]
        self.names = (*known, *((LOGITS,) if has_logits else ()))

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """(N, C, S, S) uint8 -> (N, D) float32 each, or (N, C, H, W) float16 for unpooled maps."""
        outputs = []
        x = self.network.stem(pixels)
        if "stem" in self.names:
            outputs.append(pooled(x, self.pool))
        for name, stage in self.network.stages.items():
            for number, block in enumerate(cast(nn.Sequential, stage)):
                x = block(x)
                if f"{name}.{number}" in self.names:
                    outputs.append(pooled(x, self.pool))
            if name in self.names:
                outputs.append(pooled(x, self.pool))
        features = self.network.pooled(x)  # (N, D)
        if POOLED in self.names:
            outputs.append(features)
        if self.network.classifier is not None:
            outputs.append(self.network.classifier(features))
        return tuple(outputs)
