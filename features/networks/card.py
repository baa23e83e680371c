"""What a network is called, is, sees and says, and the same as text inside its weights file and beside it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from features import files
from features.errors import WeightsError
from features.networks.architecture import Architecture
from features.networks.preprocessing import Preprocessing

METADATA = {"name", "family", "architecture", "preprocessing", "classes", "source", "licence"}


class Outputs(StrEnum):
    """What a network's logits say of an image.

    MULTICLASS: K logits of classes of which exactly one holds (softmax). BINARY: one logit, of the second of two
    classes (sigmoid). MULTILABEL: K logits of labels of which any number holds (a sigmoid each).
    """

    MULTICLASS = "multiclass"
    BINARY = "binary"
    MULTILABEL = "multilabel"

    @property
    def function(self) -> str:
        """What makes probabilities of the logits."""
        return "softmax" if self is Outputs.MULTICLASS else "sigmoid"


@dataclass(frozen=True)
class ModelSpec:
    """What a network is called, is, sees and says.

    class_names: one per logit, or both of the two that one logit parts; () when unknown.
    source: whose weights, in words. licence: theirs. file: the weights on this machine, or None. url: where torchvision
    would fetch them, or None; megabytes: how large they are there, in MiB.
    assumed: what the weights' file does not tell and was taken for granted, in words.
    multilabel: whether any number of classes may hold at once. taken: which network and which head of a file with
    several, where it is not the main one with its first head.
    """

    name: str
    family: str
    architecture: Architecture
    preprocessing: Preprocessing
    class_names: tuple[str, ...]
    source: str
    licence: str
    file: Path | None = None
    url: str | None = None
    megabytes: float = 0.0
    assumed: tuple[str, ...] = ()
    multilabel: bool = False
    taken: str = ""

    @property
    def outputs(self) -> Outputs:
        """What its logits say. One logit is of two classes: its softmax would be 1 whatever the image."""
        if self.multilabel:
            return Outputs.MULTILABEL
        return Outputs.BINARY if self.architecture.classes == 1 else Outputs.MULTICLASS

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """(K,) what can be predicted, by name or, where names are unknown, by number; () without a head."""
        if self.outputs is not Outputs.BINARY:
            return self.class_names or tuple(map(str, range(self.architecture.classes or 0)))
        if len(self.class_names) == 1:
            return f"not {self.class_names[0]}", self.class_names[0]
        return self.class_names or ("0", "1")

    def class_name(self, index: int) -> str:
        """The name of class `index`, or its number."""
        return self.classes[index]


def names_fit(n_names: int, n_logits: int | None) -> bool:
    """Whether so many names can be those of a network's classes: one a logit, or both of two that one logit parts."""
    return n_names == n_logits or (n_names, n_logits) == (2, 1)


def read_card(entry: ModelSpec) -> dict[str, Any] | None:
    """How a network was trained and tested, from the JSON beside its weights.

    None where there is no such file, or where it speaks of other weights than these.
    """
    if entry.file is None or not entry.file.with_suffix(".json").is_file():
        return None
    try:
        content = json.loads(entry.file.with_suffix(".json").read_text(encoding="utf-8"))
    except ValueError:  # another program's file
        return None
    same = isinstance(content, dict) and content.get("weights_sha256") == files.digest_of(entry.file)
    return content if same else None


def describe(entry: ModelSpec) -> dict[str, str]:
    """A spec as strings, to be written into a weights file; `described` reads it back."""
    return {
        "format": "pt",
        "name": entry.name,
        "family": entry.family,
        "architecture": json.dumps(entry.architecture.settings()),
        "preprocessing": json.dumps(entry.preprocessing.settings()),
        "classes": json.dumps(entry.class_names),
        "source": entry.source,
        "licence": entry.licence,
        **({"outputs": str(entry.outputs)} if entry.multilabel else {}),
    }


def is_described(metadata: Mapping[str, str]) -> bool:
    """Whether a weights file says what network it is of."""
    return metadata.keys() >= METADATA


def described(metadata: Mapping[str, str]) -> ModelSpec:
    """The spec that `describe` wrote. Raises FeatureError if it is another program's or damaged."""
    from features.networks.metadata import read

    said = read(metadata)
    if said.classes and not names_fit(len(said.classes), said.architecture.classes):
        raise WeightsError(f"{len(said.classes)} class names for {said.architecture.classes} classes")
    if said.preprocessing.channels != said.architecture.in_channels:
        raise WeightsError(f"{said.preprocessing.channels} means for {said.architecture.in_channels} channels")
    return ModelSpec(
        said.name,
        said.family,
        said.architecture,
        said.preprocessing,
        said.classes,
        said.source,
        said.licence,
        multilabel=said.multilabel,
    )
