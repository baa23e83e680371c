"""Keeps what statistics said of files of weights, under the weights' digest and all else that it was found from."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from features import files
from features.networks.card import ModelSpec
from features.networks.checkpoint import Checkpoint
from features.networks.hypotheses import Hypothesis, Tested, Verdict

VERSION = 2


def key_of(file: Checkpoint, spec: ModelSpec, is_open: Iterable[str]) -> str:
    """What a verdict depends on, as hexadecimal digits. is_open: the fields that are neither known nor chosen."""
    said = [
        VERSION, file.digest, file.part.name, spec.architecture.settings(), spec.preprocessing.settings(),
        sorted(is_open),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]


def kept(key: str) -> Verdict | None:
    """The verdict of a key, None if there is none that can be read."""
    try:
        told = json.loads(_path(key).read_text(encoding="utf-8"))
        return Verdict(
            _tested(told["pixels"]), _tested(told["structures"]), _settings(told["settings"]), tuple(told["settled"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep(key: str, verdict: Verdict) -> None:
    """Keep a verdict, if the disk lets."""
    told = {
        "pixels": _rows(verdict.pixels),
        "structures": _rows(verdict.structures),
        "settings": verdict.settings,
        "settled": verdict.settled,
    }
    files.keep(_path(key), json.dumps(told).encode())


def _path(key: str) -> Path:
    return files.cache_folder("statistics") / f"{key}.json"


def _rows(tested: Sequence[Tested]) -> list[list[object]]:
    return [[each.hypothesis.title, each.hypothesis.settings, each.nats, each.whole] for each in tested]


def _tested(rows: Sequence[Sequence]) -> tuple[Tested, ...]:
    return tuple(
        Tested(Hypothesis(title, _settings(settings)), float(nats), bool(whole))
        for title, settings, nats, whole in rows
    )


def _settings(pairs: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(value)) for name, value in pairs)
