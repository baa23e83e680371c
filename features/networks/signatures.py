"""What is known of a network by what lies beside it in its file, though its own tensors do not tell."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from features.networks.architecture import Architecture
from features.networks.parts import Part


@dataclass(frozen=True)
class Signature:
    """A kind of file. title: whose it is. fits: whether a network in a file is of it. fields: what is so in all."""

    title: str
    fits: Callable[[Part, Architecture], bool]
    fields: Mapping[str, Any]


def _has_attention_pool(part: Part, architecture: Architecture) -> bool:
    return architecture.stem == "deep" and any(".attnpool." in f".{name}" for name in part.left)


def _is_bit(part: Part, architecture: Architecture) -> bool:
    group_norms_first = architecture.preactivation and architecture.norm == "group"
    return group_norms_first and architecture.stem == "imagenet" and any(len(layer.shape) == 4 for layer in part.head)


def _is_v2d(part: Part, architecture: Architecture) -> bool:
    return architecture.preactivation and architecture.stem == "deep" and architecture.shortcut == "projection"


def _has_segmentation_head(part: Part, architecture: Architecture) -> bool:
    above = part.name.removesuffix("backbone")
    heads = (f"{above}classifier.4.weight", f"{above}classifier.0.convs.0.0.weight")
    return part.name != above and len(architecture.blocks) == 4 and any(name in part.left for name in heads)


SIGNATURES = (
    Signature(
        "the bodies of torchvision's networks for segmentation",
        _has_segmentation_head,
        {"strides": (1, 2, 1, 1), "dilations": (1, 1, 2, 4)},
    ),
    Signature("timm's ResNet v2-D", _is_v2d, {"shortcut_pool": "average"}),
    Signature(
        "Big Transfer, as timm has it (Kolesnikov et al. 2020, arXiv:1912.11370)",
        _is_bit,
        {"standardised": True, "stem_pool": "max-zeros"},
    ),
    Signature(
        "CLIP's ResNets (Radford et al. 2021, arXiv:2103.00020)",
        _has_attention_pool,
        {"antialias": "average", "shortcut_pool": "average", "stem_pool": "average"},
    ),
)


def applied(part: Part, architecture: Architecture) -> tuple[Architecture, frozenset[str]]:
    """The architecture with what signatures tell, and the fields that they tell."""
    for signature in SIGNATURES:
        if signature.fits(part, architecture):
            return replace(architecture, **signature.fields), frozenset(signature.fields)
    return architecture, frozenset()
