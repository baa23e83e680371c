"""Which precision and engine a run takes: those of the run that it goes on with, or what a timing says."""

from dataclasses import replace
from pathlib import Path

import torch

from features import claim, engine
from features.datasets.decoding import batch_size
from features.engine import AUTO, ENGINES, PRECISIONS, Plan
from features.errors import FeatureError
from features.networks.zoo import Model
from features.store import read_manifest
from features.store.manifest import EARLIER_PARTS


def decide(model: Model, plan: Plan, folder: Path, size: int | None = None, anew: bool = False) -> Plan:
    """The same plan with every choice made for a run that writes to a folder.

    A run that a folder holds is gone on with as it was begun, whatever a timing would say today: its features would
    differ in their last digits otherwise. size: images per batch. anew: whether what the folder holds may be replaced.
    Raises FeatureError as `engine.decide` does, and if the folder's run was begun with an engine that cannot be used
    here, unless it may be replaced.
    """
    if (known := recall(model, plan, folder, size, anew)) is not None:
        return known
    preprocessing = model.spec.preprocessing
    size = size or batch_size(preprocessing, plan.device)
    return engine.decide(model.network, preprocessing, plan, size, model.key)


def recall(model: Model, plan: Plan, folder: Path, size: int | None = None, anew: bool = False) -> Plan | None:
    """What `decide` says where it need not time anything: the folder's run or an earlier timing tells; else None."""
    if not plan.is_open:
        return plan
    if (begun := begun_with(model, plan, folder, anew)) is not None:
        return begun
    preprocessing = model.spec.preprocessing
    return engine.recall(model.network, preprocessing, plan, size or batch_size(preprocessing, plan.device))


def begun_with(model: Model, plan: Plan, folder: Path, anew: bool = False) -> Plan | None:
    """The plan with the choices of the run that a folder holds, or None if it holds none that they are open to.

    Another network's choices are not this one's: a narrow network does not bear what a wide one does.
    """
    settings = _settings(folder)
    if settings.get("weights_sha256") != model.digest:
        return None
    precision, name = str(settings.get("precision")), str(settings.get("engine"))
    if precision not in PRECISIONS or name not in ENGINES or settings.get("device") != torch.device(plan.device).type:
        return None
    if plan.precision not in (AUTO, precision) or plan.engine not in (AUTO, name):
        return None
    if obstacle := ENGINES[name].obstacle(torch.device(plan.device), precision):
        if anew:
            return None
        raise FeatureError(
            f"{folder} was begun with {ENGINES[name].title}, which cannot be used: {obstacle}. Mend this to go on, "
            "choose another folder, or have it replaced."
        )
    return replace(plan, precision=precision, engine=name, why=f"as {folder} was begun")


def _settings(folder: Path) -> dict[str, object]:
    """Of the features that lie in a folder, or of a run that was stopped there."""
    if settings := claim.begun_with(folder):
        return settings
    for where in (folder, folder / EARLIER_PARTS):  # where an earlier version kept what it made other formats of
        try:
            return read_manifest(where).settings
        except FeatureError:
            continue
    return {}
