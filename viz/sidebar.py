"""What is chosen once for all pages, at the side: the network and the images."""

import hashlib
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from features import files
from features.errors import DatasetError, FeatureError, WeightsError
from features.networks import catalogue, hub_configs
from features.networks.card import ModelSpec
from features.networks.naming import NetworkName
from features.networks.settings import SETTINGS, Setting
from features.sources import EXTENSIONS, SAMPLE
from viz import widgets
from viz.cached import warm_up
from viz.cached.server import uploads

if TYPE_CHECKING:
    from PIL.Image import Image

    from features.datasets import ImageSet
    from features.networks.zoo import Model

FILE = "a file of mine"
TIMM = "a network of timm's"
FOLDER = "a folder or zip of mine"
AS_READ = "what the file says"
ROOTS = "RESNET_EXPLORER_ROOTS"
IMAGE_LIMITS = (100, 300, 1000, 3000, 10_000)


def show() -> None:
    """Choose the network and the image set, once for all pages; both live in the URL."""
    with st.sidebar:
        _network()
        _images()
        _device()


def _network() -> None:
    names = [*catalogue.names(), TIMM, FILE]
    asked = st.query_params.get("model")
    if asked is not None and asked not in names:
        st.warning(f"There is no network called {widgets.escape(asked)} to choose here.", icon=":material/help:")
    st.selectbox(
        "Network",
        names,
        key="model",
        bind="query-params",
        help="Bundled networks come first, then torchvision's. Those that are not on this machine yet are "
        "fetched when chosen.",
    )
    if st.session_state["model"] == TIMM:
        st.text_input(
            "Name",
            key="timm",
            bind="query-params",
            placeholder="resnet50d.ra2_in1k",
            help="One of timm's ResNet family, with or without the tag of its weights. "
            "`python -m features models --timm` lists them.",
        )
    if st.session_state["model"] == FILE:
        _file()
    st.text_input(
        "Lesion",
        key="network_lesion",
        bind="query-params",
        placeholder="none, or without:layer3.1",
        help="What is done to the network, on every page: without:BLOCK (several with commas), scaled:FACTOR:BLOCK or "
        "swapped:BLOCK:BLOCK.",
    )


def _file() -> None:
    """A file of weights, and what it does not say itself."""
    st.text_input(
        "Path of the weights",
        key="weights",
        bind="query-params",
        placeholder="~/checkpoints/resnet50.pth",
        help="A file of weights on the machine that runs the app, as PyTorch or safetensors write it, whatever it is "
        "called. Nothing in it is run.",
    )
    _keep_upload("or upload them", None, "weights", multiple=False)
    st.selectbox(
        "Read as",
        [AS_READ, *catalogue.architectures()],
        key="architecture",
        bind="query-params",
        accept_new_options=True,
        help="Files without a description say their shapes, but not all: a plain network has the tensors of "
        "a ResNet with padding shortcuts. One of timm's can be typed: timm:resnet50d.",
    )
    st.text_input(
        "Part",
        key="part",
        bind="query-params",
        placeholder="the main one",
        help="Which network of a file with several, as an encoder and its momentum copy. The first page lists them.",
    )
    st.text_input(
        "Head",
        key="head",
        bind="query-params",
        placeholder="the first one",
        help="Which head of a network with several, as one for ages and one for names. The first page lists them.",
    )
    with st.expander("What the file does not say", key="said", bind="query-params"):
        st.caption(
            "What is left open is read where it is written, tested on the images by what its norms keep, or assumed."
        )
        for setting in SETTINGS:
            _setting(setting)


def _setting(setting: Setting) -> None:
    key = _key(setting)
    if setting.values:
        st.selectbox(  # links hold what is shown, so that is what the command line takes too
            setting.title,
            list(setting.values),
            key=key,
            bind="query-params",
            index=None,
            placeholder="not said",
            help="\n".join([setting.meaning, "", *(f"- {value}: {words}" for value, words in setting.values.items())]),
        )
    else:
        st.text_input(
            setting.title, key=key, bind="query-params", placeholder=f"not said, e.g. {setting.example}",
            help=setting.meaning,
        )  # fmt: skip


