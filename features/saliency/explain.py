"""Any method's maps as a task, whether it takes a moment or minutes."""

from collections.abc import Sequence

from torch import Tensor

from features.errors import FeatureError
from features.progress import Task
from features.saliency.explainer import Explainer
from features.saliency.maps import INPUT, Options, SaliencyMaps, Tap
from features.saliency.methods import METHODS, Taps
from features.saliency.targets import Target


def explain(
    explainer: Explainer,
    pixels: Tensor,
    targets: Sequence[Target],
    method: str = "gradcam",
    taps: Sequence[Tap] | None = None,
    smooth: int = 0,
    seed: int = 0,
) -> Task[SaliencyMaps]:
    """Maps by any method of METHODS, the ledger as maps too; reports progress where it takes long.

    taps: as of Explainer.maps; None for all that suit the method. smooth, seed: as of Options.
    Raises FeatureError as Explainer.maps, and for settings that a method does not have.
    """
    chosen = METHODS.need(method)
    if smooth and not chosen.smooths:
        able = ", ".join(name for name, other in METHODS.items() if other.smooths)
        raise FeatureError(f"Only {able} can be smoothed. Leave the smoothing away.")
    if chosen.taps is Taps.INPUT and taps is not None and list(taps) != [INPUT]:
        raise FeatureError(f"{chosen.title} is of the input. Leave the taps away.")
    return (yield from chosen.run(explainer, pixels, targets, taps, Options(smooth, seed)))
