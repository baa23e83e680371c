"""What a file of weights, or one beside it, says of its network in words: its name, its pixels, its classes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from features.errors import FeatureError
from features.networks import catalogue
from features.networks.architecture import Architecture
from features.networks.card import names_fit
from features.networks.choices import BY_FIELD
from features.networks.containers import Inert
from features.networks.preprocessing import IMAGENET_MEAN, MAX_CHANNELS, Preprocessing

MAX_BYTES = 8 << 20  # of a JSON file beside the weights
HUB_FILES = ("model.safetensors", "pytorch_model.bin", "timm_model.safetensors")  # as hubs call them
WORDS = {
    "name": ("arch", "architecture", "model_name", "backbone", "encoder_name", "base_model", "model", "net", "network"),
    "classes": ("class_names", "classes", "CLASSES", "categories", "label_names", "labels", "id2label", "idx_to_class"),
    "numbers": ("class_to_idx", "label2id"),
    "mean": ("mean", "image_mean", "pixel_mean", "normalize_mean", "norm_mean"),
    "std": ("std", "image_std", "pixel_std", "normalize_std", "norm_std"),
}
MAX_VISITED, MAX_DEPTH = 20_000, 8
NEAR = 0.01  # of one mean to another, in [0, 1]
PILLOW = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # numbers of its resampling filters


@dataclass(frozen=True, eq=False)
class Written:
    """What is said.

    where: what says it, for people. architecture, pixels: fields with their values; class_names: in the order of
    logits, () for none. known: the fields that need no doubt. A name in a file of one's own ('arch': 'resnet50') is
    none of these: scripts keep it whatever they change in the network.
    """

    where: str = ""
    architecture: Mapping[str, Any] = field(default_factory=dict)
    pixels: Mapping[str, Any] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()


def read(path: Path, values: object, architecture: Architecture, stored: Mapping[str, Any]) -> Written:
    """What is said of the network of an architecture in a file: beside it first, then in the file itself.

    values: what lies in the file beside tensors. stored: of the preprocessing, what it keeps as tensors. Only what
    agrees with the tensors is taken.
    """
    beside = _beside(path, architecture)
    inside = _inside(values, architecture)
    names = beside.class_names or inside.class_names
    return Written(
        " and ".join(dict.fromkeys(each.where for each in (beside, inside) if each.where)),
        {**inside.architecture, **beside.architecture},
        {**inside.pixels, **beside.pixels, **stored},
        names if names_fit(len(names), architecture.classes) else (),
        frozenset(
            (
                *beside.architecture,
                *beside.pixels,
                *inside.pixels,
                *stored,
                *(["channel_order"] if beside.pixels else []),
            )
        ),
    )


def _beside(path: Path, architecture: Architecture) -> Written:
    """Of timm's or Hugging Face's config.json in the same folder, if the weights are called as hubs call them."""
    if path.name not in HUB_FILES:
        return Written()
    config = _json(path.with_name("config.json"))
    if "pretrained_cfg" in config:
        return _timm(config, architecture)
    if config.get("model_type") == "resnet":
        return _hugging_face(config, _json(path.with_name("preprocessor_config.json")))
    return Written()


def _json(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _timm(config: Mapping[str, Any], architecture: Architecture) -> Written:
    from features.networks import timm_catalogue

    told = config["pretrained_cfg"] if isinstance(config["pretrained_cfg"], dict) else {}
    try:
        pixels = timm_catalogue.preprocessing_of(told).settings()
    except (FeatureError, TypeError, ValueError, AttributeError):
        pixels = {}
    names = told.get("label_names") or config.get("label_names") or ()
    name = config.get("architecture")
    fields = _named(f"{catalogue.TIMM}{name}", architecture) if isinstance(name, str) else {}
    return Written("config.json (timm)", fields, pixels, _strings(names))


def _hugging_face(config: Mapping[str, Any], pixels: Mapping[str, Any]) -> Written:
    fields: dict[str, Any] = {}
    if config.get("downsample_in_bottleneck"):
        fields["stride_at"] = "first"
    if config.get("downsample_in_first_stage"):
        fields["strides"] = (2,) * len(config.get("depths") or (0,) * 4)
    if isinstance(config.get("hidden_act"), str):
        fields["activation"] = config["hidden_act"]
    return Written(
        "config.json (Hugging Face)", {**{"stride_at": "middle"}, **fields}, _processor(pixels), _names(config)
    )


def _processor(config: Mapping[str, Any]) -> dict[str, Any]:
    """What Hugging Face's image processor does: sizes below 384 px are a part, crop_pct, of the scaled side."""
    size = config.get("size")
    edge = size.get("shortest_edge", size.get("height")) if isinstance(size, dict) else size
    made: dict[str, Any] = {}
    mean, std = _numbers(config.get("image_mean")), _numbers(config.get("image_std"))
    if mean and std:
        made |= {"mean": mean, "std": std}
    if isinstance(edge, int) and edge > 0:
        share = config.get("crop_pct")
        share = share if isinstance(share, float) and 0 < share <= 1 else 224 / 256
        made |= {"crop": edge, "resize": int(edge / share) if edge < 384 else edge}
    if PILLOW.get(config.get("resample", -1)) in ("bilinear", "bicubic"):
        made["interpolation"] = PILLOW[config["resample"]]
    return made


