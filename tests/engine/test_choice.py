"""What is chosen, with its reason: what was asked for, what this machine has, and what a timing said."""

from dataclasses import replace

import pytest
import torch

from features import engine
from features.engine import choice, registry, timing
from features.engine.registry import ENGINES, Engine
from features.engine.timing import Timing
from features.errors import FeatureError
from features.networks.architecture import Architecture
from features.networks.canonical import build
from tests.engine.cases import network, pixels, preprocessing

WIDE = Architecture("basic", (1,), (256,), (256,), "cifar", 16)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def has_all(monkeypatch):
    """A processor with bf16 and an installed OpenVINO."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1")
    monkeypatch.setattr(registry, "has_fast_bf16", lambda device: True)
    monkeypatch.setattr(choice, "has_fast_bf16", lambda device: True)


@pytest.fixture
def measured(monkeypatch) -> list:
    """Timings that take no time, in which bf16 with PyTorch is twice as fast as all else. Holds what was timed."""
    calls = []

    def measure(runners, exact, preprocessing, batch):
        calls.append([f"{plan.precision} {plan.engine}" for plan in runners])
        return Timing({name: 0.01 if name == "bf16 torch" else 0.02 for name in calls[-1]}, {})

    monkeypatch.setattr(timing, "measure", measure)
    return calls


def decided(net, batch: int = 16, **choices) -> engine.Plan:
    return engine.decide(net, preprocessing(), engine.choose(net, **{"device": "cpu", **choices}), batch)


@pytest.mark.parametrize(
    ("choices", "text"),
    [
        ({"stages": ["layer9"]}, "layer9.*stem, layer1, layer2, layer3, pool, logits"),
        ({"stages": []}, "[Nn]o stage"),
        ({"pool": "median"}, "median.*mean, max, gem, none"),
        ({"precision": "fp8"}, "fp8.*fp32, bf16, fp16"),
        ({"device": "toaster"}, "toaster"),
        ({"device": "meta"}, "meta.*'cpu' or 'cuda'"),
        ({"engine": "tpu"}, "tpu.*torch, cuda-graphs, torch-plain, openvino"),
        ({"engine": "openvino", "precision": "fp16"}, "OpenVINO cannot be used: OpenVINO does not compute in fp16"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(choices, text):
    with pytest.raises(FeatureError, match=text):
        engine.choose(network(), **choices)


def test_a_device_that_is_not_there_is_told_by_its_number(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(FeatureError, match="'cuda:2', and this machine has 2"):
        engine.choose(network(), device="cuda:2", precision="fp32")


def test_where_one_way_is_left_it_is_taken_with_the_reason(monkeypatch):
    net = network()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    alone = engine.choose(net, precision="fp32", device="cpu")
    assert (alone.engine, alone.why) == ("torch", "OpenVINO is not installed (requirements-openvino.txt)")
    with pytest.raises(FeatureError, match="not installed"):
        engine.choose(net, precision="fp32", device="cpu", engine="openvino")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr(registry, "has_fast_bf16", lambda device: False)
    assert engine.choose(net, precision="fp16", device="cpu").engine == "torch"
    narrow = engine.choose(net, precision="bf16", device="cpu")
    assert (narrow.engine, narrow.why) == ("torch", "OpenVINO rounds biases to bf16, which narrow networks do not bear")
    wide = engine.choose(build(WIDE), precision="bf16", device="cpu")
    assert (wide.engine, wide.why) == ("openvino", "PyTorch computes bf16 in software on this processor")
    for name in ENGINES:
        if name == engine.CUDA_GRAPHS:
            with pytest.raises(FeatureError, match="it is for NVIDIA GPUs, and the device is cpu"):
                engine.choose(net, precision="fp32", device="cpu", engine=name)
            continue
        asked = engine.choose(net, precision="fp32", device="cpu", engine=name)
        assert (asked.precision, asked.engine, asked.why) == ("fp32", name, "as asked for")


@pytest.mark.usefixtures("has_all")
def test_what_a_timing_must_decide_stays_open_and_takes_no_time(measured):
    net = network()
    plan = engine.choose(net, device="cpu")
    assert plan.is_open
    assert (plan.precision, plan.engine) == (engine.AUTO, engine.AUTO)
    assert not engine.choose(net, precision="fp32", engine="torch", device="cpu").is_open
    assert not measured


@pytest.mark.parametrize(
    ("wide", "choices", "ways"),
    [
        (False, {}, ["fp32 torch", "fp32 openvino", "bf16 torch", "bf16 torch-plain"]),
        (True, {}, ["fp32 torch", "fp32 openvino", "bf16 torch", "bf16 torch-plain", "bf16 openvino"]),
        (True, {"engine": "openvino"}, ["fp32 openvino", "bf16 openvino"]),
        (False, {"engine": "torch-plain"}, ["fp32 torch-plain", "bf16 torch-plain"]),
        (True, {"precision": "bf16"}, ["bf16 torch", "bf16 torch-plain", "bf16 openvino"]),
        (True, {"precision": "fp32"}, ["fp32 torch", "fp32 openvino"]),
    ],
)
@pytest.mark.usefixtures("has_all")
def test_what_could_be_the_fastest_is_timed_beside_fp32_with_pytorch(wide, choices, ways, measured):
    decided(build(WIDE) if wide else network(), **choices)
    assert measured == [ways if "fp32 torch" in ways else [*ways, "fp32 torch"]]


@pytest.mark.usefixtures("has_all")
def test_a_timing_decides_once_and_is_remembered_with_its_reason(measured):
    first = decided(network())
    assert (first.precision, first.engine) == ("bf16", "torch")
    assert first.why == "2 times as fast as fp32 with PyTorch here, measured"
    assert decided(network()) == first
    plan = engine.choose(network(), device="cpu")
    assert engine.recall(network(), preprocessing(), plan) == first
    assert len(measured) == 1


@pytest.mark.parametrize("change", ["shape", "batch", "threads", "processor", "version", "size", "ways"])
@pytest.mark.usefixtures("has_all")
def test_a_timing_of_something_else_does_not_count(change, measured, monkeypatch):
    net, batch, side, choices = network(), 16, 32, {}
    decided(net)
    if change == "shape":
        net = network("projection")
    elif change == "batch":
        batch = 8
    elif change == "size":
        side = 40
    elif change == "ways":
        choices = {"precision": "bf16"}
    else:
        module, name, value = {
            "threads": (torch, "get_num_threads", lambda: 77),
            "processor": (choice, "processor_name", lambda device: "another"),
            "version": (choice.importlib.metadata, "version", lambda name: "2"),
        }[change]
        monkeypatch.setattr(module, name, value)
    plan = engine.choose(net, device="cpu", **choices)
    assert engine.recall(net, preprocessing(side), plan, batch) is None
    engine.decide(net, preprocessing(side), plan, batch)
    assert len(measured) == 2


@pytest.mark.usefixtures("has_all")
def test_other_weights_of_the_same_shape_need_no_timing_of_their_own(measured):
    decided(network())
    other = network()
    with torch.no_grad():
        next(other.parameters()).zero_()
    decided(other)
    assert len(measured) == 1


@pytest.mark.usefixtures("has_all")
def test_what_runs_nowhere_is_not_remembered(monkeypatch):
    monkeypatch.setattr(timing, "measure", lambda *_: Timing({}, {"fp32 torch": "NaN"}))
    assert decided(network()).precision == "fp32"
    assert engine.recall(network(), preprocessing(), engine.choose(network(), device="cpu")) is None


def test_a_way_to_run_networks_is_one_entry(monkeypatch):
    """As graphs of a GPU's kernels or compiled networks would be."""
    doubled = Engine(
        "twice",
        "two of them",
        lambda net, preprocessing, plan, key: ENGINES["torch"].start(net, preprocessing, plan, key),
        lambda device, precision: "" if precision == "fp32" else "it is for fp32",
        lambda net, device, precision: "",
    )
    monkeypatch.setitem(ENGINES._entries, "twice", doubled)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    plan = engine.choose(network(), precision="fp32", device="cpu")
    assert plan.is_open
    chosen = engine.decide(network(), preprocessing(), plan)
    assert chosen.engine in ("torch", "twice")
    assert "with two of them" in chosen.why or "with PyTorch" in chosen.why
    assert engine.start(network(), preprocessing(), replace(plan, engine="twice"))(pixels())["layer1"].shape == (3, 16)
    with pytest.raises(FeatureError, match="two of them cannot be used: it is for fp32"):
        engine.choose(network(), precision="bf16", device="cpu", engine="twice")


def test_a_real_timing_chooses_something_that_runs_and_makes_the_right_features(monkeypatch):
    net = network()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(timing, "BUDGET", 0.1)
    monkeypatch.setattr(choice, "has_fast_bf16", lambda device: True)
    monkeypatch.setattr(registry, "has_fast_bf16", lambda device: True)
    plan = engine.choose(net, device="cpu")
    chosen = engine.decide(net, preprocessing(), plan)
    assert not chosen.is_open
    assert "measured" in chosen.why
    found = engine.start(net, preprocessing(), plan)(pixels())  # which decides by itself
    wanted = engine.start(net, preprocessing(), engine.choose(net, precision="fp32", device="cpu", engine="torch"))
    for name, values in wanted(pixels()).items():
        assert torch.cosine_similarity(torch.from_numpy(found[name]), torch.from_numpy(values)).min() > 0.999
