"""What timm's and Hugging Face's config.json, beside the weights, say of a network."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from features.errors import FeatureError, WeightsError
from features.files import is_folder
from features.networks import catalogue
from features.networks.architecture import Architecture
from features.networks.choices import BY_FIELD
from features.networks.layout import AVERAGE, HEAD_POOLS
from features.networks.preprocessing import MAX_CHANNELS

CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"
MAX_BYTES = 8 << 20  # of a JSON file
MAX_SHARDS = 32
WHOLE = ("model.safetensors", "pytorch_model.bin", "timm_model.safetensors")  # as hubs call weights
INDICES = tuple(f"{name}.index.json" for name in WHOLE)  # of those in several files
FILES = (*WHOLE, *INDICES)
PILLOW = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}  # its resampling filters
WARPED = 384  # from which side on Hugging Face's ConvNext processor scales both sides and cuts nothing
# Arguments of timm's networks that change nothing of what a trained one computes, and those that `timm` is asked about.
IDLE = frozenset(
    ("num_classes", "in_chans", "global_pool", "drop_rate", "drop_path_rate", "drop_block_rate", "zero_init_last")
)
ASKED = frozenset(
    ("act_layer", "norm_layer", "output_stride", "avg_down", "stem_type", "stem_width", "block_reduce_first",
     "down_kernel_size", "cardinality", "base_width", "block_args", "preact")
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Config:
    """What a config.json says of an architecture.

    where: what says it, for people. architecture, pixels: fields with their values. class_names: in the order of
    logits, () for none. multilabel: whether it says that any number of labels may hold. norm: the kind of norms.
    """

    where: str = ""
    architecture: Mapping[str, Any] = field(default_factory=dict)
    pixels: Mapping[str, Any] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    multilabel: bool = False
    norm: str = ""


def weights_in(folder: Path) -> Path | None:
    """The file of weights in a folder as libraries save them, None if there is none."""
    return next((path for name in FILES if (path := folder / name).is_file()), None)


def title_of(path: Path) -> str:
    """What a network of a file is called: as the file, or as the folder in which a library gave it its own name."""
    if path.name in FILES and path.with_name(CONFIG).is_file():
        return path.resolve().parent.name
    return Path(path.name.removesuffix(".index.json")).stem


def beside(path: Path) -> tuple[Path, ...]:
    """The files that say what weights are: those in a folder that is named, or beside a file that hubs call so."""
    if is_folder(path):
        inner = weights_in(path)
        return () if inner is None else (inner, *beside(inner))
    shards = sorted(path.parent.glob("*-of-*"))[:MAX_SHARDS] if path.name in INDICES else []
    return (path.with_name(CONFIG), path.with_name(PROCESSOR), *shards) if path.name in FILES else ()


def read(path: Path, architecture: Architecture) -> Config:
    """What lies beside a file, if it is called as hubs call weights.

    Raises WeightsError for a network that is another than can be read here.
    """
    config = _config_of(path)
    if "pretrained_cfg" in config:
        return _timm(config, architecture)
    if config.get("model_type") == "resnet":
        return _hugging_face(config, read_json(path.with_name(PROCESSOR)), architecture)
    return Config()


def name_beside(path: Path) -> str | None:
    """'timm:NAME' where timm's config.json names a network that only timm builds; None for all others."""
    path = (weights_in(path) or path) if is_folder(path) else path
    name = timm_name(_config_of(path).get("architecture"))
    if name is None:
        return None
    from features.networks.adapters import builders

    return f"{catalogue.TIMM}{name}" if builders.described(name, None).builder else None


def timm_name(name: object) -> str | None:
    """The name of one of timm's residual networks without its tag, None for anything else."""
    if not isinstance(name, str) or not any(part in name for part in ("resne", "senet", "skres")):
        return None  # before timm is imported to ask
    from features.networks.adapters import builders

    own = name.partition(".")[0]
    return own if own in builders.names() else None


def _config_of(path: Path) -> dict[str, Any]:
    return read_json(path.with_name(CONFIG)) if path.name in FILES else {}


