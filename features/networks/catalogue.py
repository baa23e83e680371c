"""The catalogue: what every network that can be named is called, is, sees and says, without its weights.

Nothing here imports PyTorch before torchvision's or timm's entries are asked for, so that the first page need not wait
for it.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from features.errors import FeatureError
from features.networks.architecture import Architecture, cifar, imagenet
from features.networks.card import ModelSpec, described
from features.networks.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

BUNDLED = Path(__file__).parents[1] / "bundled"
DEFAULT = "resnet20-fashion"
IMAGENET_PREPROCESSING = Preprocessing(256, 224, IMAGENET_MEAN, IMAGENET_STD)
CIFAR_PREPROCESSING = Preprocessing(32, 32, IMAGENET_MEAN, IMAGENET_STD)

TORCHVISION = {
    "resnet18": imagenet("basic", (2, 2, 2, 2)),
    "resnet34": imagenet("basic", (3, 4, 6, 3)),
    "resnet50": imagenet("bottleneck", (3, 4, 6, 3)),
    "resnet101": imagenet("bottleneck", (3, 4, 23, 3)),
    "resnet152": imagenet("bottleneck", (3, 8, 36, 3)),
    "resnext50_32x4d": imagenet("bottleneck", (3, 4, 6, 3), groups=32, width_per_group=4),
    "resnext101_32x8d": imagenet("bottleneck", (3, 4, 23, 3), groups=32, width_per_group=8),
    "resnext101_64x4d": imagenet("bottleneck", (3, 4, 23, 3), groups=64, width_per_group=4),
    "wide_resnet50_2": imagenet("bottleneck", (3, 4, 6, 3), width_per_group=128),
    "wide_resnet101_2": imagenet("bottleneck", (3, 4, 23, 3), width_per_group=128),
}
V1_ONLY = ("resnet18", "resnet34", "resnext101_64x4d")  # of the others torchvision has two sets of weights
TIMM = "timm:"
CIFAR_DEPTHS = (20, 32, 44, 56, 110)
CIFAR_NAME = re.compile(r"(resnet|plain)(\d+)-cifar(-b)?")
CIFAR_SHORTCUTS = {("resnet", None): "padding", ("resnet", "-b"): "projection", ("plain", None): "none"}


def entries() -> tuple[ModelSpec, ...]:
    """Every network that can be named, bundled ones first."""
    return (*_bundled(), *_torchvision(), *_cifar())


def names() -> tuple[str, ...]:
    """The names of those that have weights, here or at torchvision; torchvision itself is not imported for them."""
    return (
        *(entry.name for entry in _bundled()),
        *(f"{name}-v{version}" for name in TORCHVISION for version in _versions(name)),
    )


def timm_names() -> tuple[str, ...]:
    """The names of timm's ResNet family with weights; timm is imported for them."""
    from features.networks import timm_catalogue

    return timm_catalogue.names()


def here() -> tuple[str, ...]:
    """The names of those whose weights are on this machine."""
    return tuple(name for name in names() if spec(name).file is not None)


def architectures() -> tuple[str, ...]:
    """The names of the architectures that a checkpoint can be read as."""
    return (*TORCHVISION, *(entry.name for entry in _cifar()))


def _versions(name: str) -> tuple[int, ...]:
    return (1,) if name in V1_ONLY else (1, 2)


def is_known(name: str) -> bool:
    """Whether there is a network of a name."""
    try:
        spec(name)
    except FeatureError:
        return False
    return True


def spec(name: str) -> ModelSpec:
    """The catalogue's entry for a name.

    'resnet50' stands for torchvision's best weights of it; 'resnet50-v1' and '-v2' for one set. Any depth 6n+2
    is known: 'resnet20-cifar' (option A shortcuts), 'resnet20-cifar-b' (option B), 'plain20-cifar' (none). 'timm:NAME'
    and 'timm:NAME.TAG' are of timm's ResNet family.
    Raises FeatureError for unknown names.
    """
    if CIFAR_NAME.fullmatch(name):
        return _cifar_spec(name)
    if name.startswith(TIMM):
        from features.networks import timm_catalogue

        return timm_catalogue.spec(name)
    if name in TORCHVISION:
        name = f"{name}-v{_versions(name)[-1]}"
    for entry in chain(_bundled(), _torchvision()):  # torchvision's are made, slowly, only if it comes to them
        if entry.name == name:
            return entry
    raise FeatureError(
        f"There is no network called {name[:80]!r}. `python -m features models` lists them: "
        f"{', '.join(entry.name for entry in entries())}."
    )


@cache
def _bundled() -> tuple[ModelSpec, ...]:
    from safetensors import safe_open

    entries = []
    for path in sorted(BUNDLED.glob("*.safetensors")):
        with safe_open(path, framework="numpy") as file:
            entries.append(replace(described(file.metadata()), file=path))
    # The default first, then the deeper one, then the plain twin.
    return tuple(sorted(entries, key=lambda entry: (entry.architecture.shortcut == "none", entry.architecture.depth)))


def _torchvision() -> Iterator[ModelSpec]:
    from torchvision.models import get_model_weights

    from features.networks import download

    for name, architecture in TORCHVISION.items():
        for version in _versions(name):
            weights = get_model_weights(name)[f"IMAGENET1K_V{version}"]
            path = download.cached(weights.url)
            yield ModelSpec(
                name=f"{name}-v{version}",
                family=_family(name),
                architecture=architecture,
                preprocessing=_preprocessing_of(weights.transforms()),
                class_names=tuple(weights.meta["categories"]),
                source=f"torchvision {type(weights).__name__}.{weights.name}",
                licence="BSD-3-Clause (torchvision); trained on ImageNet, non-commercial research terms",
                file=path if path.is_file() else None,
                url=weights.url,
                megabytes=weights.meta["_file_size"],
            )


def family_of(architecture: Architecture) -> str | None:
    """The family of torchvision's network that has this architecture, whatever its classes; None if none has."""
    same = (name for name, known in TORCHVISION.items() if replace(known, classes=architecture.classes) == architecture)
    return next(map(_family, same), None)


def _family(name: str) -> str:
    return "ResNeXt" if name.startswith("resnext") else "Wide ResNet" if name.startswith("wide") else "ResNet"


def _preprocessing_of(preset: Any) -> Preprocessing:
    return Preprocessing(
        resize=preset.resize_size[0],
        crop=preset.crop_size[0],
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        interpolation=preset.interpolation.value,
    )


def _cifar() -> Iterator[ModelSpec]:
    for kind in ("resnet{}-cifar", "resnet{}-cifar-b", "plain{}-cifar"):
        for depth in CIFAR_DEPTHS:
            yield _cifar_spec(kind.format(depth))


def _cifar_spec(name: str) -> ModelSpec:
    match = CIFAR_NAME.fullmatch(name)
    shortcut = CIFAR_SHORTCUTS.get((match[1], match[3])) if match else None
    if match is None or shortcut is None:
        raise FeatureError(f"{name!r} is not a CIFAR network. Write resnet20-cifar, resnet20-cifar-b or plain20-cifar.")
    family = "plain CIFAR network" if shortcut == "none" else "CIFAR ResNet"
    architecture = cifar(int(match[2]), shortcut)
    return ModelSpec(name, family, architecture, CIFAR_PREPROCESSING, (), "none: give --weights or train it", "")
