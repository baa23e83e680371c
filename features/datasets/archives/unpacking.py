"""Unpacks what cannot be read at any place, as a compressed tar, into the cache folder, within bounds."""

import bz2
import gzip
import hashlib
import lzma
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import pyarrow as pa

from features import files
from features.datasets import counting
from features.datasets.archives.spans import Span
from features.errors import DatasetError

GZIP, BZIP2, XZ, ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
MOST_BYTES = 64 << 30  # of one archive, unpacked, and of all that are kept
RATIO, FREELY = 100, 64 << 20  # archives of images hardly shrink: one that grows so much, past so many bytes, is a bomb
SPARED_BYTES = 1 << 30  # that stay free on the disk
PIECE = 1 << 20
XZ_MEMORY = 512 << 20  # that a decoder may need, by what the archive says of itself
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError, pa.ArrowException)


def is_packed(head: bytes) -> bool:
    """Whether a file that begins so is compressed, by gzip, bzip2, xz or zstd."""
    return head.startswith((GZIP, BZIP2, XZ, ZSTD))


def begins(span: Span, size: int) -> bytes:
    """The first bytes of what a compressed file holds; none where it is damaged."""
    unpacked = b""
    with span.open() as file, suppress(*DAMAGE):
        for piece in pieces(file, size):
            unpacked += piece
            if len(unpacked) >= size:
                break
    return unpacked[:size]


def pieces(file: IO[bytes], size: int = PIECE) -> Iterator[bytes]:
    """What a compressed file holds, in pieces of at most `size` bytes. Raises one of DAMAGE."""
    head = file.read(len(XZ))
    file.seek(0)
    if head.startswith(XZ):
        yield from _of_xz(file, size)
        return
    opened = (
        gzip.GzipFile(fileobj=file)
        if head.startswith(GZIP)
        else bz2.BZ2File(file)
        if head.startswith(BZIP2)
        else pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")
    )
    while piece := opened.read(size):
        yield piece


def _of_xz(file: IO[bytes], size: int) -> Iterator[bytes]:
    """As `lzma.open`, which takes no limit of memory."""
    decoder, data = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY), b""
    while True:
        if decoder.eof:
            data = (decoder.unused_data or file.read(PIECE)).lstrip(b"\0")  # streams may be padded
            if not data:
                return
            decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
        elif decoder.needs_input and not (data := file.read(PIECE)):
            raise EOFError("it ends before its end")
        piece = decoder.decompress(data, size)
        data = b""
        if piece:
            yield piece


def kept(span: Span, mark: str, packed: int, content: Iterable[bytes], where: str) -> Path:
    """A file of the cache folder with what a span holds, unpacked unless it lies there already.

    mark: what changes when the file does. packed: bytes of the span. where: what errors call it.
    Raises DatasetError if it is damaged, grows beyond the bounds, or cannot be written.
    """
    what = f"{span.path.resolve()} {span.start} {span.size} {mark}"
    path = files.cache_folder("archives") / hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()
    try:
        if path.is_file():
            os.utime(path)  # those that were used last are kept
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        files.make_room(path.parent, MOST_BYTES)
        with files.written_whole(path) as file:
            for piece in counting.weighed(_bounded(content, packed, path.parent, where)):
                file.write(piece)
        return path
    except OSError as error:
        raise DatasetError(
            f"{where} cannot be unpacked into {path.parent}: {error.strerror or error}. Unpack it yourself, and name "
            "the folder."
        ) from error


def _bounded(content: Iterable[bytes], packed: int, folder: Path, where: str) -> Iterator[bytes]:
    total = 0
    try:
        for piece in content:
            total += len(piece)
            if total > max(FREELY, RATIO * packed):
                raise DatasetError(
                    f"{where} has {packed / 2**20:,.1f} MiB and holds more than {RATIO} times as much, as no images "
                    "do. If it is meant so, unpack it yourself, and name the folder."
                )
            if total > MOST_BYTES or shutil.disk_usage(folder).free < SPARED_BYTES:
                raise DatasetError(
                    f"{where} holds more than there is room for in {folder} (at most {MOST_BYTES >> 30} GiB, and "
                    f"{SPARED_BYTES >> 30} GiB stay free). Unpack it elsewhere, and name the folder."
                )
            yield piece
    except DAMAGE as error:
        raise DatasetError(f"{where} is damaged after {total:,} bytes: {error}. Copy or make it again.") from error
