"""What networks are called among each other, so that each name is of one alone."""

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from features.networks.card import ModelSpec


def told_apart(specs: Sequence[ModelSpec]) -> list[str]:
    """A name for each network, different from the others'.

    Networks called the same are told by where their files lie, as in 'checkpoint (epoch1)': the folders that differ, as
    few from below as tell them apart, or the files' names where the folders are the same. Where nothing of that
    differs, as of one file that is taken in two ways, by their number among all, from 1 on.
    """
    names = [spec.name for spec in specs]
    for name in {name for name in names if names.count(name) > 1}:
        alike = [number for number, spec in enumerate(specs) if spec.name == name]
        for number, place in zip(alike, _places([specs[number].file for number in alike]), strict=True):
            names[number] = f"{name} ({place})" if place else name
    return [name if names.count(name) == 1 else f"{name} ({number})" for number, name in enumerate(names, start=1)]


def _places(files: Sequence[Path | None]) -> list[str]:
    """Of each file what differs in its path from the others', '' where there is none or nothing differs."""
    paths = [None if file is None else file.expanduser().absolute() for file in files]
    folders = [() if path is None else path.parent.parts[::-1] for path in paths]  # from below
    known = [each for each in folders if each]
    if len({*known}) < 2:
        full = ["" if path is None else path.name for path in paths]
        return full if len({*full} - {""}) > 1 else [""] * len(paths)
    same = len([*takewhile(lambda parts: len({*parts}) == 1, zip(*known, strict=False))])
    most = max(map(len, known))
    length = next(n for n in range(same + 1, most + 1) if len({each[:n] for each in known}) == len({*known}))
    return ["/".join(each[same:length][::-1]) for each in folders]
