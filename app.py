"""The app's entry point: its pages and how to get from one to another."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import streamlit as st

from viz import sidebar
from viz.cached import warm_up

ICON = Path(__file__).parent / "viz" / "icon.png"
PAGES = {  # a module of viz/pages, which is also the page's place in the URL: its title and icon
    "anatomy": ("Network", ":material/account_tree:"),
    "saliency": ("Saliency", ":material/visibility:"),
    "channels": ("Channels", ":material/grain:"),
    "embed": ("Embedding", ":material/scatter_plot:"),
    "evaluate": ("Evaluation", ":material/fact_check:"),
    "compare": ("Compare", ":material/compare_arrows:"),
    "residual": ("Residual branches", ":material/alt_route:"),
    "extract": ("Features", ":material/dataset:"),
    "workspace": ("Workspaces", ":material/inventory_2:"),
}


def main() -> None:
    # A picture of our own: the browser would fetch a named icon from its maker's server.
    st.set_page_config("ResNet Explorer", page_icon=ICON, layout="wide")
    first, *_ = PAGES
    chosen = st.navigation(
        [
            st.Page(_renderer(name), title=title, icon=icon, url_path=name, default=name == first)
            for name, (title, icon) in PAGES.items()
        ]
    )
    with warm_up.started().waiting():
        notice = sidebar.show(chosen.url_path or first, chosen.title)
        chosen.run()
        if chosen.title != PAGES[first][0]:  # which tells all of it
            sidebar.tell_assumed(notice)


def _renderer(name: str) -> Callable[[], None]:
    def render() -> None:
        new = f"viz.pages.{name}" not in sys.modules
        page = import_module(f"viz.pages.{name}")  # when it is opened: all pages but the first need PyTorch
        if new:
            warm_up.keep_libraries()
        page.render()

    return render


if __name__ == "__main__":
    main()
