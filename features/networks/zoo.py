"""Networks with their weights: a name of the catalogue or a file, loaded into canonical form."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from features.errors import FeatureError, WeightsError
from features.networks import card, catalogue, checkpoint, download, filling
from features.networks.canonical import ResidualNetwork
from features.networks.card import ModelSpec
from features.progress import Task, finish

GREY_MEAN, GREY_STD = (0.449,), (0.226,)  # ImageNet's, averaged over its channels


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded network: canonical, frozen, in eval mode; digest is the SHA-256 of its weights' file.

    variant: what was done to it since, in words; '' for the network as it was loaded.
    """

    network: ResidualNetwork
    spec: ModelSpec
    digest: str
    variant: str = ""

    @cached_property
    def key(self) -> str:
        """What its results depend on, as hexadecimal SHA-256: one file can be read as several networks."""
        spec = self.spec
        how = [spec.architecture.settings(), asdict(spec.preprocessing), spec.class_names, self.variant]
        how += [spec.outputs] if spec.multilabel else []
        return hashlib.sha256(json.dumps([self.digest, *how]).encode()).hexdigest()

    def need_classifier(self) -> None:
        """Raise FeatureError for a network that makes features but no logits."""
        if self.network.classifier is None:
            raise FeatureError(
                f"{self.spec.name} has no classifier, only features. "
                "Choose a network with a head for predictions and maps."
            )


def load(name: str | None = None, weights: Path | None = None, classes: Path | None = None) -> Model:
    """Load a network: by name, from a checkpoint file, or from a file whose architecture is given by name.

    name: from the catalogue; None with `weights` reads the architecture from the file, None without is the
        bundled default.
    classes: a text file with one class name a line.
    Raises WeightsError if weights are missing, refused or do not fit.
    """
    if weights is None:
        entry = catalogue.spec(name or catalogue.DEFAULT)
        file = checkpoint.read(entry.file or finish(fetch(entry)))
        network = filling.load(file, checkpoint.check(file, entry.architecture))
    else:
        file = checkpoint.read(weights)
        entry = _spec_of(file, name)
        network = filling.load(file, entry.architecture)
    if classes is not None:
        entry = replace(entry, class_names=read_classes(classes, entry.architecture.classes))
    return Model(network, entry, file.digest)


def fetch(entry: ModelSpec) -> Task[Path]:
    """Fetch the weights of an entry that has none on this machine, from torchvision's address into torch.hub's cache.

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
    if not card.names_fit(len(names), n_classes):
        raise WeightsError(f"{path} names {len(names)} classes, but the network has {n_classes}. One name a line.")
    return names


def _spec_of(file: checkpoint.Checkpoint, name: str | None) -> ModelSpec:
    """What a user's checkpoint is: its own metadata first, then the named entry, then its tensors."""
    if card.is_described(file.metadata):
        return _self_described(file, name)
    entry = _inferred(file) if name is None else _named(file, name)
    channels = entry.architecture.in_channels
    if channels not in (1, 3):
        raise WeightsError(
            f"{file.path.name} wants images of {channels} channels. Only RGB (3) and grey (1) can be shown to it."
        )
    preprocessing = entry.preprocessing
    if preprocessing.channels != channels:
        preprocessing = replace(preprocessing, mean=GREY_MEAN, std=GREY_STD)
    same_as = "" if name in (None, *catalogue.TORCHVISION) else f" of {name}"
    return ModelSpec(
        file.path.stem,
        entry.family,
        entry.architecture,
        preprocessing,
        entry.class_names,
        file.metadata.get("source", f"file {file.path.name}"),
        "the file's own",
        file.path,
        assumed=(f"the input{same_as}, {preprocessing.describe()}", *entry.assumed),
    )


def _inferred(file: checkpoint.Checkpoint) -> ModelSpec:
    """What its tensors say that a checkpoint is, and what they do not say."""
    architecture = file.inferred.architecture
    large = architecture.stem == "imagenet"
    preprocessing = catalogue.IMAGENET_PREPROCESSING if large else catalogue.CIFAR_PREPROCESSING
    guess = "shortcuts that pad with zeros (a plain network without shortcuts has the same tensors)"
    assumed = (guess,) if architecture.shortcut == "padding" else ()
    family = catalogue.family_of(architecture) or "ResNet (read from the file)"
    return ModelSpec("", family, architecture, preprocessing, (), "", "", assumed=assumed)


def _named(file: checkpoint.Checkpoint, name: str) -> ModelSpec:
    """The entry that a checkpoint is said to be, with its own number of classes.

    'resnet50' names an architecture, of which torchvision has two sets of weights with two preprocessings. It does not
    say for which of them other weights were made, so they get the usual one, 256 and 224 px, unless one of
    torchvision's sets is named, as 'resnet50-v2'.
    """
    entry = catalogue.spec(name)
    architecture = checkpoint.check(file, entry.architecture)
    if architecture.classes != entry.architecture.classes:
        entry = replace(entry, class_names=())
    if name in catalogue.TORCHVISION:
        entry = replace(entry, preprocessing=catalogue.IMAGENET_PREPROCESSING)
    return replace(entry, architecture=architecture)


def _self_described(file: checkpoint.Checkpoint, name: str | None) -> ModelSpec:
    """What a file says that it is, once its tensors and the name that the user gave it (if any) agree."""
    try:
        entry = card.described(file.metadata)
    except FeatureError as error:
        reason = str(error).rstrip(".")
        raise checkpoint.refusal(
            file.path, f"what it says of itself cannot be understood: {reason}. Copy it again, or save it anew"
        ) from error
    checkpoint.check(file, entry.architecture)
    if name is not None:
        checkpoint.need_same(file, entry.architecture, catalogue.spec(name).architecture)
    return replace(entry, file=file.path)
