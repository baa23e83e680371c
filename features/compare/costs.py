"""What networks cost on this machine: size, operations, and how fast each runs beside the others."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from features.compare.live_tensors import LiveTensors
from features.devices import processor_name
from features.engine import POOLED, TORCH, TorchEngine, choose
from features.engine.timing import example_pixels
from features.networks.canonical import ResidualNetwork, own_copy
from features.networks.containers import shards
from features.networks.measured import measured
from features.networks.zoo import Model
from features.progress import Progress, Task

if TYPE_CHECKING:
    import pandas as pd

PASS = 0.25  # seconds that a pass of several images may take
GROWTH, MOST = 4, 256  # from one number of images at a time to the next that is tried, and the last
TRIES = 2  # passes of each number of images at a time that is tried
ROUNDS, FEWEST = 7, 3  # passes of each network at most, and at least, however long they take
BUDGET = 1.0  # seconds for a network's passes of one kind


@dataclass(frozen=True)
class Range:
    """What n passes gave: their median, lowest and highest."""

    median: float
    low: float
    high: float
    n: int

    @staticmethod
    def of(values: Sequence[float]) -> "Range":
        return Range(median(values), min(values), max(values), len(values))

    def in_words(self, unit: float = 1) -> str:
        """The median with the lowest and the highest, in three digits or whole. unit: by what they are multiplied."""
        middle, low, high = (
            f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
            for value in (unit * self.median, unit * self.low, unit * self.high)
        )
        return f"{middle} ({low} to {high})"

    def as_dict(self) -> dict[str, float]:
        """As JSON can hold it."""
        return {"median": self.median, "low": self.low, "high": self.high, "passes": self.n}


@dataclass(frozen=True)
class Cost:
    """What a network costs; its name may be that of others.

    variant: what was done to it, '' for nothing; all numbers are of what is left. parameters: those that are learned.
    weight_bytes: of parameters and buffers in memory, as they are run, in float32 mostly, whatever the file holds.
    file_bytes: of the file of weights on disk, in its own precision and with all else that it holds; None where there
        is none, or where what was done to the network made another of it.
    macs: multiply-adds for one image of `side` pixels.
    latency: seconds for one image. rate: images a second, `batch` of them at a time, the fastest number that was tried.
    memory_bytes: the most that was in use for one image, ready weights included; memory: how that is known, in words.
    engine, device: what ran it in float32, in words.
    """

    name: str
    variant: str
    parameters: int
    weight_bytes: int
    file_bytes: int | None
    macs: int
    side: int
    latency: Range
    rate: Range
    batch: int
    memory_bytes: int
    memory: str
    engine: str
    device: str

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it, without the name; what another machine or day would tell otherwise is in `measured`."""
        return {
            "parameters": self.parameters, "weight_bytes": self.weight_bytes,
            "file_bytes": self.file_bytes, "gflops": self.macs / 1e9, "side": self.side,
            "measured": {
                "latency_seconds": self.latency.as_dict(), "images_per_second": self.rate.as_dict(),
                "batch": self.batch, "memory_bytes": self.memory_bytes, "memory": self.memory, "precision": "fp32",
                "engine": self.engine, "device": self.device,
            },
        }  # fmt: skip


def table(told: Sequence[Cost]) -> "pd.DataFrame":
    """One row per network, the ranges in columns of their own."""
    import pandas as pd

    rows = []
    for cost in told:
        row: dict[str, Any] = {"name": cost.name, "variant": cost.variant, **cost.as_dict()}
        row |= row.pop("measured")
        for name in ("latency_seconds", "images_per_second"):
            numbers = row.pop(name)
            row |= {name: numbers["median"], f"{name}_low": numbers["low"], f"{name}_high": numbers["high"]}
        rows.append(row)
    return pd.DataFrame(rows)


def costs(models: Sequence[Model], clock: Callable[[], float] = time.perf_counter) -> Task[tuple[Cost, ...]]:
    """Measure what networks cost, by PyTorch in float32 on the device that it would choose, without decoding images.

    Passes go round by round, each network having one in every round, so that each feels what the machine does
    meanwhile. It can be stopped between any two passes. Raises FeatureError if a network does not fit the device.
    """
    steps = _Steps(4 * len(models))
    started: list[_Started] = []
    for model in models:
        yield steps.next("starting")
        started.append(_Started(model, clock))
    for each in started:
        yield steps.next("trying batches")
        for _ in each.tuned():
            yield steps.now()
    # Not in turn: what lies ready for one number of images at a time would be made anew for the other at every pass.
    latencies = yield from _timed(started, [1] * len(started), steps, clock)
    several = [each for each in started if each.batch > 1]
    rates = yield from _timed(several, [each.batch for each in several], steps, clock)
    spans = dict(zip(map(id, several), rates, strict=True))
    return tuple(
        each.cost(single, spans.get(id(each), single)) for each, single in zip(started, latencies, strict=True)
    )


class _Steps:
    """Where a measurement stands, in steps of one network each."""

    def __init__(self, total: int) -> None:
        self.done, self.total, self.note = -1, total, ""

    def next(self, note: str) -> Progress:
        self.done, self.note = self.done + 1, note
        return self.now()

    def now(self) -> Progress:
        return Progress(self.done, self.total, "step", self.note)


