"""Every setting of a training run."""

from dataclasses import dataclass

from features.errors import FeatureError


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    optimizer: 'sgd' (Nesterov momentum) or 'adamw'. learning_rate: the peak, reached after warmup_epochs and
    then lowered along a half cosine to zero. crop_padding: pixels added on each side before a random crop
    (images up to 64 px; larger ones get a random resized crop). flip, erasing: probabilities. noise: standard
    deviation of Gaussian noise on values in [0, 1]. precision: 'fp32' or 'bf16' (autocast).
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
    precision: str = "bf16"
    seed: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        if self.optimizer not in ("sgd", "adamw") or self.precision not in ("fp32", "bf16"):
            raise FeatureError(
                f"optimizer is 'sgd' or 'adamw' and precision 'fp32' or 'bf16', but got {self.optimizer!r} and "
                f"{self.precision!r}."
            )
        if self.epochs < 1 or self.batch_size < 2:
            raise FeatureError(
                f"Training needs at least 1 epoch and 2 images a batch, but got {self.epochs} and {self.batch_size}."
            )
