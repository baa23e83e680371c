"""Times maps of ResNet-50 beside torchvision's plain forward pass and beside other libraries' maps of the same stages.

    pip install torchcam grad-cam
    python benchmarks/saliency.py [--model resnet50] [--batch 8] [--rounds 5]

In every round each contestant explains one batch, so that all feel the same neighbours on a shared machine; ratios are
medians of ratios within a round, to torchvision's forward in fp32 without a graph. Weights are drawn, which changes no
time. Peers that are not installed are left out.
"""

import argparse
import copy
import statistics
import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rounds import drawn, drawn_pixels, machine, precisions, timed

from features.networks import catalogue, zoo
from features.networks.canonical import canonical, freeze
from features.saliency import BRANCHES, ClassTarget, Explainer, Tap

BASE = "torchvision's forward, fp32"
PREPROCESSING = catalogue.IMAGENET_PREPROCESSING
STAGES = ("layer1", "layer2", "layer3", "layer4")

Contestant = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(machine())
    warnings.simplefilter("ignore")
    source = drawn(options.model)
    pixels = drawn_pixels(options.batch)
    contestants = contenders(source, options.model, pixels)
    for run in contestants.values():
        run()
    times = timed(contestants, options.rounds)
    print(f"\n{options.model}, batch {options.batch}, {options.rounds} rounds")
    for name, spent in times.items():
        ratio = statistics.median(own / base for base, own in zip(times[BASE], spent, strict=True))
        print(f"{name:52s} {statistics.median(spent):7.3f} s   {ratio:5.2f} x the forward", flush=True)
    memory(source, options.model)


def model_of(source: nn.Module, name: str) -> zoo.Model:
    return zoo.Model(freeze(canonical(source)), catalogue.spec(f"{name}-v1"), "0" * 64)


def contenders(source: nn.Module, name: str, pixels: Tensor) -> dict[str, Contestant]:
    scaled = PREPROCESSING.scaled(pixels)
    indices = list(range(len(pixels)))
    targets = [ClassTarget(index) for index in indices]

    @torch.no_grad()
    def forward() -> Tensor:
        return source(scaled)

    found: dict[str, Contestant] = {BASE: forward}
    if "bf16" in precisions():
        found["bf16, plain torchvision, channels last"] = plain_bf16(source, scaled)
    for precision in precisions():
        explainer = Explainer(model_of(source, name), precision)
        found |= ours(explainer, pixels, targets, precision)
    peers = trainable(source, name)
    if find_spec("torchcam"):
        found["torch-cam, four stages at once"] = torchcam(peers, scaled, indices)
    found["captum, four stages one by one"] = captum(peers, scaled, indices)
    if find_spec("pytorch_grad_cam"):
        found["pytorch-grad-cam, four stages one by one"] = pytorch_grad_cam(peers, scaled, indices)
    return found


def plain_bf16(source: nn.Module, scaled: Tensor) -> Contestant:
    """torchvision's forward as anybody would run it in bf16."""
    network = copy.deepcopy(source).bfloat16().to(memory_format=torch.channels_last)
    pictures = scaled.bfloat16().contiguous(memory_format=torch.channels_last)  # (N, 3, 224, 224)

    @torch.no_grad()
    def forward() -> Tensor:
        return network(pictures)

    return forward


def trainable(source: nn.Module, name: str) -> nn.Module:
    """A copy with parameters that want gradients, as the other libraries find networks."""
    network = torchvision.models.get_model(name).eval()
    network.load_state_dict(source.state_dict())
    return network


def ours(explainer: Explainer, pixels: Tensor, targets: list[ClassTarget], precision: str) -> dict[str, Contestant]:
    branches = explainer.taps(BRANCHES)
    return {
        f"last stage, {precision}": lambda: explainer.maps(pixels, targets, taps=[Tap("layer4")]),
        f"1,000 classes at the last stage, {precision}": lambda: explainer.every_class(pixels),
        f"four stages, {precision}": lambda: explainer.maps(pixels, targets),
        f"branch, shortcut and sum of every block, {precision}": lambda: explainer.maps(pixels, targets, taps=branches),
    }


def torchcam(network: nn.Module, scaled: Tensor, indices: list[int]) -> Contestant:
    from torchcam.methods import GradCAM

    def run() -> object:
        with GradCAM(network, target_layer=list(STAGES)) as extractor:
            return extractor(indices, network(scaled))

    return run


def captum(network: nn.Module, scaled: Tensor, indices: list[int]) -> Contestant:
    from captum.attr import LayerGradCam

    extractors = [LayerGradCam(network, getattr(network, stage)) for stage in STAGES]
    return lambda: [extractor.attribute(scaled, indices) for extractor in extractors]


def pytorch_grad_cam(network: nn.Module, scaled: Tensor, indices: list[int]) -> Contestant:
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    targets = [ClassifierOutputTarget(index) for index in indices]

    def run() -> list[np.ndarray]:
        found = []
        for stage in STAGES:
            with GradCAM(network, [getattr(network, stage)]) as extractor:
                found.append(extractor(scaled, targets))
        return found

    return run


def memory(source: nn.Module, name: str) -> None:
    """What is kept of one image on the forward walk, for the gradient."""
    explainer = Explainer(model_of(source, name))
    pixels = torch.zeros(1, 3, 224, 224, dtype=torch.uint8)
    for title, taps in (("last stage", [Tap("layer4")]), ("four stages", explainer.taps("stages"))):
        with torch.inference_mode():
            walk = explainer.walk(pixels, [ClassTarget(0)], {explainer.block_index(tap): False for tap in taps})
        kept = {values.data_ptr(): values.nbytes for step in walk.steps for values in step.inputs}
        print(f"kept for one image, {title}: {sum(kept.values()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
