"""Finds the residual networks in a file, wherever they lie and however their layers are called."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from features.errors import WeightsError
from features.networks import layers, spellings
from features.networks.containers import TensorRecord
from features.networks.layers import CONV, LINEAR, NORM, Layer, layers_of, natural

MAX_BLOCKS = 1000
MAX_NETWORKS = 48
LAST = 1 << 30  # the number of a block that has none, since it ends its stage
SHOWN = 12  # numbers in a sentence


# Paths that lead to a network, the nearest first, each with the layers beside it.
Above = Sequence[tuple[str, Mapping[str, Layer]]]


@dataclass(frozen=True, eq=False)
class BlockLayers:
    """The layers of one block by what they do, in order. convs, norms: of the branch; others: of no known kind."""

    convs: tuple[Layer, ...]
    norms: tuple[Layer, ...]
    shortcut: tuple[Layer, ...]
    attention: tuple[Layer, ...]
    others: tuple[Layer, ...] = ()


@dataclass(frozen=True, eq=False)
class Part:
    """A residual network in a file, its layers by what they do.

    name: the path that lies before all of its names, '' for the whole file. title: whose spelling it is.
    stages: the blocks of each stage. stem: convolutions and norms of the stem; last: norms between the last stage and
    the head (pre-activation). head: layers of the classifier in order, () without one; head_name: what it is called.
    left: names in the file that belong to none of these, the tensors of other networks apart.
    copy: whether it follows another network's training (a momentum encoder, an average).
    stem_pool: convolution and norm in the place of the stem's pool (ResNet-RS). linear: names of left layers that only
    see pooled features. faulty: tensors inside the network that are no plain numbers, with why. going_on: names of
    heads that take the head's outputs, with nothing that tells what lies between. between: names of layers that may
    lie between the pooling and the head, since they put out as many features as they take; before: names of those that
    may lie before the stem, since they make as many channels as the pixels have of as many. gap: which blocks there
    are, in words, where some are missing. heads: what the classifiers that take its features are called, of which
    `head` is one. projections: what would be in `between`, were it not called as only self-supervised training has it.
    dense: linear layers beside a network without a head. may_be_timms: whether all names in it are such as timm has.
    """

    name: str
    title: str
    stages: tuple[tuple[BlockLayers, ...], ...]
    stem: tuple[Layer, ...]
    last: tuple[Layer, ...]
    head: tuple[Layer, ...]
    head_name: str
    left: tuple[str, ...] = ()
    copy: bool = False
    stem_pool: tuple[Layer, ...] = ()
    linear: frozenset[str] = frozenset()
    faulty: tuple[str, ...] = ()
    going_on: tuple[str, ...] = ()
    between: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    gap: str = ""
    heads: tuple[str, ...] = ()
    projections: tuple[str, ...] = ()
    dense: tuple[str, ...] = ()
    may_be_timms: bool = False

    @property
    def unexplained(self) -> tuple[str, ...]:
        """Names that lie inside the network, and are neither read nor of what is known to stand beside one."""
        prefix = f"{self.name}." if self.name else ""
        inside = (name.removeprefix(prefix) for name in self.left if name.startswith(prefix))
        names = (
            name for name in inside
            if spellings.MADE.search(name) or not (spellings.ASIDE.search(name) or spellings.NEVER_RUN.match(name))
        )  # fmt: skip
        found = [f"{prefix}{name}" for name in names if f"{prefix}{name}" not in self.linear]
        return (*found, *(name for name in self._in_the_head(prefix) if name not in found))

    def _in_the_head(self, prefix: str) -> Iterator[str]:
        """Names left over inside the head that is taken: scales, biases and whatever else changes its outputs."""
        for path in self.head_name.split(", ") if self.head else ():
            yield from (name for name in self.left if name.startswith((f"{path}.", f"{prefix}{path}.")))

    @property
    def parameters(self) -> int:
        """Numbers in the tensors of its stages."""
        return sum(
            record.numel
            for stage in self.stages
            for block in stage
            for layer in (*block.convs, *block.norms, *block.shortcut, *block.attention)
            for record in layer.tensors.values()
        )


@dataclass(eq=False)
class _Blocks:
    """Names of one network's blocks while they are gathered: (stage, block) -> name inside the block -> record."""

    title: str
    blocks: dict[tuple[int, int], dict[str, TensorRecord]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)


