"""What is known of a network by what lies beside it in its file, though its own tensors do not tell."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from features.errors import FeatureError
from features.networks.architecture import Architecture
from features.networks.parts import Part
from features.networks.spellings import BLOB_BRANCH

MMSEG_HEADS = r"decode_head\.(?:psp_modules|aspp_modules|convs)\."
MMSEG_PYRAMIDS = r"decode_head\.(?:lateral_convs|fpn_convs|fpn_bottleneck|c1_bottleneck)\.|neck\."
DILATED = {"strides": (1, 2, 1, 1), "dilations": (1, 1, 2, 4)}
ATTENTION_POOL = r"(?:^|\.)(?:attnpool|head)\.(?:positional_embedding|pos_embed)$"


@dataclass(frozen=True)
class Signature:
    """A kind of file. title: whose it is. fits: whether a network in a file is of it. fields: what is so in all.

    problem: why it is not read, '' where it is. usual, pixels: of the architecture and of the preprocessing, what is
    usual with such files, and assumed.
    """

    title: str
    fits: Callable[[Part, Architecture], bool]
    fields: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    pixels: Mapping[str, Any] = field(default_factory=dict)
    usual: Mapping[str, Any] = field(default_factory=dict)


def _is_caffes(part: Part, architecture: Architecture) -> bool:
    return all(
        conv.name.startswith(f"{BLOB_BRANCH}.conv") for stage in part.stages for block in stage for conv in block.convs
    )


def _is_caffes_resnet(part: Part, architecture: Architecture) -> bool:
    return _is_caffes(part, architecture) and architecture.groups == 1 and architecture.norm == "batch"


def _is_of_own_blocks(part: Part, architecture: Architecture) -> bool:
    names = {layer.name for stage in part.stages for block in stage for layer in block.convs}
    return "conv2_kxk.conv" in names and not _has_attention_pool(part, architecture)


def _has_attention_pool(part: Part, architecture: Architecture) -> bool:
    return architecture.stem == "deep" and any(re.search(ATTENTION_POOL, name) for name in part.left)


def _is_bit(part: Part, architecture: Architecture) -> bool:
    group_norms_first = architecture.preactivation and architecture.norm == "group"
    return group_norms_first and architecture.stem == "imagenet" and any(len(layer.shape) == 4 for layer in part.head)


def _is_v2d(part: Part, architecture: Architecture) -> bool:
    return architecture.preactivation and architecture.stem == "deep" and architecture.shortcut == "projection"


def _has_segmentation_head(part: Part, architecture: Architecture) -> bool:
    above = part.name.removesuffix("backbone")
    heads = (f"{above}classifier.4.weight", f"{above}classifier.0.convs.0.0.weight")
    return part.name != above and len(architecture.blocks) == 4 and any(name in part.left for name in heads)


def _has_beside(part: Part, architecture: Architecture, pattern: str) -> bool:
    """Whether something stands in a network without a head, or beside it, whose name from there fits a pattern."""
    above = f"{part.name.rpartition('.')[0]}.".lstrip(".")
    paths = (f"{part.name}.".lstrip("."), above)
    names = {name.removeprefix(path) for path in paths for name in part.left if name.startswith(path)}
    fits = architecture.classes is None and len(architecture.blocks) == 4
    return fits and any(re.match(pattern, name) for name in names)


def _is_mmsegmentations(part: Part, architecture: Architecture) -> bool:
    """With a head that sees the last stage alone, which is then dilated."""
    sees_all = _has_beside(part, architecture, MMSEG_PYRAMIDS)
    return not sees_all and _has_beside(part, architecture, MMSEG_HEADS)


def _is_pspnet(part: Part, architecture: Architecture) -> bool:
    return _has_beside(part, architecture, r"ppm\.features\.|master_branch\.0\.stages\.")


def _is_smps_deeplab(part: Part, architecture: Architecture) -> bool:
    return part.name.endswith("encoder") and _has_beside(part, architecture, r"decoder\.0\.convs\.0\.0\.weight")


def _is_smps_deeplab_plus(part: Part, architecture: Architecture) -> bool:
    return part.name.endswith("encoder") and _has_beside(part, architecture, r"decoder\.aspp\.0\.convs\.")


def _is_meliketoys(part: Part, architecture: Architecture) -> bool:
    """Convolutions and projections of kuangliu's names with biases, before which norms come."""
    blocks = [block for stage in part.stages for block in stage]
    named = all({"conv1", "conv2"} == {conv.name for conv in block.convs} for block in blocks)
    biased = all("bias" in layer.tensors for block in blocks for layer in (*block.convs, *block.shortcut))
    projects = [layer.name for block in blocks for layer in block.shortcut]
    basic = architecture.preactivation and architecture.block == "basic" and architecture.stem == "cifar"
    return basic and named and biased and bool(projects) and set(projects) == {"shortcut.0"}


