"""A process that decodes and frames images for another one: file after file comes in, pixels go out.

Started by `decode_processes` as `python -m features.datasets.decode_worker`. It imports no PyTorch, so that it is
there in a fraction of a second, and ends when whoever started it closes the pipe or is gone, however that came about.
"""

import json
import os
import signal
import struct
import sys
from typing import BinaryIO

from features.datasets.images import decode
from features.errors import ImageError
from features.networks.preprocessing import Preprocessing

REQUEST = struct.Struct("<QQ")  # bytes of the image's name and of its file, which follow
REPLY = struct.Struct("<Q")  # bytes of the reason why it cannot be read, which follows; 0 before pixels
READY = b"+"
LOW_PRIORITY = 10


def main() -> None:
    """The settings are the first argument; requests come from stdin, replies go to stdout."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the other process's to handle
    if hasattr(os, "nice"):
        os.nice(LOW_PRIORITY)  # whoever keeps the GPU busy goes first
    preprocessing = Preprocessing(**json.loads(sys.argv[1]))
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    try:
        replies.write(READY)
        replies.flush()
        while answer(requests, replies, preprocessing):
            replies.flush()
    except BrokenPipeError:  # nobody waits any longer
        os._exit(0)  # not to be told again when stdout is closed


def answer(requests: BinaryIO, replies: BinaryIO, preprocessing: Preprocessing) -> bool:
    """Serve one request; False where there are no more."""
    header = requests.read(REQUEST.size)
    if len(header) < REQUEST.size:
        return False
    name_size, size = REQUEST.unpack(header)
    name, data = requests.read(name_size), requests.read(size)
    if len(data) < size:
        return False
    try:
        pixels = preprocessing.framed_array(decode(data, name.decode("utf-8", "surrogatepass")))  # (C, S, S) uint8
    except ImageError as error:
        reason = str(error).encode("utf-8", "surrogatepass")
        replies.write(REPLY.pack(len(reason)) + reason)
    else:
        replies.write(REPLY.pack(0))
        replies.write(pixels.data)
    return True


if __name__ == "__main__":
    main()
