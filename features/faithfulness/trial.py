"""How one method's maps did, and the table of several."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.datasets import Rejected
from features.faithfulness.metrics import Curves
from features.results import Provenance


@dataclass(frozen=True, eq=False)
class Trial:
    """How one method's maps of one network did on N images, for the class that each map explains.

    curves: of the class's probability; pixels come in the order of the signed map. full, seen: (N,) its probability for
    the image, and for it seen through what is positive in the map.
    infidelity, sensitivity: (N,) of captum's metrics (Yeh et al. 2019, arXiv:1901.09392); None if not measured.
    randomised: part -> (N,) rank correlations of maps with those of a network whose parts from the head down to this
    one are drawn anew (Adebayo et al. 2018, arXiv:1810.03292), NaN of constant maps; empty where not measured.
    rejected: images that could not be read.
    """

    model: str
    method: str
    tap: str
    ids: tuple[str, ...]
    curves: Curves
    full: np.ndarray
    seen: np.ndarray
    infidelity: np.ndarray | None
    sensitivity: np.ndarray | None
    randomised: dict[str, np.ndarray]
    provenance: Provenance
    rejected: tuple[Rejected, ...] = ()

    @property
    def drop(self) -> np.ndarray:
        """(N,) in [0, 1], the lost share of the probability (Chattopadhay et al. 2018, arXiv:1710.11063); 0 of none."""
        lost = np.clip(self.full - self.seen, 0, None)
        return np.divide(lost, self.full, out=np.zeros_like(lost), where=self.full > 0)

    @property
    def increased(self) -> np.ndarray:
        """(N,) bool, whether the probability is higher seen through the map."""
        return self.seen > self.full

    def summary(self) -> dict[str, Any]:
        """One row of a table: means over the images, of rank correlations over those that have one.

        What was not measured is not in it; what has no mean is NaN.
        """
        measured = {"infidelity": self.infidelity, "sensitivity": self.sensitivity}
        return {
            "model": self.model,
            "method": self.method,
            "tap": self.tap,
            "n_images": len(self.full),
            "deletion_auc": float(self.curves.deletion_auc.mean()),
            "insertion_auc": float(self.curves.insertion_auc.mean()),
            "average_drop": float(self.drop.mean()),
            "average_increase": float(self.increased.mean()),
            **{name: float(values.mean()) for name, values in measured.items() if values is not None},
            **{f"rank_correlation_randomised_to_{part}": _mean(values) for part, values in self.randomised.items()},
        }


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def table(trials: Sequence[Trial]) -> pd.DataFrame:
    """One row a trial, NaN where another trial measured more."""
    return pd.DataFrame([trial.summary() for trial in trials])
