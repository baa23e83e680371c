"""A picture that gradient ascent finds for a channel, beside what excites it among the images of the set."""

import streamlit as st

from features import rasters
from features.channels import GOALS, Ascent, Channels, Maximised
from features.channels.maximisation import MAX_STEPS, MEAN, STEPS
from viz import widgets
from viz.cached.channel_pictures import maximisation_work
from viz.cached.made import drawn
from viz.cached.patches import SHEET_COLUMNS, patch_sheet_work
from viz.components import picture_grid
from viz.components.point_map import media_address
from viz.figures import channels as figures
from viz.pages.channels.place import Place, choose, go, measured_of, measured_when_asked
from viz.picking import held
from viz.picking.shown import Shown

GOAL, STEP_COUNT, SEED, SHAKEN = "goal", "steps", "seed", "shaken"
SEEDS, TALLEST, SIDE = 2**32, 420, 320


def show(shown: Shown) -> None:
    """How a picture is sought, the picture, and the real patches."""
    place, ascent = choose(shown), _choose_ascent()
    left, right = st.columns(2, gap="large")
    with right:
        _patches(shown, place)
    with left:
        st.subheader("Found by gradient ascent")
        work = maximisation_work(shown.model, place.layer, place.channel, ascent)
        if not widgets.start(work, f"Seek a picture for channel {place.channel} of {place.layer}"):
            return
        made: Maximised | None = widgets.arriving(work, "Seeking a picture")
        if made is not None:
            _sought(shown, made)


def _choose_ascent() -> Ascent:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        held.prepare(GOAL, held.among(list(GOALS)), MEAN)
        goal = st.selectbox("Raise", list(GOALS), key=GOAL, width=260, format_func=lambda name: GOALS.need(name).title)
        held.hold(GOAL, goal)
        held.prepare(STEP_COUNT, lambda text: held.below(MAX_STEPS + 1)(text) or None, STEPS)
        steps = int(st.number_input("Steps", 1, MAX_STEPS, step=64, key=STEP_COUNT, width=140))
        held.hold(STEP_COUNT, steps)
        held.prepare(SEED, held.below(SEEDS), 0)
        seed = int(
            st.number_input(
                "Seed", 0, SEEDS - 1, step=1, key=SEED, width=140,
                help="Another seed begins elsewhere and finds another picture: there is more than one.",
            )
        )  # fmt: skip
        held.hold(SEED, seed)
        held.prepare(SHAKEN, held.truth, True)
        shaken = st.toggle(
            "Shake it", key=SHAKEN,
            help="Each step sees the picture shifted, scaled and turned by chance, so that what is found does not "
            "depend on single pixels.",
        )  # fmt: skip
        held.hold(SHAKEN, shaken)
    return Ascent(goal, steps, seed, shaken)


def _sought(shown: Shown, made: Maximised) -> None:
    told = measured_of(shown)
    picture = rasters.magnify(made.picture, SIDE)
    st.image(picture, width=SIDE)
    st.caption(_meaning(made, told))
    highest = None if told is None else GOALS[made.ascent.goal].best(told.layer(made.layer), made.channel)
    widgets.chart(drawn(figures.ascent, made.curve, made.reached, highest), "ascent")
    st.download_button(
        "Download the picture", lambda: rasters.png(made.picture), mime="image/png", icon=":material/download:",
        file_name=f"{made.layer}-{made.channel}-{made.ascent.goal}-seed{made.ascent.seed}-{shown.model.spec.name}.png",
        on_click="ignore",
    )  # fmt: skip


def _meaning(made: Maximised, told: Channels | None) -> str:
    reached = f"It raises {GOALS[made.ascent.goal].title} from {made.start:.3g} to {made.reached:.3g}"
    if told is not None:
        times = made.beside(told.layer(made.layer))
        compared = f"{times:.3g} times the most that any of {told.n_images:,} images reaches"
        reached += f", {compared}" if times == times else "; none of the images excites the channel at all"
    return (
        f"{reached}. This is not what the network sees, nor an image that it was trained on: it is one of many "
        "pictures that drive this one channel up, made by gradient ascent in Fourier space (Olah et al. 2017, "
        "[Feature Visualization](https://doi.org/10.23915/distill.00007)), and it may excite the channel more than "
        "any real image does."
    )


def _patches(shown: Shown, place: Place) -> None:
    """What excites the channel most among the images, as squares."""
    st.subheader("What excites it in real images")
    told = measured_when_asked(shown)
    if told is None:
        st.caption("Then this shows what of real images excites the channel most, and how the picture compares.")
        return
    top = told.layer(place.layer).top
    rows, positions = top.rows[place.channel], top.positions[place.channel]
    work = patch_sheet_work(shown.model, shown.images, place.layer, rows.tolist(), positions)
    sheet = widgets.arriving(work, "The patches")
    if sheet is None:
        return
    titles = [f"{value:.3g}" for value in top.values[place.channel].tolist()]
    address = media_address(sheet, f"patches of {place.layer} {place.channel}", "image/jpeg")
    with st.container(key="real patches"):
        picture_grid(
            address, SHEET_COLUMNS, list(range(len(titles))), titles, "patches beside the picture",
            lambda at: go(place.layer, place.channel), TALLEST,
        )  # fmt: skip
    st.caption(
        "The receptive fields of the highest maxima of the set, with their values; a click opens the channel. At a "
        "layer whose positions see the whole picture they are whole pictures."
    )
