"""The choice of the network."""

from contextlib import suppress
from typing import TYPE_CHECKING

import streamlit as st

from features.errors import FeatureError, WeightsError
from features.networks import catalogue, hub_configs, naming
from features.networks.card import ModelSpec
from features.networks.naming import NetworkName
from features.networks.settings import SETTINGS, Setting
from viz import fields, widgets
from viz.fields import as_fields
from viz.sidebar.image_set import images
from viz.sidebar.own_files import inside_roots, keep_upload

if TYPE_CHECKING:
    from PIL.Image import Image
    from streamlit.delta_generator import DeltaGenerator

    from features.networks.zoo import Model

FILE = "a file of mine"
TIMM = "a network of timm's"
AS_READ = "what the file says"
LESION = "network_lesion"  # in links
UNKNOWN = "unknown model"  # what a link asked for, until another network is chosen


def choose() -> None:
    names = [*catalogue.names(), TIMM, FILE]
    asked = st.query_params.get("model")
    if asked is not None and asked not in names:  # which Streamlit takes out of the address before the page runs again
        st.session_state[UNKNOWN] = asked
    if (unknown := st.session_state.get(UNKNOWN)) is not None:
        st.warning(f"There is no network called {widgets.escape(unknown)} to choose here.", icon=":material/help:")
    st.selectbox(
        "Network",
        names,
        key="model",
        bind="query-params",
        on_change=lambda: st.session_state.pop(UNKNOWN, None),
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
        key=LESION,
        bind="query-params",
        placeholder="none, or without:layer3.1",
        help="What is done to the network, on every page: without:BLOCK (several with commas), scaled:FACTOR:BLOCK, "
        "swapped:BLOCK:BLOCK or, of channels, without:LAYER:CHANNELS (without:layer3.1:5,17).",
    )


def lesion() -> str:
    """What is done to the network, as it is written; '' for nothing."""
    return (st.session_state.get(LESION) or "").strip()


def take_lesion(text: str) -> None:
    """Have all pages show the network with a lesion, in a callback."""
    st.session_state[LESION] = text


def _file() -> None:
    """A file of weights, and what it does not say itself."""
    st.text_input(
        fields.WEIGHTS,
        key="weights",
        bind="query-params",
        placeholder="~/checkpoints/resnet50.pth",
        help="A file of weights on the machine that runs the app, as PyTorch or safetensors write it, whatever it is "
        "called. Nothing in it is run.",
    )
    keep_upload("or upload them", None, "weights", multiple=False)
    st.selectbox(
        fields.READ_AS,
        [AS_READ, *catalogue.architectures()],
        key="architecture",
        bind="query-params",
        accept_new_options=True,
        help="Files without a description say their shapes, but not all: a plain network has the tensors of "
        "a ResNet with padding shortcuts. One of timm's can be typed: timm:resnet50d.",
    )
    st.text_input(
        fields.PART,
        key="part",
        bind="query-params",
        placeholder="the main one",
        help="Which network of a file with several, as an encoder and its momentum copy. The first page lists them.",
    )
    st.text_input(
        fields.HEAD,
        key="head",
        bind="query-params",
        placeholder="the first one",
        help="Which head of a network with several, as one for ages and one for names. The first page lists them.",
    )
    st.text_input(
        fields.CLASSES,
        key="classes",
        bind="query-params",
        placeholder="a text file, one name a line",
        help="On the machine that runs the app, as many as the network has classes, in the order of its outputs.",
    )
    with st.expander("What the file does not say", key="said", bind="query-params"):
        st.caption(
            "What is left open is read where it is written, tested on the images by what its norms keep, or assumed."
        )
        for setting in SETTINGS:
            _setting(setting)


def _setting(setting: Setting) -> None:
    key, meaning = _key(setting), as_fields(setting.meaning)
    if setting.values:
        st.selectbox(  # links hold what is shown, so that is what the command line takes too
            setting.title,
            list(setting.values),
            key=key,
            bind="query-params",
            index=None,
            placeholder="not said",
            help="\n".join([meaning, "", *(f"- {value}: {words}" for value, words in setting.values.items())]),
        )
    else:
        st.text_input(
            setting.title, key=key, bind="query-params", placeholder=f"not said, e.g. {setting.example}",
            help=meaning,
        )  # fmt: skip


