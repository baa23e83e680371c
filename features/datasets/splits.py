"""Finds the splits of a source: which of its images its folders call training, validation and test images."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from features.errors import DatasetError
from features.sources import ALL, EXTRA, SPLITS, TEST, TRAIN, VALIDATION

HELD_OUT = (TEST, VALIDATION, TRAIN, EXTRA)  # what is taken where nobody says which: what a network has not seen
FIRST_TRAINING = (TRAIN, VALIDATION, TEST, EXTRA)
FILLERS = ("set", "sets", "data", "dataset", "split", "images", "image", "imgs", "img", "seg", "single", "folder")
QUALIFIERS = (
    "public",
    "private",
    "standard",
    "challenge",
    "all",
    "multi",
)  # of competitions', torchvision's, retrieval's
ROUNDS = ("a", "b", "c", "d")  # behind 'test', as competitions call theirs
UNION = "trainval"  # the training and the validation images together, listed beside each of them
KINDS = {word: kind for kind, words in SPLITS.items() for word in words}


def kind_of(name: str) -> str | None:
    """The kind of split that a name stands for ('train2017', 'test_set', 'PublicTest', 'seg_pred', 'test_A'), or None.

    What is for validation and test is test images, what is for training and validation training images.
    """
    kinds, rounds = set(), False
    for token in re.findall(r"[a-z]+", _apart(name).lower()):
        bare = next(
            (token[: -len(end)] for end in FILLERS if token.endswith(end) and token[: -len(end)] in KINDS), token
        )
        if bare in KINDS:
            kinds.add(KINDS[bare])
        elif bare in ROUNDS:
            rounds = True
        elif bare not in FILLERS + QUALIFIERS:
            return None
    if len(kinds) == 2 and VALIDATION in kinds:
        kinds.remove(VALIDATION)
    return kinds.pop() if len(kinds) == 1 and (kinds == {TEST} or not rounds) else None


def _apart(name: str) -> str:
    """Words that only their first letters set apart."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)


def word_in(name: str) -> tuple[str, str]:
    """The one word of a name that stands for a split, and the rest: 'val' and 'LOC solution' of 'LOC_val_solution'.

    Two empty texts where none does, or several as in 'train_test_split'.
    """
    tokens = re.findall(r"[^\W\d_]+", name.lower())
    words = [token for token in tokens if kind_of(token) is not None]
    if len(words) != 1:
        return "", ""
    return words[0], " ".join(token for token in tokens if token != words[0] and token not in FILLERS)


@dataclass(frozen=True, eq=False)
class Splits:
    """Which image belongs to which split.

    of: (N,) the name of each image's split as the source spells it, None for what lies beside the splits.
    level: how many folders lie above that of the split, -1 where no folder tells it.
    """

    of: Sequence[str | None]
    level: int = -1

    @property
    def sizes(self) -> dict[str, int]:
        """The splits and how many images each has, in the order in which they are met."""
        return dict(Counter(name for name in self.of if name is not None))


def by_folder(folders: Sequence[tuple[str, ...]]) -> Splits | None:
    """The splits of images by the folders that they lie in; None where no folders are called so.

    A level of folders tells it if all of them are called as splits are, or if one is called as training images are and
    another as others: then what lies beside these belongs to no split. Where that is half of the images or more, in
    folders that are called as classes may be, trains and tests are classes too, beside buses and cars; a folder of
    splits of its own, as a copy of them all, is no such class. Folders that are called alike but for a split's word
    ('set_train', 'set_val') tell it too.
    """
    for level in range(max(map(len, folders), default=0)):
        names = [parts[level] if len(parts) > level else None for parts in folders]
        called = _called({name for name in names if name is not None})
        known = {kind_of(split) for split in called.values() if split is not None}
        some = TRAIN in known and known & {TEST, VALIDATION} and 2 * _others(folders, level, called) < len(names)
        if (None not in names and None not in called.values()) or some:
            return Splits([called[name] if name is not None else None for name in names], level)
    return None


def crossed(paths: Sequence[str], folders: Sequence[tuple[str, ...]]) -> Sequence[str]:
    """Paths with what folders are called by two things apart: 'trainA', 'testA', 'trainB', 'testB' as 'train/A', ...

    Only where images lie in such folders alone, and each class has every split. folders: (N,) of the paths.
    """
    level = max(map(len, folders), default=0) - 1
    if level < 0:
        return paths
    names = {parts[level] for parts in folders if len(parts) > level}
    ways = {name: way for name in names if (way := _word_and_class(name)) is not None}
    words, titles = ({way[at] for way in ways.values()} for at in (0, 1))
    kinds = {kind_of(word) for word in words}
    alone = len({parts[:level] for parts in folders}) == 1 and all(len(parts) > level for parts in folders)
    if len(ways) < len(names) or not alone or len(ways) < len(words) * len(titles):
        return paths
    if len(titles) < 2 or len(kinds) < 2 or TRAIN not in kinds:
        return paths
    new = {name: f"{word}/{title}" for name, (word, title) in ways.items()}
    return ["/".join([*each[:level], new[each[level]], path.split("/")[-1]])
            for path, each in zip(paths, folders, strict=True)]  # fmt: skip


