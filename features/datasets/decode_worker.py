"""A process that decodes and frames images for another one: requests of a few images come in, pixels go out.

Started by `decode_processes`. It imports no PyTorch, so that it is there in a fraction of a second, and ends when
whoever started it closes the pipe or is gone, however that came about.

A request is a line of JSON, [slot, [[name, path, n_bytes], ...]], and the bytes of those files that have no path. The
reply is a line too, [slot, [reason, ...]]: '' for an image whose pixels are in the slot's memory, why it cannot be
decoded, or null where its file cannot be read, of which whoever asked has to find the reason. Without shared memory the
slot's pixels follow.
"""

import json
import mmap
import os
import signal
import stat
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from features.datasets.images import MAX_BYTES, decode
from features.errors import ImageError
from features.networks.preprocessing import Preprocessing

READY = b"+"
LOW_PRIORITY = 10


def main(arguments: str) -> None:
    """Serve requests from stdin on stdout. arguments: as JSON the preprocessing's settings, the shape of the memory
    (slots, images, C, S, S), and its file's number or null.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the other process's to handle
    if hasattr(os, "nice"):
        os.nice(LOW_PRIORITY)  # whoever keeps the GPU busy goes first
    settings, shape, descriptor = json.loads(arguments)
    preprocessing = Preprocessing(**settings)
    memory = np.empty(shape, np.uint8) if descriptor is None else mapped(descriptor, shape)
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    try:
        replies.write(READY)
        replies.flush()
        while line := requests.readline():
            slot, entries = json.loads(line)
            reasons = [
                fill(pixels, file_of(entry, requests), entry[0], preprocessing)
                for pixels, entry in zip(memory[slot], entries, strict=False)
            ]
            replies.write(json.dumps([slot, reasons]).encode() + b"\n")
            if descriptor is None:
                replies.write(memory[slot, : len(entries)].data)
            replies.flush()
    except (BrokenPipeError, EOFError):  # nobody waits any longer
        os._exit(0)  # not to be told again when stdout is closed


def mapped(descriptor: int, shape: tuple[int, ...]) -> np.ndarray:
    """The memory behind a file's number as uint8 of a shape. It lives as long as somebody has the array."""
    return np.frombuffer(mmap.mmap(descriptor, int(np.prod(shape))), np.uint8).reshape(shape)


def file_of(entry: list[Any], requests: BinaryIO) -> bytes | None:
    """An image's file, which follows or lies at a path; None where it cannot be read."""
    _, path, n_bytes = entry
    if path is not None:
        return read(path)
    data = requests.read(n_bytes)
    if len(data) < n_bytes:
        raise EOFError("whoever asked is gone")
    return data


def read(path: str) -> bytes | None:
    try:
        status = os.stat(path)  # noqa: PTH116
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:  # reading a pipe would wait for ever
            return None
        return Path(path).read_bytes()
    except (OSError, ValueError):
        return None


def fill(pixels: np.ndarray, data: bytes | None, name: str, preprocessing: Preprocessing) -> str | None:
    """Write an image to `pixels`, (C, S, S) uint8; returns what the reply says of it."""
    if data is None:
        return None
    try:
        pixels[:] = preprocessing.framed_array(decode(data, name))
    except ImageError as error:
        return str(error)
    return ""
