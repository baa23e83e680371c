"""Networks that are kept loaded, and the fetching of their weights."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import streamlit as st
from PIL.Image import Image

from features import devices, lesions
from features.networks import catalogue, checkpoint, naming, zoo
from features.networks.inspection import described, inspect
from viz.cached.server import ask
from viz.jobs import DOWNLOAD, Job, Work


def fetch_job(name: str) -> Job:
    """The weights of a network that has none on this machine yet."""
    return ask(Work(f"fetch {name}", lambda: zoo.fetch(catalogue.spec(name)), DOWNLOAD))


@st.cache_data(max_entries=16, show_spinner=False)
def parts_of(weights: str, stamp: float) -> list[tuple[str, str, int, bool]]:
    """Every network in a file of weights: its name, its spelling, numbers in its blocks, whether it is a copy."""
    return [
        (each.part.name, each.part.title, each.part.parameters, each.part.copy)
        for each in inspect(Path(weights)).networks
    ]


@st.cache_data(max_entries=16, show_spinner=False)
def contents_of(weights: str, stamp: float, head: str | None) -> list[str]:
    """What lies in a file of weights, in lines, as `inspect` of the command line tells it."""
    inspection = inspect(Path(weights), head)
    lines = [inspection.summary()]
    for number, network in enumerate(inspection.networks):
        lines += ["", *described(network, main=number == 0)]
    return lines


@st.cache_data(max_entries=16, show_spinner=False)
def heads_of(weights: str, stamp: float, part: str | None) -> tuple[list[str], str]:
    """What the heads of a network in a file are called, and the one that is taken where none is chosen, '' for none."""
    parts = checkpoint.read(Path(weights)).parts
    chosen = checkpoint.choose(Path(weights), parts, part)
    return list(chosen.heads), chosen.head_name


@st.cache_resource(max_entries=4, show_spinner="Loading the network")
def load_model(name: str, stamp: float = 0.0, _pictures: Callable[[], list[Image]] | None = None) -> zoo.Model:
    """A loaded network on the best device. name: as `naming.parse` reads it.

    stamp: the weights file's time, so that a new file is read again. _pictures: as `zoo.load` takes them, for the first
    time that a file is read.
    """
    asked = naming.parse(name)
    if asked.lesion is not None:
        intact = load_model(str(replace(asked, lesion=None)), stamp, _pictures)
        return lesions.lesioned(intact, lesions.parse(asked.lesion))
    loaded = zoo.load(asked, pictures=_pictures)
    loaded.network.to(devices.best_device())
    return loaded