def as_fields(text: str) -> str:
    """A text that names options of the command line, with what their fields are called here."""
    titles = {"part": "Part", "head": "Head"} | {setting.name: setting.title for setting in SETTINGS}
    return re.sub(r"--([a-z][a-z-]*)", lambda found: f"“{titles.get(found[1], found[1])}”", text)


def _key(setting: Setting) -> str:
    return setting.name.replace("-", "_")


def _images() -> None:
    st.selectbox("Images", (SAMPLE, FOLDER), key="images", bind="query-params")
    if st.session_state["images"] == FOLDER:
        st.text_input(
            "Path of the folder or zip",
            key="folder",
            bind="query-params",
            placeholder="~/pictures",
            help="Flat, or one folder per class, on the machine that runs the app.",
        )
        _keep_upload("or upload images or a zip", ["zip", *(e[1:] for e in EXTENSIONS)], "folder", multiple=True)
        st.button(
            "Look again",
            icon=":material/refresh:",
            type="tertiary",
            on_click=_look_again,
            help="Changed files are noticed within seconds, in very large folders within minutes. This looks at once.",
        )
    st.select_slider(
        "At most",
        IMAGE_LIMITS,
        value=1000,
        format_func=lambda number: f"{number:,} images",
        key="limit",
        bind="query-params",
        help="A balanced sample is taken from larger sets.",
    )


def _look_again() -> None:
    from viz.cached.images import look_again

    with suppress(FeatureError):  # which the page shows
        look_again(str(_inside_roots(st.session_state.get("folder") or "", "images", DatasetError)))


def _device() -> None:
    device = warm_up.started().device
    if device:
        st.caption(f"Runs on {device}.")
    else:
        _await_device()


@st.fragment(run_every=1)
def _await_device() -> None:
    if warm_up.started().device:
        st.rerun()


def spec() -> ModelSpec:
    """What the network chosen in the sidebar is. One of the catalogue is neither fetched nor loaded for it."""
    name = named()
    known = name.name is not None and name.weights is None and name.lesion is None
    return catalogue.spec(str(name.name)) if known else model().spec


def model() -> "Model":
    """The network chosen in the sidebar. Raises FeatureError if it cannot be loaded."""
    from viz.cached.networks import fetch_job, load_model  # PyTorch with it: the first page is drawn without

    name = named()
    if name.weights is not None:
        return load_model(str(name), stamp(name.weights), _pictures)
    assert name.name is not None
    if catalogue.spec(name.name).file is None:
        widgets.result(fetch_job(name.name), f"Fetching the weights of {name}")
    return load_model(str(name))


def stamp(weights: Path) -> float:
    """What changes when a file of weights, or what lies beside it, does."""
    beside = [weights, *hub_configs.beside(weights)]
    return max(path.stat().st_mtime for path in beside if path.exists())


def _pictures() -> "list[Image]":
    """Some of the chosen images, to test on what a file does not say; none where they cannot be opened."""
    with suppress(FeatureError):
        return images().pictures()
    return []


def named() -> NetworkName:
    """The network chosen in the sidebar, as it is named anywhere. Raises FeatureError if the name is missing."""
    name, lesion = st.session_state["model"], (st.session_state.get("network_lesion") or "").strip() or None
    if name == TIMM:
        own = (st.session_state.get("timm") or "").strip().removeprefix(catalogue.TIMM)
        if not own:
            raise FeatureError("No network chosen yet. Type the name of one of timm's in the sidebar.")
        return NetworkName(f"{catalogue.TIMM}{own}", lesion=lesion)
    if name != FILE:
        return NetworkName(name, lesion=lesion)
    read_as = st.session_state.get("architecture", AS_READ)
    path = _inside_roots(st.session_state.get("weights") or "", "weights", WeightsError)
    said = tuple((each.name, value.strip()) for each in SETTINGS if (value := st.session_state.get(_key(each))))
    part, head = ((st.session_state.get(key) or "").strip() or None for key in ("part", "head"))
    return NetworkName(None if read_as == AS_READ else read_as, path, part, lesion=lesion, settings=said, head=head)


