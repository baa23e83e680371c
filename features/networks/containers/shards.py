"""The index of a network whose weights lie in several files, as Hugging Face's libraries save large ones."""

import json
import re
from itertools import islice
from pathlib import Path

from features.errors import WeightsError
from features.networks.containers.tensors import MAX_TENSORS

INDEX = ".index.json"
SHARD = re.compile(r"-\d{5}-of-(?!00001\.)\d{5}\.")
MAX_INDEX, MAX_SHARDS, MAX_INDICES = 8 << 20, 32, 16


def index_of(path: Path) -> Path | None:
    """The index that a path is, or that lies beside a shard and names it; None for all other files.

    Raises WeightsError for a broken one.
    """
    if path.name.endswith(INDEX) or SHARD.search(path.name) is None:
        return path if path.name.endswith(INDEX) else None
    beside = (each for each in islice(path.parent.glob(f"*{INDEX}"), MAX_INDICES) if each.is_file())
    for index in sorted(beside):
        try:
            if path.name in weight_map(index).values():
                return index
        except WeightsError as error:
            raise WeightsError(f"one part of a network in several files, whose {index.name[:60]} is {error}") from error
    return None


def weight_map(index: Path) -> dict[str, str]:
    """The name of every tensor -> the name of the file in the index's folder that holds it.

    Raises WeightsError for what is no index, or one that leads elsewhere.
    """
    if index.stat().st_size > MAX_INDEX:
        raise WeightsError(f"an index of more than {MAX_INDEX >> 20} MiB")
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
        names = content["weight_map"]
        if not names or not all(isinstance(name, str) for name in names.values()):
            raise ValueError("its weight_map names no files")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"an index of several files that cannot be understood ({str(error)[:80]})") from error
    files = dict.fromkeys(names.values())
    if len(files) > MAX_SHARDS or len(names) > MAX_TENSORS:
        raise WeightsError(
            f"an index of {len(names):,} tensors in {len(files):,} files, where at most {MAX_TENSORS:,} in "
            f"{MAX_SHARDS} are read"
        )
    for name in files:
        if name != Path(name).name or name.startswith(".") or not re.fullmatch(r"[\w.() -]+", name):
            raise WeightsError(f"an index that names {name[:60]!r}, which is no name of a file beside it")
    return names


def files_of(path: Path) -> tuple[Path, ...]:
    """The files in which a network's weights lie: those of an index with it, else the file itself.

    Raises WeightsError as `weight_map`.
    """
    if not path.name.endswith(INDEX):
        return (path,)
    return (path, *(path.with_name(name) for name in dict.fromkeys(weight_map(path).values())))
