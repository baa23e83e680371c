"""Timing with a clock that the contestants set themselves, so that no test waits and none depends on the machine."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from features.engine import timing
from features.engine.plan import Plan
from features.engine.timing import Timing, measure
from features.errors import FeatureError
from tests.engine.cases import preprocessing

PLANS = [
    Plan(("layer1",), "mean", precision, "cpu", engine)
    for precision, engine in (("fp32", "torch"), ("fp32", "openvino"), ("bf16", "torch"), ("bf16", "openvino"))
]
EXACT, VINO, HALF, HALF_VINO = PLANS
RIGHT = np.array([1.0, 2.0, 3.0])


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", clock)
    return clock


def runner(clock: Clock, seconds: float, features: np.ndarray = RIGHT, passes: list | None = None):
    """What starts something that takes `seconds` for an image and makes the same features of each."""

    def run(pixels: torch.Tensor) -> dict[str, np.ndarray]:
        clock.now += seconds * len(pixels)
        if passes is not None:
            passes.append(len(pixels))
        return {"layer1": np.tile(features, (len(pixels), 1)).astype(np.float32)}

    return lambda: run


def timed(runners) -> Timing:
    return measure(runners, EXACT, preprocessing(), 16)


@pytest.mark.parametrize("fastest", PLANS)
def test_the_fastest_is_taken_whichever_it_is(fastest, clock):
    found = timed({plan: runner(clock, 0.01 if plan == fastest else 0.02) for plan in PLANS})
    chosen = found.fastest(PLANS)
    assert (chosen.precision, chosen.engine) == (fastest.precision, fastest.engine)
    # Of those that were not taken fp32 with PyTorch is told, or the next best.
    assert chosen.why.startswith(("2 times as fast as fp32 with PyTorch", "2 times as fast as fp32 with OpenVINO"))
    assert chosen.why.endswith("here, measured")


def test_a_lower_precision_must_be_clearly_faster(clock):
    found = timed({EXACT: runner(clock, 0.0103), HALF: runner(clock, 0.01)})
    assert found.fastest([EXACT, HALF]).precision == "fp32"
    assert found.fastest([EXACT, HALF]).why == "about as fast as bf16 with PyTorch here, measured"
    found = timed({EXACT: runner(clock, 0.0107), HALF: runner(clock, 0.01)})
    assert found.fastest([EXACT, HALF]).precision == "bf16"


def fails():
    raise ImportError("libopenvino.so is not there\nand more of that")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (RIGHT * np.nan, "it makes NaN or infinite values at layer1"),
        (RIGHT * np.inf, "it makes NaN or infinite values at layer1"),
        (RIGHT * 1.1, "layer1 is off by 10.0%"),
        (RIGHT[::-1], "layer1 is off by 75.6%"),
        (None, "libopenvino.so is not there"),
    ],
)
def test_what_fails_or_is_wrong_is_never_taken_however_fast(wrong, reason, clock):
    fast = fails if wrong is None else runner(clock, 0.001, wrong)
    found = timed({EXACT: runner(clock, 0.02), VINO: runner(clock, 0.01), HALF_VINO: fast})
    chosen = found.fastest([EXACT, VINO, HALF_VINO])
    assert (chosen.precision, chosen.engine) == ("fp32", "openvino")
    assert chosen.why == (f"2 times as fast as fp32 with PyTorch here, measured; bf16 with OpenVINO left out: {reason}")


def test_rounding_is_no_fault_and_logits_that_cancel_out_are_not_compared(clock):
    rounded = RIGHT * np.array([1 + 2**-9, 1 - 2**-9, 1])
    found = timed({EXACT: runner(clock, 0.02), HALF: runner(clock, 0.01, rounded)})
    assert found.fastest([EXACT, HALF]).precision == "bf16"


def test_broken_weights_leave_the_exact_plan_which_will_tell_of_them(clock):
    found = timed({plan: runner(clock, 0.01, RIGHT * np.nan) for plan in PLANS})
    assert not found.seconds
    assert found.fastest(PLANS).precision == "fp32"
    with pytest.raises(FeatureError, match="no memory"):
        measure({EXACT: lambda: (_ for _ in ()).throw(FeatureError("no memory"))}, EXACT, preprocessing(), 16)


@pytest.mark.parametrize("before", [2, 4])  # a pass that tells what it makes and one to warm up are not counted
def test_contestants_take_turns_and_one_hiccup_decides_nothing(before, clock):
    hiccups = iter([0.0] * before + [10.0] + [0.0] * 100)

    def slow_once(pixels):
        clock.now += 0.01 * len(pixels) + next(hiccups) / 50
        return {"layer1": np.tile(RIGHT, (len(pixels), 1)).astype(np.float32)}

    found = timed({EXACT: runner(clock, 0.02), HALF: lambda: slow_once})
    assert found.seconds["bf16 torch"] == pytest.approx(0.01)


def test_what_is_clearly_slower_gets_no_further_turn_and_all_ends_in_time(clock):
    slow, fast = [], []
    timed({EXACT: runner(clock, 0.1, passes=slow), HALF: runner(clock, 0.01, passes=fast)})
    assert slow == [1, 1, 1]  # what is right, how long it takes, and one round
    assert fast == [1] * (1 + timing.ROUNDS)
    clock.now = 0.0
    timed({EXACT: runner(clock, 3.0), HALF: runner(clock, 2.9)})  # hopelessly slow: no second round
    assert clock.now == pytest.approx(2 * 3.0 + 2.9 + 3.0 + 2.9)


def test_what_a_gpu_captures_at_the_second_pass_of_a_shape_is_not_counted(clock):
    passes: list[int] = []

    def graphs(pixels):
        passes.append(len(pixels))
        clock.now += (1.0 if passes.count(len(pixels)) <= 2 else 0.001) * len(pixels)
        return {"layer1": np.tile(RIGHT, (len(pixels), 1)).astype(np.float32)}

    exact, captured = (replace(EXACT, device="cuda", engine=name) for name in ("torch", "cuda-graphs"))
    found = measure({exact: runner(clock, 0.01), captured: lambda: graphs}, exact, preprocessing(), 16)
    assert found.seconds["fp32 cuda-graphs"] == pytest.approx(0.001)
    assert found.fastest([exact, captured]).engine == "cuda-graphs"


def test_a_pass_is_as_long_as_it_need_be_and_no_longer(clock):
    passes: list[int] = []
    timed({EXACT: runner(clock, timing.PASS / 5.5, passes=passes)})
    assert set(passes) == {1, 5}
    passes.clear()
    timed({EXACT: runner(clock, 1e-6, passes=passes)})
    assert max(passes) == 16  # the batch


def test_a_timing_is_kept_as_it_was(tmp_path):
    timing.keep(tmp_path / "timings" / "one.json", found := Timing({"fp32 torch": 0.5}, {"bf16 torch": "wrong"}))
    again = timing.kept(tmp_path / "timings" / "one.json", [EXACT, HALF])
    assert (again.seconds, again.left_out) == (found.seconds, found.left_out)
    assert [path.name for path in (tmp_path / "timings").iterdir()] == ["one.json"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        json.dumps({"seconds": {"fp32 torch": "fast"}, "left_out": {}}),
        json.dumps({"seconds": {"fp32 torch": -1.0}, "left_out": {}}),
        json.dumps({"seconds": {"fp32 torch": float("nan")}, "left_out": {}}),
        json.dumps({"seconds": {"bf16 torch": 1.0}, "left_out": {}}),
        json.dumps({"seconds": {"fp32 torch": 1.0}, "left_out": []}),
    ],
)
def test_what_is_damaged_is_not_believed(content, tmp_path):
    (tmp_path / "one.json").write_text(content)
    assert timing.kept(tmp_path / "one.json", [EXACT]) is None


def test_it_is_no_matter_if_a_timing_cannot_be_kept(tmp_path):
    (tmp_path / "file").write_text("")
    timing.keep(tmp_path / "file" / "one.json", Timing({}, {}))
    assert timing.kept(tmp_path / "file" / "one.json", [EXACT]) is None
