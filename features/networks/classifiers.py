"""The heads among the layers in and beside a network: by their words, and by the widths that they lead from and to."""

import re
from collections.abc import Iterator, Mapping, Sequence

from features.networks import spellings
from features.networks.layers import CONV, LINEAR, NORM, Above, Layer, by_first_step, under

Head = tuple[str, tuple[Layer, ...]]  # what it is called, its layers in order


def heads_of(layers_left: Mapping[str, Layer], width: int, last: Sequence[Layer]) -> list[Head]:
    """The classifiers among layers that are neither stem nor stages: chains of linear layers and norms from `width`."""
    groups = by_first_step(
        (path, layer) for path, layer in layers_left.items()
        if layer not in last and spellings.HEAD.match(path) and not spellings.PROJECTION.search(path)
    )  # fmt: skip
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


def heads_beside(above: Above, width: int) -> list[Head]:
    """The classifiers beside a network ('head.fc' beside 'backbone'): under the nearest of the paths that lead to it.

    A norm of the features that stands there too ('bottleneck' beside 'base' and 'classifier') comes before each.
    """
    for path_above, inside in above:
        heads = heads_of(inside, width, ())
        if heads:
            taken = [layer for _, head in heads for layer in head]
            norms = [
                layer for path, layer in inside.items()
                if layer not in taken and layer.kind == NORM and layer.width == width
                and spellings.LAST_NORM.fullmatch(f"{path}.")
            ]  # fmt: skip
            return [(f"{path_above}{name}", under(path_above, (*norms, *head))) for name, head in heads]
    return []


def candidates(above: Above, inside: Mapping[str, Layer], width: int, last: Sequence[Layer]) -> list[Head]:
    """Chains of layers from the features to outputs in and beside a network, whose names do not say what they are.

    Which of several is the classifier only a person knows.
    """
    unnamed = [(name, tuple(layers)) for name, layers in _unnamed(inside, width, last).items()]
    for path_above, beside in above:
        unnamed += [
            (f"{path_above}{name}", under(path_above, layers)) for name, layers in _unnamed(beside, width, ()).items()
        ]
    return unnamed


def outputs_of(head: Sequence[Layer]) -> int:
    """How many logits a head makes."""
    return [layer for layer in head if layer.kind != NORM][-1].width


def _follows(head: tuple[list[str], list[Layer]], name: str, group: Sequence[Layer]) -> bool:
    """Whether layers go on from a head whose last ones are called alike, with the next number."""
    names, layers = head
    return _goes_on_from(names[-1], name) and _chains(group, outputs_of(layers))


def _goes_on_from(name: str, following: str) -> bool:
    """Whether 'fc2' follows 'fc1', as layers of one head that are called by numbers."""
    (start, number), (same, other) = (re.fullmatch(r"(.*?)(\d*)", each).groups() for each in (name, following))  # type: ignore[union-attr]
    return start == same and bool(other) and int(other) == int(number or 0) + 1 + (not number)


def _only_candidate(layers_left: Mapping[str, Layer], width: int, last: Sequence[Layer]) -> dict[str, list[Layer]]:
    """Layers of an unknown name that lead from the features to outputs, if there is one such group: 'cls', 'top'."""
    fitting = _unnamed(layers_left, width, last)
    widths = list(map(outputs_of, fitting.values()))
    return fitting if len(fitting) == 1 and widths != [width] else {}


def _unnamed(layers_left: Mapping[str, Layer], width: int, last: Sequence[Layer]) -> dict[str, list[Layer]]:
    """Every group of layers that lead from the features to outputs, but for what is known to be no head."""
    groups = by_first_step(
        (path, layer) for path, layer in layers_left.items()
        if layer not in last and not spellings.PROJECTION.search(path) and not spellings.NO_HEAD.search(path)
    )  # fmt: skip
    return {
        name: list(_ordered(group, width))
        for name, group in _split_up(groups, width)
        if _chains(_ordered(group, width), width)
        if spellings.SCORES.match(name) or not any(layer.kind == CONV for layer in group)
    }


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
