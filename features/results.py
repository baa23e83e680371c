"""What every result must say of its making, and what none may hold."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from features.errors import FeatureError
from features.networks.preprocessing import Preprocessing

if TYPE_CHECKING:  # results are opened and shown without PyTorch, which takes seconds to import
    from torch import Tensor

    from features.datasets import ImageSet
    from features.networks.zoo import Model


@dataclass(frozen=True)
class Provenance:
    """What made a result; None for what does not apply or is not known.

    model: its name. weights_sha256, weights: its weights' file, and whose they are in words. variant: what was done to
    the network since it was loaded. network, assumed: of weights that do not say it themselves, the architecture that
    they were taken for, and what of it and of the pixels nothing tells, in words. preprocessing: of the images.
    torch: version. images, images_digest: the set's name and digest. precision: 'fp32', 'bf16' or 'fp16'. device: as
    PyTorch calls it. engine: what ran the network. versions: of other libraries that the values depend on. settings: of
    the analysis, by name.
    """

    model: str | None = None
    weights_sha256: str | None = None
    weights: str | None = None
    variant: str | None = None
    network: str | None = None
    assumed: tuple[str, ...] | None = None
    preprocessing: Preprocessing | None = None
    torch: str | None = None
    images: str | None = None
    images_digest: str | None = None
    precision: str | None = None
    device: str | None = None
    engine: str | None = None
    versions: Mapping[str, str] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def with_settings(self, **settings: Any) -> "Provenance":
        """The same with more settings of an analysis."""
        return replace(self, settings={**self.settings, **settings})

    def as_dict(self) -> dict[str, Any]:
        """What is known, as it stands in files: the settings beside the rest, as JSON can hold them."""
        known = {name: getattr(self, name) for name in _FACTS}
        if self.preprocessing is not None:
            known["preprocessing"] = self.preprocessing.settings()
        if self.assumed is not None:
            known["assumed"] = list(self.assumed)
        return {name: value for name, value in known.items() if value is not None} | dict(self.settings)

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> "Provenance":
        """What `as_dict` gave, or JSON made of it. Raises FeatureError for a preprocessing that cannot be."""
        facts = {name: content[name] for name in _FACTS if name in content}
        if facts.get("assumed") is not None:
            facts["assumed"] = tuple(facts["assumed"])
        if (numbers := facts.get("preprocessing")) is not None:  # JSON has no tuples
            pairs: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in numbers.items()
            }
            facts["preprocessing"] = Preprocessing(**pairs)
        return Provenance(**facts, settings={name: content[name] for name in content if name not in _FACTS})


_FACTS = tuple(entry.name for entry in fields(Provenance) if entry.name != "settings")


def provenance(
    model: "Model", images: "ImageSet | None" = None, precision: str = "fp32", device: str | None = None
) -> Provenance:
    """What makes a result of a network, and of images where it is of a set. device: None for where the network lies."""
    import torch

    from features.devices import device_of

    return Provenance(
        model=model.spec.name,
        weights_sha256=model.digest,
        weights=model.spec.source,
        variant=model.variant or None,
        network=model.spec.architecture.describe() if model.spec.assumed or model.verdict else None,
        assumed=model.spec.assumed or None,
        preprocessing=model.spec.preprocessing,
        torch=str(torch.__version__),
        images=None if images is None else images.name,
        images_digest=None if images is None else images.digest,
        precision=precision,
        device=device or str(device_of(model.network)),
    )


def finite(values: "Tensor", model: "Model") -> "Tensor":
    """The same values. Raises FeatureError if one of them is NaN or infinite, which would pass for an answer."""
    if not values.isfinite().all():
        raise not_finite(model)
    return values


def not_finite(model: "Model") -> FeatureError:
    """What to raise where a network puts out NaN or infinite values."""
    return FeatureError(
        f"{model.spec.name} puts out NaN or infinite values, so its weights are broken or fit another "
        "preprocessing. Load the weights again, or choose other ones."
    )
