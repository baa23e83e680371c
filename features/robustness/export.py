"""Robustness as a folder: a table of corruptions, one of attacks, and all of it as JSON."""

import json
from typing import Any

from features.claim import Claim, Kind
from features.robustness.results import Attacked, Robustness

JSON, CORRUPTIONS, ATTACKS = "robustness.json", "corruptions.csv", "attack.csv"
ROBUSTNESS = Kind("robustness", "measurements of robustness")


def content_of(told: Robustness | None, baseline: Robustness | None, attack: Attacked | None) -> dict[str, Any]:
    """All that was measured, as JSON can hold it."""
    content: dict[str, Any] = {} if told is None else {"robustness": told.as_dict(baseline)}
    return content if attack is None else content | {"attack": attack.as_dict()}


def write(claim: Claim, told: Robustness | None, baseline: Robustness | None, attack: Attacked | None) -> None:
    """Write what was measured to a folder that was claimed. Raises FeatureError as `Claim.commit`."""
    import pandas as pd

    if told is not None:
        tables = [each.table() for each in (told, baseline) if each is not None]
        claim.write(CORRUPTIONS, pd.concat(tables, ignore_index=True).to_csv(index=False).encode())
    if attack is not None:
        claim.write(ATTACKS, attack.table().to_csv(index=False).encode())
    content = content_of(told, baseline, attack)
    claim.write(JSON, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
    claim.commit(content)
