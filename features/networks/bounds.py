"""Refuses architectures that no network has: wrong kinds of values, numbers out of bounds, choices that do not fit."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from features.errors import FeatureError
from features.networks.layout import ACTIVATIONS, HEAD_POOLS
from features.networks.plan import STEM_POOLS

if TYPE_CHECKING:
    from features.networks.architecture import Architecture

MAX_STAGES, MAX_BLOCKS, MAX_WIDTH, MAX_CLASSES, MAX_INPUTS = 16, 1000, 1 << 16, 1 << 20, 16
NAMES = {
    "block": ("basic", "bottleneck"),
    "stem": ("imagenet", "cifar", "deep"),
    "shortcut": ("projection", "padding", "none"),
    "stem_pool": (None, *STEM_POOLS),
    "first_dilation": ("previous", "own"),
    "widened_at": ("first", "last"),
    "stride_at": ("middle", "first", "last"),
    "shortcut_padding": ("both", "end"),
    "shortcut_pool": ("none", "average"),
    "shortcut_from": ("activated", "input"),
    "antialias": ("none", "blur", "average"),
    "activation": tuple(ACTIVATIONS),
    "norm": ("batch", "group", "layer", "instance", "none"),
    "scalars": ("none", "skipinit", "fixup"),
    "attention": ("none", "se", "eca"),
    "head_pool": tuple(HEAD_POOLS),
    "head_start": ("linear", "activation", "layer"),
    "head_activation": tuple(ACTIVATIONS),
}
SWITCHES = {"preactivation": (bool,), "bias": (bool,), "standardised": (bool,)} | {
    name: (bool, type(None)) for name in ("stem_norm", "last_norm")
}
# Field -> the least and the most of a whole number, or of each of several.
NUMBERS = {
    "stem_width": (1, MAX_WIDTH),
    "groups": (1, MAX_WIDTH),
    "in_channels": (1, MAX_INPUTS),
    "norm_groups": (1, MAX_WIDTH),
}  # fmt: skip
OPTIONAL = {"classes": (1, MAX_CLASSES), "stem_stride": (1, 8), "stem_padding": (0, 16)}
PER_STAGE = {"blocks": (1, MAX_BLOCKS), "inner": (1, MAX_WIDTH), "outputs": (1, MAX_WIDTH)}
OF_ANY_NUMBER = {"stem_widths": (1, MAX_WIDTH), "head_widths": (1, MAX_WIDTH)}
PER_STAGE_OR_NONE = {"strides": (1, 8), "dilations": (1, 64), "attention_widths": (1, MAX_WIDTH)}


def check(network: "Architecture") -> None:
    """Raises FeatureError, naming the field, what it holds and what may stand there."""
    for name, allowed in NAMES.items():
        _need(network, name, getattr(network, name) in allowed, f"one of {_listed(allowed)}")
    for name, kinds in SWITCHES.items():
        _need(network, name, type(getattr(network, name)) in kinds, "true or false")
    for name, (least, most) in (NUMBERS | OPTIONAL).items():
        value, none = getattr(network, name), ", or none" * (name in OPTIONAL)
        fits = _is_whole(value, least, most) or bool(none and value is None)
        _need(network, name, fits, f"a whole number from {least} to {most:,}{none}")
    _need(network, "epsilon", type(network.epsilon) is float and 0 <= network.epsilon <= 0.1, "a number from 0 to 0.1")
    _need(network, "builder", isinstance(network.builder, str) and len(network.builder) <= 200, "a network's name")
    _check_stages(network)
    _check_fit(network)


def _need(network: "Architecture", name: str, fits: bool, wanted: str) -> None:
    if not fits:
        raise FeatureError(f"A network's {name} was {_short(getattr(network, name))}. Wanted {wanted}.")


def _is_whole(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most  # not bool, which is an int as well


def _check_stages(network: "Architecture") -> None:
    blocks = network.blocks
    some = type(blocks) is tuple and 0 < len(blocks) <= MAX_STAGES
    _need(network, "blocks", some, f"blocks of 1 to {MAX_STAGES} stages")
    for name, (least, most) in (PER_STAGE | PER_STAGE_OR_NONE | OF_ANY_NUMBER).items():
        value = getattr(network, name)
        lengths = {len(blocks)} | ({0} if name in PER_STAGE_OR_NONE else set())
        lengths = set(range(5)) if name in OF_ANY_NUMBER else lengths
        some = type(value) is tuple and len(value) in lengths
        fits = some and all(_is_whole(number, least, most) for number in value)
        _need(network, name, fits, f"{max(lengths)} whole numbers from {least} to {most:,}")
    _need(network, "blocks", sum(blocks) <= MAX_BLOCKS, f"at most {MAX_BLOCKS:,} blocks in all")


def _check_fit(network: "Architecture") -> None:
    """Fields that contradict each other, each with the sentence that says so."""
    basic, group, widths = network.block == "basic", network.norm == "group", network.attention_widths
    at, scaled = network.shortcut_padding, network.scalars != "none"
    normed = {network.stem_width, *network.stem_widths, *network.inner, *network.outputs}
    contradictions = {
        "groups are of bottlenecks, not of basic blocks": basic and network.groups > 1,
        "the inner widths are not multiples of the groups": any(width % network.groups for width in network.inner),
        "widened_at is of basic blocks": not basic and network.widened_at != "first",
        "basic blocks are as wide inside as their output": network.widened_at == "last"
        and network.inner != network.outputs,
        "the first convolution has the stride in bottlenecks alone": basic and network.stride_at == "first",
        "the last convolution has the stride in basic blocks alone": not basic and network.stride_at == "last",
        "stride_at does not go with antialias": network.antialias != "none" and network.stride_at != "middle",
        "shortcut_padding is of padded shortcuts": network.shortcut != "padding" and at != "both",
        "shortcut_pool is of projections": network.shortcut != "projection" and network.shortcut_pool != "none",
        "shortcut_from is of pre-activation": not network.preactivation and network.shortcut_from != "activated",
        "stem_widths are of a deep stem": bool(network.stem_widths) != (network.stem == "deep"),
        "norm_groups are of group norms": not group and network.norm_groups != 32,
        "norm_groups do not divide every width": group and any(width % network.norm_groups for width in normed),
        "scalars are of networks without norms (norm 'none')": scaled and network.norm != "none",
        "scalars are of networks with shortcuts": scaled and network.shortcut == "none",
        "fixup has scalar biases in the place of others": network.scalars == "fixup" and network.bias,
        "fixup begins with small weights, which standardisation would make large": network.scalars == "fixup"
        and network.standardised,
        "fixup is not of pre-activation networks": network.scalars == "fixup" and network.preactivation,
        "head_widths are of a head": network.classes is None and bool(network.head_widths),
        "head_start is of a head": network.classes is None and network.head_start != "linear",
        "head_activation is of a head of several layers": not (
            network.head_widths or network.head_start == "activation"
        )
        and network.head_activation != "relu",
        "attention_widths are of attention": network.attention == "none" and bool(widths),
        "the taps of eca are odd": network.attention == "eca" and any(taps % 2 == 0 for taps in widths),
    }
    for sentence, holds in contradictions.items():
        if holds:
            raise FeatureError(f"A network cannot be built: {sentence}. It has {_short(_told(network))}.")


def _told(network: "Architecture") -> str:
    return f"{network.block} blocks, {network.stem} stem, widths {network.inner} and {network.outputs}"


def _listed(allowed: Iterable[str | None]) -> str:
    return ", ".join(repr(name) for name in allowed if name is not None)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)[:200]
    return f"{text[:80]}..." if len(text) > 80 else text
