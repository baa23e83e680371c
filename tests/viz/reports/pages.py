"""An HTML file as tests look at it: its elements with their texts, in order."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

EMPTY = {"meta", "link", "img", "br", "input"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.texts)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []

    def handle_starttag(self, tag, attrs):
        element = Element(tag, dict(attrs))
        assert len(element.attributes) == len(attrs)
        self.elements.append(element)
        if tag not in EMPTY:
            self._open.append(element)

    def handle_endtag(self, tag):
        assert self._open.pop().tag == tag

    def handle_data(self, data):
        for element in self._open:
            element.texts.append(data)


def elements(page: str) -> list[Element]:
    """Of a page whose every element is closed by its own end."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert not reader._open
    return reader.elements


def named(page: str, *tags: str) -> list[Element]:
    return [element for element in elements(page) if element.tag in tags]