def may_be_timms(names: Iterable[str]) -> bool:
    """Whether all names are such as timm has in the networks that can be named as its own."""
    return all(spellings.TIMMS.fullmatch(name) for name in names)


def is_called(name: str, wanted: str | None) -> bool:
    """Whether a dotted name is the wanted one or ends with it; of several with commas between, whether one does."""
    return wanted is not None and any(f".{each}".endswith(f".{wanted}") for each in (name, *name.split(", ")))


def beside(part: Part, others: Sequence[Part]) -> tuple[str, ...]:
    """What stands beside a network, of no known name and of no other network: scales of its outputs, prompts, ..."""
    elsewhere = tuple(f"{other.name}." for other in others if other.name not in ("", part.name))
    elsewhere = tuple(path for path in elsewhere if not f"{part.name}.".startswith(path))
    told = (*part.linear, *part.dense)
    found: dict[str, None] = {}
    for name in part.left:
        path = "".join(f"{step}." for step in _shared(name, part.name))
        inside = name.removeprefix(path)
        known = spellings.ASIDE.search(inside) and (part.head or not spellings.HEAD.match(inside))
        known = known or spellings.NEVER_RUN.match(inside) or spellings.AVERAGE.search(name)
        if not known and not name.startswith(elsewhere) and not name.endswith(layers.COUNTER):
            group = f"{path}{inside.split('.')[0]}"
            if name not in told and group not in told:
                found[group] = None
    return tuple(found)


def _shared(name: str, other: str) -> Iterator[str]:
    """The steps that two paths have in common."""
    for step, same in zip(name.split(".")[:-1], other.split("."), strict=False):
        if step != same:
            return
        yield step


def parts_of(tensors: Mapping[str, TensorRecord], head: str | None = None) -> list[Part]:
    """Every residual network among named tensors, the main one first.

    head: which to take of those that have several; None takes the first. Raises WeightsError for too many networks.

    The main one is the first that is whole and no copy of another (teacher, momentum encoder, average); among those,
    one with a head before one without, then the one with more parameters, then the one that comes first in the file.
    """
    usable = {name: record for name, record in tensors.items() if not spellings.TRAINING.search(name)}
    gathered = _gather(usable)
    if len(gathered) > MAX_NETWORKS:
        raise WeightsError(f"more than {MAX_NETWORKS} residual networks. Save the one that is wanted alone")
    parts = [_part(prefix, blocks, usable, head) for prefix, blocks in gathered.items()]
    taken = {name for blocks in gathered.values() for name in blocks.names}
    parts = [_without(part, taken) for part in parts]
    return sorted(parts, key=lambda part: (bool(part.gap), part.copy, not part.head, -part.parameters))


def _gather(tensors: Mapping[str, TensorRecord]) -> dict[str, _Blocks]:
    """The blocks of each network by the path before its names, by the first spelling of stages that fits."""
    gathered: dict[str, _Blocks] = {}
    left = dict(tensors)
    for word in spellings.STAGES:
        pattern = word.compiled()
        here: dict[str, _Blocks] = {}
        for name, record in left.items():
            for match in _matches(pattern, name):
                blocks = here.setdefault(name[: match.start()], _Blocks(word.title))
                key = _number(match.groupdict().get("stage", "0")), _number(match["block"])
                blocks.blocks.setdefault(key, {})[match["rest"]] = record
                blocks.names.add(name)
        for prefix in sorted(here, key=lambda prefix: prefix.count(".")):
            blocks = here[prefix]
            if len(gathered) > MAX_NETWORKS:
                return gathered
            if prefix not in gathered and blocks.names <= left.keys() and _is_residual(blocks):
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