def images(whole: bool = False) -> "ImageSet":
    """The image set chosen in the sidebar, cut to the chosen number or whole. Raises FeatureError if it cannot be
    opened.
    """
    from viz.cached.images import open_set, set_stamp  # numpy, Pillow and pyarrow with it

    source, limit = _source_and_limit(whole)
    return open_set(source, limit, "" if source == SAMPLE else set_stamp(source))


def say_aside(images: "ImageSet") -> None:
    """Which files of the images' source are no part of the set, for pages that show a set."""
    if images.aside:
        st.caption(widgets.escape(images.aside))


def _source_and_limit(whole: bool) -> tuple[str, int]:
    """As `datasets.open_images` takes the source, and how many images to take of it."""
    source, limit = st.session_state["images"], sys.maxsize if whole else st.session_state["limit"]
    if source == SAMPLE:
        return source, limit
    return str(_inside_roots(st.session_state.get("folder") or "", "images", DatasetError)), limit


def source() -> str:
    """Where the images of the sidebar come from, as `datasets.open_images` knows it."""
    chosen = st.session_state["images"]
    return chosen if chosen == SAMPLE else st.session_state.get("folder") or ""


def new_folder(text: str) -> Path:
    """A folder that a visitor typed, which need not be there, inside the folders that the app may use."""
    return _inside_roots(text, "folder", FeatureError, must_exist=False)


def _inside_roots(text: str, what: str, error: type[FeatureError], must_exist: bool = True) -> Path:
    """A path that a visitor typed, if it lies inside the folders that the app may read."""
    if not text.strip():
        raise error(f"No {what} chosen yet. Type a path in the sidebar, or upload.")
    roots = [Path(root).expanduser().resolve() for root in os.environ.get(ROOTS, "").split(os.pathsep) if root]
    roots = roots or [Path.home().resolve(), Path(__file__).resolve().parents[1]]
    try:
        path = Path(text.strip()).expanduser().resolve()
        inside = any(path.is_relative_to(root) for root in (*roots, uploads()))
        there = inside and (path.exists() or not must_exist)
    except (OSError, RuntimeError, ValueError) as problem:  # nobody's home, links in a circle, too long, a NUL
        raise error(f"{text} cannot be followed: {problem}. Check the path.") from problem
    if not inside:
        allowed = ", ".join(map(str, roots))
        raise error(
            f"{text} lies outside the folders that this app may use ({allowed}). Set {ROOTS} to allow others "
            "and start the app again."
        )
    if not there:
        raise error(f"There is nothing at {text}. Check the path; it is on the machine that runs the app.")
    return path


def _keep_upload(label: str, kinds: list[str] | None, key: str, multiple: bool) -> None:
    """An upload that is written to disk and whose path becomes the text field `key`."""

    def keep() -> None:
        uploaded = st.session_state[f"{key}_upload"]
        chosen = uploaded if isinstance(uploaded, list) else [uploaded] if uploaded else []
        try:
            if chosen:
                st.session_state[key] = str(_write_uploads(chosen))
        except FeatureError as error:
            st.toast(widgets.escape(str(error)), icon=":material/error:")

    st.file_uploader(label, type=kinds, key=f"{key}_upload", accept_multiple_files=multiple, on_change=keep)


def _write_uploads(chosen: list[Any]) -> Path:
    """One archive or weights file by itself, images in a folder of their own; the same files, the same path."""
    contents = [file.getvalue() for file in chosen]
    names = [re.sub(r"[^\w.-]+", "_", Path(file.name).name) for file in chosen]
    images_only = all(Path(name).suffix.lower() in EXTENSIONS for name in names)
    if len(chosen) > 1 and not images_only:
        raise DatasetError("Upload one zip, or images; together they would be two sets. Take one of them away.")
    parts = [part for name, content in zip(names, contents, strict=True) for part in (name.encode(), content)]
    digest = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]
    folder = uploads() / digest
    folder.mkdir(exist_ok=True)
    for number, (name, content) in enumerate(zip(names, contents, strict=True)):
        place = folder / (name if len(set(names)) == len(names) else f"{number}_{name}")
        if not place.exists():  # the folder's name says what is in it, and somebody may be reading it
            files.write_whole(place, content)
    single = len(chosen) == 1 and Path(names[0]).suffix.lower() not in EXTENSIONS
    return folder / names[0] if single else folder
