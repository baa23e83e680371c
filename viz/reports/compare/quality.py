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
    scores = words.scores(told.comparison)
    return Section(
        "calibration",
        "Calibration, and class by class",
        (
            Table(
                "scores", "Scores",
                tuple(_column(name, scores[name].tolist()) for name in scores),
                scores, words.SCORES,
            ),
            Figure(
                "reliability", "Reliability", figures.reliability(contenders),
                words.groups(told.comparison),
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


def _column(name: str, values: list[str] | list[float]) -> Column:
    cells = [each if isinstance(each, str) else f"{each:.3f}" for each in values]
    return Column(name, cells, number=name != "network")
