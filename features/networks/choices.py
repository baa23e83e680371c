"""What can be said of a network: every choice that leaves no trace in its tensors, with its values and what they mean.

Two of them, of norms and what stands in their place, do leave one: they are chosen of a network that is trained anew.

The command line, the app, the documentation and the search for the choice that fits read this one table.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import gcd
from typing import TYPE_CHECKING, Any

from features.errors import FeatureError
from features.networks.layout import ACTIVATIONS, AVERAGE, HEAD_POOLS

if TYPE_CHECKING:
    from features.networks.architecture import Architecture


@dataclass(frozen=True, eq=False)
class Choice:
    """One field of an architecture that tensors do not tell.

    field: its name in Architecture. option: on the command line. title: for people. values: what it may be, as it is
    written, and in words; {} where it is a number, or numbers separated by commas, as in `example`. meaning: what it
    changes, and who has it how. matters: whether it can differ in a network that has the other fields of a given one.
    fits: whether a value goes with a network's tensors. rival: the value that many networks of the same tensors have in
    the place of the usual one, '' where few have another. anew: whether a network without weights may be given any
    value. follows: the other fields that a value sets.
    """

    field: str
    option: str
    title: str
    values: Mapping[str, str]
    meaning: str
    matters: Callable[["Architecture"], bool] = lambda network: True
    parse: Callable[[str], Any] = str
    example: str = ""
    fits: Callable[["Architecture", str], bool] = lambda network, text: True
    rival: Callable[["Architecture"], str] = lambda network: ""
    anew: bool = False
    follows: Callable[["Architecture", Any], Mapping[str, Any]] = lambda network, value: {}

    def value(self, network: "Architecture") -> str:
        """What a network has, as it is written."""
        value = network.resolved(self.field)
        if isinstance(value, tuple):
            return ",".join(map(str, value))
        return ("no", "yes")[value] if isinstance(value, bool) else str(value)

    def chosen(self, network: "Architecture", text: str) -> "Architecture":
        """The network with another value. Raises FeatureError if it is none, or if it does not matter here."""
        if not self.matters(network):
            raise FeatureError(f"{self.option} changes nothing in a network of {network.describe()}. Leave it away.")
        if self.anew and network.builder:
            raise FeatureError(
                f"{self.option} was given for {network.builder}, which is built as it is there. Name another network."
            )
        try:
            fitting = [value for value in self.values if self.anew or self.fits(network, value)]
            if self.values and text not in fitting:
                raise ValueError
            value = self.parse(text)
        except ValueError:
            wanted = f"one of {', '.join(fitting)}" if self.values else "whole numbers, as 1,2,2,1"
            raise FeatureError(f"{self.option} is {text!r}. Wanted {wanted}.") from None
        return replace(network, **{self.field: value, **self.follows(network, value)})

    def others(self, network: "Architecture") -> tuple["Architecture", ...]:
        """Networks with the same tensors that differ in this choice alone; () where it has no list of values."""
        if not self.matters(network):
            return ()
        open_choices = []
        for text in (each for each in self.values if self.fits(network, each)):
            try:
                open_choices.append(self.chosen(network, text))
            except FeatureError:  # it does not go with another of the network's choices
                continue
        return tuple(other for other in open_choices if other != network)

    def words(self, network: "Architecture") -> str:
        """What a network has, for people."""
        value = self.value(network)
        return self.values.get(value) or f"{self.title[0].lower()}{self.title[1:]} {value}"

    def doubt(self, network: "Architecture") -> str:
        """What a network is taken to have and what many others of its kind have, for people; '' where few have it."""
        rival = self.rival(network)
        if rival in ("", self.value(network)):
            return ""
        return f"{self.words(network)}, where many of its kind have {self.values[rival]} ({self.option} {rival})"


def whole_numbers(text: str) -> tuple[int, ...]:
    """'1,2,2,1' as numbers. Raises ValueError."""
    return tuple(int(part) for part in text.split(","))


def _is_switched(text: str) -> bool:
    return text == "yes"


SAME_TENSORS = ("group", "layer", "instance")  # norms that cannot be told from each other


def has_same_tensors(network: "Architecture", norm: str) -> bool:
    """Whether a network of other norms has tensors of the same names and shapes."""
    return norm == network.norm or {norm, network.norm} <= {*SAME_TENSORS}


def _follows_norm(network: "Architecture", norm: str) -> dict[str, Any]:
    """Groups, 32 or as many as divide every width; biases in the place of norms; no scalars beside norms."""
    widths = (network.stem_width, *network.stem_widths, *network.inner, *network.outputs)
    made: dict[str, Any] = {"norm_groups": gcd(32, *widths) if norm == "group" else 32}
    if norm == network.norm:
        return {}
    if "none" in (norm, network.norm):
        made |= {"bias": norm == "none", "scalars": "none"}
    return made | ({"standardised": False} if norm == "none" else {})


def _is_as_of_2015(network: "Architecture") -> bool:
    """Whether it has the bottlenecks of He et al. 2015 behind their stem, which Caffe had with another stride."""
    plain = network.block == "bottleneck" and network.groups == 1 and network.attention == "none"
    return plain and network.stem == "imagenet" and not network.preactivation


CHOICES = (
    Choice(
        "stride_at", "--stride-at", "Stride of a block in its",
        {
            "middle": "stride in the first 3x3 convolution",
            "first": "stride in the first 1x1 convolution",
            "last": "stride in the last convolution",
        },
        "Which convolution of a bottleneck skips pixels. torchvision and timm: the 3x3 ('v1.5'); He et al. 2015, "
        "Caffe, MSRA's weights, detectron2, Keras: the first 1x1. Of basic blocks: nearly always the first (middle); "
        "last in meliketoy's Wide ResNets and fattorib's networks.",
        lambda network: network.antialias == "none",
        rival=lambda network: "first" if _is_as_of_2015(network) else "",
    ),
    Choice(
        "stem_pool", "--stem-pool", "Pool after the stem",
        {
            "max": "max-pool after the stem",
            "none": "no pool after the stem",
            "average": "2x2 average pool after the stem",
            "max-blur": "blurred max-pool after the stem",
            "max-ceil": "max-pool in ceil mode after the stem",
            "max-caffe": "unpadded max-pool in ceil mode after the stem",
            "max-zeros": "zero-padded max-pool after the stem",
        },
        "What halves the sides after the first convolution. With a 7x7 stem nearly always 'max'; with a 3x3 stem "
        "usually 'none', and 'max' where only a torchvision network's first convolution was replaced.",
        lambda network: network.resolved("stem_pool") != "conv",
        rival=lambda network: "max" if network.stem == "cifar" and len(network.blocks) == 4 else "",
    ),
    Choice(
        "stem_stride", "--stem-stride", "Stride of the first convolution",
        {"1": "stem of stride 1", "2": "stem of stride 2"},
        "Usually 2 with a 7x7 or deep stem and 1 with a 3x3 one.",
        parse=int,
    ),
    Choice(
        "stem_padding", "--stem-padding", "Padding of the first convolution",
        {str(pixels): f"stem padded by {pixels} px" for pixels in range(5)},
        "Pixels beyond the border. Usually half the kernel; code that follows SimCLR's for CIFAR pads a 3x3 by 2.",
        parse=int,
    ),
    Choice(
        "strides", "--strides", "Strides of the stages", {},
        "How far each stage's first block skips. Usually 1,2,2,2; networks for re-identification have 1,2,2,1.",
        parse=whole_numbers, example="1,2,2,1",
    ),
    Choice(
        "dilations", "--dilation", "Dilations of the stages", {},
        "Gaps in each stage's 3x3 convolutions, as 1,1,2,4 with strides 1,2,1,1 in networks for segmentation.",
        parse=whole_numbers, example="1,1,2,4",
    ),
    Choice(
        "first_dilation", "--first-dilation", "Dilation of a stage's first block",
        {"previous": "first blocks dilated as the stage before", "own": "first blocks dilated as their stage"},
        "torchvision and timm: as the stage before; detectron2 and some of MMSegmentation's: as the stage itself.",
        lambda network: bool(network.dilations),
    ),
    Choice(
        "shortcut", "--shortcut", "Shortcuts without parameters",
        {"padding": "shortcuts padded with zeros (option A)", "none": "no shortcuts (a plain network)"},
        "A network that changes its width without projections pads its shortcuts (option A), or has none at all.",
        lambda network: network.shortcut in ("padding", "none"),
    ),
    Choice(
        "shortcut_padding", "--shortcut-padding", "Zeros of padded shortcuts at",
        {"both": "zeros on both sides of the old channels", "end": "zeros after the old channels"},
        "Where option A puts its zeros. akamaster's CIFAR networks: on both sides; He et al.'s and ResNeXt's: at the "
        "end.",
        lambda network: network.shortcut == "padding",
        rival=lambda network: "end",
    ),
    Choice(
        "shortcut_pool", "--shortcut-pool", "Pool before projections",
        {"none": "projections that skip pixels", "average": "projections behind an average pool"},
        "ResNet-D averages where others skip (He et al. 2019, arXiv:1812.01187).",
        lambda network: network.shortcut == "projection",
        rival=lambda network: "average" if network.stem == "deep" else "",
    ),
    Choice(
        "shortcut_from", "--shortcut-from", "Projections of pre-activation networks see the",
        {"activated": "projections of the activated input", "input": "projections of the input itself"},
        "He et al. 2016, timm, kuangliu: what the branch's first norm and activation made; weiaicunzai: the input.",
        lambda network: network.preactivation and network.shortcut == "projection",
        rival=lambda network: "input" if network.block == "basic" else "",
    ),
    Choice(
        "antialias", "--antialias", "Filter against aliasing",
        {
            "none": "strided convolutions",
            "blur": "blur in the place of strides",
            "average": "average pools in the place of strides",
        },
        "What skips pixels in a branch: the convolution, or a filter behind it (Zhang 2019). The stem's pool follows.",
        lambda network: network.stride_at == "middle",
    ),
    Choice(
        "activation", "--activation", "Activation", ACTIVATIONS,
        "The function between layers and of each block's sum.",
    ),
    Choice(
        "head_pool", "--head-pool", "Pool before the head",
        {
            AVERAGE: "averages over space before the head",
            "max": "maxima over space before the head",
            "mixed": "means of averages and maxima over space before the head",
            "max-average": "maxima followed by averages over space before the head",
            "average-max": "averages followed by maxima over space before the head",
        },
        "How the head's features are made of the last stage's maps. Nearly always 'average'. Where the head takes "
        "twice as many as there are channels: fastai and most code have the maxima first, timm the averages.",
        lambda network: network.classes is not None,
        fits=lambda network, text: HEAD_POOLS[text].features(network.features) == network.pooled_features,
    ),
    Choice(
        "head_start", "--head-start", "Between norm and linear layer of the head",
        {
            "linear": "no activation between norm and linear layer of the head",
            "activation": "an activation between norm and linear layer of the head",
        },
        "Where a head begins with a batch norm: whether an activation follows it before the first linear layer.",
        lambda network: network.classes is not None and network.head_start != "layer",
    ),
    Choice(
        "head_activation", "--head-activation", "Activation inside the head", ACTIVATIONS,
        "The function between the linear layers of a head of several, and between a norm and the first.",
        lambda network: bool(network.head_widths) or network.head_start == "activation",
    ),
    Choice(
        "norm", "--norm", "Norms",
        {
            "batch": "batch norms",
            "group": "group norms",
            "layer": "layer norms over channels",
            "instance": "instance norms",
            "none": "no norms",
        },
        "What is normalised: each channel over a batch, groups of channels over space (32, or as many as divide every "
        "width), all channels of a position, or each channel over space. Of a network that is trained anew; of a file "
        "only which of those without running statistics it has, since their tensors are the same.",
        fits=has_same_tensors, anew=True, follows=_follows_norm,
    ),
    Choice(
        "scalars", "--scalars", "In the place of norms",
        {
            "none": "nothing in the place of norms",
            "skipinit": "SkipInit's factor at the end of each branch",
            "fixup": "Fixup's factors, biases and first weights",
        },
        "What lets a network without norms (--norm none) be trained: each block begins as its shortcut, by a factor of "
        "0 (SkipInit: De & Smith 2020) or small first weights (Fixup: Zhang et al. 2019). Of a network that is trained "
        "anew.",
        lambda network: network.shortcut != "none",
        fits=lambda network, text: text == network.scalars, anew=True,
        follows=lambda network, value: {} if value == network.scalars else {"bias": value != "fixup"},
    ),
    Choice(
        "norm_groups", "--norm-groups", "Groups of group norms", {},
        "How many groups of channels are normalised together, the same everywhere; usually 32. Says of norms without "
        "statistics that they are no batch norms.",
        lambda network: network.norm == "group", int, "16",
    ),
    Choice(
        "standardised", "--standardised", "Weight standardisation",
        {"no": "weights as they are", "yes": "standardised weights"},
        "Whether each filter is standardised before it is used: BiT's networks and others with group norms.",
        lambda network: network.norm != "none", _is_switched,
        rival=lambda network: "yes" if network.norm == "group" else "",
    ),
    Choice(
        "epsilon", "--epsilon", "Epsilon of the norms", {},
        "What is added to variances. 1e-5 with PyTorch; 1e-3 or 2e-5 in weights from TensorFlow and MXNet.",
        lambda network: network.norm != "none", float, "0.001",
    ),
)  # fmt: skip
BY_FIELD = {choice.field: choice for choice in CHOICES}
# What a file does tell, but the names in `describe` do not.
TOLD = {
    "preactivation": lambda network: "pre-activation",
    "widened_at": lambda network: "widened by the last convolution of a block",
    "stem_norm": lambda network: "norm after the stem" if network.stem_norm else "no norm after the stem",
    "last_norm": lambda network: "norm after the last stage" if network.last_norm else "no norm after the last stage",
    "norm": lambda network: {
        "group": f"{network.norm_groups} groups to a norm",
        "layer": "layer norms over channels",
        "instance": "instance norms",
    }.get(network.norm, "no norms"),
    "scalars": lambda network: {"skipinit": "SkipInit's factors", "fixup": "Fixup's factors and biases"}[
        network.scalars
    ],
    "bias": lambda network: "convolutions with bias",
    "attention": lambda network: {"se": "squeeze-and-excitation", "eca": "efficient channel attention"}[
        network.attention
    ],
    "attention_widths": lambda network: f"attention of widths {'-'.join(map(str, network.attention_widths))}",
    "head_start": lambda network: "layer norm before the head" if network.head_start == "layer" else "",
    "head_widths": lambda network: f"a head of {len(network.head_widths) + 1} layers",
    "builder": lambda network: f"built as {network.builder}",
}


def unusual(network: "Architecture") -> Iterator[str]:
    """Every choice of a network that is not as usual, in words."""
    kept = network.settings()
    told = {name: text for name, words in TOLD.items() if name in kept and (text := words(network))}
    yield from told.values()
    for choice in CHOICES:
        if choice.field in kept and choice.field not in ("shortcut", "norm_groups", *told):
            yield choice.words(network)
