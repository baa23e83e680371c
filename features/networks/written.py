"""What a file of weights, or one beside it, says of its network in words: its name, its pixels, its classes."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from features.errors import FeatureError
from features.networks import catalogue, hub_configs
from features.networks.architecture import Architecture
from features.networks.card import names_fit
from features.networks.containers import Inert
from features.networks.hub_configs import as_numbers, as_texts, names_by_number
from features.networks.preprocessing import IMAGENET_MEAN, Preprocessing

WORDS = {
    "name": ("arch", "architecture", "model_name", "backbone", "encoder_name", "base_model", "model", "net", "network"),
    "classes": ("class_names", "classes", "CLASSES", "categories", "label_names", "labels", "id2label", "idx_to_class"),
    "numbers": ("class_to_idx", "label2id"),
    "mean": ("mean", "image_mean", "pixel_mean", "normalize_mean", "norm_mean"),
    "std": ("std", "image_std", "pixel_std", "normalize_std", "norm_std"),
    "norm": ("norm_layer", "norm_type", "norm", "norm_cfg", "norm_name", "normalization", "normalisation"),
}
BATCH_NORM = re.compile(r"batch_?norm|(?:^|[._])(?:sync_?)?(?:bn|batch)(?:[123]d)?$", re.IGNORECASE)
MAX_VISITED, MAX_DEPTH = 20_000, 8
HEAD = "head"  # what is known where it is known what lies around the head
NEAR = 0.01  # of one mean to another, in [0, 1]


@dataclass(frozen=True, eq=False)
class Written:
    """What is said.

    where: what says it, for people. architecture, pixels: fields with their values; class_names: in the order of
    logits, () for none. multilabel: whether any number of labels may hold. known: the fields that need no doubt. A
    name in a file of one's own ('arch': 'resnet50') is none of these: scripts keep it whatever they change in the
    network. batch_norms: what says that its norms are batch norms, for people; '' where nothing does.
    """

    where: str = ""
    architecture: Mapping[str, Any] = field(default_factory=dict)
    pixels: Mapping[str, Any] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()
    multilabel: bool = False
    batch_norms: str = ""


def read(path: Path, values: object, architecture: Architecture, stored: Mapping[str, Any]) -> Written:
    """What is said of the network of an architecture in a file: beside it first, then in the file itself.

    values: what lies in the file beside tensors. stored: of the preprocessing, what it keeps as tensors. Only what
    agrees with the tensors is taken. Raises WeightsError where what lies beside it says that it is a network that
    cannot be read here.
    """
    beside = hub_configs.read(path, architecture)
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
                *([HEAD] if beside.architecture.keys() - {"head_pool"} else []),
            )
        ),
        beside.multilabel,
        beside.where if beside.norm == "batch" else inside.batch_norms,
    )


def _inside(values: object, architecture: Architecture) -> Written:
    """Of hyper-parameters, arguments, settings and metadata in the file."""
    by_kind: dict[str, Any] = {}
    for table in _tables(values):
        for kind, value in _together(_said(table)).items():
            by_kind.setdefault(kind, value)
    told = pixels(by_kind.get("mean", ()), by_kind.get("std", ()), architecture.in_channels)
    said = _named(by_kind["name"], architecture) if "name" in by_kind else None
    fields = {} if said is None else hub_configs.choices_of(said, architecture)
    names = by_kind.get("classes") or by_kind.get("numbers") or ()
    where = "the file itself" if fields or told or names else ""
    batch = f"the name {by_kind['name'][:40]!r} in the file" if said is not None and said.norm == "batch" else ""
    batch = f"the setting {by_kind['norm'][:40]!r} in the file" if "norm" in by_kind else batch
    return Written(where, fields, told, names, batch_norms=batch)


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


def _said(table: Mapping[str, Any]) -> dict[str, Any]:
    """What one table says, by kind: of each the first word that it has with a usable value."""
    said: dict[str, Any] = {}
    for kind, words in WORDS.items():
        for word in words:
            if word in table and kind not in said and (value := _usable(kind, table[word])) is not None:
                said[kind] = value
    return said


def _together(said: dict[str, Any]) -> dict[str, Any]:
    """Without a mean that has no deviation beside it, or the other way round: it may be of something else."""
    if ("mean" in said) == ("std" in said):
        return said
    return {kind: value for kind, value in said.items() if kind not in ("mean", "std")}


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
        return as_numbers(value) or None
    if kind == "norm":
        return _batch_norm(value)
    if kind == "numbers":
        order = sorted(value.items(), key=lambda item: str(item[1])) if isinstance(value, dict) else []
        whole = [item for item in order if isinstance(item[1], int)]
        return tuple(str(name) for name, _ in sorted(whole, key=lambda item: item[1])) or None
    return (names_by_number(value) if isinstance(value, dict) else as_texts(value)) or None


def _batch_norm(value: object) -> str | None:
    """The name of batch norms that a setting holds: 'bn', {'type': 'SyncBN'} or the class itself."""
    values = value.values() if isinstance(value, dict) else (value,)
    names = (each.name if isinstance(each, Inert) else each for each in values)
    return next((each for each in names if isinstance(each, str) and BATCH_NORM.search(each)), None)


def _named(name: str, architecture: Architecture) -> Architecture | None:
    """The network of a name, with as many classes as another; None for what is no name of one."""
    name = name.rpartition("/")[2].removeprefix("tv_").removeprefix(catalogue.TIMM)
    if name in catalogue.TORCHVISION:
        return catalogue.TORCHVISION[name]
    own = hub_configs.timm_name(name)
    if own is None:
        return None
    from features.networks.adapters import builders

    try:
        return builders.described(own, architecture.classes)
    except FeatureError:
        return None


def applied(
    written: Written, architecture: Architecture, preprocessing: Preprocessing
) -> tuple[Architecture, Preprocessing]:
    """Both with what is written, as far as it goes with them; what pools before the head whatever the body is."""
    body = {name: value for name, value in written.architecture.items() if name != "head_pool"}
    architecture = replace(architecture, head_pool=written.architecture.get("head_pool", architecture.head_pool))
    with suppress(FeatureError):
        architecture = replace(architecture, **body)
    with suppress(FeatureError):
        preprocessing = replace(preprocessing, **written.pixels)
    return architecture, preprocessing
