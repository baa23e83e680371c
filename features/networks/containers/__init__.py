"""Weights files by what is in them: told apart by their first bytes, read without running anything, within bounds."""

from features.networks.containers.content import Content, read
from features.networks.containers.inert import Inert
from features.networks.containers.tensors import TensorRecord

__all__ = ["Content", "Inert", "TensorRecord", "read"]
