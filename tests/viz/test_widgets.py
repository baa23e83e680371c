"""Text that Markdown must not read."""

import re

import pytest

from viz import widgets

# Where a backslash may stand before: CommonMark 0.31, section 2.4.
PUNCTUATION = r"""!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~"""


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain words, 50%", "plain words, 50%"),
        ("*bold*", r"\*bold\*"),
        ("my_cat_1.png", r"my\_cat\_1\.png"),
        ("[a](b)", r"\[a\]\(b\)"),
        ("![a](b)", r"\!\[a\]\(b\)"),
        ("<b>", r"\<b\>"),
        ("`code`", r"\`code\`"),
        ("$x^2$", r"\$x^2\$"),
        ("~~gone~~", r"\~\~gone\~\~"),
        (":red[a] :smile:", r"\:red\[a\] \:smile\:"),
        ("# a", r"\# a"),
        ("1. a", r"1\. a"),
        ("- a", r"\- a"),
        ("+ a", r"\+ a"),
        ("a | b", r"a \| b"),
        (r"\*", r"\\\*"),
        ("&lt;", r"\&lt;"),
        ("", ""),
    ],
)
def test_what_markdown_would_read_gets_a_backslash(text, escaped):
    assert widgets.escape(text) == escaped


@pytest.mark.parametrize("text", [PUNCTUATION, PUNCTUATION[::-1], "Ünïcode — 猫 🐈", r"C:\cats\*.png", "a\\"])
def test_reading_the_backslashes_as_commonmark_does_gives_the_text_back(text):
    backslash = re.compile(r"\\([" + re.escape(PUNCTUATION) + "])")
    assert backslash.sub(r"\1", widgets.escape(text)) == text


def test_nothing_that_begins_a_construct_is_left_without_a_backslash():
    left = re.sub(r"\\.", "", widgets.escape(PUNCTUATION))
    assert not set(left) & set("\\`*_{}[]()<>#+-.!|~$:&")
