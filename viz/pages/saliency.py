"""The page that shows where a network looks."""

import hashlib
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from PIL import Image

from features import catalogue, labels, rasters, saliency, zoo
from features import images as pictures
from features.datasets import ImageSet
from features.errors import FeatureError, ImageError
from features.saliency import BRANCH, INPUT, METHODS, SHORTCUT, SUM, ClassTarget, SaliencyMaps, StageTarget, Tap
from viz import analyses, widgets
from viz.components import Overlay, overlays, picture_picker
from viz.figures import saliency as figures

SAMPLE, UPLOAD, CAMERA = "from the set", "upload", "camera"
PREDICTED, NOTHING, RUNNER_UP = "the predicted class", "nothing", "the runner-up"
LENGTH, LIKENESS = "length of features", "likeness to another image"
STAGE, METHOD, CLASS, NETWORK, BLOCK, LEDGER, TIMELINE, GALLERY = (
    "stages", "methods", "classes", "networks", "branch and shortcut", "logit ledger", "block timeline", "gallery"
)  # fmt: skip
VIEWS = (STAGE, METHOD, CLASS, NETWORK, BLOCK, LEDGER, TIMELINE, GALLERY)
QUICK = tuple(name for name, method in METHODS.items() if method.weights is not None)
SLOW = ("scorecam", *saliency.ATTRIBUTIONS)
ABOUT = METHODS | saliency.ATTRIBUTIONS
SIDE, SMALL_SIDE, OPACITY, GALLERY_SIZE = 448, 160, 0.55, 24


@dataclass(frozen=True, eq=False)
class Chosen:
    """A picture to look at: SHA-256 of its size and pixels, what it is called, and its label if it has one."""

    picture: Image.Image
    digest: str
    name: str
    label: str | None


@dataclass(frozen=True, eq=False)
class Asked:
    """What is explained of which picture. key: what tells the target from others."""

    model: zoo.Model
    chosen: Chosen
    target: saliency.Target
    key: str

    def maps(self, method: str, taps: Sequence[Tap] | None = None) -> SaliencyMaps:
        """The maps by any method; the page waits here for one that takes long."""
        digest, picture = self.chosen.digest, self.chosen.picture
        if method in SLOW:
            job = analyses.saliency_job(self.model, digest, picture, self.target, self.key, method)
            return widgets.result(job, ABOUT[method].title)
        given = None if taps is None else tuple(taps)
        return analyses.saliency_maps(self.model.key, digest, self.key, method, given, self.target, self.model, picture)

    @property
    def stages(self) -> list[str]:
        """Those that the target depends on."""
        names = list(self.model.network.stage_names)
        return names[: names.index(self.target.stage) + 1] if isinstance(self.target, StageTarget) else names

    @property
    def blocks(self) -> list[str]:
        """Those of these stages."""
        return [name for name, _ in self.model.network.blocks() if name.split(".")[0] in self.stages]


def _of_class(model: zoo.Model, chosen: Chosen, index: int | None = None, against: int | None = None) -> Asked:
    return Asked(model, chosen, ClassTarget(index, against), f"class {index} {against}")


@dataclass(frozen=True, eq=False)
class Tile:
    """A map (H, W) with what stands above and below it; tiles of one row share their scale."""

    title: str
    values: np.ndarray
    note: str = ""
    row: str = ""


@dataclass(frozen=True, eq=False)
class Shown:
    """What a view shows: tiles, the maps that they are of (to download), and how to read them.

    one_scale: whether the tiles are worth comparing in size. signed: whether what speaks against is half of the story.
    """

    tiles: list[Tile]
    maps: list[SaliencyMaps]
    reading: str
    one_scale: bool = False
    signed: bool = False
    columns: int = 0
    small: bool = False


