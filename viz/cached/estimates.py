"""How long work will take, as far as the queue that it belongs to depends on it."""

from collections.abc import Sized

import torch

from features.devices import device_of
from features.networks import zoo
from features.networks.measured import anatomy_of
from viz.jobs import kind_of

# Multiply-adds per second: a core takes some 6 images of a ResNet-50 (4.1e9 each), a GPU at least 1,000. The order of
# magnitude is enough to choose a queue.
PER_CORE, PER_GPU = 25e9, 4e12
DECODING_SECONDS = 0.004  # of one core for a photograph


def queue_of(model: zoo.Model, images: Sized, passes: float = 1) -> str:
    """The queue for work that decodes the images once and takes them through the network so many times."""
    return kind_of(seconds(model, images, passes))


def seconds(model: zoo.Model, images: Sized, passes: float) -> float:
    macs = anatomy_of(model.network, model.spec.architecture, model.spec.preprocessing.crop).macs
    cores = torch.get_num_threads()
    pace = PER_GPU if device_of(model.network).type == "cuda" else PER_CORE * cores
    return len(images) * (macs * passes / pace + DECODING_SECONDS / cores)
