"""Times how image sets of many files are opened: from a folder tree, a list and Parquet.

    python benchmarks/datasets.py [--images N] [--folder DIR]

Each way is timed in a process of its own: seconds until the set is open, how much memory it holds then (resident, above
what the libraries take), and seconds until the first batch is decoded. The files are one small JPEG per class under
many names (hard links, in a folder for each of 1,000 classes), so that what is timed is the listing and not the disk.
The plainest contestants: torchvision's ImageFolder on the same tree, and a walk that only names and stats the files.
"""

import argparse
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
CLASSES, BATCH, ROW_GROUP = 1000, 64, 10_000


def make(folder: Path, n_images: int) -> None:
    """A tree, a list and a Parquet file of as many images."""
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(buffer, "JPEG")
    names = []
    for number in range(CLASSES):
        inner = folder / "tree" / f"class{number:04}"
        inner.mkdir(parents=True)
        (folder / f"{number:04}.jpg").write_bytes(buffer.getvalue())  # a file can have some 65,000 names
        for index in range(number, n_images, CLASSES):
            os.link(folder / f"{number:04}.jpg", inner / f"{index:08}.jpg")
            names.append(f"tree/{inner.name}/{index:08}.jpg\t{inner.name}")
    (folder / "list.txt").write_text("\n".join(names))
    schema = pa.schema([("image", pa.binary()), ("label", pa.int64())])
    with pq.ParquetWriter(folder / "images.parquet", schema) as writer:
        for start in range(0, n_images, ROW_GROUP):
            rows = range(start, min(start + ROW_GROUP, n_images))
            column = [buffer.getvalue()] * len(rows)
            writer.write_table(pa.table({"image": column, "label": [row % CLASSES for row in rows]}, schema))


def _open(name: str) -> Callable[[Path], object]:
    def opened(folder: Path) -> object:
        from features.datasets import open_images

        return open_images(str(folder / name))

    return opened


def _image_folder(folder: Path) -> object:
    from torchvision.datasets import ImageFolder

    return ImageFolder(str(folder / "tree"))


def _walk(folder: Path) -> object:
    return [os.stat(os.path.join(at, name)).st_mtime_ns for at, _, names in os.walk(folder / "tree") for name in names]  # noqa: PTH116, PTH118


CONTESTANTS: dict[str, Callable[[Path], object]] = {
    "names and times alone (os.walk)": _walk,
    "torchvision's ImageFolder": _image_folder,
    "folder tree": _open("tree"),
    "list": _open("list.txt"),
    "Parquet": _open("images.parquet"),
}


def one(name: str, folder: Path) -> None:
    """Time one contestant in this process, and print what was measured as JSON."""
    import torch
    import torchvision.datasets  # noqa: F401

    from features.datasets.decoding import batches
    from features.datasets.image_set import ImageSet
    from features.networks.preprocessing import Preprocessing

    process = psutil.Process()
    before = process.memory_info().rss
    began = time.perf_counter()
    opened = CONTESTANTS[name](folder)
    seconds, held = time.perf_counter() - began, process.memory_info().rss - before
    first = None
    if isinstance(opened, ImageSet):
        torch.set_num_threads(1)
        began = time.perf_counter()
        stream = batches(opened, Preprocessing(resize=64, crop=64, mean=(0.5,) * 3, std=(0.5,) * 3), BATCH)
        next(stream)
        first = time.perf_counter() - began
        stream.close()
    print(json.dumps({"seconds": seconds, "mb": held / 2**20, "first_batch": first}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1_000_000, help="how many (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--folder", type=Path, help="where to make them (default: a temporary folder)")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.one, options.folder)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        folder = Path(scratch)
        began = time.perf_counter()
        make(folder, options.images)
        took = time.perf_counter() - began
        print(f"{platform.machine()}, {os.cpu_count()} cores; {options.images:,} images made in {took:.0f} s")
        told: dict[str, list[dict[str, float | None]]] = {name: [] for name in CONTESTANTS}
        for _ in range(options.rounds):
            for name in CONTESTANTS:
                command = [sys.executable, __file__, "--one", name, "--folder", str(folder)]
                ran = subprocess.run(
                    command, check=True, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
                )
                told[name].append(json.loads(ran.stdout))
        report(told)


def report(told: dict[str, list[dict[str, float | None]]]) -> None:
    print("| | seconds to open | MB held | first batch, s |\n|---|---|---|---|")
    for name, runs in told.items():
        cells = []
        for key, digits in (("seconds", 2), ("mb", 0), ("first_batch", 2)):
            values = [value for run in runs if (value := run[key]) is not None]
            cells.append(f"{np.median(values):.{digits}f}" if values else "")
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
