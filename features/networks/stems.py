"""The stem of a network among its layers: by its words, as far as its widths chain."""

import re
from collections.abc import Mapping, Sequence

from features.networks import spellings
from features.networks.layers import CONV, NORM, Above, Layer, under
from features.networks.stages import BlockLayers


def stem_of(inside: Mapping[str, Layer], first: BlockLayers) -> tuple[Layer, ...]:
    """Convolutions and norms before the first block: those that stem words name, as far as their widths chain.

    They end with as many channels as the first block takes.
    """
    named = [layer for path, layer in inside.items() if layer.kind in (CONV, NORM) and spellings.STEM.match(path)]
    convs = [layer for layer in named if layer.kind == CONV]
    wanted = first.convs[0].shape[1] if first.convs else 0
    chain: list[Layer] = []
    for conv in convs:
        if chain and conv.shape[1] != chain[-1].width:
            break
        chain.append(conv)
        if conv.width == wanted and not _goes_on(conv, convs):
            break
    if not chain or chain[-1].width != wanted:
        return ()
    return (*chain, *_stem_norms(chain, [layer for layer in named if layer.kind == NORM]))


def stem_beside(above: Above, first: BlockLayers) -> tuple[Layer, ...]:
    """The stem beside the stages ('embedder' beside 'encoder'): under one of the paths that lead to them."""
    for path, inside in above:
        stem = stem_of(inside, first)
        if stem:
            return under(path, stem)
    return ()


def _stem_norms(convs: Sequence[Layer], norms: Sequence[Layer]) -> tuple[Layer, ...]:
    """The norms behind a stem's convolutions, in their order: the next in the same Sequential ('conv1.0', 'conv1.1'),
    else the next one of the right width."""
    by_name = {norm.name: norm for norm in norms}
    behind = {conv.name: by_name.get(_next_in_sequential(conv.name)) for conv in convs}
    rest = [norm for norm in norms if norm not in behind.values()]
    for conv in convs:
        fitting = [norm for norm in rest if norm.width == conv.width]
        if behind[conv.name] is None and fitting:
            behind[conv.name] = fitting[0]
            rest.remove(fitting[0])
    return tuple(norm for norm in behind.values() if norm is not None)


def _next_in_sequential(name: str) -> str:
    outer, _, number = name.rpartition(".")
    return f"{outer}.{int(number) + 1}".lstrip(".") if number.isdecimal() else ""


def _goes_on(conv: Layer, convs: Sequence[Layer]) -> bool:
    """Whether another convolution of the stem takes what this one puts out."""
    following = convs[convs.index(conv) + 1 :]
    return bool(following) and following[0].shape[1] == conv.width and following[0].name.split(".")[0] in (
        conv.name.split(".")[0], re.sub(r"\d+$", lambda digits: str(int(digits[0]) + 1), conv.name.split(".")[0])
    )  # fmt: skip