def _is_cadenes(part: Part, architecture: Architecture) -> bool:
    stem = all(layer.name.startswith("layer0.") for layer in part.stem)
    return stem and architecture.attention == "se" and all(
        layer.name.startswith("se_module.") for stage in part.stages for block in stage for layer in block.attention
    )  # fmt: skip


def _is_cadenes_bottleneck(part: Part, architecture: Architecture) -> bool:
    return _is_cadenes(part, architecture) and architecture.block == "bottleneck" and architecture.groups == 1


def _is_cadenes_resnext(part: Part, architecture: Architecture) -> bool:
    return _is_cadenes(part, architecture) and architecture.groups > 1


SIGNATURES = (
    Signature(
        "MSRA's ResNets, as Caffe2 keeps them",
        _is_caffes_resnet,
        {"stride_at": "first"},
        pixels={
            "mean": tuple(value / 255 for value in (103.53, 116.28, 123.675)),
            "std": (1 / 255,) * 3,
            "channel_order": "bgr",
        },
    ),
    Signature("Caffe2's ResNeXts", _is_caffes, {"stride_at": "middle"}),
    Signature(
        "meliketoy's Wide ResNets",
        _is_meliketoys,
        {"stride_at": "last", "shortcut_from": "input"},
    ),
    Signature("Cadene's SE-ResNets", _is_cadenes_bottleneck, {"stem_pool": "max-caffe", "stride_at": "first"}),
    Signature("Cadene's SE-ResNeXts", _is_cadenes_resnext, {"stem_pool": "max-caffe"}),
    Signature(
        "timm's networks of blocks of one's own (byobnet)",
        _is_of_own_blocks,
        problem="the strides and pools of their stems, and their activations, differ from one to the next",
    ),
    Signature("timm's legacy SE-ResNets", _is_cadenes, problem="its basic blocks rectify what their gates see"),
    Signature(
        "the bodies of torchvision's networks for segmentation",
        _has_segmentation_head,
        DILATED,
    ),
    Signature("MMSegmentation's networks of output stride 8", _is_mmsegmentations, usual=DILATED),
    Signature("PSPNets", _is_pspnet, usual=DILATED | {"first_dilation": "own"}),
    Signature("DeepLabV3 of segmentation_models.pytorch", _is_smps_deeplab, usual=DILATED | {"first_dilation": "own"}),
    Signature(
        "DeepLabV3+ of segmentation_models.pytorch",
        _is_smps_deeplab_plus,
        usual={"strides": (1, 2, 2, 1), "dilations": (1, 1, 1, 2), "first_dilation": "own"},
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


def pixels_of(part: Part, architecture: Architecture) -> Mapping[str, Any]:
    """Of the preprocessing of images in colour, what is usual with the kind of file."""
    signature = next((each for each in SIGNATURES if each.fits(part, architecture)), None)
    return signature.pixels if signature is not None and architecture.in_channels == 3 else {}


def usual_of(part: Part, architecture: Architecture) -> Mapping[str, Any]:
    """Fields of the architecture that are usual with the kind of file, and assumed."""
    return next((each.usual for each in SIGNATURES if each.fits(part, architecture)), {})


def applied(part: Part, architecture: Architecture) -> tuple[Architecture, frozenset[str]]:
    """The architecture with what signatures tell, and the fields that they tell. Raises FeatureError for a problem."""
    for signature in SIGNATURES:
        if signature.fits(part, architecture):
            if signature.problem:
                raise FeatureError(f"{signature.title}: {signature.problem}")
            return replace(architecture, **signature.fields), frozenset(signature.fields)
    return architecture, frozenset()