def _key(setting: Setting) -> str:
    return setting.name.replace("-", "_")


def spec() -> ModelSpec:
    """What the network chosen in the sidebar is. One of the catalogue is neither fetched nor loaded for it."""
    name = named()
    known = name.name is not None and name.weights is None and name.lesion is None
    return catalogue.spec(str(name.name)) if known else model().spec


def model() -> "Model":
    """The network chosen in the sidebar. Raises FeatureError if it cannot be loaded."""
    return loaded(named())


def loaded(name: NetworkName) -> "Model":
    """A network by its name; weights that are not on this machine yet are fetched, for which the page waits.

    Raises FeatureError if it cannot be loaded.
    """
    from viz.cached.networks import fetch_job, load_model  # PyTorch with it: the first page is drawn without

    if name.weights is not None:
        return load_model(str(name), stamp(name), _pictures)
    assert name.name is not None
    if catalogue.spec(name.name).file is None:
        widgets.result(fetch_job(name.name), f"Fetching the weights of {name}")
    return load_model(str(name))


def typed(text: str) -> "Model":
    """A network that a visitor names beside the chosen one, as `naming.parse` reads it; its files inside the roots.

    Raises FeatureError if it cannot be loaded.
    """
    asked = naming.parse(text)
    for file in (asked.weights, asked.classes):
        if file is not None:
            inside_roots(str(file), "weights", WeightsError)
    return loaded(asked)


def tell_assumed(notice: "DeltaGenerator") -> None:
    """Write the gravest of what is assumed of a file of weights, for pages other than the first, which lists it all.

    To be called once the page stands: it has loaded the network, or has said why it cannot.
    """
    if st.session_state["model"] != FILE:
        return
    with suppress(FeatureError):
        guesses = model().spec.assumed
        if guesses:
            more = f" The page Network lists {len(guesses) - 1} more." if len(guesses) > 1 else ""
            notice.warning(
                f"Assumed, since the file does not say: {widgets.told(guesses[0])}.{more}", icon=":material/help:"
            )


def stamp(name: NetworkName) -> float:
    """What changes when a file of weights, what lies beside it, or the file of its class names does."""
    assert name.weights is not None
    made_of = [name.weights, *hub_configs.beside(name.weights), *([] if name.classes is None else [name.classes])]
    return max(path.stat().st_mtime for path in made_of if path.exists())


def _pictures() -> "list[Image]":
    """Some of the chosen images, to test on what a file does not say; none where they cannot be opened."""
    with suppress(FeatureError):
        return images().pictures()
    return []


def named() -> NetworkName:
    """The network chosen in the sidebar, as it is named anywhere. Raises FeatureError if the name is missing."""
    name, lesion = st.session_state["model"], (st.session_state.get(LESION) or "").strip() or None
    if name == TIMM:
        own = (st.session_state.get("timm") or "").strip().removeprefix(catalogue.TIMM)
        if not own:
            raise FeatureError("No network chosen yet. Type the name of one of timm's in the sidebar.")
        return NetworkName(f"{catalogue.TIMM}{own}", lesion=lesion)
    if name != FILE:
        return NetworkName(name, lesion=lesion)
    read_as = st.session_state.get("architecture", AS_READ)
    path = inside_roots(st.session_state.get("weights") or "", "weights", WeightsError)
    said = tuple((each.name, value.strip()) for each in SETTINGS if (value := st.session_state.get(_key(each))))
    part, head = ((st.session_state.get(key) or "").strip() or None for key in ("part", "head"))
    listed = (st.session_state.get("classes") or "").strip()
    names = inside_roots(listed, "names of classes", WeightsError) if listed else None
    return NetworkName(None if read_as == AS_READ else read_as, path, part, names, lesion, said, head)
