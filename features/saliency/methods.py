"""The one list of saliency methods: what each is called, shows, needs and takes, and the function that makes its maps.

The command line, the pages, the README, the faithfulness checks and the tests read it; a new method is one entry.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from features.errors import FeatureError
from features.progress import Task
from features.registry import Registry
from features.saliency import attributions
from features.saliency.formulas import (
    Weights,
    eigencam,
    gradcam,
    gradcam_plus_plus,
    hirescam,
    layercam,
    xgradcam,
)
from features.saliency.maps import Options, SaliencyMaps, Tap
from features.saliency.targets import ClassTarget, Target

if TYPE_CHECKING:
    from features.saliency.explainer import Explainer  # which looks its formulas up here

Run = Callable[["Explainer", Tensor, Sequence[Target], Sequence[Tap] | None, Options], Task[SaliencyMaps]]


class Need(StrEnum):
    """What a method makes its maps of."""

    ACTIVATION = "activation"
    GRADIENT = "gradient"
    PIXELS = "pixels"
    PASSES = "many forward passes"
    CLASS = "a class"
    LINEAR_HEAD = "a linear head"


class Taps(StrEnum):
    """What a method makes maps of."""

    ANY = "stages, blocks, branches"
    OUTPUTS = "stages, blocks"
    EXPLAINED = "the explained stage"
    TERMS = "the terms of the last stage"  # they sum to the score, so that they do not stand beside other maps
    INPUT = "the input"


class Speed(StrEnum):
    """How long a map takes: of a 224-pixel picture and a ResNet-50 on a CPU."""

    MOMENT = "a moment"  # one pass up, at most one down: a page waits for it
    SECONDS = "seconds"
    MINUTES = "minutes"


@dataclass(frozen=True)
class Method:
    """A way to show what in an image a score owes to what.

    name: on the command line and in files; title: for people; shows: one sentence on what its maps say; note: what
    else to know when reading them, '' for nothing; paper: its source.
    run: (explainer, pixels (N, C, H, W), targets, taps, options) -> a task that returns the maps; taps None are all
    that suit it.
    signed: whether half of what its maps say lies below zero. smooths: whether it can be averaged over noisy copies.
    weights: its formula, (A, G) -> (N, C, 1, 1) or (N, C, H, W); None where it is more than a formula.
    """

    name: str
    title: str
    shows: str
    paper: str
    run: Run
    needs: tuple[Need, ...]
    taps: Taps = Taps.ANY
    speed: Speed = Speed.MOMENT
    signed: bool = False
    smooths: bool = False
    note: str = ""
    weights: Weights | None = None

    @property
    def comparable(self) -> bool:
        """Whether its maps can stand beside another method's: one a tap, rather than the terms of a sum."""
        return self.taps is not Taps.TERMS


def combined(weights: Tensor, values: Tensor) -> Tensor:
    """The sum over channels of weights (N, C, 1, 1) or (N, C, H, W) times values (N, C, H, W): (N, H, W), signed.

    It is linear in the values once the weights are there, so that the maps of a shortcut and of a branch sum to the
    map of their sum.
    """
    if weights.shape[2:] == (1, 1):
        return torch.einsum("nc,nchw->nhw", weights[:, :, 0, 0], values)
    return (weights * values).sum(1)


def by_formula(name: str) -> Run:
    """Runs a method of METHODS that is a formula: one pass up, and down as far as its taps lie."""

    def run(
        explainer: "Explainer",
        pixels: Tensor,
        targets: Sequence[Target],
        taps: Sequence[Tap] | None,
        options: Options,
    ) -> Task[SaliencyMaps]:
        return explainer.maps(pixels, targets, name, taps)
        yield  # a task that is too short to report

    return run


def by_captum(name: str, algorithm: attributions.Algorithm) -> Run:
    """Runs a method of Captum's, pixel by pixel."""

    def run(
        explainer: "Explainer",
        pixels: Tensor,
        targets: Sequence[Target],
        taps: Sequence[Tap] | None,
        options: Options,
    ) -> Task[SaliencyMaps]:
        return attributions.attribute(explainer, pixels, targets, name, algorithm, options)

    return run


def _score_cam(
    explainer: "Explainer", pixels: Tensor, targets: Sequence[Target], taps: Sequence[Tap] | None, options: Options
) -> Task[SaliencyMaps]:
    from features.saliency.scorecam import score_maps  # which stands on this module

    return score_maps(explainer, pixels, targets, taps)


def _ledger(
    explainer: "Explainer", pixels: Tensor, targets: Sequence[Target], taps: Sequence[Tap] | None, options: Options
) -> Task[SaliencyMaps]:
    from features.saliency.ledger import ledger  # which stands on this module

    classes = [target for target in targets if isinstance(target, ClassTarget)]
    if taps is not None or len(classes) < len(targets):
        raise FeatureError("The ledger splits logits over the last stage. Explain classes, and leave the taps away.")
    return ledger(explainer, pixels, classes).as_maps()
    yield  # a task that is too short to report


