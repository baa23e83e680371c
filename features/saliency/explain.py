"""Any method's maps as a task, whether it takes a moment or minutes."""

from collections.abc import Sequence

from torch import Tensor

from features.errors import FeatureError
from features.progress import Task
from features.saliency.attributions import ATTRIBUTIONS, INPUT, attribute
from features.saliency.explainer import Explainer
from features.saliency.ledger import LEDGER, ledger
from features.saliency.maps import SaliencyMaps, Tap
from features.saliency.methods import METHODS, SCORECAM
from features.saliency.scorecam import score_maps
from features.saliency.targets import ClassTarget, Target


def explain(
    explainer: Explainer,
    pixels: Tensor,
    targets: Sequence[Target],
    method: str = "gradcam",
    taps: Sequence[Tap] | None = None,
    smooth: int = 0,
    seed: int = 0,
) -> Task[SaliencyMaps]:
    """Maps by any method of METHODS or ATTRIBUTIONS, or the ledger as maps; reports progress where it takes long.

    taps: as of Explainer.maps; Score-CAM of None is of the explained stage alone; ATTRIBUTIONS are of the input.
    smooth, seed: as of attributions.attribute. Raises FeatureError as Explainer.maps, and for settings that a method
    does not have.
    """
    if method in ATTRIBUTIONS:
        if taps is not None and list(taps) != [INPUT]:
            raise FeatureError(f"{ATTRIBUTIONS[method].title} is of the input. Leave the taps away.")
        return (yield from attribute(explainer, pixels, targets, method, smooth, seed))
    if smooth:
        raise FeatureError(f"Only {', '.join(ATTRIBUTIONS)} can be smoothed. Leave the smoothing away.")
    if method == LEDGER:
        classes = [target for target in targets if isinstance(target, ClassTarget)]
        if taps is not None or len(classes) < len(targets):
            raise FeatureError(
                "The ledger splits logits over the last stage. Explain classes, and leave the taps away."
            )
        return ledger(explainer, pixels, classes).as_maps()
    if method not in METHODS:
        known = (*METHODS, LEDGER, *ATTRIBUTIONS)
        raise FeatureError(f"There is no method {method!r}. Choose one of {', '.join(known)}.")
    if method == SCORECAM:
        return (yield from score_maps(explainer, pixels, targets, taps))
    return explainer.maps(pixels, targets, method, taps)
