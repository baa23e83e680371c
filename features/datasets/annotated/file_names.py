"""Labels in the names of files, as 'cat.0.jpg' and 'Abyssinian_1.jpg' have them: offered, and taken where asked for."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from features.datasets.annotated.annotations import Annotations
from features.datasets.image_set import ImageSet
from features.datasets.labelling import Labelling
from features.datasets.named_columns import FILE_NAME, TableColumns
from features.errors import DatasetError

NUMBERED = re.compile(r"(.*[^\W\d_])[\W_]*\d+[\W_]*\Z", re.DOTALL)  # a name that ends in a letter, and a number
LOOKED_AT = 2000  # files, by which labels are offered
LEAST = 2  # images of each label
SHOWN = 4


def label_in(image_id: str) -> str | None:
    """What stands before the number that a file's name ends in; None where nothing does."""
    stem = image_id.rpartition("/")[2].rpartition(".")[0]
    match = NUMBERED.match(stem)
    return None if match is None else match.group(1)


def of_names(ids: Sequence[str], where: str) -> Annotations:
    """The labels in the names of the images that have any. Raises DatasetError if none has."""
    names = [label_in(image_id) for image_id in ids]
    rows = [row for row, name in enumerate(names) if name is not None]
    if not rows:
        raise DatasetError(
            f"The file names of {where} tell no labels ({ids[0]}). Wanted a name and a number, as in 'cat.0.jpg'."
        )
    of = [(str(names[row]),) for row in rows]
    note = f"The labels of {len(rows):,} of {len(ids):,} images are what stands before the number in their file names."
    return Annotations(
        rows,
        Labelling(of, tuple(sorted({name for (name,) in of}))),
        f"a number behind a {FILE_NAME}",
        notes=(note,),
        table=TableColumns((FILE_NAME,), None, (FILE_NAME,)),
    )


def offered(images: ImageSet, ids: Sequence[str]) -> ImageSet:
    """Images without labels, with what tells how to take those in the file names, where most of these have some.

    ids: of the images of all splits.
    """
    if images.is_labelled or images.table is not None:
        return images
    some = [*islice(ids, 0, None, -(-len(ids) // LOOKED_AT))]
    counts = Counter(name for each in some if (name := label_in(each)) is not None)
    if len(counts) < 2 or min(counts.values()) < LEAST or 2 * counts.total() < len(some):
        return images
    named = [name for name, _ in counts.most_common(SHOWN)]
    more = ", ..." if len(counts) > SHOWN else ""
    note = (
        f"The images have no labels, but their file names begin with {', '.join(named)}{more}. If these are the "
        f"classes, --label-column '{FILE_NAME}' takes them."
    )
    return replace(images, notes=(*images.notes, note), table=TableColumns((FILE_NAME,), None))