def read_json(path: Path) -> dict[str, Any]:
    """An object in a JSON file, {} for anything else."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _timm(config: Mapping[str, Any], architecture: Architecture) -> Config:
    told = config["pretrained_cfg"] if isinstance(config["pretrained_cfg"], dict) else {}
    names = told.get("label_names") or config.get("label_names") or ()
    arguments = config.get("model_args")
    arguments = arguments if isinstance(arguments, dict) else {}
    pools = (each["global_pool"] for each in (arguments, config, told) if each.get("global_pool") is not None)
    pool = _head_pool(next(pools, "avg"), architecture)
    name = timm_name(config.get("architecture"))
    said = None if name is None else _of_timm(name, arguments, architecture)
    fields = {} if said is None else choices_of(said, architecture)
    norm = said.norm if said is not None and fields else ""
    fields |= {} if pool is None else {"head_pool": pool}
    return Config(
        "config.json (timm)", fields, _timms_pixels(told), _unless_numbers(_listed(names)), _is_multilabel(config), norm
    )


def _head_pool(kind: object, architecture: Architecture) -> str | None:
    """What pools before the head, as timm calls it; None in a network without a head."""
    if architecture.classes is None:
        return None
    named = str(kind).removeprefix("fast") or "avg"
    for name, pool in HEAD_POOLS.items():
        fits = architecture.builder or pool.features(architecture.features) == architecture.pooled_features
        if pool.timm == named and fits:
            return name
    raise WeightsError(
        f"config.json says that its head follows a pool of the kind {str(kind)[:40]!r}, and its tensors are of another "
        "head, or no such pool is known here. Save it without its head (num_classes=0) for its features"
    )


def _of_timm(name: str, arguments: Mapping[str, Any], architecture: Architecture) -> Architecture | None:
    """timm's network of a name, made with arguments; None where there is none without any."""
    from features.networks.adapters import builders

    given = {key: value for key, value in arguments.items() if key not in IDLE and value is not None}
    try:
        if not given.keys() <= ASKED or not all(map(_is_small, given.values())):
            raise FeatureError("Arguments that are not understood.")
        said = builders.described(name, architecture.classes, given)
        if given and said.builder:
            raise FeatureError("A network that no architecture describes.")
    except (FeatureError, TypeError, ValueError, KeyError, AttributeError, RuntimeError, AssertionError) as error:
        if not given:
            return None
        listed = ", ".join(f"{key}={value!r}"[:40] for key, value in list(given.items())[:4])
        raise WeightsError(
            f"config.json says that timm makes it as {name} with {listed}, which cannot be read here from a file. Make "
            "it with timm, and hand it over in memory: features.networks.memory.model_of"
        ) from error
    return said


def _is_small(value: object) -> bool:
    """Whether an argument can build nothing large."""
    if isinstance(value, dict):
        return len(value) < 9 and all(isinstance(each, str) or _is_small(each) for each in value.values())
    return isinstance(value, str | bool) or (isinstance(value, int | float) and abs(value) <= 4096)


def choices_of(said: Architecture, architecture: Architecture) -> dict[str, Any]:
    """What one network says of another with the same tensors, heads apart; {} if it has others."""
    same = ("block", "stem", "blocks", "inner", "outputs", "stem_width", "groups")
    if any(getattr(said, name) != getattr(architecture, name) for name in same):
        return {}
    unsaid = {"shortcut", "head_pool", "head_start", "norm", "scalars"} | (
        {"norm_groups"} if said.norm != "group" else set()
    )
    return {name: getattr(said, name) for name in BY_FIELD if name not in unsaid}


def _timms_pixels(told: Mapping[str, Any]) -> dict[str, Any]:
    """As timm evaluates; of a frame that cannot be cut here, mean and deviation alone."""
    from features.networks import timm_catalogue

    try:
        return timm_catalogue.preprocessing_of(told).settings()
    except (FeatureError, TypeError, ValueError, AttributeError, ArithmeticError):
        mean, std = as_numbers(told.get("mean")), as_numbers(told.get("std"))
        return {"mean": mean, "std": std} if mean and std else {}


def _hugging_face(config: Mapping[str, Any], pixels: Mapping[str, Any], architecture: Architecture) -> Config:
    if config.get("depths") != list(architecture.blocks):  # of another network
        return Config()
    activation = config.get("hidden_act", "relu")
    if activation != "relu":
        raise WeightsError(
            f"config.json says hidden_act={str(activation)[:40]!r}, which transformers has behind the stem and "
            "each block but not inside of blocks; from a file only one activation is read. Make it with "
            "transformers, and hand it over in memory: features.networks.memory.model_of"
        )
    if architecture.classes is not None and config.get("problem_type") == "regression":
        raise WeightsError(
            "config.json says problem_type='regression', and a number is no class. Save it without its head, as "
            "model.resnet.save_pretrained, for its features"
        )
    is_caffes = config.get("downsample_in_bottleneck") and architecture.block == "bottleneck"
    said = Architecture(
        architecture.block, architecture.blocks, architecture.inner, architecture.outputs, "imagenet",
        architecture.stem_width,
        stride_at="first" if is_caffes else "middle",
        strides=(2,) * len(architecture.blocks) if config.get("downsample_in_first_stage") else (),
    )  # fmt: skip
    return Config(
        "config.json (Hugging Face)",
        choices_of(said, architecture) | ({} if architecture.classes is None else {"head_pool": AVERAGE}),
        _processors_pixels(pixels, architecture.in_channels),
        _unless_numbers(names_by_number(config.get("id2label"))),
        _is_multilabel(config),
        norm="batch",
    )


