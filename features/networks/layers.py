"""Groups a file's tensors into layers: what kind each is follows from its tensors' names and dimensions."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from features.networks.containers import TensorRecord
from features.networks.spellings import PARAMETRIZED

CONV, LINEAR, NORM = "conv", "linear", "norm"
COUNTER = "num_batches_tracked"
STATISTICS = ("running_mean", "running_var")


@dataclass(eq=False)
class Layer:
    """One layer with parameters. name: its path; kind: CONV, LINEAR or NORM; tensors: 'weight', ... -> record."""

    name: str
    kind: str = ""
    tensors: dict[str, TensorRecord] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its weight, or of its statistics where a norm has no weight."""
        return (self.tensors.get("weight") or self.tensors["running_mean"]).shape

    @property
    def width(self) -> int:
        """Channels that it puts out."""
        return self.shape[0]

    @property
    def has_statistics(self) -> bool:
        return self.tensors.keys() >= set(STATISTICS)


# Paths that lead to a network, the nearest first, each with the layers beside it.
Above = Sequence[tuple[str, Mapping[str, Layer]]]


def layers_of(tensors: Mapping[str, TensorRecord], kindless: bool = False) -> dict[str, Layer]:
    """Layer by its path, in natural order ('2' before '10'). kindless: whether to keep those of no known kind.

    A convolution is a weight of four dimensions, a linear layer one of two, a norm a weight of one; a norm without a
    weight (affine=False) is known by its statistics.
    """
    by_path: dict[str, Layer] = {}
    for name, record in tensors.items():
        path, own = _split(name)
        by_path.setdefault(path, Layer(path)).tensors[own] = record
    for layer in by_path.values():
        _parametrized(layer)
        layer.kind = _kind(layer)
    return {path: by_path[path] for path in sorted(by_path, key=natural) if by_path[path].kind or kindless}


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts numbers in names by their size."""
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.findall(r"\d+|\D+", name))


def names_of(layers: Iterable[Layer]) -> set[str]:
    return {f"{layer.name}.{own}" if layer.name else own for layer in layers for own in layer.tensors}


def _split(name: str) -> tuple[str, str]:
    for pair in PARAMETRIZED:
        for own in pair:
            if name.endswith(f".{own}") or name == own:
                return name[: -len(own)].rstrip("."), own
    path, _, own = name.rpartition(".")
    return path, own


def _parametrized(layer: Layer) -> None:
    """Weight normalisation: the weight of its length and direction (Salimans & Kingma 2016, arXiv:1602.07868)."""
    for length, direction in PARAMETRIZED:
        if length in layer.tensors and direction in layer.tensors and "weight" not in layer.tensors:
            size, way = layer.tensors[length], layer.tensors[direction]

            def load(size: TensorRecord = size, way: TensorRecord = way):
                values, lengths = way.load().float(), size.load().float()
                if lengths.numel() == 1:  # one length for the whole weight
                    return values * (lengths.reshape(()) / values.norm())
                norms = values.flatten(1).norm(dim=1).reshape(-1, *[1] * (values.ndim - 1))
                return values * (lengths.reshape(norms.shape) / norms)

            # One for all, or one for each output, which lies in the first dimension.
            fits = size.numel == 1 or size.shape[:1] == way.shape[:1] == (size.numel,)
            fault = way.fault or size.fault or ("" if fits else "weight norm along another side")
            layer.tensors["weight"] = TensorRecord(way.shape, way.dtype, load, fault)


def _kind(layer: Layer) -> str:
    weight = layer.tensors.get("weight")
    if weight is None:
        return NORM if layer.has_statistics else ""
    dimensions = len(weight.shape)
    return {4: CONV, 2: LINEAR, 1: NORM}.get(dimensions, "")


def by_first_step(layers: Iterable[tuple[str, Layer]]) -> dict[str, list[Layer]]:
    """Layers with their paths, by the first step of these: 'fc.0' and 'fc.2' as 'fc'."""
    groups: dict[str, list[Layer]] = {}
    for path, layer in layers:
        groups.setdefault(path.split(".")[0], []).append(layer)
    return groups


def layers_above(prefix: str, tensors: Mapping[str, TensorRecord]) -> Iterator[tuple[str, dict[str, Layer]]]:
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


def under(path: str, layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers by the names that they have in the file."""
    return tuple(replace(layer, name=f"{path}{layer.name}") for layer in layers)
