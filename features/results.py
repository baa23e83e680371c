"""What every result must say of its making, and what none may hold."""

from typing import Any

import torch
from torch import Tensor

from features.datasets import ImageSet
from features.devices import device_of
from features.errors import FeatureError
from features.networks.zoo import Model


def provenance(model: Model, images: ImageSet) -> dict[str, Any]:
    """What made a result: the network, its weights and preprocessing, the images, the precision."""
    return {
        **model.provenance(),
        "images": images.name,
        "images_digest": images.digest,
        "precision": "fp32",
        "device": str(device_of(model.network)),
    }


def finite(values: Tensor, model: Model) -> Tensor:
    """The same values. Raises FeatureError if one of them is NaN or infinite, which would pass for an answer."""
    if not torch.isfinite(values).all():
        raise FeatureError(
            f"{model.spec.name} puts out NaN or infinite values, so its weights are broken or fit another "
            "preprocessing. Load the weights again, or choose other ones."
        )
    return values
