"""Networks that are kept loaded, and the fetching of their weights."""

from pathlib import Path

import streamlit as st

from features import devices
from features.networks import catalogue, zoo
from viz.cached.server import ask
from viz.jobs import DOWNLOAD, Job, Work


def fetch_job(name: str) -> Job:
    """The weights of a network that has none on this machine yet."""
    return ask(Work(f"fetch {name}", lambda: zoo.fetch(catalogue.spec(name)), DOWNLOAD))


@st.cache_resource(max_entries=4, show_spinner="Loading the network")
def load_model(name: str | None, weights: str | None, stamp: float) -> zoo.Model:
    """A loaded network on the best device. stamp: the weights file's time, so that a new file is read again."""
    loaded = zoo.load(name, Path(weights) if weights else None)
    loaded.network.to(devices.best_device())
    return loaded
