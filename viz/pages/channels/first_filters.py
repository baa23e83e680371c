"""The filters of the first layer as pictures with their waves, and the kernels of later layers."""

import streamlit as st

from features.channels import FILTER_ORDERS, STEM, Filters, convolutions
from features.channels.maps import INDEX
from features.errors import FeatureError
from features.rasters import magnify
from viz import widgets
from viz.cached.channel_pictures import (
    SHEET_COLUMNS,
    filters_of,
    filters_on_a_sheet,
    kernels_of,
    kernels_on_a_sheet,
)
from viz.cached.channels import layers_of
from viz.cached.made import drawn, made
from viz.components import picture_grid
from viz.components.point_map import media_address
from viz.figures import channels as figures
from viz.pages.channels.place import choose_layer, go
from viz.picking import held
from viz.picking.shown import Shown

ORDER, FILTER, KERNELS = "filters by", "filter", "kernels"
TALLEST, LARGE = 420, 168


def show(shown: Shown) -> None:
    """All filters in an order, the chosen one enlarged, all of them by frequency and orientation."""
    model = shown.model
    filters = filters_of(model.key, model)
    count = len(filters.kernels)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        held.prepare(ORDER, held.among(list(FILTER_ORDERS)), INDEX)
        order = st.selectbox(
            "Sort by", list(FILTER_ORDERS), key=ORDER, width=280,
            format_func=lambda name: FILTER_ORDERS.need(name).title,
        )  # fmt: skip
        held.hold(ORDER, order)
        held.prepare(FILTER, held.below(count), 0)  # another network may have fewer
        number = int(st.number_input(f"Filter, 0 to {count - 1}", 0, count - 1, step=1, key=FILTER, width=160))
        held.hold(FILTER, number)
    _sheet(filters, order)
    _chosen(shown, filters, number)
    table = made(Filters.table, filters)
    with st.popover("All of them", icon=":material/table:"):
        st.dataframe(table, hide_index=True)
        widgets.downloads(table, f"filters-{model.spec.name}")
    st.subheader("Kernels of later layers")
    held.prepare(KERNELS, held.truth, False)
    wanted = st.toggle("Show them", key=KERNELS)
    held.hold(KERNELS, wanted)
    if wanted:
        _later(shown)


def _sheet(filters: Filters, order: str) -> None:
    planes = 1 if filters.in_colour else filters.kernels.shape[1]
    numbers = [number for number in filters.order(order).tolist() for _ in range(planes)]
    titles = [_title(filters, order, number, at % planes, planes) for at, number in enumerate(numbers)]

    def pick(at: int) -> None:
        st.session_state[FILTER] = numbers[at]

    sheet = made(filters_on_a_sheet, filters, order)
    with st.container(key="filters"):
        picture_grid(
            media_address(sheet, "filters", "image/png"), SHEET_COLUMNS, list(range(len(numbers))), titles,
            "first filters", pick, TALLEST,
        )  # fmt: skip
    each = "in its colours" if filters.in_colour else "plane by plane" if planes > 1 else "in grey"
    st.caption(
        f"The {len(filters.kernels)} filters of the first convolution, {each}, as they meet the normalised input, with "
        "a batch norm behind them folded in. Mid grey is a weight of 0; of each filter the weight farthest from 0 is "
        "as bright or dark as can be, so that sizes of two cannot be compared: their norms can. A click chooses one."
    )


def _title(filters: Filters, order: str, number: int, plane: int, planes: int) -> str:
    name = f"{number}" if planes == 1 else f"{number}, plane {plane}"
    values = {
        "norm": filters.norms,
        "frequency": filters.waves.frequency,
        "orientation": filters.waves.orientation,
        "colour": filters.colour,
    }
    if order not in values:
        return name
    value = values[order][number]
    return f"{name}: {value:.0f}°" if order == "orientation" and value == value else f"{name}: {value:.2f}"


