"""How one method's maps did, and the table of several."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.faithfulness.measures import Curves


@dataclass(frozen=True, eq=False)
class Trial:
    """How one method's maps of one network did on N images, for the class that is predicted for each.

    curves: of the class's probability; pixels come in the order of the signed map. full, seen: (N,) its probability for
    the image, and for it seen through what is positive in the map.
    infidelity, sensitivity: (N,) of captum's metrics (Yeh et al. 2019, arXiv:1901.09392); NaN if not measured.
    randomised: (part, mean rank correlation) of maps with those of networks whose parts are drawn anew, one after
    another from the head down (Adebayo et al. 2018, arXiv:1810.03292); empty where not measured.
    """

    model: str
    method: str
    tap: str
    ids: tuple[str, ...]
    curves: Curves
    full: np.ndarray
    seen: np.ndarray
    infidelity: np.ndarray
    sensitivity: np.ndarray
    randomised: tuple[tuple[str, float], ...]
    provenance: dict[str, Any]

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
        """One row of a table: means over the images."""
        return {
            "model": self.model,
            "method": self.method,
            "tap": self.tap,
            "n_images": len(self.full),
            "deletion_auc": float(self.curves.deletion_auc.mean()),
            "insertion_auc": float(self.curves.insertion_auc.mean()),
            "average_drop": float(self.drop.mean()),
            "average_increase": float(self.increased.mean()),
            "infidelity": float(self.infidelity.mean()),
            "sensitivity": float(self.sensitivity.mean()),
            **{f"rank_correlation_without_{part}": value for part, value in self.randomised},
        }


def table(trials: Sequence[Trial]) -> pd.DataFrame:
    """One row a trial, without columns that nothing was measured for."""
    return pd.DataFrame([trial.summary() for trial in trials]).dropna(axis=1, how="all")
