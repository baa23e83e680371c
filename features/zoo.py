"""The catalogue: every network that can be named or read from a file, loaded into canonical form."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from features import checkpoint, download
from features.architecture import Architecture, cifar, imagenet
from features.errors import FeatureError, WeightsError
from features.images import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from features.network import ResidualNetwork
from features.progress import Task, finish

BUNDLED = Path(__file__).parent / "bundled"
DEFAULT = "resnet20-fashion"
GREY_MEAN, GREY_STD = (0.449,), (0.226,)  # ImageNet's, averaged over its channels
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
METADATA = {"name", "family", "architecture", "preprocessing", "classes", "source", "licence"}
CIFAR_DEPTHS = (20, 32, 44, 56, 110)
CIFAR_NAME = re.compile(r"(resnet|plain)(\d+)-cifar(-b)?")
CIFAR_SHORTCUTS = {("resnet", None): "padding", ("resnet", "-b"): "projection", ("plain", None): "none"}


@dataclass(frozen=True)
class ModelSpec:
    """What a network is called, is, sees and says.

    class_names: one per logit, or () when unknown. source: whose weights, in words. licence: theirs.
    file: the weights on this machine, or None. url: where torchvision would fetch them, or None; megabytes: how
    large they are there, in MiB. assumed: what the weights' file does not tell and was taken for granted, in words.
    """

    name: str
    family: str
    architecture: Architecture
    preprocessing: Preprocessing
    class_names: tuple[str, ...]
    source: str
    licence: str
    file: Path | None = None
    url: str | None = None
    megabytes: float = 0.0
    assumed: tuple[str, ...] = ()

    def class_name(self, index: int) -> str:
        """The name of class `index`, or its number."""
        return self.class_names[index] if self.class_names else str(index)


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded network: canonical, frozen, in eval mode; digest is the SHA-256 of its weights' file."""

    network: ResidualNetwork
    spec: ModelSpec
    digest: str

    @property
    def key(self) -> str:
        """What its results depend on, as hexadecimal SHA-256: one file can be read as several networks."""
        reading = json.dumps([self.digest, asdict(self.spec.architecture), asdict(self.spec.preprocessing)])
        return hashlib.sha256(reading.encode()).hexdigest()

    def provenance(self) -> dict[str, Any]:
        """What a result must say of the network that made it."""
        return {
            "model": self.spec.name,
            "weights_sha256": self.digest,
            "weights": self.spec.source,
            "preprocessing": asdict(self.spec.preprocessing),
            "torch": torch.__version__,
        }

    def need_classifier(self) -> None:
        """Raise FeatureError for a network that makes features but no logits."""
        if self.network.classifier is None:
            raise FeatureError(
                f"{self.spec.name} has no classifier, only features. "
                "Choose a network with a head for predictions and maps."
            )


def catalogue() -> tuple[ModelSpec, ...]:
    """Every network that can be named, bundled ones first."""
    return (*_bundled(), *_torchvision(), *_cifar())


def names() -> tuple[str, ...]:
    """The names of those that have weights, here or at torchvision; torchvision itself is not imported for them."""
    return (
        *(entry.name for entry in _bundled()),
        *(f"{name}-v{version}" for name in TORCHVISION for version in _versions(name)),
    )


def architectures() -> tuple[str, ...]:
    """The names of the architectures that a checkpoint can be read as."""
    return (*TORCHVISION, *(entry.name for entry in _cifar()))


def _versions(name: str) -> tuple[int, ...]:
    return (1,) if name in V1_ONLY else (1, 2)


def spec(name: str) -> ModelSpec:
    """The catalogue's entry for a name.

    'resnet50' stands for torchvision's best weights of it; 'resnet50-v1' and '-v2' for one set. Any depth 6n+2
    is known: 'resnet20-cifar' (option A shortcuts), 'resnet20-cifar-b' (option B), 'plain20-cifar' (none).
    Raises FeatureError for unknown names.
    """
    if CIFAR_NAME.fullmatch(name):
        return _cifar_spec(name)
    if name in TORCHVISION:
        name = f"{name}-v{_versions(name)[-1]}"
    for entry in chain(_bundled(), _torchvision()):  # torchvision's are made, slowly, only if it comes to them
        if entry.name == name:
            return entry
    raise FeatureError(
        f"There is no network called {name!r}. `python -m features models` lists them: "
        f"{', '.join(entry.name for entry in catalogue())}."
    )


def load(name: str | None = None, weights: Path | None = None, classes: Path | None = None) -> Model:
    """Load a network: by name, from a checkpoint file, or from a file whose architecture is given by name.

    name: from the catalogue; None with `weights` reads the architecture from the file, None without is the
        bundled default.
    classes: a text file with one class name a line.
    Raises WeightsError if weights are missing, refused or do not fit.
    """
    if weights is None:
        entry = spec(name or DEFAULT)
        file = checkpoint.read(entry.file or finish(fetch(entry)))
        network = checkpoint.load(file, checkpoint.check(file, entry.architecture))
    else:
        file = checkpoint.read(weights)
        entry = _spec_of(file, name)
        network = checkpoint.load(file, entry.architecture)
    if classes is not None:
        entry = replace(entry, class_names=read_classes(classes, entry.architecture.classes))
    return Model(network, entry, file.digest)


def fetch(entry: ModelSpec) -> Task[Path]:
    """Fetch the weights of an entry that has none on this machine, with torchvision's own downloader and cache.

    Raises WeightsError if there is nowhere to fetch them from, or if they cannot be fetched.
    """
    if entry.url is None:
        raise WeightsError(
            f"{entry.name} has no weights of its own. "
            "Give a file with --weights FILE, or train it: python -m features train."
        )
    return (yield from download.fetch(entry.url, entry.megabytes))


