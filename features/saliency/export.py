"""Maps as files: raw arrays, overlays on what the network saw, and a manifest that says what each is."""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import numpy as np

from features import rasters
from features.claim import MANIFEST, Claim, Held, Kind, inner_name, read_json
from features.networks.zoo import Model
from features.saliency.attributions import INPUT
from features.saliency.ledger import LEDGER
from features.saliency.maps import BRANCH, OUTPUT, SHORTCUT, SUM, SaliencyMaps, Tap

INPUT_PICTURE = "input.png"
EARLIER_KEYS = {"image", "tap", "part", "method", "file", "blank"}  # of a map's row in a manifest without a kind
PIXELS_SHOWN = 0.995


@dataclass(frozen=True)
class Drawing:
    """How maps are drawn over pictures.

    colours: of rasters.RECTIFIED or rasters.SIGNED; None takes the first signed one for parts of blocks, else
    the first of the others. opacity: of the heat map, in [0, 1]. one_scale: whether an image's maps share a scale.
    side: the least side of an overlay in pixels.
    """

    colours: str | None = None
    opacity: float = 0.5
    one_scale: bool = False
    side: int = 448

    def colours_of(self, taps: Sequence[Tap]) -> str:
        """The colours of maps at these taps."""
        if self.colours is not None:
            return self.colours
        return next(iter(rasters.RECTIFIED if all(tap.part == OUTPUT for tap in taps) else rasters.SIGNED))


def exported(
    result: SaliencyMaps,
    model: Model,
    images: Mapping[str, np.ndarray],
    drawing: Drawing,
    beside: Sequence[SaliencyMaps] = (),
) -> Iterator[tuple[str, bytes, dict[str, Any] | None]]:
    """(file name, content, its row of the manifest or None) of every map: a .npy, and a .png of it over the image.

    images: name -> (H, W, 3) uint8, what the network saw, in the order of the maps. Parts of a block share a scale.
    beside: other maps of the same images that are seen beside these, for a drawing on one scale.
    """
    for row, (image, picture) in enumerate(images.items()):
        folder = f"{_plain(image)}/"
        large = rasters.magnify(picture, drawing.side)
        yield f"{folder}{INPUT_PICTURE}", rasters.png(large), None
        colours = drawing.colours_of(tuple(result.maps))
        values_of = {tap: values[row] for tap, values in result.maps.items()}
        for tap, values in values_of.items():
            scaled = [pair for pair in values_of.items() if drawing.one_scale or _together(tap, pair[0])]
            if drawing.one_scale:
                scaled += [(key, values[row]) for other in beside for key, values in other.maps.items()]
            limit = max(limit_of(key, other, colours in rasters.SIGNED) for key, other in scaled)
            name = f"{folder}{result.method}-{tap.name}" + (f"-{tap.part}" if tap.part != OUTPUT else "")
            heat = rasters.heat_map(values, large.shape[1::-1], colours, limit)
            yield f"{name}.png", rasters.png(rasters.overlay(large, heat, drawing.opacity)), None
            yield (
                f"{name}.npy",
                _npy(values),
                {
                    **_row(result, model, row, image, tap, values),
                    "file": f"{name}.npy",
                    "signed": colours in rasters.SIGNED,
                },
            )


def limit_of(tap: Tap, values: np.ndarray, signed: bool) -> float:
    """What a map's colours end at: its extreme, but for maps of the input's pixels, where a few hide all others, the
    value that one pixel in two hundred exceeds.
    """
    if tap != INPUT:
        return rasters.limit_of(values, signed)
    sizes = np.abs(values) if signed else values.clip(min=0)
    return float(np.quantile(sizes, PIXELS_SHOWN)) or rasters.limit_of(values, signed)


def _together(one: Tap, other: Tap) -> bool:
    return one == other or (one.name == other.name and OUTPUT not in (one.part, other.part))


def _row(result: SaliencyMaps, model: Model, row: int, image: str, tap: Tap, values: np.ndarray) -> dict[str, Any]:
    index, against = int(result.class_ids[row]), int(result.against_ids[row])
    return {
        "image": image,
        "tap": tap.name,
        "part": tap.part if tap.part in (BRANCH, SHORTCUT) else SUM,
        "of": "output" if tap.part == OUTPUT or result.method == LEDGER else "pre-activation",
        "class_index": None if index < 0 else index,
        "class_name": None if index < 0 else model.spec.class_name(index),
        "against_index": None if against < 0 else against,
        "against_name": None if against < 0 else model.spec.class_name(against),
        "target": result.targets[row],
        "score": float(result.scores[row]),
        **({} if result.biases is None else {"bias": float(result.biases[row])}),
        "method": result.method,
        "shape": list(values.shape),
        "minimum": float(values.min()),
        "maximum": float(values.max()),
        "sum": float(values.sum(dtype=np.float64)),
        "absolute_sum": float(np.abs(values).sum(dtype=np.float64)),
        "blank": blank(values),
    }


def blank(values: np.ndarray) -> str | None:
    """Why a map (H, W) shows nothing: 'zero', 'negative' or 'constant'; None if it shows something."""
    if not values.any():
        return "zero"
    if values.max() <= 0:
        return "negative"
    return "constant" if values.size > 1 and values.min() == values.max() else None


def write(files_of_maps: Iterable[tuple[str, bytes, dict[str, Any] | None]], claim: Claim) -> list[dict[str, Any]]:
    """Write what `exported` gives to a folder that was claimed, and give back the manifest's rows of it."""
    rows = []
    for name, content, row in files_of_maps:
        claim.write(name, content)
        rows += [row] if row else []
    return rows


def _earlier(folder: Path, name: str) -> Held | None:
    """A folder of before manifests told their kind; what was computed in which precision stood nowhere as a setting."""
    content = read_json(folder / MANIFEST) or {}
    rows, made = content.get("maps"), content.get("provenance")
    if not isinstance(rows, list) or not isinstance(made, dict) or "weights_sha256" not in made or not rows:
        return None
    names = {MANIFEST}
    for row in rows:
        if not isinstance(row, dict) or not row.keys() >= EARLIER_KEYS:
            return None
        path = PurePosixPath(row["file"])
        names |= {str(path), str(path.with_suffix(".png")), str(path.parent / INPUT_PICTURE)}
    return Held(None, frozenset(map(inner_name, names)), True, content)


MAPS = Kind("saliency", "maps", earlier=_earlier)


def manifest(rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> bytes:
    """manifest.json of exported maps: `maps`, a row each, and what made them."""
    return (json.dumps({"maps": list(rows), **settings}, indent=1) + "\n").encode()


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def _plain(name: str) -> str:
    """An image's name as a folder's, with something of its whole path: 'cat-1f2e3d' for 'pets/cat.png'."""
    stem = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in PurePath(name).stem)
    return f"{stem[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
