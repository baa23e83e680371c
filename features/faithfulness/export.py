"""How maps of several methods did, as a folder: a table, the curves, and what made them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from features.claim import MANIFEST, Claim, Held, Kind, read_json
from features.faithfulness.trial import Trial, table

TABLE, CURVES = "faithfulness.csv", "curves.npz"
EARLIER_KEYS = {"trials", "left_out"}  # of a manifest without a kind


def write(claim: Claim, trials: Sequence[Trial]) -> None:
    """Write trials to a folder that was claimed. Raises FeatureError as `Claim.commit`."""
    claim.write(TABLE, table(trials).to_csv(index=False).encode())
    arrays = {
        f"{trial.model}/{trial.method}/{kind}": getattr(trial.curves, kind)
        for trial in trials
        for kind in ("shares", "deletion", "insertion")
    }
    with claim.file(CURVES) as file:
        np.savez(file, **arrays)
    claim.commit(
        {
            "trials": [
                {name: None if value != value else value for name, value in trial.summary().items()}  # JSON has no NaN
                | {"ids": trial.ids, "provenance": trial.provenance.as_dict()}
                for trial in trials
            ],
            "left_out": [{"image": entry.id, "reason": entry.reason} for entry in trials[0].rejected],
        }
    )


def read(folder: Path) -> pd.DataFrame:
    """The table of a finished folder, as `faithfulness.table` gives it."""
    return pd.read_csv(folder / TABLE, dtype=dict.fromkeys(("model", "method", "tap"), str))


def _earlier(folder: Path, name: str) -> Held | None:
    """A folder of before manifests told their kind, which did not keep its settings either."""
    content = read_json(folder / MANIFEST) or {}
    trials = content.get("trials")
    if content.keys() != EARLIER_KEYS or not isinstance(trials, list) or not trials:
        return None
    ours = all(isinstance(row, dict) and row.keys() >= {"method", "deletion_auc", "provenance"} for row in trials)
    return Held(None, frozenset({TABLE, CURVES, MANIFEST}), True, content) if ours else None


TRIALS = Kind("faithfulness", "measurements of maps", earlier=_earlier)
