"""What is noted now, of each image: its tags, a note, a corrected label."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from features.notes.journal import LABEL, NOTE, tag_of


@dataclass(frozen=True)
class ImageNotes:
    """What is noted of one image.

    digest: of its content. label: the corrected one, None for none. by, at: whose the last change is, and when.
    size, id, place, source, given: as of `Seen`, of where it was seen last; given: what its source says.
    """

    digest: str
    tags: tuple[str, ...] = ()
    note: str = ""
    label: str | None = None
    by: str = ""
    at: str = ""
    size: int | None = None
    id: str = ""
    place: str = ""
    source: str = ""
    given: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is noted any more."""
        return not self.tags and not self.note and self.label is None

    def value(self, field: str) -> str | None:
        """What stands under a field."""
        if (tag := tag_of(field)) is not None:
            return "yes" if tag in self.tags else None
        return self.label if field == LABEL else self.note or None


@dataclass(frozen=True, eq=False)
class Notes:
    """All that is noted, by the digests of images. version: the number of the last act."""

    version: int
    of: Mapping[str, ImageNotes]

    def __len__(self) -> int:
        return len(self.of)

    @cached_property
    def tags(self) -> dict[str, int]:
        """How many images have each tag, by the tags' names."""
        return dict(sorted(Counter(tag for each in self.of.values() for tag in each.tags).items()))

    @cached_property
    def sizes(self) -> frozenset[int | None]:
        """How many bytes the files of images have of which something is noted."""
        return frozenset(each.size for each in self.of.values())

    def where(self, wanted: "Callable[[ImageNotes], bool]") -> "Notes":
        """Those of some images."""
        return Notes(self.version, {digest: each for digest, each in self.of.items() if wanted(each)})


def noted(fields: Iterable[tuple[str, str, str, str, str]], seen: Mapping[str, Mapping[str, Any]]) -> Notes:
    """fields: (digest, field, value, at, by) of all that stands. seen: of each digest, where it was seen last."""
    made: dict[str, ImageNotes] = {}
    for digest, field, value, at, by in fields:
        image = made.get(digest) or ImageNotes(digest, **seen.get(digest, {}))
        if (tag := tag_of(field)) is not None:
            image = replace(image, tags=tuple(sorted((*image.tags, tag))))
        else:
            image = replace(image, note=value) if field == NOTE else replace(image, label=value)
        made[digest] = replace(image, at=at, by=by) if at >= image.at else image
    return Notes(0, made)
