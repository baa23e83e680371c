"""The rows as plain arrays: NumPy files, a NumPy archive, safetensors.

All are written block by block, through files and not through memory maps: a full disk raises an OSError in the one
and ends the process in the other.
"""

import json
import zipfile
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from safetensors import safe_open

from features.store.feature_set import FeatureSet, Stages
from features.store.manifest import Manifest

IDS, ARCHIVE, TENSORS = "ids.txt", "features.npz", "features.safetensors"
BLOCK_BYTES = 8 * 2**20
ALIGNMENT = 8  # of the data of a safetensors file


def blocks(features: FeatureSet, manifest: Manifest, stage: str) -> Iterator[np.ndarray]:
    """A stage's rows in their order, in blocks of at most 8 MiB."""
    row_bytes = prod(manifest.shapes[stage]) * np.dtype(manifest.dtype).itemsize
    step = max(1, BLOCK_BYTES // row_bytes)
    for start in range(0, len(features), step):
        yield features.read(stage, start, min(start + step, len(features)))


def npy_names(manifest: Manifest) -> set[str]:
    """The files of `write_npy`."""
    return {IDS, *(f"{stage}.npy" for stage in manifest.shapes)}


def write_npy(features: FeatureSet, manifest: Manifest, folder: Path) -> Iterator[int]:
    """STAGE.npy each, and ids.txt with one id a line. Yields how many bytes it wrote."""
    lines = (image_id.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r") for image_id in features.ids)
    (folder / IDS).write_text("".join(f"{line}\n" for line in lines), "utf-8", "surrogateescape", newline="\n")
    for stage in manifest.shapes:
        with (folder / f"{stage}.npy").open("wb") as file:
            yield from _write_stage(file, features, manifest, stage)


def write_npz(features: FeatureSet, manifest: Manifest, folder: Path) -> Iterator[int]:
    """features.npz, uncompressed. Yields how many bytes it wrote."""
    table = features.table().dropna(axis="columns")  # without what nothing is known of
    words = {"id": features.ids, "label": features.class_names}
    if (labels := features.label_names()) is not None and features.label_sets is not None:
        words["label"] = tuple(labels)
    if (said := features.predictions) is not None:
        words["pred"] = said.class_names if said.assigned is None else tuple(said.names)
    # Texts as wide as the longest name, whether it occurs or not, so that parts of a set have one type.
    described = {name: table[name].to_numpy(np.array(words[name]).dtype if name in words else None) for name in table}
    with zipfile.ZipFile(folder / ARCHIVE, "w", zipfile.ZIP_STORED) as archive:
        for stage in manifest.shapes:
            with archive.open(f"{stage}.npy", "w", force_zip64=True) as member:
                yield from _write_stage(member, features, manifest, stage)
        for name, values in described.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, values, allow_pickle=False)


def _write_stage(file: IO[bytes], features: FeatureSet, manifest: Manifest, stage: str) -> Iterator[int]:
    dtype = np.dtype(manifest.dtype)
    header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": _shape(features, manifest, stage)}
    npy.write_array_header_1_0(file, header)
    for block in blocks(features, manifest, stage):
        yield file.write(np.ascontiguousarray(block).data)


def _shape(features: FeatureSet, manifest: Manifest, stage: str) -> tuple[int, ...]:
    return (len(features), *manifest.shapes[stage])


def write_safetensors(features: FeatureSet, manifest: Manifest, folder: Path) -> Iterator[int]:
    """features.safetensors. Yields how many bytes it wrote.

    The header is made here, since the library writes only what lies in memory as a whole, which the features of a
    large set do not; it is a length and JSON, and the values follow: https://github.com/huggingface/safetensors#format.
    The library reads it.
    """
    dtype = {"float32": "F32", "float16": "F16"}[manifest.dtype]
    header: dict[str, object] = {"__metadata__": {"n_rows": str(len(features))}}
    end = 0
    for stage in manifest.shapes:
        shape = _shape(features, manifest, stage)
        start, end = end, end + prod(shape) * np.dtype(manifest.dtype).itemsize
        header[stage] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    with (folder / TENSORS).open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for stage in manifest.shapes:
            for block in blocks(features, manifest, stage):
                yield file.write(np.ascontiguousarray(block).data)


class NpyStages(Stages):
    """Memory-mapped: only what is looked at is read."""

    def _read(self, stage: str, start: int, stop: int) -> np.ndarray:
        return np.load(self.folder / f"{stage}.npy", mmap_mode="r")[start:stop]


class NpzStages(Stages):
    """Memory-mapped inside the archive, whose members are not compressed."""

    def _read(self, stage: str, start: int, stop: int) -> np.ndarray:
        path = self.folder / ARCHIVE
        with path.open("rb") as file, zipfile.ZipFile(file) as archive, archive.open(f"{stage}.npy"):
            # Opening a member leaves the file at its first byte; NumPy's magic string says so, or raises ValueError.
            npy.read_magic(file)
            shape, _, dtype = npy.read_array_header_1_0(file)
            return np.memmap(path, dtype, "r", file.tell(), shape)[start:stop]


class SafetensorsStages(Stages):
    """Read by the library, slice by slice."""

    def _read(self, stage: str, start: int, stop: int) -> np.ndarray:
        with safe_open(self.folder / TENSORS, framework="numpy") as file:
            return file.get_slice(stage)[start:stop]
