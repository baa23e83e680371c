"""Weights on the Hugging Face Hub, fetched with its own client into its own cache."""

import math
import re
import threading
from collections.abc import Callable
from pathlib import Path

from features.errors import WeightsError
from features.progress import Progress, Task

POLL_SECONDS = 0.2
ADDRESS = re.compile(r"https://huggingface\.co/(?P<repository>[^/]+/[^/]+)/resolve/main/(?P<file>.+)")


def is_hub(url: str) -> bool:
    return ADDRESS.fullmatch(url) is not None


def cached(url: str) -> Path:
    """Where a file lies in the Hub's cache, or in torch.hub's under the repository's name; the latter if nowhere."""
    from huggingface_hub import try_to_load_from_cache

    kept = try_to_load_from_cache(*_parts(url))
    return Path(kept) if isinstance(kept, str) else by_hand(url)


def by_hand(url: str) -> Path:
    """Where to put a file that was fetched on another machine: $TORCH_HOME/hub/checkpoints and its network's name."""
    from torch import hub

    repository, file = _parts(url)
    return Path(hub.get_dir()) / "checkpoints" / f"{repository.split('/')[1]}{Path(file).suffix}"


def fetch(url: str, megabytes: float) -> Task[Path]:
    """Fetch a file and return where it lies. Raises WeightsError, with address and place for it, if that fails."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.constants import HF_HUB_CACHE

    repository, file = _parts(url)
    blobs = Path(HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}" / "blobs"
    paths: list[str] = []
    failed = yield from _watched(
        lambda: paths.append(hf_hub_download(repository, file)),
        lambda: max((part.stat().st_size for part in blobs.glob("*.incomplete")), default=0) >> 20,
        math.ceil(megabytes),
        file,
    )
    if failed is not None:
        raise WeightsError(
            f"{repository} could not be fetched: {str(failed)[:200]}. Fetch {url} on a machine with a network and put "
            f"it at {by_hand(url)}."
        ) from failed
    return Path(paths[0])


def _parts(url: str) -> tuple[str, str]:
    match = ADDRESS.fullmatch(url)
    assert match is not None, url
    return match["repository"], match["file"]


def _watched(work: Callable[[], object], arrived: Callable[[], int], total: int, name: str) -> Task[Exception | None]:
    """Run `work` in a thread; returns what it raised, or None.

    arrived: MiB that are here. total: MiB in all. Closing the task stops the waiting, not the transfer.
    """
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True, name=f"fetch {name}")
    thread.start()
    while thread.is_alive():
        yield Progress(min(total, _now(arrived)), total, "MB", name)
        thread.join(POLL_SECONDS)
    for error in failed:
        if not isinstance(error, Exception):
            raise error
        return error
    return None


def _now(arrived: Callable[[], int]) -> int:
    try:
        return arrived()
    except OSError:  # a part was moved to its own name in between
        return 0
