"""Maps as files: raw arrays, overlays on what the network saw, and a manifest that says what each is."""

import hashlib
import io
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from features import files, rasters
from features.errors import FeatureError
from features.networks.zoo import Model
from features.saliency.attributions import INPUT
from features.saliency.ledger import LEDGER
from features.saliency.maps import BRANCH, OUTPUT, SHORTCUT, SUM, SaliencyMaps, Tap

MANIFEST, INPUT_PICTURE, MAKING = "manifest.json", "input.png", ".making"
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
    found: SaliencyMaps,
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
        colours = drawing.colours_of(tuple(found.maps))
        values_of = {tap: values[row] for tap, values in found.maps.items()}
        for tap, values in values_of.items():
            scaled = [pair for pair in values_of.items() if drawing.one_scale or _together(tap, pair[0])]
            if drawing.one_scale:
                scaled += [(key, others[row]) for result in beside for key, others in result.maps.items()]
            limit = max(limit_of(key, other, colours in rasters.SIGNED) for key, other in scaled)
            name = f"{folder}{found.method}-{tap.name}" + (f"-{tap.part}" if tap.part != OUTPUT else "")
            heat = rasters.heat_map(values, large.shape[1::-1], colours, limit)
            yield f"{name}.png", rasters.png(rasters.overlay(large, heat, drawing.opacity)), None
            yield (
                f"{name}.npy",
                _npy(values),
                {
                    **_row(found, model, row, image, tap, values),
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


def _row(found: SaliencyMaps, model: Model, row: int, image: str, tap: Tap, values: np.ndarray) -> dict[str, Any]:
    index, against = int(found.class_ids[row]), int(found.against_ids[row])
    return {
        "image": image,
        "tap": tap.name,
        "part": tap.part if tap.part in (BRANCH, SHORTCUT) else SUM,
        "of": "output" if tap.part == OUTPUT or found.method == LEDGER else "pre-activation",
        "class_index": None if index < 0 else index,
        "class_name": None if index < 0 else model.spec.class_name(index),
        "against_index": None if against < 0 else against,
        "against_name": None if against < 0 else model.spec.class_name(against),
        "target": found.targets[row],
        "score": float(found.scores[row]),
        **({} if found.biases is None else {"bias": float(found.biases[row])}),
        "method": found.method,
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


def earlier(folder: Path) -> list[Path]:
    """The maps of an earlier run that lie in a folder. Raises FeatureError if it holds other things, or is a file."""
    files.need_no_file(folder)
    if not folder.is_dir() or {entry.name for entry in folder.iterdir()} <= {MAKING}:
        return []
    try:
        names = [row["file"] for row in json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["maps"]]
        return [
            folder / name for name in names if not PurePath(name).is_absolute() and ".." not in PurePath(name).parts
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FeatureError(f"{folder} holds other things than maps. Choose a new or an empty folder.") from error


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A place to make maps and their manifest in, which take the place of an earlier run's once all of them are made.

    Files of the earlier run that the new manifest does not name go. Raises FeatureError as `earlier`.
    """
    earlier(folder)
    making = folder / MAKING
    shutil.rmtree(making, ignore_errors=True)  # left by a run that was killed
    making.mkdir(parents=True)
    try:
        yield making
        _clear(folder)
        # The manifest first: whatever happens next, it says that the folder is one of maps.
        for file in sorted(making.rglob("*"), key=lambda path: path.name != MANIFEST):
            if file.is_file():
                place = folder / file.relative_to(making)
                place.parent.mkdir(parents=True, exist_ok=True)
                file.replace(place)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _clear(folder: Path) -> None:
    old = earlier(folder)
    (folder / MANIFEST).unlink(missing_ok=True)
    for file in old:
        for left in (file, file.with_suffix(".png"), file.parent / INPUT_PICTURE):
            left.unlink(missing_ok=True)
        if file.parent != folder and file.parent.is_dir() and not any(file.parent.iterdir()):
            file.parent.rmdir()


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
