"""What can be seen side by side: stages, methods, classes, networks, the parts of a block, the ledger, all blocks."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from features import faithfulness, saliency
from features.errors import FeatureError
from features.networks import catalogue, zoo
from features.saliency import BRANCH, INPUT, SHORTCUT, SUM, ClassTarget, SaliencyMaps, Tap
from viz import widgets
from viz.cached.networks import load_model
from viz.cached.saliency import saliency_ledger
from viz.figures import saliency as figures
from viz.pages.saliency.asking import ABOUT, QUICK, SLOW, Asked, numbered_classes, of_class

STAGE, METHOD, CLASS, NETWORK, BLOCK, LEDGER, TIMELINE, RANDOMISED = (
    "stages", "methods", "classes", "networks", "branch and shortcut", "logit ledger", "block timeline",
    "randomised weights",
)  # fmt: skip


SIGNED_METHODS = ("integrated-gradients", "guided-gradcam")  # half of what they say is below zero


@dataclass(frozen=True, eq=False)
class Tile:
    """A map (H, W) with what stands above and below it; tiles of one row share their scale.

    tap: where it was taken. model: the network that it is of, None for the chosen one.
    """

    title: str
    values: np.ndarray
    tap: Tap
    note: str = ""
    row: str = ""
    model: zoo.Model | None = None


@dataclass(frozen=True, eq=False)
class Shown:
    """What a view shows: tiles, the maps that they are of (to download) with their networks, and how to read them.

    one_scale: whether the tiles are worth comparing in size. signed: whether what speaks against is half of the story.
    """

    tiles: list[Tile]
    maps: list[tuple[zoo.Model, SaliencyMaps]]
    reading: str
    one_scale: bool = False
    signed: bool = False
    columns: int = 0
    small: bool = False


def show(view: str, asked: Asked, predicted: SaliencyMaps | None) -> Shown:
    if view == CLASS and predicted is not None:
        return _classes(asked, predicted)
    views = {
        METHOD: _methods,
        NETWORK: _networks,
        BLOCK: _branches,
        LEDGER: _ledger,
        TIMELINE: _timeline,
        RANDOMISED: _randomised,
    }
    return views.get(view, _stages)(asked)


def _choose_method() -> str:
    return st.selectbox(
        "Method",
        (*QUICK, *SLOW),
        format_func=lambda name: ABOUT[name].title,
        key="method",
        bind="query-params",
        width=240,
    )


def _stages(asked: Asked) -> Shown:
    method = _choose_method()
    found = asked.maps(method)
    about = ABOUT[method]
    same = (
        "At the last stage Grad-CAM, HiResCAM and XGrad-CAM are the same map, because global average pooling makes the "
        "gradient equal at every place. " if method in ("gradcam", "hirescam", "xgradcam", "cam") else ""
    )  # fmt: skip
    tiles = [Tile(tap.name, values[0], tap) for tap, values in found.maps.items()]
    early = "Early stages have fine resolution and mix evidence for many classes. " if len(tiles) > 1 else ""
    reading = f"{about.title}: {about.reading} {same}{early}Source: {about.source}."
    return Shown(tiles, [(asked.model, found)], reading, signed=method in SIGNED_METHODS)


def _methods(asked: Asked) -> Shown:
    left, right = st.columns([2, 1])
    with left:
        methods = st.multiselect(
            "Methods", (*QUICK, *SLOW), default=["gradcam", "gradcam++", "layercam", "eigencam"],
            format_func=lambda name: ABOUT[name].title, key="methods", bind="query-params",
        )  # fmt: skip
    names = asked.stages
    with right:
        stage = st.selectbox("Stage", names, index=len(names) - 1, key="stage", bind="query-params")
    if not methods:
        raise FeatureError("No method is chosen. Choose at least one.")
    tiles, maps = [], []
    for method in methods:
        whole = method in SLOW or method == "cam"
        if whole and method not in saliency.ATTRIBUTIONS and stage != names[-1]:
            st.info(f"{ABOUT[method].title} is shown of {names[-1]}.")
        found = asked.maps(method, None if whole else [Tap(stage)])
        tap, values = list(found.maps.items())[-1]
        tiles.append(Tile(ABOUT[method].title, values[0], tap, "of the input" if tap == INPUT else f"of {tap.name}"))
        maps.append((asked.model, found))
    return Shown(
        tiles,
        maps,
        "Methods measure different things, so each has its own scale unless you choose one for all. At the last "
        "stage Grad-CAM, HiResCAM, XGrad-CAM and CAM coincide: global average pooling makes the gradient equal at "
        "every place.",
    )


def _classes(asked: Asked, predicted: SaliencyMaps) -> Shown:
    numbered = numbered_classes(asked.model)
    assert predicted.logits is not None  # of a class target
    likeliest = np.argsort(-predicted.logits[0], kind="stable")[:3]
    names = list(asked.model.network.stage_names)
    left, right = st.columns([2, 1])
    with left:
        picked = st.multiselect(
            "Classes", numbered, default=[numbered[index] for index in likeliest],
            key=f"classes {asked.chosen.digest[:8]} {asked.model.key[:8]}",
        )  # fmt: skip
    with right:
        stage = st.selectbox("Stage", names, index=len(names) - 1, key="stage", bind="query-params")
    if not picked:
        raise FeatureError("No class is chosen. Choose at least one.")
    maps = [of_class(asked.model, asked.chosen, numbered.index(name)).maps("gradcam", [Tap(stage)]) for name in picked]
    tap = Tap(stage)
    tiles = [Tile(found.targets[0], found.maps[tap][0], tap, f"logit {found.scores[0]:.3g}") for found in maps]
    reading = f"Grad-CAM of {stage} for each class, on one scale: brighter is more."
    return Shown(tiles, [(asked.model, found) for found in maps], reading, one_scale=True)


def _networks(asked: Asked) -> Shown:
    here = catalogue.here()
    left, right = st.columns([2, 1])
    with left:
        names = st.multiselect("Networks beside the chosen one", here, default=here[:3], key="networks")
    with right:
        depth = st.selectbox("Stage, from the end", ("last", "last but one", "last but two"), key="depth")
    place = -1 - ("last", "last but one", "last but two").index(depth)
    models = [asked.model, *(load_model(name, None, 0.0) for name in names if name != asked.model.spec.name)]
    tiles, maps = [], []
    for model in models:
        stages = model.network.stage_names
        tap = Tap(stages[max(place, -len(stages))])
        # Classes of different networks need not be the same: each is asked for what it predicts itself.
        found = of_class(model, asked.chosen).maps("gradcam", [tap])
        note = f"{tap.name} for {found.targets[0]}"
        tiles.append(Tile(model.spec.name, found.maps[tap][0], tap, note, model=model))
        maps.append((model, found))
    return Shown(
        tiles,
        maps,
        "Grad-CAM of each network for the class that it predicts itself, over what that network sees. Logits of "
        "different networks have different sizes, so each map has its own scale unless you choose one for all.",
    )


def _branches(asked: Asked) -> Shown:
    blocks = asked.blocks
    block = st.selectbox("Block", blocks, index=len(blocks) - 1, key="block", bind="query-params", width=240)
    found = asked.maps("hirescam", [Tap(block, part) for part in (SUM, BRANCH, SHORTCUT)])
    values = {part: found.maps[Tap(block, part)][0] for part in (SUM, BRANCH, SHORTCUT)}
    size = {part: float(np.abs(values[part]).sum()) for part in (BRANCH, SHORTCUT)}
    share = size[BRANCH] / (size[BRANCH] + size[SHORTCUT]) if any(size.values()) else 0.0
    tiles = [
        Tile(part, values[part], Tap(block, part), f"sum {values[part].sum():+.3g}") for part in (BRANCH, SHORTCUT, SUM)
    ]
    return Shown(
        tiles,
        [(asked.model, found)],
        f"HiResCAM of what {block} adds (branch), of what it is handed (shortcut) and of both before the ReLU, with "
        f"one gradient and one colour scale: branch + shortcut = sum everywhere. Of all absolute values {share:.0%} "
        "are the branch's. Shares of different blocks do not add up to anything: only those of the last stage do, in "
        "the ledger.",
        one_scale=True,
        signed=True,
    )


def _ledger(asked: Asked) -> Shown:
    if not isinstance(asked.target, ClassTarget):
        raise FeatureError("The ledger splits a logit. Explain a class.")
    found = saliency_ledger(
        asked.model.key, asked.chosen.digest, asked.target, asked.key, asked.model, asked.chosen.picture
    )
    bias, logit = float(found.biases[0]), float(found.logits[0])
    total = "logit" if asked.target.against is None else "difference of logits"
    widgets.chart(figures.ledger(found.terms, found.values[0], bias, logit, found.targets[0], total), "ledger")
    tiles = [
        Tile(
            term if term == SHORTCUT else f"branch {term}", found.maps[0, place], tap, f"{found.values[0, place]:+.3g}"
        )
        for place, (term, tap) in enumerate(zip(found.terms, found.as_maps().maps, strict=True))
    ]
    return Shown(
        tiles,
        [(asked.model, found.as_maps())],
        "After the last stage only pooling and a linear layer follow, and its shortcuts hand on what lies below. So "
        "the logit without its bias is exactly the sum of the stage's shortcut and of every branch, each after the "
        "ReLUs above it as they are for this image. The maps sum to the numbers. No gradient is used.",
        one_scale=True,
        signed=True,
    )


def _timeline(asked: Asked) -> Shown:
    blocks = asked.blocks
    found = asked.maps("hirescam", [Tap(name, part) for name in blocks for part in (SUM, BRANCH, SHORTCUT)])
    sizes = {part: np.array([np.abs(found.maps[Tap(name, part)][0]).sum() for name in blocks], dtype=np.float64)
             for part in (BRANCH, SHORTCUT)}  # fmt: skip
    widgets.chart(figures.shares(blocks, sizes[BRANCH], sizes[SHORTCUT]), "timeline")
    tiles = [
        Tile(f"{name} {part}", found.maps[Tap(name, part)][0], Tap(name, part), row=name)
        for name in blocks
        for part in (BRANCH, SHORTCUT, SUM)
    ]
    return Shown(
        tiles,
        [(asked.model, found)],
        "One row a block, from the image to the logit: HiResCAM of the branch, of the shortcut and of their sum. "
        "Within a row branch + shortcut = sum. Rows are not stacked or summed, because a later block sees what earlier "
        "ones made: across blocks only the last stage is additive, which the ledger shows.",
        signed=True,
        columns=3,
        small=True,
    )


def _randomised(asked: Asked) -> Shown:
    method = _choose_method()
    found = widgets.result(asked.job(faithfulness.randomised, method), "Drawing the weights anew")
    taps = list(found.intact.maps)
    correlations = {tap: found.correlations(tap)[:, 0] for tap in taps}  # (P,) each
    lines = {tap.name: values for tap, values in correlations.items()}
    widgets.chart(figures.randomised(list(found.redrawn), lines), "randomised")
    tiles = [Tile(f"{tap.name}, as trained", found.intact.maps[tap][0], tap) for tap in taps]
    for place, (part, drawn) in enumerate(found.redrawn.items()):
        for tap in taps:
            value = correlations[tap][place]
            note = "no rank correlation" if np.isnan(value) else f"rank correlation {value:.2f}"
            tiles.append(Tile(f"{tap.name}, drawn down to {part}", drawn.maps[tap][0], tap, note))
    maps = [(asked.model, one) for one in (found.intact, *found.redrawn.values())]
    return Shown(
        tiles,
        maps,
        "The same maps while the network forgets: first the head's weights are drawn anew, then the last stage's too, "
        "down to the stem. A map that hardly changes shows the picture's edges, not what was learnt. "
        "One draw of normal weights with each parameter's own mean and spread; Spearman's rank correlation of signed "
        "maps. Source: Adebayo et al. 2018, arXiv:1810.03292.",
        signed=method in SIGNED_METHODS,
        columns=len(taps) if len(taps) > 1 else len(found.redrawn) + 1,
        small=True,
    )


def title(view: str, shown: Shown, target: str) -> str:
    """What stands above a view. target: what is explained, which some views choose for themselves."""
    if view in (CLASS, NETWORK):
        return f"Grad-CAM by {'class' if view == CLASS else 'network'}"
    if view in (STAGE, RANDOMISED):
        return f"{ABOUT[shown.maps[0][1].method].title} for {target}"
    return f"{view.capitalize()} for {target}"
