"""What every channel of a layer makes of one image, and one of these maps over it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from features import rasters
from features.channels import ORDERS, PARTS, STEM, FeatureMaps, Logit
from features.channels.maps import AGAINST, EVIDENCE, MAXIMUM, OUTPUT
from features.channels.sheets import colours_of, shared_limit
from features.networks import zoo
from viz import widgets
from viz.cached.channel_pictures import SHEET_COLUMNS, feature_maps_of, maps_on_a_sheet
from viz.cached.links import heat_link, picture_link
from viz.cached.made import drawn, made
from viz.components import Overlay, picture_grid
from viz.components.point_map import media_address
from viz.figures import channels as figures
from viz.pages.channels.place import CHANNEL, Place, choose_channel, choose_layer, go, measured_when_asked
from viz.picking import held
from viz.picking.overlays import lay_over
from viz.picking.picture import Chosen, choose_image, show_image
from viz.picking.shown import Shown
from viz.picking.target import NOTHING, PREDICTED, numbered_classes

PART, ORDER, FOR, NOT = "maps of", "maps by", "for class", "and not"
ONE_SCALE, EACH = "one for all", "each its own"
MOST, TALLEST, SIDE = 512, 460, 448


@dataclass(frozen=True)
class _Look:
    """How maps are shown. order: of ORDERS. limit: what the ends of the colours stand for, None for each one's own."""

    order: str
    colours: str
    limit: float | None


def show(shown: Shown) -> None:
    """The picture, the maps of all channels of a layer in an order, and the chosen one enlarged."""
    model = shown.model
    left, right = st.columns([1.3, 0.7], gap="medium")
    with left:
        chosen = choose_image()
    with right:
        show_image(chosen)
    layer = choose_layer(shown)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        part = _choose_part(layer)
        logit = _choose_logit(model)
        maps = feature_maps_of(model.key, chosen.digest, layer, part, logit, model, chosen.picture)
        look = _choose_look(maps)
    _grid(maps, look)
    _enlarged(shown, chosen, maps, look)
    with st.popover("All of them", icon=":material/table:"):
        table = made(FeatureMaps.table, maps)
        st.dataframe(table.drop(columns=["layer", "part"]), hide_index=True)
        widgets.downloads(table, f"maps-{layer}-{part}-{chosen.digest[:8]}-{model.spec.name}")


def _choose_part(layer: str) -> str:
    names = [OUTPUT] if layer == STEM else list(PARTS)
    return _select("Maps of", names, OUTPUT, PART, 280, lambda name: PARTS.need(name).title)


def _select(
    label: str, names: list[str], default: str, key: str, width: int, title: Callable[[str], str] = str, **said: Any
) -> str:
    """A choice that stands in the link by its name; where that is none of these, as on another layer, `default`."""
    held.prepare(key, held.among(names), default)
    name = st.selectbox(label, names, key=key, width=width, format_func=title, **said)
    held.hold(key, name)
    return name


def _choose_logit(model: zoo.Model) -> Logit | None:
    """The class that channels speak for; None for a network without classes."""
    if model.network.classifier is None:
        return None
    numbered = numbered_classes(model)
    index = _select("Evidence for", [PREDICTED, *numbered], PREDICTED, FOR, 200)
    against = _select(
        "against", [NOTHING, *numbered], NOTHING, NOT, 160,
        help="Evidence that the logit of one class exceeds that of another.",
    )  # fmt: skip
    return Logit(
        None if index == PREDICTED else numbered.index(index), None if against == NOTHING else numbered.index(against)
    )


def _choose_look(maps: FeatureMaps) -> _Look:
    orders = [name for name in ORDERS if maps.evidence is not None or name not in (EVIDENCE, AGAINST)]
    default = EVIDENCE if EVIDENCE in orders else MAXIMUM
    order = _select("Sort by", orders, default, ORDER, 280, lambda name: ORDERS.need(name).title)
    scale = st.segmented_control("Colour scale", (ONE_SCALE, EACH), default=ONE_SCALE, key="map scale", required=True)
    colours = made(colours_of, maps)
    limit = made(shared_limit, maps.values, colours in rasters.SIGNED) if scale == ONE_SCALE else None
    return _Look(order, colours, limit)


