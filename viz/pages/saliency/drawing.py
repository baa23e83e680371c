"""Tiles as pictures under heat maps, with their controls and their files."""

import io
import zipfile
from collections.abc import Iterator, Sequence

import streamlit as st

from features import rasters, saliency
from features.saliency import SaliencyMaps
from viz import widgets
from viz.components import Overlay, overlays
from viz.pages.saliency.asking import Asked
from viz.pages.saliency.views import NETWORK, Shown, Tile, title

SIDE, SMALL_SIDE, OPACITY = 448, 160, 0.55


def draw(asked: Asked, target: str, view: str, shown: Shown) -> None:
    model, chosen = asked.model, asked.chosen
    st.subheader(f"{title(view, shown)} for {widgets.escape(target)}" if view != NETWORK else "Grad-CAM by network")
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
    opacity = lay_over(tiles, "overlays", shown.columns)
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


def lay_over(tiles: Sequence[Overlay], key: str, columns: int = 0) -> float:
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
