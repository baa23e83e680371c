"""Captum's methods on the canonical network, in the same result as the maps."""

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from features.errors import FeatureError
from features.networks.canonical import own_copy
from features.progress import Progress, Stopped, Task, threaded
from features.results import finite
from features.saliency.explainer import Explainer
from features.saliency.maps import SaliencyMaps, Tap
from features.saliency.targets import Score, Target

INPUT = Tap("input")
STEPS, AT_ONCE = 50, 16
NOISE = 0.15  # of the input's range, as in Smilkov et al. 2017, arXiv:1706.03825
# Captum warns of hooks that it sets itself, and draws its noise from the global generator: one at a time.
_ONE = threading.Lock()


@dataclass(frozen=True)
class Attribution:
    """A method of Captum's. name, title, reading, source: as of Method."""

    name: str
    title: str
    reading: str
    source: str


ATTRIBUTIONS = {
    method.name: method
    for method in (
        Attribution(
            "integrated-gradients",
            "Integrated Gradients",
            "What every pixel adds on the straight way from the mean colour to the image; the map sums to the "
            "difference between the two scores.",
            "Sundararajan et al. 2017, arXiv:1703.01365",
        ),
        Attribution(
            "guided-gradcam",
            "Guided Grad-CAM",
            "Pixels that excite the network, where Grad-CAM of the explained stage is positive. It changes little when "
            "weights are drawn anew (Adebayo et al. 2018): do not read it as a proof.",
            "Selvaraju et al. 2017, arXiv:1610.02391",
        ),
        Attribution(
            "occlusion",
            "Occlusion",
            "How far the score falls when a square is covered with the mean colour.",
            "Zeiler and Fergus 2014, arXiv:1311.2901",
        ),
    )
}


def attribute(
    explainer: Explainer, pixels: Tensor, targets: Sequence[Target], method: str, smooth: int = 0, seed: int = 0
) -> Task[SaliencyMaps]:
    """Pixel by pixel, summed over colours: maps of the tap 'input', (N, H, W) at the input's own size, always in fp32.

    smooth: samples of noise to average over (Noise Tunnel, SmoothGrad), 0 for none; seed: of the noise.
    The network that Captum sets its hooks on is a copy, image by image.
    """
    if smooth < 0:
        raise FeatureError(f"The smoothing is {smooth}. Wanted a number of noisy copies, or 0 for none.")
    with torch.inference_mode(False), torch.no_grad():
        walk = explainer.walk(pixels, targets, {explainer.top(targets): False}, down=False)
        network = _Scored(explainer, walk.score.stage)
        scaled = explainer.model.spec.preprocessing.scaled(pixels.to(explainer.device))

    def work(report: Callable[[Progress], None], stopped: threading.Event) -> list[Tensor]:
        found = []
        for row in range(len(scaled)):
            network.score = walk.score.take([row])
            network.report = partial(_tell, report, row, len(scaled))
            network.stopped = stopped
            with _turn(stopped), torch.inference_mode(False), warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Setting (forward, )?backward hooks")
                network.passes = 0
                found.append(_call(network, scaled[row : row + 1], method, smooth, seed + row))
        return found

    found = yield from threaded(work, method)
    values = torch.cat([value.detach().float().sum(1) for value in found]) if found else scaled.sum(1)  # (N, H, W)
    return explainer.result(walk, {INPUT: explainer.to_host(finite(values, explainer.model))}, method, "fp32")


@contextmanager
def _turn(stopped: threading.Event) -> Iterator[None]:
    """One thread at a time; one whose task is closed while it waits goes away."""
    while not _ONE.acquire(timeout=0.1):
        if stopped.is_set():
            raise Stopped
    try:
        yield
    finally:
        _ONE.release()


def _tell(report: Callable[[Progress], None], row: int, total: int, passes: int) -> None:
    report(Progress(row, total, "image", f"{passes} passes"))


class _Scored(nn.Module):
    """A copy of the canonical network up to a stage that puts out one image's score; tells its caller of every pass."""

    score: Score
    report: Callable[[int], None]
    stopped: threading.Event

    def __init__(self, explainer: Explainer, stage: str) -> None:
        super().__init__()
        network = own_copy(explainer.model.network)
        self.stem = network.stem
        names = explainer.network.stage_names
        self.stages = nn.Sequential(*(network.stages[name] for name in names[: names.index(stage) + 1]))
        self.passes = 0

    @property
    def layer(self) -> nn.Module:
        """The last block."""
        return self.stages[-1][-1]  # type: ignore[index]

    def forward(self, x: Tensor) -> Tensor:
        if self.stopped.is_set():
            raise Stopped
        self.passes += len(x)
        self.report(self.passes)
        return self.score(self.stages(self.stem(x)).mean((2, 3)))  # (N,)


def _call(network: _Scored, x: Tensor, method: str, smooth: int, seed: int) -> Tensor:
    """One image's attribution: x (1, C, H, W), scaled -> (1, C, H, W)."""
    from captum import attr  # seconds to import, so only here

    side = min(x.shape[2:])
    window = max(2, side // 8)
    step = max(1, window // 2)
    settings: dict[str, object] = {}
    match method:
        case "integrated-gradients":
            algorithm = attr.IntegratedGradients(network)
            settings = {"n_steps": STEPS, "internal_batch_size": AT_ONCE}
        case "guided-gradcam":
            algorithm = attr.GuidedGradCam(network, network.layer)
            settings = {"interpolate_mode": "bilinear"}
        case _:
            algorithm = attr.Occlusion(network)
            settings = {
                "sliding_window_shapes": (x.shape[1], window, window),
                "strides": (x.shape[1], step, step),
                "perturbations_per_eval": AT_ONCE,
            }
    x = x.clone().requires_grad_()
    if not smooth:
        return algorithm.attribute(x, **settings)
    spread = NOISE * float(x.detach().max() - x.detach().min())
    with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
        torch.manual_seed(seed)
        tunnel = attr.NoiseTunnel(algorithm)
        return tunnel.attribute(
            x, nt_type="smoothgrad", nt_samples=smooth, nt_samples_batch_size=1, stdevs=spread, **settings
        )
