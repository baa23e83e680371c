"""Captum's methods on the canonical network, in the same result as the maps."""

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from features.errors import FeatureError
from features.networks.canonical import own_copy
from features.progress import Progress, Stopped, Task, threaded
from features.results import finite
from features.saliency.maps import INPUT, Options, SaliencyMaps
from features.saliency.targets import Score, Target, is_of_class

if TYPE_CHECKING:
    from features.saliency.explainer import Explainer  # which stands on the list of methods, and so on this module

STEPS, AT_ONCE = 50, 16
NOISE = 0.15  # of the input's range, as in Smilkov et al. 2017, arXiv:1706.03825
# Captum warns of hooks that it sets itself, and draws its noise from the global generator: one at a time.
_ONE = threading.Lock()

# Of a network that puts out one score an image, and an input (1, C, H, W): Captum's object and the settings to call it
# with. Each imports Captum for itself, which takes seconds.
Algorithm = Callable[["ScoredNetwork", Tensor], tuple[Any, dict[str, Any]]]


def integrated_gradients(network: "ScoredNetwork", x: Tensor) -> tuple[Any, dict[str, Any]]:
    """From the mean colour, which is 0 to the network, to the image in STEPS steps."""
    from captum import attr

    return attr.IntegratedGradients(network), {"n_steps": STEPS, "internal_batch_size": AT_ONCE}


def guided_gradcam(network: "ScoredNetwork", x: Tensor) -> tuple[Any, dict[str, Any]]:
    """Guided backpropagation times Grad-CAM of the explained stage, enlarged bilinearly."""
    from captum import attr

    return attr.GuidedGradCam(network, network.layer), {"interpolate_mode": "bilinear"}


def occlusion(network: "ScoredNetwork", x: Tensor) -> tuple[Any, dict[str, Any]]:
    """A square of an eighth of the image's side, moved by half of its own."""
    from captum import attr

    window = max(2, min(x.shape[2:]) // 8)
    step = max(1, window // 2)
    return attr.Occlusion(network), {
        "sliding_window_shapes": (x.shape[1], window, window),
        "strides": (x.shape[1], step, step),
        "perturbations_per_eval": AT_ONCE,
    }


def attribute(
    explainer: "Explainer",
    pixels: Tensor,
    targets: Sequence[Target],
    method: str,
    algorithm: Algorithm,
    options: Options,
) -> Task[SaliencyMaps]:
    """Pixel by pixel, summed over colours: maps of the tap 'input', (N, H, W) at the input's own size, always in fp32.

    method: what the result calls it. The network that Captum sets its hooks on is a copy, image by image.
    """
    if options.smooth < 0:
        raise FeatureError(f"The smoothing is {options.smooth}. Wanted a number of noisy copies, or 0 for none.")
    with torch.inference_mode(False), torch.no_grad():
        walk = explainer.walk(pixels, targets, {explainer.top(targets): False}, down=False)
        network = ScoredNetwork(explainer, walk.score.stage)
        scaled = explainer.model.spec.preprocessing.scaled(pixels.to(explainer.device))

    def work(report: Callable[[Progress], None], stopped: threading.Event) -> list[Tensor]:
        maps = []
        for row in range(len(scaled)):
            network.score = walk.score.take([row])
            network.report = partial(_tell, report, row, len(scaled))
            network.stopped = stopped
            with _turn(stopped), torch.inference_mode(False), warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Setting (forward, )?backward hooks")
                network.passes = 0
                maps.append(_smoothed(network, scaled[row : row + 1], algorithm, options.smooth, options.seed + row))
        return maps

    maps = yield from threaded(work, method)
    values = torch.cat([one.detach().float().sum(1) for one in maps]) if maps else scaled.sum(1)  # (N, H, W)
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


class ScoredNetwork(nn.Module):
    """A copy of the canonical network up to a stage that puts out one image's score; tells its caller of every pass."""

    score: Score
    report: Callable[[int], None]
    stopped: threading.Event

    def __init__(self, explainer: "Explainer", stage: str) -> None:
        super().__init__()
        network = own_copy(explainer.model.network)
        self.stem = network.stem
        names = explainer.network.stage_names
        self.stages = nn.Sequential(*(network.stages[name] for name in names[: names.index(stage) + 1]))
        self.neck, self.pool = network.neck, network.pool
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
        output = self.stages(self.stem(x))  # (N, C, H, W)
        if not is_of_class(self.score):
            return self.score(output.mean((2, 3)))  # (N,)
        return self.score(self.pool(self.neck(output)).flatten(1))  # (N,)


def _smoothed(network: ScoredNetwork, x: Tensor, algorithm: Algorithm, smooth: int, seed: int) -> Tensor:
    """One image's attribution, averaged over noisy copies if `smooth`: x (1, C, H, W), scaled -> (1, C, H, W)."""
    captum, settings = algorithm(network, x)
    x = x.clone().requires_grad_()
    if not smooth:
        return captum.attribute(x, **settings)
    from captum import attr

    spread = NOISE * float(x.detach().max() - x.detach().min())
    with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
        torch.manual_seed(seed)
        tunnel = attr.NoiseTunnel(captum)
        return tunnel.attribute(
            x, nt_type="smoothgrad", nt_samples=smooth, nt_samples_batch_size=1, stdevs=spread, **settings
        )
