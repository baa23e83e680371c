"""How far to trust the maps on screen."""

from collections.abc import Sequence

import streamlit as st

from features.saliency import SaliencyMaps
from viz import widgets
from viz.cached.faithfulness import faithfulness_job
from viz.figures import saliency as figures
from viz.pages.saliency.asking import ABOUT, Asked


def prove(asked: Asked, maps: Sequence[SaliencyMaps]) -> None:
    if not st.toggle("Measure how far to trust these maps", key="proof", bind="query-params"):
        return
    job = faithfulness_job(asked.model, asked.chosen.digest, asked.chosen.picture, maps)
    trials = widgets.result(job, "Taking pixels away and giving them back")
    rows = [
        {
            "map": ABOUT[trial.method].title if trial.method in ABOUT else trial.method,
            "of": trial.tap,
            "deletion": trial.curves.deletion_auc[0],
            "insertion": trial.curves.insertion_auc[0],
            "drop": trial.drop[0],
            "seen through it": trial.seen[0],
            "infidelity": None if trial.infidelity is None else trial.infidelity[0],
            "sensitivity": None if trial.sensitivity is None else trial.sensitivity[0],
        }
        for trial in trials
    ]
    st.dataframe(rows, hide_index=True, column_config={
        "deletion": st.column_config.NumberColumn("deletion AUC", format="%.3f", help="Small is good."),
        "insertion": st.column_config.NumberColumn("insertion AUC", format="%.3f", help="Large is good."),
        "drop": st.column_config.NumberColumn("drop", format="percent", help="Of the probability, relative to it."),
        "seen through it": st.column_config.NumberColumn("probability through the map", format="percent"),
        "infidelity": st.column_config.NumberColumn(format="%.3g", help="Of captum's, small is good: how badly the "
            "map foretells what noise on the input does to the probability."),
        "sensitivity": st.column_config.NumberColumn(format="%.3g", help="Of captum's, small is good: how much the map "
            "changes when the input hardly does. Only of methods that take a moment."),
    })  # fmt: skip
    first, name = trials[0], asked.model.spec.class_name(int(maps[0].class_ids[0]))
    names = [f"{row['map']}, {row['of']}" for row in rows]
    widgets.chart(figures.curves(list(zip(names, (trial.curves for trial in trials), strict=True))), "curves")
    st.caption(
        f"The probability of {widgets.escape(name)}, {first.full[0]:.1%} for the whole image, while pixels are taken "
        "away (replaced by the mean colour) or given back (to a blurred image), those first that the map shows "
        "brightest. A map that knows what matters makes insertion rise sooner than the random one, and deletion fall; "
        "but scattered holes (the random map) spoil a picture more than one large hole. One image says little: "
        "`python -m features faithfulness` measures a set. Whether a map shows what was learnt is seen at "
        "*randomised weights*. "
        "[Petsiuk et al. 2018](https://arxiv.org/abs/1806.07421), "
        "[Chattopadhay et al. 2018](https://arxiv.org/abs/1710.11063)"
    )
