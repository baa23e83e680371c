"""What can be said of a network that its weights do not tell: one table for the command line, links and the app.

A setting has a name ('stride-at', 'mean', 'outputs') and is given as text, so that it fits on a command line and into a
link. Those of the architecture come from `choices.CHOICES`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from features.errors import FeatureError
from features.networks.card import ModelSpec, Outputs
from features.networks.choices import CHOICES, Choice, whole_numbers
from features.networks.preprocessing import CHANNEL_ORDERS, FRAMINGS, INTERPOLATIONS, Preprocessing

Settings = tuple[tuple[str, str], ...]
ARCHITECTURE, PIXELS, LOGITS = "architecture", "pixels", "logits"
# What pixels are before mean and standard deviation, as what a value of [0, 1] is multiplied with and has added to it.
RANGES = {"unit": (1.0, 0.0), "signed": (2.0, -1.0), "bytes": (255.0, 0.0)}


@dataclass(frozen=True, eq=False)
class Setting:
    """One thing that can be said.

    name: as it is written, '--name' on the command line. group: ARCHITECTURE, PIXELS or LOGITS. fields: of the
    architecture, the preprocessing or the spec that it sets. values: what it may be, in words; {} where it is free.
    value: what a network has, as it is written. chosen: the spec with another value; raises FeatureError for none.
    """

    name: str
    group: str
    title: str
    meaning: str
    fields: tuple[str, ...]
    values: Mapping[str, str]
    value: Callable[[ModelSpec], str]
    chosen: Callable[[ModelSpec, str], ModelSpec]
    matters: Callable[[ModelSpec], bool] = lambda spec: True
    example: str = ""


def _of_choice(choice: Choice) -> Setting:
    return Setting(
        choice.option.removeprefix("--"),
        ARCHITECTURE,
        choice.title,
        choice.meaning,
        (choice.field,),
        choice.values,
        lambda spec: choice.value(spec.architecture),
        lambda spec, text: replace(spec, architecture=choice.chosen(spec.architecture, text)),
        lambda spec: choice.matters(spec.architecture),
        choice.example,
    )


def _of_pixels(
    field: str, title: str, meaning: str, parse: Callable[[str], Any], values: Mapping[str, str], example: str = ""
) -> Setting:
    name = field.replace("_", "-")

    def chosen(spec: ModelSpec, text: str) -> ModelSpec:
        try:
            if values and text not in values:
                raise ValueError
            value = parse(text)
        except ValueError:
            wanted = f"one of {', '.join(values)}" if values else f"as {example}"
            raise FeatureError(f"--{name} is {text[:80]!r}. Wanted {wanted}.") from None
        return replace(spec, preprocessing=replace(spec.preprocessing, **{field: value}))

    return Setting(
        name, PIXELS, title, meaning, (field,), values, lambda spec: _shown(getattr(spec.preprocessing, field)), chosen,
        lambda spec: field != "channel_order" or spec.preprocessing.channels == 3, example,
    )  # fmt: skip


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def numbers(text: str) -> tuple[float, ...]:
    """'0.5,0.5,0.5' as numbers. Raises ValueError."""
    return tuple(float(part) for part in text.split(","))


def _per_channel(name: str, spec: ModelSpec, text: str) -> tuple[float, ...]:
    try:
        values = numbers(text)
    except ValueError:
        values = ()
    channels = spec.architecture.in_channels
    values = values * channels if len(values) == 1 else values
    if len(values) != channels:
        raise FeatureError(f"--{name} is {text[:80]!r}. Wanted {channels} numbers with commas between, or one for all.")
    return values


def _written(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:.6g}" for value in values)


def _with_pixels(spec: ModelSpec, mean: tuple[float, ...], std: tuple[float, ...]) -> ModelSpec:
    return replace(spec, preprocessing=replace(spec.preprocessing, mean=mean, std=std))


def range_of(preprocessing: Preprocessing) -> str:
    """The name of the range alone that these means and deviations make; '' for others."""
    for name, (factor, shift) in RANGES.items():
        if {*preprocessing.mean} == {-shift / factor} and {*preprocessing.std} == {1 / factor}:
            return name
    return ""


def _with_range(spec: ModelSpec, text: str) -> ModelSpec:
    if text not in RANGES:
        raise FeatureError(f"--range is {text[:80]!r}. Wanted one of {', '.join(RANGES)}.")
    factor, shift = RANGES[text]
    channels = spec.architecture.in_channels
    return _with_pixels(spec, (-shift / factor,) * channels, (1 / factor,) * channels)


def _is_multilabel(spec: ModelSpec, text: str) -> ModelSpec:
    if text not in OUTPUTS:
        raise FeatureError(f"--outputs is {text[:80]!r}. Wanted one of {', '.join(OUTPUTS)}.")
    return replace(spec, multilabel=text == Outputs.MULTILABEL)


OUTPUTS = {
    Outputs.MULTICLASS.value: "one of the classes holds (softmax; one logit: sigmoid)",
    Outputs.MULTILABEL.value: "any number of labels hold (a sigmoid each)",
}
_OF_PIXELS = (
    Setting(
        "range", PIXELS, "Range of pixel values",
        "What values are scaled to before --mean and --std, which are given in these units; alone, nothing more is "
        "done to them. unit: 0 to 1. signed: -1 to 1. bytes: 0 to 255, as in weights from Caffe.",
        ("mean", "std"), {"unit": "0 to 1", "signed": "-1 to 1", "bytes": "0 to 255"},
        lambda spec: range_of(spec.preprocessing), _with_range,
    ),
    Setting(
        "mean", PIXELS, "Mean taken away from each channel",
        "In the units of --range, in the network's order of channels.",
        ("mean",), {}, lambda spec: _written(spec.preprocessing.mean),
        lambda spec, text: _with_pixels(spec, _per_channel("mean", spec, text), spec.preprocessing.std),
        example="0.485,0.456,0.406",
    ),
    Setting(
        "std", PIXELS, "Standard deviation that each channel is divided by", "In the units of --range.",
        ("std",), {}, lambda spec: _written(spec.preprocessing.std),
        lambda spec, text: _with_pixels(spec, spec.preprocessing.mean, _per_channel("std", spec, text)),
        example="0.229,0.224,0.225",
    ),
    _of_pixels("channel_order", "Order of colours", "bgr in weights from Caffe, and where OpenCV reads the images.",
               str, CHANNEL_ORDERS),
    _of_pixels("resize", "Shorter side after scaling, in pixels", "Usually 256 for networks of 224 px.", int, {},
               "256"),
    _of_pixels("crop", "Side of the centre square that is kept, in pixels", "Usually 224, or 32 for CIFAR's.", int, {},
               "224"),
    _of_pixels("framing", "What of a picture becomes the square", "squash where --resize is of both sides.", str,
               FRAMINGS),
    _of_pixels("shown", "Planes shown as red, green and blue", "Of images with other planes than colours.",
               whole_numbers, {}, "3,2,1"),
    _of_pixels("interpolation", "How pictures are scaled", "As Pillow does it, all but nearest antialiased.", str,
               {name: name for name in INTERPOLATIONS}),
)  # fmt: skip
SETTINGS = (
    *map(_of_choice, CHOICES),
    *_OF_PIXELS,
    Setting(
        "outputs", LOGITS, "What logits say",
        "multilabel for networks that were trained with a sigmoid for each label.",
        ("multilabel",), OUTPUTS, lambda spec: Outputs.MULTILABEL if spec.multilabel else Outputs.MULTICLASS,
        _is_multilabel, lambda spec: (spec.architecture.classes or 0) > 1,
    ),
)  # fmt: skip
BY_NAME = {setting.name: setting for setting in SETTINGS}


def applied(spec: ModelSpec, settings: Settings) -> tuple[ModelSpec, frozenset[str]]:
    """A spec with settings, and the names of the fields that they set.

    Raises FeatureError for a setting that there is none of, or whose value does not go with the network.
    """
    given = dict(settings)
    for name in given:
        if name not in BY_NAME:
            raise FeatureError(f"There is no setting called {name[:80]!r}. Those that there are: {', '.join(BY_NAME)}.")
    for setting in SETTINGS:  # in the table's order: a range before the mean that is in its units
        if setting.name in given:
            spec = setting.chosen(spec, given[setting.name])
    if "range" in given:
        spec = _in_range(spec, given)
    return spec, frozenset(field for name in given for field in BY_NAME[name].fields)


def anew(spec: ModelSpec, settings: Settings) -> ModelSpec:
    """A spec with those settings alone that change the tensors of a network that is trained anew: what its norms are.

    Raises FeatureError as `applied`.
    """
    changing = {choice.option.removeprefix("--") for choice in CHOICES if choice.anew}
    return applied(spec, tuple(each for each in settings if each[0] in changing))[0]


def _in_range(spec: ModelSpec, given: Mapping[str, str]) -> ModelSpec:
    """Mean and deviation that were given in the units of a range, in those of [0, 1]."""
    factor, shift = RANGES[given["range"]]
    mean, std = (0.0,) * spec.architecture.in_channels, (1.0,) * spec.architecture.in_channels
    mean = spec.preprocessing.mean if "mean" in given else mean
    std = spec.preprocessing.std if "std" in given else std
    return _with_pixels(spec, tuple((value - shift) / factor for value in mean), tuple(value / factor for value in std))
