"""How far to trust the maps on screen: the part of the Saliency page that measures them."""

from collections.abc import Sequence

import streamlit as st

from features import faithfulness
from features.faithfulness import Trial
from features.saliency import SaliencyMaps
from viz import widgets
from viz.cached.faithfulness import faithfulness_work
from viz.cached.made import drawn
from viz.figures import faithfulness as figures
from viz.picking.target import Explained

KEY, OLD_KEY = "faithfulness", "proof"  # links of before say the old one


def measured(explained: Explained, maps: Sequence[SaliencyMaps]) -> None:
    """A table of metrics and the curves of maps of one picture, once somebody wants them."""
    if OLD_KEY in st.query_params:
        st.session_state.setdefault(KEY, st.query_params.pop(OLD_KEY) == "true")
        st.query_params[KEY] = "true" if st.session_state[KEY] else "false"
    if not st.toggle("Measure how far to trust these maps", key=KEY, bind="query-params"):
        return
    chosen = explained.chosen
    work = faithfulness_work(explained.model, chosen.digest, chosen.picture, maps, chosen.durable)
    trials = widgets.awaited(work, "Taking pixels away and giving them back")
    known = faithfulness.measurable()
    titles = [known[trial.method].title for trial in trials]
    _table(trials, titles)
    names = [f"{title}, {trial.tap}" for title, trial in zip(titles, trials, strict=True)]
    curves = list(zip(names, (trial.curves for trial in trials), strict=True))
    widgets.chart(drawn(figures.curves, curves), "curves")
    name = explained.model.spec.class_name(int(maps[0].class_ids[0]))
    st.caption(
        f"The probability of {widgets.escape(name)}, {trials[0].full[0]:.1%} for the whole image, while pixels are "
        "taken away (replaced by the mean colour) or given back (to a blurred image), those first that the map shows "
        "brightest. A map that knows what matters makes insertion rise sooner than the random one, and deletion fall; "
        "but scattered holes (the random map) spoil a picture more than one large hole. One image says little: "
        "`python -m features faithfulness` measures a set. Whether a map shows what was learnt is seen at "
        "*randomised weights*. "
        "[Petsiuk et al. 2018](https://arxiv.org/abs/1806.07421), "
        "[Chattopadhay et al. 2018](https://arxiv.org/abs/1710.11063)"
    )


def _table(trials: Sequence[Trial], titles: Sequence[str]) -> None:
    rows = [
        {
            "map": title,
            "of": trial.tap,
            "deletion": trial.curves.deletion_auc[0],
            "insertion": trial.curves.insertion_auc[0],
            "drop": trial.drop[0],
            "seen through it": trial.seen[0],
            "infidelity": None if trial.infidelity is None else trial.infidelity[0],
            "sensitivity": None if trial.sensitivity is None else trial.sensitivity[0],
        }
        for title, trial in zip(titles, trials, strict=True)
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
