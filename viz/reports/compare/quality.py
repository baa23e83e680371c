"""Whether networks are right as often as they are sure, and how they do class by class."""

import pandas as pd

from viz.figures import compare as figures
from viz.reports.compare import words
from viz.reports.compare.told import Told
from viz.reports.document import Column, Figure, Section, Table


def quality(told: Told) -> Section:
    """Reliability, temperatures, and the classes in which networks differ most."""
    contenders = told.comparison.contenders
    rows = pd.DataFrame(words.calibration(told.comparison))
    groups = pd.DataFrame(
        [
            {"network": each.name, "answers": count, "right": hits, "confidence": confidence}
            for each in contenders
            for groups in [each.evaluation.calibration.equal_mass]
            for count, hits, confidence in zip(groups.counts, groups.hits, groups.confidence, strict=True)
            if count
        ]
    )
    return Section(
        "calibration",
        "Calibration, and class by class",
        (
            Figure(
                "reliability", "Reliability", figures.reliability(contenders), groups,
                "Accuracy of each network's answers over their confidence.", words.RELIABILITY,
            ),
            Table(
                "temperatures", "Calibration",
                tuple(Column(name, rows[name].tolist(), number=name != "network") for name in rows), rows,
                words.TEMPERATURE,
            ),
            Figure(
                "classes", "Class by class", figures.classes(contenders), told.comparison.class_table(),
                "F1 of each network in the classes in which they differ most.", words.CLASSES,
            ),
        ),
    )  # fmt: skip
