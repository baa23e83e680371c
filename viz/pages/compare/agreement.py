"""Who of two networks is right where the other is wrong, down to single images."""

import pandas as pd
import streamlit as st

from features.compare import Drawing, Gallery, LookSettings, Pair, drawn
from viz import widgets
from viz.cached.compare import gallery_work
from viz.pages.compare.shown import Shown
from viz.picking.tiles import tiles
from viz.reports.compare import words

CELL, WITH_MAPS = "right", "looking"  # in links
SHOWN, MAPPED = 36, 12


def show(shown: Shown, pair: Pair) -> None:
    """Every two networks where there are more, then these two, and the images by who is right."""
    if len(shown.told.contenders) > 2:
        _all_pairs(shown)
    st.subheader(widgets.escape(words.pair(pair)))
    st.markdown(widgets.escape(words.verdict(pair)))
    with st.container(horizontal=True, gap="medium"):
        for name, value, meaning in words.facts(pair.agreement):
            st.metric(name, value, width="content", help=meaning)
    _images(shown, pair)


def _all_pairs(shown: Shown) -> None:
    """What is counted of every two networks, as a table."""
    rows = [
        {
            "network": each.first, "beside": each.second,
            "difference": f"{100 * each.agreement.difference:+.2f} points",
            "McNemar's p": f"{each.agreement.p_value:.2g}", "among all": f"{each.p_value:.2g}",
            "right alone": each.agreement.second_only, "the other alone": each.agreement.first_only,
            "other classes": f"{each.agreement.churn:.1%}", "kappa": f"{each.agreement.kappa:.2f}",
        }
        for each in shown.told.pairs
    ]  # fmt: skip
    with st.expander(f"All {len(rows)} pairs", icon=":material/table_rows:"):
        st.dataframe(pd.DataFrame(rows), hide_index=True)
        widgets.downloads(words.pair_table(shown.told), "pairs")


def _images(shown: Shown, pair: Pair) -> None:
    """Images by who is right; a click selects them for all pages."""
    one, other = shown.both(pair)
    by_right = words.by_right(shown.told, pair)
    titles = words.cells(pair)
    cell = st.segmented_control(
        "Right of", words.BY_RIGHT, default=words.BY_RIGHT[0], key=CELL, bind="query-params", required=True, wrap=True,
        format_func=lambda name: f"{titles[name]} ({len(by_right[name]):,})",
    )  # fmt: skip
    rows = by_right[cell or words.BY_RIGHT[0]]
    if not len(rows):
        st.caption("There are none.")
        return
    ids = [shown.told.ids[row] for row in rows]
    with st.container(horizontal=True, vertical_alignment="center"):
        shown.offer_selection(ids, "select by right")
        mapped = st.toggle("Where they look", key=WITH_MAPS, bind="query-params")
    if mapped:
        first, second = (shown.models[number] for number in shown.numbers(pair))
        chosen = shown.rows_of(ids[:MAPPED]).tolist()
        work = gallery_work(first, second, shown.images, chosen, LookSettings())
        side_by_side(pair, widgets.awaited(work, f"Looking at {len(chosen)} images"), len(ids))
        return
    texts = [" | ".join(words.answers(one, other, shown.told.labels[row], row)) for row in rows[:SHOWN]]
    tiles(shown.images, shown.rows_of(ids[:SHOWN]), texts, "disagreements")
    st.caption(widgets.escape(f"{words.below(pair)}{_first(SHOWN, len(ids))}"))


def side_by_side(pair: Pair, made: Gallery, total: int) -> None:
    """Images with both networks' saliency on one scale. total: of how many they are the first."""
    widgets.rejected(made.rejected)
    with st.container(horizontal=True, gap="medium", key="side by side"):
        for each in made.pairs:
            with st.container(width=272, gap=None):
                with st.container(horizontal=True, gap="small", wrap=False):
                    for picture, sight in zip(drawn(each, made.tap, Drawing()), each.sights, strict=True):
                        said = f"{sight.class_name} {sight.confidence:.0%}"
                        st.image(picture, width=124, caption=widgets.escape(said))
                st.caption(widgets.escape(words.below_maps(each)))
    st.caption(widgets.escape(f"{words.maps_of(pair)}{_first(len(made.pairs), total)}"))


def _first(shown: int, total: int) -> str:
    return f" The first {shown} of {total:,}." if total > shown else ""
