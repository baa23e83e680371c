"""Class activation maps as formulas: what each channel is worth at each place, from activations and gradients."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from features.errors import FeatureError

Weights = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Method:
    """A way to weigh the channels of an activation A (N, C, H, W), given its gradient G of the same shape.

    A map is the sum over channels of weights times A: (N, H, W), signed. It is linear in A once the weights are there,
    so that the maps of a shortcut and of a branch sum to the map of their sum.
    name: on the command line; title: for people; reading: one sentence on what it shows; source: the paper.
    weights: (A, G) -> (N, C, 1, 1) or (N, C, H, W), None where more than A and G is needed.
    """

    name: str
    title: str
    reading: str
    source: str
    weights: Weights | None = None


def combined(weights: Tensor, values: Tensor) -> Tensor:
    """The sum over channels of weights (N, C, 1, 1) or (N, C, H, W) times values (N, C, H, W): (N, H, W)."""
    if weights.shape[2:] == (1, 1):
        return torch.einsum("nc,nchw->nhw", weights[:, :, 0, 0], values)
    return (weights * values).sum(1)


def gradcam(a: Tensor, g: Tensor) -> Tensor:
    """The mean of the gradient over space."""
    return g.mean((2, 3), keepdim=True)  # (N, C, 1, 1)


def hirescam(a: Tensor, g: Tensor) -> Tensor:
    """The gradient itself."""
    return g


def gradcam_plus_plus(a: Tensor, g: Tensor) -> Tensor:
    """Equation 19 of Chattopadhay et al. 2018 for the logit's exponential, with its common factors cancelled.

    alpha = g^2 / (2 g^2 + g^3 sum(A)) = 1 / (2 + g sum(A)), and 0 where g or the denominator is 0, as in the paper;
    weights = sum over space of alpha relu(g). Cancelled, nothing is squared that could underflow, and no epsilon is
    needed that would swamp small gradients. Being of exp(logit), the formula is not homogeneous in g: logits times a
    constant give another map, as exact as the first (tested from 1e-4 to 1e4).
    """
    denominator = 2 + g * a.sum((2, 3), keepdim=True)  # (N, C, H, W)
    alpha = torch.where((g != 0) & (denominator != 0), 1 / denominator, torch.zeros_like(g))
    return (alpha * g.relu()).sum((2, 3), keepdim=True)  # (N, C, 1, 1)


def xgradcam(a: Tensor, g: Tensor) -> Tensor:
    """The gradient averaged over space with the activation as weights; 0 where a channel sums to 0.

    Ill-conditioned where that sum is nearly 0, as it may be before a ReLU: in float32 such maps are good to 1 %.
    """
    total = a.sum((2, 3), keepdim=True)  # (N, C, 1, 1)
    return torch.where(total != 0, (g * a).sum((2, 3), keepdim=True) / total, torch.zeros_like(total))


def layercam(a: Tensor, g: Tensor) -> Tensor:
    """The positive part of the gradient, place by place."""
    return g.relu()


def eigencam(a: Tensor, g: Tensor) -> Tensor:
    """The first right singular vector of A as a matrix of places times channels; the gradient is not used.

    Not centred, as in the paper. A singular vector has no sign of its own: here its map sums to a positive number.
    """
    places = a.flatten(2).transpose(1, 2)  # (N, H W, C)
    vector = torch.linalg.svd(places, full_matrices=False).Vh[:, 0]  # (N, C)
    total = torch.einsum("nc,npc->n", vector, places)
    return torch.where(total < 0, -1.0, 1.0)[:, None, None, None] * vector[:, :, None, None]  # (N, C, 1, 1)


CAM, SCORECAM = "cam", "scorecam"
METHODS = {
    method.name: method
    for method in (
        Method(
            "gradcam",
            "Grad-CAM",
            "Channels weighted by the mean of their gradient.",
            "Selvaraju et al. 2017, arXiv:1610.02391",
            gradcam,
        ),
        Method(
            "hirescam",
            "HiResCAM",
            "Every place weighted by its own gradient: to first order the map sums to what the score owes to it.",
            "Draelos and Carin 2020, arXiv:2011.08891",
            hirescam,
        ),
        Method(
            "gradcam++",
            "Grad-CAM++",
            "Positive gradients only, weighted so that a small object counts as much as a large one.",
            "Chattopadhay et al. 2018, arXiv:1710.11063",
            gradcam_plus_plus,
        ),
        Method(
            "xgradcam",
            "XGrad-CAM",
            "Channels weighted by their gradient where they are active.",
            "Fu et al. 2020, arXiv:2008.02312",
            xgradcam,
        ),
        Method(
            "layercam",
            "LayerCAM",
            "Every place weighted by its own positive gradient, which keeps early layers sharp.",
            "Jiang et al. 2021, doi:10.1109/TIP.2021.3089943",
            layercam,
        ),
        Method(
            CAM,
            "CAM",
            "The classifier's weights at every place of the last stage, without a gradient.",
            "Zhou et al. 2016, arXiv:1512.04150",
            hirescam,
        ),
        Method(
            "eigencam",
            "Eigen-CAM",
            "The strongest pattern of the layer, whatever the class.",
            "Muhammad and Yeasin 2020, arXiv:2008.00299",
            eigencam,
        ),
        Method(
            SCORECAM,
            "Score-CAM",
            "Channels weighted by what the network says when it sees only what lies under them.",
            "Wang et al. 2020, arXiv:1910.01279",
        ),
    )
}


def need_weights(method: str) -> Weights:
    """The formula of a method. Raises FeatureError if it is not known, or is more than a formula."""
    if method not in METHODS:
        raise FeatureError(f"There is no method {method!r}. Choose one of {', '.join(METHODS)}.")
    weights = METHODS[method].weights
    if weights is None:
        raise FeatureError(f"{METHODS[method].title} takes long: run it as a task, saliency.explain.")
    return weights
