"""A workspace to hand over: as a report, and as a notebook."""

from viz.reports.workspace.exhibits import EXHIBITS, exhibits_of
from viz.reports.workspace.measures import MEASURES
from viz.reports.workspace.notebook import notebook
from viz.reports.workspace.report import document_of, report

__all__ = ["EXHIBITS", "MEASURES", "document_of", "exhibits_of", "notebook", "report"]