CAM, SCORECAM, LEDGER = "cam", "scorecam", "ledger"
ALIKE = (
    "At the last stage Grad-CAM, HiResCAM and XGrad-CAM are the same map, where the head pools by "
    "means, which make the gradient equal at every place."
)
METHODS = Registry(
    "method",
    (
        Method(
            name="gradcam",
            title="Grad-CAM",
            shows="Channels weighted by the mean of their gradient.",
            paper="Selvaraju et al. 2017, arXiv:1610.02391",
            run=by_formula("gradcam"),
            needs=(Need.ACTIVATION, Need.GRADIENT),
            note=ALIKE,
            weights=gradcam,
        ),
        Method(
            name="hirescam",
            title="HiResCAM",
            shows="Every place weighted by its own gradient: to first order the map sums to what the score owes to it.",
            paper="Draelos and Carin 2020, arXiv:2011.08891",
            run=by_formula("hirescam"),
            needs=(Need.ACTIVATION, Need.GRADIENT),
            note=ALIKE,
            weights=hirescam,
        ),
        Method(
            name="gradcam++",
            title="Grad-CAM++",
            shows="Positive gradients only, weighted so that a small object counts as much as a large one.",
            paper="Chattopadhay et al. 2018, arXiv:1710.11063",
            run=by_formula("gradcam++"),
            needs=(Need.ACTIVATION, Need.GRADIENT),
            weights=gradcam_plus_plus,
        ),
        Method(
            name="xgradcam",
            title="XGrad-CAM",
            shows="Channels weighted by their gradient where they are active.",
            paper="Fu et al. 2020, arXiv:2008.02312",
            run=by_formula("xgradcam"),
            needs=(Need.ACTIVATION, Need.GRADIENT),
            note=ALIKE,
            weights=xgradcam,
        ),
        Method(
            name="layercam",
            title="LayerCAM",
            shows="Every place weighted by its own positive gradient, which keeps early layers sharp.",
            paper="Jiang et al. 2021, doi:10.1109/TIP.2021.3089943",
            run=by_formula("layercam"),
            needs=(Need.ACTIVATION, Need.GRADIENT),
            weights=layercam,
        ),
        Method(
            name=CAM,
            title="CAM",
            shows="The classifier's weights at every place of the last stage, without a gradient; of maxima, where "
            "they lie.",
            paper="Zhou et al. 2016, arXiv:1512.04150",
            run=by_formula(CAM),
            needs=(Need.ACTIVATION, Need.LINEAR_HEAD),
            taps=Taps.EXPLAINED,
            note=ALIKE,
            weights=hirescam,
        ),
        Method(
            name="eigencam",
            title="Eigen-CAM",
            shows="The strongest pattern of the layer, whatever the class.",
            paper="Muhammad and Yeasin 2020, arXiv:2008.00299",
            run=by_formula("eigencam"),
            needs=(Need.ACTIVATION,),
            weights=eigencam,
        ),
        Method(
            name=SCORECAM,
            title="Score-CAM",
            shows="Channels weighted by what the network says when it sees only what lies under them.",
            paper="Wang et al. 2020, arXiv:1910.01279",
            run=_score_cam,
            needs=(Need.ACTIVATION, Need.PIXELS, Need.PASSES),
            taps=Taps.OUTPUTS,
            speed=Speed.MINUTES,
        ),
        Method(
            name=LEDGER,
            title="Logit ledger",
            shows="The exact split of a logit over the last stage's shortcut and branches.",
            paper="exact arithmetic",
            run=_ledger,
            needs=(Need.ACTIVATION, Need.CLASS, Need.LINEAR_HEAD),
            taps=Taps.TERMS,
            signed=True,
        ),
        Method(
            name="integrated-gradients",
            title="Integrated Gradients",
            shows="What every pixel adds on the straight way from the mean colour to the image; the map sums to the "
            "difference between the two scores.",
            paper="Sundararajan et al. 2017, arXiv:1703.01365",
            run=by_captum("integrated-gradients", attributions.integrated_gradients),
            needs=(Need.PIXELS, Need.GRADIENT, Need.PASSES),
            taps=Taps.INPUT,
            speed=Speed.SECONDS,
            signed=True,
            smooths=True,
        ),
        Method(
            name="guided-gradcam",
            title="Guided Grad-CAM",
            shows="Pixels that excite the network, where Grad-CAM of the explained stage is positive. It changes "
            "little when weights are drawn anew (Adebayo et al. 2018): do not read it as a proof.",
            paper="Selvaraju et al. 2017, arXiv:1610.02391",
            run=by_captum("guided-gradcam", attributions.guided_gradcam),
            needs=(Need.PIXELS, Need.ACTIVATION, Need.GRADIENT),
            taps=Taps.INPUT,
            speed=Speed.SECONDS,
            signed=True,
            smooths=True,
        ),
        Method(
            name="occlusion",
            title="Occlusion",
            shows="How far the score falls when a square is covered with the mean colour.",
            paper="Zeiler and Fergus 2014, arXiv:1311.2901",
            run=by_captum("occlusion", attributions.occlusion),
            needs=(Need.PIXELS, Need.PASSES),
            taps=Taps.INPUT,
            speed=Speed.SECONDS,
            smooths=True,
        ),
    ),
)


def need_weights(method: str) -> Weights:
    """The formula of a method. Raises FeatureError if it is not known, or is more than a formula."""
    known = METHODS.need(method)
    if known.weights is None:
        raise FeatureError(
            f"{known.title} is more than a formula of activation and gradient: run it as a task, saliency.explain."
        )
    return known.weights