def _chosen(shown: Shown, filters: Filters, number: int) -> None:
    st.subheader(f"Filter {number}")
    waves, pictures = filters.waves, filters.pictures(number)
    left, right = st.columns([1, 1.4], gap="large")
    with left:
        with st.container(horizontal=True, gap="small"):
            for plane, picture in enumerate(pictures):
                several = len(pictures) > 1
                st.image(
                    magnify(picture, LARGE), width=LARGE // 2 if several else LARGE,
                    caption=f"plane {plane}" if several else None,
                )  # fmt: skip
        with st.container(horizontal=True, gap="medium"):
            st.metric(
                "Frequency", f"{waves.frequency[number]:.3f}", width="content",
                help="Cycles per pixel of its strongest wave, the peak of its zero-padded Fourier spectrum.",
            )  # fmt: skip
            angle = waves.orientation[number]
            st.metric(
                "Orientation", f"{angle:.0f}°" if angle == angle else "none", width="content",
                help="Of its bars, counter-clockwise: 0° lie, 90° stand.",
            )  # fmt: skip
            share = waves.share[number]
            st.metric(
                "Wave's share", f"{share:.0%}" if share == share else "none", width="content",
                help="Of its squared weights, what this one wave accounts for.",
            )  # fmt: skip
            st.metric(
                "Colour", f"{filters.colour[number]:.0%}", width="content",
                help="Of its squared weights, what differs between the planes: 0 % of a grey filter.",
            )  # fmt: skip
            st.metric("Norm", f"{filters.norms[number]:.3g}", width="content")
        if len(convolutions(shown.model, STEM)) == 1:
            st.button(
                f"All of channel {number} of the stem",
                icon=":material/arrow_forward:",
                on_click=go,
                args=(STEM, number),
            )
    with right:
        widgets.chart(drawn(figures.waves, filters, number), "waves of filters")
        st.caption(
            "Every filter by its strongest wave: the angle is that of its bars, the distance from the centre the "
            "frequency in cycles per pixel (0.5 is the finest that pixels can hold along a row), the size the norm."
        )


def _later(shown: Shown) -> None:
    layer = choose_layer(shown)
    convs = convolutions(shown.model, layer)
    if not convs:
        raise FeatureError(f"{layer} has no convolution: its branch has been left out. Choose another layer.")
    spatial = next((at for at, conv in enumerate(convs) if conv.size > (1, 1)), 0)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        at = st.selectbox(
            "Convolution", range(len(convs)), spatial, key=f"convolution of {len(convs)}", width=320,
            format_func=lambda at: f"{at + 1}: {convs[at].describe()}",
        )  # fmt: skip
        count = convs[at].outputs
        key = f"kernel of {count}"
        channel = int(st.number_input(f"Its channel, 0 to {count - 1:,}", 0, count - 1, step=1, key=key, width=180))
    kernels = kernels_of(shown.model.key, layer, at + 1, channel, shown.model)
    titles = [
        f"{plane}: {norm:.2g}" for plane, norm in zip(kernels.planes.tolist(), kernels.norms.tolist(), strict=True)
    ]
    below = _below(shown, layer) if at == 0 else None

    def pick(place: int) -> None:
        if below is not None:
            go(below, int(kernels.planes[place]))

    sheet = made(kernels_on_a_sheet, kernels)
    with st.container(key="planes"):
        picture_grid(
            media_address(sheet, "kernels", "image/png"), SHEET_COLUMNS, list(range(len(titles))), titles,
            "planes of a kernel", pick, TALLEST,
        )  # fmt: skip
    opens = f" They are channels of {below}: a click opens one." if below is not None else ""
    share = f" These hold {kernels.share:.0%} of its squared weights." if kernels.share == kernels.share else ""
    st.caption(
        f"The input channels that it reads most strongly, with the norms of their kernels: bright is above 0, dark "
        f"below, on one scale.{share}{opens} What an input channel stands for is itself learnt, so a kernel tells "
        "where it looks, not what for."
    )


def _below(shown: Shown, layer: str) -> str | None:
    """The layer whose channels a layer's first convolution reads."""
    names = layers_of(shown.model)
    return names[names.index(layer) - 1] if layer != STEM else None