def _is_residual(blocks: _Blocks) -> bool:
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
    if len({re.sub(r"\d+", "", layer.name) for layer in rest if layer.kind == CONV}) > 1:  # no numbers tell their order
        order = {name: at for at, name in enumerate(tensors)}
        rest = sorted(rest, key=lambda layer: min(order[name] for name in layers.names_of([layer]) if name in order))
    return BlockLayers(
        convs=tuple(layer for layer in rest if layer.kind == CONV),
        norms=tuple(layer for layer in rest if layer.kind == NORM),
        shortcut=tuple(shortcut),
        attention=tuple(attention),
        others=tuple(layer for layer in rest if layer.kind not in (CONV, NORM)),
    )


def _part(prefix: str, blocks: _Blocks, tensors: Mapping[str, TensorRecord], wanted: str | None) -> Part:
    stages = _stages(blocks)
    outside = {name: record for name, record in tensors.items() if name.startswith(prefix) and name not in blocks.names}
    inside = layers_of({name.removeprefix(prefix): record for name, record in outside.items()})
    above = tuple(_above(prefix, tensors))
    stem = _stem(inside, stages[0][0]) or _stem_beside(above, stages[0][0])
    stem_pool = tuple(layer for path, layer in inside.items() if spellings.STEM_POOL.match(path)) if stem else ()
    rest = {
        path: layer for path, layer in inside.items()
        if layer not in (*stem, *stem_pool) and not spellings.NEVER_RUN.match(f"{path}.")
    }  # fmt: skip
    last = tuple(
        layer for path, layer in rest.items() if layer.kind == NORM and len(layer.shape) == 1
        and spellings.LAST_NORM.match(f"{path}.") and layer.width == _width(stages)
    )  # fmt: skip
    encoder = bool(spellings.ENCODER.search(prefix))
    projects = encoder or _has_predictor(prefix, tensors)
    heads = [] if projects else _heads(rest, _width(stages), last)
    heads += [] if encoder else _heads_beside(above, _width(stages))
    head_name, head = next((each for each in heads if is_called(each[0], wanted)), heads[0] if heads else ("", ()))
    used = {name for layer in (*stem, *stem_pool, *last, *head) for name in _full_names(layer, prefix, tensors)}
    name = prefix.rstrip(".")
    left = tuple(name for name in tensors if name not in used and name not in blocks.names)
    within = [name for name in tensors if name.startswith(prefix)]
    copy = bool(spellings.COPY.search(name))
    linear = frozenset(_linear(rest, prefix, tensors))
    going_on = tuple(_going_on(above, rest, head))
    after = {path: layer for path, layer in rest.items() if layer not in last}
    keeping = tuple(_between(above, after, head))
    keeping += tuple(_odd_beside(prefix, tensors, _taken_width(head))) if head else ()
    trains = any(spellings.SELF_SUPERVISED.search(name) for name in tensors)
    beside = tuple(name for name in keeping if trains and spellings.PROJECTION.search(name))
    between = tuple(name for name in keeping if name not in beside)
    before = tuple(_before(above, rest, stem))
    return Part(
        name, blocks.title, stages, stem, last, head, head_name, left, copy, stem_pool, linear,
        tuple(_faulty(prefix, tensors)), going_on, between, before, _gap(blocks), tuple(name for name, _ in heads),
        beside, tuple(_dense_beside(prefix, above, head)), may_be_timms(name.removeprefix(prefix) for name in within),
    )  # fmt: skip


def _going_on(above: Above, rest: Mapping[str, Layer], head: Sequence[Layer]) -> Iterator[str]:
    """Heads that take what a head puts out: beside its network, or in it under another name ('fc', 'classifier')."""
    if not head:
        return
    width = _outputs(head)
    used = {id(record) for layer in head for record in layer.tensors.values()}
    for path_above, inside in (("", rest), *above):
        for name, following in _heads({path: layer for path, layer in inside.items() if layer not in head}, width, ()):
            if used.isdisjoint(id(record) for layer in following for record in layer.tensors.values()):
                yield f"{path_above}{name}"


def _taken_width(head: Sequence[Layer]) -> int:
    """How many features a head takes."""
    return head[0].width if head[0].kind == NORM else head[0].shape[1]


