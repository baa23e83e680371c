"""What can be seen side by side: stages, methods, classes, networks, the parts of a block, the ledger, all blocks."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import streamlit as st

from features.errors import FeatureError
from features.networks import catalogue
from features.predictions import likeliest
from features.registry import Registry
from features.saliency import (
    BRANCH,
    INPUT,
    METHODS,
    SHORTCUT,
    SUM,
    ClassTarget,
    Method,
    SaliencyMaps,
    Speed,
    Tap,
    Taps,
)
from viz import widgets
from viz.cached.made import drawn
from viz.cached.networks import load_model
from viz.cached.saliency import RANDOMISED, saliency_ledger
from viz.figures import faithfulness as curves
from viz.figures import saliency as figures
from viz.pages.saliency.overlays import Shown, Tile
from viz.picking.target import Explained, logits_of, numbered_classes, of_class

DEPTHS = ("last", "last but one", "last but two")
DEFAULT_METHODS = ("gradcam", "gradcam++", "layercam", "eigencam")
PARTS = (BRANCH, SHORTCUT, SUM)


def _offered() -> tuple[str, ...]:
    """The methods to choose from; the ledger has a view of its own."""
    return tuple(name for name, method in METHODS.items() if method.comparable)


def _title(method: str) -> str:
    return METHODS[method].title


def _choose_method() -> Method:
    name = st.selectbox("Method", _offered(), format_func=_title, key="method", bind="query-params", width=240)
    return METHODS.need(name)


def _stages(explained: Explained) -> Shown:
    method = _choose_method()
    maps = explained.maps(method.name)
    tiles = [Tile(tap.name, values[0], tap) for tap, values in maps.maps.items()]
    early = "Early stages have fine resolution and mix evidence for many classes." if len(tiles) > 1 else ""
    said = (f"{method.title}: {method.shows}", method.note, early, f"Source: {method.paper}.")
    return Shown(tiles, [(explained.model, maps)], " ".join(filter(None, said)), signed=method.signed)


def _methods(explained: Explained) -> Shown:
    left, right = st.columns([2, 1])
    with left:
        chosen = st.multiselect(
            "Methods", _offered(), default=DEFAULT_METHODS, format_func=_title, key="methods", bind="query-params"
        )
    names = explained.stages
    with right:
        stage = st.selectbox("Stage", names, index=len(names) - 1, key="stage", bind="query-params")
    if not chosen:
        raise FeatureError("No method is chosen. Choose at least one.")
    tiles, maps = [], []
    for method in map(METHODS.need, chosen):
        any_tap = method.taps is Taps.ANY and method.speed is Speed.MOMENT
        if not any_tap and method.taps is not Taps.INPUT and stage != names[-1]:
            st.info(f"{method.title} is shown of {names[-1]}.")
        each = explained.maps(method.name, [Tap(stage)] if any_tap else None)
        tap, values = list(each.maps.items())[-1]
        tiles.append(Tile(method.title, values[0], tap, "of the input" if tap == INPUT else f"of {tap.name}"))
        maps.append((explained.model, each))
    return Shown(
        tiles,
        maps,
        "Methods measure different things, so each has its own scale unless you choose one for all. At the last "
        "stage Grad-CAM, HiResCAM, XGrad-CAM and CAM coincide where the head pools by means, which make the gradient "
        "equal at every place.",
    )


def _classes(explained: Explained) -> Shown:
    model, chosen = explained.model, explained.chosen
    numbered = numbered_classes(model)
    names = list(model.network.stage_names)
    left, right = st.columns([2, 1])
    with left:
        picked = st.multiselect(
            "Classes", numbered, default=[numbered[index] for index in likeliest(logits_of(model, chosen)[None], 3)[0]],
            key=f"classes {chosen.digest[:8]} {model.key[:8]}",
        )  # fmt: skip
    with right:
        stage = st.selectbox("Stage", names, index=len(names) - 1, key="stage", bind="query-params")
    if not picked:
        raise FeatureError("No class is chosen. Choose at least one.")
    tap = Tap(stage)
    maps = [of_class(model, chosen, numbered.index(name)).maps("gradcam", [tap]) for name in picked]
    tiles = [Tile(each.targets[0], each.maps[tap][0], tap, f"logit {each.scores[0]:.3g}") for each in maps]
    meaning = f"Grad-CAM of {stage} for each class, on one scale: brighter is more."
    return Shown(tiles, [(model, each) for each in maps], meaning, one_scale=True)


def _networks(explained: Explained) -> Shown:
    here = catalogue.here()
    left, right = st.columns([2, 1])
    with left:
        names = st.multiselect("Networks beside the chosen one", here, default=here[:3], key="networks")
    with right:
        depth = st.selectbox("Stage, from the end", DEPTHS, key="depth")
    from_end = 1 + DEPTHS.index(depth)
    models = [explained.model, *(load_model(name) for name in names if name != explained.model.spec.name)]
    tiles, maps = [], []
    for model in models:
        stages = model.network.stage_names
        tap = Tap(stages[-min(from_end, len(stages))])
        # Classes of different networks need not be the same: each explains what it predicts itself.
        each = of_class(model, explained.chosen).maps("gradcam", [tap])
        note = f"{tap.name} for {each.targets[0]}"
        tiles.append(Tile(model.spec.name, each.maps[tap][0], tap, note, model=model))
        maps.append((model, each))
    return Shown(
        tiles,
        maps,
        "Grad-CAM of each network for the class that it predicts itself, over what that network sees. Logits of "
        "different networks have different sizes, so each map has its own scale unless you choose one for all.",
    )


def _branches(explained: Explained) -> Shown:
    blocks = explained.blocks
    block = st.selectbox("Block", blocks, index=len(blocks) - 1, key="block", bind="query-params", width=240)
    maps = explained.maps("hirescam", [Tap(block, part) for part in (SUM, BRANCH, SHORTCUT)])
    values = {part: maps.maps[Tap(block, part)][0] for part in PARTS}
    size = {part: float(np.abs(values[part]).sum()) for part in (BRANCH, SHORTCUT)}
    share = size[BRANCH] / (size[BRANCH] + size[SHORTCUT]) if any(size.values()) else 0.0
    return Shown(
        [Tile(part, values[part], Tap(block, part), f"sum {values[part].sum():+.3g}") for part in PARTS],
        [(explained.model, maps)],
        f"HiResCAM of what {block} adds (branch), of what it is handed (shortcut) and of both before the ReLU, with "
        f"one gradient and one colour scale: branch + shortcut = sum everywhere. Of all absolute values {share:.0%} "
        "are the branch's. Shares of different blocks do not add up to anything: only those of the last stage do, in "
        "the ledger.",
        one_scale=True,
        signed=True,
    )


def _ledger(explained: Explained) -> Shown:
    model, chosen, target = explained.model, explained.chosen, explained.target
    if not isinstance(target, ClassTarget):
        raise FeatureError("The ledger splits a logit. Explain a class.")
    ledger = saliency_ledger(model.key, chosen.digest, target, explained.key, model, chosen.picture)
    bias, logit = float(ledger.biases[0]), float(ledger.logits[0])
    total = "logit" if target.against is None else "difference of logits"
    widgets.chart(
        drawn(figures.ledger, ledger.terms, ledger.values[0], bias, logit, ledger.targets[0], total), "ledger"
    )
    maps = ledger.as_maps()
    tiles = [
        Tile(term if term == SHORTCUT else f"branch {term}", maps.maps[tap][0], tap, f"{value:+.3g}")
        for term, value, tap in zip(ledger.terms, ledger.values[0], maps.maps, strict=True)
    ]
    return Shown(
        tiles,
        [(model, maps)],
        "After the last stage only pooling and a linear layer follow, and its shortcuts hand on what lies below. So "
        "the logit without its bias is exactly the sum of the stage's shortcut and of every branch, each after the "
        "ReLUs above it as they are for this image. The maps sum to the numbers. No gradient is used.",
        one_scale=True,
        signed=True,
    )


def _timeline(explained: Explained) -> Shown:
    blocks = explained.blocks
    maps = explained.maps("hirescam", [Tap(name, part) for name in blocks for part in (SUM, BRANCH, SHORTCUT)])
    sizes = {part: np.array([np.abs(maps.maps[Tap(name, part)][0]).sum() for name in blocks], dtype=np.float64)
             for part in (BRANCH, SHORTCUT)}  # fmt: skip
    widgets.chart(drawn(figures.shares, blocks, sizes[BRANCH], sizes[SHORTCUT]), "timeline")
    tiles = [
        Tile(f"{name} {part}", maps.maps[Tap(name, part)][0], Tap(name, part), row=name)
        for name in blocks
        for part in PARTS
    ]
    return Shown(
        tiles,
        [(explained.model, maps)],
        "One row a block, from the image to the logit: HiResCAM of the branch, of the shortcut and of their sum. "
        "Within a row branch + shortcut = sum. Rows are not stacked or summed, because a later block sees what earlier "
        "ones made: across blocks only the last stage is additive, which the ledger shows.",
        signed=True,
        columns=3,
        small=True,
    )


def _randomised(explained: Explained) -> Shown:
    method = _choose_method()
    check = explained.result(RANDOMISED, method.name, "Drawing the weights anew")
    taps = list(check.intact.maps)
    correlations = {tap: check.correlations(tap)[:, 0] for tap in taps}  # (P,) each
    lines = {tap.name: values for tap, values in correlations.items()}
    widgets.chart(drawn(curves.randomised, list(check.redrawn), lines), "randomised")
    tiles = [Tile(f"{tap.name}, as trained", check.intact.maps[tap][0], tap) for tap in taps]
    for number, (part, redrawn) in enumerate(check.redrawn.items()):
        for tap in taps:
            value = correlations[tap][number]
            note = "no rank correlation" if np.isnan(value) else f"rank correlation {value:.2f}"
            tiles.append(Tile(f"{tap.name}, drawn down to {part}", redrawn.maps[tap][0], tap, note))
    maps: list[SaliencyMaps] = [check.intact, *check.redrawn.values()]
    return Shown(
        tiles,
        [(explained.model, each) for each in maps],
        "The same maps while the network forgets: first the head's weights are drawn anew, then the last stage's too, "
        "down to the stem. A map that hardly changes shows the picture's edges, not what was learnt. "
        "One draw of normal weights with each parameter's own mean and spread; Spearman's rank correlation of signed "
        "maps. Source: Adebayo et al. 2018, arXiv:1810.03292.",
        signed=method.signed,
        columns=len(taps) if len(taps) > 1 else len(check.redrawn) + 1,
        small=True,
    )


@dataclass(frozen=True)
class View:
    """A way to look at one picture.

    name: in the row of views and in links. show: its controls and what it shows. heading: what stands above it, in
    which {method} and {target} are filled in. of_classes: whether a network needs classes for it. measured: whether
    its maps can be measured on the spot.
    """

    name: str
    show: Callable[[Explained], Shown]
    heading: str
    of_classes: bool = False
    measured: bool = False

    def title(self, shown: Shown) -> str:
        """What stands above it, as Markdown."""
        _, maps = shown.maps[0]
        return self.heading.format(method=_title(maps.method), target=widgets.escape(maps.targets[0]))


STAGES = "stages"
VIEWS = Registry(
    "view",
    (
        View(STAGES, _stages, "{method} for {target}", measured=True),
        View("methods", _methods, "Methods for {target}", measured=True),
        View("classes", _classes, "Grad-CAM by class", of_classes=True, measured=True),
        View("networks", _networks, "Grad-CAM by network", of_classes=True),
        View("branch and shortcut", _branches, "Branch and shortcut for {target}"),
        View("logit ledger", _ledger, "Logit ledger for {target}", of_classes=True),
        View("block timeline", _timeline, "Block timeline for {target}"),
        View("randomised weights", _randomised, "{method} for {target}"),
    ),
)
