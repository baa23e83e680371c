"""How libraries lay out a residual network: where its stem, its blocks and its head are."""

import re
from collections.abc import Iterator
from itertools import product
from typing import Any

from torch import nn

from features.errors import FeatureError
from features.networks.adapters.layers import is_conv, is_norm, is_pool, kind, plain
from features.networks.adapters.reading import GLOBAL, SHORTCUTS, Form, Pieces, assembled, head_layers
from features.networks.layout import HEAD_POOLS


def in_order(source: nn.Module) -> Pieces:
    """A network whose children are, in this order: a stem, stages, a head. So are torchvision's, timm's and kuangliu's.

    Raises FeatureError if there are no stages, or something is between them.
    """
    children = _children(source)
    stages = [(at, blocks) for at, (name, child) in enumerate(children) if (blocks := _blocks(name, child))]
    if not stages:
        raise FeatureError(
            f"Only networks laid out as torchvision's ResNet can be converted (conv1, bn1, layer1, ...), but "
            f"{type(source).__name__} has {', '.join(name for name, _ in children) or 'no parts'}. "
            "Pass its ResNet body instead."
        )
    first, last = stages[0][0], stages[-1][0]
    between = [name for name, child in children[first : last + 1] if not _blocks(name, child) and plain(child, name)]
    if between:
        raise FeatureError(f"{type(source).__name__} has {', '.join(between)} between its stages.")
    return Pieces(children[:first], [blocks for _, blocks in stages], children[last + 1 :])


def _children(source: nn.Module) -> list[tuple[str, nn.Module]]:
    """A network's children; of a Sequential of body and head, as fastai makes it, the body's own in its place."""
    children = list(source.named_children())
    if not isinstance(source, nn.Sequential) or any(_blocks(*child) for child in children):
        return children
    unfolded: list[tuple[str, nn.Module]] = []
    for name, child in children:
        inner = list(child.named_children()) if isinstance(child, nn.Sequential) else []
        is_body = any(_blocks(*each) for each in inner)
        unfolded += [(f"{name}.{own}", part) for own, part in inner] if is_body else [(name, child)]
    return unfolded


def _blocks(name: str, child: nn.Module) -> list[nn.Module]:
    """The blocks of a stage; [] for what is none."""
    if not isinstance(child, nn.Sequential | nn.ModuleList):
        inside = list(child.named_children())
        return _blocks(*inside[0]) if len(inside) == 1 else []
    blocks = list(child)
    if re.fullmatch(r"(?:.*\.)?layer\d+", name) or (blocks and all(map(_is_block, blocks))):
        return blocks
    return []


def _is_block(module: nn.Module) -> bool:
    return sum(isinstance(part, nn.Conv2d) for part in module.modules()) >= 2


def hugging_face(source: Any) -> Pieces:
    """transformers' ResNetModel, ResNetBackbone and ResNetForImageClassification."""
    body = getattr(source, "resnet", source)
    stem = body.embedder
    head: list[tuple[str, nn.Module]] = [("pooler", nn.AdaptiveAvgPool2d(1))]
    stages = [list(stage.layers) for stage in body.encoder.stages]
    head += [("classifier", source.classifier)] if hasattr(source, "classifier") else []
    return Pieces(list(stem.named_children()), stages, head)


def timm_v2(source: Any) -> Pieces:
    """timm's ResNetV2."""
    head = [("norm", source.norm), ("global_pool", source.head.global_pool)]
    fc = source.head.fc
    if isinstance(fc, nn.Conv2d):  # of 1x1, on the pooled features
        fc = _linear(fc)
    return Pieces(
        list(source.stem.named_children()), [list(stage.blocks) for stage in source.stages], [*head, ("fc", fc)]
    )


def _linear(conv: nn.Conv2d) -> nn.Linear:
    made = nn.Linear(conv.in_channels, conv.out_channels, conv.bias is not None, device="meta")
    made.weight = nn.Parameter(conv.weight.detach().flatten(1), conv.weight.requires_grad)  # the same memory
    if isinstance(conv.bias, nn.Parameter):
        made.bias = conv.bias
    return made.train(conv.training)


