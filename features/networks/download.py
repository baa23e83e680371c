"""Fetches weights with torch.hub's own downloader, into its own cache, as a task that reports megabytes."""

import math
import re
import threading
from pathlib import Path

from features.errors import WeightsError
from features.progress import Progress, Task

POLL_SECONDS = 0.2


def cached(url: str) -> Path:
    """Where torch.hub keeps what lies at `url`: $TORCH_HOME/hub/checkpoints and the file's own name."""
    from torch import hub

    return Path(hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]


def fetch(url: str, megabytes: float) -> Task[Path]:
    """Fetch a file whose name ends in the first digits of its SHA-256, check it, and return where it lies.

    megabytes: its size as published, in MiB. Closing the task stops the waiting, not the transfer, which torch.hub
    cannot be asked to leave: the file is in the cache once it is through.
    Raises WeightsError if the file cannot be fetched or is another one, with the address and the place for it.
    """
    from torch import hub

    target = cached(url)
    failed: list[BaseException] = []

    def work() -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            hub.download_url_to_file(url, str(target), _checksum(url), progress=False)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True, name=f"fetch {target.name}")
    thread.start()
    total = math.ceil(megabytes)
    while thread.is_alive():
        yield Progress(min(total, _arrived(target)), total, "MB", target.name)
        thread.join(POLL_SECONDS)
    for error in failed:
        if not isinstance(error, OSError | RuntimeError):  # URLError is an OSError; a wrong hash is a RuntimeError
            raise error
        raise WeightsError(
            f"{target.name} could not be fetched: {error}. "
            f"Fetch {url} on a machine with a network and put it at {target}."
        ) from error
    return target


def _arrived(target: Path) -> int:
    """MiB of the file that are here; torch.hub writes to NAME.<random>.partial first."""
    try:
        return max((part.stat().st_size for part in target.parent.glob(f"{target.name}.*.partial")), default=0) >> 20
    except OSError:  # it was moved to its own name in between
        return 0


def _checksum(url: str) -> str:
    match = re.search(r"-([0-9a-f]{8,})\.", url)
    if match is None:
        raise WeightsError(f"{url} does not carry a checksum in its name. Fetch it by hand and use --weights.")
    return match[1]
