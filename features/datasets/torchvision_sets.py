"""Image sets that torchvision knows by name."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from features.datasets import images
from features.datasets.image_set import ImageSet, set_digest
from features.errors import DatasetError, ImageError


def open_torchvision(source: str, data_root: str | None, download: bool) -> ImageSet:
    import torchvision

    _, name, split = (source + "::").split(":")[:3]
    factory = getattr(torchvision.datasets, name, None)
    if not isinstance(factory, type) or not issubclass(factory, torchvision.datasets.VisionDataset):
        raise DatasetError(
            f"torchvision has no image set called {name!r}. Try CIFAR10, FashionMNIST or ImageFolder's own path."
        )
    root = Path(data_root or os.environ.get("TORCHVISION_DATA", "data")).expanduser()
    choice = _split_arguments(factory, split)
    split = split or ("test" if choice else "all")
    try:
        data = factory(root=root, **choice, **({"download": True} if download else {}))
    except (RuntimeError, OSError, ValueError, TypeError) as error:
        raise DatasetError(
            f"torchvision's {name} ({split}) cannot be opened under {root.resolve()}: {error} "
            "Name its folder with --data-root, or add --download where there is a network."
        ) from error

    def opener(index: int) -> Image.Image:
        try:
            return images.upright_rgb(data[index][0])
        except Exception as error:  # each set has its own way of failing at a damaged file
            raise ImageError(f"{ids[index]} cannot be read: {error}. Fetch the set again.") from error

    labels = _torchvision_labels(data, name)
    class_names: tuple[str, ...] = ()
    if labels is not None:
        class_names = tuple(map(str, getattr(data, "classes", range(int(labels.max()) + 1))))
    ids = tuple(f"{name}/{split}/{index:06d}" for index in range(len(data)))
    content = "" if labels is None else hashlib.sha256(labels.tobytes()).hexdigest()
    pixels = getattr(data, "data", None)  # MNIST's and CIFAR's kinds hold all their pixels; others lie in files
    kept = isinstance(pixels, np.ndarray) or type(pixels).__name__ == "Tensor"
    what = hashlib.sha256(np.asarray(pixels).tobytes()).hexdigest() if kept else str(root.resolve())
    digest = set_digest([f"{name}/{split}", what], [str(len(data)), content])
    return ImageSet(
        f"{name} {split}", ids, labels, class_names, digest, opener, lambda index: f"torchvision:{ids[index]}"
    )


def _torchvision_labels(data: Any, name: str) -> np.ndarray | None:
    targets = getattr(data, "targets", getattr(data, "labels", getattr(data, "_labels", None)))
    if targets is None:
        return None
    try:
        labels = np.asarray(targets, dtype=np.int64)
    except (TypeError, ValueError):
        labels = None
    if labels is None or labels.shape != (len(data),):
        raise DatasetError(f"torchvision's {name} has no single class for each image. Choose a set for classification.")
    return labels  # (N,)


def _split_arguments(factory: type, split: str) -> dict[str, str | bool]:
    """torchvision's sets say either train=True/False or split='train'/'test'/'val'."""
    import inspect

    parameters = inspect.signature(factory).parameters
    if "train" in parameters:
        split = split or "test"
        if split not in ("train", "test"):
            raise DatasetError(f"{factory.__name__} has the splits 'train' and 'test', but got {split!r}.")
        return {"train": split == "train"}
    if "split" in parameters:
        return {"split": split or "test"}
    if split:
        raise DatasetError(
            f"torchvision's {factory.__name__} has no split {split!r}, only one set. Leave the split away."
        )
    return {}
