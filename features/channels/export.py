"""What channels answer to, as a folder: facts as JSON, channels, extreme images and classes as tables of Parquet."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from features.channels.beside import Beside
from features.channels.next_block import reader_of, readers
from features.channels.patches import fields, patch_of
from features.channels.results import Channels, Layer
from features.channels.sweep import ChannelSweep
from features.claim import Claim, Kind
from features.datasets import ImageSet
from features.errors import ImageError
from features.networks.zoo import Model
from features.progress import Progress, Task

JSON, TABLE, EXTREMES = "channels.json", "channels.parquet", "extremes.parquet"
CLASSES, READERS = "classes.parquet", "readers.parquet"
LESIONS, ALIKE = "lesions.parquet", "alike.parquet"
CHANNELS = Kind("channels", "answers of channels")
READ_BY = 8  # channels of the next block that are told of each


def write(
    claim: Claim,
    told: Channels,
    model: Model,
    images: ImageSet,
    sweeps: Sequence[ChannelSweep] = (),
    against: Beside | None = None,
) -> Task[None]:
    """Write what was measured of a network's channels to a folder that was claimed.

    images: the set that was measured. sweeps: of some of its layers. against: the network beside another.
    Raises FeatureError as `Claim.commit`.
    """
    tables = {
        TABLE: told.table(),
        EXTREMES: (yield from _extremes(told, model, images)),
        READERS: _readers(told, model),
    }
    if told.classes.names:
        tables[CLASSES] = pd.concat([_classes(told, each) for each in told.layers], ignore_index=True)
    if sweeps:
        tables[LESIONS] = pd.concat([each.table() for each in sweeps], ignore_index=True)
    if against is not None:
        tables[ALIKE] = against.table()
    for name, table in tables.items():
        with claim.file(name) as file:
            table.to_parquet(file, index=False)
    content = _content(told, model, sweeps, against)
    claim.write(JSON, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
    claim.commit({"layers": content["layers"], "n_images": told.n_images})


def _content(told: Channels, model: Model, sweeps: Sequence[ChannelSweep], against: Beside | None) -> dict[str, Any]:
    """The facts as JSON can hold them. read_by: the block that reads a layer, None for the last and where none does."""
    content = told.as_dict()
    for layer in content["layers"]:
        layer["read_by"] = reader_of(model, layer["name"])
    if sweeps:
        content["lesions"] = [each.as_dict() for each in sweeps]
    if against is not None:
        content["against"] = against.as_dict()
    return content


def _extremes(told: Channels, model: Model, images: ImageSet) -> Task[pd.DataFrame]:
    """One row per layer, channel and extreme image: value, position in the map, patch in the picture's pixels."""
    total = sum(each.n_channels for each in told.layers)
    sizes: dict[int, tuple[int, int] | None] = {}  # of the pictures that are among them, each opened once
    known = fields(model)
    rows: list[dict[str, object]] = []
    done = 0
    for layer in told.layers:
        for channel in range(layer.n_channels):
            yield Progress(done, total, "channel", "patches")
            for kind, extremes in (("highest", layer.top), ("lowest", layer.bottom)):
                for rank, row in enumerate(extremes.rows[channel].tolist()):
                    if row not in sizes:
                        sizes[row] = _size(images, row)
                    y, x = extremes.positions[channel, rank].tolist()
                    size = sizes[row]
                    box = (np.nan,) * 4 if size is None else patch_of(model, known[layer.name], (y, x), size).box
                    rows.append(
                        {
                            "layer": layer.name, "channel": channel, "kind": kind, "rank": rank + 1,
                            "id": told.ids[row], "value": float(extremes.values[channel, rank]), "row": y, "column": x,
                            **dict(zip(("left", "top", "right", "bottom"), box, strict=True)),
                        }
                    )  # fmt: skip
            done += 1
    return pd.DataFrame(rows)


def _size(images: ImageSet, row: int) -> tuple[int, int] | None:
    """Width and height of a picture; None where it is not there any more."""
    try:
        return images.open(row).size
    except ImageError:
        return None


def _classes(told: Channels, layer: Layer) -> pd.DataFrame:
    """One row per layer, channel and class."""
    selectivity = told.selectivity(layer.name)
    n_classes, n_channels = selectivity.difference.shape
    return pd.DataFrame(
        {
            "layer": layer.name,
            "channel": np.tile(np.arange(n_channels), n_classes),
            "class": np.repeat(np.array(selectivity.names, dtype=object), n_channels),
            **{name: getattr(selectivity, name).ravel() for name in ("difference", "low", "high", "auroc")},
        }
    )


def _readers(told: Channels, model: Model) -> pd.DataFrame:
    """One row per channel and channel of the next block that reads it most; none for a layer that no block reads."""
    rows = []
    for layer in told.layers:
        if reader_of(model, layer.name) is None:
            continue
        read = readers(model, layer.name)
        for channel in range(layer.n_channels):
            numbers, strengths = read.of(channel, READ_BY)
            rows += [
                {"layer": layer.name, "channel": channel, "rank": rank, "reader": number, "strength": strength}
                for rank, (number, strength) in enumerate(
                    zip(numbers.tolist(), strengths.tolist(), strict=True), start=1
                )
            ]
    return pd.DataFrame(rows, columns=["layer", "channel", "rank", "reader", "strength"])