def _inside(values: object, architecture: Architecture) -> Written:
    """Of hyper-parameters, arguments, settings and metadata in the file."""
    found: dict[str, Any] = {}
    for table in _tables(values):
        for kind, words in WORDS.items():
            for word in words:
                if word in table and kind not in found and (value := _usable(kind, table[word])) is not None:
                    found[kind] = value
    told = pixels(found.get("mean", ()), found.get("std", ()), architecture.in_channels)
    fields = _named(found["name"], architecture) if "name" in found else {}
    names = found.get("classes") or found.get("numbers") or ()
    where = "the file itself" if fields or told or names else ""
    return Written(where, fields, told, names)


def pixels(mean: tuple[float, ...], std: tuple[float, ...], channels: int) -> dict[str, Any]:
    """The preprocessing's mean and deviation, in [0, 1], of those in a file; {} for what is none of pixels.

    0 and 1 say that pixels are left as they are, but not whether these go to 1 or to 255. ImageNet's mean the other way
    round is of blue, green and red.
    """
    if not len(mean) == len(std) == channels or {*mean, *std} == {0.0, 1.0}:
        return {}
    unit = 255.0 if max(*mean, *std) > 2 else 1.0
    scaled = {"mean": tuple(value / unit for value in mean), "std": tuple(value / unit for value in std)}
    if not all(0 <= value <= 1 for value in (*scaled["mean"], *scaled["std"])) or 0 in scaled["std"]:
        return {}
    turned = zip(scaled["mean"], reversed(IMAGENET_MEAN), strict=False)
    is_bgr = channels == 3 and all(abs(value - usual) < NEAR for value, usual in turned)
    return {**scaled, "channel_order": "bgr"} if is_bgr else scaled


def _tables(values: object) -> Iterator[Mapping[str, Any]]:
    """Every dict in a file with text as keys, and the attributes of its objects, the outermost first."""
    level, visited = [values], 0
    for _ in range(MAX_DEPTH):
        following: list[object] = []
        for value in level:
            visited += 1
            if visited > MAX_VISITED:
                return
            inner = value.state if isinstance(value, Inert) else value
            if isinstance(inner, dict):
                yield {key: each for key, each in inner.items() if isinstance(key, str)}
                following += [each for each in inner.values() if isinstance(each, dict | Inert)]
        level = following


def _usable(kind: str, value: object) -> Any:
    """A value of a kind, or None if it is something else."""
    if kind == "name":
        return value if isinstance(value, str) and 0 < len(value) < 80 else None
    if kind in ("mean", "std"):
        return _numbers(value) or None
    if kind == "numbers":
        order = sorted(value.items(), key=lambda item: str(item[1])) if isinstance(value, dict) else []
        whole = [item for item in order if isinstance(item[1], int)]
        return tuple(str(name) for name, _ in sorted(whole, key=lambda item: item[1])) or None
    return (_names({"id2label": value}) if isinstance(value, dict) else _strings(value)) or None


def _numbers(value: object) -> tuple[float, ...]:
    """A short list of numbers; () for anything else."""
    if not isinstance(value, list | tuple) or len(value) > MAX_CHANNELS:
        return ()
    fits = all(isinstance(each, int | float) and not isinstance(each, bool) for each in value)
    return tuple(map(float, value)) if fits else ()


def _strings(value: object) -> tuple[str, ...]:
    texts = isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(each, str) for each in value)
    return tuple(value) if texts else ()  # type: ignore[arg-type]


def _names(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Class names of {'0': 'cat', '1': 'dog'}, whose keys are text in JSON."""
    labels = config.get("id2label")
    if not isinstance(labels, dict):
        return ()
    try:
        order = sorted((int(key), str(name)) for key, name in labels.items())
    except (TypeError, ValueError):
        return ()
    fits = [number for number, _ in order] == list(range(len(order)))
    return tuple(name for _, name in order) if fits else ()


def _named(name: str, architecture: Architecture) -> dict[str, Any]:
    """The choices of a network by its name, as far as it has an architecture's tensors; {} for what is no name."""
    name = name.rpartition("/")[2].removeprefix("tv_")
    known = name if name.startswith(catalogue.TIMM) or name in catalogue.TORCHVISION else f"{catalogue.TIMM}{name}"
    try:
        if known in catalogue.TORCHVISION:
            said = catalogue.TORCHVISION[known]
        elif _is_timms(known.removeprefix(catalogue.TIMM)):
            from features.networks.adapters import builders

            said = builders.described(known.removeprefix(catalogue.TIMM).partition(".")[0], architecture.classes)
        else:
            return {}
    except FeatureError:
        return {}
    same = ("block", "stem", "blocks", "inner", "outputs", "stem_width", "groups")
    if any(getattr(said, name) != getattr(architecture, name) for name in same):
        return {}
    return {name: getattr(said, name) for name in BY_FIELD if name not in ("shortcut", "head_start")}


def _is_timms(name: str) -> bool:
    """Whether it can be one of timm's, before timm is imported to ask."""
    if not any(part in name for part in ("resne", "senet", "skres")):
        return False
    from features.networks.adapters import builders

    return name.partition(".")[0] in builders.names()


def applied(
    written: Written, architecture: Architecture, preprocessing: Preprocessing
) -> tuple[Architecture, Preprocessing]:
    """Both with what is written, as far as it goes with them."""
    with suppress(FeatureError):
        architecture = replace(architecture, **written.architecture)
    with suppress(FeatureError):
        preprocessing = replace(preprocessing, **written.pixels)
    return architecture, preprocessing
