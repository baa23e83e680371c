"""Splits a logit exactly into what the last stage's shortcut and each of its branches contribute."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from features.errors import FeatureError
from features.results import Provenance
from features.saliency.explainer import Explainer
from features.saliency.maps import BRANCH, SHORTCUT, SaliencyMaps, Tap
from features.saliency.methods import LEDGER, combined
from features.saliency.targets import ClassTarget


@dataclass(frozen=True, eq=False)
class Ledger:
    """Where the logits of N images come from, in T terms: the shortcut, then every branch above it.

    terms: (T,) 'shortcut', 'layer4.0', 'layer4.1', ... maps: (N, T, H, W) float32, where in the image.
    values: (N, T) float64, each map's sum. biases: (N,) the classifier's. logits: (N,) float32; values.sum(1) + biases
    equals them up to rounding. For a class against another all of these are differences.
    targets, class_ids, against_ids: as in SaliencyMaps.
    """

    terms: tuple[str, ...]
    maps: np.ndarray
    values: np.ndarray
    biases: np.ndarray
    logits: np.ndarray
    targets: tuple[str, ...]
    class_ids: np.ndarray
    against_ids: np.ndarray
    provenance: Provenance

    def as_maps(self) -> SaliencyMaps:
        """The same terms as maps of the lowest block's shortcut and of every block's branch."""
        taps = (Tap(self.terms[1], SHORTCUT), *(Tap(name, BRANCH) for name in self.terms[1:]))
        return SaliencyMaps(
            maps={tap: self.maps[:, index] for index, tap in enumerate(taps)},
            targets=self.targets,
            scores=self.logits,
            class_ids=self.class_ids,
            against_ids=self.against_ids,
            logits=None,
            method=LEDGER,
            provenance=self.provenance,
            biases=self.biases,
        )


def ledger(explainer: Explainer, pixels: Tensor, targets: Sequence[ClassTarget]) -> Ledger:
    """The ledger of the last stage, whose blocks put out gate * (shortcut + branch), gate = 1 where that is above 0.

    A shortcut that is the identity is the output of the block below, so that the last output is a sum over blocks of
    their branches, each times the gates of its own block and of all above it, and of the lowest shortcut times all
    gates. A mean over space and the classifier are linear, and so is a maximum that stays where it is. Gates and
    maxima count as they are for this image; what it would take to change one is another question.
    Raises FeatureError as `Explainer.maps`, and for networks with another activation, or a norm before the pooling.
    """
    rectified = all(isinstance(block.activation, nn.ReLU) for _, block in explainer.blocks)
    if not isinstance(explainer.network.classifier, nn.Linear | None):
        raise FeatureError(
            f"A logit of {explainer.model.spec.name} is no sum over blocks: its head has several layers. Take Grad-CAM "
            "of branches instead."
        )
    if len(explainer.network.neck) or not rectified:
        raise FeatureError(
            f"A logit of {explainer.model.spec.name} is no sum over blocks: their sums are not rectified by ReLUs, or "
            "are normalised before they are pooled. Take Grad-CAM of branches instead."
        )
    last = explainer.network.stage_names[-1]
    indices = [index for index, (name, _) in enumerate(explainer.blocks) if name.startswith(f"{last}.")]
    # Above the last shortcut that is more than the identity, outputs are sums of what the blocks below have put out.
    lowest = max(
        (index for index in indices if explainer.blocks[index][1].shortcut_kind != "identity"), default=indices[0]
    )
    with torch.inference_mode():
        walk = explainer.walk(pixels, targets, dict.fromkeys(range(lowest, indices[-1] + 1), True), down=False)
        weights = walk.gradient  # (N, C, 1, 1), or (N, C, H, W) where maxima are pooled
        gate = torch.ones_like(walk.steps[-1].output, dtype=torch.float32)
        terms, maps = [], []
        for step in reversed(walk.steps):
            assert step.parts is not None  # the walk kept them
            gate = gate * (step.output > 0)  # (N, C, H, W)
            terms.append(step.name)
            maps.append(combined(weights, gate * step.parts.branch))  # (N, H, W)
        terms.append(SHORTCUT)
        first = walk.steps[0].parts
        assert first is not None
        maps.append(combined(weights, gate * first.shortcut))
        scored = explainer.result(walk, {}, LEDGER)
        stacked = np.stack([explainer.to_host(values) for values in reversed(maps)], axis=1)  # (N, T, H, W)
    features = walk.features.new_zeros(walk.features.shape)
    return Ledger(
        terms=tuple(reversed(terms)),
        maps=stacked,
        values=stacked.sum((2, 3), dtype=np.float64),
        biases=walk.score(features).cpu().numpy(),  # what is left of a logit when all features are 0
        logits=scored.scores,
        targets=scored.targets,
        class_ids=scored.class_ids,
        against_ids=scored.against_ids,
        provenance=scored.provenance,
    )