def read_classes(path: Path, n_classes: int | None) -> tuple[str, ...]:
    """Class names from a text file, one a line. Raises WeightsError if their number is not the network's."""
    try:
        lines = Path(path).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(f"The class names in {path} cannot be read: {error}. Give a text file.") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if len(names) != n_classes:
        raise WeightsError(f"{path} names {len(names)} classes, but the network has {n_classes}. One name a line.")
    return names


def card(entry: ModelSpec) -> dict[str, Any] | None:
    """How a network was trained and tested, from the JSON beside its weights.

    None where there is no such file, or where it speaks of other weights than these.
    """
    if entry.file is None or not entry.file.with_suffix(".json").is_file():
        return None
    try:
        content = json.loads(entry.file.with_suffix(".json").read_text(encoding="utf-8"))
    except ValueError:  # another program's file
        return None
    same = isinstance(content, dict) and content.get("weights_sha256") == checkpoint.digest_of(entry.file)
    return content if same else None


def describe(entry: ModelSpec) -> dict[str, str]:
    """A spec as strings, to be written into a weights file; `_spec_of` reads it back."""
    return {
        "format": "pt",
        "name": entry.name,
        "family": entry.family,
        "architecture": json.dumps(asdict(entry.architecture)),
        "preprocessing": json.dumps(asdict(entry.preprocessing)),
        "classes": json.dumps(entry.class_names),
        "source": entry.source,
        "licence": entry.licence,
    }


def _spec_of(file: checkpoint.Checkpoint, name: str | None) -> ModelSpec:
    """What a user's checkpoint is: its own metadata first, then the named entry, then its tensors."""
    if file.metadata.keys() >= METADATA:
        return _self_described(file, name)
    if name is None:
        architecture = checkpoint.infer(file)
        known = next((entry for entry in _torchvision() if _same_trunk(entry.architecture, architecture)), None)
        family = known.family if known else "ResNet (read from the file)"
        preprocessing = IMAGENET_PREPROCESSING if architecture.stem == "imagenet" else CIFAR_PREPROCESSING
        class_names: tuple[str, ...] = ()
        assumed = [f"the input, {preprocessing.describe()}"]
        if architecture.shortcut == "padding":
            assumed.append("shortcuts that pad with zeros (a plain network without shortcuts has the same tensors)")
    else:
        entry = spec(name)
        assumed = []
        architecture = checkpoint.check(file, entry.architecture)
        family, preprocessing = entry.family, entry.preprocessing
        same = architecture.classes == entry.architecture.classes
        class_names = entry.class_names if same else ()
    if architecture.in_channels not in (1, 3):
        raise WeightsError(
            f"{file.path.name} wants images of {architecture.in_channels} channels. "
            "Only RGB (3) and grey (1) can be shown to it."
        )
    if preprocessing.channels != architecture.in_channels:
        preprocessing = replace(preprocessing, mean=GREY_MEAN, std=GREY_STD)
        assumed = [f"the input, {preprocessing.describe()}", *assumed[1:]]
    source = file.metadata.get("source", f"file {file.path.name}")
    return ModelSpec(
        file.path.stem,
        family,
        architecture,
        preprocessing,
        class_names,
        source,
        "the file's own",
        file.path,
        assumed=tuple(assumed),
    )


def _same_trunk(one: Architecture, other: Architecture) -> bool:
    return replace(one, classes=None) == replace(other, classes=None)


def _self_described(file: checkpoint.Checkpoint, name: str | None) -> ModelSpec:
    """What a file says that it is, once its tensors and the name that the user gave it (if any) agree."""
    try:
        entry = _described(file.metadata)
    except (KeyError, TypeError, ValueError, AttributeError, FeatureError) as error:
        raise WeightsError(
            f"What {file.path.name} says of itself cannot be understood: {error}. Copy it again, or save it anew."
        ) from error
    checkpoint.check(file, entry.architecture)
    if name is not None:
        checkpoint.need_same(file, entry.architecture, spec(name).architecture)
    return replace(entry, file=file.path)


def _described(metadata: Mapping[str, str]) -> ModelSpec:
    entry = ModelSpec(
        metadata["name"],
        metadata["family"],
        Architecture(**_settings(metadata["architecture"])),
        Preprocessing(**_settings(metadata["preprocessing"])),
        tuple(json.loads(metadata["classes"])),
        metadata["source"],
        metadata["licence"],
    )
    if entry.class_names and len(entry.class_names) != entry.architecture.classes:
        raise WeightsError(f"{len(entry.class_names)} class names for {entry.architecture.classes} classes")
    if entry.preprocessing.channels != entry.architecture.in_channels:
        raise WeightsError(f"{entry.preprocessing.channels} means for {entry.architecture.in_channels} channels")
    return entry


def _settings(text: str) -> dict[str, Any]:
    """The keyword arguments that `describe` wrote as JSON, which has no tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in json.loads(text).items()}


@cache
def _bundled() -> tuple[ModelSpec, ...]:
    from safetensors import safe_open

    entries = []
    for path in sorted(BUNDLED.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            entries.append(replace(_described(file.metadata()), file=path))
    # The default first, then the deeper one, then the plain twin.
    return tuple(sorted(entries, key=lambda entry: (entry.architecture.shortcut == "none", entry.architecture.depth)))


def _torchvision() -> Iterator[ModelSpec]:
    from torchvision.models import get_model_weights

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
