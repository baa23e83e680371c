"""Architectures that differ from torchvision's, one choice or block form each, small enough to be run many times."""

from dataclasses import replace

from features.networks.architecture import Architecture

BASIC = Architecture("basic", (1, 2), (8, 16), (8, 16), "cifar", 8, classes=5)
BOTTLENECK = Architecture("bottleneck", (2, 1), (8, 8), (32, 64), "cifar", 8, classes=5)
PREACTIVATION = replace(BASIC, preactivation=True)

UNUSUAL = {
    "stride in the first 1x1": replace(BOTTLENECK, stride_at="first"),
    "widened by the last convolution": replace(
        BASIC, shortcut="padding", widened_at="last", stride_at="last", blocks=(1, 2)
    ),
    "widened by the last convolution, stride in the first": replace(BASIC, widened_at="last"),
    "stride in the last 3x3": replace(BASIC, stride_at="last", preactivation=True, shortcut_from="input"),
    "stride 1 in the last stage": replace(BOTTLENECK, strides=(1, 1)),
    "dilated": replace(BOTTLENECK, blocks=(1, 2), strides=(1, 1), dilations=(1, 2)),
    "dilated from its first block on": replace(
        BOTTLENECK, blocks=(1, 2), strides=(1, 1), dilations=(1, 2), first_dilation="own"
    ),
    "max-pool behind a 3x3 stem": replace(BASIC, stem_pool="max"),
    "max-pool in ceil mode": replace(BASIC, stem_pool="max-ceil"),
    "unpadded max-pool in ceil mode": replace(BASIC, stem_pool="max-caffe"),
    "max-pool padded with zeros": replace(BASIC, stem_pool="max-zeros"),
    "convolution in the pool's place": replace(BASIC, stem_pool="conv"),
    "average pool": replace(BASIC, stem_pool="average"),
    "wide padding": replace(BASIC, stem_padding=2),
    "stem of stride 2": replace(BASIC, stem_stride=2),
    "7x7 stem": replace(BASIC, stem="imagenet"),
    "deep stem": replace(BASIC, stem="deep", stem_widths=(6, 4)),
    "zeros at the end": replace(BASIC, shortcut="padding", shortcut_padding="end"),
    "zeros on both sides": replace(BASIC, shortcut="padding"),
    "plain": replace(BASIC, shortcut="none"),
    "pooled shortcuts": replace(BOTTLENECK, shortcut_pool="average"),
    "blurred": replace(BOTTLENECK, antialias="blur", stem="imagenet"),
    "blurred basic blocks": replace(BASIC, antialias="blur"),
    "averaged": replace(BASIC, antialias="average"),
    "SiLU": replace(BASIC, activation="silu"),
    "leaky ReLU": replace(BASIC, activation="leaky_relu"),
    "pre-activation": PREACTIVATION,
    "pre-activation bottlenecks": replace(BOTTLENECK, preactivation=True),
    "pre-activation without a last norm": replace(PREACTIVATION, last_norm=False, stem_norm=True),
    "pre-activation with raw projections": replace(PREACTIVATION, shortcut_from="input"),
    "pre-activation with padded shortcuts": replace(PREACTIVATION, shortcut="padding"),
    "group norms": replace(BASIC, norm="group", norm_groups=4),
    "pre-activation with group norms and standardised weights": replace(
        PREACTIVATION, norm="group", norm_groups=4, standardised=True
    ),
    "layer norms": replace(BASIC, norm="layer"),
    "instance norms and standardised weights": replace(BASIC, shortcut="padding", norm="instance", standardised=True),
    "SkipInit": replace(PREACTIVATION, norm="none", bias=True, scalars="skipinit"),
    "Fixup": replace(BASIC, norm="none", scalars="fixup", shortcut_pool="average"),
    "biases": replace(BASIC, bias=True),
    "biases without norms": replace(BASIC, bias=True, norm="none"),
    "squeeze-and-excitation": replace(BASIC, attention="se", attention_widths=(4, 4)),
    "efficient channel attention": replace(BOTTLENECK, attention="eca"),
    "groups": replace(BOTTLENECK, groups=4),
    "head of two layers": replace(BASIC, head_widths=(12,)),
    "head of three layers": replace(BASIC, head_widths=(12, 9), head_activation="silu"),
    "pre-activation with a head of two layers": replace(PREACTIVATION, head_widths=(12,), head_activation="gelu"),
    "layer norm before the head": replace(BASIC, head_start="layer"),
    "layer norm before a head of two layers": replace(BASIC, head_start="layer", head_widths=(12,)),
    "activation before the head": replace(BASIC, head_start="activation", head_activation="gelu"),
    "one logit": replace(BASIC, classes=1),
    "one logit of two layers": replace(BASIC, classes=1, head_widths=(12,)),
    "five channels": replace(BASIC, in_channels=5),
    "maxima": replace(BASIC, head_pool="max"),
    "maxima mixed with averages": replace(BASIC, head_pool="mixed"),
    "maxima before averages": replace(BASIC, head_pool="max-average"),
    "averages before maxima": replace(BOTTLENECK, head_pool="average-max"),
    "pre-activation with maxima": replace(PREACTIVATION, head_pool="max"),
    "maxima before averages before a head of two layers": replace(
        BASIC, head_pool="max-average", head_widths=(12,), head_start="activation"
    ),
    "pre-activation with averages before maxima and a head of two layers": replace(
        PREACTIVATION, head_pool="average-max", head_widths=(12,), head_start="layer"
    ),
}
