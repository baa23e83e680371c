"""Modules of networks that were pickled whole, which are inert, as records of layers.

A module is a class's name and its attributes. None is made, and none of their code is there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from features.errors import WeightsError
from features.networks.building import MODULES
from features.networks.containers import Content, Inert, TensorRecord
from features.networks.layers import Layer
from features.networks.layout import Pool

MAX_VISITED = 100_000
WAY_OUT = "Load it in Python, and give the module to features.networks.canonical, which compares what both compute"
CONVS = {"Conv2d": False, "StdConv2d": True}  # class -> whether it standardises its weights
NORMS = {
    "BatchNorm2d", "BatchNorm1d", "SyncBatchNorm", "FrozenBatchNorm2d", "BatchNormAct2d", "GroupNorm", "GroupNormAct",
    "LayerNorm",
}  # fmt: skip
ACTIVATIONS = {type(make()).__name__: name for name, make in MODULES.items()}
IDLE = {
    "Identity", "Dropout", "Dropout1d", "Dropout2d", "DropPath", "DropBlock", "DropBlock2d", "StochasticDepth",
    "Flatten", "Sequential", "ModuleList", "FloatFunctional",
}  # fmt: skip
POOLS = {"MaxPool2d": "max", "AvgPool2d": "average", "BlurPool2d": "blur", "BlurPool": "blur"}
PADS = {"ConstantPad2d", "ZeroPad2d"}
HEAD_POOLS = {  # class of what pools before a head -> Architecture.head_pool
    "AdaptiveAvgPool2d": "average", "AvgPool2d": "average", "AdaptiveAvgPool": "average",
    "FastAdaptiveAvgPool": "average", "AdaptiveMaxPool2d": "max", "FastAdaptiveMaxPool": "max",
    "AdaptiveAvgMaxPool2d": "mixed", "FastAdaptiveAvgMaxPool": "mixed", "AdaptiveCatAvgMaxPool2d": "average-max",
    "FastAdaptiveCatAvgMaxPool": "average-max",
}  # fmt: skip
CONCAT_POOL = "AdaptiveConcatPool2d"  # fastai's: a pool for maxima and one for averages, in it


@dataclass(frozen=True, eq=False)
class Modules:
    """The modules of a file in their order, by their paths. paths: of the module that holds a record, by its id."""

    by_path: Mapping[str, Inert]
    paths: Mapping[int, str]

    def path(self, layer: Layer) -> str | None:
        """Where the module of a layer lies, None where no plain module holds its weight."""
        record = layer.tensors.get("weight") or layer.tensors.get("running_mean")
        path = self.paths.get(id(record))
        return path if path in self.by_path else None

    def under(self, path: str) -> Iterator[tuple[str, Inert]]:
        """Modules in a module that have none in them, with their paths from there, in order."""
        prefix = f"{path}." if path else ""
        start = self._at.get(path)  # those in a module follow it
        for name in islice(self._order, 0 if start is None else start + 1, None):
            inside = name.startswith(prefix) and name != path
            if start is not None and not inside:
                return
            if inside and not self.by_path[name].state["_modules"]:
                yield name.removeprefix(prefix), self.by_path[name]

    @cached_property
    def _order(self) -> list[str]:
        return list(self.by_path)

    @cached_property
    def _at(self) -> dict[str, int]:
        return {name: at for at, name in enumerate(self._order)}


def modules_of(content: Content, records: Mapping[str, TensorRecord]) -> Modules | None:
    """The modules in a file, None where it holds tensors alone."""
    modules: dict[str, Inert] = {}
    stack: list[tuple[str, Any]] = [("", content.values)]
    for _ in range(MAX_VISITED):
        if not stack:
            break
        name, value = stack.pop()
        children: Any = value if isinstance(value, dict) else {}
        if isinstance(value, Inert):
            children = value.state.get("_modules", {})
            if isinstance(children, dict) and "_modules" in value.state and name not in modules:
                modules[name] = value
        if isinstance(children, dict):
            inside = [
                (key, each) for key, each in children.items() if isinstance(each, dict | Inert) and isinstance(key, str)
            ]
            stack += [(f"{name}.{key}" if name else key, each) for key, each in reversed(inside)]
    if not modules:
        return None
    return Modules(modules, {id(record): name.rpartition(".")[0] for name, record in records.items()})


def class_of(module: Inert | None) -> str:
    return module.name.rpartition(".")[2] if module is not None else ""


def is_known(module: Inert) -> bool:
    return class_of(module) in {*IDLE, *ACTIVATIONS, *CONVS, *NORMS}


def side_of(value: object) -> int | None:
    """Of a number for each side, where all are the same; None for anything else."""
    values = value if isinstance(value, tuple | list) else (value,)
    fits = len(values) in (1, 2, 4) and all(type(each) is int and 0 <= each < 1 << 16 for each in values)
    return values[0] if fits and len(set(values)) == 1 else None


def whole(value: object) -> int:
    return value if type(value) is int else 0


def pool_of(path: str, module: Inert) -> Pool | None:
    """The record of a pool; None for what is none. Raises WeightsError for one that no record describes."""
    kind = POOLS.get(class_of(module))
    if kind is None:
        return None
    state = module.state
    if kind == "blur":
        if state.get("filt_size", 3) != 3 or (stride := side_of(state.get("stride", 2))) is None:
            raise refused(path, "a blur of another filter than 1-2-1")
        return Pool("blur", 3, stride, 1)
    kernel = side_of(state.get("kernel_size"))
    stride = side_of(state.get("stride")) if state.get("stride") is not None else kernel
    padding, ceil = side_of(state.get("padding", 0)), state.get("ceil_mode", False)
    plain = state.get("dilation", 1) in (1, (1, 1)) and type(ceil) is bool
    if not plain or kernel is None or stride is None or padding is None or (kind == "average" and padding):
        raise refused(path, "a pool of sides that differ, or with a border or gaps in its squares")
    return Pool(kind, kernel, stride, padding, ceil and kind == "max")


def activation_of(path: str, module: Inert) -> str:
    """The name of an activation, '' for what is none. Raises WeightsError for one with other settings than usual."""
    name = ACTIVATIONS.get(class_of(module), "")
    if name:
        usual = {key: value for key, value in vars(MODULES[name]()).items() if not key.startswith("_")}
        changed = [
            key for key in usual.keys() - {"training", "inplace"} if module.state.get(key, usual[key]) != usual[key]
        ]
        if changed:
            raise refused(path, f"an activation with another {', '.join(sorted(changed))} than usual")
    return name


def shared(paths: Sequence[str]) -> str:
    """The steps that paths have in common, the last ones apart."""
    steps = [path.split(".")[:-1] for path in paths]
    count = next((at for at, each in enumerate(zip(*steps, strict=False)) if len(set(each)) > 1), min(map(len, steps)))
    return ".".join(steps[0][:count])


def refused(path: str, what: str) -> WeightsError:
    return WeightsError(f"a whole network with {path[:80]} {what[:200]}. {WAY_OUT}")
