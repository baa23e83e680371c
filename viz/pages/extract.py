"""The page that writes the features of images to files."""

import hashlib
from pathlib import Path

import streamlit as st

from features import engine, extract, store
from features.datasets import ImageSet, need_outside
from features.datasets.decoding import batch_size
from features.devices import device_of
from features.engine import Plan
from features.errors import FeatureError
from features.networks import zoo
from features.store import Manifest
from viz import sidebar, theme, widgets
from viz.cached.extract import extract_work, preview_rows, zipped
from viz.cached.server import ask, uploads

DOWNLOAD_BYTES = 500 * 2**20  # a download is held in the server's memory
PRECISIONS = ("auto", *engine.PRECISIONS)
FORMAT_HELP = "\n".join(f"- **{entry.name}**: {entry.title}" for entry in store.FORMATS.values())


def render() -> None:
    """Choose stages and a format, see what it will take, run it, look at it, and take it away."""
    st.title("Take the features away")
    with widgets.show_errors():
        model, images = sidebar.model(), sidebar.images()
        plan, format = _settings(model)
        whole = _whole(images)
        images = sidebar.images(whole)
        size = batch_size(model.spec.preprocessing, plan.device)
        # What is asked for names the folder and the job; what is chosen may only be known once it runs.
        asked_for = extract.planned_manifest(model, images, plan, size, format)
        folder = _folder(asked_for)
        need_outside(sidebar.source(), folder)
        decided = extract.recall(model, plan, folder, size) or plan
        planned = extract.planned_manifest(model, images, decided, size, format)
        _say(planned, decided, images, folder)
        finished = _finished(planned, folder)
        work = extract_work(model, images, plan, folder, size, format)
        if finished is None and widgets.start(work, "Extract"):
            job = ask(work)
            if job.run is not None and job.run.result is not None:
                job.forget()  # somebody has taken the files away
                st.rerun()
            finished = widgets.result(job, f"Reading {len(images):,} images")
        if finished is not None:
            _result(finished, folder)


def _settings(model: zoo.Model) -> tuple[Plan, str]:
    known = engine.stages_of(model.network)
    chosen = st.session_state.get("stages")
    if chosen and not set(chosen) <= set(known):
        del st.session_state["stages"]  # the network before this one had others
    stages = st.pills(
        "Stages",
        known,
        selection_mode="multi",
        default=list(model.network.stage_names),
        key="stages",
        bind="query-params",
        help="pool is what the classifier sees, as the network itself pools; logits what it says. All chosen stages "
        "are read in one pass.",
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        pool = st.segmented_control(
            "Pooling",
            tuple(engine.POOLINGS),
            default="mean",
            key="pool",
            bind="query-params",
            required=True,
            help="How a stage's map becomes a vector; none keeps the whole map, in half precision.",
        )
        format = st.segmented_control(
            "Format", list(store.FORMATS), default=store.PARQUET, key="format", bind="query-params", required=True,
            help=FORMAT_HELP, wrap=True,
        )  # fmt: skip
        with st.popover("Settings", icon=":material/tune:"):
            precision = st.segmented_control(
                "Precision", PRECISIONS, default="auto", key="precision", bind="query-params", required=True,
                help="auto takes fp32 or bf16, whichever a short timing finds faster here. In bf16 the cosine with "
                "fp32 of a trained ResNet-18 was at least 0.9999 at layer1 to layer4 of 200 photographs.",
            )  # fmt: skip
            runner = st.segmented_control(
                "Engine", ("auto", *engine.ENGINES), default="auto", key="engine", bind="query-params", required=True,
                help="auto takes the fastest that is installed, by the same timing.",
            )  # fmt: skip
    if not stages:
        raise FeatureError("No stage is chosen. Choose at least one.")
    ordered = [name for name in known if name in stages]
    device = str(device_of(model.network))
    return engine.choose(model.network, ordered, pool, precision, device, runner), format


def _whole(images: ImageSet) -> bool:
    """Whether all images of the set are wanted, and not only the sidebar's sample."""
    whole = sidebar.images(whole=True)
    if len(whole) == len(images):
        return False
    label = f"All {len(whole):,} images of the set, not only the sample of {len(images):,}"
    return st.toggle(label, key="whole", bind="query-params")


def _folder(asked_for: Manifest) -> Path:
    kept = st.text_input(
        "Folder",
        key="out",
        bind="query-params",
        placeholder="kept by the server until it ends",
        help="On the machine that runs the app. A run that was stopped goes on there with the first part that is not "
        "finished (a part has up to 25,000 images, fewer where features are wide).",
    )
    if kept.strip():
        return sidebar.new_folder(kept)
    name = hashlib.sha256(repr(asked_for.without_results()).encode()).hexdigest()[:16]
    return uploads() / f"features-{name}"


def _say(planned: Manifest, plan: Plan, images: ImageSet, folder: Path) -> None:
    widths = ", ".join(f"{name} {theme.shape(shape)}" for name, shape in planned.shapes.items())
    st.markdown(
        f"**{len(images):,}** images of {widgets.escape(images.name)}: {widgets.escape(widths)}. "
        f"About **{theme.size(planned.bytes_in_all)}** in `{folder}`."
    )
    if plan.is_open:
        st.caption(f"On {plan.device}, in the precision and with the engine that a short timing finds fastest.")
    else:
        st.caption(f"In {plan.precision} on {plan.device} with {plan.engine}: {widgets.told(plan.why)}.")


def _finished(planned: Manifest, folder: Path) -> Manifest | None:
    """What a run of this plan wrote, if it came to its end."""
    try:
        written = store.read_manifest(folder)
    except FeatureError:
        return None
    return written if written.complete and written.without_results() == planned.without_results() else None


def _result(done: Manifest, folder: Path) -> None:
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    size = sum(path.stat().st_size for path in files)
    with st.container(horizontal=True):
        st.metric("Rows", f"{done.n_rows:,}", width="content")
        st.metric("Rejected", f"{done.n_rejected:,}", help="Images that could not be read.", width="content")
        st.metric("Images per second", f"{done.images_per_second or 0:,.0f}", width="content")
        st.metric("On disk", theme.size(size), width="content")
    if done.sampled:
        st.info("The Projector draws at most 100,000 points: these are a sample, each class with its share.")
    if size <= DOWNLOAD_BYTES:
        st.download_button(
            "Download all files (zip)",
            lambda: zipped(folder),
            file_name=f"features-{done.settings['model']}.zip",
            mime="application/zip",
            icon=":material/download:",
            on_click="ignore",
        )
    else:
        st.caption(f"Too large to send through the browser. The files lie in `{folder}`.")
    st.subheader("The first rows")
    preview = preview_rows(str(folder), (folder / store.MANIFEST).stat().st_mtime)
    st.dataframe(
        preview,
        hide_index=True,
        column_config={
            "confidence": st.column_config.NumberColumn(format="percent"),
            **{name: st.column_config.BarChartColumn(help=f"{theme.shape(shape)} values, the first of them")
               for name, shape in done.shapes.items()},
        },
    )  # fmt: skip
    with st.expander("Read it in Python"):
        st.code(
            f"from features.store import open_features\n\nopened = open_features({str(folder)!r})\n"
            f"opened.ids, opened.labels, opened.predictions\nopened.stages[{next(iter(done.shapes))!r}]  # (N, ...)",
            language="python",
        )
    with st.expander("What made it"):
        st.json({**done.settings, **done.made_with})
