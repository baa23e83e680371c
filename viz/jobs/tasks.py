"""What a process of its own can be told to do by plain arguments: one entry each."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.errors import DatasetError, WeightsError
from features.progress import Task


@dataclass(frozen=True)
class LongTask:
    """run: a task of JSON's types with a result of JSON's types.

    read: makes of that result what pages show. Raises FeatureError if it is not there any more.
    """

    run: Callable[..., Task[Any]]
    read: Callable[[Any], Any]


def extract(
    network: dict[str, Any], images: dict[str, Any], how: dict[str, Any], folder: str, size: int, format: str
) -> Task[dict[str, Any]]:
    """Features into a folder; the result says where they are and what they are.

    network: {name, key}: as `naming.parse` reads it, and the key of what was chosen. images: {source, limit,
    digest}. how: what `engine.choose` takes.
    Raises WeightsError or DatasetError if what is there is not what was chosen any more.
    """
    from features import engine
    from features.extract import to_folder

    model = _load(**network)
    plan = engine.choose(model.network, **how)
    manifest = yield from to_folder(model, _open(**images), plan, Path(folder), size, format)
    return {"folder": folder, "features": json.dumps(manifest.without_results())}


def _load(name: str, key: str) -> Any:
    from features import devices
    from features.networks import zoo

    model = zoo.load(name)
    if model.key != key:
        raise WeightsError(f"{name} has changed since it was chosen. Choose it again.")
    model.network.to(devices.best_device())
    return model


def _open(source: str, limit: int, digest: str) -> Any:
    from features import datasets

    images = datasets.open_images(source).sample(limit)
    if images.digest != digest:
        raise DatasetError(f"The images of {source} have changed since they were chosen. Choose them again.")
    return images


def _manifest(result: dict[str, Any]) -> Any:
    from features.store import StoreError, read_manifest

    manifest = read_manifest(Path(result["folder"]))
    if not manifest.complete or json.dumps(manifest.without_results()) != result["features"]:
        raise StoreError(f"{result['folder']} holds other features by now. Choose another folder.")
    return manifest


TASKS = {"extract": LongTask(extract, _manifest)}
