"""Says how far to trust maps: what becomes of the prediction without, or with only, what they point at."""

from features.faithfulness.baselines import BASELINES, RANDOM, measurable
from features.faithfulness.export import TRIALS, read, write
from features.faithfulness.metrics import STEPS, Curves, curves, rank_correlation, shown_through
from features.faithfulness.of_maps import measure_maps, trial_of
from features.faithfulness.over_sets import measure
from features.faithfulness.randomisation import Randomised, drawn_anew, randomised
from features.faithfulness.trial import Trial, table

__all__ = [
    "BASELINES",
    "RANDOM",
    "STEPS",
    "TRIALS",
    "Curves",
    "Randomised",
    "Trial",
    "curves",
    "drawn_anew",
    "measurable",
    "measure",
    "measure_maps",
    "randomised",
    "rank_correlation",
    "read",
    "shown_through",
    "table",
    "trial_of",
    "write",
]
