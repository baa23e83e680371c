"""What every channel of a network answers to, measured over an image set, and what it is good for."""

from features.channels.examples import Examples, examples, rows_at, rows_between
from features.channels.export import CHANNELS, write
from features.channels.extremes import Extremes
from features.channels.last_stage import Contributions, contributions, of_picture, sees_means
from features.channels.layers import STEM
from features.channels.lesions import ChannelSweep, sweep, without
from features.channels.next_block import Readers, readers
from features.channels.patches import Excitation, Field, Patch, excitations, fields, patch
from features.channels.reader import TOP, Tally, read, responses
from features.channels.results import Channels, Layer
from features.channels.selectivity import Classes, Selectivity

__all__ = [
    "CHANNELS",
    "STEM",
    "TOP",
    "ChannelSweep",
    "Channels",
    "Classes",
    "Contributions",
    "Examples",
    "Excitation",
    "Extremes",
    "Field",
    "Layer",
    "Patch",
    "Readers",
    "Selectivity",
    "Tally",
    "contributions",
    "examples",
    "excitations",
    "fields",
    "of_picture",
    "patch",
    "read",
    "readers",
    "responses",
    "rows_at",
    "rows_between",
    "sees_means",
    "sweep",
    "without",
    "write",
]
