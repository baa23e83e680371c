"""Times ways to run a network side by side on the machine that will run it, and keeps what it found.

What is fastest differs from processor to processor and from version to version, by more than can be known ahead: bf16
that was twice as fast as fp32 on one was slower on the next, for the sake of one operation that refused a bias.
"""

import json
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from features import files
from features.engine.plan import LOGITS, Plan, Runner
from features.engine.registry import title_of
from features.networks.preprocessing import Preprocessing

REVISION = 1  # of what is kept
BUDGET, ROUNDS = 2.0, 7  # seconds of rounds, and how many there are at most
PASS = 0.15  # seconds that one pass of the exact network should take: so many images, up to a batch
GAIN = 1.05  # by which a faster way must beat a more exact or simpler one, since timings waver
LOST = 1.5  # times as slow as the fastest: not worth another round
HOPELESS = 4  # the same after one round alone, in which something else may have run on the machine
# A cosine above 0.999 with fp32 at equal length. bf16 rounds trained networks to 0.9999 and better.
TOLERANCE = 0.045

Runners = Mapping[Plan, Callable[[], Runner]]


@dataclass(frozen=True)
class Timing:
    """How long plans took, by 'PRECISION ENGINE'. seconds: of one image. left_out: why one does not count."""

    seconds: dict[str, float]
    left_out: dict[str, str]

    def fastest(self, plans: Sequence[Plan]) -> Plan:
        """The plan to take, with the reason. plans: the more exact and simple first, which others must clearly beat."""
        running = [plan for plan in plans if _name(plan) in self.seconds] or list(plans[:1])
        best = running[0]
        for plan in running[1:]:
            if self._of(plan) * GAIN < self._of(best):
                best = plan
        return replace(best, why=self._why(best, running))

    def _of(self, plan: Plan) -> float:
        return self.seconds[_name(plan)]

    def _why(self, best: Plan, running: Sequence[Plan]) -> str:
        others = [plan for plan in running if plan != best]
        reasons = [f"{title_of_name(name)} left out: {reason}" for name, reason in self.left_out.items()]
        if others:
            beside = min(others, key=self._of) if best == running[0] else running[0]
            ratio = self._of(beside) / self._of(best)
            much = f"{ratio:.2g} times as" if ratio >= 1 else "about as"  # what is simpler may be slower by GAIN
            reasons.insert(0, f"{much} fast as {title_of(beside)} here, measured")
        return "; ".join(reasons) or "nothing else runs here"


def title_of_name(name: str) -> str:
    """What `Timing` calls a plan, for people."""
    precision, engine = name.split(" ")
    return title_of(Plan((), "", precision, "", engine))


def measure(runners: Runners, exact: Plan, preprocessing: Preprocessing, batch: int) -> Timing:
    """Run the plans in turn on a few images, round by round, each feeling what the others feel; about BUDGET seconds.

    exact: the one that tells what is right. One that fails, makes NaN or differs from it is left out, and so is what is
    clearly slower after a round or two. Starting engines takes its own time. Raises FeatureError as starting `exact`
    does.
    """
    reference, probe = runners[exact](), example_pixels(preprocessing, 1)
    wanted = reference(probe)
    started: dict[Plan, Runner] = {}
    left_out = {}
    for plan, start in runners.items():
        try:
            runner = reference if plan == exact else start()
            if reason := _differs(wanted if plan == exact else runner(probe), wanted):
                left_out[_name(plan)] = reason
            else:
                started[plan] = runner
        except Exception as error:  # whatever it is, it must not stop those that run
            left_out[_name(plan)] = str(error).strip().splitlines()[0][:120] if str(error).strip() else repr(error)
    began = time.perf_counter()
    reference(probe)
    images = max(1, min(batch, int(PASS / max(time.perf_counter() - began, 1e-9))))
    # The first pass of a shape brings weights into its order and finds memory; on a GPU the second may capture a graph.
    warm_ups = 2 if exact.device.startswith("cuda") else min(1, images - 1)  # of one image there has been a pass
    spent = _raced(started, example_pixels(preprocessing, images), warm_ups)
    return Timing({_name(plan): statistics.median(times) / images for plan, times in spent.items()}, left_out)


def _raced(runners: Mapping[Plan, Runner], pixels: Tensor, warm_ups: int) -> dict[Plan, list[float]]:
    """Seconds of each plan's passes, in rounds in which each has one turn."""
    for runner in runners.values():
        for _ in range(warm_ups):
            runner(pixels)
    spent: dict[Plan, list[float]] = {plan: [] for plan in runners}
    racing, began = dict(runners), time.perf_counter()
    for number in range(1, ROUNDS + 1):
        for plan, runner in racing.items():
            start = time.perf_counter()
            runner(pixels)
            spent[plan].append(time.perf_counter() - start)
        if time.perf_counter() - began > (BUDGET if number > 1 else 2 * BUDGET):  # two rounds, if that is bearable
            break
        fastest = min((statistics.median(spent[plan]) for plan in racing), default=0.0)
        lost = HOPELESS if number == 1 else LOST
        racing = {plan: runner for plan, runner in racing.items() if min(spent[plan]) < lost * fastest}
    return spent


def _differs(values: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> str:
    """Why these are not the features that are wanted, '' if they are. Logits may cancel out and are not compared."""
    for name, right in wanted.items():
        own = values[name].astype(np.float64).reshape(len(right), -1)  # (N, D)
        if not np.isfinite(own).all():
            return f"it makes NaN or infinite values at {name}"
        right = right.astype(np.float64).reshape(len(right), -1)
        off = np.linalg.norm(own - right, axis=1) / np.maximum(np.linalg.norm(right, axis=1), 1e-30)
        if name != LOGITS and off.max() > TOLERANCE:
            return f"{name} is off by {off.max():.1%}"
    return ""


def example_pixels(preprocessing: Preprocessing, number: int) -> Tensor:
    """Pictures of smooth colours with some noise: (N, C, S, S) of the type that pixels have."""
    random = torch.Generator().manual_seed(0)
    side, channels = preprocessing.crop, preprocessing.channels
    coarse = torch.rand(number, channels, 6, 6, generator=random)
    smooth = torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear", align_corners=True)
    noise = torch.rand(number, channels, side, side, generator=random)
    return (220 * smooth + 35 * noise).to(torch.uint8).to(getattr(torch, preprocessing.pixel_type))


def keep(file: Path, timing: Timing) -> None:
    """Write a timing down, if that can be done: it is no matter if not."""
    files.keep(file, json.dumps(asdict(timing), indent=1).encode())


def kept(file: Path, plans: Sequence[Plan]) -> Timing | None:
    """What was written down of these plans, None if nothing was or it is damaged."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        timing = Timing(dict(content["seconds"]), {name: str(reason) for name, reason in content["left_out"].items()})
        sound = all(isinstance(each, float) and 0 < each < math.inf for each in timing.seconds.values())
        told = {*timing.seconds, *timing.left_out} >= {_name(plan) for plan in plans}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return timing if sound and told else None


def _name(plan: Plan) -> str:
    return f"{plan.precision} {plan.engine}"
