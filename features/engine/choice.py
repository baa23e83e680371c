"""Makes the open choices of a plan: what was asked for, what this machine has, and what a short timing says."""

import hashlib
import importlib.metadata
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from features.devices import best_device, processor_name
from features.engine import timing
from features.engine.plan import (
    AUTO,
    OPENVINO,
    POOLINGS,
    PRECISIONS,
    TORCH,
    Plan,
    Runner,
    blocks_of,
    readable,
    stages_of,
)
from features.engine.registry import ENGINES, has_fast_bf16
from features.errors import FeatureError
from features.files import cache_folder
from features.networks.canonical import ResidualNetwork
from features.networks.preprocessing import Preprocessing

BATCH = 16
ASKED, UNTIMED = "as asked for", "the fastest here, which a short timing will tell"


def choose(
    network: ResidualNetwork,
    stages: Sequence[str] | None = None,
    pool: str = "mean",
    precision: str = AUTO,
    device: str = AUTO,
    engine: str = AUTO,
) -> Plan:
    """A plan of what was asked for: None means every stage, 'auto' what is fastest here.

    Where more than one precision or engine could be that, they stay 'auto' until `decide` has timed them: this one
    takes no time. Raises FeatureError for stages, pools, precisions, devices and engines that do not exist here.
    """
    known = readable(network)
    wanted = tuple(dict.fromkeys(stages)) if stages is not None else network.stage_names
    unknown = [name for name in wanted if name not in known]
    if not wanted or unknown:
        what = f"There is no stage {', '.join(unknown)}." if unknown else "No stage is named."
        first, last = blocks_of(network)[1], blocks_of(network)[-1]
        raise FeatureError(
            f"{what} This network has {', '.join(stages_of(network))}, and the blocks {first} to {last}."
        )
    POOLINGS.need(pool)
    where = _device(device)
    if precision not in (AUTO, *PRECISIONS):
        raise FeatureError(f"The precision is {precision!r}. Wanted 'auto' or one of {', '.join(PRECISIONS)}.")
    if engine != AUTO:
        ENGINES.need(engine)
    asked = Plan(wanted, pool, precision, "cpu" if where.type == "cpu" else str(where), engine, UNTIMED)
    plans = candidates(network, asked)
    return plans[0] if len(plans) == 1 else asked


def candidates(network: ResidualNetwork, plan: Plan) -> tuple[Plan, ...]:
    """Every plan with the open choices made that could be the fastest: the exact ones first, never none.

    Raises FeatureError if the engine that was asked for cannot be used here.
    """
    device = torch.device(plan.device)
    precisions = ["fp32", *(["bf16"] if has_fast_bf16(device) else [])] if plan.precision == AUTO else [plan.precision]
    engines = list(ENGINES.values()) if plan.engine == AUTO else [ENGINES[plan.engine]]
    plans: list[Plan] = []
    doubted: list[Plan] = []
    reasons = [ASKED]
    for precision in precisions:
        for engine in engines:
            this = replace(plan, precision=precision, engine=engine.name)
            obstacle = engine.obstacle(device, precision)
            asked = plan.engine != AUTO and precision in (plan.precision, "fp32")
            doubt = "" if asked else engine.doubt(network, device, precision)
            if not obstacle:
                (doubted if doubt else plans).append(this)
            if plan.engine == AUTO and (obstacle or doubt):
                reasons.append(obstacle or doubt)
    if not plans and not doubted:
        raise FeatureError(
            f"{engines[0].title} cannot be used: {engines[0].obstacle(device, precisions[0])}. Leave the engine at "
            "'auto', or choose 'torch'."
        )
    # The registry's last entry is the fastest where it can be used: what stands against it is the reason.
    plans = [replace(this, why=reasons[-1]) for this in plans or doubted[:1]]
    return tuple(plans)


def decide(
    network: ResidualNetwork, preprocessing: Preprocessing, plan: Plan, batch: int = BATCH, key: str = ""
) -> Plan:
    """The same plan with every choice made, by a short timing where there is one to make (`timing`).

    batch: images at a time. key: what the weights are known by, for what an engine keeps on disk, '' for nothing.
    Raises FeatureError if not even the first candidate runs.
    """
    if not plan.is_open:
        return plan
    if (known := recall(network, preprocessing, plan, batch)) is not None:
        return known
    plans = candidates(network, plan)
    exact = replace(plans[0], precision="fp32", engine=TORCH)
    runners = {this: partial(start, network, preprocessing, this, key) for this in dict.fromkeys((*plans, exact))}
    timed = timing.measure(runners, exact, preprocessing, batch)
    if timed.seconds:  # else the weights are broken, which whoever runs them will say
        timing.keep(_file(network, preprocessing, plans, batch), timed)
    return timed.fastest(plans)


def recall(network: ResidualNetwork, preprocessing: Preprocessing, plan: Plan, batch: int = BATCH) -> Plan | None:
    """What an earlier timing on this machine decided for networks of this shape, or None: takes no time."""
    plans = candidates(network, plan)
    timed = timing.kept(_file(network, preprocessing, plans, batch), plans)
    return None if timed is None else timed.fastest(plans)


def start(network: ResidualNetwork, preprocessing: Preprocessing, plan: Plan, key: str = "") -> Runner:
    """What runs a plan. key: what the weights are known by, for what an engine keeps on disk.

    Raises FeatureError if its engine cannot be used here.
    """
    plan = decide(network, preprocessing, plan, key=key)
    engine = ENGINES[plan.engine]
    if obstacle := engine.obstacle(torch.device(plan.device), plan.precision):
        raise FeatureError(f"{engine.title} cannot be used: {obstacle}. Leave the engine at 'auto', or choose 'torch'.")
    return engine.start(network, preprocessing, plan, key)


def _device(device: str) -> torch.device:
    try:
        where = best_device() if device == AUTO else torch.device(device)
    except RuntimeError:
        where = torch.device("meta")
    if where.type not in ("cpu", "cuda"):
        raise FeatureError(f"The device is {device!r}. Wanted 'auto', 'cpu' or 'cuda'.")
    if where.type == "cuda" and (where.index or 0) >= torch.cuda.device_count():
        raise FeatureError(
            f"The device is {device!r}, and this machine has {torch.cuda.device_count()} for CUDA. Leave the device at "
            "'auto', or choose 'cpu'."
        )
    return where


def _file(network: ResidualNetwork, preprocessing: Preprocessing, plans: Sequence[Plan], batch: int) -> Path:
    """Where the timing of some plans is kept: named by all that it depends on, of weights only their shapes."""
    shapes = [(name, *values.shape) for name, values in network.state_dict().items()]
    kinds = [block.shortcut_kind for _, block in network.blocks()]
    device = torch.device(plans[0].device)
    versions = [importlib.metadata.version("torch")]
    versions += [importlib.metadata.version(OPENVINO)] if any(plan.engine == OPENVINO for plan in plans) else []
    ways = [(plan.precision, plan.engine) for plan in plans]
    machine = (device.type, processor_name(device), torch.get_num_threads(), *versions)
    made_of = repr((timing.REVISION, shapes, kinds, preprocessing.crop, machine, ways, batch))
    return cache_folder("timings") / f"{hashlib.sha256(made_of.encode()).hexdigest()[:24]}.json"
