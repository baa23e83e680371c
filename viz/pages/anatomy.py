"""The page that shows what a network is."""

from pathlib import Path
from typing import Any

import streamlit as st

from features.networks import naming
from features.networks.anatomy import Anatomy, anatomy
from features.networks.card import ModelSpec
from features.networks.naming import NetworkName
from viz import sidebar, theme, widgets
from viz.cached.card import card_of, file_digest
from viz.cached.made import drawn
from viz.fields import as_fields
from viz.figures import anatomy as figures

STORY = """
A **residual network** (He, Zhang, Ren and Sun, Microsoft Research, 2015) is a chain of blocks that each
compute **ReLU(x + F(x))**. The *branch* F is two or three convolutions, each followed by batch
normalisation; the *shortcut* hands x on unchanged. A block that has nothing to add can leave its branch
near zero, and gradients reach early layers through the shortcuts, so networks of 50, 100 and more layers
train well where plain ones get worse with depth. Where the number of channels or the resolution changes,
the shortcut is a 1×1 convolution (*projection*, option B) or takes every second pixel and pads new
channels with zeros (*padding*, option A). A *stem* comes before the blocks; after them, pooling over
all of space (nearly always the average) and one fully connected layer make the logits.
"""


def render() -> None:
    """Show the chosen network's stages and blocks, its size, and how it was trained."""
    st.title("What this network is")
    with widgets.show_errors():
        spec = sidebar.spec()
        built = anatomy(spec.architecture, spec.preprocessing.crop)
        card = card_of(spec, str(spec.file), spec.file.stat().st_mtime) if spec.file else None
        _headline(spec, built, card)
        if sidebar.named().weights is not None:
            _file()
        widgets.chart(drawn(figures.network, built), "network")
        st.caption(
            "Each row is a stage and each box a block; the arch is its shortcut. Under a stage's name: channels × "
            "height × width after it. Point at a block for its layers."
        )
        st.markdown(STORY)
        _one_block(built)
        _details(spec, built, card)


def _headline(spec: ModelSpec, built: Anatomy, card: dict[str, Any] | None) -> None:
    st.markdown(
        f"**{widgets.escape(spec.name)}** · {widgets.escape(spec.family)} · weights: {widgets.told(spec.source)}"
    )
    if spec.assumed:
        guesses = "".join(f"\n- {widgets.told(guess)}" for guess in spec.assumed)
        st.warning(
            f"Assumed, since the file does not say; “...” are fields at the side:\n{guesses}", icon=":material/help:"
        )
    cells = {
        "Layers": str(spec.architecture.depth),
        "Parameters": theme.count(built.parameters),
        "GFLOPs per image": f"{built.macs / 1e9:.3f}",
        "Receptive field": f"{built.receptive_field} px",
        "Input": f"{spec.preprocessing.crop} px, {'grey' if spec.preprocessing.channels == 1 else 'RGB'}",
        "Classes": str(len(spec.classes) or "no head"),
    }
    if card is not None and card["test"] is not None:  # which a network without a head has not
        cells["Test accuracy"] = f"{card['test']['accuracy']:.2%}"
    helps = {
        "Layers": "Weighted layers on the longest path.",
        "GFLOPs per image": "A multiplication and an addition counted as one, as in He et al. 2015.",
        "Receptive field": "Side of the square of input pixels that one position before the head can see. It "
        "may exceed the image.",
        "Test accuracy": "On the whole test set, which was never trained on.",
    }
    with st.container(horizontal=True):
        for label, value in cells.items():
            st.metric(label, value, help=helps.get(label), width="content")


def _choose_part(parts: list[str], titles: dict[str, str]) -> None:
    """Which network of a file with several is taken: as the field at the side, which it fills."""

    def take() -> None:
        chosen = st.session_state["part_of_file"]
        st.session_state["part"] = "" if chosen == parts[0] else chosen

    typed = (st.session_state.get("part") or "").strip()
    ending = [part for part in parts if typed and f".{part}".endswith(f".{typed}")]
    st.session_state["part_of_file"] = typed if typed in parts else [*ending, parts[0]][0]
    st.selectbox(
        f"Of the {len(parts)} networks in this file",
        [parts[0], *(part for part in parts[1:] if part)],  # what has no name cannot be named
        format_func=titles.__getitem__, key="part_of_file", on_change=take,
        help="'Part' at the side says the same. The first is taken where nothing is said.",
    )  # fmt: skip


def _choose_head(heads: list[str], usual: str) -> None:
    """Which head of a network with several is taken: as the field at the side, which it fills."""
    from features.networks.parts import is_called

    def take() -> None:
        chosen = st.session_state["head_of_file"]
        st.session_state["head"] = "" if chosen == usual else chosen

    typed = (st.session_state.get("head") or "").strip()
    fitting = [head for head in heads if typed and is_called(head, typed)]
    st.session_state["head_of_file"] = [*fitting, usual][0]
    st.selectbox(
        f"Of the {len(heads)} heads of this network",
        heads if usual else ["", *heads],
        format_func=lambda head: head or "none: its features alone", key="head_of_file", on_change=take,
        help="'Head' at the side says the same. The first is taken where nothing is said, but none where no name tells "
        "which one it is.",
    )  # fmt: skip


