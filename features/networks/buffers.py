"""What a network does to its pixels, where it keeps mean and standard deviation among its tensors."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from features.networks import written
from features.networks.containers import TensorRecord
from features.networks.spellings import NORMALISER, PIXELS


def pixels_of(records: Mapping[str, TensorRecord], network: str, channels: int) -> dict[str, Any]:
    """Fields of the preprocessing that a file's tensors tell of a network in it; {} where they do not.

    network: the path that lies before its names. Of several pairs the one that lies nearest to it is taken.
    """
    pairs = sorted(_pairs(records, network, channels), key=lambda pair: -len(pair[0]))
    for owner, mean, std in pairs:
        told = written.pixels(mean, std, channels)
        if told:
            others = [pair[1:] for pair in pairs if pair[0] == owner]
            return told if all(pair == (mean, std) for pair in others) else {}
    return {}


def _pairs(
    records: Mapping[str, TensorRecord], network: str, channels: int
) -> Iterator[tuple[str, tuple[float, ...], tuple[float, ...]]]:
    """Whose they are, mean and standard deviation, of every pair that has a number for each channel."""
    for name in records:
        path, _, own = name.rpartition(".")
        other = f"{path}.{PIXELS.get(own)}".lstrip(".")
        if own not in PIXELS or other not in records:
            continue
        owner = re.sub(NORMALISER, "", path)
        inside = not owner or f"{network}.".startswith(f"{owner}.")
        if (
            inside
            and (channels == 3 or owner != path)
            and all(_fits(records[each], channels) for each in (name, other))
        ):
            mean, std = (tuple(records[each].load().double().flatten().tolist()) for each in (name, other))
            yield owner, mean, std


def _fits(record: TensorRecord, channels: int) -> bool:
    return record.is_plain and record.numel == channels and channels in record.shape
