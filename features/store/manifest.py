"""What a folder of features says of itself."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from features import files
from features.claim import MANIFEST, unfinished
from features.errors import FeatureError

VERSION = 1
REJECTED = "rejected.parquet"
EARLIER_PARTS = ".parts"  # where an earlier version kept the parts that another format is made of
KIND = "features"  # in manifests, also of other kinds of results
PART_IMAGES = 25_000
PART_BYTES = 32 * 2**20  # so that memory does not grow with the width of the stages
HEADROOM = 1.02  # ids, names and the format's own words beside the values
TEXT_BYTES = 12  # of a float32 written so that it comes back exactly
# What a run finds out, with the values from before it.
RESULTS: dict[str, Any] = {
    "made_with": {}, "n_rows": None, "n_rejected": None, "images_per_second": None, "sampled": False
}  # fmt: skip


LATER = ("many_labels", "many_predicted", "columns")  # which folders of earlier versions do not have


class StoreError(FeatureError):
    """A folder of features cannot be written, read or gone on with."""


@dataclass(frozen=True)
class Manifest:
    """What a folder of features holds and what made it; the fields stand so in manifest.json.

    settings: everything that the values depend on; a run with other settings is another run.
    shapes: stage -> shape of one image's values; dtype: 'float32' or 'float16'.
    n_images: images of the source; part_images: how many of them each Parquet part covers.
    format: of the files. made_with: the very device, library versions: what may differ between two parts.
    many_labels: whether an image may have any number of labels, which stand there with ';' between them.
    many_predicted: whether that is so of what is predicted.
    columns: what else is told of the images: name -> 'bool', 'int64', 'float64' or 'text'.
    sampled: whether the rows are only a sample of the images that could be read.
    """

    settings: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    dtype: str
    class_names: tuple[str, ...]
    prediction_names: tuple[str, ...]
    labelled: bool
    n_images: int
    part_images: int
    format: str = "parquet"
    made_with: dict[str, Any] = field(default_factory=dict)
    n_rows: int | None = None
    n_rejected: int | None = None
    images_per_second: float | None = None
    sampled: bool = False
    version: int = VERSION
    many_labels: bool = False
    many_predicted: bool = False
    columns: dict[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return self.n_rows is not None

    @property
    def bytes_per_image(self) -> int:
        size = _bytes_per_image(self.shapes, self.dtype)
        return size * TEXT_BYTES // np.dtype(self.dtype).itemsize if self.format == "tensorboard" else size

    @property
    def bytes_in_all(self) -> int:
        """About what the rows take on disk."""
        return int(HEADROOM * self.n_images * (self.bytes_per_image + 100))

    @cached_property
    def parts(self) -> tuple[range, ...]:
        """The images that each part covers."""
        starts = range(0, self.n_images, self.part_images)
        return tuple(range(start, min(start + self.part_images, self.n_images)) for start in starts)

    def without_results(self) -> dict[str, Any]:
        """What two runs must have in common for one to go on with the other's parts."""
        content = json.loads(json.dumps(asdict(self)))
        for name in RESULTS:
            del content[name]
        return content

    def differing(self) -> dict[str, Any]:
        """The same as `without_results` on one level, as it is compared and told."""
        content = self.without_results()
        return content | content.pop("settings")

    def content(self) -> dict[str, Any]:
        """What stands in manifest.json."""
        return asdict(self) | {"complete": self.complete}

    def write(self, folder: Path) -> None:
        files.write_whole(folder / MANIFEST, (json.dumps(self.content(), indent=1) + "\n").encode())


def manifest_of(content: Mapping[str, Any]) -> Manifest:
    """What manifest.json says. Raises KeyError, TypeError or ValueError if it is not that of features."""
    if content["version"] != VERSION:
        raise ValueError(f"format version {content['version']!r}, and this program reads {VERSION}")
    told = {name: content[name] for name in Manifest.__dataclass_fields__ if name in content or name not in LATER}
    shapes = {name: tuple(shape) for name, shape in content["shapes"].items()}
    names = {name: tuple(content[name]) for name in ("class_names", "prediction_names")}
    return Manifest(**told | names | {"shapes": shapes})


def read_manifest(folder: Path) -> Manifest:
    """What a folder of features says of itself. Raises StoreError if it is no such folder, or of a later version."""
    try:
        with files.reached(folder):
            content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            if isinstance(content, dict) and (kind := content.get("kind", KIND)) != KIND:
                raise StoreError(
                    f"{folder} holds results of another kind ({kind}), no features. Name a folder that "
                    "`python -m features extract` made."
                )
            return manifest_of(content)
    except FileNotFoundError as error:
        if unfinished(folder) or (folder / EARLIER_PARTS / MANIFEST).exists():
            raise StoreError(
                f"{folder} is not complete. Run the command that began it again, and it goes on."
            ) from error
        raise StoreError(
            f"{folder} has no {MANIFEST}, so it is no folder of features. Make one with `python -m features extract`."
        ) from error
    except OSError as error:
        raise StoreError(f"{folder / MANIFEST} cannot be read: {error}. Mend this, and try again.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{folder / MANIFEST} is damaged, not of features or of another version: {error}. Name a folder that "
            "`python -m features extract` made."
        ) from error


def part_images(shapes: Mapping[str, tuple[int, ...]], dtype: str) -> int:
    """How many images a part covers: 25,000, or as many as make 32 MiB where they are wide."""
    return max(1, min(PART_IMAGES, PART_BYTES // max(1, _bytes_per_image(shapes, dtype))))


def _bytes_per_image(shapes: Mapping[str, tuple[int, ...]], dtype: str) -> int:
    return sum(int(np.prod(shape)) for shape in shapes.values()) * np.dtype(dtype).itemsize


def unique_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """The same names, with its number behind each that stands there twice: ImageNet has two classes called maillot."""
    return tuple(name if names.count(name) == 1 else f"{name} ({index})" for index, name in enumerate(names))