def render() -> None:
    """Maps of one image: stages, methods, classes and networks beside each other, branches, the ledger, all blocks."""
    st.title("Where the network looks")
    with widgets.show_errors():
        model = widgets.model()
        model.need_classifier()
        left, middle, right = st.columns([1.1, 0.7, 1.2], gap="medium")
        with left:
            chosen = _choose_image()
        with middle:
            _show_image(chosen)
        predicted = _of_class(model, chosen).maps("cam")
        with right:
            asked = _choose_target(model, chosen, predicted)
            explained = asked.maps("cam")
            probabilities = predicted.probabilities
            assert probabilities is not None  # of a class target
            bars = figures.top_classes(probabilities[0], _names(model), int(explained.class_ids[0]))
            widgets.chart(bars, "top")
        view = st.segmented_control(
            "Side by side", VIEWS, default=STAGE, key="view", bind="query-params", required=True
        )
        if view == GALLERY:
            _gallery(model)
            return
        shown = _show(view, asked, predicted)
        _draw(asked, explained.targets[0], view, shown)
        if view in (STAGE, METHOD) and isinstance(asked.target, ClassTarget):
            _prove(asked, shown.maps)


def _choose_image() -> Chosen:
    origin = st.segmented_control(
        "Image", (SAMPLE, UPLOAD, CAMERA), default=SAMPLE, key="origin", bind="query-params", required=True
    )
    if origin == SAMPLE:
        chosen = _from_set(widgets.images())
    else:
        kinds = [extension[1:] for extension in pictures.EXTENSIONS]
        file = st.file_uploader("An image", type=kinds) if origin == UPLOAD else st.camera_input("A photograph")
        if file is not None:
            st.session_state[f"last {origin}"] = (file.name, file.getvalue())
        if f"last {origin}" not in st.session_state:
            st.info("The maps appear here as soon as there is an image.")
            st.stop()
        name, data = st.session_state[f"last {origin}"]  # outlives a visit to another page, as the control does not
        chosen = _chosen(pictures.decode(data, name), name, None)
    return chosen


def _show_image(chosen: Chosen) -> None:
    shown = np.asarray(chosen.picture)
    st.image(
        rasters.magnify(shown, 160) if min(shown.shape[:2]) < 160 else shown,
        caption=widgets.escape(chosen.name + (f", label: {chosen.label}" if chosen.label else "")),
        width="stretch",
    )


def _from_set(images: ImageSet) -> Chosen:
    # A link to an image of a larger set must not break on a smaller one.
    if st.session_state.get("image", 0) >= len(images):
        st.session_state["image"] = 0
    index = int(
        st.number_input(
            f"Number, 0 to {len(images) - 1:,} ({widgets.escape(images.name)})",
            min_value=0, max_value=len(images) - 1, step=1, key="image", bind="query-params",
        )
    )  # fmt: skip
    _strip(images, index)
    try:
        picture = images.open(index)
    except ImageError as error:
        raise ImageError(f"{error} Choose another number.") from error
    return _chosen(picture, images.ids[index], images.label_name(index))


def _chosen(picture: Image.Image, name: str, label: str | None) -> Chosen:
    digest = hashlib.sha256(f"{picture.mode} {picture.size} ".encode() + picture.tobytes()).hexdigest()
    return Chosen(picture, digest, name, label)


def _strip(images: ImageSet, index: int) -> None:
    rows = analyses.strip_rows(len(images))
    sheet = widgets.result(analyses.sheet_job(images, rows), "Making small pictures")

    def pick(place: int) -> None:
        st.session_state["image"] = rows[place]

    picture_picker(
        sheet,
        analyses.SHEET_COLUMNS,
        [images.label_name(row) or images.ids[row] for row in rows],
        rows.index(index) if index in rows else None,
        "strip",
        pick,
    )


def _names(model: zoo.Model) -> list[str]:
    return [model.spec.class_name(index) for index in range(model.spec.architecture.classes or 0)]


def _numbered(model: zoo.Model) -> list[str]:
    """Class names that differ: ImageNet has two classes called maillot."""
    return [f"{name} ({index})" for index, name in enumerate(_names(model))]


def _choose_target(model: zoo.Model, chosen: Chosen, predicted: SaliencyMaps) -> Asked:
    numbered = _numbered(model)
    left, right = st.columns(2)
    with left:
        picked = st.selectbox(
            "Explain", [PREDICTED, *numbered, LENGTH, LIKENESS], key="class", bind="query-params",
            help="Type to search. The bars show the five likeliest classes. The last two ask what a stage makes of the "
            "image, whatever the classifier does with it.",
        )  # fmt: skip
    with right:
        if picked in (LENGTH, LIKENESS):
            return _choose_stage(model, chosen, picked)
        other = st.selectbox(
            "against", [NOTHING, RUNNER_UP, *numbered], key="against", bind="query-params",
            help="Explains by how much one logit exceeds the other: what speaks for this class rather than that one.",
        )  # fmt: skip
    class_id = None if picked == PREDICTED else numbered.index(picked)
    against = numbered.index(other) if other in numbered else None
    if other == RUNNER_UP and predicted.logits is not None:
        explained = int(predicted.class_ids[0]) if class_id is None else class_id
        against = next(int(index) for index in np.argsort(-predicted.logits[0]) if index != explained)
    return _of_class(model, chosen, class_id, against)