def _choices_in(weights: Path, part: str | None) -> None:
    """Boxes for the network and the head, where a file has several."""
    from viz.cached.networks import heads_of, parts_of

    stamp = weights.stat().st_mtime
    parts = parts_of(str(weights), stamp)
    if len(parts) > 1:
        _choose_part([part for part, *_ in parts], {
            part: f"{part or 'at the top'} ({theme.count(numbers)}{', a copy' if copy else ''})"
            for part, _, numbers, copy in parts
        })  # fmt: skip
    heads, usual = heads_of(str(weights), stamp, part) if parts else ([], "")
    if len(heads) > 1:
        _choose_head(heads, usual)


def _contents(name: NetworkName) -> None:
    """What lies in the file, and the command that uses the network as it is taken here."""
    from viz.cached.networks import contents_of

    shown = st.expander("What lies in the file", key="contents", bind="query-params")
    if shown.open:
        with shown, widgets.show_errors():
            lines = contents_of(str(name.weights), name.weights.stat().st_mtime, name.head) if name.weights else []
            st.code(as_fields("\n".join(lines)), language=None, wrap_lines=True)
            st.caption("The same network on the command line:")
            st.code(f"python -m features extract SOURCE {naming.as_options(name)} --out DIR", language="bash")


def _file() -> None:
    """What lies in a file of one's own, and what statistics say of what it does not say."""
    from features.networks.hypotheses import DECISIVE, FITS, MISSES  # PyTorch with them

    model, name = sidebar.model(), sidebar.named()
    assert name.weights is not None
    _choices_in(name.weights, name.part)
    _contents(name)
    verdict = model.verdict
    if verdict is None or not verdict.structures:
        return
    for tested in verdict.chosen:
        st.success(
            f"Found by the statistics of its norms: {widgets.told(str(tested))}.",
            icon=":material/fingerprint:",
        )
    with st.expander("What the statistics of its norms say"):
        st.caption(
            "How far what each batch norm is given on eight of the images is from what it was given in training: the "
            "mean over most channels of the Kullback-Leibler divergence, less what chance does, averaged over layers, "
            f"in nats. What is assumed is given up where it is {MISSES} or more and something else is below {FITS} and "
            f"{DECISIVE} times nearer. What was far behind was looked at on three images only."
        )
        st.dataframe(
            [
                {"what": kind, "taken as": each.hypothesis.title, "nats": each.nats, "on all images": each.whole,
                 "set by": as_fields("; ".join(f"--{name} {text}" for name, text in each.hypothesis.settings))}
                for kind, rows in (("pixels", verdict.pixels), ("structure", verdict.structures))
                for each in rows
            ],
            hide_index=True,
        )  # fmt: skip


def _one_block(built: Anatomy) -> None:
    st.subheader("Inside one block")
    blocks = {part.name: part for part in built.parts if part.shortcut}
    name = st.selectbox("Block", list(blocks), key="block", bind="query-params", width=220)
    part = blocks[name]
    widgets.chart(drawn(figures.block, part), "block_figure")
    if part.shortcut == "none":
        st.caption("This is a plain network: the branch's output goes on alone, and nothing is added to it.")


def _details(spec: ModelSpec, built: Anatomy, card: dict[str, Any] | None) -> None:
    st.subheader("Where the parameters and the work are")
    widgets.chart(drawn(figures.budget, built), "budget")
    numbers = st.expander("Every part in numbers", key="parts", bind="query-params")
    if numbers.open:  # the browser loads a table's code, a large part, only then
        with numbers:
            _table(built)
    st.caption(f"Preprocessing: {spec.preprocessing.describe()}. {_origin(spec)}")
    if card is not None:
        st.subheader("How it was trained")
        if card.get("head"):  # of the weights that it began with
            st.caption(widgets.escape(card["head"]))
        widgets.chart(drawn(figures.training_curve, card["curve"]), "curve")


def _table(built: Anatomy) -> None:
    st.dataframe(
        [
            {
                "part": part.name,
                "input": theme.shape(part.inputs),
                "output": theme.shape(part.outputs),
                "layers": " · ".join(part.layers).replace("->", " → "),
                "shortcut": part.shortcut,
                "parameters": part.parameters,
                "MFLOPs": part.macs / 1e6,
                "receptive field, px": part.receptive_field or None,
            }
            for part in built.parts
        ],
        column_config={
            "parameters": st.column_config.NumberColumn(format="localized"),
            "MFLOPs": st.column_config.NumberColumn(format="%.2f"),
        },
        hide_index=True,
    )


def _origin(spec: ModelSpec) -> str:
    if spec.file is None:
        return "The weights are not on this machine; they are fetched when another page needs them."
    return f"Weights' SHA-256: {file_digest(str(spec.file), spec.file.stat().st_mtime)[:16]}…"
