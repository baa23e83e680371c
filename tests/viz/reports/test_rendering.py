"""A document as one HTML file: whole, inert, and of nothing but itself."""

import base64
import hashlib
import re
import tomllib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import plotly.io
import pytest
from plotly.offline import get_plotlyjs

from features.progress import finish
from tests.viz.reports.documents import HOSTILE, every_part
from tests.viz.reports.pages import elements, named
from viz import theme
from viz.reports import LIMIT, Document, Prose, Section, html, illustrated


@pytest.fixture(scope="module")
def document():
    return finish(illustrated(every_part(), LIMIT))


@pytest.fixture(scope="module")
def page(document):
    return html(document)


def test_whatever_names_hold_is_shown_as_it_is_and_runs_nowhere(page):
    headings = named(page, "h1", "h2", "h3", "h4")
    assert {heading.text.strip() for heading in headings} == {HOSTILE.strip()}
    assert len(named(page, "script")) == 3 * 2 + 3 + 2 + 2  # figures with their data, other data, looks, pictures, code
    run = [script for script in named(page, "script") if script.attributes.get("type") != "application/json"]
    assert len(run) == 2
    assert all("src" not in element.attributes for element in elements(page))
    assert not [name for element in elements(page) for name in element.attributes if name.startswith("on")]


def test_plotly_is_in_the_file_once(page):
    assert page.count(get_plotlyjs()) == 1


def test_nothing_leads_out_of_the_file(page):
    keys = [element.attributes["id"] for element in elements(page) if "id" in element.attributes]
    assert len(keys) == len(set(keys))
    for element in elements(page):
        link = element.attributes.get("href")
        assert link is None or link == "data:," or link.removeprefix("#") in keys
    assert not named(page, "iframe", "object", "embed", "base", "form", "video", "audio", "source")
    assert "url(" not in named(page, "style")[0].text


def test_the_policy_allows_no_network_and_no_script_but_its_own(page):
    (policy,) = (each.attributes["content"] for each in named(page, "meta")
                 if each.attributes.get("http-equiv") == "Content-Security-Policy")  # fmt: skip
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    run = [each.text for each in named(page, "script") if "type" not in each.attributes]
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in run]
    assert rules["script-src"] == hashes
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == ["'none'"]
    assert rules["img-src"] == ["data:", "blob:"]
    assert page.index("Content-Security-Policy") < page.index("<style>")


def test_headings_descend_step_by_step_and_heads_of_tables_say_of_what(page):
    levels = [int(heading.tag[1]) for heading in named(page, "h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))
    assert {head.attributes.get("scope") for head in named(page, "th")} == {"col", "row"}
    assert all(image.attributes["alt"] == HOSTILE for image in named(page, "img"))
    plots = [each for each in named(page, "div") if each.attributes.get("class") == "plot"]
    assert [plot.attributes["role"] for plot in plots] == ["img"] * 3
    assert all(plot.attributes["aria-label"] == HOSTILE for plot in plots)
    assert named(page, "html")[0].attributes["lang"] == "en"


def test_a_gallery_tells_how_many_of_its_images_are_there(document, page):
    assert "The first 2 of 5." in page
    assert "There are none." in page
    one = html(replace(document, pictures={"one": document.pictures["one"]}))
    assert "The first 1 of 5." in one
    assert len(named(one, "img")) == 1
    assert "The file has no room for these 5." in html(replace(document, pictures={}))


def test_the_same_document_makes_the_same_file_whatever_look_plotly_has_by_default(page, monkeypatch):
    monkeypatch.setattr(plotly.io.templates, "default", "plotly_dark")
    assert html(finish(illustrated(every_part(), LIMIT))) == page


def test_names_that_are_no_text_can_be_written():
    strange = Document("bytes \udcff", (), (Section("one", "\udcff", (Prose("\udcff"),)),))
    assert html(strange).encode().count(b"\\udcff") == 5  # title, heading, contents, section, paragraph


def test_colours_are_those_of_the_app():
    root = Path(__file__).resolve().parents[3]
    app = tomllib.loads((root / ".streamlit/config.toml").read_text(encoding="utf-8"))["theme"]
    for name, screen in theme.SCREENS.items():
        assert app[name] == {
            "primaryColor": screen.accent, "backgroundColor": screen.page, "secondaryBackgroundColor": screen.raised,
            "textColor": screen.text,
        }  # fmt: skip


def test_colours_of_texts_have_contrast_enough():
    """At least 4.5 to 1 (WCAG 2.2, 1.4.3), of relative luminance as defined there."""

    def luminance(colour):
        shares = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for screen in theme.SCREENS.values():
        for colour in (screen.text, screen.ink, screen.accent):
            for below in (screen.page, screen.raised):
                high, low = sorted([luminance(colour), luminance(below)], reverse=True)
                assert (high + 0.05) / (low + 0.05) >= 4.5


def test_the_script_prints_as_wide_as_the_style_leaves_of_the_paper(page):
    assert re.search(r"@page \{ size: A4; margin: 14mm; \}", page)
    assert "SIDES_MM = 2 * 14, A4_MM = 210" in page
