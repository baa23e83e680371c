"""timm's ResNet family by name: what its networks are, see and say. timm and PyTorch are imported when one is named."""

from collections.abc import Mapping
from functools import cache
from math import floor
from typing import Any

from features.errors import FeatureError
from features.networks.card import ModelSpec
from features.networks.preprocessing import Preprocessing

PREFIX = "timm:"
ADDRESS = "https://huggingface.co"
FILE = "model.safetensors"
FAMILIES = (
    ("ecaresnext", "ECA-ResNeXt"), ("ecaresnet", "ECA-ResNet"), ("seresnext", "SE-ResNeXt"), ("seresnet", "SE-ResNet"),
    ("senet", "SENet"), ("skresnext", "SK-ResNeXt"), ("skresnet", "SK-ResNet"), ("resnetv2", "ResNet v2"),
    ("resnetrs", "ResNet-RS"), ("resnext", "ResNeXt"), ("wide_resnet", "Wide ResNet"), ("", "ResNet"),
)  # fmt: skip


def names() -> tuple[str, ...]:
    """The name of every network of the family for which timm has weights, with their tag: 'timm:resnet50.a1_in1k'."""
    import timm

    from features.networks.adapters import builders

    return tuple(f"{PREFIX}{name}" for name in timm.list_pretrained() if name.split(".")[0] in builders.names())


@cache
def spec(name: str) -> ModelSpec:
    """The network of a name 'timm:NAME' (timm's default weights) or 'timm:NAME.TAG', as timm has it.

    Raises FeatureError if timm has no such network, or none of its ResNet family.
    """
    import timm
    from timm.models import get_pretrained_cfg

    from features.networks import download
    from features.networks.adapters import builders

    own, _, tag = name.removeprefix(PREFIX).partition(".")
    if own not in builders.names():
        raise FeatureError(
            f"timm's ResNet family has no network called {own[:80]!r}. `python -m features models --timm` lists its "
            f"{len(builders.names())} networks."
        )
    config = get_pretrained_cfg(name.removeprefix(PREFIX), allow_unregistered=False) if _has(own, tag) else None
    if config is None:
        raise FeatureError(f"timm {timm.__version__} has no weights {tag[:80]!r} of {own}: {', '.join(_tags(own))}.")
    architecture = builders.described(own, config.num_classes or None)
    url = f"{ADDRESS}/{config.hf_hub_id}/resolve/main/{config.hf_hub_filename or FILE}" if config.hf_hub_id else None
    file = download.cached(url) if url else None
    trained = "; trained on ImageNet, non-commercial research terms" if _classes(config.num_classes) else ""
    return ModelSpec(
        name=f"{PREFIX}{own}.{config.tag}" if config.has_weights else f"{PREFIX}{own}",
        family=next(title for start, title in FAMILIES if own.startswith(start)),
        architecture=architecture,
        preprocessing=preprocessing_of(config.to_dict()),
        class_names=_classes(config.num_classes),
        source=f"timm {own}.{config.tag}" if config.has_weights else "none: give --weights or train it",
        licence=f"{config.license or 'unknown licence'} (timm){trained}" if config.has_weights else "",
        file=file if file is not None and file.is_file() else None,
        url=url,
        megabytes=builders.megabytes(architecture) if url else 0.0,
    )


def _has(own: str, tag: str) -> bool:
    return not tag or tag in _tags(own)


def _tags(own: str) -> tuple[str, ...]:
    """The tags of a network's weights."""
    import timm

    return tuple(name.partition(".")[2] for name in timm.list_pretrained(f"{own}.*"))


def preprocessing_of(config: Mapping[str, Any]) -> Preprocessing:
    """What timm's pretrained_cfg, or the same of a config.json, says of pixels: those with which timm evaluates.

    Where it names another size or crop for tests than for training, the former. The shorter side is scaled to the size
    over crop_pct, rounded down. Raises FeatureError, naming it, for what cannot be done here.
    """
    channels, height, width = config.get("test_input_size") or config.get("input_size") or (3, 224, 224)
    percent = config.get("test_crop_pct") or config.get("crop_pct") or 0.875
    mode = config.get("crop_mode") or "center"
    if mode not in _FRAMINGS or height != width:
        raise FeatureError(
            f"timm cuts these pictures by {mode!r} to {height} x {width} px, which cannot be done here: give --resize, "
            "--crop and --framing."
        )
    mean, std = (tuple(float(value) for value in config.get(key) or usual) for key, usual in _USUAL.items())
    if len(mean) != channels and len(set(mean)) == 1:
        mean, std = mean[:1] * channels, std[:1] * channels
    return Preprocessing(
        resize=floor(height / percent),
        crop=height,
        mean=mean,
        std=std,
        interpolation=config.get("interpolation") or "bicubic",
        framing=_FRAMINGS[mode],
    )


_FRAMINGS = {"center": "centre", "squash": "squash"}
_USUAL = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@cache
def _classes(count: int) -> tuple[str, ...]:
    """ImageNet's names of so many classes; () if no subset of it has as many."""
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": count})
    if subset is None:
        return ()
    info = ImageNetInfo(subset)
    return tuple(info.label_descriptions()) if info.num_classes() == count else ()
