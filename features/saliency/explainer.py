"""Class activation maps of every stage, from one forward and one backward pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from features.errors import FeatureError
from features.extract import finite, softmax
from features.network import device_of
from features.zoo import Model


@dataclass(frozen=True, eq=False)
class SaliencyMaps:
    """Grad-CAM of N images at every stage (Selvaraju et al. 2017, arXiv:1610.02391).

    maps: stage -> (N, H, W) float32 at the stage's own resolution, signed: the gradient-weighted sum over
        channels, before the final ReLU of the paper.
    class_ids: (N,) int64, the explained classes. logits: (N, K) float32.
    """

    maps: dict[str, np.ndarray]
    class_ids: np.ndarray
    logits: np.ndarray
    method: str
    provenance: dict[str, Any]

    @property
    def probabilities(self) -> np.ndarray:
        """(N, K) softmax of the logits."""
        return softmax(self.logits)


def maps(model: Model, pixels: Tensor, class_ids: Sequence[int] | None = None) -> SaliencyMaps:
    """Grad-CAM of every stage for a batch of network inputs.

    pixels: (N, C, S, S) as `model.spec.preprocessing` makes them. class_ids: one class per image, or None to
    explain each image's predicted class.
    The stem and first stage run without a graph, the rest keeps one; the network itself is not touched,
    whatever gradient mode the caller is in. Raises FeatureError if the network has no classifier or puts out
    NaN, or if classes and images differ in number or range.
    """
    model.need_classifier()
    network = model.network
    # inference mode would make tensors that cannot enter a graph later, even inside enable_grad.
    with torch.inference_mode(False):
        pixels = pixels.clone() if pixels.is_inference() else pixels
        activations, logits = _forward(model, pixels.to(device_of(network)))
        chosen = _choose(finite(logits, model), class_ids)  # (N,)
        score = logits.gather(1, chosen[:, None]).sum()  # images do not interact, so one sum serves all
        gradients = torch.autograd.grad(score, list(activations.values()))
    found = {}
    for (name, activation), gradient in zip(activations.items(), gradients, strict=True):
        weights = gradient.mean((2, 3), keepdim=True)  # (N, C, 1, 1)
        found[name] = (weights * activation).sum(1).detach().float().cpu().numpy()  # (N, H, W)
    return SaliencyMaps(
        found,
        chosen.cpu().numpy(),
        logits.detach().float().cpu().numpy(),
        "Grad-CAM",
        model.provenance(),
    )


def _forward(model: Model, pixels: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Every stage's output, all in one graph that begins at the first stage's output, and the logits."""
    network = model.network
    activations: dict[str, Tensor] = {}
    with torch.no_grad():
        x = network.stem(pixels)
        first, *rest = network.stages.items()
        x = first[1](x)
    with torch.enable_grad():
        x = activations[first[0]] = x.detach().requires_grad_()
        for name, stage in rest:
            x = activations[name] = stage(x)
        return activations, network.head(x)


def _choose(logits: Tensor, class_ids: Sequence[int] | None) -> Tensor:
    n_images, n_classes = logits.shape
    if class_ids is None:
        return logits.argmax(1)
    if len(class_ids) != n_images:
        raise FeatureError(f"Got {len(class_ids)} classes for {n_images} images. Give one class per image.")
    if any(not 0 <= index < n_classes for index in class_ids):
        raise FeatureError(f"Classes run from 0 to {n_classes - 1}, but got {list(class_ids)}.")
    return torch.as_tensor(list(class_ids), dtype=torch.int64, device=logits.device)
