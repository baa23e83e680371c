"""Tiles as pictures under heat maps, with their controls and their files."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from features import rasters, saliency
from features.networks import zoo
from features.saliency import SaliencyMaps, Tap
from viz import widgets
from viz.cached.links import heat_link, picture_link
from viz.components import Overlay
from viz.picking.overlays import SMALL_SIDE, lay_over
from viz.picking.picture import Chosen
from viz.picking.target import Explained

SIDE = 448


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
    """What a view shows: tiles, the maps that they are of (to download) with their networks, and what they mean.

    one_scale: whether the tiles are worth comparing in size. signed: whether what speaks against is half of the story.
    """

    tiles: list[Tile]
    maps: list[tuple[zoo.Model, SaliencyMaps]]
    meaning: str
    one_scale: bool = False
    signed: bool = False
    columns: int = 0
    small: bool = False

    @property
    def target(self) -> str:
        """What all its maps explain; '' if they explain different things."""
        names = {maps.targets[0] for _, maps in self.maps}
        return names.pop() if len(names) == 1 else ""


@dataclass(frozen=True)
class _Look:
    """How maps are coloured: signed or rectified, in which colours, on one scale for all or not."""

    signed: bool
    colours: str
    one_scale: bool


def draw(explained: Explained, view: str, title: str, shown: Shown) -> None:
    """The tiles of a view with the controls of their colours, what they mean, and their files to take away."""
    model, chosen = explained.model, explained.chosen
    st.subheader(title)
    look = _choose_look(view, shown)
    tiles = _tiles(model, chosen, shown, look)
    if shown.columns:  # long: what it says comes first
        st.caption(_meaning(shown, look))
    _scale(look)
    opacity = lay_over(tiles, "overlays", shown.columns)
    if not shown.columns:
        st.caption(_meaning(shown, look))
    drawing = saliency.Drawing(look.colours, opacity, look.one_scale)
    st.download_button(
        "Download overlays, raw maps and manifest",
        lambda: archive({chosen.name: chosen.picture}, shown.maps, drawing, {"pixels_sha256": chosen.digest}),
        file_name=f"saliency-{model.spec.name}-{chosen.digest[:8]}.zip",
        mime="application/zip",
        icon=":material/download:",
        on_click="ignore",
    )


def _choose_look(view: str, shown: Shown) -> _Look:
    left, middle, right = st.columns(3, vertical_alignment="bottom")
    with left:
        signed = st.segmented_control(
            "Show", ("what speaks for it", "for and against"), default="for and against" if shown.signed else
            "what speaks for it", key=f"sign {view}", required=True,
        ) == "for and against"  # fmt: skip
    with middle:
        options = rasters.SIGNED if signed else rasters.RECTIFIED
        colours = st.selectbox("Colours", options, key="signed colours" if signed else "colours", bind="query-params")
    with right:
        one_scale = st.toggle("One colour scale for all", value=shown.one_scale, key=f"scale {view}")
    return _Look(signed, colours, one_scale)


def _tiles(model: zoo.Model, chosen: Chosen, shown: Shown, look: _Look) -> list[Overlay]:
    networks = {one.key: one for one in (model, *(tile.model or model for tile in shown.tiles))}
    seen = {
        key: picture_link(
            one.spec.preprocessing.visible(chosen.picture), SMALL_SIDE if shown.small else SIDE, shown.small
        )
        for key, one in networks.items()
    }
    note = f"{model.spec.preprocessing.crop} px, as the network gets it"
    tiles = [] if shown.columns else [Overlay("network input", note, seen[model.key].file, "", chosen.name)]
    for tile in shown.tiles:
        beside = [
            other for other in shown.tiles if look.one_scale or other is tile or (tile.row and other.row == tile.row)
        ]
        limit = max(saliency.limit_of(other.tap, other.values, look.signed) for other in beside)
        base = seen[(tile.model or model).key]
        heat = heat_link(tile.values, base, shown.small, look.colours, limit)
        alt = f"{tile.title}{f' for {shown.target}' if shown.target else ''} over {chosen.name}"
        tiles.append(Overlay(tile.title, _describe(tile, look.signed), base.file, heat, alt))
    return tiles


def _meaning(shown: Shown, look: _Look) -> str:
    """What the view shows, what its colours say and what they are scaled to."""
    how = "Bright: raising this there raises the score; zero and below is dark."
    if ends := rasters.COLOURS[look.colours].ends:
        against, for_it = ends
        how = f"{for_it.capitalize()} speaks for the target, {against} against it, the middle is zero."
    if any(tile.tap == saliency.INPUT for tile in shown.tiles):
        how += " Of pixel maps the strongest half per cent is cut off, which would hide all else."
    each = "row" if any(tile.row for tile in shown.tiles) else "map"
    scale = "All maps share one scale" if look.one_scale else f"Each {each} is scaled to its own extreme"
    return widgets.escape(f"{shown.meaning} {how} {scale}; the raw range stands under each.")


def _scale(look: _Look) -> None:
    """The colours as a bar, with what its ends mean."""
    low, high = ("against it", "for it") if look.signed else ("nothing", "much")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(low, width="content")
        st.image(rasters.colour_bar(look.colours), width=220)
        st.caption(high, width="content")


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
        case "constant" | "negative" if tile.values.min() == tile.values.max():
            return f"{text}. The same everywhere."
    return text


def archive(
    chosen: Mapping[str, Image.Image],
    maps: Sequence[tuple[zoo.Model, SaliencyMaps]],
    drawing: saliency.Drawing,
    settings: Mapping[str, Any],
) -> bytes:
    """Overlays, raw maps and their manifest as a zip. chosen: name -> picture, in the order of the maps."""
    buffer, rows = io.BytesIO(), []
    written = set()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for number, (model, each) in enumerate(maps):
            # A folder each where there are several, since their files may have the same names.
            network = (each.provenance.variant or model.spec.name).replace(" ", "-")
            folder = f"{number}-{network}/" if len(maps) > 1 else ""
            visible = {name: model.spec.preprocessing.visible(picture) for name, picture in chosen.items()}
            beside = [other for _, other in maps if other is not each]
            made_of = {name: getattr(each.provenance, name) or "" for name in ("weights_sha256", "variant")}
            for name, content, row in saliency.exported(each, model, visible, drawing, beside):
                if (path := folder + name) not in written:
                    written.add(path)
                    file.writestr(path, content)
                rows += [row | {"file": path} | made_of] if row else []
        made = {**settings, "drawing": asdict(drawing), "provenance": [each.provenance.as_dict() for _, each in maps]}
        file.writestr("manifest.json", saliency.manifest(rows, made))
    return buffer.getvalue()
