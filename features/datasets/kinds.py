"""Tells which files of a source are images, by their endings and, where these tell nothing, by their first bytes."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from features.sources import ARCHIVES, ARRAYS, EXTENSIONS, PICTURES, TABLES

HEAD = 32  # bytes that tell a format
NAMED = 5  # of files in a sentence
NO_PICTURES = {
    *(".txt", ".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".xml", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".md"),
    *(".rst", ".html", ".htm", ".log", ".py", ".sh", ".ipynb", ".pdf", ".doc", ".docx", ".xls", ".xlsx", ".parquet"),
    *(".arrow", ".feather", ".h5", ".hdf5", ".mat", ".npz", ".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".safetensors"),
    *(
        ".onnx",
        ".zip",
        ".tar",
        ".gz",
        ".tgz",
        ".bz2",
        ".tbz",
        ".tbz2",
        ".xz",
        ".txz",
        ".zst",
        ".tzst",
        ".7z",
        ".rar",
        ".db",
        ".sqlite",
        ".lmdb",
        ".mdb",
    ),
    *(".bin", ".dat", ".idx", ".mp4", ".avi", ".mov", ".mkv", ".webm", ".mp3", ".wav", ".flac", ".svg", ".lock"),
    *(".tmp", ".part", ".crdownload", ".sha256", ".md5", ".names", ".cls", ".url", ".lnk"),
}
SIGNATURES = (  # (at, bytes): of the formats that are read
    (0, b"\xff\xd8\xff"),
    (0, b"\x89PNG\r\n\x1a\n"),
    (0, b"GIF8"),
    (0, b"II*\0"),
    (0, b"MM\0*"),
    (0, b"II+\0"),
    (0, b"MM\0+"),
    (8, b"WEBPVP8"),
    (4, b"ftypavif"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n"),
    (0, b"\xff\x4f\xff\x51"),
    *((0, b"P%d%c" % (number, space)) for number in range(1, 7) for space in b" \t\r\n"),
)
HEIF = (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypmif1", b"ftypmsf1")
DRIVE = re.compile(r"\A(?:[A-Za-z]:)?(?=/)")  # before an absolute path
ABSOLUTE = "absolute paths in an archive among others"
# What systems make for themselves; a pattern, since taking a million paths apart takes half a minute.
HIDDEN = re.compile(r"(?:^|/)(?:\.|(?:thumbs\.db|desktop\.ini|__macosx)(?:/|$))", re.IGNORECASE)


# Folders of pictures that say something of others, and of those others.
MASKS = re.compile(
    r"(?:^|/)(?:(?:tri|seg)?maps?|(?:seg\w*_?)?masks?|annotations?|depths?|segmentations?(?:class|object)?|ground_?truths?|gt)/",
    re.IGNORECASE,
)
SHOWN = re.compile(r"(?:^|/)(?:images?|imgs?|jpegimages|photos?|pictures?|rgb|inputs?)/", re.IGNORECASE)
OF_OTHERS = "pictures that say something of others, as masks"


def spelled(path: str) -> str:
    """A path as text that can be written anywhere: bytes that are no UTF-8 as '\\xff'."""
    return path if path.isascii() else path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class Aside:
    """Files of a source that are no part of the set, and why. names: as `spelled`."""

    reason: str
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(map(spelled, self.names)))

    def __str__(self) -> str:
        some = ", ".join(self.names[:NAMED])
        rest = f" and {len(self.names) - NAMED:,} more" if len(self.names) > NAMED else ""
        one = len(self.names) == 1
        return f"{len(self.names):,} {'file is' if one else 'files are'} left aside: {self.reason}: {some}{rest}."


def is_hidden(name: str) -> bool:
    """Whether a path inside a source is one that systems make for themselves, as '.git/x' and '__MACOSX/._1.jpg'."""
    return HIDDEN.search(name) is not None


def member_path(name: str) -> str:
    """An archive's member as a path inside it, without the root where it is absolute ('/home/x', 'C:\\x').

    Programs on Windows have written backslashes; where a slash stands too, they are part of a name.
    """
    return "/".join(part for part in DRIVE.sub("", _slashed(name)).split("/") if part not in ("", "."))


def is_absolute(name: str) -> bool:
    """Whether an archive's member is told to lie somewhere on the disk, and not inside the archive."""
    return DRIVE.match(_slashed(name)) is not None


