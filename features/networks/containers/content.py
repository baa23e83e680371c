"""Opens a file of weights, whatever its name ends in, and gives what lies in it as plain values."""

import errno
import re
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from features import files
from features.errors import WeightsError
from features.networks.containers import shards, torch_files
from features.networks.containers.safetensors_files import read_safetensors

HEAD = 512  # bytes that tell formats apart
XML = b"\xef\xbb\xbf \t\r\n"  # what may come before it
SHOWN = 200  # characters of a path in an error
SAVE = "Save the weights with torch.save(model.state_dict(), ...) or as safetensors."
OTHERS: tuple[tuple[Callable[[bytes], bool], str], ...] = (
    (lambda head: head.startswith(b"version https://git-lfs"), "a Git LFS pointer: run `git lfs pull`"),
    (lambda head: head.lstrip(XML).startswith(b"<?xml") and b"<html" not in head.lower(), "an XML document, as servers "
     "answer when something went wrong: not weights. Download them again"),
    (lambda head: head.lstrip(XML)[:1] == b"<", "a web page, not weights: the download went wrong. Download it again"),
    (lambda head: head.startswith(b"\x89HDF"), f"an HDF5 file, as Keras writes. {SAVE}"),
    (lambda head: head.startswith(b"\x08") and b"pytorch" in head, f"an ONNX network. {SAVE}"),
    (lambda head: b"onnx" in head[:64].lower(), f"an ONNX network. {SAVE}"),
    (lambda head: head.startswith((b"GGUF", b"GGML")), f"a GGUF file. {SAVE}"),
    (lambda head: head.startswith(b"\x1f\x8b"), "compressed with gzip. Unpack it first"),
    (lambda head: head.startswith((b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x04\x22\x4d\x18")),
     "compressed. Unpack it first"),
    (lambda head: head.startswith(b"\x28\xb5\x2f\xfd"), "compressed with Zstandard. Unpack it first (zstd -d)"),
    (lambda head: head.startswith(b"\x93NUMPY"), f"a NumPy array. {SAVE}"),
    (lambda head: head.startswith((b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"%PDF")), f"a picture or a document. {SAVE}"),
    (lambda head: head[257:262] == b"ustar", f"a tar archive (weights from before PyTorch 0.1.10 are such). {SAVE}"),
    (lambda head: not head.strip(b"\0"), "empty, or filled with zeros: the download or copy was not finished"),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Content:
    """What lies in a file: nested dicts and lists with TensorRecords and Inert objects in them.

    format: 'safetensors', 'torch' (a zip archive), 'torch before 1.6', 'pickle'. metadata: what a safetensors file says
    of itself. files: all that it was read from.
    """

    path: Path
    format: str
    values: Any
    metadata: Mapping[str, str] = field(default_factory=dict)
    shards: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path, *self.shards)


def read(path: Path) -> Content:
    """The content of a weights file, or of all files that an index names. Nothing in it is run.

    Raises WeightsError with what it is instead.
    """
    size = _need_file(path)
    with _named(path):
        index = shards.index_of(path)
        if index is None and PART.search(path.name):
            raise WeightsError(f"one part{JOIN}")
    return _read_file(path, size) if index is None else _read_shards(index)


def _read_shards(index: Path) -> Content:
    """The tensors of all files that an index names, as those of one."""
    with _named(index):
        names = shards.weight_map(index)
        paths = [index.with_name(name) for name in dict.fromkeys(names.values())]
        for path in paths:
            if not path.is_file() or not files.may_be_read(str(path.resolve())):
                raise WeightsError(
                    f"an index that names {path.name[:60]}, and no such file lies beside it. Copy it there"
                )
    parts = {path.name: _read_file(path, path.stat().st_size) for path in paths}
    values: dict[str, Any] = {}
    with _named(index):
        for name, shard in names.items():
            inside = parts[shard].values
            if not isinstance(inside, dict) or name not in inside:
                raise WeightsError(f"an index that names {name[:60]!r}, which {shard[:60]} lacks. Copy all files again")
            values[name] = inside[name]
    first = parts[paths[0].name]
    return Content(index, f"{first.format} in {len(paths)} files", values, first.metadata, tuple(paths))


def _read_file(path: Path, size: int) -> Content:
    with _named(path):
        with path.open("rb") as file:
            head = file.read(HEAD)
        for is_this, what in OTHERS:
            if is_this(head):
                raise WeightsError(what)
        return _read(path, head, size)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a file into sentences that begin with its name."""
    try:
        yield
    except WeightsError as error:
        text = str(error)
        raise WeightsError(text if text.startswith(path.name) else _sentence(path.name, text)) from error
    except MemoryError as error:
        raise WeightsError(f"{path.name} does not fit into this machine's memory.") from error
    except OSError as error:
        raise WeightsError(f"{path.name} cannot be read: {error.strerror or error}. Check who may read it.") from error


JOIN = (
    " of a network in several files. Load it in Python with what saved it, and save it in one: "
    "torch.save(model.state_dict(), FILE)."
)
PART = re.compile(rf"{shards.SHARD.pattern}|\.distcp$")

# How reasons begin that say what a file is; the others say what it holds.
IS = (
    "a Git", "a web", "an XML", "an HDF5", "an ONNX", "a GGUF", "compressed", "a NumPy", "a picture", "a tar", "empty",
    "a zip", "an exported", "an index", "a Keras", "a pickle", "one part", "no weights", "a damaged archive",
    "a safetensors",
)  # fmt: skip


def _sentence(name: str, what: str) -> str:
    text = f"{name[:80]} {'is' if what.startswith(IS) else 'holds'} {what}"
    return text if text.endswith(".") else f"{text}."


def _need_file(path: Path) -> int:
    """The size of a regular file. Raises WeightsError for what is none, without opening it."""
    try:
        about = path.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            raise WeightsError(f"There is no file {str(path)[:SHOWN]}. Give the path of a file of weights.") from error
        raise WeightsError(f"{path} cannot be followed: {error.strerror}. Check the path.") from error
    if stat.S_ISDIR(about.st_mode):
        raise WeightsError(f"{path} is a folder{JOIN if _in_several(path) else '. Give the file of weights in it.'}")
    if not stat.S_ISREG(about.st_mode):
        raise WeightsError(f"{path} is a device or a pipe. Give a file of weights.")
    return about.st_size


def _in_several(folder: Path) -> bool:
    """Whether a folder holds a network in several files, as Hugging Face and PyTorch's distributed training save it."""
    return any(next(folder.glob(pattern), None) for pattern in ("*.index.json", ".metadata", "*.distcp"))


def _read(path: Path, head: bytes, size: int) -> Content:
    if zipfile.is_zipfile(path) and head.startswith(b"PK"):
        return Content(path, "torch", torch_files.read_zip(path))
    if head.startswith(b"PK"):
        raise WeightsError("a damaged archive: its end is missing, so it is not whole. Copy or download it again")
    length = int.from_bytes(head[:8], "little")
    if head[8:9] in (b"{", b"["):
        if size < 8 + length:
            raise WeightsError("a safetensors file that is not whole (its header breaks off). Copy it again")
        tensors, metadata = read_safetensors(path)
        return Content(path, "safetensors", tensors, metadata)
    if head[:1] in (b"\x80", b"(", b"c", b"}", b"]"):
        return Content(path, *torch_files.read_single(path))
    raise WeightsError(f"no weights that are known here: it begins with {head[:8]!r}. {SAVE}")