def _between(above: Above, rest: Mapping[str, Layer], head: Sequence[Layer]) -> Iterator[str]:
    """What in or beside a network makes as many features as its head takes of as many: layers, and learned pools."""
    if not head:
        return
    width = _taken_width(head)
    used = {id(record) for layer in head for record in layer.tensors.values()}
    for path_above, inside in (("", rest), *above):
        groups: dict[str, list[Layer]] = {}
        for path, layer in inside.items():
            if used.isdisjoint(map(id, layer.tensors.values())):
                groups.setdefault(path.split(".")[0], []).append(layer)
        yield from (f"{path_above}{name}" for name, group in groups.items() if _keeps(group, width))


def _before(above: Above, rest: Mapping[str, Layer], stem: Sequence[Layer]) -> Iterator[str]:
    """What in or beside a network makes as many channels as its stem takes of as many: norms, mixtures of colours."""
    if not stem:
        return
    for path_above, inside in (("", rest), *above):
        groups: dict[str, list[Layer]] = {}
        for path, layer in inside.items():
            if layer not in stem and (layer.kind != NORM or layer.has_statistics or "bias" in layer.tensors):
                groups.setdefault(path.split(".")[0], []).append(layer)
        for name, group in groups.items():
            if all(layer.kind in (CONV, NORM) for layer in group) and _keeps(group, stem[0].shape[1]):
                yield f"{path_above}{name}"


def _odd_beside(prefix: str, tensors: Mapping[str, TensorRecord], width: int) -> Iterator[str]:
    """What is no linear layer, convolution or norm, has `width` channels and stands beside a network, and exponents of
    pools: recurrent layers, attention, scales, convolutions over time."""
    paths = prefix.split(".")[:-1]
    above = tuple("".join(f"{path}." for path in paths[:number]) for number in reversed(range(len(paths))))
    for name, record in tensors.items():
        beside = next((name.removeprefix(path) for path in above if name.startswith(path)), "")
        follows = spellings.AVERAGE.search(name) and not spellings.AVERAGE.search(prefix)
        if not beside or name.startswith(prefix) or follows or spellings.ASIDE.search(beside):
            continue
        known = spellings.ORDINARY.search(name) and len(record.shape) in (0, 1, 2, 4)
        exponent = spellings.POOL_EXPONENT.search(name) and record.numel == 1
        if exponent or (width in record.shape and not known):
            yield name.rpartition(".")[0] or name


def _dense_beside(prefix: str, above: Above, head: Sequence[Layer]) -> list[str]:
    """What linear layers beside a network without a head are called."""
    found: list[str] = []
    for path_above, inside in () if head else above:
        groups = {path.split(".")[0] for path, layer in inside.items() if layer.kind == LINEAR}
        paths = (f"{path_above}{name}" for name in sorted(groups))
        found += [path for path in paths if not prefix.startswith(f"{path}.")]
    return found


def _keeps(group: Sequence[Layer], width: int) -> bool:
    """Whether layers lead from `width` features or maps to as many, one after the other."""
    made = width
    for layer in group:
        if (layer.width if layer.kind == NORM else layer.shape[1]) != made:
            return False
        made = layer.width
    return made == width


def _has_predictor(prefix: str, tensors: Mapping[str, TensorRecord]) -> bool:
    """Whether a predictor or a queue stands beside a network, so that its fc is a projection."""
    paths = prefix.split(".")[:-1]
    above = {"".join(f"{path}." for path in paths[:number]) for number in range(len(paths) + 1)}
    return any(
        name.startswith(path) and spellings.PREDICTOR.match(name.removeprefix(path))
        for name in tensors
        for path in above
    )


def _faulty(prefix: str, tensors: Mapping[str, TensorRecord]) -> Iterator[str]:
    """Tensors of a network or its head that are sparse, quantised or without numbers, each with why."""
    for name, record in tensors.items():
        inside = name.removeprefix(prefix)
        a_part = spellings.HEAD.match(inside) or not spellings.ASIDE.search(inside)
        if a_part and record.fault and name.startswith(prefix) and not name.endswith(layers.COUNTER):
            yield f"{name} ({record.fault})"


