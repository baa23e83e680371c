"""The channels of two networks beside each other, layer by layer, on the same images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from features import engine, extract
from features.channels.alike import PERMUTATIONS, Matches, matched
from features.channels.layers import STEM, layer_named
from features.datasets import ImageSet
from features.errors import FeatureError
from features.networks.zoo import Model
from features.progress import Task, part_of, retold
from features.results import Provenance

SAMPLE = 10_000  # images that are read, of larger sets
SAMPLE_SEED = 0  # as `compare` reads them, so that what one has read the other finds in the cache


@dataclass(frozen=True, eq=False)
class LayerBeside:
    """A layer of two networks. name: as it was asked for. layers: the stem or block that it is in either network.

    matches: of the first network's channels among the second's, and of the second's among the first's; `top` counts
    rows of the set.
    """

    name: str
    layers: tuple[str, str]
    matches: tuple[Matches, Matches]


@dataclass(frozen=True, eq=False)
class Beside:
    """How alike two networks' channels are on n_images images of a set.

    names: the networks', different from each other. ids: of all images of the set. provenance: what made either's
    numbers.
    """

    names: tuple[str, str]
    layers: tuple[LayerBeside, ...]
    ids: tuple[str, ...]
    n_images: int
    provenance: tuple[Provenance, Provenance]

    def layer(self, name: str) -> LayerBeside:
        """A layer, by the name that it was asked for. Raises FeatureError if it was not compared."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise FeatureError(f"{name} was not compared, only {', '.join(each.name for each in self.layers)}.")

    def table(self) -> pd.DataFrame:
        """One row per layer, network and channel.

        layer, network, channel; beside: the other network, and `match` its channel that is most alike, empty where the
        channel is constant; correlation, chance and limit: as of `Matches`; mutual.
        """
        parts = [
            pd.DataFrame(
                {
                    "layer": layer.name, "network": self.names[side], "block": layer.layers[side],
                    "channel": np.arange(len(made.channels)), "beside": self.names[1 - side],
                    "match": pd.arrays.IntegerArray(made.channels, made.channels < 0),
                    "correlation": made.correlations, "mutual": made.mutual, "chance": made.chance,
                    "limit": made.limit, "n_images": self.n_images,
                }
            )
            for layer in self.layers
            for side, made in enumerate(layer.matches)
        ]  # fmt: skip
        return pd.concat(parts, ignore_index=True)

    def summary(self) -> pd.DataFrame:
        """One row per layer and network: channels, of these constant, median correlation, shares mutual and beyond
        chance.
        """
        return pd.DataFrame(
            [
                {
                    "layer": layer.name, "network": self.names[side], "channels": len(made.channels),
                    "constant": made.n_constant, "median": made.median,
                    "mutual": float(made.mutual.sum() / max(1, len(made.channels) - made.n_constant)),
                    "beyond_chance": made.beyond_chance, "limit": made.limit,
                }
                for layer in self.layers
                for side, made in enumerate(layer.matches)
            ]
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """The facts of the whole as JSON can hold them; the numbers of single channels are in `table`."""
        rows = self.summary().astype(object)
        return {
            "networks": list(self.names),
            "n_images": self.n_images,
            "layers": rows.where(rows.notna(), None).to_dict("records"),
            "provenance": [each.as_dict() for each in self.provenance],
        }


def beside(
    first: Model,
    second: Model,
    images: ImageSet,
    layers: Sequence[str] = (),
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Task[Beside]:
    """Find the channels that are most alike in two networks, each by its own preprocessing.

    layers: of 'stem', stages (their last blocks) and blocks that both have; none for the stem and all common stages.
    Of more than SAMPLE images so many are drawn. What either puts out is kept in the cache folder. permutations, seed:
    as of `matched`.
    Raises FeatureError if there is no such layer in both or fewer than 3 images can be read, and as `extract.cached`.
    """
    chosen = _layers(first, second, layers)
    drawn = np.arange(len(images))
    if len(drawn) > SAMPLE:
        drawn = np.sort(np.random.default_rng(SAMPLE_SEED).permutation(len(images))[:SAMPLE])
    few = images if len(drawn) == len(images) else images.take(drawn.tolist())
    reads = []
    for model in (first, second):
        reads.append((yield from extract.cached(model, few, _stages(model))))
    rows = np.intersect1d(reads[0].rows, reads[1].rows)  # which both could read
    made = []
    for number, (name, pair) in enumerate(chosen.items()):
        values = [
            each.stages[layer] if len(rows) == len(each.rows) else each.stages[layer][np.searchsorted(each.rows, rows)]
            for each, layer in zip(reads, pair, strict=True)
        ]
        part = partial(part_of, number=number, total=len(chosen), note=f"channels most alike in {name}")
        forward, back = yield from retold(matched(values[0], values[1], permutations, seed), part)
        of_set = drawn[rows]
        made.append(LayerBeside(name, pair, (_of_set(forward, of_set), _of_set(back, of_set))))
    settings = {"layers": [*chosen], "permutations": permutations, "seed": seed, "n_images": len(rows)}
    return Beside(
        names=_names(first, second),
        layers=tuple(made),
        ids=images.ids,
        n_images=len(rows),
        provenance=(reads[0].provenance.with_settings(**settings), reads[1].provenance.with_settings(**settings)),
    )


def _of_set(made: Matches, rows: np.ndarray) -> Matches:
    return replace(made, top=rows[made.top])


def _layers(first: Model, second: Model, names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Name -> the stem or block that it is in either network."""
    there = set(second.network.stage_names)
    wanted = list(dict.fromkeys(names)) or [STEM, *(name for name in first.network.stage_names if name in there)]
    return {name: (layer_named(first.network, name), layer_named(second.network, name)) for name in wanted}


def _stages(model: Model) -> tuple[str, ...]:
    logits = () if model.network.classifier is None else (engine.LOGITS,)
    return (*engine.blocks_of(model.network), engine.POOLED, *logits)


def _names(first: Model, second: Model) -> tuple[str, str]:
    """The networks' names, with their numbers where both are called the same."""
    one, other = first.spec.name, second.spec.name
    return (one, other) if one != other else (f"{one} (1)", f"{other} (2)")
