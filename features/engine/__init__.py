"""Runs a network fast, for its features."""

from features.engine.choice import choose, decide, recall, start
from features.engine.fast_network import FastNetwork
from features.engine.plan import (
    AUTO,
    CUDA_GRAPHS,
    LOGITS,
    OPENVINO,
    POOLED,
    POOLINGS,
    PRECISIONS,
    TORCH,
    TORCH_PLAIN,
    Plan,
    Runner,
    blocks_of,
    readable,
    stages_of,
    without_logits,
)
from features.engine.registry import ENGINES, Engine, has_fast_bf16, title_of
from features.engine.torch_engine import TorchEngine

__all__ = [
    "AUTO",
    "CUDA_GRAPHS",
    "ENGINES",
    "LOGITS",
    "OPENVINO",
    "POOLED",
    "POOLINGS",
    "PRECISIONS",
    "TORCH",
    "TORCH_PLAIN",
    "Engine",
    "FastNetwork",
    "Plan",
    "Runner",
    "TorchEngine",
    "blocks_of",
    "choose",
    "decide",
    "has_fast_bf16",
    "readable",
    "recall",
    "stages_of",
    "start",
    "title_of",
    "without_logits",
]
