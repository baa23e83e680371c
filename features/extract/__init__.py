"""Runs a network over an image set: features of every stage, in memory or into a folder, on one machine or many."""

from features.extract.cache import cached
from features.extract.choice import begun_with, decide, recall
from features.extract.local import PartReader, features, need_rows, of_picture, planned_manifest, shapes_of, to_folder

__all__ = [
    "PartReader",
    "begun_with",
    "cached",
    "decide",
    "features",
    "need_rows",
    "of_picture",
    "planned_manifest",
    "recall",
    "shapes_of",
    "to_folder",
]
