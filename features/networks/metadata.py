"""The schema of what a weights file of our own says of itself."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Annotated, Any, get_type_hints

import msgspec

from features.errors import WeightsError
from features.networks.architecture import Architecture
from features.networks.preprocessing import Preprocessing

PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
Name = Annotated[str, msgspec.Meta(max_length=200, pattern=PRINTABLE)]
Words = Annotated[str, msgspec.Meta(max_length=2000, pattern=PRINTABLE)]
MAX_CLASSES = 1 << 20
Names = Annotated[list[Name], msgspec.Meta(max_length=MAX_CLASSES)]
SHOWN = 200
UNPRINTABLE = f"`str` matching regex {PRINTABLE!r}"  # as msgspec says that there are others


@dataclass(frozen=True)
class Statement:
    """What a file says that its network is called, is, sees and says; as in ModelSpec."""

    name: str
    family: str
    architecture: Architecture
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    source: str
    licence: str
    multilabel: bool = False


def read(metadata: Mapping[str, str]) -> Statement:
    """What the strings that `card.describe` writes say. Raises FeatureError, naming the entry, for anything else."""
    return Statement(
        name=_text(metadata, "name", Name),
        family=_text(metadata, "family", Words),
        architecture=_settings(metadata, "architecture", Architecture),
        preprocessing=_settings(metadata, "preprocessing", Preprocessing),
        classes=tuple(_checked("classes", lambda: msgspec.json.decode(metadata["classes"], type=Names))),
        source=_text(metadata, "source", Words),
        licence=_text(metadata, "licence", Words),
        multilabel=_text(metadata, "outputs", Words) == "multilabel" if "outputs" in metadata else False,
    )


def _text(metadata: Mapping[str, str], entry: str, kind: Any) -> str:
    return str(_checked(entry, lambda: msgspec.convert(metadata[entry], type=kind)))


def _settings(metadata: Mapping[str, str], entry: str, kind: Any) -> Any:
    """A dataclass that was written as JSON."""
    content = _checked(entry, lambda: msgspec.json.decode(metadata[entry], type=_schema(kind)))
    return kind(**msgspec.structs.asdict(content))


def _checked(entry: str, read: Any) -> Any:
    try:
        return read()
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        text = str(error)[:SHOWN].replace(UNPRINTABLE, "printable letters alone")
        raise WeightsError(f"its {entry}: {text}") from error


@cache
def _schema(kind: Any) -> Any:
    """The fields of a dataclass, their kinds and their defaults, with every other name refused."""
    hints = get_type_hints(kind)
    return msgspec.defstruct(
        kind.__name__,
        [
            (field.name, hints[field.name])
            if field.default is MISSING
            else (field.name, hints[field.name], field.default)
            for field in fields(kind)
        ],
        forbid_unknown_fields=True,
    )
