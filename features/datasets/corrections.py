"""Labels that a person has corrected: put on a set in place of its source's, which makes it another set."""

import hashlib
import json
import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from features import files
from features.datasets.image_set import CORRECTED, ImageSet
from features.datasets.labelling import Labelling
from features.errors import DatasetError

KEY = re.compile(r"[0-9a-f]{24}")
SHOWN = 6  # names of classes in a sentence


@dataclass(frozen=True, eq=False)
class Corrections:
    """Other labels for some images of a set.

    images: the set's `pictures_digest`. rows: (R,) int64, their numbers in it, ascending and each once. labels: (R,)
    the names of each one's labels.
    """

    images: str
    rows: np.ndarray
    labels: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def key(self) -> str:
        """What tells these corrections of this set from all others: 24 hexadecimal digits."""
        return hashlib.sha256(_as_json(self)).hexdigest()[:24]


def corrected(images: ImageSet, corrections: Corrections) -> ImageSet:
    """The same images with corrected labels, under another name and another digest: no result of these is taken for one
    of the labels that the source tells.

    Corrections that say what the source says change nothing, and with these alone the set is as it was. Classes that
    the source does not have are added, which is told. Raises DatasetError for corrections of another set.
    """
    if corrections.images != images.pictures_digest or (len(corrections) and corrections.rows[-1] >= len(images)):
        raise DatasetError(
            f"The corrections are of other images than the {len(images):,} of {images.name}. Choose the set that they "
            "were made on, or look for them in this one."
        )
    before = _labels_of(images)
    changed = [
        (int(row), names) for row, names in zip(corrections.rows, corrections.labels, strict=True)
        if before[row] is None or set(names) != set(before[row] or ())
    ]  # fmt: skip
    if not changed:
        return images
    after = list(before)
    for row, names in changed:
        after[row] = names
    many = images.label_sets is not None
    _need_one_each(images, changed, many)
    added = sorted({name for _, names in changed for name in names} - set(images.class_names))
    labelling = Labelling(after, _classes(images, added), many)
    labelled = labelling.put(images, "what was corrected")
    if not labelled.is_labelled:  # of a set without labels not all were labelled, which its notes tell
        return labelled
    told = hashlib.sha256(f"{images.digest} corrected {corrections.key}".encode()).hexdigest()
    origin = images.origin
    steps = () if origin is None else (*origin.limits, f"{CORRECTED}{keep(corrections)}")
    return replace(
        labelled,
        name=f"{images.name} ({_count(len(changed), 'label')} corrected)",
        digest=told,
        uncorrected=images.pictures_digest,
        origin=None if origin is None else replace(origin, limits=steps),
        notes=(*labelled.notes, *_told(len(changed), added, images)),
    )


def keep(corrections: Corrections) -> str:
    """Keep corrections in the cache folder, for other processes; returns their key."""
    path = _path(corrections.key)
    if not path.exists():
        files.keep(path, _as_json(corrections))
    return corrections.key


def kept(key: str) -> Corrections:
    """The corrections of a key. Raises DatasetError if it is none, is not kept here, or its file is damaged."""
    try:
        content = json.loads(_path(key if KEY.fullmatch(key) else "").read_bytes())
        labels = tuple(tuple(map(str, names)) for names in content["labels"])
        known = Corrections(str(content["images"]), np.array(content["rows"], np.int64), labels)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"The corrections {key[:40]} are not kept on this machine. Switch corrections off and on again."
        ) from error
    if known.key != key:
        raise DatasetError(f"The file of the corrections {key} holds others. Switch corrections off and on again.")
    return known


def _labels_of(images: ImageSet) -> list[tuple[str, ...] | None]:
    names = images.class_names
    if images.label_sets is not None:
        return [tuple(names[index] for index in np.flatnonzero(has)) for has in images.label_sets]
    if images.labels is not None:
        singles = [(name,) for name in names]
        return [singles[label] for label in images.labels.tolist()]
    return [None] * len(images)


def _need_one_each(images: ImageSet, changed: list[tuple[int, tuple[str, ...]]], many: bool) -> None:
    wrong = next(((row, names) for row, names in changed if not many and len(names) != 1), None)
    if wrong is not None:
        raise DatasetError(
            f"{images.ids[wrong[0]]} was corrected to {len(wrong[1])} labels, but each image of {images.name} has one. "
            "Correct it to one."
        )


def _classes(images: ImageSet, added: list[str]) -> tuple[str, ...]:
    """Sorted where they were, since training numbers them so; else, and where boxes count them, the new ones last."""
    known, together = images.class_names, (*images.class_names, *added)
    return tuple(sorted(together)) if images.boxes is None and list(known) == sorted(known) else together


def _told(n_changed: int, added: list[str], images: ImageSet) -> list[str]:
    """What somebody who works with corrected labels should know, in sentences."""
    verb = "was corrected, and is" if n_changed == 1 else "were corrected, and are"
    told = [f"{_count(n_changed, 'label')} of {len(images):,} {verb} not what {images.name} tells."]
    if added and images.is_labelled:
        more = ", ..." if len(added) > SHOWN else ""
        told.append(
            f"Corrections name {_count(len(added), 'class', 'classes')} that {images.name} does not have "
            f"({', '.join(added[:SHOWN])}{more}); they were added."
        )
    return told


def _count(number: int, word: str, many: str = "") -> str:
    return f"{number:,} {word if number == 1 else many or f'{word}s'}"


def _as_json(corrections: Corrections) -> bytes:
    content = {
        "images": corrections.images,
        "rows": corrections.rows.tolist(),
        "labels": [list(names) for names in corrections.labels],
    }
    return json.dumps(content).encode()


def _path(key: str) -> Path:
    return files.cache_folder("corrections") / f"{key}.json"
