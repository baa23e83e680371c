"""Reads the architecture of a network off its layers: everything that their shapes tell, and what they do not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from features.errors import WeightsError
from features.networks.architecture import Architecture
from features.networks.layers import CONV, LINEAR, NORM, Layer
from features.networks.parts import BlockLayers, Part

KERNELS = {(3, 3): "basic", (1, 3, 1): "bottleneck"}
MAX_INPUTS = 16


@dataclass(frozen=True, eq=False)
class Inferred:
    """What layers tell. assumed: fields of the architecture that they do not tell and that matter for it."""

    architecture: Architecture
    assumed: tuple[str, ...]


def infer(part: Part) -> Inferred:
    """The architecture of a network in a file. Raises WeightsError, with the reason, for what is no residual network."""
    blocks = [block for stage in part.stages for block in stage]
    kind = _kind(blocks, part)
    preactivation = _is_preactivation(blocks, part)
    inner = tuple(stage[0].convs[-2 if kind == "bottleneck" else 0].width for stage in part.stages)
    outputs = tuple(stage[0].convs[-1].width for stage in part.stages)
    groups = _groups(part, inner)
    _need_chain(part, groups)
    stem = _stem(part)
    shortcut, pool = _shortcut(part)
    architecture = Architecture(
        block=kind,
        blocks=tuple(map(len, part.stages)),
        inner=inner,
        outputs=outputs,
        stem=stem,
        stem_width=_convs(part.stem)[-1].width,
        shortcut=shortcut,
        groups=groups,
        in_channels=_convs(part.stem)[0].shape[1],
        classes=_classes(part),
        stem_widths=tuple(conv.width for conv in _convs(part.stem)[:-1]),
        shortcut_pool=pool,
        preactivation=preactivation,
        norm=_norm(blocks, part),
        bias=any("bias" in conv.tensors for conv in blocks[0].convs),
        attention=_attention(blocks, part),
    )
    return Inferred(architecture, tuple(_assumed(architecture)))


def _refused(part: Part, why: str) -> WeightsError:
    where = f" at {part.name!r}" if part.name else ""
    return WeightsError(f"the network{where} {why}")


def _convs(layers: Sequence[Layer]) -> list[Layer]:
    return [layer for layer in layers if layer.kind == CONV]


def _kind(blocks: Sequence[BlockLayers], part: Part) -> str:
    kernels = {tuple(conv.shape[2] for conv in block.convs) for block in blocks}
    if len(kernels) > 1 or (only := kernels.pop()) not in KERNELS:
        raise _refused(part, f"has blocks of convolutions {_listed(kernels) or only}, where 3-3 or 1-3-1 are read")
    return KERNELS[only]


def _listed(kernels: set[tuple[int, ...]]) -> str:
    return ", ".join("-".join(map(str, each)) for each in sorted(kernels))


def _is_preactivation(blocks: Sequence[BlockLayers], part: Part) -> bool:
    """Norms lie behind their convolutions, or before them, which their widths tell where a stage begins."""
    for block in blocks:
        if len(block.norms) != len(block.convs):
            raise _refused(part, f"has blocks with {len(block.convs)} convolutions and {len(block.norms)} norms")
    pairs = [(conv, norm) for block in blocks for conv, norm in zip(block.convs, block.norms, strict=True)]
    if all(norm.width == conv.width for conv, norm in pairs):
        return bool(part.last)
    if all(norm.width == conv.shape[1] for conv, norm in pairs if conv.shape[2] == 1) and part.last:
        return True
    raise _refused(part, "has norms that are as wide as neither what comes before them nor what follows")


def _groups(part: Part, inner: Sequence[int]) -> int:
    """Groups of the 3x3 convolutions, the same everywhere."""
    counts = set()
    for width, stage in zip(inner, part.stages, strict=True):
        for block in stage:
            if len(block.convs) == 3:
                share = block.convs[1].shape[1]
                counts.add(block.convs[0].width // share if share else 0)
    if not counts:
        return 1
    if len(counts) > 1 or not (groups := counts.pop()) or any(width % groups for width in inner):
        raise _refused(part, "has grouped convolutions whose groups differ from stage to stage")
    return groups


def _need_chain(part: Part, groups: int) -> None:
    """Every convolution takes what the one before it puts out."""
    if not part.stem:
        raise _refused(part, "lacks its first convolution, or it leads elsewhere. Save the complete network")
    width = _convs(part.stem)[-1].width
    for number, stage in enumerate(part.stages, start=1):
        for index, block in enumerate(stage):
            taken = width
            for place, conv in enumerate(block.convs):
                share = groups if len(block.convs) == 3 and place == 1 else 1
                if conv.shape[1] * share != taken or conv.shape[2] != conv.shape[3] or 0 in conv.shape:
                    raise _refused(
                        part, f"has a block {index} of stage {number} whose convolution {conv.name or place} takes "
                        f"{conv.shape[1] * share} channels and is given {taken}. Save the complete network"
                    )  # fmt: skip
                taken = conv.width
            for conv in _convs(block.shortcut):
                if conv.shape[:2] != (taken, width) or conv.shape[2:] != (1, 1):
                    raise _refused(part, f"has a shortcut of shape {conv.shape}, where {(taken, width, 1, 1)} is read")
            width = taken


def _stem(part: Part) -> str:
    convs = _convs(part.stem)
    kernels = [conv.shape[2] for conv in convs]
    if convs[0].shape[1] > MAX_INPUTS or not convs[0].shape[1]:
        raise _refused(part, f"takes images of {convs[0].shape[1]} channels, where 1 to {MAX_INPUTS} are read")
    if kernels in ([7], [3]):
        return "imagenet" if kernels == [7] else "cifar"
    if len(kernels) in (2, 3) and set(kernels) == {3}:
        return "deep"
    raise _refused(part, f"begins with convolutions of {kernels} pixels, where one of 7 or 3, or some of 3, are read")


def _shortcut(part: Part) -> tuple[str, str]:
    """The kind of shortcuts where the shape changes, and whether an average pool precedes their convolution."""
    width = _convs(part.stem)[-1].width
    kinds, pooled = set(), set()
    for number, stage in enumerate(part.stages):
        for index, block in enumerate(stage):
            output = block.convs[-1].width
            changes = output != width or (index == 0 and number > 0)
            convs = _convs(block.shortcut)
            if convs and not changes and not (index == 0 and number == 0):
                raise _refused(part, f"has a projection in block {index} of stage {number + 1}, which changes no shape")
            if len(convs) > 1 or (block.shortcut and not convs):
                raise _refused(part, f"has a shortcut of {len(block.shortcut)} layers, where one convolution is read")
            if changes and (index or number or output != width):
                kinds.add("projection" if convs else "padding")
            pooled |= {_comes_behind_a_pool(conv) for conv in convs}
            width = output
    if len(kinds) > 1 and len(part.stages) > 1:
        raise _refused(part, "has projections where some stages begin, and none where others do")
    pool = "average" if pooled == {True} else "none"
    return (kinds.pop() if kinds else "projection"), pool


def _comes_behind_a_pool(conv: Layer) -> bool:
    """'downsample.1' is a convolution with something without parameters, a pool, before it."""
    return conv.name.rpartition(".")[2] == "1"


def _norm(blocks: Sequence[BlockLayers], part: Part) -> str:
    kinds = {norm.has_statistics for block in blocks for norm in block.norms}
    if len(kinds) > 1:
        raise _refused(part, "has norms with running statistics and norms without. Save the complete network")
    return "batch" if kinds.pop() else "group"


def _attention(blocks: Sequence[BlockLayers], part: Part) -> str:
    having = [block.attention for block in blocks if block.attention]
    if not having:
        return "none"
    if len(having) < len(blocks):
        raise _refused(part, "has attention in some of its blocks only. Name it with --model timm:NAME")
    dimensions = {len(record.shape) for layer in having[0] for own, record in layer.tensors.items() if own == "weight"}
    if dimensions == {3}:
        return "eca"
    if dimensions in ({4}, {2}) and sum(layer.kind in (CONV, LINEAR) for layer in having[0]) == 2:
        return "se"
    raise _refused(part, "has attention of a kind that is not known. Name it with --model timm:NAME")


def _classes(part: Part) -> int | None:
    return [layer for layer in part.head if layer.kind != NORM][-1].width if part.head else None


def _assumed(architecture: Architecture) -> Iterator[str]:
    """The fields that leave no trace in this network's tensors, and could be other than assumed."""
    yield from ("stem_stride", "stem_pool", "strides", "dilations", "antialias", "activation")
    if architecture.stem == "cifar":
        yield "stem_padding"
    if architecture.block == "bottleneck":
        yield "stride_at"
    if architecture.shortcut == "padding":
        yield from ("shortcut", "shortcut_padding")
    if architecture.norm == "group":
        yield "norm_groups"


