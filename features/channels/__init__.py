"""What every channel of a network answers to, measured over an image set, and what it is good for."""

from features.channels import chosen
from features.channels.alike import Matches, matched
from features.channels.along_depth import AlongDepth, along_depth
from features.channels.apart import Apart, apart
from features.channels.beside import Beside, LayerBeside, beside
from features.channels.evidence import Logit
from features.channels.examples import Examples, examples, rows_at
from features.channels.export import CHANNELS, write
from features.channels.extremes import Extremes
from features.channels.filters import FILTER_ORDERS, Filters, Kernels, convolutions, filters, kernels
from features.channels.last_stage import Contributions, contributions, of_picture
from features.channels.layers import STEM
from features.channels.lesions import ChannelLesion, parse, without
from features.channels.maps import ORDERS, PARTS, FeatureMaps, feature_maps
from features.channels.maximisation import GOALS, Ascent, Maximised, maximise
from features.channels.next_block import Readers, reader_of, readers
from features.channels.patches import Excitation, Field, Patch, excitations, fields, patch, patch_pictures
from features.channels.rankings import RANKINGS, Evidence, Ranked, Ranking, evidence, usual
from features.channels.reader import TOP, Tally, read, responses
from features.channels.results import Channels, Layer
from features.channels.selectivity import Classes, Selectivity
from features.channels.sweep import ChannelSweep, sweep

__all__ = [
    "CHANNELS",
    "FILTER_ORDERS",
    "GOALS",
    "ORDERS",
    "PARTS",
    "RANKINGS",
    "STEM",
    "TOP",
    "AlongDepth",
    "Apart",
    "Ascent",
    "Beside",
    "ChannelLesion",
    "ChannelSweep",
    "Channels",
    "Classes",
    "Contributions",
    "Evidence",
    "Examples",
    "Excitation",
    "Extremes",
    "FeatureMaps",
    "Field",
    "Filters",
    "Kernels",
    "Layer",
    "LayerBeside",
    "Logit",
    "Matches",
    "Maximised",
    "Patch",
    "Ranked",
    "Ranking",
    "Readers",
    "Selectivity",
    "Tally",
    "along_depth",
    "apart",
    "beside",
    "chosen",
    "contributions",
    "convolutions",
    "evidence",
    "examples",
    "excitations",
    "feature_maps",
    "fields",
    "filters",
    "kernels",
    "matched",
    "maximise",
    "of_picture",
    "parse",
    "patch",
    "patch_pictures",
    "read",
    "reader_of",
    "readers",
    "responses",
    "rows_at",
    "sweep",
    "usual",
    "without",
    "write",
]
