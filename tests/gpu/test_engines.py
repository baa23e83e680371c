"""Engines on a GPU against the CPU's: whatever the order, size and number of batches and threads."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from features import engine
from features.engine import epilogue, fusing
from features.engine.convolution import shifted
from features.engine.cuda_graphs import MAX_GRAPHS, CudaGraphEngine
from features.networks import zoo
from features.networks.canonical import own_copy

pytestmark = pytest.mark.gpu

ENGINES = (engine.TorchEngine, CudaGraphEngine)
# Of the largest value of a stage: fp32 is float32 (no TF32), the others have 10 and 7 bits.
BOUNDS = {"fp32": 1e-4, "fp16": 1e-2, "bf16": 5e-2}


@pytest.fixture(scope="module")
def model() -> zoo.Model:
    return zoo.load("resnet20-fashion")


def pixels(number: int, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (number, 1, 32, 32), dtype=torch.uint8, generator=random)


def started(model: zoo.Model, device: str, kind=engine.TorchEngine, precision: str = "fp32", pool: str = "mean"):
    plan = engine.choose(model.network, None, pool, precision, device, engine.TORCH)
    return kind(model.network, model.spec.preprocessing, plan)


def differs(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> float:
    """The largest error of a stage, relative to its largest value."""
    assert list(found) == list(wanted)
    pairs = [(found[name].astype(np.float64), values.astype(np.float64)) for name, values in wanted.items()]
    assert all(one.shape == other.shape for one, other in pairs)
    return max(float(np.abs(one - other).max() / np.abs(other).max()) for one, other in pairs)


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("pool", ["mean", "none", "gem"])
@pytest.mark.parametrize("precision", BOUNDS)
def test_every_stage_is_the_cpus(model, kind, pool, precision):
    wanted = started(model, "cpu", pool=pool)(pixels(24))
    runner = started(model, "cuda", kind, precision, pool)
    bound = max(BOUNDS[precision], 1e-3 if pool == "none" else 0)  # whole maps are float16
    for _ in range(3):  # eager, captured, replayed
        assert differs(runner(pixels(24)), wanted) < bound


@pytest.mark.parametrize("kind", ENGINES)
def test_every_row_of_many_batches_that_are_begun_ahead_is_its_own(model, kind):
    runner, on_cpu = started(model, "cuda", kind), started(model, "cpu")
    batches = [pixels(number, seed) for seed, number in enumerate([64] * 24 + [40, 64, 17, 64, 3, 1, 64])]
    begun = []
    outputs = []
    for batch in batches:
        begun.append(runner.begin(batch))
        if len(begun) > 4:
            outputs.append(begun.pop(0)())
    outputs += [end() for end in begun]
    for batch, found in zip(batches, outputs, strict=True):
        assert differs(found, on_cpu(batch)) < BOUNDS["fp32"]


def test_a_graph_says_what_eager_mode_says(model):
    graphs, eager = started(model, "cuda", CudaGraphEngine), started(model, "cuda")
    for seed in range(4):
        assert differs(graphs(pixels(32, seed)), eager(pixels(32, seed))) < 1e-6


def test_fewer_images_run_in_the_graph_of_a_larger_batch_and_far_fewer_by_themselves(model):
    graphs, on_cpu = started(model, "cuda", CudaGraphEngine), started(model, "cpu")
    for number in (32, 32, 20, 5):
        assert differs(graphs(pixels(number, number)), on_cpu(pixels(number, number))) < BOUNDS["fp32"]
    assert list(graphs._graphs) == [(32, 1, 32, 32)]


def test_no_more_graphs_are_kept_than_a_few(model):
    graphs = started(model, "cuda", CudaGraphEngine)
    for number in (1, 2, 4, 8, 16, 32):
        graphs(pixels(number))
        graphs(pixels(number))
    assert len(graphs._graphs) == MAX_GRAPHS


@pytest.mark.parametrize("precision", BOUNDS)
def test_fused_operations_say_what_the_others_say(model, precision):
    runner = started(model, "cuda", precision=precision)
    together = runner(pixels(32))
    fusing.unfuse(runner.network)
    assert differs(together, runner(pixels(32))) < {"fp32": 1e-5, "fp16": 4e-3, "bf16": 3e-2}[precision]


@pytest.mark.parametrize("precision", BOUNDS)
def test_everything_is_fused(model, precision):
    runner = started(model, "cuda", precision=precision)
    runner(pixels(32))
    assert runner.fusion == ("cuDNN" if precision == "fp32" else "Triton")
    assert not any(block.fused.refused for _, block in runner.network.blocks())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(3, 48, 7, 5), (2, 64, 1, 1), (1, 2048, 7, 7), (0, 16, 4, 4)])
def test_the_epilogue_adds_in_float32_and_rounds_once(dtype, shape):
    random = torch.Generator().manual_seed(0)
    values, other = (torch.randn(shape, generator=random).to(dtype) for _ in range(2))
    bias = torch.randn(shape[1], generator=random)
    for beside in (None, other):
        total = values.float() + bias[:, None, None]
        if beside is not None:
            total += beside.float()
        there = values.to("cuda").to(memory_format=torch.channels_last)
        made = epilogue.add_relu(there, bias.to("cuda"), None if beside is None else beside.to("cuda"))
        assert torch.equal(made.cpu(), total.relu().to(dtype))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_float32_bias_is_added_in_float32_and_rounded_once(dtype):
    values = torch.randn(4, 32, 9, 9, generator=torch.Generator().manual_seed(0)).to(dtype)
    bias = torch.linspace(-3, 3, 32)
    made = shifted(values.to("cuda").to(memory_format=torch.channels_last), bias.to("cuda"))
    assert torch.equal(made.cpu(), (values.float() + bias[:, None, None]).to(dtype))


@pytest.mark.parametrize("precision", BOUNDS)
def test_broken_weights_put_out_nan(model, precision):
    broken = own_copy(model.network)
    with torch.no_grad():
        next(broken.stages["layer2"].parameters()).view(-1)[0] = torch.nan
    assert np.isnan(started(replace(model, network=broken), "cuda", precision=precision)(pixels(4))["logits"]).all()


@pytest.mark.parametrize("kind", ENGINES)
def test_two_threads_share_an_engine(model, kind):
    runner, on_cpu = started(model, "cuda", kind), started(model, "cpu")
    batches = [pixels(32, seed) for seed in range(16)]
    with ThreadPoolExecutor(2) as pool:
        outputs = list(pool.map(runner, batches))
    for batch, found in zip(batches, outputs, strict=True):
        assert differs(found, on_cpu(batch)) < BOUNDS["fp32"]


def test_two_threads_start_engines_of_their_own_at_once(model):
    def run(seed: int) -> list[dict[str, np.ndarray]]:
        runner = started(model, "cuda", CudaGraphEngine)
        return [runner(pixels(16, seed + number)) for number in range(4)]

    on_cpu = started(model, "cpu")
    with ThreadPoolExecutor(2) as pool:
        for seed, outputs in zip((0, 100), pool.map(run, (0, 100)), strict=True):
            for number, found in enumerate(outputs):
                assert differs(found, on_cpu(pixels(16, seed + number))) < BOUNDS["fp32"]


@pytest.mark.parametrize("kind", ENGINES)
def test_a_batch_that_does_not_fit_is_halved_and_says_the_same(model, kind):
    batch = pixels(4096)
    wanted = started(model, "cuda", kind)(batch)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    started(model, "cuda", kind)(batch)
    peak = torch.cuda.max_memory_allocated() - before
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + peak // 2) / total)
    try:
        runner = started(model, "cuda", kind)
        outputs = [runner(batch) for _ in range(3)]
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert runner.limit < len(batch)
    for found in outputs:
        assert differs(found, wanted) < BOUNDS["fp32"]


def test_a_copy_on_the_gpu_leaves_the_network_where_it_is(model):
    assert {values.device.type for values in own_copy(model.network, "cuda").parameters()} == {"cuda"}
    assert {values.device.type for values in model.network.parameters()} == {"cpu"}
