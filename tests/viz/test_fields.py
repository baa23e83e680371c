"""What people read in the app names the fields at the side, never the command line's options for them."""

import ast
import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from features.networks.choices import CHOICES
from features.networks.settings import SETTINGS
from viz.fields import FIELDS, LABEL_COLUMNS, PATH_COLUMN, as_fields

ROOT = Path(__file__).parents[2]
FAILS = """
from features.errors import FeatureError
from viz import widgets

with widgets.show_errors():
    raise FeatureError({text!r})
"""


def test_every_option_of_what_a_file_does_not_say_has_a_field():
    assert {choice.option for choice in CHOICES} <= FIELDS.keys()
    assert {f"--{setting.name}" for setting in SETTINGS} <= FIELDS.keys()
    assert len(set(FIELDS.values())) == len(FIELDS)


def test_every_field_stands_at_the_side():
    script = "from viz import sidebar\nsidebar.network._file()"
    app = AppTest.from_string(script, default_timeout=60).run()
    assert not app.exception
    of_networks = set(FIELDS.values()) - {PATH_COLUMN, LABEL_COLUMNS}  # of tables of images
    assert of_networks <= {widget.label for widget in (*app.text_input, *app.selectbox)}
    helps = " ".join(widget.help for widget in (*app.text_input, *app.selectbox))
    assert not any(re.search(rf"{option}\b", helps) for option in FIELDS)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Choose one with --part.", "Choose one with “Part”."),
        ("(--range, --mean)", "(“Range of pixel values”, “Mean taken away from each channel”)"),
        ("name it with --model timm:NAME", "name it with “Read as” timm:NAME"),
        ("Run `ray start --head` first, then --head.", "Run `ray start --head` first, then “Head”."),
        ("Name it with --label-column.", "Name it with “Labels”."),
        ("--classes FILE names them, --model NAME too", "“Names of the classes” names them, “Read as” too"),
        ("Name it with --seed.", "Name it with --seed."),
        ("a--part, ---mean", "a--part, ---mean"),
    ],
)
def test_options_with_a_field_are_told_by_its_name_and_all_else_stays(text, wanted):
    assert as_fields(text) == wanted


def sentences() -> list[str]:
    """Every text in the library's code, the values of format strings apart."""
    files = (path for path in ROOT.glob("features/**/*.py") if "commands" not in path.parts)
    nodes = (node for path in files for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def test_no_sentence_of_the_library_keeps_an_option_that_has_a_field():
    naming = [text for text in sentences() if any(option in text for option in FIELDS)]
    assert len(naming) > 20
    for text in naming:
        outside = re.sub(r"`[^`]*`", "", as_fields(text))
        assert not [option for option in FIELDS if re.search(rf"{option}(?![\w-])", outside)], text


def test_errors_on_a_page_name_fields():
    text = f"Nothing is right: {', '.join(FIELDS)}."
    (error,) = AppTest.from_string(FAILS.format(text=text), default_timeout=60).run().error
    assert "--" not in error.value.replace("\\", "")
    assert all(title in error.value.replace("\\", "") for title in FIELDS.values())


def test_what_the_library_tells_is_shown_in_one_way():
    """Errors, notes and warnings pass `widgets.told`, whatever draws them."""
    shown = [path.read_text(encoding="utf-8") for path in ROOT.glob("viz/**/*.py")]
    assert not [text for text in shown if re.search(r"escape\((?:str\(|\w+\.(?:error|reason|guessed|why))", text)]
