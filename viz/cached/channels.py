"""What the channels of a network answer to, and what is lost without some of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import streamlit as st

from features import channels
from features.channels import Channels, ChannelSweep, Evidence
from features.datasets import ImageSet
from features.networks import zoo
from features.networks.measured import anatomy_of
from viz.cached.elsewhere import placed
from viz.cached.estimates import queue_of, seconds
from viz.jobs import LONG, Work, kind_of

HEAD = 0.01  # of a pass through the network
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


@st.cache_resource(max_entries=4, show_spinner=False)  # not by `made`: it would keep old measurements alive for long
def evidence_of(
    model_key: str,
    images_digest: str,
    layer: str,
    class_name: str | None,
    swept: bool,
    _model: zoo.Model,
    _told: Channels,
    _sweep: ChannelSweep | None,
) -> Evidence:
    """All that is known of a layer's channels. swept: whether accuracy without each was measured."""
    return channels.evidence(_told, _model, layer, class_name, _sweep)


def beside_work(first: zoo.Model, second: zoo.Model, images: ImageSet, blocks: bool) -> Work:
    """The channels of two networks that are most alike, of the stem and every stage, or of every block of both.

    Two networks are not handed to another process: what each puts out is kept in the cache part by part.
    """
    layers = layers_of(first) if blocks else ()
    spent = seconds(first, images, 1) + seconds(second, images, 1)
    work = Work(
        f"channels beside {first.key} {second.key} {images.digest} {layers}",
        lambda: channels.beside(first, second, images, layers),
        kind_of(spent),
        resumes=True,
    )
    return replace(work, lasting=True) if work.kind == LONG else work


def depth_work(model: zoo.Model, images: ImageSet, told: Channels) -> Work:
    """What the channels of every layer have in common. told: what `responses_work` of the same made."""
    return Work(f"channels along depth {model.key} {images.digest}", lambda: channels.along_depth(told))


def sweep_work(model: zoo.Model, images: ImageSet, layer: str, numbers: Sequence[int] = ()) -> Work:
    """What is lost without each of some channels of a layer, one at a time; none for all of them."""
    n_lesions = len(numbers) or n_channels(model, layer)
    layers = layers_of(model)
    above = max(HEAD, 1 - (1 + layers.index(layer)) / len(layers))  # what lies below is computed once for all
    work = Work(
        f"channel sweep {model.key} {images.digest} {layer} {list(numbers)}",
        lambda: channels.sweep(model, images, layer, numbers),
        queue_of(model, images, passes=1 + n_lesions * above),
    )
    return placed(work, "channel_sweep", model=model, images=images, layer=layer, numbers=list(numbers))


def examples_work(model: zoo.Model, images: ImageSet, layer: str, channel: int, rows: np.ndarray) -> Work:
    """One channel's maps of some rows of a set."""
    numbers = hashlib.blake2b(rows.astype(np.int64).tobytes(), digest_size=12).hexdigest()
    return Work(
        f"examples {model.key} {images.digest} {layer} {channel} {numbers}",
        lambda: channels.examples(model, images, layer, channel, rows),
        queue_of(model, rows),
    )
