"""Images in a tar, each read from where it lies; compressed tars are unpacked into the cache folder first."""

import tarfile
from typing import IO

from features.datasets import folders, images, kinds
from features.datasets.archives import samples, unpacking
from features.datasets.archives.spans import Handles, Span
from features.datasets.archives.tar_index import BLOCK, ZEROS, Index, index_of, plain
from features.datasets.image_set import from_store, spelled
from features.datasets.listing import Listing
from features.errors import ImageError


def is_tar(span: Span) -> bool:
    """Whether a file is a tar, compressed or not, by its first bytes."""
    with span.open() as file:
        head = file.read(BLOCK)
    return _is_header(unpacking.begins(span, BLOCK) if unpacking.is_packed(head) else head)


def _is_header(block: bytes) -> bool:
    if block == ZEROS:
        return True  # an empty tar
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")  # its checksum is right
    except tarfile.HeaderError:
        return False
    return True


def listing(span: Span, name: str, where: str, uri: str) -> Listing:
    """The files in a tar, of a WebDataset's samples the images with their labels. Raises DatasetError.

    uri: what the tar's own place is called in those of its members.
    """
    index = index_of(span, where)
    numbers, labels, aside = samples.images_of(index.names, index.said)
    mark = folders.mark(span.path)
    handles: Handles[IO[bytes]] = Handles(Span.open)

    def read(number: int) -> tuple[bytes, str]:
        row = numbers[number]
        shown = spelled(index.names[row])
        try:
            with from_store(index.span.path, shown), handles.of(_there(index.span, span, where)) as file:
                return _member(file, index, row), shown
        except (OSError, ValueError) as error:
            raise ImageError(f"{shown} cannot be read from {where}: {error}. Is it still there?") from error

    def head(number: int) -> bytes:
        with handles.of(_there(index.span, span, where)) as file:
            file.seek(int(index.starts[numbers[number]]))
            return file.read(min(kinds.HEAD, int(index.sizes[numbers[number]])))

    return Listing(
        name,
        where,
        [index.names[row] for row in numbers],
        [mark] * len(numbers),  # which says of all members whether they may have changed
        read,
        lambda number: f"tar://{spelled(index.names[numbers[number]])}::{uri}",
        head,
        (*index.aside, *aside),
        index.notes,
        labels=labels,
        is_shard=labels is not None
        or (len(numbers) < len(index.names) and not any("/" in each for each in index.names)),
    )


def _there(unpacked: Span, span: Span, where: str) -> Span:
    """The unpacked tar, made again if somebody has emptied the cache folder."""
    return unpacked if unpacked.path == span.path or unpacked.path.is_file() else plain(span, where)


def part_of(span: Span, member: str, where: str) -> Span:
    """Where a member lies. Raises ImageError if there is none, DatasetError if the tar cannot be read."""
    index = index_of(span, where)
    row = next((row for row, name in enumerate(index.names) if member in (name, spelled(name))), None)
    if row is None:
        raise ImageError(f"{where} has no {member}. Is it the same tar still?")
    return index.span.part(int(index.starts[row]), int(index.sizes[row]))


def read_member(span: Span, member: str, where: str) -> bytes:
    """The bytes of one image of a tar. Raises ImageError."""
    try:
        part = part_of(span, member, where)
        with from_store(part.path, member), part.open() as file:
            return _whole(file.read(_size(part.size or 0, member)), part.size or 0, member)
    except (OSError, ValueError) as error:
        raise ImageError(f"{member} cannot be read from {where}: {error}. Is it still there?") from error


def _member(file: IO[bytes], index: Index, row: int) -> bytes:
    name, size = spelled(index.names[row]), int(index.sizes[row])
    file.seek(int(index.starts[row]))
    return _whole(file.read(_size(size, name)), size, name)


def _size(size: int, name: str) -> int:
    images.need_size(size, name)
    return size


def _whole(data: bytes, size: int, name: str) -> bytes:
    if len(data) < size:
        raise ImageError(
            f"{name} has {size:,} bytes, but its tar ends after {len(data):,} of them. Copy or make it again."
        )
    return data
