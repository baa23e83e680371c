"""Times the features of ResNet-50's four stages, pooled: this project beside torchvision's own extractor, and beside
other ways to run a network; and the whole way from JPEG files beside the network alone.

    python benchmarks/extract.py [--model resnet50] [--batch 16] [--rounds 7] [--images 200]
    python benchmarks/extract.py --device cuda --batch 64 128 256 512 --images 4000

Weights are drawn, which changes no time. In every round each contestant reads one batch, so that all feel the same
neighbours on a shared machine; images/s are of the median round, and ratios are medians of ratios within a round.
OpenVINO, ONNX Runtime and torch.compile take part where they are installed (openvino; onnx, onnxscript and onnxruntime;
a C++ compiler). Where bf16 is fast, torchvision's own network takes part in it as anybody would run it: channels last,
nothing folded. This project must not be slower.
"""

import argparse
import copy
import io
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rounds import drawn, drawn_pixels, machine, precisions, timed

from features import datasets, engine, extract
from features.datasets.decoding import batches
from features.networks import catalogue, zoo
from features.networks.canonical import ResidualNetwork, canonical, freeze
from features.progress import finish

BASE = "torchvision's extractor, fp32"
PREPROCESSING = catalogue.IMAGENET_PREPROCESSING

Contestant = Callable[[], dict[str, Tensor]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--batch", type=int, nargs="+", default=[16], help="one or more, each timed in its turn")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=200, help="JPEG files of 500 x 375 pixels for the whole way")
    parser.add_argument("--folder", help="use the images of a folder instead of drawn ones")
    options = parser.parse_args()
    print(machine())
    source = drawn(options.model).to(options.device)
    for batch in options.batch:
        network_alone(source, batch, options.rounds, options.device)
    if options.images:
        with tempfile.TemporaryDirectory() as scratch:
            folder = options.folder or photographs(Path(scratch) / "images", options.images)
            for batch in options.batch:
                from_files(source, options.model, folder, batch, options.rounds, options.device)


# --- the network alone ------------------------------------------------------------------------------------------------


def network_alone(source: nn.Module, batch: int, rounds: int, device: str) -> None:
    contestants = contenders(source, drawn_pixels(batch), device)
    wanted = contestants[BASE]()
    for name, read in contestants.items():
        print(f"{name:45s} {likeness(read(), wanted)}", flush=True)
    times = timed(contestants, rounds)
    print(f"\nbatch {batch}, {rounds} rounds")
    for name, spent in times.items():
        ratio = statistics.median(base / own for base, own in zip(times[BASE], spent, strict=True))
        print(f"{name:45s} {batch / statistics.median(spent):7.1f} images/s   {ratio:.2f} x", flush=True)
    network = freeze(canonical(source))
    plan = engine.decide(network, PREPROCESSING, engine.choose(network, device=device), batch)
    print(f"auto takes {engine.title_of(plan)}: {plan.why}", flush=True)


def contenders(source: nn.Module, pixels: Tensor, device: str) -> dict[str, Contestant]:
    """What is timed. The others get scaled pixels, this project's engines scale them themselves."""
    network, scaled = freeze(canonical(source)), PREPROCESSING.scaled(pixels).to(device)
    found: dict[str, Contestant] = {
        BASE: torchvisions(source, network.stage_names, scaled),
        "the exact network, fp32": lambda: named(network, inference(Pooled(network), scaled)),
    }
    if "bf16" in precisions(device):
        lowered = copy.deepcopy(source).bfloat16().to(memory_format=torch.channels_last)
        pictures = scaled.bfloat16().contiguous(memory_format=torch.channels_last)
        found["bf16, plain torchvision, channels last"] = torchvisions(lowered, network.stage_names, pictures)
        if device == "cpu":
            plain = started(network, "bf16", engine.TORCH_PLAIN, device)
            found["this project, ordinary convolutions, bf16"] = ours(plain, pixels)
    for precision in precisions(device):
        runner = started(network, precision, engine.TORCH, device)
        found[f"this project with PyTorch, {precision}"] = ours(runner, pixels)
        found[f"its bare forward, {precision}"] = bare_torch(runner, pixels)
        if device == "cuda":
            found[f"the same as a CUDA graph, {precision}"] = cuda_graph(runner, pixels)
            found[f"the same compiled, {precision}"] = compiled_torch(runner, pixels)
        if device == "cpu" and find_spec("openvino"):
            vino = started(network, precision, engine.OPENVINO, device)
            found[f"this project with OpenVINO, {precision}"] = ours(vino, pixels)
            found[f"OpenVINO's bare rate, {precision}"] = bare_openvino(source, precision, scaled)
    if device == "cpu" and find_spec("onnxruntime") and find_spec("onnxscript"):
        found["ONNX Runtime, fp32"] = onnx_runtime(network, scaled)
    if shutil.which("g++"):
        compiled = torch.compile(Pooled(network))
        found["torch.compile, fp32"] = lambda: named(network, inference(compiled, scaled))
    return found


def torchvisions(source: nn.Module, stages: Sequence[str], scaled: Tensor) -> Contestant:
    """torchvision's own extractor of the mean of every stage. scaled: (N, C, S, S) in the network's precision."""
    extractor = create_feature_extractor(source, {name: name for name in stages})

    @torch.inference_mode()
    def read() -> dict[str, Tensor]:
        return {name: values.mean((2, 3)).float().cpu() for name, values in extractor(scaled).items()}

    return read


class Pooled(nn.Module):
    """A network that puts out the mean of every stage."""

    def __init__(self, network: ResidualNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(values.mean((2, 3)) for name, values in self.network.trunk(x) if name != "stem")


@torch.inference_mode()
def inference(network: Callable, pixels: Tensor) -> tuple[Tensor, ...]:
    return network(pixels)


def named(network: ResidualNetwork, values: tuple[Tensor, ...]) -> dict[str, Tensor]:
    return {name: value.cpu() for name, value in zip(network.stage_names, values, strict=True)}


def started(network: ResidualNetwork, precision: str, name: str, device: str) -> engine.Runner:
    plan = engine.choose(network, precision=precision, device=device, engine=name)
    return engine.start(network, PREPROCESSING, plan)


def ours(runner: engine.Runner, pixels: Tensor) -> Contestant:
    return lambda: {name: torch.from_numpy(values) for name, values in runner(pixels).items()}


def bare_torch(runner: engine.Runner, pixels: Tensor) -> Contestant:
    """The same network on pixels that lie on its device, without reading anything off it."""
    assert isinstance(runner, engine.TorchEngine)
    there = pixels.to(runner.device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def forward() -> dict[str, Tensor]:
        for piece in runner.pieces(there):
            for _ in runner.network.walk(piece):
                pass
        return {}

    return forward


def cuda_graph(runner: engine.Runner, pixels: Tensor) -> Contestant:
    """The same network, whose kernels a GPU starts by itself: what this saves, the engine could save."""
    assert isinstance(runner, engine.TorchEngine)
    there, network = pixels.to(runner.device, memory_format=torch.channels_last), Pooled(runner.network)
    graph = torch.cuda.CUDAGraph()
    with torch.inference_mode():
        for _ in range(3):  # what is chosen and allocated at first does not belong in it
            network(there)
        torch.cuda.synchronize()
        with torch.cuda.graph(graph):
            found = network(there)

    def replay() -> dict[str, Tensor]:
        graph.replay()
        return named(runner.network, found)

    return replay


def compiled_torch(runner: engine.Runner, pixels: Tensor) -> Contestant:
    """The same network, compiled by PyTorch."""
    assert isinstance(runner, engine.TorchEngine)
    there, network = pixels.to(runner.device, memory_format=torch.channels_last), runner.network
    compiled = torch.compile(Pooled(network))
    return lambda: named(network, inference(compiled, there))


def bare_openvino(source: nn.Module, precision: str, scaled: Tensor) -> Contestant:
    """torchvision's network as OpenVINO's own example runs it: only logits, one batch of a fixed size at a time."""
    import openvino

    hint = {"fp32": "f32", "bf16": "bf16"}[precision]
    settings = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
    with torch.no_grad():
        program = torch.export.export(source, (scaled,))
    compiled = openvino.Core().compile_model(openvino.convert_model(program), "CPU", settings)

    def forward() -> dict[str, Tensor]:
        compiled(scaled.numpy())
        return {}

    return forward


def onnx_runtime(network: ResidualNetwork, scaled: Tensor) -> Contestant:
    import onnxruntime

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(Pooled(network), (scaled,), dynamo=True, verbose=False)
    file = io.BytesIO()
    program.save(file)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: named(network, tuple(map(torch.from_numpy, session.run(None, {name: scaled.numpy()}))))


def likeness(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> str:
    if not found:
        return ""
    errors = [float((found[name] - wanted[name]).norm() / wanted[name].norm()) for name in wanted]
    cosines = [float(torch.cosine_similarity(found[name], wanted[name]).min()) for name in wanted]
    return f"relative error {max(errors):.1e}, smallest cosine {min(cosines):.6f}"


# --- the whole way from files -----------------------------------------------------------------------------------------


def photographs(folder: Path, number: int) -> str:
    """JPEG files of 500 x 375 pixels, as ImageNet's usually are, of noise with a photograph's spectrum."""
    folder.mkdir()
    random = np.random.default_rng(0)
    height, width = 375, 500
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]) + 1 / width
    for index in range(number):
        spectrum = np.fft.rfft2(random.normal(size=(3, height, width))) / frequency**1.2
        values = np.fft.irfft2(spectrum, (height, width))
        values = 128 + 50 * values / values.std()
        Image.fromarray(values.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)).save(
            folder / f"{index:05d}.jpg", quality=92
        )
    return str(folder)


def from_files(source: nn.Module, name: str, folder: str, batch: int, rounds: int, device: str) -> None:
    spec = catalogue.spec(name)
    model = zoo.Model(freeze(canonical(source)), spec, "drawn")
    images = datasets.open_images(folder)
    sizes = [Path(images.uri(index)).stat().st_size for index in range(len(images))]
    print(f"\nfrom {len(images)} files of {np.mean(sizes) / 1000:.0f} kB on average, batch {batch}, {rounds} rounds")
    pixels = drawn_pixels(batch)
    ways = [
        (precision, way)
        for precision in precisions(device)
        for way, entry in engine.ENGINES.items()
        if way != engine.TORCH_PLAIN and not entry.obstacle(torch.device(device), precision)
    ]
    decoding: list[float] = []
    shares: dict[tuple[str, str], list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in batches(images, spec.preprocessing, batch):
            pass
        decoding.append(len(images) / (time.perf_counter() - began))
        for precision, way in ways:
            plan = engine.choose(model.network, precision=precision, device=device, engine=way)
            runner = engine.start(model.network, spec.preprocessing, plan)
            runner(pixels)
            calls = max(3, len(images) // batch // 2)
            began = time.perf_counter()
            for _ in range(calls):
                runner(pixels)
            bare = calls * batch / (time.perf_counter() - began)
            with tempfile.TemporaryDirectory() as out:
                done = finish(extract.to_folder(model, images, plan, Path(out), batch))
            shares[precision, way].append((bare, done.images_per_second or 0.0))
    print(f"decoding alone {statistics.median(decoding):.1f} images/s")
    for (precision, way), found in shares.items():
        bare, whole = (statistics.median(column) for column in zip(*found, strict=True))
        share = statistics.median(whole / bare for bare, whole in found)
        print(f"{way + ', ' + precision:20s} network alone {bare:6.1f}, from files {whole:6.1f} images/s: {share:.1%}")


if __name__ == "__main__":
    main()
