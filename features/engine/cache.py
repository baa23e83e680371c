"""Where this machine keeps what takes long to make and can be made again: converted networks, and timings."""

import os
from pathlib import Path


def cache_folder(kind: str) -> Path:
    """The folder of one kind of such files; deleting it costs no more than making them again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "resnet-explorer" / kind
