"""Networks of other libraries, and of one's own code, as the canonical network."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from torch import nn

from features.errors import FeatureError
from features.networks.adapters.layers import kind
from features.networks.adapters.layouts import forms, hugging_face, in_order, is_torchvision, timm_v2, timm_v2_forms
from features.networks.adapters.reading import Form, Pieces, assembled
from features.networks.adapters.verification import Reader, verified
from features.networks.structure import ResidualNetwork


@dataclass(frozen=True, eq=False)
class Adapter:
    """How networks of one kind are read.

    name, title: of the kind. recognises: whether a network is of it. pieces: where its stem, blocks and head are.
    forms: the ways in which it may run them; is_known: whether there is one, since the classes are a library's own;
    is_verified: whether what it computes is compared even so.
    """

    name: str
    title: str
    recognises: Callable[[nn.Module], bool]
    pieces: Callable[[nn.Module], Pieces]
    forms: Callable[[Pieces], Iterator[Form]] = forms
    is_known: bool = True
    is_verified: bool = True

    def convert(self, source: nn.Module) -> ResidualNetwork:
        """The canonical network. Raises FeatureError, with the reason, if there is none."""
        ways = self.forms(self.pieces(source))
        numberless = any(tensor.is_meta for tensor in source.parameters())
        if not self.is_verified or numberless:
            network = self._read(next(ways), source)
            if not self.is_known:
                raise FeatureError(
                    f"{type(source).__name__} has no weights yet, so that what it computes cannot be compared with its "
                    "canonical form. Give them memory first."
                )
            return network
        return verified(source, self._readers(ways))

    def _readers(self, ways: Iterator[Form]) -> Iterator[Reader]:
        for form in ways:
            yield partial(self._read, form)

    def _read(self, form: Form, source: nn.Module) -> ResidualNetwork:
        return assembled(self.pieces(source), form)


def _usual(_: Pieces) -> Iterator[Form]:
    yield Form()


def _is(*kinds: str) -> Callable[[nn.Module], bool]:
    return lambda source: kind(source) in kinds


ADAPTERS = (
    Adapter(
        "torchvision", "torchvision's networks and their bodies", is_torchvision, in_order, _usual, is_verified=False
    ),
    Adapter(
        "huggingface", "Hugging Face's ResNets",
        _is("transformers.ResNetForImageClassification", "transformers.ResNetModel", "transformers.ResNetBackbone"),
        hugging_face, _usual,
    ),
    Adapter("timm", "timm's ResNet family", _is("timm.ResNet"), in_order, _usual),
    Adapter("timm-v2", "timm's ResNet v2", _is("timm.ResNetV2"), timm_v2, timm_v2_forms),
    Adapter("code", "networks from code", lambda source: True, in_order, is_known=False),
)  # fmt: skip


def convert(source: nn.Module) -> ResidualNetwork:
    """As `canonical.canonical`."""
    adapter = next(adapter for adapter in ADAPTERS if adapter.recognises(source))
    network = adapter.convert(source)
    shared = set(source.modules())
    for module in network.modules():
        if module not in shared:  # train() would also overrule layers that the source keeps in another mode
            module.training = source.training
    return network
