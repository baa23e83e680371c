"""Says how far to trust maps: what becomes of the prediction without, or with only, what they point at."""

from features.faithfulness.export import TRIALS, read, write
from features.faithfulness.judging import judge, judge_all
from features.faithfulness.measures import STEPS, Curves, curves, rank_correlation, shown_through
from features.faithfulness.over_sets import measure
from features.faithfulness.randomised import Randomised, drawn_anew, randomised
from features.faithfulness.trial import Trial, table

__all__ = [
    "STEPS",
    "TRIALS",
    "Curves",
    "Randomised",
    "Trial",
    "curves",
    "drawn_anew",
    "judge",
    "judge_all",
    "measure",
    "randomised",
    "rank_correlation",
    "read",
    "shown_through",
    "table",
    "write",
]