def _choose_stage(model: zoo.Model, chosen: Chosen, kind: str) -> Asked:
    names = list(model.network.stage_names)
    stage = st.selectbox("at stage", names, index=len(names) - 1, key="target stage", bind="query-params")
    if kind == LENGTH:
        return Asked(model, chosen, StageTarget(stage), f"length {stage}")
    images = widgets.images()
    index = int(
        st.number_input(
            "Number of the other image", 0, len(images) - 1, min(1, len(images) - 1), key="other", bind="query-params"
        )
    )
    picture = images.open(index)
    other = _chosen(picture, images.ids[index], None)
    st.image(rasters.magnify(np.asarray(picture), 96), caption=widgets.escape(other.name), width=96)
    target = StageTarget(stage, analyses.framed(model, picture), other.name)
    return Asked(model, chosen, target, f"likeness {stage} {other.digest}")


def _show(view: str, asked: Asked, predicted: SaliencyMaps) -> Shown:
    if view == CLASS:
        return _classes(asked, predicted)
    views = {METHOD: _methods, NETWORK: _networks, BLOCK: _branches, LEDGER: _ledger, TIMELINE: _timeline}
    return views.get(view, _stages)(asked)


def _stages(asked: Asked) -> Shown:
    method = st.selectbox(
        "Method",
        (*QUICK, *SLOW),
        format_func=lambda name: ABOUT[name].title,
        key="method",
        bind="query-params",
        width=240,
    )
    found = asked.maps(method)
    about = ABOUT[method]
    same = (
        "At the last stage Grad-CAM, HiResCAM and XGrad-CAM are the same map, because global average pooling makes the "
        "gradient equal at every place. " if method in ("gradcam", "hirescam", "xgradcam", "cam") else ""
    )  # fmt: skip
    tiles = [Tile(tap.name, values[0]) for tap, values in found.maps.items()]
    early = "Early stages have fine resolution and mix evidence for many classes. " if len(tiles) > 1 else ""
    return Shown(tiles, [found], f"{about.title}: {about.reading} {same}{early}Source: {about.source}.")


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
        tiles.append(Tile(ABOUT[method].title, values[0], "of the input" if tap == INPUT else f"of {tap.name}"))
        maps.append(found)
    return Shown(
        tiles,
        maps,
        "Methods measure different things, so each has its own scale unless you choose one for all. At the last "
        "stage Grad-CAM, HiResCAM, XGrad-CAM and CAM coincide: global average pooling makes the gradient equal at "
        "every place.",
    )


def _classes(asked: Asked, predicted: SaliencyMaps) -> Shown:
    numbered = _numbered(asked.model)
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
    maps = [_of_class(asked.model, asked.chosen, numbered.index(name)).maps("gradcam", [Tap(stage)]) for name in picked]
    tiles = [Tile(found.targets[0], found.maps[Tap(stage)][0], f"logit {found.scores[0]:.3g}") for found in maps]
    return Shown(tiles, maps, f"Grad-CAM of {stage} for each class, on one scale: brighter is more.", one_scale=True)


def _networks(asked: Asked) -> Shown:
    here = [name for name in catalogue.names() if catalogue.spec(name).file is not None]
    left, right = st.columns([2, 1])
    with left:
        names = st.multiselect("Networks beside the chosen one", here, default=here[:3], key="networks")
    with right:
        depth = st.selectbox("Stage, from the end", ("last", "last but one", "last but two"), key="depth")
    place = -1 - ("last", "last but one", "last but two").index(depth)
    models = [asked.model, *(analyses.model(name, None, 0.0) for name in names if name != asked.model.spec.name)]
    tiles, maps = [], []
    for model in models:
        stages = model.network.stage_names
        tap = Tap(stages[max(place, -len(stages))])
        # Classes of different networks need not be the same: each is asked for what it predicts itself.
        found = _of_class(model, asked.chosen).maps("gradcam", [tap])
        tiles.append(Tile(model.spec.name, found.maps[tap][0], f"{tap.name} for {found.targets[0]}"))
        maps.append(found)
    return Shown(
        tiles,
        maps,
        "Grad-CAM of each network for the class that it predicts itself, over what the chosen network sees. Logits of "
        "different networks have different sizes, so each map has its own scale unless you choose one for all.",
    )


