"""What frozen parts put out of every image, computed once and kept on disk while a run lasts."""

import hashlib
import json
from contextlib import closing
from pathlib import Path

import numpy as np
import torch

from features import files
from features.datasets.decoding import batches
from features.errors import ImageError
from features.progress import Progress, Task
from features.train.export import TRAINING
from features.train.setup import Setup

BATCH = 64  # fixed, since what a convolution rounds may depend on it
MOST_BYTES = 8 * 2**30  # above which reading is no faster than computing


def kept(setup: Setup, key: str, state_file: Path) -> Task[np.ndarray | None]:
    """(N, ...) float32, what `Parts.put_out` gives of every image that is learned from, as a file that is read as it is
    needed; None where images or frozen parts differ from epoch to epoch, where nothing in front is frozen, or where it
    would take more than MOST_BYTES.

    key: what the run depends on. The file lies beside the state until `forget`.
    Raises ImageError if an image cannot be read, FeatureError if the file cannot be written.
    """
    if not setup.objective.labels or not (setup.recipe.sees_the_same and setup.parts.unchanging):
        return None
    path = _file_of(key, state_file)
    shape = _shape(setup)
    if 4 * np.prod(shape, dtype=np.int64) > MOST_BYTES:
        return None
    if not path.exists():
        with TRAINING.errors(path.parent), files.written_whole(path) as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
            images = setup.sets.learned.images
            with closing(batches(images, setup.preprocessing, BATCH, device=str(setup.device))) as stream:
                done = 0
                for batch in stream:
                    if batch.rejected:
                        raise ImageError(
                            f"{batch.rejected[0].reason} Mend it or take it out, and run the same command again."
                        )
                    file.write(_put_out(setup, setup.preprocessing.scaled(batch.pixels.to(setup.device))).tobytes())
                    done += batch.seen
                    yield Progress(done, len(images), "image", "what frozen parts make of it")
    return np.load(path, mmap_mode="r")


def forget(key: str, state_file: Path) -> None:
    """Take away what `kept` left, when a run has ended."""
    path = _file_of(key, state_file)
    if path.exists():
        with TRAINING.errors(path.parent):
            path.unlink(missing_ok=True)


def _file_of(key: str, state_file: Path) -> Path:
    digest = hashlib.sha256(json.dumps([key, torch.__version__]).encode()).hexdigest()[:16]
    return state_file.with_name(f"{state_file.name}.{digest}.npy")


def _shape(setup: Setup) -> tuple[int, ...]:
    sees = setup.preprocessing
    one = _put_out(setup, torch.zeros(1, sees.channels, sees.crop, sees.crop, device=setup.device))
    return (len(setup.sets.learned.images), *one.shape[1:])


def _put_out(setup: Setup, pixels: torch.Tensor) -> np.ndarray:
    """In the precision of the run."""
    with torch.autocast(setup.device.type, torch.bfloat16, enabled=setup.recipe.precision == "bf16"):
        made = setup.parts.put_out(pixels.contiguous(memory_format=torch.channels_last))
    return made.float().cpu().contiguous().numpy()