def _slashed(name: str) -> str:
    return name if "/" in name else name.replace("\\", "/")


def inside(members: Mapping[str, bool], where: str) -> tuple[set[str], tuple[Aside, ...], tuple[str, ...]]:
    """Which of an archive's members count, what is left aside, and a note.

    members: paths, and whether each was absolute. If all are, as some programs write them, they are the set. Among
    others they are left aside: below which folder they were meant to lie cannot be known, and it would be a class.
    """
    absolute = [name for name, each in members.items() if each]
    if not absolute:
        return {*members}, (), ()
    if all(each for name, each in members.items() if not is_hidden(name)):
        note = f"The members of {where} have absolute paths, which are taken as paths inside it ({absolute[0]})."
        return {*members}, (), (note,)
    aside = Aside(ABSOLUTE, tuple(f"/{name}" for name in sorted(absolute)))
    return {*members}.difference(absolute), (aside,), ()


def looks_like_image(name: str) -> bool:
    """Whether a file is called as images are."""
    return name.lower().endswith(EXTENSIONS) and not is_hidden(name)


def counts(name: str) -> bool:
    """Whether a file may be an image, or a table or an archive of images."""
    lowered = name.lower()
    return lowered.endswith((*TABLES, *ARCHIVES)) or PurePosixPath(lowered).suffix not in NO_PICTURES


def sorted_out(names: Sequence[str], head: Callable[[int], bytes] | None) -> tuple[list[int], list[Aside]]:
    """Which of some files are images, as numbers in their order, and why the others are none. Hidden ones do not count.

    head: number of a file -> its first bytes, asked of files whose endings tell nothing; None where that takes long.
    """
    pictures: list[int] = []
    arrays: list[int] = []
    others: dict[str, list[str]] = {}
    for number, name in enumerate(names):
        if ".." in name and "/../" in f"/{name}":
            others.setdefault("paths that lead out of the source", []).append(name)
            continue
        if is_hidden(name):
            continue
        lowered = name.lower()
        if lowered.endswith(PICTURES):
            pictures.append(number)
        elif lowered.endswith(ARRAYS):
            arrays.append(number)
        elif reason := _why_none(lowered, number, head):
            others.setdefault(reason, []).append(name)
        else:
            pictures.append(number)
    masks = _masks([names[number] for number in pictures])
    if masks:
        others[OF_OTHERS] = [*masks]
        pictures = [number for number in pictures if names[number] not in masks]
    if pictures and arrays:
        others["arrays beside pictures (if they are the images, give a folder that holds them alone)"] = [
            names[number] for number in arrays
        ]
    return pictures or arrays, [Aside(reason, tuple(sorted(some))) for reason, some in sorted(others.items())]


def _masks(names: Sequence[str]) -> set[str]:
    """Pictures in folders of masks that are called as others in folders of images are, but for their ending."""
    folders = {name[: name.rfind("/") + 1] for name in names}  # of a million files there are few
    telling = {folder for folder in folders if MASKS.search(folder) is not None and SHOWN.search(folder) is None}
    if not telling:
        return set()
    shown = {folder for folder in folders if SHOWN.search(folder) is not None}
    called = {_stem(name) for name in names if name[: name.rfind("/") + 1] in shown}
    return {name for name in names if name[: name.rfind("/") + 1] in telling and _stem(name) in called}


def _stem(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[0]


def _why_none(name: str, number: int, head: Callable[[int], bytes] | None) -> str:
    """Why a file whose ending is not one of an image's is none; '' if it is one after all."""
    ending = PurePosixPath(name).suffix
    if ending in NO_PICTURES:
        return f"{ending} is not an image's"
    if head is None:
        return f"{ending or 'no ending'} is not an image's ending"
    first = head(number)
    if begins_image(first):
        return ""
    if first[4:12] in HEIF:
        return "HEIC is not read here (convert these to JPEG or PNG)"
    return f"{ending or 'no ending'}, and the first bytes are not an image's"


def begins_image(first: bytes) -> bool:
    """Whether a file with these first bytes is an image that is read."""
    return any(first[at : at + len(mark)] == mark for at, mark in SIGNATURES) or _is_bmp(first)


def _is_bmp(first: bytes) -> bool:
    return first.startswith(b"BM") and first[14:18] in (b"\x28\0\0\0", b"\x0c\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0")
