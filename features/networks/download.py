"""Fetches weights with torch.hub's own downloader, into its own cache, as a task that reports megabytes."""

import math
import re
from pathlib import Path

from features.errors import WeightsError
from features.networks import hub as face
from features.networks.transfer import watched
from features.progress import Task


def cached(url: str) -> Path:
    """Where torch.hub keeps what lies at `url`: $TORCH_HOME/hub/checkpoints and the file's own name.

    What lies on the Hugging Face Hub is in its client's cache.
    """
    if face.is_hub(url):
        return face.cached(url)
    from torch import hub

    return Path(hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]


def fetch(url: str, megabytes: float) -> Task[Path]:
    """Fetch a file whose name ends in the first digits of its SHA-256, check it, and return where it lies.

    megabytes: its size as published, in MiB. Closing the task stops the waiting, not the transfer, which torch.hub
    cannot be asked to leave: the file is in the cache once it is through. What lies on the Hugging Face Hub is fetched
    by its own client.
    Raises WeightsError if the file cannot be fetched or is another one, with the address and the place for it.
    """
    if face.is_hub(url):
        return (yield from face.fetch(url, megabytes))
    from torch import hub

    target = cached(url)

    def work() -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        hub.download_url_to_file(url, str(target), _checksum(url), progress=False)

    failed = yield from watched(work, lambda: _arrived(target), math.ceil(megabytes), target.name)
    if failed is not None:
        if not isinstance(failed, OSError | RuntimeError):  # URLError is an OSError; a wrong hash is a RuntimeError
            raise failed
        raise WeightsError(
            f"{target.name} could not be fetched: {failed}. "
            f"Fetch {url} on a machine with a network and put it at {target}."
        ) from failed
    return target


def _arrived(target: Path) -> int:
    """MiB of the file that are here; torch.hub writes to NAME.<random>.partial first."""
    return max((part.stat().st_size for part in target.parent.glob(f"{target.name}.*.partial")), default=0) >> 20


def _checksum(url: str) -> str:
    match = re.search(r"-([0-9a-f]{8,})\.", url)
    if match is None:
        raise WeightsError(f"{url} does not carry a checksum in its name. Fetch it by hand and use --weights.")
    return match[1]
