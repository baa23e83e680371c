"""OpenVINO on the CPU, with every stage as an output of one compiled network.

An extra (requirements-openvino.txt): imported only when it is asked for.
"""

import copy
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from features.engine.layers import split, widened_stem
from features.engine.reading import LOGITS, POOLED, Reading, pooled
from features.network import ResidualNetwork

HINTS = {"fp32": "f32", "bf16": "bf16"}
REVISION = 2  # of what is written to the cache


class OpenVinoEngine:
    """A network converted once, kept on disk, and compiled for this CPU."""

    def __init__(self, network: ResidualNetwork, reading: Reading, shape: tuple[int, int, int], key: str) -> None:
        """shape: (C, S, S) of one image. key: what the weights are known by; '' keeps nothing on disk."""
        import openvino

        self.name = f"openvino {openvino.__version__}"
        self.reading = reading
        self.split = reading.precision == "bf16"
        outputs = _Outputs(network, reading, shape)
        self.outputs = outputs.names
        settings = {"INFERENCE_PRECISION_HINT": HINTS[reading.precision], "PERFORMANCE_HINT": "LATENCY"}
        model = _converted(outputs, f"{key} {openvino.__version__}" if key else "")
        if self.split:
            processor = openvino.preprocess.PrePostProcessor(model)
            processor.input().tensor().set_element_type(openvino.Type.bf16)
            model = processor.build()
        self._compiled = openvino.Core().compile_model(model, "CPU", settings)
        self._request = self._compiled.create_infer_request()

    def __call__(self, pixels: Tensor) -> dict[str, np.ndarray]:
        found = self._request.infer([self._input(pixels)])
        kind = np.float16 if self.reading.pool == "none" else np.float32
        return {
            # A copy, since the request uses its own again.
            name: found[place].astype(np.float32 if name in (POOLED, LOGITS) else kind)
            for place, name in enumerate(self.outputs)
        }

    def _input(self, pixels: Tensor) -> Any:
        if not self.split:
            return np.ascontiguousarray(pixels.numpy())
        import openvino

        parts = split(pixels.contiguous(), torch.bfloat16)  # (N, 3C, S, S)
        return openvino.Tensor(parts.view(torch.uint16).numpy(), list(parts.shape), openvino.Type.bf16)


class _Outputs(nn.Module):
    """A network that puts out everything of a reading."""

    def __init__(self, network: ResidualNetwork, reading: Reading, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).cpu().eval()  # the one that is shared may lie on a GPU
        self.shape = shape
        if reading.precision == "bf16":
            self.network.stem = widened_stem(self.network.stem, torch.bfloat16)
            self.shape = (3 * shape[0], *shape[1:])
        self.pool = reading.pool
        self.names = [name for name in ("stem", *network.stage_names, POOLED) if name in reading.stages]
        self.names += [LOGITS] if network.classifier is not None else []
        # OpenVINO computes everything after an output's last matrix product in fp32, and that is half of every block
        # here. A product with the identity before the output keeps bf16 in the blocks: 51 images/s for 46 (ResNet-50,
        # OpenVINO 2026.4), at the price of one more rounding.
        self.last = nn.ModuleDict()
        if reading.precision == "bf16" and self.pool != "none":
            with torch.inference_mode():
                widths = {name: values.shape[1] for name, values in self._walk(torch.zeros(1, *self.shape))}
            self.last.update({name: _identity(widths[name]) for name in self.names if name != LOGITS})

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(
            self.last[name](values) if name in self.last else values
            for name, values in self._walk(x)
            if name in self.names
        )

    def _walk(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        for name, x in self.network.trunk(x):  # noqa: B020
            yield name, x if self.pool == "none" else pooled(x, self.pool)
        features = x.mean((2, 3))  # (N, D)
        yield POOLED, features
        if self.network.classifier is not None:
            yield LOGITS, self.network.classifier(features)


def _identity(width: int) -> nn.Linear:
    linear = nn.Linear(width, width, bias=False)
    linear.weight.data = torch.eye(width)
    return linear


def cache_folder() -> Path:
    """Where converted networks lie; deleting it costs no more than converting them again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "resnet-explorer" / "openvino"


def _converted(outputs: _Outputs, key: str) -> Any:
    import openvino

    made_of = f"{REVISION} {key} {outputs.names} {outputs.pool} {outputs.shape} {outputs}"
    folder = cache_folder() / hashlib.sha256(made_of.encode()).hexdigest()[:24]
    file = folder / "network.xml"
    if key and file.exists():
        return openvino.Core().read_model(file)
    with torch.inference_mode(False), torch.no_grad():
        example = torch.zeros(2, *outputs.shape)
        batch = {"x": {0: torch.export.Dim("batch", min=1, max=1 << 16)}}
        program = torch.export.export(outputs.eval(), (example,), dynamic_shapes=batch)
    model = openvino.convert_model(program)
    if key:
        _keep(model, folder)
    return model


def _keep(model: Any, folder: Path) -> None:
    """Write both files of a network in one move, or leave it: the network itself is at hand."""
    import openvino

    temporary = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}")
    try:
        temporary.mkdir(parents=True)
        openvino.save_model(model, temporary / "network.xml", compress_to_fp16=False)
        temporary.rename(folder)
    except OSError:  # no room, or another process was first
        pass
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
