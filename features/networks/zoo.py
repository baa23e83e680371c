"""Networks with their weights: a name of the catalogue or a file, loaded into canonical form."""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from features.errors import FeatureError, WeightsError
from features.networks import card, catalogue, checkpoint, download, filling, naming, specification
from features.networks.canonical import ResidualNetwork
from features.networks.card import ModelSpec
from features.networks.hypotheses import Verdict
from features.networks.naming import NetworkName
from features.networks.settings import applied
from features.networks.specification import Pictures
from features.progress import Task, finish

MAX_NAMES = 16 << 20  # bytes of a file of class names


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded network: canonical, frozen, in eval mode; digest is the SHA-256 of its weights' file.

    variant: what was done to it since, in words; '' for the network as it was loaded. verdict: what its norms'
    statistics said of what its file does not say, None where nothing was tested. name: what loads it again, lesion
    included; None for a network that was made in memory.
    """

    network: ResidualNetwork
    spec: ModelSpec
    digest: str
    variant: str = ""
    verdict: Verdict | None = None
    name: NetworkName | None = None

    @cached_property
    def key(self) -> str:
        """What its results depend on, as hexadecimal SHA-256: one file can be read as several networks."""
        spec = self.spec
        how = [spec.architecture.settings(), spec.preprocessing.settings(), spec.class_names, self.variant]
        how += [spec.outputs] if spec.multilabel else []
        how += [spec.taken] if spec.taken else []
        return hashlib.sha256(json.dumps([self.digest, *how]).encode()).hexdigest()

    def need_classifier(self) -> None:
        """Raise FeatureError for a network that makes features but no logits."""
        if self.network.classifier is None:
            raise FeatureError(
                f"{self.spec.name} has no classifier, only features. "
                "Choose a network with a head for predictions and maps."
            )


def load(
    name: str | NetworkName | None = None,
    weights: Path | None = None,
    classes: Path | None = None,
    pictures: Pictures | None = None,
) -> Model:
    """Load a network: by name, from a checkpoint file, or from a file whose architecture is given by name.

    name: as `naming.parse` reads it; None with `weights` reads the architecture from the file, None without is the
        bundled default.
    classes: a text file with one class name a line.
    pictures: some of the images that it will be shown. What a file does not say is tested on them, if it was not
        tested before; without them it is assumed.
    Raises WeightsError if weights are missing, refused or do not fit, FeatureError for what there is no network of.
    """
    named = named_as(name, weights, classes)
    named.need_file_for_parts()
    verdict = None
    if named.weights is None:
        entry, _ = applied(catalogue.spec(named.name or catalogue.DEFAULT), named.settings)
        file = checkpoint.read(entry.file or finish(fetch(entry)))
        network = filling.load(file, checkpoint.check(file, entry.architecture))
    else:
        file = checkpoint.read(named.weights, named.part, named.head)
        entry, network, verdict = specification.of_file(file, named, pictures)
    if named.classes is not None:
        entry = replace(entry, class_names=read_classes(named.classes, entry.architecture.classes))
    return Model(network, entry, file.digest, verdict=verdict, name=replace(named, lesion=None))


def named_as(name: str | NetworkName | None, weights: Path | None = None, classes: Path | None = None) -> NetworkName:
    """The one name of a network that is given in parts. Raises FeatureError if they contradict each other."""
    named = naming.parse(name) if isinstance(name, str) else name or NetworkName()
    if weights is not None:
        if named.weights is not None:
            raise FeatureError(f"Two files of weights are given, {named.weights} and {weights}. Give one.")
        named = replace(named, weights=Path(weights))
    return replace(named, classes=Path(classes)) if classes is not None else named


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
        path = Path(path).expanduser()
        if path.exists() and (not path.is_file() or path.stat().st_size > MAX_NAMES):
            raise WeightsError(f"{path} holds no class names: it is no file of up to {MAX_NAMES >> 20} MiB of text.")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(f"The class names in {path} cannot be read: {error}. Give a text file.") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if not card.names_fit(len(names), n_classes):
        raise WeightsError(f"{path} names {len(names)} classes, but the network has {n_classes}. One name a line.")
    return names
