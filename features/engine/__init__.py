"""Runs a network fast, for its features."""

from features.engine.fast_network import FastNetwork
from features.engine.plan import (
    ENGINES,
    LOGITS,
    OPENVINO,
    POOLED,
    POOLINGS,
    PRECISIONS,
    TORCH,
    Engine,
    Reading,
    choose,
    has_fast_bf16,
    stages_of,
)
from features.engine.torch_engine import TorchEngine
from features.networks.canonical import ResidualNetwork
from features.networks.preprocessing import Preprocessing

__all__ = [
    "ENGINES",
    "LOGITS",
    "OPENVINO",
    "POOLED",
    "POOLINGS",
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
        from features.engine.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(network, preprocessing, reading, key)
    return TorchEngine(network, preprocessing, reading)
