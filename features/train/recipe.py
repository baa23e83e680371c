"""Every setting of a training run."""

from dataclasses import asdict, dataclass
from typing import Any

from features.errors import FeatureError
from features.train.heads import HEADS
from features.train.objectives import OBJECTIVES
from features.train.optimizers import OPTIMIZERS
from features.train.policies import POLICIES
from features.train.schedules import SCHEDULES, numbers
from features.train.settings import above, at_least, setting, settings_of, share

LENGTH, RATE, STEP, START = "length", "learning rate", "step", "what is trained"
GOAL, SIGHT, KEPT, MACHINE = "what is minimised", "augmentation", "what is kept", "machine"
ALL_BUT_HEAD = "all-but-head"
# What recipes had before others came: always told, so that runs of then are known by the same settings.
FIRST = (
    "epochs", "batch_size", "optimizer", "learning_rate", "momentum", "weight_decay", "warmup_epochs",
    "label_smoothing", "crop_padding", "flip", "erasing", "noise", "precision", "seed", "workers",
)  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; what each setting is, `SETTINGS` tells.

    Raises FeatureError for settings out of range, and for those that do nothing beside the others, with every one.
    """

    epochs: int = setting(25, "passes over the training images", LENGTH, "1 or more", at_least(1))
    batch_size: int = setting(128, "images that the network sees at once", STEP, "2 or more images", at_least(2))
    accumulate: int = setting(
        1, "batches whose gradients make one step: as a batch so many times as large, but for BatchNorm", STEP,
        "1 or more", at_least(1),
    )  # fmt: skip
    objective: str = setting(
        "labels", " or ".join(known.title for known in OBJECTIVES.values()), GOAL, choices=tuple(OBJECTIVES)
    )
    optimizer: str = setting(
        "sgd", " or ".join(known.title for known in OPTIMIZERS.values()), STEP, choices=tuple(OPTIMIZERS)
    )
    learning_rate: float = setting(0.1, "the peak, from which the schedule lowers it", RATE, "above 0", above(0))
    momentum: float = setting(0.9, "of sgd and lars", STEP, "0 or more and below 1", at_least(0, 1))
    weight_decay: float = setting(5e-4, "on every weight, in all optimizers", STEP, "0 or more", at_least(0))
    weight_decay_on: str = setting("all", "all, or weights: none on norms and biases", STEP, choices=("all", "weights"))
    clip_norm: float = setting(0.0, "largest norm of a step's gradient; 0 for any", STEP, "0 or more", at_least(0))
    schedule: str = setting(
        "cosine", ", ".join(known.title for known in SCHEDULES.values()), RATE, choices=tuple(SCHEDULES)
    )
    warmup_epochs: float = setting(
        1.0,
        "epochs in which the learning rate rises to its peak",
        RATE,
        "0 or more and at most the epochs",
        at_least(0),
    )
    step_epochs: int = setting(
        10, "epochs between two steps of the schedule", RATE, "1 or more", at_least(1), needs=("schedule", ("step",))
    )
    milestones: str = setting(
        "", "epochs after which the schedule steps, as 30,60,80", RATE, "whole numbers above 0 with commas between",
        lambda text: numbers(text) is not None, needs=("schedule", ("multistep",)),
    )  # fmt: skip
    step_factor: float = setting(
        0.1, "what a step of the schedule multiplies the learning rate by", RATE, "above 0 and at most 1", above(0, 1),
        needs=("schedule", ("step", "multistep")),
    )  # fmt: skip
    restart_epochs: int = setting(
        10, "epochs of the first half cosine", RATE, "1 or more", at_least(1), needs=("schedule", ("restarts",))
    )
    restart_factor: int = setting(
        1, "how many times longer each half cosine is than the one before", RATE, "1 or more", at_least(1),
        needs=("schedule", ("restarts",)),
    )  # fmt: skip
    stage_decay: float = setting(
        1.0, "learning rate of each stage as a share of the next one's, from the head down", RATE,
        "above 0 and at most 1", above(0, 1),
    )  # fmt: skip
    freeze: str = setting(
        "", "parts that stay as they are: stem,layer1, or all-but-head", START, "names of parts with commas between",
        lambda text: all(part.strip() for part in text.split(",")) or not text,
    )  # fmt: skip
    unfreeze_epochs: int = setting(
        0, "epochs after which one more frozen part learns, the last one first; 0 for never", START, "0 or more",
        at_least(0), needs=("freeze", ()),
    )  # fmt: skip
    norm_statistics: str = setting(
        "learning", "of BatchNorm: learning, or frozen as they were at the start", START,
        choices=("learning", "frozen"),
    )  # fmt: skip
    head: str = setting(
        "softmax", ", ".join(f"{known.name}: {known.title}" for known in HEADS.values()), GOAL, choices=tuple(HEADS)
    )
    label_smoothing: float = setting(
        0.0, "share of the target that goes to all classes alike", GOAL, "0 or more and below 1", at_least(0, 1)
    )
    class_weights: str = setting(
        "none", "none, or balanced: a class counts the more the rarer it is", GOAL, choices=("none", "balanced")
    )
    sampling: str = setting(
        "shuffled", "shuffled, or balanced: each class is drawn as often as any other", GOAL,
        choices=("shuffled", "balanced"),
    )  # fmt: skip
    crop: str = setting(
        "random", "random, or centre: the part that the network sees when it is tested", SIGHT,
        choices=("random", "centre"),
    )  # fmt: skip
    crop_padding: int = setting(
        2, "pixels added on each side before a random crop (larger than 64 px: resized crop)", SIGHT,
        "0 or more pixels", at_least(0), needs=("crop", ("random",)),
    )  # fmt: skip
    flip: float = setting(0.5, "probability of a horizontal flip", SIGHT, "a probability, 0 to 1", share)
    policy: str = setting("none", ", ".join(known.title for known in POLICIES.values()), SIGHT, choices=tuple(POLICIES))
    erasing: float = setting(0.0, "probability that a rectangle is erased", SIGHT, "a probability, 0 to 1", share)
    noise: float = setting(
        0.0, "standard deviation of Gaussian noise on values in [0, 1]", SIGHT, "0 or more", at_least(0)
    )
    mixup: float = setting(0.0, "alpha of mixup: two images blended; 0 for none", SIGHT, "0 or more", at_least(0))
    cutmix: float = setting(
        0.0, "alpha of CutMix: a box of another image; 0 for none; beside mixup, either by chance", SIGHT,
        "0 or more", at_least(0),
    )  # fmt: skip
    ema_decay: float = setting(
        0.0, "of the running average of the weights, which is tested and kept; 0 for none", KEPT,
        "0 or more and below 1", at_least(0, 1),
    )  # fmt: skip
    held_back: float = setting(
        0.0, "share of the training images, of each class, that is not learned from but measured on", KEPT,
        "0 or more and below 1", at_least(0, 1),
    )  # fmt: skip
    patience: int = setting(
        0, "epochs without a better one, by the images held back, after which it stops; 0 for all epochs", KEPT,
        "0 or more", at_least(0), needs=("held_back", ()),
    )  # fmt: skip
    keep: str = setting(
        "last", "which epoch's network is kept: the last, or the best by the images held back", KEPT,
        choices=("last", "best"), needs=("held_back", ()),
    )  # fmt: skip
    precision: str = setting(
        "fp32", "fp32 or bf16: faster on GPUs from Ampere on, CPUs with AVX512-BF16 or AMX", MACHINE,
        choices=("fp32", "bf16"),
    )  # fmt: skip
    seed: int = setting(
        0, "of the first weights, the order and the augmentation", MACHINE, "0 or more and below 2**32",
        at_least(0, 2**32),
    )  # fmt: skip
    workers: int = setting(
        1, "processes that decode and augment; the result does not depend on them", MACHINE, "1 or more", at_least(1)
    )

    def __post_init__(self) -> None:
        broken = [*self._out_of_range(), *self._contradictions()]
        if broken:
            raise FeatureError(f"A network cannot be trained like this: {'; '.join(broken)}. Change these settings.")

    def _out_of_range(self) -> list[str]:
        broken = [
            f"{each.name} is {value!r}, wanted {each.wanted}"
            for each in SETTINGS
            if not each.holds(value := getattr(self, each.name))
        ]
        if self.warmup_epochs > self.epochs:
            broken.append(f"warmup_epochs is {self.warmup_epochs!r}, wanted 0 or more and at most the epochs")
        return broken

    def _contradictions(self) -> list[str]:
        told = [
            f"{each.name} is {getattr(self, each.name)!r}, which does nothing without {each.need_in_words()}"
            for each in SETTINGS
            if getattr(self, each.name) != each.default and not each.is_needed(self)
        ]
        if self.schedule == "multistep" and not self.milestones:
            told.append("schedule is 'multistep', which needs milestones")
        known = OPTIMIZERS.get(self.optimizer)
        if known is not None and known.schedule and self.schedule != known.schedule:
            told.append(f"optimizer is {self.optimizer!r}, which needs schedule {known.schedule}")
        return told

    @property
    def sees_the_same(self) -> bool:
        """Whether an image is the same whenever it is seen."""
        drawn = (self.flip, self.erasing, self.noise, self.mixup, self.cutmix)
        return self.crop == "centre" and self.policy == "none" and not any(drawn)

    def settings(self) -> dict[str, Any]:
        """What recipes have always had, and of the other settings those that are not as by default."""
        usual = {each.name: each.default for each in SETTINGS}
        return {name: value for name, value in asdict(self).items() if name in FIRST or value != usual[name]}


SETTINGS = settings_of(Recipe)


def completed(settings: dict[str, Any]) -> dict[str, Any]:
    """What `Recipe.settings` leaves out put back, whichever version wrote it."""
    return {**{each.name: each.default for each in SETTINGS}, **settings}
