"""Keeping a view of a page in a workspace: as the page stands, with the network, the images and the selections."""

from typing import TYPE_CHECKING

import streamlit as st

from viz import widgets
from viz.sidebar import image_set, network, noted
from viz.sidebar import selected as of_selection

if TYPE_CHECKING:
    from features.datasets import ImageSet
    from features.workspace import Chosen, Images, Workspace

PAGE = "workspace"  # which lists them, and has no view worth keeping
LAST, SAID = "workspace that was kept last", "what was kept"
UPLOADED = "goes with the server, since it was uploaded. Put the files into a folder, and choose them there."


def offer(page: str, title: str) -> None:
    """The button at the side, and what it did. page, title: of the page that is shown."""
    if (said := st.session_state.pop(SAID, None)) is not None:
        st.toast(widgets.told(said), icon=":material/inventory_2:")
    if st.button("Keep this view", icon=":material/inventory_2:", type="tertiary", help="In a workspace."):
        _keep(page, title)


@st.dialog("Keep this view")
def _keep(page: str, title: str) -> None:
    """Which workspace, and what the view is called there."""
    from features.workspace import Shelf

    with widgets.show_errors():
        shelf = Shelf()
        known = [each.name for each in shelf.all()]
        last = st.session_state.get(LAST)
        with st.form("keep this view", border=False):
            name = st.selectbox(
                "Workspace", known, index=known.index(last) if last in known else 0 if known else None,
                accept_new_options=True, placeholder="a new name",
            )  # fmt: skip
            called = st.text_input("Title of the view", title or page)
            caption = st.text_area("Caption", height=80, placeholder="What is to be seen here, for a report.")
            asked = st.form_submit_button("Keep", type="primary")
        if asked:
            workspace = _kept((name or "").strip(), page, called.strip() or title or page, caption.strip())
            st.session_state[LAST] = workspace.name
            st.session_state[SAID] = f"Kept in {workspace.name}: {called.strip()}."
            st.rerun()


def _kept(name: str, page: str, title: str, caption: str) -> "Workspace":
    """Keep the view that stands in the workspace of a name, made anew if there is none.

    Raises FeatureError where what it is of cannot be kept.
    """
    from dataclasses import replace

    from features.workspace import Network, Shelf, View, Workspace, WorkspaceError, state_of
    from viz.cached.elsewhere import is_upload

    if not name:
        raise WorkspaceError("The workspace has no name. Choose one, or type a new name.")
    model, images = network.model(), image_set.images(selected=False, corrections=False)
    for what, value in ((model.spec.name, model), (images.name, images)):
        if is_upload(value):
            raise WorkspaceError(f"{what} {UPLOADED}")
    shown = Network(str(network.named()), model.digest)
    chosen = of_selection.selection(images)
    alone = st.session_state.get(of_selection.OF) == of_selection.SELECTED and chosen is not None
    selections = _selections(images, title)

    def with_view(earlier: Workspace | None) -> Workspace:
        workspace = earlier or Workspace(name, shown, _images(images))
        if workspace.images.digest != images.digest:
            raise WorkspaceError(
                f"{name} is about other images ({workspace.images.n_images:,} of {workspace.images.name}). Keep this "
                "view in a workspace of its own."
            )
        view = View(
            page, state_of({key: st.query_params.get_all(key) for key in st.query_params}), title, caption,
            network=None if shown.name == workspace.network.name else shown,
            selection=_called(title) if alone else "", corrected=bool(st.session_state.get(noted.CORRECTIONS)),
        )  # fmt: skip
        names = {each.name for each in selections}
        others = [each for each in workspace.selections if each.name not in names]
        return replace(workspace.with_view(view), selections=[*others, *selections])

    return Shelf().change(name, with_view)


def _images(images: "ImageSet") -> "Images":
    from features.workspace import Images, WorkspaceError

    origin = images.origin
    if origin is None:
        raise WorkspaceError(f"{images.name} lies in memory alone, from where nothing opens it again.")
    limit = next((step for step in origin.limits if isinstance(step, int)), None)
    columns = origin.columns
    return Images(origin.source, images.name, images.digest, len(images), limit, columns.path, columns.label)


def _selections(images: "ImageSet", title: str) -> "list[Chosen]":
    """Those that were given names, and what is selected now."""
    from features.workspace import Chosen

    named = of_selection.named(images)
    if (chosen := of_selection.selection(images)) is not None:
        named = {**named, _called(title): chosen}
    return [Chosen(name, each.rows.tolist()) for name, each in named.items()]


def _called(title: str) -> str:
    return f"selected at {title}"
