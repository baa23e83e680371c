"""Fetches weights into torch.hub's own cache, as a task that reports megabytes."""

import hashlib
import math
import re
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

from features import files
from features.errors import WeightsError
from features.progress import Progress, Task

CHUNK_BYTES = 2**17
SILENCE = 60.0  # seconds without a byte, after which a server is given up


def cached(url: str) -> Path:
    """Where torch.hub keeps what lies at `url`: $TORCH_HOME/hub/checkpoints and the file's own name."""
    from torch import hub

    return Path(hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]


def fetch(url: str, megabytes: float) -> Task[Path]:
    """Fetch a file whose name ends in the first digits of its SHA-256, check it, and return where it lies.

    megabytes: its size as published, in MiB. Closing the task ends the transfer and leaves nothing behind.
    Raises WeightsError if the file cannot be fetched or is another one, with the address and the place for it.
    """
    target, checksum, total = cached(url), _checksum(url), math.ceil(megabytes)
    yield Progress(0, total, "MB", target.name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Not torch.hub's download_url_to_file, which tells nobody how far it is and cannot be asked to leave.
        request = Request(url, headers={"User-Agent": "torch.hub"})
        with urlopen(request, timeout=SILENCE) as response, files.written_whole(target) as file:
            digest, arrived = hashlib.sha256(), 0
            while chunk := response.read(CHUNK_BYTES):
                file.write(chunk)
                digest.update(chunk)
                arrived += len(chunk)
                yield Progress(min(total, arrived >> 20), total, "MB", target.name)
            if not digest.hexdigest().startswith(checksum):
                raise OSError(f"invalid hash value (expected {checksum}, got {digest.hexdigest()})")
    except (OSError, HTTPException) as error:
        raise WeightsError(
            f"{target.name} could not be fetched: {error}. "
            f"Fetch {url} on a machine with a network and put it at {target}."
        ) from error
    return target


def _checksum(url: str) -> str:
    match = re.search(r"-([0-9a-f]{8,})\.", url)
    if match is None:
        raise WeightsError(f"{url} does not carry a checksum in its name. Fetch it by hand and use --weights.")
    return match[1]
