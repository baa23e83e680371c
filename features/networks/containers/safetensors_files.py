"""Reads the header of a safetensors file within bounds; its tensors are read by the library."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from features.errors import WeightsError
from features.networks.containers.tensors import TensorRecord

MAX_HEADER = 16 << 20  # bytes
DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip


def read_safetensors(path: Path) -> tuple[dict[str, TensorRecord], dict[str, str]]:
    """Records of the tensors of a file, and its metadata. Raises WeightsError if it is damaged."""
    from safetensors import SafetensorError, safe_open

    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > MAX_HEADER:
            raise WeightsError(
                f"a header of {size / 2**20:,.0f} MiB, where at most {MAX_HEADER >> 20} MiB are read. Save the "
                "network's state_dict alone, without metadata"
            )
        text = file.read(size)
    try:
        header = json.loads(text)
        if not isinstance(header, dict) or not all(isinstance(entry, dict) for entry in header.values()):
            raise ValueError("no table of tensors")
        with safe_open(path, framework="pt") as whole:  # checks offsets and sizes
            metadata = dict(whole.metadata() or {})
    except (ValueError, RecursionError, SafetensorError, OSError) as error:
        raise WeightsError(f"a safetensors file that is not whole ({_short(error)}). Copy it again") from error
    return {name: _record(path, name, entry) for name, entry in header.items() if name != "__metadata__"}, metadata


def _record(path: Path, name: str, entry: dict[str, Any]) -> TensorRecord:
    from safetensors import safe_open

    def load() -> Tensor:
        with safe_open(path, framework="pt") as file:
            return file.get_tensor(name)

    kind = DTYPES.get(entry["dtype"])
    return TensorRecord(tuple(entry["shape"]), kind or torch.float32, load, "" if kind else f"{entry['dtype']} numbers")


def _short(error: BaseException) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__