def _is_multilabel(config: Mapping[str, Any]) -> bool:
    return config.get("problem_type") == "multi_label_classification"


def _unless_numbers(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names, but () for the LABEL_0, LABEL_1 that stand where nobody gave any."""
    return () if names == tuple(f"LABEL_{number}" for number in range(len(names))) else names


def _processors_pixels(config: Mapping[str, Any], channels: int) -> dict[str, Any]:
    """What Hugging Face's image processor does, as far as it can be done here."""
    made = _normalised(config, channels)
    framed = _framed(config)
    if framed and (kind := PILLOW.get(config.get("resample", 2) if isinstance(config.get("resample", 2), int) else -1)):
        made |= framed | {"interpolation": kind}
    return made


def _normalised(config: Mapping[str, Any], channels: int) -> dict[str, Any]:
    """Mean and deviation in [0, 1] of pixels that are multiplied by a factor first, and normalised then."""
    if not config:
        return {}
    factor = config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 1.0
    mean, std = as_numbers(config.get("image_mean")), as_numbers(config.get("image_std"))
    if not config.get("do_normalize", True):
        mean, std = (0.0,) * channels, (1.0,) * channels
    usable = isinstance(factor, int | float) and not isinstance(factor, bool) and isfinite(factor) and factor > 0
    if not usable or not len(mean) == len(std) == channels:
        return {}
    unit = 255.0 * factor
    if abs(unit - 1) < 1e-6:
        return {"mean": mean, "std": std}
    return {"mean": tuple(value / unit for value in mean), "std": tuple(value / unit for value in std)}


def _framed(config: Mapping[str, Any]) -> dict[str, Any]:
    """How pictures become squares; {} for what is no square of one size."""
    if not config.get("do_resize", True):
        return {}
    kind = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
    size, cut = config.get("size"), _side(config.get("crop_size"))
    is_convnext = kind.startswith("ConvNext") or (not kind and "crop_pct" in config)
    edge = _shortest(size) or (size if _is_side(size) and (is_convnext or cut) else 0)
    if is_convnext and edge:
        share = config.get("crop_pct")
        share = share if isinstance(share, float) and 0 < share <= 1 else 224 / 256
        if edge < WARPED:
            return {"resize": int(edge / share), "crop": edge, "framing": "centre-down"}
        return {"resize": edge, "crop": edge, "framing": "squash"}
    is_cut = config.get("do_center_crop", cut > 0)
    if edge and cut and is_cut:
        return {"resize": edge, "crop": cut, "framing": "centre-down"}
    both = _side(size)
    if both and not is_cut and (isinstance(size, dict) or kind):
        return {"resize": both, "crop": both, "framing": "squash"}
    return {}


def _shortest(size: object) -> int:
    """The shorter side of {'shortest_edge': 224}; 0 for anything else."""
    edge = size.get("shortest_edge") if isinstance(size, dict) and "longest_edge" not in size else None
    return edge if _is_side(edge) else 0  # type: ignore[return-value]


def _side(size: object) -> int:
    """Of a square, as a number or as {'height': 224, 'width': 224}; 0 for anything else."""
    height, width = (size.get("height"), size.get("width")) if isinstance(size, dict) else (size, size)
    return height if _is_side(height) and height == width else 0  # type: ignore[return-value]


def _is_side(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def as_numbers(value: object) -> tuple[float, ...]:
    """A short list of numbers; () for anything else."""
    if not isinstance(value, list | tuple) or len(value) > MAX_CHANNELS:
        return ()
    fits = all(isinstance(each, int | float) and not isinstance(each, bool) for each in value)
    return tuple(map(float, value)) if fits else ()


def as_texts(value: object) -> tuple[str, ...]:
    """A list of texts; () for anything else."""
    fits = isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)
    return tuple(value) if fits else ()  # type: ignore[arg-type]


def names_by_number(labels: object) -> tuple[str, ...]:
    """Class names of {'0': 'cat', '1': 'dog'}, whose keys are text in JSON; () for anything else."""
    if not isinstance(labels, dict):
        return ()
    try:
        order = sorted((int(key), str(name)) for key, name in labels.items())
    except (TypeError, ValueError):
        return ()
    fits = [number for number, _ in order] == list(range(len(order)))
    return tuple(name for _, name in order) if fits else ()


def _listed(names: object) -> tuple[str, ...]:
    return names_by_number(names) if isinstance(names, dict) else as_texts(names)
