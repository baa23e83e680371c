"""Choices of a view that stand in its link, and are there again when somebody comes back to the view.

Streamlit's own binding to the link forgets what a control says as soon as a view without it is drawn.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import streamlit as st

HELD = "choices of views"
Choice = TypeVar("Choice")


def prepare(key: str, read: Callable[[str], Choice | None], default: Choice) -> None:
    """Set what the control with this key, which is drawn next, says at first.

    That is what it says already, what it said when it was drawn last, what the link says or `default`. read: a text
    -> what it stands for, None if there is no such choice here.
    """
    texts = (st.session_state.get(key), _held().get(key), st.query_params.get(key))
    text = next((each for each in texts if each is not None), None)
    choice = None if text is None else read(str(text))
    st.session_state[key] = default if choice is None else choice


def hold(key: str, choice: Any) -> None:
    """Keep what the control says, and write it into the link."""
    _held()[key] = str(choice)
    if st.query_params.get(key) != str(choice):
        st.query_params[key] = str(choice)


def drop(key: str) -> None:
    """Forget what a control said, in a callback: for one that says nothing any more."""
    _held().pop(key, None)
    st.query_params.pop(key, None)


def among(options: Sequence[str]) -> Callable[[str], str | None]:
    """A reader of one of some names."""
    return lambda text: text if text in options else None


def below(count: int) -> Callable[[str], int | None]:
    """A reader of a whole number from 0 on, below `count`."""
    return lambda text: int(text) if text.isdecimal() and int(text) < count else None


def truth(text: str) -> bool:
    """What a switch says."""
    return text.lower() == "true"


def _held() -> dict[str, str]:
    return st.session_state.setdefault(HELD, {})