def published(part: Part) -> dict[str, tuple[Layer, str]]:
    """Name under which torchvision or timm would publish a tensor -> its layer and its name in the layer."""
    named: dict[str, Layer] = {}
    convs, norms = _convs(part.stem), [layer for layer in part.stem if layer.kind == NORM]
    if len(convs) == 1:
        named |= {"conv1": convs[0]}
    else:
        named |= {f"conv1.{3 * number}": conv for number, conv in enumerate(convs)}
        named |= {f"conv1.{3 * number + 1}": norm for number, norm in enumerate(norms[:-1])}
    named |= {"bn1": norms[-1]} if norms else {}
    for number, stage in enumerate(part.stages, start=1):
        for index, block in enumerate(stage):
            at = f"layer{number}.{index}"
            named |= {f"{at}.conv{place}": conv for place, conv in enumerate(block.convs, start=1)}
            named |= {f"{at}.bn{place}": norm for place, norm in enumerate(block.norms, start=1)}
            named |= {f"{at}.downsample.{int(layer.kind == NORM)}": layer for layer in block.shortcut}
            named |= {f"{at}.se.{layer.name.partition('.')[2]}": layer for layer in block.attention}
    named |= {"norm": norm for norm in part.last}
    if len(part.head) == 1:
        named |= {"fc": part.head[0]}
    else:
        named |= {f"fc.{number}": layer for number, layer in enumerate(part.head)}
    return {
        f"{name}.{own}": (layer, own)
        for name, layer in named.items()
        for own in layer.tensors
        if not own.startswith(("parametrizations", "weight_g", "weight_v"))
    }