def _linear(rest: Mapping[str, Layer], prefix: str, tensors: Mapping[str, TensorRecord]) -> Iterator[str]:
    """Names of what can only come after the pooling: layers called alike that are linear, and norms between them."""
    groups: dict[str, list[Layer]] = {}
    for path, layer in rest.items():
        groups.setdefault(path.split(".")[0], []).append(layer)
    for group in groups.values():
        if any(layer.kind == LINEAR for layer in group) and all(layer.kind in (LINEAR, NORM) for layer in group):
            for layer in group:
                yield from _full_names(layer, prefix, tensors)


def _stages(blocks: _Blocks) -> tuple[tuple[BlockLayers, ...], ...]:
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


def _gap(blocks: _Blocks) -> str:
    """In words, where the numbers of stages or blocks leave some out; '' where they do not."""
    numbers = sorted({stage for stage, _ in blocks.blocks})
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return f"stages {', '.join(map(str, numbers[:SHOWN]))}"
    for number in numbers:
        indices = sorted(block for stage, block in blocks.blocks if stage == number and block != LAST) or [0]
        if indices != list(range(indices[0], indices[0] + len(indices))) or indices[0] > 1:
            return f"blocks {', '.join(map(str, indices[:SHOWN]))} in stage {number}"
    return ""


def _width(stages: Sequence[Sequence[BlockLayers]]) -> int:
    """Channels of the last stage."""
    return stages[-1][-1].convs[-1].width if stages[-1][-1].convs else 0


def _stem(inside: Mapping[str, Layer], first: BlockLayers) -> tuple[Layer, ...]:
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


def _stem_beside(above: Above, first: BlockLayers) -> tuple[Layer, ...]:
    """The stem beside the stages ('embedder' beside 'encoder'): under one of the paths that lead to them."""
    for path, inside in above:
        stem = _stem(inside, first)
        if stem:
            return _under(path, stem)
    return ()


