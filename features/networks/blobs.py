"""The names of Caffe2's blobs, which have no dots, as paths."""

import re
from collections.abc import Mapping

import torch

from features.networks.containers import TensorRecord
from features.networks.layers import STATISTICS
from features.networks.spellings import BLOB, BLOB_BRANCH, BLOB_TENSORS

Records = Mapping[str, TensorRecord]
EPSILON = 1e-5  # what Architecture has, so that the scale is as it is
FIRST = re.compile(r"(?:^|\.)res\d+_0_branch2a_w$")


def as_paths(records: Records) -> Records:
    """Tensors as they are; those of Caffe2 under paths, 'res2_0_branch2a_bn_s' as 'res2.0.branch2.norm1.weight'.

    Its norms are a scale and a shift of each channel, if they have no statistics: these are added, as zeros and ones.
    """
    if not any(map(FIRST.search, records)):
        return records
    named = {_path(name): record for name, record in records.items() if not name.endswith("_momentum")}
    scales = [name.removesuffix(".weight") for name in named if re.search(r"norm\d?\.weight$", name)]
    for norm in scales:
        missing = not any(f"{norm}.{own}" in named for own in STATISTICS)
        if missing and not re.search(r"group_norm\d?$", norm):
            mean, variance = (f"{norm}.{own}" for own in STATISTICS)
            width = named[f"{norm}.weight"].shape
            named |= {mean: _filled(width, 0.0), variance: _filled(width, 1.0 - EPSILON)}
    return named


def _path(name: str) -> str:
    above, dot, own = name.rpartition(".")
    blob = BLOB.fullmatch(own)
    if blob is None or blob["own"] not in BLOB_TENSORS:
        return name
    kind, tensor = BLOB_TENSORS[blob["own"]]
    if blob["head"]:
        path = "fc"
    elif blob["stem"]:
        path = "conv1" if kind == "conv" else f"conv1.{kind}"
    elif blob["layer"]:
        path = f"res{blob['stage']}.{blob['block']}.{BLOB_BRANCH}.{kind}{'abc'.index(blob['layer']) + 1}"
    else:
        path = f"res{blob['stage']}.{blob['block']}.shortcut.{kind}"
    return f"{above}{dot}{path}.{tensor}"


def _filled(shape: tuple[int, ...], value: float) -> TensorRecord:
    return TensorRecord(shape, torch.float32, lambda: torch.full(shape, value))
