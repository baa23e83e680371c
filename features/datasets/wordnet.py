"""What WordNet's ids, as ImageNet's folders carry them, stand for. Source: the lists that timm ships (Apache-2.0)."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

ID = re.compile(r"(n\d{8})(?:[\s_.-].*)?")
IMAGENET_CLASSES = 1000


def id_of(name: str) -> str | None:
    """The WordNet id in a folder's name ('n01440764', 'n01440764_tench'), or None."""
    match = ID.fullmatch(name)
    return match.group(1) if match else None


@cache
def imagenet() -> dict[str, int]:
    """The WordNet ids of ImageNet's 1,000 classes and their numbers."""
    return {each: index for index, each in enumerate(_lines("imagenet_synsets.txt"))}


@cache
def words() -> dict[str, tuple[str, ...]]:
    """What WordNet calls its ids: {'n01440764': ('tench', 'Tinca tinca'), ...}."""
    table = (line.split("\t") for line in _lines("imagenet_synset_to_lemma.txt"))
    return {key: tuple(word.strip() for word in lemmas.split(",")) for key, lemmas in table}


def _lines(name: str) -> list[str]:
    timm = find_spec("timm")  # not an import of it, which would take seconds
    assert timm is not None
    assert timm.origin is not None
    text = (Path(timm.origin).parent / "data" / "_info" / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.strip()]
