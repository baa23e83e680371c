"""Every setting of a training run."""

import math
from dataclasses import dataclass, field
from typing import Any

from features.errors import FeatureError
from features.train.optimizers import OPTIMIZERS


def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; each setting's `help` says what it is.

    Raises FeatureError for settings out of range, with every one that is.
    """

    epochs: int = _setting(25, "passes over the training images")
    batch_size: int = _setting(128, "images per step")
    optimizer: str = _setting("sgd", " or ".join(known.title for known in OPTIMIZERS.values()))
    learning_rate: float = _setting(0.1, "the peak, lowered along half a cosine to zero")
    momentum: float = _setting(0.9, "of sgd")
    weight_decay: float = _setting(5e-4, "on every weight, in both optimizers")
    warmup_epochs: float = _setting(1.0, "epochs in which the learning rate rises to its peak")
    label_smoothing: float = _setting(0.0, "share of the target that goes to all classes alike")
    crop_padding: int = _setting(2, "pixels added on each side before a random crop (larger than 64 px: resized crop)")
    flip: float = _setting(0.5, "probability of a horizontal flip")
    erasing: float = _setting(0.0, "probability that a rectangle is erased")
    noise: float = _setting(0.0, "standard deviation of Gaussian noise on values in [0, 1]")
    precision: str = _setting("fp32", "fp32 or bf16: faster on GPUs from Ampere on, CPUs with AVX512-BF16 or AMX")
    seed: int = _setting(0, "of the first weights, the order and the augmentation")
    workers: int = _setting(1, "processes that decode and augment; the result does not depend on them")

    def __post_init__(self) -> None:
        rules = {  # written so that NaN, which fails every comparison, breaks them
            "epochs": (1 <= self.epochs < math.inf, "1 or more"),
            "batch_size": (2 <= self.batch_size < math.inf, "2 or more images"),
            "optimizer": (self.optimizer in OPTIMIZERS, " or ".join(map(repr, OPTIMIZERS))),
            "learning_rate": (0 < self.learning_rate < math.inf, "above 0"),
            "momentum": (0 <= self.momentum < 1, "0 or more and below 1"),
            "weight_decay": (0 <= self.weight_decay < math.inf, "0 or more"),
            "warmup_epochs": (0 <= self.warmup_epochs <= self.epochs, "0 or more and at most the epochs"),
            "label_smoothing": (0 <= self.label_smoothing < 1, "0 or more and below 1"),
            "crop_padding": (0 <= self.crop_padding < math.inf, "0 or more pixels"),
            "flip": (0 <= self.flip <= 1, "a probability, 0 to 1"),
            "erasing": (0 <= self.erasing <= 1, "a probability, 0 to 1"),
            "noise": (0 <= self.noise < math.inf, "0 or more"),
            "precision": (self.precision in ("fp32", "bf16"), "'fp32' or 'bf16'"),
            "seed": (0 <= self.seed < 2**32, "0 or more and below 2**32"),
            "workers": (1 <= self.workers < math.inf, "1 or more"),
        }
        broken = [
            f"{name} is {getattr(self, name)!r}, wanted {text}" for name, (kept, text) in rules.items() if not kept
        ]
        if broken:
            raise FeatureError(f"A network cannot be trained like this: {'; '.join(broken)}. Change these settings.")
