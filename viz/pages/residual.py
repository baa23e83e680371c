"""The page that shows what every residual branch adds to its shortcut."""

import plotly.graph_objects as go
import streamlit as st

from features.residual import BlockStatistics
from viz import analyses, widgets
from viz.figures import residual as figures


def render() -> None:
    """Branch statistics of every block over the image set."""
    st.title("What every branch adds")
    with widgets.show_errors():
        model, images = widgets.model(), widgets.images()
        job = analyses.residual_job(model, images)
        statistics = widgets.result(job, f"Measuring {len(images):,} images")
        plain = set(statistics.shortcuts) == {"none"}
        st.markdown(
            f"Every block of **{widgets.escape(model.spec.name)}** computes "
            + (
                "ReLU(F(x)), without a shortcut. "
                if plain
                else "ReLU(x + F(x)): x is what its shortcut hands on, F what its branch adds. "
            )
            + f"Measured over **{statistics.n_images:,}** images of {widgets.escape(images.name)}."
        )
        widgets.rejected(statistics.rejected)
        if plain:
            st.info("This is a plain network. It has no shortcuts, so there is no x to compare its branches with.")
        else:
            _figure(
                "Size of the branch relative to its shortcut",
                figures.ratio(statistics),
                "Euclidean norms over channels and places, one ratio per image; dots are medians, whiskers hold "
                "90 % of the images. Far below 1 the block refines what it is given; above 1 what it adds outweighs "
                "it, as in the first block of a stage, where a new representation begins.",
                "Jastrzębski et al. 2018, https://arxiv.org/abs/1710.04773",
            )
            _figure(
                "Direction of the branch relative to its shortcut",
                figures.cosine(statistics),
                "Near 0 the branch adds something new, above 0 it strengthens what is there, below 0 it takes "
                "away from it.",
                "read with the view of blocks as refinements, Greff et al. 2017, https://arxiv.org/abs/1612.07771",
            )
        left, right = st.columns(2)
        with left:
            _figure(
                "Values that the ReLU removes",
                figures.negative(statistics),
                f"The share of {'F(x)' if plain else 'x + F(x)'} that is below zero, over all channels, places and "
                "images; what is left is the density of the output.",
                "Glorot et al. 2011, https://proceedings.mlr.press/v15/glorot11a.html",
            )
        with right:
            _figure(
                "Dead channels",
                figures.dead(statistics),
                "Output channels that are zero at every place of every image of this set: capacity that these "
                "images do not use.",
                "Lu et al. 2019, https://arxiv.org/abs/1903.06733",
            )
        _numbers(statistics, model.spec.name)


def _figure(title: str, figure: go.Figure, reading: str, source: str) -> None:
    st.subheader(title)
    widgets.chart(figure, title)
    st.caption(f"{reading} Source: {source}")


def _numbers(statistics: BlockStatistics, name: str) -> None:
    st.subheader("The numbers")
    table = statistics.table()
    st.dataframe(table, hide_index=True)
    st.download_button(
        "Download as CSV",
        lambda: table.to_csv(index=False),
        file_name=f"branches-{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
    )