def forms(pieces: Pieces) -> Iterator[Form]:
    """The ways in which a network may run its children, the likeliest first."""
    children = [child for name, child in pieces.stages[0][0].named_children() if name not in SHORTCUTS]
    layers = [layer for child in children for _, layer in _known(child)]
    before = bool(layers) and is_norm(layers[0])
    pooled = any(is_pool(part) for _, child in pieces.stem for part in child.modules())
    heads = (False, True) if _has_linear_layers_alone(pieces.head) else (False,)
    for preactivation in (before, not before):
        try:
            kinds = {block.shortcut_kind for _, block in assembled(pieces, Form(preactivation)).blocks()}
        except FeatureError:
            yield Form(preactivation)  # whoever reads it says why
            continue
        fillers = ("both", "end", "none") if "padding" in kinds else ("both",)
        plains = (False,) if "projection" in kinds else (False, True)
        inputs = (True, False) if preactivation and "projection" in kinds else (True,)
        over_space = _head_pools(pieces)
        for over, head, pools, is_plain, filler, activated in product(
            over_space, heads, (False,) if pooled else (False, True), plains, fillers, inputs
        ):
            yield Form(preactivation, activated, filler, is_plain, pools, head, over)


def _head_pools(pieces: Pieces) -> tuple[str | None, ...]:
    """What may pool before the head: the one child that does, or, where code calls several or none, any that fit."""
    try:
        layers = head_layers(pieces.head)
    except FeatureError:
        return (None,)
    dense = [layer.in_features for _, layer in layers if isinstance(layer, nn.Linear)]
    convs = [part for part in pieces.stages[-1][-1].modules() if isinstance(part, nn.Conv2d)]
    if sum(isinstance(layer, GLOBAL) for _, layer in layers) == 1 or not dense or not convs:
        return (None,)
    width = convs[-1].out_channels
    return tuple(name for name, pool in HEAD_POOLS.items() if pool.features(width) == dense[0]) or (None,)


def _has_linear_layers_alone(head: list[tuple[str, nn.Module]]) -> bool:
    """Whether a head has several linear layers and nothing between them, so that code may call an activation there."""
    kinds = [isinstance(layer, nn.Linear) for _, child in head for _, layer in _known(child)]
    linear = kinds[kinds.index(True) :] if True in kinds else []
    return len(linear) > 1 and all(linear)


def timm_v2_forms(pieces: Pieces) -> Iterator[Form]:
    """timm's ResNetV2 has blocks of before and after the activation."""
    yield Form(preactivation=type(pieces.stages[0][0]).__name__.startswith("PreAct"))


def _known(child: nn.Module) -> list[tuple[str, nn.Module]]:
    try:
        return plain(child)
    except FeatureError:
        return []


TORCHVISION = ("torchvision.ResNet", "torchvision.IntermediateLayerGetter")


def is_torchvision(source: nn.Module) -> bool:
    """Whether torchvision's own code runs the network and each of its blocks, and every layer is in its place."""
    children = dict(source.named_children())
    stages = {name: child for name, child in children.items() if re.fullmatch(r"layer\d+", name)}
    blocks = [block for stage in stages.values() if isinstance(stage, nn.Sequential) for block in stage]
    own = {kind(block) for block in blocks} <= {"torchvision.BasicBlock", "torchvision.Bottleneck"}
    known = children.keys() <= {"conv1", "bn1", "relu", "maxpool", "avgpool", "fc", *stages}
    places = {"conv1": is_conv, "bn1": is_norm, "avgpool": lambda layer: isinstance(layer, nn.AdaptiveAvgPool2d)}
    fits = all(name not in children or fit(children[name]) for name, fit in places.items())
    return kind(source) in TORCHVISION and bool(blocks) and own and known and fits
