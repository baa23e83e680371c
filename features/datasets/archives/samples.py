"""Finds the samples of a WebDataset in a tar: files of one stem, of which one is an image and others say its label.

The library `webdataset` is not used: it reads shards from their beginning to their end, in an order of its own, while a
set here is opened at any image, in parts, and has the same order every time.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from features.datasets import kinds
from features.datasets.kinds import Aside
from features.datasets.values import LABEL_NAMES
from features.sources import EXTENSIONS

CLASS_ENDINGS, RECORD_ENDING = (".cls", ".label"), ".json"
MOST_BYTES = 1 << 20  # of a file that says a label
FURTHER = "further pictures of a sample, as masks"


@dataclass(frozen=True, eq=False)
class Said:
    """What small files of a tar say, by their paths without endings: the classes, and else the records."""

    classes: dict[str, object] = field(default_factory=dict)
    records: dict[str, object] = field(default_factory=dict)

    def hear(self, name: str, data: bytes) -> None:
        """Take up what a file says. Data that are none say nothing."""
        text = data.decode("utf-8", "replace").strip()
        values, value = self.classes, _number_or_word(text)
        if name.lower().endswith(RECORD_ENDING):
            values, value = self.records, _of_record(text)
        if value is not None:
            for stem in _stems(name):
                values.setdefault(stem, value)

    def label(self, name: str) -> object:
        """The label of an image, None where nothing says it."""
        for values in (self.classes, self.records):
            for stem in _stems(name):
                if stem in values:
                    return values[stem]
        return None


def says(name: str, size: int) -> bool:
    """Whether a file of a tar may say a label."""
    return size <= MOST_BYTES and name.lower().endswith((*CLASS_ENDINGS, RECORD_ENDING)) and not kinds.is_hidden(name)


def images_of(names: Sequence[str], said: Said) -> tuple[list[int], list[object] | None, list[Aside]]:
    """Which files of a tar are not beside an image as what is said of it; their labels, None where no file says one.

    Of the pictures of one sample ('7.jpg', '7.mask.png') the one counts whose ending is all that follows the stem.
    """
    others = [n for n, name in enumerate(names) if not name.lower().endswith(EXTENSIONS) and not kinds.is_hidden(name)]
    if not others:
        return [*range(len(names))], None, []
    pictures = {stem: name for name in names if kinds.looks_like_image(name) for stem in _stems(name)}
    beside = {number for number in others if any(each in pictures for each in _stems(names[number]))}
    if not beside:
        return [*range(len(names))], None, []
    own = {_stems(names[number])[0] for number in beside}
    simple = {_stems(name)[0] for name in names if kinds.looks_like_image(name) and len(_stems(name)) == 1}
    further = {
        number
        for number, name in enumerate(names)
        if number not in beside and len(stems := _stems(name)) > 1 and stems[0] not in own and stems[1] in simple
    }
    rest = [number for number in range(len(names)) if number not in beside and number not in further]
    labels = [said.label(names[number]) for number in rest]
    aside = [Aside(FURTHER, tuple(names[number] for number in sorted(further)))] if further else []
    return rest, labels if any(label is not None for label in labels) else None, aside


def _stems(name: str) -> tuple[str, ...]:
    """A path without its last ending, and without all that follows its first dot, which is a WebDataset's key."""
    folder, slash, file = name.rpartition("/")
    last, first = (f"{folder}{slash}{stem}" for stem in (file.rpartition(".")[0] or file, file.partition(".")[0]))
    return (last,) if last == first else (last, first)


def _number_or_word(text: str) -> object:
    try:
        return int(text)
    except ValueError:
        return text or None


def _of_record(text: str) -> object:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return record if isinstance(record, str | int) else None
    lowered = {str(key).lower(): value for key, value in record.items()}
    return _first(lowered[name] for name in LABEL_NAMES if name in lowered)


def _first(values: Iterable[object]) -> object:
    """The first word, else the first number: words are the names of what numbers are only places of."""
    usable = [value for value in values if isinstance(value, str | int | float)]
    return next((value for value in usable if isinstance(value, str)), usable[0] if usable else None)
