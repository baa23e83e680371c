"""Where a training begins: weights drawn anew, or those of a network that exists."""

from dataclasses import dataclass, replace

import torch

from features.datasets import ImageSet
from features.errors import FeatureError
from features.networks.architecture import Architecture
from features.networks.canonical import ResidualNetwork, build
from features.networks.card import ModelSpec
from features.networks.preprocessing import Preprocessing
from features.networks.zoo import Model
from features.train import augment
from features.train.heads import Head
from features.train.transfer import transfer


@dataclass(frozen=True, eq=False)
class Begun:
    """A network before its first step. told: what became of the head of the one whose weights it has, or ''."""

    network: ResidualNetwork
    told: str = ""


@dataclass(frozen=True, eq=False)
class Start:
    """architecture: of which classes and, without a source, input channels follow from the images. family: of the
    catalogue's entry. source: the network whose weights, preprocessing and head it begins with; None for drawn weights.
    """

    architecture: Architecture
    family: str = ""
    source: Model | None = None

    @staticmethod
    def anew(entry: ModelSpec) -> "Start":
        """Drawn weights of a network of the catalogue."""
        return Start(entry.architecture, entry.family)

    @staticmethod
    def of(model: Model) -> "Start":
        """The weights of a network. Raises FeatureError for one with a lesion, or of other planes than pictures'."""
        if model.variant:
            raise FeatureError(
                f"{model.spec.name} is {model.variant}, and training starts from weights as they are. Leave the lesion "
                "away."
            )
        if model.spec.preprocessing.channels not in (1, 3):
            raise FeatureError(
                f"{model.spec.name} takes images of {model.spec.preprocessing.channels} channels, and training learns "
                "from pictures of 1 or 3. Start from another network."
            )
        return Start(model.spec.architecture, model.spec.family, model)

    @property
    def key(self) -> str | None:
        """What a run depends on beside its architecture: the source's key; None for drawn weights."""
        return None if self.source is None else self.source.key

    def preprocessing(self, images: ImageSet) -> Preprocessing:
        """The source's, or what fits the images. Raises ImageError if one of them cannot be read."""
        return augment.measure(images) if self.source is None else self.source.spec.preprocessing

    def shape(self, preprocessing: Preprocessing, head: Head | None, class_names: tuple[str, ...]) -> Architecture:
        """The architecture with the classes of the images. head: None for a network without one."""
        classes = None if head is None else head.logits(class_names)
        return replace(self.architecture, classes=classes, in_channels=preprocessing.channels)

    def network(self, shape: Architecture, head: Head | None, class_names: tuple[str, ...], seed: int) -> Begun:
        """The network before its first step: drawn with a seed, and filled with the source's weights if there is one.

        shape: as of `shape`. Raises FeatureError if the source's tensors do not fit.
        """
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed GPUs as well
            network = build(shape)
        if self.source is None:
            return Begun(network)
        return Begun(network, transfer(self.source, network, head, class_names))
