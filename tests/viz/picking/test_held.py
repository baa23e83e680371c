"""Choices that stay from view to view and stand in the link."""

import pytest
from streamlit.testing.v1 import AppTest

from viz.picking import held

SCRIPT = """
import streamlit as st
from viz.picking import held

if st.toggle("shown", True, key="shown"):
    held.prepare("name", held.among(("a", "b")), "a")
    held.hold("name", st.selectbox("name", ("a", "b"), key="name"))
    held.prepare("number", held.below(4), 0)
    held.hold("number", st.number_input("number", 0, 3, key="number"))
"""


def opened(**query):
    app = AppTest.from_string(SCRIPT)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def said(app):
    return app.selectbox(key="name").value, app.number_input(key="number").value


def test_the_link_says_what_is_chosen_and_hears_of_every_choice():
    app = opened(name="b", number="3")
    assert said(app) == ("b", 3)
    app.number_input(key="number").set_value(1).run()
    assert said(app) == ("b", 1)
    assert app.query_params["number"] == "1"


def test_a_choice_is_there_again_when_its_control_was_gone_for_a_while():
    app = opened()
    app.selectbox(key="name").set_value("b").run()
    app.toggle(key="shown").set_value(False).run()
    app.toggle(key="shown").set_value(True).run()
    assert said(app) == ("b", 0)


@pytest.mark.parametrize(("name", "number"), [("z", "4"), ("", "-1"), ("a", "many")])
def test_what_there_is_not_gives_way_to_the_default(name, number):
    assert said(opened(name=name, number=number)) == ("a", 0)


def test_readers_read_what_was_written():
    assert held.truth("true")
    assert held.truth(str(True))
    assert not held.truth("no")
    assert held.below(3)("2") == 2
