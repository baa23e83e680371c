"""What networks cost: sizes against PyTorch's own, passes by a clock that is wound by hand."""

import json
from copy import deepcopy
from dataclasses import replace
from math import isfinite

import pytest
import torch
from safetensors.torch import save_file

from features.compare.costs import BUDGET, FEWEST, ROUNDS, Range, costs, file_bytes, raced, table, weight_bytes
from features.engine import FastNetwork
from features.networks import architecture, canonical, catalogue, zoo
from features.networks.card import ModelSpec
from features.progress import finish
from features.residual import lesioned, parse
from tests.random_networks import randomise


@pytest.fixture(scope="module")
def model():
    """A CIFAR ResNet of 8 layers: 16 channels of 32 x 32 behind the stem."""
    shape = architecture.cifar(8)
    network = canonical.freeze(randomise(canonical.build(shape)))
    return zoo.Model(network, ModelSpec("tiny", "", shape, catalogue.CIFAR_PREPROCESSING, (), "drawn", ""), "0" * 64)


@pytest.fixture(scope="module", autouse=True)
def _on_the_cpu():
    """As where there is no GPU, of which `tests/gpu` tell."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("features.engine.choice.best_device", lambda: torch.device("cpu"))
        yield


@pytest.fixture(scope="module")
def told(model):
    models = [model, lesioned(model, parse("without:layer2.0"))]
    return models, finish(costs(models))


class Clock:
    """A clock that only stands farther on where somebody works."""

    def __init__(self):
        self.now, self.log = 0.0, []

    def __call__(self):
        return self.now

    def work(self, name, seconds):
        def run():
            self.log.append(name)
            self.now += seconds

        return run


def run(race):
    """How often it halted, and what it returned."""
    halts = 0
    try:
        while True:
            next(race)
            halts += 1
    except StopIteration as end:
        return halts, end.value


def test_networks_take_turns_in_every_round():
    clock = Clock()
    halts, spent = run(raced([clock.work("a", 0.01), clock.work("b", 0.02)], clock))
    assert clock.log == ["a", "b"] * ROUNDS
    assert halts == 2 * ROUNDS
    assert spent[0] == pytest.approx([0.01] * ROUNDS)
    assert spent[1] == pytest.approx([0.02] * ROUNDS)


def test_slow_networks_have_fewer_rounds_but_some():
    clock = Clock()
    _, spent = run(raced([clock.work("slow", 10.0), clock.work("fast", 0.1)], clock))
    assert [len(each) for each in spent] == [FEWEST] * 2
    clock = Clock()
    _, spent = run(raced([clock.work("a", BUDGET / 5)], clock))
    assert len(spent[0]) == 5


def test_nothing_is_raced_by_nobody():
    assert run(raced([], Clock())) == (0, [])


def test_numbers_are_those_of_the_networks(told, model):
    models, (intact, lesion) = told
    assert (intact.name, intact.variant) == ("tiny", "")
    assert lesion.variant == models[1].variant != ""
    assert intact.parameters == sum(each.numel() for each in model.network.parameters())
    assert lesion.parameters < intact.parameters
    assert lesion.macs < intact.macs
    assert intact.weight_bytes == sum(each.untyped_storage().nbytes() for each in model.network.state_dict().values())


def test_halves_take_half_the_bytes(model):
    half = deepcopy(model.network).half()
    counts = sum(each.numel() for each in half.state_dict().values() if each.dtype == torch.int64)
    assert weight_bytes(half) - 8 * counts == (weight_bytes(model.network) - 8 * counts) / 2


def test_a_file_of_halves_is_told_by_its_own_bytes(model, tmp_path):
    """In memory both are float32; on disk one takes half."""
    sizes = {}
    for dtype in (torch.float32, torch.float16):
        path = tmp_path / f"{dtype}.safetensors"
        save_file({name: each.to(dtype) for name, each in state_of(model).items()}, path)
        loaded = zoo.load(weights=path)
        sizes[dtype] = file_bytes(loaded)
        assert sizes[dtype] == path.stat().st_size
        assert weight_bytes(loaded.network) == weight_bytes(model.network)
    assert sizes[torch.float16] < 0.6 * sizes[torch.float32]


def test_what_is_no_file_has_no_bytes_of_one(told, model, tmp_path):
    assert [each.file_bytes for each in told[1]] == [None, None]
    path = tmp_path / "net.safetensors"
    save_file(state_of(model), path)
    whole = zoo.load(weights=path)
    assert file_bytes(lesioned(whole, parse("without:layer2.0"))) is None
    path.unlink()
    assert file_bytes(whole) is None


def state_of(model):
    state = model.network.state_dict().items()
    return {canonical.published_name(name): each.contiguous() for name, each in state}


def test_what_is_measured_can_be(told):
    for cost in told[1]:
        for spread in (cost.latency, cost.rate):
            assert 0 < spread.low <= spread.median <= spread.high < float("inf")
            assert FEWEST <= spread.n <= ROUNDS
        assert cost.batch >= 1
        assert cost.engine.startswith("torch ")
        assert "thread" in cost.device


def test_ranges_in_words_have_no_powers_of_ten():
    assert Range(2020.4, 1770, 99.94, 7).in_words() == "2,020 (1,770 to 99.9)"
    assert Range(0.0029, 0.00275, 0.00347, 7).in_words(1e3) == "2.9 (2.75 to 3.47)"


def test_memory_is_the_same_whoever_else_has_the_layers_ready(told, model):
    models, before = told
    fast = FastNetwork(model.network, model.spec.preprocessing, torch.float32, torch.device("cpu"))
    after = finish(costs([*models, model]))
    assert [each.memory_bytes for each in after] == [each.memory_bytes for each in (*before, before[0])]
    assert before[1].memory_bytes < before[0].memory_bytes  # without a block
    del fast


def test_memory_holds_the_weights_and_the_widest_maps(told, model):
    cost = told[1][0]
    fast = FastNetwork(model.network, model.spec.preprocessing, torch.float32, torch.device("cpu"))
    weights = sum(each.numel() * 4 for each in fast.parameters())
    maps = 16 * 32 * 32 * 4  # of the first stage, of one image
    assert cost.memory_bytes > weights + 2 * maps  # a block's input and what it makes
    assert cost.memory_bytes < 4 * weights + 8 * maps
    assert "tensors alive at once" in cost.memory


def test_results_can_be_written(told):
    content = json.loads(json.dumps([cost.as_dict() for cost in told[1]], allow_nan=False))
    assert content[0]["measured"]["images_per_second"]["median"] > 0
    assert content[0]["file_bytes"] is None
    rows = table(told[1])
    assert {"weight_bytes", "file_bytes"} <= {*rows.columns}
    assert rows["latency_seconds"].tolist() == [cost.latency.median for cost in told[1]]
    assert (rows["images_per_second_low"] <= rows["images_per_second"]).all()


def test_a_range_is_told_by_its_median():
    spread = Range.of([3.0, 1.0, 10.0])
    assert spread.as_dict() == {"median": 3.0, "low": 1.0, "high": 10.0, "passes": 3}


def test_it_reports_between_passes_and_can_be_stopped(model):
    reports = []
    finish(costs([model] * 2), reports.append)
    assert len(reports) > 2 * (1 + 3 + FEWEST)
    done = [report.done / report.total for report in reports]
    assert done == sorted(done)
    assert max(done) < 1
    task = costs([model])
    next(task)
    next(task)
    task.close()


def test_the_network_is_left_as_it_was(model):
    before = {name: values.clone() for name, values in model.network.state_dict().items()}
    finish(costs([replace(model)]))
    assert not model.network.training
    assert all(torch.equal(values, before[name]) for name, values in model.network.state_dict().items())
    assert all(isfinite(float(values.sum())) for values in before.values())
