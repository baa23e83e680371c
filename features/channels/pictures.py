"""Filters, maps of one picture and pictures of activation maximisation as files beside the tables of channels."""

import io
import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from features import rasters
from features.channels.filters import Filters
from features.channels.layers import is_number
from features.channels.maps import OUTPUT, FeatureMaps
from features.channels.maximisation import Maximised
from features.channels.results import Channels
from features.channels.sheets import colours_of, filter_sheet, map_sheet, shared_limit
from features.claim import Claim
from features.errors import FeatureError

FILTERS, FILTERS_TABLE = "filters.png", "filters.parquet"
MAPS, MAPS_TABLE = "maps", "maps.parquet"
MAXIMISED, MAXIMISED_JSON = "maximised", "maximised.json"
COLUMNS, GAP, SIDE = 16, 2, 224  # pictures in a row; px


def named_channels(text: str) -> list[tuple[str, int]]:
    """Layers and channels of a text 'layer3.1:5,layer4:0'. Raises FeatureError for what is none."""
    pairs = [part.strip().rpartition(":") for part in text.split(",") if part.strip()]
    if not pairs or not all(layer and is_number(channel) for layer, _, channel in pairs):
        raise FeatureError(f"Wanted channels as layer3.1:5, several with commas between them, but got {text[:80]!r}.")
    return list(dict.fromkeys((layer, int(channel)) for layer, _, channel in pairs))


def write_filters(claim: Claim, filters: Filters) -> None:
    """filters.png, in the order of their numbers, and filters.parquet."""
    claim.write(FILTERS, rasters.png(filter_sheet(filters, range(len(filters.kernels)), gap=GAP)))
    with claim.file(FILTERS_TABLE) as file:
        filters.table().to_parquet(file, index=False)


def write_maps(claim: Claim, maps: Sequence[FeatureMaps], order: str) -> None:
    """Of one picture, for each layer: its maps as maps/LAYER.npy, all of them in an order as a sheet, maps/LAYER.png.

    maps.parquet has a row per layer and channel; place: where the channel is on its layer's sheet, from 0.
    """
    tables = []
    for each in maps:
        name = f"{MAPS}/{each.layer}" + (f"-{each.part}" if each.part != OUTPUT else "")
        numbers = each.order(order)
        colours = colours_of(each)
        limit = shared_limit(each.values, colours in rasters.SIGNED)
        claim.write(f"{name}.npy", _npy(each.values))
        claim.write(f"{name}.png", rasters.png(map_sheet(each.values[numbers], colours, limit, COLUMNS, gap=GAP)))
        tables.append(each.table().assign(place=np.argsort(numbers)))
    with claim.file(MAPS_TABLE) as file:
        pd.concat(tables, ignore_index=True).to_parquet(file, index=False)


def write_maximised(claim: Claim, made: Sequence[Maximised], told: Channels) -> None:
    """Each picture as maximised/LAYER-CHANNEL.png, its planes as .npy; maximised.json tells all but these.

    times_highest: what was reached as a multiple of the most of the images; None where its layer was not measured.
    """
    measured = {layer.name: layer for layer in told.layers}
    rows = []
    for each in made:
        name = f"{MAXIMISED}/{each.layer}-{each.channel}"
        claim.write(f"{name}.png", rasters.png(rasters.magnify(each.picture, SIDE)))
        claim.write(f"{name}.npy", _npy(each.pixels))
        times = each.beside(measured[each.layer]) if each.layer in measured else np.nan
        rows.append({"file": f"{name}.png", "times_highest": None if np.isnan(times) else times, **each.as_dict()})
    claim.write(MAXIMISED_JSON, (json.dumps(rows, indent=1, allow_nan=False) + "\n").encode())


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()
