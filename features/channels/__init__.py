"""What every channel of a network answers to, measured over an image set, and what it is good for."""

from features.channels.evidence import Logit
from features.channels.export import CHANNELS, write
from features.channels.extremes import Extremes
from features.channels.filters import FILTER_ORDERS, Filters, Kernels, convolutions, filters, kernels
from features.channels.last_stage import Contributions, contributions, of_picture
from features.channels.layers import STEM
from features.channels.lesions import ChannelSweep, sweep, without
from features.channels.maps import ORDERS, PARTS, FeatureMaps, feature_maps
from features.channels.maximisation import GOALS, Ascent, Maximised, maximise
from features.channels.next_block import Readers, readers
from features.channels.patches import Excitation, Field, Patch, excitations, fields, patch
from features.channels.reader import TOP, Tally, read, responses
from features.channels.results import Channels, Layer
from features.channels.selectivity import Classes, Selectivity

__all__ = [
    "CHANNELS",
    "FILTER_ORDERS",
    "GOALS",
    "ORDERS",
    "PARTS",
    "STEM",
    "TOP",
    "Ascent",
    "ChannelSweep",
    "Channels",
    "Classes",
    "Contributions",
    "Excitation",
    "Extremes",
    "FeatureMaps",
    "Field",
    "Filters",
    "Kernels",
    "Layer",
    "Logit",
    "Maximised",
    "Patch",
    "Readers",
    "Selectivity",
    "Tally",
    "contributions",
    "convolutions",
    "excitations",
    "feature_maps",
    "fields",
    "filters",
    "kernels",
    "maximise",
    "of_picture",
    "patch",
    "read",
    "readers",
    "responses",
    "sweep",
    "without",
    "write",
]
