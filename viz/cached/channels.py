"""What the channels of a network answer to, and what is lost without some of them."""

from collections.abc import Sequence

from features import channels
from features.datasets import ImageSet
from features.networks import zoo
from features.networks.measured import anatomy_of
from viz.cached.elsewhere import placed
from viz.cached.estimates import queue_of
from viz.jobs import Work

PASSES = 1.3  # of what a forward pass takes, with all that is counted of the maps


def layers_of(model: zoo.Model) -> tuple[str, ...]:
    """The layers whose channels can be looked at, along depth: the stem and every block."""
    return (channels.STEM, *(name for name, _ in model.network.blocks()))


def n_channels(model: zoo.Model, layer: str) -> int:
    """How many channels a layer has."""
    parts = anatomy_of(model.network, model.spec.architecture, model.spec.preprocessing.crop).parts
    return next(part.outputs[0] for part in parts if part.name == layer)


def responses_work(model: zoo.Model, images: ImageSet) -> Work:
    """What all channels of the stem and of every block answer to a set."""
    layers = layers_of(model)
    work = Work(
        f"channels {model.key} {images.digest}",
        lambda: channels.responses(model, images, layers),
        queue_of(model, images, PASSES),
    )
    return placed(work, "channels", model=model, images=images, layers=layers)


def sweep_work(model: zoo.Model, images: ImageSet, layer: str, numbers: Sequence[int] = ()) -> Work:
    """What is lost without each of some channels of a layer, one at a time; none for all of them."""
    n_lesions = len(numbers) or n_channels(model, layer)
    above = 1 - layers_of(model).index(layer) / len(layers_of(model))  # what lies below a channel is computed once
    work = Work(
        f"channel sweep {model.key} {images.digest} {layer} {list(numbers)}",
        lambda: channels.sweep(model, images, layer, numbers),
        queue_of(model, images, passes=1 + n_lesions * above),
    )
    return placed(work, "channel sweep", model=model, images=images, layer=layer, numbers=list(numbers))
