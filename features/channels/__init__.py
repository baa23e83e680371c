"""What every channel of a network answers to, measured over an image set."""

from features.channels.extremes import Extremes
from features.channels.reader import TOP, responses
from features.channels.results import Channels, Layer
from features.channels.selectivity import Classes, Selectivity

__all__ = ["TOP", "Channels", "Classes", "Extremes", "Layer", "Selectivity", "responses"]
