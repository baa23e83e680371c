"""The kernel behind half-precision convolutions, run number by number where there is no GPU."""

import subprocess
import sys

import pytest

pytest.importorskip("triton", reason="Triton is not installed")

PROGRAM = """
import torch
from features.engine import epilogue
random = torch.Generator().manual_seed(0)
for shape in ((2, 48, 7, 5), (3, 5, 1, 1), (1, 1100, 2, 2), (0, 16, 4, 4)):
    values, other = (torch.randn(shape, generator=random).half() for _ in range(2))
    bias = torch.randn(shape[1], generator=random)
    if values.numel():
        values[0, 0, 0, 0] = torch.nan
    for beside in (None, other):
        total = values.float() + bias[:, None, None] + (0 if beside is None else beside.float())
        made = epilogue.add_relu(values.clone(memory_format=torch.channels_last), bias, beside)
        assert torch.equal(made.nan_to_num(-1), total.relu().half().nan_to_num(-1)), shape
print("equal")
"""


def test_it_adds_in_float32_rounds_once_and_keeps_nan(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.split()[-1:] == ["equal"], done.stderr[-500:]
