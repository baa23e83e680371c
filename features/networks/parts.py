"""Finds the residual networks in a file, wherever they lie and however their layers are called."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from features.errors import WeightsError
from features.networks import layers, spellings
from features.networks.classifiers import Head, candidates, heads_beside, heads_of
from features.networks.containers import TensorRecord
from features.networks.heads import inputs_of, pools
from features.networks.layers import LINEAR, NORM, Above, Layer, by_first_step, layers_above, layers_of, natural
from features.networks.stages import MAX_NETWORKS, BlockLayers, Blocks, gap_of, gather, stages_of, width_of
from features.networks.stems import stem_beside, stem_of
from features.networks.surroundings import (
    dense_beside,
    has_predictor,
    layers_before,
    layers_between,
    layers_going_on,
    layers_widening,
    odd_beside,
    recurrent_beside,
)

# The first layer of a head that lies behind its body in a Sequential, with room for a pool and what flattens before it.
BEHIND_A_BODY = re.compile(r"(?:^|\.)\d+\.(?:[2-9]|\d\d)$")


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
    `head` is one; of several with names that say nothing, only a person knows which one it is, and `head` is ().
    projections: what would be in `between`, were it not called as only self-supervised training has it. dense: linear
    layers beside a network without a head. may_be_timms: whether all names in it are such as timm has.
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
            name for name in inside if not spellings.AVERAGE.match(name)
            if spellings.MADE.search(name) or not (spellings.ASIDE.search(name) or spellings.NEVER_RUN.match(name))
        )  # fmt: skip
        unread = [f"{prefix}{name}" for name in names if f"{prefix}{name}" not in self.linear]
        return (*unread, *(name for name in self._in_the_head(prefix) if name not in unread))

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
    groups: dict[str, None] = {}
    for name in part.left:
        path = "".join(f"{step}." for step in _shared(name, part.name))
        inside = name.removeprefix(path)
        known = bool(spellings.ASIDE.search(inside)) and (bool(part.head) or not spellings.HEAD.match(inside))
        known = known or bool(spellings.NEVER_RUN.match(inside) or spellings.AVERAGE.search(name))
        if not known and not name.startswith(elsewhere) and not name.endswith(layers.COUNTER):
            group = f"{path}{inside.split('.')[0]}"
            if name not in told and group not in told:
                groups[group] = None
    return tuple(groups)


def _shared(name: str, other: str) -> Iterator[str]:
    """The steps that two paths have in common."""
    for step, same in zip(name.split(".")[:-1], other.split("."), strict=False):
        if step != same:
            return
        yield step


def parts_of(tensors: Mapping[str, TensorRecord], head: str | None = None) -> list[Part]:
    """Every residual network among named tensors, the main one first.

    head: which to take of those that have several; None takes the first. Raises WeightsError for too many networks.

    The main one is the first that is whole, from its stem on, and no copy of another (teacher, momentum encoder,
    average); among those, one with a head before one without, then the one with more parameters, then the one that
    comes first in the file.
    """
    usable = {name: record for name, record in tensors.items() if not spellings.TRAINING.search(name)}
    gathered = gather(usable)
    if len(gathered) > MAX_NETWORKS:
        raise WeightsError(f"more than {MAX_NETWORKS} residual networks. Save the one that is wanted alone")
    parts = [_part(prefix, blocks, usable, head) for prefix, blocks in gathered.items()]
    taken = {name for blocks in gathered.values() for name in blocks.names}
    parts = [_without(part, taken) for part in parts]
    return sorted(
        parts, key=lambda part: (bool(part.gap), not part.stem, part.copy, not part.head, -part.parameters)
    )  # fmt: skip


def _part(prefix: str, blocks: Blocks, tensors: Mapping[str, TensorRecord], wanted: str | None) -> Part:
    stages = stages_of(blocks)
    outside = {name: record for name, record in tensors.items() if name.startswith(prefix) and name not in blocks.names}
    inside = layers_of({name.removeprefix(prefix): record for name, record in outside.items()})
    above = tuple(layers_above(prefix, tensors))
    stem = stem_of(inside, stages[0][0]) or stem_beside(above, stages[0][0])
    stem_pool = tuple(layer for path, layer in inside.items() if spellings.STEM_POOL.match(path)) if stem else ()
    rest = {
        path: layer for path, layer in inside.items()
        if layer not in (*stem, *stem_pool) and not spellings.NEVER_RUN.match(f"{path}.")
    }  # fmt: skip
    last = tuple(
        layer for path, layer in rest.items() if layer.kind == NORM and len(layer.shape) == 1
        and spellings.LAST_NORM.match(f"{path}.") and layer.width == width_of(stages)
    )  # fmt: skip
    heads = _heads(prefix, tensors, above, rest, width_of(stages), last)
    heads = heads or _heads_of_both(prefix, tensors, above, rest, width_of(stages), last, wanted)
    unnamed = _unnamed(prefix, tensors, above, rest, width_of(stages), last, heads)
    names = tuple(each for each, _ in (*heads, *unnamed))
    heads += [each for each in unnamed if is_called(each[0], wanted)]
    head_name, head = next((each for each in heads if is_called(each[0], wanted)), heads[0] if heads else ("", ()))
    used = {name for layer in (*stem, *stem_pool, *last, *head) for name in _full_names(layer, prefix, tensors)}
    name = prefix.rstrip(".")
    left = tuple(name for name in tensors if name not in used and name not in blocks.names)
    within = [name for name in tensors if name.startswith(prefix)]
    copy = bool(spellings.COPY.search(name))
    linear = frozenset(_linear(rest, prefix, tensors, [width_of([stage]) for stage in stages]))
    going_on = tuple(layers_going_on(above, rest, head))
    after = {path: layer for path, layer in rest.items() if layer not in last}
    widths = {width_of(stages): None, inputs_of(head): None} if head else {}  # before the head's pool, and behind it
    keeping = tuple(name for width in widths for name in layers_between(above, after, head, width))
    for width in widths:
        keeping += (*odd_beside(prefix, tensors, width), *recurrent_beside(tensors, width))
    trains = any(spellings.SELF_SUPERVISED.search(name) for name in tensors)
    projections = tuple(name for name in keeping if trains and spellings.PROJECTION.search(name))
    between = tuple(name for name in keeping if name not in projections)
    before = tuple(layers_before(above, rest, stem))
    return Part(
        name=name,
        title=blocks.title,
        stages=stages,
        stem=stem,
        last=last,
        head=head,
        head_name=head_name,
        left=left,
        copy=copy,
        stem_pool=stem_pool,
        linear=linear,
        faulty=tuple(_faulty(prefix, tensors)),
        going_on=going_on,
        between=between,
        before=before,
        gap=gap_of(blocks),
        heads=names,
        projections=projections,
        dense=tuple(dense_beside(prefix, above, head)),
        may_be_timms=may_be_timms(each.removeprefix(prefix) for each in within),
    )


def _heads(
    prefix: str, tensors: Mapping[str, TensorRecord], above: Above, rest: Mapping[str, Layer], width: int,
    last: Sequence[Layer],
) -> list[Head]:  # fmt: skip
    """The classifiers of so many features, those in a network before those beside it."""
    encoder = bool(spellings.ENCODER.search(prefix))
    inside = [] if encoder or has_predictor(prefix, tensors) else heads_of(rest, width, last)
    return inside if encoder else [*inside, *heads_beside(above, width)]


def _unnamed(
    prefix: str, tensors: Mapping[str, TensorRecord], above: Above, rest: Mapping[str, Layer], width: int,
    last: Sequence[Layer], known: Sequence[Head],
) -> list[Head]:  # fmt: skip
    """What may be classifiers as well by its shapes, though nothing in its names says so."""
    if spellings.ENCODER.search(prefix) or has_predictor(prefix, tensors):
        return []
    taken = {layer.name for _, head in known for layer in head}
    return [each for each in candidates(above, rest, width, last) if taken.isdisjoint(layer.name for layer in each[1])]


def _heads_of_both(
    prefix: str, tensors: Mapping[str, TensorRecord], above: Above, rest: Mapping[str, Layer], width: int,
    last: Sequence[Layer], wanted: str | None,
) -> list[Head]:  # fmt: skip
    """The classifiers of averages and maxima, twice as many as there are channels, as far as these are no others.

    Of two images' features, or of what a layer made, there may be as many.
    """
    kept = []
    for name, head in _heads(prefix, tensors, above, rest, 2 * width, last):
        ways = pools(head, width)
        follows = (
            name in rest or any(path.startswith(f"{name}.") for path in rest) or BEHIND_A_BODY.search(head[0].name)
        )
        likely = follows or is_called(name, wanted) or (head[0].kind == NORM and head[0].has_statistics)
        alone = next(layers_widening(prefix, tensors, above, rest, head), None) is None
        if len(ways) == 1 or (ways and likely and alone):
            kept.append((name, head))
    return kept


def _faulty(prefix: str, tensors: Mapping[str, TensorRecord]) -> Iterator[str]:
    """Tensors of a network or its head that are sparse, quantised or without numbers, each with why."""
    for name, record in tensors.items():
        inside = name.removeprefix(prefix)
        a_part = spellings.HEAD.match(inside) or not spellings.ASIDE.search(inside)
        if a_part and record.fault and name.startswith(prefix) and not name.endswith(layers.COUNTER):
            yield f"{name} ({record.fault})"


def _linear(
    rest: Mapping[str, Layer], prefix: str, tensors: Mapping[str, TensorRecord], widths: Sequence[int]
) -> Iterator[str]:
    """Names of what can only come after the pooling: layers called alike that are linear, and norms between them.

    widths: of the stages. What leads from a width of these but the last to one of these may gate what lies between.
    """
    for group in by_first_step(rest.items()).values():
        linear = [layer for layer in group if layer.kind == LINEAR]
        if linear and all(layer.kind in (LINEAR, NORM) for layer in group):
            if linear[0].shape[1] in widths[:-1] and linear[-1].width in widths:
                continue
            for layer in group:
                yield from _full_names(layer, prefix, tensors)


def _full_names(layer: Layer, prefix: str, tensors: Mapping[str, TensorRecord]) -> set[str]:
    names = layers.names_of([layer])
    return {name if name in tensors else f"{prefix}{name}" for name in names}


def _without(part: Part, taken: set[str]) -> Part:
    return replace(part, left=tuple(sorted((name for name in part.left if name not in taken), key=natural)))