def _timed(
    started: "Sequence[_Started]", batches: Sequence[int], steps: _Steps, clock: Callable[[], float]
) -> Task[list[list[float]]]:
    """Seconds of passes of so many images each, of every network."""
    for each, batch in zip(started, batches, strict=True):
        yield steps.next("timing")
        each.warm_up(batch)
    race = raced([each.run for each in started], clock)
    try:
        while True:
            next(race)
            yield steps.now()
    except StopIteration as end:
        return end.value


def raced(passes: Sequence[Callable[[], None]], clock: Callable[[], float]) -> Generator[None, None, list[list[float]]]:
    """Run passes round by round, each once in every round; halts after each, and returns the seconds of each one's.

    All have equally many: ROUNDS, or as many rounds as fit BUDGET seconds for each, but FEWEST in any case.
    """
    spent: list[list[float]] = [[] for _ in passes]
    for number in range(ROUNDS):
        if number >= FEWEST and sum(map(sum, spent)) * (number + 1) / number > BUDGET * len(passes):
            break
        for run, seconds in zip(passes, spent, strict=True):
            began = clock()
            run()
            seconds.append(clock() - began)
            yield
    return spent


class _Started:
    """One network, ready to run."""

    def __init__(self, model: Model, clock: Callable[[], float]) -> None:
        self.model, self.clock, self.batch = model, clock, 1
        self.preprocessing = model.spec.preprocessing
        plan = choose(model.network, stages=(POOLED,), precision="fp32", engine=TORCH)
        self.memory = _memory_of(torch.device(plan.device))
        own = own_copy(model.network)  # of layers in common, another network's ready weights would be used
        with self.memory:
            self.engine = TorchEngine(own, self.preprocessing, plan)
        self.memory_bytes = 0
        self.anatomy = measured(model.network, self.preprocessing.crop)  # of itself: a lesion takes blocks away

    def tuned(self) -> Iterator[None]:
        """Find the number of images at a time at which an image takes least; halts after each pass."""
        best, size = float("inf"), 1
        while size <= self._most:
            self.pixels = example_pixels(self.preprocessing, size)
            with self.memory:
                self.run()  # the first pass of a shape makes things ready
            yield
            seconds = float("inf")
            for _ in range(TRIES):  # the least: of what else runs nothing makes a pass faster
                began = self.clock()
                self.run()
                seconds = min(seconds, self.clock() - began)
                yield
            if seconds / size >= best:
                break
            best, self.batch = seconds / size, size
            larger = min(GROWTH * size, self._most)
            if larger == size or seconds / size * larger > PASS:
                break
            size = larger

    @property
    def _most(self) -> int:
        """Images at a time that the engine does not part into several passes."""
        return max(1, min(MOST, self.engine.limit))

    def warm_up(self, batch: int) -> None:
        """Have passes of `batch` images ready; those of one image tell the memory that is in use, for all networks."""
        self.pixels = example_pixels(self.preprocessing, batch)
        with self.memory:
            self.run()
            self.memory.begin_peak()
            self.run()
        if batch == 1:
            self.memory_bytes = self.memory.peak

    def run(self) -> None:
        self.engine(self.pixels)

    def cost(self, latencies: Sequence[float], passes: Sequence[float]) -> Cost:
        model, anatomy = self.model, self.anatomy
        return Cost(
            model.spec.name, model.variant, anatomy.parameters, weight_bytes(model.network), file_bytes(model),
            anatomy.macs, anatomy.side,
            Range.of(latencies), Range.of([self.batch / seconds for seconds in passes]), self.batch,
            self.memory_bytes, self.memory.words, self.engine.name, _in_words(self.engine.device),
        )  # fmt: skip


def _in_words(device: torch.device) -> str:
    name, threads = processor_name(device), torch.get_num_threads()
    return f"{name}, {threads} thread{'s' if threads > 1 else ''}" if device.type == "cpu" else name


def weight_bytes(network: ResidualNetwork) -> int:
    """Bytes of parameters and buffers, each in its own precision, once where layers share it."""
    tensors = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def file_bytes(model: Model) -> int | None:
    """Bytes of the file of a network's weights, or of all of several files and their index; None as of `Cost`."""
    file = model.spec.file
    if file is None or model.variant or not file.is_file():
        return None
    return sum(each.stat().st_size for each in shards.files_of(file))


class _Alive(LiveTensors):
    words = "tensors alive at once, without the workspace inside operations"


class _Allocated:
    """As LiveTensors, by PyTorch's own count of a GPU's memory: workspace included."""

    words = "the most that PyTorch had allocated on the GPU for it"

    def __init__(self, device: torch.device) -> None:
        self.device, self._before, self._own, self.peak = device, 0, 0, 0

    def __enter__(self) -> "_Allocated":
        self._before = torch.cuda.memory_allocated(self.device) - self._own
        return self

    def begin_peak(self) -> None:
        torch.cuda.reset_peak_memory_stats(self.device)

    def __exit__(self, *_: object) -> None:
        self._own = torch.cuda.memory_allocated(self.device) - self._before
        self.peak = torch.cuda.max_memory_allocated(self.device) - self._before


def _memory_of(device: torch.device) -> _Alive | _Allocated:
    return _Alive() if device.type == "cpu" else _Allocated(device)