def _branches(asked: Asked) -> Shown:
    blocks = asked.blocks
    block = st.selectbox("Block", blocks, index=len(blocks) - 1, key="block", bind="query-params", width=240)
    found = asked.maps("hirescam", [Tap(block, part) for part in (SUM, BRANCH, SHORTCUT)])
    values = {part: found.maps[Tap(block, part)][0] for part in (SUM, BRANCH, SHORTCUT)}
    size = {part: float(np.abs(values[part]).sum()) for part in (BRANCH, SHORTCUT)}
    share = size[BRANCH] / (size[BRANCH] + size[SHORTCUT]) if any(size.values()) else 0.0
    tiles = [Tile(part, values[part], f"sum {values[part].sum():+.3g}") for part in (BRANCH, SHORTCUT, SUM)]
    return Shown(
        tiles,
        [found],
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
    found = analyses.saliency_ledger(
        asked.model.key, asked.chosen.digest, asked.target, asked.key, asked.model, asked.chosen.picture
    )
    bias, logit = float(found.biases[0]), float(found.logits[0])
    total = "logit" if asked.target.against is None else "difference of logits"
    widgets.chart(figures.ledger(found.terms, found.values[0], bias, logit, found.targets[0], total), "ledger")
    tiles = [
        Tile(term if term == SHORTCUT else f"branch {term}", found.maps[0, place], f"{found.values[0, place]:+.3g}")
        for place, term in enumerate(found.terms)
    ]
    return Shown(
        tiles,
        [found.as_maps()],
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
        Tile(f"{name} {part}", found.maps[Tap(name, part)][0], row=name)
        for name in blocks
        for part in (BRANCH, SHORTCUT, SUM)
    ]
    return Shown(
        tiles,
        [found],
        "One row a block, from the image to the logit: HiResCAM of the branch, of the shortcut and of their sum. "
        "Within a row branch + shortcut = sum. Rows are not stacked or summed, because a later block sees what earlier "
        "ones made: across blocks only the last stage is additive, which the ledger shows.",
        signed=True,
        columns=3,
        small=True,
    )


def _draw(asked: Asked, target: str, view: str, shown: Shown) -> None:
    model, chosen = asked.model, asked.chosen
    st.subheader(f"{_title(view, shown)} for {widgets.escape(target)}" if view != NETWORK else "Grad-CAM by network")
    left, middle, right = st.columns(3)
    with left:
        signed = st.segmented_control(
            "Show", ("what speaks for it", "for and against"), default="for and against" if shown.signed else
            "what speaks for it", key=f"sign {view}", required=True,
        ) == "for and against"  # fmt: skip
    with middle:
        options = tuple(rasters.SIGNED if signed else rasters.RECTIFIED)
        colours = st.selectbox("Colours", options, key="signed colours" if signed else "colours", bind="query-params")
    with right:
        one_scale = st.toggle("One colour scale for all", value=shown.one_scale, key=f"scale {view}")
    visible = rasters.magnify(model.spec.preprocessing.visible(chosen.picture), SMALL_SIDE if shown.small else SIDE)
    base = rasters.data_uri(rasters.jpeg(visible, 92) if shown.small else rasters.png(visible))
    crop = model.spec.preprocessing.crop
    tiles = (
        [] if shown.columns else [Overlay("network input", f"{crop} px, as the network gets it", base, "", chosen.name)]
    )
    for tile in shown.tiles:
        beside = [other for other in shown.tiles if one_scale or other is tile or (tile.row and other.row == tile.row)]
        limit = max(rasters.limit_of(other.values, signed) for other in beside)
        heat = rasters.heat_map(tile.values, visible.shape[1::-1], colours, limit)
        file = rasters.jpeg(heat, 90) if shown.small else rasters.png(heat)
        alt = f"{tile.title} for {target} over {chosen.name}"
        tiles.append(Overlay(tile.title, _describe(tile, signed), base, rasters.data_uri(file), alt))
    opacity = _lay_over(tiles, "overlays", shown.columns)
    each = "row" if shown.columns else "map"
    scale = "All maps share one scale" if one_scale else f"Each {each} is scaled to its own extreme"
    how = (
        "One end of the colours speaks for the target, the other against it, the middle is zero."
        if signed
        else "Bright: raising this there raises the score; zero and below is dark."
    )
    st.caption(widgets.escape(f"{shown.reading} {how} {scale}; the raw range stands under each."))
    if shown.maps:
        drawing = saliency.Drawing(colours, opacity, one_scale)
        st.download_button(
            "Download overlays, raw maps and manifest",
            lambda: _archive(asked, shown.maps, drawing),
            file_name=f"saliency-{model.spec.name}-{chosen.digest[:8]}.zip",
            mime="application/zip",
            icon=":material/download:",
            on_click="ignore",
        )


def _prove(asked: Asked, maps: Sequence[SaliencyMaps]) -> None:
    if not st.toggle("Measure how far to trust these maps", key="proof", bind="query-params"):
        return
    job = analyses.faithfulness_job(asked.model, asked.chosen.digest, asked.chosen.picture, maps)
    trials = widgets.result(job, "Taking pixels away and giving them back")
    rows = [
        {
            "map": ABOUT[trial.method].title if trial.method in ABOUT else trial.method,
            "of": trial.tap,
            "deletion": trial.curves.deletion_auc[0],
            "insertion": trial.curves.insertion_auc[0],
            "drop": trial.drop[0],
            "seen through it": trial.seen[0],
        }
        for trial in trials
    ]
    st.dataframe(rows, hide_index=True, column_config={
        "deletion": st.column_config.NumberColumn("deletion AUC", format="%.3f", help="Small is good."),
        "insertion": st.column_config.NumberColumn("insertion AUC", format="%.3f", help="Large is good."),
        "drop": st.column_config.NumberColumn("drop", format="percent", help="Of the probability, relative to it."),
        "seen through it": st.column_config.NumberColumn("probability through the map", format="percent"),
    })  # fmt: skip
    first = trials[0]
    names = [f"{row['map']}, {row['of']}" for row in rows]
    widgets.chart(figures.curves(list(zip(names, (trial.curves for trial in trials), strict=True))), "curves")
    st.caption(
        f"The class's probability, {first.full[0]:.1%} for the whole image, while pixels are taken away (replaced by "
        "the mean colour) or given back (to a blurred image), those first that the map shows brightest. A map that "
        "knows what matters makes insertion rise sooner than the random one, and deletion fall; but scattered holes "
        "(the random map) spoil a picture more than one large hole. One image says little: "
        "`python -m features faithfulness` measures a set, with infidelity, sensitivity and the randomisation check. "
        "[Petsiuk et al. 2018](https://arxiv.org/abs/1806.07421), "
        "[Chattopadhay et al. 2018](https://arxiv.org/abs/1710.11063)"
    )


def _gallery(model: zoo.Model) -> None:
    images = widgets.images()
    features = widgets.result(analyses.features_job(model, images), f"Reading {len(images):,} images")
    matched = labels.matched(model.spec, images)
    truth = None if matched is None else matched.classes[features.rows]  # (N,)
    wrong = np.zeros(len(features), bool) if truth is None else features.predictions != truth
    names = _names(model)
    left, middle, right = st.columns([1.2, 1.2, 1])
    with left:
        numbered = _numbered(model)
        kind = st.selectbox("Class (label or prediction)", ["all", *numbered], key="gallery class", bind="query-params")
    with middle:
        low, high = st.slider("Confidence", 0.0, 1.0, (0.0, 1.0), 0.01, key="confidence")
    with right:
        only = st.toggle("Errors only", key="errors", bind="query-params", disabled=truth is None)
    keep = (features.confidences >= low) & (features.confidences <= high)
    if kind != "all":
        index = numbered.index(kind)
        keep &= (features.predictions == index) | (np.zeros(len(keep), bool) if truth is None else truth == index)
    if only:
        keep &= wrong
    order = np.flatnonzero(keep)
    order = order[np.lexsort((-features.confidences[order], ~wrong[order]))]  # errors first, the surest of them first
    st.caption(f"{len(order):,} of {len(features):,} images, {int(wrong[order].sum()):,} of them errors.")
    if not len(order):
        return
    pages = -(-len(order) // GALLERY_SIZE)
    page = st.number_input("Page", 1, pages, key=f"gallery page {pages}") if pages > 1 else 1
    chosen = order[(int(page) - 1) * GALLERY_SIZE : int(page) * GALLERY_SIZE]
    places = tuple(int(features.rows[row]) for row in chosen)
    maps, seen = analyses.gallery_maps(model.key, images.digest, places, model, images)
    (values,) = maps.maps.values()
    tiles = []
    for row, place, heat, picture in zip(chosen, places, values, seen, strict=True):
        visible = rasters.magnify(picture, SMALL_SIDE)
        label = f", label {names[truth[row]]}" if truth is not None else ""
        file = rasters.jpeg(rasters.heat_map(heat, visible.shape[1::-1]), 90)
        title = f"{'✗ ' if wrong[row] else ''}{names[features.predictions[row]]} {features.confidences[row]:.0%}"
        base = rasters.data_uri(rasters.jpeg(visible, 92))
        tiles.append(Overlay(title, f"number {place}{label}", base, rasters.data_uri(file), images.ids[place]))
    _lay_over(tiles, "gallery")
    st.caption(
        "The last stage's map for each image's predicted class, errors (✗) first, the surest of them first. Type an "
        "image's number above to look at it closely."
    )


def _title(view: str, shown: Shown) -> str:
    if view == STAGE:
        return f"{ABOUT[shown.maps[0].method].title}"
    return view.capitalize()


def _lay_over(tiles: Sequence[Overlay], key: str, columns: int = 0) -> float:
    """Show the tiles and keep the opacity that is chosen there, which comes back."""
    opacity = overlays(tiles, _opacity(), key, columns)
    if opacity != st.session_state["opacity"]:
        st.session_state["opacity"] = opacity
        st.query_params["opacity"] = f"{opacity:g}"
    return opacity


def _opacity() -> float:
    """The opacity chosen last, or in the URL; browser parts cannot be bound to it as Streamlit's own controls are."""
    if "opacity" not in st.session_state:
        try:
            asked = float(st.query_params.get("opacity", OPACITY))
        except ValueError:
            asked = OPACITY
        st.session_state["opacity"] = min(1.0, max(0.0, asked))
    return st.session_state["opacity"]


def _describe(tile: Tile, signed: bool) -> str:
    """A map's resolution and raw range, and why it is blank if it is."""
    height, width = tile.values.shape
    text = f"{width} × {height}, raw {tile.values.min():.3g} to {tile.values.max():.3g}"
    text = f"{tile.note}; {text}" if tile.note else text
    match saliency.blank(tile.values):
        case "zero":
            return f"{text}. Blank: it is zero everywhere."
        case "negative" if not signed:
            return f"{text}. Blank: everything here speaks against it. Show for and against to see it."
        case "constant":
            return f"{text}. The same everywhere."
    return text


def _archive(asked: Asked, maps: Sequence[SaliencyMaps], drawing: saliency.Drawing) -> bytes:
    visible = asked.model.spec.preprocessing.visible(asked.chosen.picture)
    buffer, rows = io.BytesIO(), []
    written = set()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder, found in _named(maps):
            for name, content, row in saliency.exported(found, asked.model, {asked.chosen.name: visible}, drawing):
                if (place := folder + name) not in written:
                    written.add(place)
                    archive.writestr(place, content)
                rows += [row | {"file": place, "weights_sha256": found.provenance["weights_sha256"]}] if row else []
        settings = {"pixels_sha256": asked.chosen.digest, "provenance": [found.provenance for found in maps]}
        archive.writestr("manifest.json", saliency.manifest(rows, settings))
    return buffer.getvalue()


def _named(maps: Sequence[SaliencyMaps]) -> Iterator[tuple[str, SaliencyMaps]]:
    """Maps with a folder each where there are several, since their files may have the same names."""
    for number, found in enumerate(maps):
        yield (f"{number}-{found.provenance['model']}/" if len(maps) > 1 else ""), found