def _grid(maps: FeatureMaps, look: _Look) -> None:
    order = maps.order(look.order)[:MOST]
    sheet = made(maps_on_a_sheet, maps.values[order], look.colours, look.limit)
    numbers = order.tolist()
    told = maps.maxima if maps.evidence is None or look.order not in (EVIDENCE, AGAINST) else maps.evidence
    titles = [f"{number}: {told[number]:.3g}" for number in numbers]

    def pick(at: int) -> None:
        st.session_state[CHANNEL] = numbers[at]

    with st.container(key="maps of a picture"):
        picture_grid(
            media_address(sheet, "maps of a picture", "image/jpeg"), SHEET_COLUMNS, list(range(len(numbers))), titles,
            "maps of channels", pick, TALLEST,
        )  # fmt: skip
    st.caption(_meaning(maps, look, len(numbers)))


def _meaning(maps: FeatureMaps, look: _Look, shown: int) -> str:
    height, width = maps.values.shape[1:]
    some = f"The first {shown} of {maps.n_channels:,}" if shown < maps.n_channels else f"All {shown}"
    ends = rasters.COLOURS[look.colours].ends
    colours = f"{ends[1]} is above 0, {ends[0]} below, black is 0" if ends else "black is 0 and below"
    scale = (
        f"one scale for all, to {look.limit:.3g}, which one position in two hundred exceeds"
        if look.limit is not None
        else "a scale for each, so that brightness of two cannot be compared"
    )
    parts = [
        f"{some} channels of {maps.layer}, {PARTS.need(maps.part).title}, {height} × {width} positions each, by "
        f"{ORDERS.need(look.order).title}; below each its number and "
        f"{'evidence' if look.order in (EVIDENCE, AGAINST) else 'maximum'}. Colours: {colours}; {scale}."
    ]
    if maps.evidence is not None:
        parts.append(
            f"Evidence for {maps.logit} (logit {maps.score:.3g}): the sum over positions of value times the logit's "
            "gradient there. Of the last layer, where only means and a linear layer follow, it is what the channel "
            "adds to the logit, exactly; below it is a first approximation."
        )
    return widgets.escape(" ".join([*parts, "A click enlarges a map."]))


def _enlarged(shown: Shown, chosen: Chosen, maps: FeatureMaps, look: _Look) -> None:
    """The chosen channel's map over what the network saw, and where this image stands among those of the set."""
    st.subheader("One map")
    with st.container(width=240):
        place = Place(maps.layer, choose_channel(maps.n_channels, int(maps.order(look.order)[0])))
    values = maps.need(place.channel)
    left, right = st.columns([1.2, 1], gap="large")
    with left:
        _over_the_picture(shown, chosen, maps, place, look)
    with right:
        with st.container(horizontal=True, gap="medium"):
            st.metric("Maximum", f"{values.max():.3g}", width="content", help="Over the positions of this map.")
            st.metric("Mean", f"{values.mean():.3g}", width="content")
            if maps.evidence is not None:
                st.metric(
                    "Evidence", f"{maps.evidence[place.channel]:+.3g}", width="content", help=f"For {maps.logit}."
                )
        _among_others(shown, maps, place)
        st.button(
            f"All of channel {place.channel}", icon=":material/arrow_forward:", on_click=go,
            args=(place.layer, place.channel), help="Images that excite it, its classes, who reads it.",
        )  # fmt: skip


def _over_the_picture(shown: Shown, chosen: Chosen, maps: FeatureMaps, place: Place, look: _Look) -> None:
    values, preprocessing = maps.need(place.channel), shown.model.spec.preprocessing
    note = f"{values.min():.3g} to {values.max():.3g}, scaled to its own extreme"
    seen = picture_link(preprocessing.visible(chosen.picture), SIDE, small=False)
    heat = heat_link(values, seen, False, look.colours)
    lay_over(
        [
            Overlay("network input", f"{preprocessing.crop} px, as the network gets it", seen.file, "", chosen.name),
            Overlay(
                f"channel {place.channel}", note, seen.file, heat, f"map of channel {place.channel} over {chosen.name}",
            ),
        ],
        "map over the picture", 2,
    )  # fmt: skip


def _among_others(shown: Shown, maps: FeatureMaps, place: Place) -> None:
    if maps.part != OUTPUT:
        st.caption("What a set answers is measured of outputs alone: choose the output to see where this image stands.")
        return
    told = measured_when_asked(shown)
    if told is None:
        st.caption("Then this shows how strongly the images of the set excite it, and where this one stands.")
        return
    layer = told.layer(place.layer)
    counts, edges = layer.histogram(place.channel)
    mark = {"this image": float(np.max(maps.need(place.channel)))}
    widgets.chart(drawn(figures.histogram, counts, edges, mark), "this image among others")
    share = maps.share_below(layer, place.channel)
    st.caption(
        f"The maxima of {told.n_images:,} images; {share:.1%} of them excite the channel less than this one does."
    )