def _word_and_class(name: str) -> tuple[str, str] | None:
    """The word for a split and the rest of a folder's name, as it is spelled; None where it does not have both."""
    tokens = re.findall(r"[^\W\d_]+", _apart(name))
    words = [token for token in tokens if kind_of(token) is not None]
    if len(words) != 1 or not set(map(str.lower, tokens)) - {words[0].lower(), *FILLERS}:
        return None
    return words[0].lower(), name.replace(words[0], "", 1).strip(" _-.")


def _called(folders: set[str]) -> dict[str, str | None]:
    """The split of each of some folders beside each other: its name, or its word where they differ in that alone."""
    words = {name: split for name in folders if kind_of(name) is None and (split := word_in(name))[0]}
    kinds = {kind_of(word) for word, _ in words.values()}
    if len({rest for _, rest in words.values()}) > 1 or TRAIN not in kinds or len(kinds) < 2:
        words = {}
    return {name: name if kind_of(name) is not None else words.get(name, (None, ""))[0] for name in folders}


def _others(folders: Sequence[tuple[str, ...]], level: int, called: dict[str, str | None]) -> int:
    """How many images lie in folders that may be classes beside splits."""
    inner = {parts[level + 1] for parts in folders if len(parts) > level + 1}
    splits_inside = {name for name in inner if kind_of(name) is not None}
    classes = {name for name, split in called.items() if split is None and name.lower() not in FILLERS}
    return sum(
        len(parts) > level and parts[level] in classes and splits_inside.isdisjoint(parts[level + 1 : level + 2])
        for parts in folders
    )


def once(paths: Sequence[str], parts: Splits | None) -> Sequence[str]:
    """Paths without a folder below a split's that is called so once more, as archives are unpacked: 'train/train/1'.

    Only where nothing else lies in that of the split: 'train' may be a class beside 'bus'.
    """
    if parts is None or parts.level < 0:
        return paths
    folders = [path.split("/")[:-1] for path in paths]
    below: dict[str, set[str | None]] = {}
    for name, each in zip(parts.of, folders, strict=True):
        if name is not None:
            inner = "".join(each[parts.level + 1 : parts.level + 2])
            below.setdefault(name, set()).add(kind_of(name if inner == each[parts.level] else inner))
    again = {name for name, kinds in below.items() if kinds == {kind_of(name)}}
    if not again:
        return paths
    return [
        "/".join([*each[: parts.level], *each[parts.level + 1 :], path.rpartition("/")[2]]) if name in again else path
        for path, name, each in zip(paths, parts.of, folders, strict=True)
    ]


def is_filler(folders: Sequence[str]) -> bool:
    """Whether all that lies between a split's folder and its images is one called as any folder of images."""
    return len(folders) == 1 and folders[0].lower() in FILLERS


def chosen(splits: Splits, wanted: str | None, labelled: set[str], where: str, order: Sequence[str]) -> list[str]:
    """The names of the splits to take.

    wanted: a split's name or kind, `sources.ALL`, or None for the first in `order` that there is, of those that have
    labels if any have. Raises DatasetError if there is none that is called so.
    """
    sizes = splits.sizes
    if wanted == ALL:
        return [*sizes]
    if wanted is None:
        names = [name for name in sizes if name in labelled] or [*sizes]
        first = min(names, key=lambda name: order.index(kind_of(name) or EXTRA))
        return [first] if kind_of(first) is None else [name for name in names if kind_of(name) == kind_of(first)]
    kind = KINDS.get(wanted.lower())
    names = [name for name in sizes if name.lower() == wanted.lower()]
    names = names or [name for name in sizes if kind is not None and kind_of(name) == kind]
    if not names:
        raise DatasetError(
            f"{where} has no split called {wanted!r}, but {', '.join(sizes)}. Choose one of them, or '{ALL}' for all."
        )
    return names


def said(splits: Splits, taken: Sequence[str], where: str) -> str:
    """Which split was taken, as a sentence."""
    sizes = splits.sizes
    listed = ", ".join(f"{name} ({count:,})" for name, count in sizes.items())
    other = next(name for name in (*sizes, ALL) if name not in taken)
    return (
        f"{where} has splits: {listed}. Taken: {', '.join(taken)}. "
        f"Another is named behind a colon, as in {where}:{other}; '{ALL}' takes all."
    )
