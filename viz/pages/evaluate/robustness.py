"""How far the network stays right on worse pictures, beside others: corruptions and attacks."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from features.errors import FeatureError
from features.evaluate import Evaluation
from features.networks import catalogue
from features.networks.zoo import Model
from features.robustness import FAMILIES, NORMS, Robustness
from viz import sidebar, widgets
from viz.cached.made import drawn, made
from viz.cached.robustness import attack_work, robustness_work
from viz.figures import robustness as figures
from viz.picking.shown import Shown

ACROSS = 3  # figures
CORRUPTIONS = "corruptions"
OTHERS, KINDS, FAMILY = "beside", "worse by", "corrupted by"  # in links


def show(shown: Shown, evaluation: Evaluation) -> None:
    """What makes pictures worse, the networks beside the chosen one, and how accuracy falls."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.segmented_control(
            "Worse by", (CORRUPTIONS, *NORMS), default=CORRUPTIONS, key=KINDS, bind="query-params", required=True,
            format_func=lambda name: name if name == CORRUPTIONS else f"{name} attack",
        )  # fmt: skip
        models = _models(shown.model)
    if kind == CORRUPTIONS:
        _corruptions(shown, models, evaluation.labels_matched)
    else:
        _attack(shown, models, str(kind), evaluation.labels_matched)


def _models(model: Model) -> list[Model]:
    """The chosen network, then those beside it."""
    asked = st.session_state.get(OTHERS) or []
    names = st.multiselect(
        "Networks beside the chosen one", list(dict.fromkeys([*catalogue.here(), *asked])), key=OTHERS,
        bind="query-params", accept_new_options=True, max_selections=5,
        help="Type others: a path of weights on the machine that runs the app, or a network with a lesion.",
    )  # fmt: skip
    others = [sidebar.typed(name) for name in names]
    return [model, *(each for each in others if each.key != model.key)]


def _corruptions(shown: Shown, models: Sequence[Model], way: str) -> None:
    families = tuple(
        st.multiselect(
            "Corruptions", list(FAMILIES), default=list(FAMILIES), key=FAMILY, bind="query-params",
            format_func=lambda name: FAMILIES[name].title,
        )
    )  # fmt: skip
    if not families:
        raise FeatureError("No corruption is chosen. Choose at least one.")
    work = robustness_work(models, shown.images, families, way)
    if not widgets.start(work, f"Corrupt {len(shown.images):,} images"):
        return
    told = widgets.awaited(work, f"Predicting {len(shown.images):,} corrupted images")
    for start in range(0, len(families), ACROSS):
        for column, name in zip(st.columns(ACROSS), families[start : start + ACROSS], strict=False):
            with column:
                widgets.chart(drawn(figures.corruption, told, name, FAMILIES[name].title), f"corruption {name}")
    st.caption(
        "Accuracy at five strengths, the mildest first, with 95 % intervals (Wilson 1927). The square that a network "
        "sees is corrupted, after it was scaled and cut, so that a strength is the same for every picture; what is "
        "drawn is the same for all networks. Noise, blur, contrast and JPEG as strong as [Hendrycks & Dietterich "
        "2019](https://arxiv.org/abs/1903.12261), of CIFAR up to 64 pixels."
    )
    table = made(summary, told)
    percent = st.column_config.NumberColumn(format="percent")
    st.dataframe(table, hide_index=True, column_config=dict.fromkeys(table.columns[1:], percent))
    st.caption(
        "Mean corruption error: the errors of each family in sum, over the network's own error on the images as they "
        "are once for each strength, or over the errors of the first network as their paper has it; then the mean over "
        "families."
    )
    rows = made(_rows, told)
    widgets.downloads(rows, f"corruptions-{shown.model.spec.name}")


def summary(told: Sequence[Robustness]) -> pd.DataFrame:
    """One row per network. Errors over the first network's where there are several."""
    rows = []
    for each in told:
        own = each.as_dict()
        row = {
            "network": each.network, "as they are": each.clean.value, "mean error": each.mean_error,
            "error over its own": own["mean_corruption_error"],
        }  # fmt: skip
        if len(told) > 1:
            over = each.as_dict(told[0])
            row |= {
                f"over {told[0].network}'s": over["mean_corruption_error"],
                "rise over its": over["relative_mean_corruption_error"],
            }
        rows.append(row)
    return pd.DataFrame(rows)


def _rows(told: Sequence[Robustness]) -> pd.DataFrame:
    return pd.concat([each.table() for each in told], ignore_index=True)


def _attack(shown: Shown, models: Sequence[Model], norm: str, way: str) -> None:
    work = attack_work(models, shown.images, norm, way)
    if not widgets.start(work, f"Attack {len(shown.images):,} images"):
        return
    told = widgets.awaited(work, f"Attacking {len(shown.images):,} images")
    widgets.chart(drawn(figures.attack, told, f"Attacked: {NORMS[norm].title}"), f"attack {norm}")
    st.caption(
        f"Accuracy on the worst picture that {told[0].steps} steps of projected gradient descent come to within each "
        "radius of every image, from a drawn start ([Madry et al. 2018](https://arxiv.org/abs/1706.06083)). A stronger "
        "attack can only find worse ones: these are upper bounds."
    )
    table = pd.concat([each.table() for each in told], ignore_index=True)
    widgets.downloads(table, f"attack-{norm}-{shown.model.spec.name}")
