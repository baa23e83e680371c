"""Runs a network fast, for its features."""

from features.engine.eager import TorchEngine
from features.engine.fast import FastNetwork
from features.engine.reading import (
    ENGINES,
    LOGITS,
    OPENVINO,
    POOLED,
    POOLS,
    PRECISIONS,
    TORCH,
    Engine,
    Reading,
    choose,
    has_fast_bf16,
    stages_of,
)
from features.images import Preprocessing
from features.network import ResidualNetwork

__all__ = [
    "ENGINES",
    "LOGITS",
    "OPENVINO",
    "POOLED",
    "POOLS",
    "PRECISIONS",
    "TORCH",
    "Engine",
    "FastNetwork",
    "Reading",
    "TorchEngine",
    "choose",
    "has_fast_bf16",
    "stages_of",
    "start",
]


def start(network: ResidualNetwork, preprocessing: Preprocessing, reading: Reading, key: str = "") -> Engine:
    """The engine of a reading, ready to run. key: what the weights are known by, for what an engine keeps on disk."""
    if reading.engine == OPENVINO:
        from features.engine.vino import OpenVinoEngine

        return OpenVinoEngine(network, preprocessing, reading, key)
    return TorchEngine(network, preprocessing, reading)
