"""Runs work off the pages' threads, in queues that all visitors share, and long work in processes of their own."""

from viz.jobs.jobs import GONE_SECONDS, Job, Jobs
from viz.jobs.processes import Interrupted, in_process, kept, standing
from viz.jobs.queues import KEPT
from viz.jobs.records import State
from viz.jobs.run import Run
from viz.jobs.work import DOWNLOAD, KINDS, LONG, LONG_SECONDS, PREVIEW, SHORT, Work, kind_of

__all__ = [
    "DOWNLOAD",
    "GONE_SECONDS",
    "KEPT",
    "KINDS",
    "LONG",
    "LONG_SECONDS",
    "PREVIEW",
    "SHORT",
    "Interrupted",
    "Job",
    "Jobs",
    "Run",
    "State",
    "Work",
    "in_process",
    "kept",
    "kind_of",
    "standing",
]
