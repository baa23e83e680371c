"""Score-CAM: channels weighted by what the network says when it sees only what lies under them."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from features.errors import FeatureError
from features.progress import Progress, Task
from features.saliency.explainer import Explainer
from features.saliency.maps import OUTPUT, SaliencyMaps, Tap
from features.saliency.methods import SCORECAM, combined
from features.saliency.targets import Score, Target

AT_ONCE = 16


def score_maps(
    explainer: Explainer, pixels: Tensor, targets: Sequence[Target], taps: Sequence[Tap] | None = None
) -> Task[SaliencyMaps]:
    """Algorithm 1 of Wang et al. 2020 (arXiv:1910.01279), without its last ReLU, which changes nothing after one.

    Each channel, enlarged bilinearly to the image and scaled to [0, 1] (0 if it is constant), covers the image with the
    mean colour; its weight is the softmax over channels of how far the score then lies above the mean colour's own.
    One forward pass a channel: thousands for a late stage. taps: outputs; None is the explained stage alone.
    Raises FeatureError as Explainer.maps, and for parts of blocks.
    """
    chosen = explainer.choose(taps if taps is not None else explainer.taps_of(targets)[-1:], targets)
    if any(tap.part != OUTPUT for tap in chosen):
        raise FeatureError("Score-CAM is of outputs, through which it shows the image. Take the taps stages or blocks.")
    with torch.inference_mode():
        walk = explainer.walk(pixels, targets, {explainer.block_index(tap): False for tap in chosen}, down=False)
        outputs = {step.name: step.output for step in walk.steps}
        activations = {tap: outputs[explainer.blocks[explainer.block_index(tap)][0]] for tap in chosen}
    total = sum(len(pixels) * values.shape[1] for values in activations.values())
    done = 0
    maps: dict[Tap, Tensor] = {}
    for tap, values in activations.items():
        rows = []
        for row, activation in enumerate(values):  # (C, h, w)
            scores = []
            for channels in activation.split(AT_ONCE):
                scores.append(_covered(explainer, pixels[row], channels, walk.score.take([row])))
                done += len(channels)
                yield Progress(done, total, "channel", tap.name)
            weights = torch.cat(scores).softmax(0)[None, :, None, None]  # (1, C, 1, 1)
            rows.append(combined(weights, activation[None])[0])
        maps[tap] = torch.stack(rows) if rows else values.sum(1)
    return explainer.result(walk, {tap: explainer.to_host(values) for tap, values in maps.items()}, SCORECAM)


def _covered(explainer: Explainer, image: Tensor, channels: Tensor, score: Score) -> Tensor:
    """(B,) how far the score lies above that of the mean colour, for an image (C, H, W) under B channels (B, h, w)."""
    mean = explainer.mean_colour
    masks = functional.interpolate(channels[:, None], image.shape[1:], mode="bilinear", align_corners=False)
    low, high = masks.amin((2, 3), keepdim=True), masks.amax((2, 3), keepdim=True)  # (B, 1, 1, 1)
    masks = torch.where(high > low, (masks - low) / (high - low), torch.zeros_like(masks))
    seen = mean + masks * (image.to(explainer.device).float() - mean)  # (B, C, H, W)
    alone = mean.expand(1, *image.shape).contiguous()
    scores = explainer.scores(torch.cat([seen, alone]), score)
    return scores[:-1] - scores[-1]
