"""Runs a network over an image set: features of every stage, in memory or into a folder, on one machine or many."""

from features.extract.local import PartReader, features, need_rows, plan, shapes_of, to_folder

__all__ = ["PartReader", "features", "need_rows", "plan", "shapes_of", "to_folder"]
