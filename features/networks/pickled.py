"""What the modules of a network that was pickled whole say of it: strides, pools and what else tensors do not tell."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import Any

from features.errors import FeatureError, WeightsError
from features.networks import spellings, written
from features.networks.architecture import Architecture
from features.networks.containers import Inert
from features.networks.containers.torchscript import plain_name
from features.networks.inert_modules import (
    CONCAT_POOL,
    CONVS,
    HEAD_POOLS,
    IDLE,
    NORMS,
    PADS,
    WAY_OUT,
    Modules,
    activation_of,
    class_of,
    is_known,
    pool_of,
    refused,
    shared,
    side_of,
    whole,
)
from features.networks.inference import Inferred
from features.networks.layers import CONV, NORM, Layer
from features.networks.layout import Conv, Pool
from features.networks.parts import Part
from features.networks.plan import STEM_POOLS
from features.networks.stages import BlockLayers

EPSILON = 1e-8  # of standardised weights
PLAIN_HEADS = {"torchvision.models.resnet.ResNet"}  # which run nothing around the head


def applied(inferred: Inferred, part: Part, modules: Modules) -> Inferred:
    """What is told of a network, with what its modules say. Raises WeightsError if they say what is not run here."""
    reader = _Reader(inferred.architecture, part, modules)
    if reader.is_silent:
        return inferred
    network, told, fields = inferred.architecture, frozenset[str](), reader.fields()
    for dilations in reader.dilations():
        try:
            network = replace(inferred.architecture, **fields, **dilations)
        except FeatureError as error:
            raise WeightsError(f"a network that is not run here: {error}") from error
        told = frozenset(fields | dilations)
        if not reader.differences(network):
            break
    if differences := reader.differences(network):
        raise WeightsError(f"a whole network with what is not run here: {differences[0]}. {WAY_OUT}")
    return Inferred(network, inferred.told | told | reader.known_around())


class _Reader:
    """Reads the choices of one network off its modules."""

    def __init__(self, network: Architecture, part: Part, modules: Modules) -> None:
        self.network, self.part, self.modules = network, part, modules
        self.blocks = [block for stage in part.stages for block in stage]
        inside = [conv for block in self.blocks for conv in (*block.convs, *_convs(block.shortcut))]
        self.is_silent = not all(map(self._is_told, (*_convs(part.stem), *inside)))

    def _is_told(self, conv: Layer) -> bool:
        """Whether a convolution's module has its attributes, which TorchScript may have elsewhere."""
        path = self.modules.path(conv)
        return path is not None and self.modules.by_path[path].state.get("stride") is not None

    def fields(self) -> dict[str, Any]:
        """Fields of the architecture, but for dilations."""
        first = [stage[0] for stage in self.part.stages]
        first_conv = self._conv(_convs(self.part.stem)[0])
        pools = [self._pools(block) for block in first]
        kinds = {pool.kind for pooled in pools for pool in pooled}
        if len(kinds) > 1 or "max" in kinds:
            raise refused("pools in its blocks", "of kinds that no filter against aliasing is")
        strides = tuple(
            prod((*(conv.stride for conv in self._branch(block)), *(pool.stride for pool in pooled)))
            for block, pooled in zip(first, pools, strict=True)
        )
        antialias = kinds.pop() if kinds else "none"
        made: dict[str, Any] = {"stem_stride": first_conv.stride, "stem_padding": first_conv.pad, "strides": strides}
        made |= {"antialias": antialias, "stride_at": self._stride_at(first)}
        made |= self._of_norms() | self._of_shortcuts(first, strides) | self._stem_pool()
        return made | self._activation() | self._of_head() | {"standardised": self._is_standardised()}

    def dilations(self) -> Iterator[dict[str, Any]]:
        """What dilations may be: first blocks with those of the stage before, or with their own."""
        own = tuple(self._branch(stage[-1])[1].dilation for stage in self.part.stages)
        for first in ("previous", "own") if set(own) != {1} else ("previous",):
            yield {"dilations": own, "first_dilation": first}

    def differences(self, network: Architecture) -> list[str]:
        """Convolutions whose attributes are others than an architecture's, each in words."""
        pairs = list(zip(_convs(self.part.stem), _planned(network.stem_layers()), strict=False))
        for block, plan in zip(self.blocks, network.plan(), strict=True):
            pairs += zip(block.convs, _planned(plan.branch), strict=True)
            pairs += zip(_convs(block.shortcut), _planned(plan.projection), strict=False)
        return [
            f"{self.modules.path(layer)} is a {_words(self._conv(layer))}, where a {_words(wanted)} is read"
            for layer, wanted in pairs
            if _words(self._conv(layer)) != _words(wanted)
        ]

    def known_around(self) -> set[str]:
        """That nothing lies around the head, where the class of the network is known."""
        root = self.modules.by_path.get(self.part.name)
        return {written.HEAD} if root is not None and plain_name(root) in PLAIN_HEADS else set()

    def _conv(self, layer: Layer) -> Conv:
        path = self.modules.path(layer)
        module = self.modules.by_path[path or ""]
        state = module.state
        if class_of(module) not in CONVS:
            raise refused(str(path), f"of the class {module.name}, which may be no plain convolution")
        sides = [side_of(value) for value in (layer.shape[2:], state.get("stride"), state.get("dilation"))]
        padding = state.get("padding")
        kernel, stride, dilation = (side or 0 for side in sides)
        pad = {"valid": 0, "same": dilation * (kernel - 1) // 2}.get(padding) if isinstance(padding, str) else None
        pad = side_of(padding) if pad is None else pad
        if 0 in (kernel, stride, dilation) or pad is None or state.get("padding_mode", "zeros") != "zeros":
            raise refused(str(path), "with sides that differ, or with a border that is not of zeros")
        return Conv(0, 0, kernel, stride, whole(state.get("groups", 1)), dilation, pad)

    def _is_standardised(self) -> bool:
        convs = [*_convs(self.part.stem), *(conv for block in self.blocks for conv in block.convs)]
        modules = [self.modules.by_path[str(self.modules.path(conv))] for conv in convs]
        kinds = {CONVS[class_of(module)] for module in modules}
        if len(kinds) > 1 or (kinds == {True} and {module.state.get("eps") == EPSILON for module in modules} != {True}):
            raise refused("convolutions", f"standardised here and there, or with another epsilon than {EPSILON}")
        return kinds == {True}

    def _branch(self, block: BlockLayers) -> list[Conv]:
        return [self._conv(conv) for conv in block.convs]

    def _inside(self, block: BlockLayers) -> Iterator[tuple[str, Inert]]:
        """Modules of a block's branch without others in them."""
        root = shared([str(self.modules.path(conv)) for conv in block.convs])
        for path, module in self.modules.under(root):
            if not spellings.SHORTCUT.match(path) and not spellings.ATTENTION.match(path):
                yield f"{root}.{path}", module

    def _pools(self, block: BlockLayers) -> list[Pool]:
        """Filters in a branch. Raises WeightsError for modules that nothing is known of."""
        modules = []
        for path, module in self._inside(block):
            pool = pool_of(path, module)
            if pool is not None and pool.stride > 1:
                modules.append(pool)
            elif pool is None and not module.state.get("_parameters") and not is_known(module):
                raise refused(path, f"of the class {module.name}, whose computation no file tells")
        return modules

    def _stride_at(self, first: Sequence[BlockLayers]) -> str:
        names = ("first", "middle", "last") if self.network.block == "bottleneck" else ("middle", "last")
        at = {name for block in first for name, conv in zip(names, self._branch(block), strict=True) if conv.stride > 1}
        if len(at) > 1:
            raise refused("blocks", "with strides in one convolution here and in another there")
        return at.pop() if at else "middle"

    def _of_norms(self) -> dict[str, Any]:
        norms = [
            layer for block in self.blocks for layer in (*block.norms, *block.shortcut) if layer.kind == NORM
        ] + [layer for layer in (*self.part.stem, *self.part.last) if layer.kind == NORM]  # fmt: skip
        modules = [
            (path, self.modules.by_path[path]) for norm in norms if (path := self.modules.path(norm)) is not None
        ]
        for path, module in modules:
            named = class_of(module)
            kept = self.network.norm != "group" or named.startswith("Group")
            if named not in NORMS or not kept:
                raise refused(path, f"of the class {module.name}, which is not run here")
        made: dict[str, Any] = {}
        for field, name in (("epsilon", "eps"), ("norm_groups", "num_groups")):
            every = [module.state.get(name) for _, module in modules]
            values = {value for value in every if isinstance(value, int | float)}
            if len(values) > 1:
                raise refused("norms", f"whose {field} differs: {', '.join(map(str, sorted(values)))}")
            if values and len(norms) == sum(isinstance(value, int | float) for value in every):
                made[field] = values.pop()
        return made | ({"norm": self.network.norm} if len(modules) == len(norms) else {})

    def _of_shortcuts(self, first: Sequence[BlockLayers], strides: Sequence[int]) -> dict[str, Any]:
        pooled = set()
        for block, stride in zip(first, strides, strict=True):
            for conv in _convs(block.shortcut):
                path = str(self.modules.path(conv))
                parent = path.rpartition(".")[0]
                inside = self.modules.under(parent) if not _holds(parent, self._inside(block)) else ()
                pools = [pool for name, module in inside if (pool := pool_of(f"{parent}.{name}", module)) is not None]
                pools = [pool for pool in pools if pool.stride > 1]
                if any(pool.kind != "average" or (pool.kernel, pool.stride) != (stride, stride) for pool in pools):
                    raise refused(parent, "with a pool that is no average of the pixels that it skips")
                pooled |= {bool(pools)} if stride > 1 else set()
        if len(pooled) > 1:
            raise refused("shortcuts", "with a pool here and without one there")
        return {"shortcut_pool": "average" if pooled == {True} else "none"} if pooled else {}

    def _between(self) -> Iterator[tuple[str, Inert]]:
        """Modules behind the stem's first convolution and before the first block."""
        first, last = (str(self.modules.path(convs[0])) for convs in (_convs(self.part.stem), self.blocks[0].convs))
        root = shared([first, last])
        begun = False
        for path, module in self.modules.under(root):
            path = f"{root}.{path}".lstrip(".")
            if path == first:
                begun = True
            elif begun:
                if path.startswith(shared([str(self.modules.path(conv)) for conv in self.blocks[0].convs])):
                    return
                yield path, module

    def _stem_pool(self) -> dict[str, Any]:
        if self.part.stem_pool:
            return {}
        pools: list[Pool] = []
        pad, idle = 0, False
        for path, module in self._between():
            pool = pool_of(path, module)
            if class_of(module) in PADS:
                pad = side_of(module.state.get("padding")) or 0
            elif pool is not None:
                pools.append(replace(pool, padding=pad, zeros=True) if pad else pool)
            elif "pool" in path.rpartition(".")[2] and class_of(module) in IDLE:
                idle = True
        for name, layers in STEM_POOLS.items():
            if name not in ("none", "conv") and [layer for _, layer in layers(self.network)] == pools:
                return {"stem_pool": name}
        if pools:
            told = ", ".join(pool.describe() for pool in pools)
            raise refused("the stem", f"with a pool that is not run here ({told}, padding {pools[0].padding})")
        return {"stem_pool": "none"} if idle else {}

    def _activation(self) -> dict[str, Any]:
        inside = [each for block in self.blocks for each in self._inside(block)]
        names = [activation_of(path, module) for path, module in (*self._between(), *inside)]
        kinds = {name for name in names if name}
        if len(kinds) > 1:
            raise refused("activations", f"of several kinds: {', '.join(sorted(kinds))}")
        return {"activation": kinds.pop()} if kinds else {}

    def _of_head(self) -> dict[str, Any]:
        """What pools before the head, and what lies between its layers where these are in one Sequential."""
        if self.network.classes is None:
            return {}
        paths = [path for layer in self.part.head if (path := self.modules.path(layer)) is not None]
        blocks = [shared([str(self.modules.path(conv)) for conv in block.convs]) for block in self.blocks]
        above = shared([blocks[-1], *paths]) if paths else self.part.name
        order = [(f"{above}.{path}".lstrip("."), module) for path, module in self.modules.under(above)]
        last = max((at for at, (path, _) in enumerate(order) if path.startswith(f"{blocks[-1]}.")), default=len(order))
        pool = self._pool([each for each in order[last + 1 :] if "Pool" in class_of(each[1])])
        parent = paths[0].rpartition(".")[0] if paths else ""
        is_one = len(paths) == len(self.part.head) > 1 and class_of(self.modules.by_path.get(parent)) == "Sequential"
        if not is_one or any(path.rpartition(".")[0] != parent for path in paths):
            return pool
        return pool | self._of_sequence(parent)

    def _pool(self, pools: Sequence[tuple[str, Inert]]) -> dict[str, Any]:
        """What pools before the head; nothing where no module does. Raises WeightsError for what is not run here."""
        kinds = set()
        for path, module in pools:
            if class_of(self.modules.by_path.get(path.rpartition(".")[0])) == CONCAT_POOL:
                kinds.add("max-average")
            elif (kind := HEAD_POOLS.get(class_of(module))) is not None:
                kinds.add(kind)
            else:
                raise refused(path, f"of the class {module.name}, where averages or maxima are read before the head")
        if len(kinds) > 1:
            raise refused(pools[-1][0], "behind another pool of another kind, before the head")
        return {"head_pool": kinds.pop()} if kinds else {}

    def _of_sequence(self, parent: str) -> dict[str, Any]:
        linear, kinds, since = 0, set(), 0
        start = "linear"
        for path, module in self.modules.under(parent):
            name = activation_of(f"{parent}.{path}", module)
            if name:
                kinds.add(name)
                since += 1
                start = "activation" if not linear else start
            elif class_of(module) == "Linear":
                if linear and since != 1:
                    raise refused(f"{parent}.{path}", f"with {since} activations before it, where one is read")
                linear, since = linear + 1, 0
        if len(kinds) > 1:
            raise refused(parent, f"with activations of several kinds: {', '.join(sorted(kinds))}")
        made: dict[str, Any] = {"head_activation": kinds.pop()} if kinds else {}
        has_norm = any(layer.kind == NORM and layer.has_statistics for layer in self.part.head)
        return made | ({"head_start": start} if has_norm and self.network.head_start != "layer" else {})


def _convs(layers: Sequence[Layer]) -> list[Layer]:
    return [layer for layer in layers if layer.kind == CONV]


def _planned(layers: Any) -> list[Conv]:
    return [layer for _, layer in layers if isinstance(layer, Conv)]


def _words(conv: Conv) -> str:
    return (
        f"{conv.kernel}x{conv.kernel} convolution of stride {conv.stride}, padding {conv.pad}, dilation "
        f"{conv.dilation}, {conv.groups} groups"
    )


def _holds(parent: str, inside: Iterator[tuple[str, Inert]]) -> bool:
    return any(path.startswith(f"{parent}.") for path, _ in inside)
