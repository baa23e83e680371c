"""OpenVINO on the CPU, with every stage as an output of one compiled network.

An extra (requirements-openvino.txt): imported only when it is asked for.
"""

import hashlib
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from features import files
from features.engine.folding import folded, pixel_stem, rounded
from features.engine.plan import GEM_FLOOR, GEM_POWER, LOGITS, OPENVINO, POOLED, PRECISIONS, Plan, pooled, readable
from features.errors import FeatureError
from features.networks.canonical import ResidualNetwork, own_copy
from features.networks.preprocessing import Preprocessing

HINTS = {"fp32": "f32", "bf16": "bf16"}
REVISION = 3  # of what is written to the cache


class OpenVinoEngine:
    """A network converted once, kept on disk, and compiled for this CPU."""

    def __init__(self, network: ResidualNetwork, preprocessing: Preprocessing, plan: Plan, key: str) -> None:
        """key: what the weights are known by; '' keeps nothing on disk."""
        import openvino

        self.name = f"openvino {openvino.__version__}"
        self.plan = plan
        outputs = _Outputs(network, preprocessing, plan)
        if not all(values.isfinite().all() for values in outputs.state_dict().values()):
            # OpenVINO's ReLU makes 0 of NaN, so that nothing would be seen of it in what comes out.
            raise FeatureError(
                "The weights make NaN or infinite values, so they are broken. Load them again, or choose other ones."
            )
        self.outputs = outputs.names
        settings = {"INFERENCE_PRECISION_HINT": HINTS[plan.precision], "PERFORMANCE_HINT": "LATENCY"}
        read = f"{plan.pool} {GEM_POWER} {GEM_FLOOR} {plan.precision} {outputs.names}"
        made_of = f"{REVISION} {openvino.__version__} {key} {preprocessing} {read} {outputs}"
        model = _converted(outputs, hashlib.sha256(made_of.encode()).hexdigest()[:24] if key else None)
        self._compiled = openvino.Core().compile_model(model, "CPU", settings)
        self._request = self._compiled.create_infer_request()

    def begin(self, pixels: Tensor) -> Callable[[], dict[str, np.ndarray]]:
        """Read a batch at once: it is computed on the cores that would have to wait."""
        features = self(pixels)
        return lambda: features

    def __call__(self, pixels: Tensor) -> dict[str, np.ndarray]:
        outputs = self._request.infer([np.ascontiguousarray(pixels.numpy())])
        kind = np.float16 if self.plan.keeps_maps else np.float32
        return {
            # A copy, since the request uses its own again.
            name: outputs[index].astype(np.float32 if name in (POOLED, LOGITS) else kind)
            for index, name in enumerate(self.outputs)
        }


class _Outputs(nn.Module):
    """A network that takes uint8 and puts out everything of a plan."""

    def __init__(self, network: ResidualNetwork, preprocessing: Preprocessing, plan: Plan) -> None:
        super().__init__()
        self.network = own_copy(network, "cpu")
        side = preprocessing.crop
        self.example = torch.zeros(
            2, preprocessing.channels, side, side, dtype=getattr(torch, preprocessing.pixel_type)
        )
        dtype = PRECISIONS[plan.precision]
        self.network.stem = pixel_stem(self.network.stem, preprocessing, dtype)
        for _, block in self.network.blocks():
            block.shortcut = rounded(folded(block.shortcut), dtype)
            block.branch = cast(nn.Sequential, rounded(folded(block.branch), dtype))
        self.plan = plan
        self.names = [name for name in readable(network) if name in plan.stages and name != LOGITS]
        self.names += [LOGITS] if network.classifier is not None else []
        # OpenVINO computes everything after an output's last matrix product in fp32, and that is half of every block
        # here. A product with the identity before the output keeps bf16 in the blocks: 51 images/s for 46 (ResNet-50,
        # OpenVINO 2026.4), at the price of one more rounding.
        self.last = nn.ModuleDict()
        if plan.precision == "bf16" and not plan.keeps_maps:
            with torch.inference_mode():
                widths = {name: values.shape[1] for name, values in self._walk(self.example)}
            self.last.update({name: _identity(widths[name]) for name in self.names if name != LOGITS})

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(
            self.last[name](values) if name in self.last else values
            for name, values in self._walk(x)
            if name in self.names
        )

    def _walk(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        for name, x in self.network.trunk(x, blocks=True):  # noqa: B020
            yield name, x if self.plan.keeps_maps else pooled(x, self.plan.pool)
        features = self.network.pooled(x)  # (N, D)
        yield POOLED, features
        if self.network.classifier is not None:
            yield LOGITS, self.network.classifier(features)


def _identity(width: int) -> nn.Linear:
    linear = nn.Linear(width, width, bias=False)
    linear.weight.data = torch.eye(width)
    return linear


def _converted(outputs: _Outputs, name: str | None) -> Any:
    """OpenVINO's form of a network, from disk if it lies there by this name."""
    import openvino

    folder = files.cache_folder(OPENVINO) / (name or "")
    file = folder / "network.xml"
    if name and file.exists():
        try:
            return openvino.Core().read_model(file)
        except RuntimeError:  # damaged: it is made again
            shutil.rmtree(folder, ignore_errors=True)
    with torch.inference_mode(False), torch.no_grad():
        batch = {"x": {0: torch.export.Dim("batch", min=1, max=1 << 16)}}
        program = torch.export.export(outputs.eval(), (outputs.example,), dynamic_shapes=batch)
    model = openvino.convert_model(program)
    # Read again at once where it was kept: read, it differs in the last digit.
    return openvino.Core().read_model(file) if name and _kept(model, folder) else model


def _kept(model: Any, folder: Path) -> bool:
    """Write both files of a network in one move, and say whether they are there: it is no matter if they are not."""
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
    return folder.exists()