def _under(path: str, layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers by the names that they have in the file."""
    return tuple(replace(layer, name=f"{path}{layer.name}") for layer in layers)


def _above(prefix: str, tensors: Mapping[str, TensorRecord]) -> Iterator[tuple[str, dict[str, Layer]]]:
    """The layers beside a network on each of the paths that lead to it, the nearest first."""
    path = prefix.rstrip(".")
    while path:
        path = path.rpartition(".")[0]
        above = f"{path}." if path else ""
        beside = {
            name.removeprefix(above): record
            for name, record in tensors.items()
            if name.startswith(above) and not name.startswith(prefix)
        }
        yield above, layers_of(beside)


def _goes_on(conv: Layer, convs: Sequence[Layer]) -> bool:
    """Whether another convolution of the stem takes what this one puts out."""
    following = convs[convs.index(conv) + 1 :]
    return bool(following) and following[0].shape[1] == conv.width and following[0].name.split(".")[0] in (
        conv.name.split(".")[0], re.sub(r"\d+$", lambda digits: str(int(digits[0]) + 1), conv.name.split(".")[0])
    )  # fmt: skip


Head = tuple[str, tuple[Layer, ...]]  # what it is called, its layers in order


def _heads(layers_left: Mapping[str, Layer], width: int, last: Sequence[Layer]) -> list[Head]:
    """The classifiers among layers that are neither stem nor stages: chains of linear layers and norms from `width`."""
    groups: dict[str, list[Layer]] = {}
    for path, layer in layers_left.items():
        if layer in last or not spellings.HEAD.match(path) or spellings.PROJECTION.search(path):
            continue
        groups.setdefault(path.split(".")[0], []).append(layer)
    if not any(_chains(_ordered(group, width), width) for _, group in _split_up(groups, width)):
        groups = _only_candidate(layers_left, width, last)
    heads: list[tuple[list[str], list[Layer]]] = []
    for name, named in _split_up(groups, width):
        group = _ordered(named, width)
        before = next((each for each in heads if _follows(each, name, group)), None)
        if before is not None:
            before[0].append(name)
            before[1].extend(group)
        elif _chains(group, width):
            heads.append(([name], list(group)))
    return [(", ".join(names), tuple(layers)) for names, layers in heads]


def _follows(head: tuple[list[str], list[Layer]], name: str, group: Sequence[Layer]) -> bool:
    """Whether layers go on from a head whose last ones are called alike, with the next number."""
    names, layers = head
    return _goes_on_from(names[-1], name) and _chains(group, _outputs(layers))


def _outputs(head: Sequence[Layer]) -> int:
    """How many logits a head makes."""
    return [layer for layer in head if layer.kind != NORM][-1].width


def _only_candidate(layers_left: Mapping[str, Layer], width: int, last: Sequence[Layer]) -> dict[str, list[Layer]]:
    """Layers of an unknown name that lead from the features to outputs, if there is one such group: 'cls', 'top'."""
    groups: dict[str, list[Layer]] = {}
    for path, layer in layers_left.items():
        if layer not in last and not spellings.PROJECTION.search(path) and not spellings.NO_HEAD.search(path):
            groups.setdefault(path.split(".")[0], []).append(layer)
    fitting = {name: group for name, group in _split_up(groups, width) if _chains(_ordered(group, width), width)}
    widths = list(map(_outputs, fitting.values()))
    return fitting if len(fitting) == 1 and widths != [width] else {}


def _split_up(groups: Mapping[str, list[Layer]], width: int) -> Iterator[tuple[str, list[Layer]]]:
    """Layers that may be heads, by name; those of several heads in one list ('heads.0', 'heads.1') each on its own."""
    for name, group in groups.items():
        if any(spellings.ATTENDS.search(layer.name) for layer in group):
            continue
        sides = [layer for layer in group if layer.kind == LINEAR and layer.shape[1] == width]
        if len(sides) == len(group) > 1 and any(layer.width != width for layer in sides[:-1]):
            yield from ((layer.name, [layer]) for layer in group)
        else:
            yield name, group


def _goes_on_from(name: str, following: str) -> bool:
    """Whether 'fc2' follows 'fc1', as layers of one head that are called by numbers."""
    (start, number), (same, other) = (re.fullmatch(r"(.*?)(\d*)", each).groups() for each in (name, following))  # type: ignore[union-attr]
    return start == same and bool(other) and int(other) == int(number or 0) + 1 + (not number)


def _heads_beside(above: Above, width: int) -> list[Head]:
    """The classifiers beside a network ('head.fc' beside 'backbone'): under the nearest of the paths that lead to it.

    A norm of the features that stands there too ('bottleneck' beside 'base' and 'classifier') comes before each.
    """
    for path_above, inside in above:
        heads = _heads(inside, width, ())
        if heads:
            taken = [layer for _, head in heads for layer in head]
            norms = [
                layer for path, layer in inside.items()
                if layer not in taken and layer.kind == NORM and layer.width == width
                and spellings.LAST_NORM.fullmatch(f"{path}.")
            ]  # fmt: skip
            return [(f"{path_above}{name}", _under(path_above, (*norms, *head))) for name, head in heads]
    return []


def _ordered(group: Sequence[Layer], width: int) -> Sequence[Layer]:
    """Layers in their order, or, where they only fit so, norms of the features first ('head.fc', 'head.norm')."""
    norms = [layer for layer in group if layer.kind == NORM and layer.width == width]
    first = [*norms, *(layer for layer in group if layer not in norms)]
    return first if not _chains(group, width) and _chains(first, width) else group


def _chains(group: Sequence[Layer], width: int) -> bool:
    """Whether layers lead from `width` features to outputs: linear layers (or 1x1 convolutions) and norms.

    A norm without statistics is a layer norm, which comes before all others.
    """
    linear = 0
    for number, layer in enumerate(group):
        if layer.kind == NORM:
            a_layer_norm = number == 0 and layer.tensors.keys() >= {"weight", "bias"}
            if layer.width != width or not (layer.has_statistics or a_layer_norm):
                return False
        elif layer.kind == LINEAR or layer.shape[2:] == (1, 1):
            if layer.shape[1] != width:
                return False
            width, linear = layer.width, linear + 1
        else:
            return False
    return linear > 0


def _full_names(layer: Layer, prefix: str, tensors: Mapping[str, TensorRecord]) -> set[str]:
    names = layers.names_of([layer])
    return {name if name in tensors else f"{prefix}{name}" for name in names}


def _without(part: Part, taken: set[str]) -> Part:
    return replace(part, left=tuple(sorted((name for name in part.left if name not in taken), key=natural)))
