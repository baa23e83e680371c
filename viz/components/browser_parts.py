"""How a browser part is made: its Python, its script and its style lie beside each other under one name."""

from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent


def component(name: str, html: str) -> Any:
    """The browser part NAME, of NAME.js and NAME.css beside this file, in the given HTML."""
    style, script = ((HERE / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    return st.components.v2.component(name, html=html, css=style, js=script)
