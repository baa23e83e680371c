"""What stands beside a network in its file, and what of that may lie between the network and its head, or behind it."""

from collections.abc import Iterator, Mapping, Sequence

from features.networks import spellings
from features.networks.classifiers import heads_of, outputs_of
from features.networks.containers import TensorRecord
from features.networks.heads import inputs_of
from features.networks.layers import CONV, LINEAR, NORM, Above, Layer, by_first_step


def layers_going_on(above: Above, rest: Mapping[str, Layer], head: Sequence[Layer]) -> Iterator[str]:
    """Heads that take what a head puts out: beside its network, or in it under another name ('fc', 'classifier')."""
    if not head:
        return
    width = outputs_of(head)
    # What makes as many as it takes may lie before a pool, of averages and maxima too.
    widths = (width, 2 * width) if inputs_of(head) == width else (width,)
    used = {id(record) for layer in head for record in layer.tensors.values()}
    for path_above, inside in (("", rest), *above):
        others = {path: layer for path, layer in inside.items() if layer not in head}
        for name, following in (each for width in widths for each in heads_of(others, width, ())):
            if used.isdisjoint(id(record) for layer in following for record in layer.tensors.values()):
                yield f"{path_above}{name}"


def layers_between(above: Above, rest: Mapping[str, Layer], head: Sequence[Layer], width: int) -> Iterator[str]:
    """What in or beside a network makes `width` features or maps of as many: layers, and learned pools."""
    if not head:
        return
    used = {id(record) for layer in head for record in layer.tensors.values()}
    for path_above, inside in (("", rest), *above):
        others = (item for item in inside.items() if used.isdisjoint(map(id, item[1].tensors.values())))
        groups = by_first_step(others)
        yield from (f"{path_above}{name}" for name, group in groups.items() if _keeps(group, width))


def layers_widening(
    prefix: str, tensors: Mapping[str, TensorRecord], above: Above, rest: Mapping[str, Layer], head: Sequence[Layer]
) -> Iterator[str]:
    """What in or beside a network takes its features, or makes the twice as many that a head takes."""
    width = inputs_of(head)
    used = {id(record) for layer in head for record in layer.tensors.values()}
    for path_above, inside in (("", rest), *above):
        for path, layer in inside.items():
            takes, makes = (layer.width, 0) if layer.kind == NORM else (layer.shape[1], layer.width)
            if used.isdisjoint(map(id, layer.tensors.values())) and (takes == width // 2 or makes == width):
                yield f"{path_above}{path}"
    yield from odd_beside(prefix, tensors, width // 2)


def layers_before(above: Above, rest: Mapping[str, Layer], stem: Sequence[Layer]) -> Iterator[str]:
    """What in or beside a network makes as many channels as its stem takes of as many: norms, mixtures of colours."""
    if not stem:
        return
    for path_above, inside in (("", rest), *above):
        others = (
            (path, layer) for path, layer in inside.items()
            if layer not in stem and (layer.kind != NORM or layer.has_statistics or "bias" in layer.tensors)
        )  # fmt: skip
        for name, group in by_first_step(others).items():
            if all(layer.kind in (CONV, NORM) for layer in group) and _keeps(group, stem[0].shape[1]):
                yield f"{path_above}{name}"


def _keeps(group: Sequence[Layer], width: int) -> bool:
    """Whether layers lead from `width` features or maps to as many, one after the other."""
    made = width
    for layer in group:
        if (layer.width if layer.kind == NORM else layer.shape[1]) != made:
            return False
        made = layer.width
    return made == width


def odd_beside(prefix: str, tensors: Mapping[str, TensorRecord], width: int) -> Iterator[str]:
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


def recurrent_beside(tensors: Mapping[str, TensorRecord], width: int) -> Iterator[str]:
    """Recurrent layers in a file that make `width` features, whatever they are called ('decoder', 'memory')."""
    for name, record in tensors.items():
        if record.shape and spellings.RECURRENT.search(name) and width in (record.shape[-1], 2 * record.shape[-1]):
            yield name.rpartition(".")[0] or name


def dense_beside(prefix: str, above: Above, head: Sequence[Layer]) -> list[str]:
    """What linear layers beside a network without a head are called."""
    names: list[str] = []
    for path_above, inside in () if head else above:
        groups = {path.split(".")[0] for path, layer in inside.items() if layer.kind == LINEAR}
        paths = (f"{path_above}{name}" for name in sorted(groups))
        names += [path for path in paths if not prefix.startswith(f"{path}.")]
    return names


def has_predictor(prefix: str, tensors: Mapping[str, TensorRecord]) -> bool:
    """Whether a predictor or a queue stands beside a network, so that its fc is a projection."""
    paths = prefix.split(".")[:-1]
    above = {"".join(f"{path}." for path in paths[:number]) for number in range(len(paths) + 1)}
    return any(
        name.startswith(path) and spellings.PREDICTOR.match(name.removeprefix(path))
        for name in tensors
        for path in above
    )
