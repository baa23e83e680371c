"""The blocks of the residual networks among named tensors, by stage."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from features.networks import layers, spellings
from features.networks.containers import TensorRecord
from features.networks.layers import CONV, NORM, Layer, layers_of

MAX_BLOCKS = 1000
MAX_NETWORKS = 48
LAST = 1 << 30  # the number of a block that has none, since it ends its stage
BARE = frozenset(("weight", "bias", *layers.STATISTICS, layers.COUNTER))  # tensors of a layer that lies in no block
SHOWN = 12  # numbers in a sentence


@dataclass(frozen=True, eq=False)
class BlockLayers:
    """The layers of one block by what they do, in order.

    convs, norms: of the branch; others: of no known kind. numbered: whether their names tell the order; those without
    numbers stand as in the file, which may be that of the alphabet.
    """

    convs: tuple[Layer, ...]
    norms: tuple[Layer, ...]
    shortcut: tuple[Layer, ...]
    attention: tuple[Layer, ...]
    others: tuple[Layer, ...] = ()
    numbered: bool = True


@dataclass(eq=False)
class Blocks:
    """One network's blocks while they are gathered: (stage, block) -> name inside the block -> record.

    names: in the file -> (stage, block).
    """

    title: str
    blocks: dict[tuple[int, int], dict[str, TensorRecord]] = field(default_factory=dict)
    names: dict[str, tuple[int, int]] = field(default_factory=dict)


def gather(tensors: Mapping[str, TensorRecord]) -> dict[str, Blocks]:
    """The blocks of each network by the path before its names, by the first spelling of stages that fits."""
    gathered: dict[str, Blocks] = {}
    left = dict(tensors)
    for word in spellings.STAGES:
        pattern = word.compiled()
        here: dict[str, Blocks] = {}
        for name, record in left.items():
            for match in _matches(pattern, name):
                blocks = here.setdefault(name[: match.start()], Blocks(word.title))
                key = _number(match.groupdict().get("stage", "0")), _number(match["block"])
                blocks.blocks.setdefault(key, {})[match["rest"]] = record
                blocks.names[name] = key
        for prefix in sorted(here, key=lambda prefix: prefix.count(".")):
            blocks = _without_stem(here[prefix])
            if len(gathered) > MAX_NETWORKS:
                return gathered
            if prefix not in gathered and blocks.names.keys() <= left.keys() and _is_residual(blocks):
                gathered[prefix] = blocks
                left = {name: record for name, record in left.items() if name not in blocks.names}
    return gathered


def _number(word: str | None) -> int:
    """Of a stage or block: its number, of a word the one that it stands for, of none one behind all others."""
    if word is None:
        return LAST
    return spellings.NUMBERS[word] if word in spellings.NUMBERS else int(word)


def _matches(pattern: re.Pattern[str], name: str) -> Iterator[re.Match[str]]:
    """Where a stage's word can begin in a name: at its start, and behind each dot."""
    for start in (0, *(dot.end() for dot in re.finditer(r"\.", name))):
        match = pattern.fullmatch(name, start)
        if match is not None:
            yield match


def _without_stem(blocks: Blocks) -> Blocks:
    """Blocks without those that are the layers of a stem: a first stage of bare convolutions and norms ('layer0.0')."""
    first = min((stage for stage, _ in blocks.blocks), default=0)
    bare = {key for key, inside in blocks.blocks.items() if key[0] == first and BARE.issuperset(inside)}
    if len(bare) != sum(stage == first for stage, _ in blocks.blocks) or len(bare) == len(blocks.blocks):
        return blocks
    names = {name: key for name, key in blocks.names.items() if key not in bare}
    return Blocks(blocks.title, {key: inside for key, inside in blocks.blocks.items() if key not in bare}, names)


def _is_residual(blocks: Blocks) -> bool:
    """Whether blocks are those of a residual network: the first has two or three convolutions and norms."""
    if not blocks.blocks or len(blocks.blocks) > MAX_BLOCKS:
        return False
    first = _block(blocks.blocks[min(blocks.blocks)])
    biased = all("bias" in conv.tensors for conv in first.convs) and not first.norms  # norms folded away
    return len(first.convs) in (2, 3) and (len(first.norms) >= len(first.convs) - 1 or biased)


def _block(tensors: Mapping[str, TensorRecord]) -> BlockLayers:
    """The layers of a block, told apart by words (shortcut, attention) and form (convolution, norm)."""
    inside = layers_of(tensors, kindless=True)
    shortcut = [layer for path, layer in inside.items() if spellings.SHORTCUT.match(path)]
    attention = [layer for path, layer in inside.items() if spellings.ATTENTION.match(path)]
    rest = [layer for layer in inside.values() if layer not in shortcut and layer not in attention]
    numbered = all(
        len({re.sub(r"\d+", "", layer.name) for layer in rest if layer.kind == kind}) <= 1 for kind in (CONV, NORM)
    )
    if not numbered:
        order = {name: at for at, name in enumerate(tensors)}
        rest = sorted(rest, key=lambda layer: min(order[name] for name in layers.names_of([layer]) if name in order))
    return BlockLayers(
        convs=tuple(layer for layer in rest if layer.kind == CONV),
        norms=tuple(layer for layer in rest if layer.kind == NORM),
        shortcut=tuple(shortcut),
        attention=tuple(attention),
        others=tuple(layer for layer in rest if layer.kind not in (CONV, NORM)),
        numbered=numbered,
    )


def stages_of(blocks: Blocks) -> tuple[tuple[BlockLayers, ...], ...]:
    """Blocks by stage. Where stages end with the block that widens, it begins the next one, with those as wide."""
    numbers = sorted({stage for stage, _ in blocks.blocks})
    stages = [[_block(blocks.blocks[key]) for key in sorted(blocks.blocks) if key[0] == number] for number in numbers]
    stages = _by_width(stages[0]) if blocks.title == spellings.FLAT else stages
    for stage, following in pairwise(stages):
        if len(stage) > 1 and _widens(stage[-1]) and not _widens(following[0]):
            following.insert(0, stage.pop())
    return tuple(map(tuple, stages))


def _by_width(blocks: Sequence[BlockLayers]) -> list[list[BlockLayers]]:
    """Blocks of one list by stage: one begins where they change their width, or with a projection."""
    stages = [[blocks[0]]]
    for before, block in pairwise(blocks):
        begins = block.shortcut or [conv.width for conv in before.convs[-1:]] != [
            conv.width for conv in block.convs[-1:]
        ]
        if begins:
            stages.append([])
        stages[-1].append(block)
    return stages


def _widens(block: BlockLayers) -> bool:
    return bool(block.convs) and block.convs[-1].width > block.convs[0].shape[1]


def gap_of(blocks: Blocks) -> str:
    """In words, where the numbers of stages or blocks leave some out; '' where they do not."""
    numbers = sorted({stage for stage, _ in blocks.blocks})
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return f"stages {', '.join(map(str, numbers[:SHOWN]))}"
    for number in numbers:
        indices = sorted(block for stage, block in blocks.blocks if stage == number and block != LAST) or [0]
        if indices != list(range(indices[0], indices[0] + len(indices))) or indices[0] > 1:
            return f"blocks {', '.join(map(str, indices[:SHOWN]))} in stage {number}"
    return ""


def width_of(stages: Sequence[Sequence[BlockLayers]]) -> int:
    """Channels of the last stage."""
    return stages[-1][-1].convs[-1].width if stages[-1][-1].convs else 0
