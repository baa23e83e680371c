"""What takes long is handed to a process of its own, where that can load what it needs."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from features.datasets import ImageSet
from features.networks.zoo import Model
from features.sources import split_of
from viz.cached.server import uploads
from viz.jobs import LONG, Work, in_process
from viz.jobs.tasks import IMAGES, MODEL, told_of_images, told_of_model


def placed(
    work: Work, task: str, attached: Mapping[str, Any] | None = None, durable: bool = True, **arguments: Any
) -> Work:
    """The same work; if it is long, and nothing in memory alone is needed for it, in a process of its own.

    work: as it runs in this server. task: what of `viz.jobs.tasks` does the same, with these arguments: `model` and
    `images` as they are, others as JSON has them, paths beside them; attached: those that JSON does not have. durable:
    whether these may outlive the server; what is made of uploads does not in any case.
    """
    if work.kind != LONG:
        return work
    told = {name: _told(value) for name, value in arguments.items()}
    if any(told[name] is None for name in (MODEL, IMAGES) if name in told):
        return replace(work, lasting=True)
    return in_process(work.key, task, told, durable and not any(map(is_upload, arguments.values())), attached)


def is_upload(value: Any) -> bool:
    """Whether a network, an image set or a path is of files that a visitor has uploaded."""
    return any(path.is_relative_to(uploads()) for path in _paths(value))


def _told(value: Any) -> Any:
    if isinstance(value, Model):
        return told_of_model(value)
    if isinstance(value, ImageSet):
        return told_of_images(value)
    return str(value) if isinstance(value, Path) else value


def _paths(value: Any) -> list[Path]:
    """The files and folders that an argument stands for: uploads go with the server."""
    if isinstance(value, Model) and value.name is not None:
        return [path for path in (value.name.weights, value.name.classes) if path is not None]
    if isinstance(value, ImageSet) and value.origin is not None:
        return [Path(split_of(value.origin.source)[0])]
    return [value] if isinstance(value, Path) else []
