"""What a process of its own can be told to do: one entry each."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import DatasetError, WeightsError
from features.progress import Task

if TYPE_CHECKING:  # a page that waits for a process needs none of them
    import numpy as np

    from features.datasets import ImageSet
    from features.networks.zoo import Model

MODEL, IMAGES = "model", "images"


@dataclass(frozen=True)
class LongTask:
    """run: a task. Its arguments have JSON's types, but for `model` and `images`, which `resolved` loads from what an
    order says of them, and for what is attached to the order.

    read: of a task that writes to a folder, where the next run goes on: makes of the result, which then has JSON's
    types, what pages show. Raises FeatureError if it is not there any more. None for a result that is kept as it is.
    """

    run: Callable[..., Task[Any]]
    read: Callable[[Any], Any] | None = None


def told_of_model(model: "Model") -> dict[str, Any] | None:
    """What an order says of a network; None for one that another process could not load.

    What was tested on images is said too, since the other process has none, and may find no note of it.
    """
    if model.name is None:
        return None
    tested = model.verdict.settings if model.verdict is not None else ()
    return {"name": str(replace(model.name, settings=(*model.name.settings, *tested))), "key": model.key}


def told_of_images(images: "ImageSet") -> dict[str, Any] | None:
    """What an order says of an image set; None for one that another process could not open."""
    origin = images.origin
    if origin is None:
        return None
    columns = vars(origin.columns)
    return {"source": origin.source, "limits": list(origin.limits), "columns": columns, "digest": images.digest}


def resolved(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """An order's arguments with the network and the images that it tells of.

    Raises WeightsError or DatasetError if what is there is not what was chosen any more.
    """
    loaders: dict[str, Callable[..., Any]] = {MODEL: _load, IMAGES: _open}
    return {name: loaders[name](**value) if name in loaders else value for name, value in arguments.items()}


def _load(name: str, key: str) -> "Model":
    from features import devices, lesions
    from features.networks import naming, zoo

    asked = naming.parse(name)
    model = zoo.load(asked)
    if asked.lesion is not None:
        model = lesions.lesioned(model, lesions.parse(asked.lesion))
    if model.key != key:
        raise WeightsError(f"{name} has changed since it was chosen. Choose it again.")
    model.network.to(devices.best_device())
    return model


def _open(source: str, limits: Sequence[int | str], columns: Mapping[str, str], digest: str) -> "ImageSet":
    from features import datasets

    images = datasets.reopen(datasets.Origin(source, tuple(limits), datasets.Columns(**columns)))
    if images.digest != digest:
        raise DatasetError(f"The images of {source} have changed since they were chosen. Choose them again.")
    return images


def _extract(
    model: "Model", images: "ImageSet", how: dict[str, Any], folder: str, size: int, format: str
) -> Task[dict[str, Any]]:
    """Features into a folder; the result says where they are and what they are. how: what `engine.choose` takes."""
    from features import engine
    from features.extract import to_folder

    plan = engine.choose(model.network, **how)
    manifest = yield from to_folder(model, images, plan, Path(folder), size, format)
    return {"folder": folder, "features": json.dumps(manifest.without_results())}


def _manifest(result: dict[str, Any]) -> Any:
    from features.store import StoreError, read_manifest

    manifest = read_manifest(Path(result["folder"]))
    if not manifest.complete or json.dumps(manifest.without_results()) != result["features"]:
        raise StoreError(f"{result['folder']} holds other features by now. Choose another folder.")
    return manifest


def _features(model: "Model", images: "ImageSet") -> Task[Any]:
    from features import extract

    return extract.features(model, images)


def _statistics(model: "Model", images: "ImageSet") -> Task[Any]:
    from features import residual

    return residual.statistics(model, images)


def _sweep(model: "Model", images: "ImageSet", kind: str) -> Task[Any]:
    from features import residual

    return residual.sweep(model, images, residual.lesions_of(model.network, kind))


def _paths(model: "Model", images: "ImageSet") -> Task[Any]:
    from features import residual

    return residual.paths(model, images)


def _maps(stages: "dict[str, np.ndarray]", provenance: Any, **settings: Any) -> Task[Any]:
    from features import embed

    return embed.stage_maps(stages, embed.MapSettings(**settings), provenance)


def _reseeded(stages: "dict[str, np.ndarray]", maps: Any) -> Task[Any]:
    from features import embed

    return embed.reseeded(stages, maps)


def _separation(features: "np.ndarray", graph: Any, labels: "np.ndarray", class_names: Sequence[str]) -> Task[Any]:
    from features import embed

    return embed.separation(features, graph, labels, class_names)


def _evaluation(model: "Model", images: "ImageSet", way: str | None) -> Task[Any]:
    from features import evaluate

    return evaluate.evaluate(model, images, way)


def _retrieval(stages: "dict[str, np.ndarray]", labels: "np.ndarray") -> Task[Any]:
    from features import evaluate

    return evaluate.retrieval(stages, labels)


def _novelty(known: Any, others: Any) -> Task[Any]:
    from features import evaluate

    return evaluate.novelty(known, others)


def _channels(model: "Model", images: "ImageSet", layers: Sequence[str]) -> Task[Any]:
    from features import channels

    return channels.responses(model, images, layers)


def _channel_sweep(model: "Model", images: "ImageSet", layer: str, numbers: Sequence[int]) -> Task[Any]:
    from features import channels

    return channels.sweep(model, images, layer, numbers)


def _maximise(model: "Model", layer: str, channel: int, settings: dict[str, Any]) -> Task[Any]:
    from features import channels

    return channels.maximise(model, layer, channel, channels.Ascent(**settings))


def _explain(model: "Model", pixels: Any, target: Any, method: str) -> Task[Any]:
    from features import saliency

    return saliency.explain(saliency.Explainer(model), pixels, [target], method)


def _randomised(model: "Model", pixels: Any, target: Any, method: str) -> Task[Any]:
    from features import faithfulness, saliency

    return faithfulness.randomised(saliency.Explainer(model), pixels, [target], method)


def _faithfulness(model: "Model", pixels: Any, maps: Any) -> Task[Any]:
    from features import faithfulness, saliency

    return faithfulness.measure_maps(saliency.Explainer(model), pixels, maps)


TASKS = {
    "extract": LongTask(_extract, _manifest),
    "features": LongTask(_features),
    "statistics": LongTask(_statistics),
    "sweep": LongTask(_sweep),
    "paths": LongTask(_paths),
    "maps": LongTask(_maps),
    "reseeded": LongTask(_reseeded),
    "separation": LongTask(_separation),
    "evaluation": LongTask(_evaluation),
    "retrieval": LongTask(_retrieval),
    "novelty": LongTask(_novelty),
    "channels": LongTask(_channels),
    "channel_sweep": LongTask(_channel_sweep),
    "maximise": LongTask(_maximise),
    "explain": LongTask(_explain),
    "randomised": LongTask(_randomised),
    "faithfulness": LongTask(_faithfulness),
}
