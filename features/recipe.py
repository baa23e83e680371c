"""Every setting of a training run."""

import math
from dataclasses import dataclass

from features.errors import FeatureError


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    optimizer: 'sgd' (Nesterov momentum) or 'adamw'. learning_rate: the peak, reached after warmup_epochs and
    then lowered along a half cosine to zero. crop_padding: pixels added on each side before a random crop
    (images up to 64 px; larger ones get a random resized crop). flip, erasing: probabilities. noise: standard
    deviation of Gaussian noise on values in [0, 1]. precision: 'fp32' or 'bf16' (autocast), which is faster on
    GPUs from Ampere on and on CPUs with AVX512-BF16 or AMX, and ten times slower on other CPUs.
    Raises FeatureError for settings out of range, with every one that is.
    """

    epochs: int = 25
    batch_size: int = 128
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup_epochs: float = 1.0
    label_smoothing: float = 0.0
    crop_padding: int = 2
    flip: float = 0.5
    erasing: float = 0.0
    noise: float = 0.0
    precision: str = "fp32"
    seed: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        rules = {  # written so that NaN, which fails every comparison, breaks them
            "epochs": (1 <= self.epochs < math.inf, "1 or more"),
            "batch_size": (2 <= self.batch_size < math.inf, "2 or more images"),
            "optimizer": (self.optimizer in ("sgd", "adamw"), "'sgd' or 'adamw'"),
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
            "workers": (0 <= self.workers < math.inf, "0 or more"),
        }
        broken = [
            f"{name} is {getattr(self, name)!r}, wanted {text}" for name, (kept, text) in rules.items() if not kept
        ]
        if broken:
            raise FeatureError(f"A network cannot be trained like this: {'; '.join(broken)}. Change these settings.")
