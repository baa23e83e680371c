"""The page that shows where a network looks."""

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass

import numpy as np
import streamlit as st
from PIL import Image

from features import images as pictures
from features import zoo
from features.datasets import ImageSet
from features.errors import ImageError
from features.saliency import SaliencyMaps
from viz import analyses, rasters, theme, widgets
from viz.components import Overlay, overlays, picture_picker
from viz.figures import saliency as figures

SAMPLE, UPLOAD, CAMERA = "from the set", "upload", "camera"
PREDICTED = "the predicted class"
SIDE, OPACITY = 448, 0.55


@dataclass(frozen=True, eq=False)
class Chosen:
    """A picture to look at: SHA-256 of its size and pixels, what it is called, and its label if it has one."""

    picture: Image.Image
    digest: str
    name: str
    label: str | None


def render() -> None:
    """Grad-CAM of every stage for one image and one class."""
    st.title("Where the network looks")
    with widgets.show_errors():
        model = widgets.model()
        model.need_classifier()
        left, middle, right = st.columns([1.1, 0.7, 1.2], gap="medium")
        with left:
            chosen = _choose_image()
        with middle:
            _show_image(chosen)
        predicted = analyses.saliency_maps(model.key, chosen.digest, None, model, chosen.picture)
        with right:
            class_id = _choose_class(model, predicted)
        maps = analyses.saliency_maps(model.key, chosen.digest, class_id, model, chosen.picture)
        with right:
            bars = figures.top_classes(predicted.probabilities[0], _names(model), int(maps.class_ids[0]))
            widgets.chart(bars, "top")
        _show_maps(model, chosen, maps)


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


def _choose_class(model: zoo.Model, predicted: SaliencyMaps) -> int | None:
    names = _names(model)
    # Numbered, because ImageNet has two classes called maillot.
    options = [PREDICTED, *(f"{name} ({index})" for index, name in enumerate(names))]
    picked = st.selectbox(
        "Explain",
        options,
        key="class",
        bind="query-params",
        help="Type to search. The bars show the five likeliest classes.",
    )
    return None if picked == PREDICTED else options.index(picked) - 1


def _show_maps(model: zoo.Model, chosen: Chosen, maps: SaliencyMaps) -> None:
    name = model.spec.class_name(int(maps.class_ids[0]))
    st.subheader(f"Grad-CAM for {widgets.escape(name)}, stage by stage")
    colours = st.selectbox("Colours", theme.COLOUR_MAPS, key="colours", bind="query-params", width=180)
    visible = rasters.magnify(model.spec.preprocessing.visible(chosen.picture), SIDE)
    base = rasters.data_uri(rasters.png(visible))
    tiles = [
        Overlay("network input", f"{model.spec.preprocessing.crop} px, as the network gets it", base, "", chosen.name)
    ]
    heats = {stage: rasters.heat_map(found[0], visible.shape[1::-1], colours) for stage, found in maps.maps.items()}
    for stage, heat in heats.items():
        values = maps.maps[stage][0]
        tiles.append(
            Overlay(
                stage,
                _describe(values),
                base,
                rasters.data_uri(rasters.png(heat)),
                f"Grad-CAM of {stage} for {name} over {chosen.name}",
            )
        )
    opacity = overlays(tiles, _opacity(), key="overlays")
    if opacity != st.session_state["opacity"]:
        st.session_state["opacity"] = opacity
        st.query_params["opacity"] = f"{opacity:g}"
    st.caption(
        "Bright: raising this channel mix there raises the class's logit. Each map is scaled from zero to its "
        "own maximum; its raw range "
        "stands under it. At the last stage Grad-CAM, HiResCAM and XGrad-CAM are the same map, because global "
        "average pooling makes the "
        "gradient equal at every place. Early stages have fine resolution and mix evidence for many classes. "
        "[Selvaraju et al. 2017](https://arxiv.org/abs/1610.02391)"
    )
    st.download_button(
        "Download overlays, raw maps and manifest",
        lambda: _archive(model, chosen, maps, visible, heats, opacity),
        file_name=f"saliency-{model.spec.name}-{chosen.digest[:8]}.zip",
        mime="application/zip",
        icon=":material/download:",
        on_click="ignore",
    )


def _opacity() -> float:
    """The opacity chosen last, or in the URL; browser parts cannot be bound to it as Streamlit's own controls are."""
    if "opacity" not in st.session_state:
        try:
            asked = float(st.query_params.get("opacity", OPACITY))
        except ValueError:
            asked = OPACITY
        st.session_state["opacity"] = min(1.0, max(0.0, asked))
    return st.session_state["opacity"]


def _describe(values: np.ndarray) -> str:
    """A map's resolution and raw range, and why it is blank if it is."""
    height, width = values.shape
    text = f"{width} × {height}, raw {values.min():.3g} to {values.max():.3g}"
    if values.max() <= 0:
        return text + ". Blank: nothing here speaks for this class" + (" (all zero)." if not values.any() else ".")
    return text


def _archive(
    model: zoo.Model,
    chosen: Chosen,
    maps: SaliencyMaps,
    visible: np.ndarray,
    heats: dict[str, np.ndarray],
    opacity: float,
) -> bytes:
    buffer = io.BytesIO()
    rows = []
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("input.png", rasters.png(visible))
        for stage, heat in heats.items():
            archive.writestr(f"{stage}.png", rasters.png(rasters.overlay(visible, heat, opacity)))
            raw = io.BytesIO()
            np.save(raw, maps.maps[stage][0], allow_pickle=False)
            archive.writestr(f"{stage}.npy", raw.getvalue())
            rows.append({"tap": stage, "part": "sum", "file": f"{stage}.npy"})
        manifest = {
            "image": chosen.name,
            "pixels_sha256": chosen.digest,
            "method": maps.method,
            "class_index": int(maps.class_ids[0]),
            "class_name": model.spec.class_name(int(maps.class_ids[0])),
            "opacity": opacity,
            "maps": rows,
            "provenance": maps.provenance,
        }
        archive.writestr("manifest.json", json.dumps(manifest, indent=1))
    return buffer.getvalue()
