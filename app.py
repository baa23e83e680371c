"""The app's entry point: its pages and how to get from one to another."""

from types import ModuleType

import streamlit as st

from viz import cache, widgets
from viz.pages import anatomy, embed, residual, saliency

PAGES = (anatomy, saliency, embed, residual)


def main() -> None:
    st.set_page_config("ResNet Explorer", page_icon=":material/account_tree:", layout="wide")
    chosen = st.navigation(
        [
            st.Page(page.render, title=page.TITLE, icon=page.ICON, url_path=_path(page), default=page is anatomy)
            for page in PAGES
        ]
    )
    widgets.sidebar()
    try:
        chosen.run()
    finally:  # after the page's own work, however it ends
        cache.warm_up()


def _path(page: ModuleType) -> str:
    return page.__name__.rsplit(".", 1)[1]


if __name__ == "__main__":
    main()
