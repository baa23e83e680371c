"""What a training leaves: NAME.safetensors, NAME.json beside it, and NAME.state.pt, from which it goes on."""

import io
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torchvision

from features import files
from features.claim import Claim, Held, Kind, read_json
from features.datasets import ImageSet
from features.errors import FeatureError
from features.evaluate import Evaluation
from features.networks import card, filling
from features.networks.architecture import Architecture
from features.networks.card import ModelSpec, Outputs
from features.train.heads import HEADS
from features.train.objectives import OBJECTIVES
from features.train.recipe import Recipe, completed

if TYPE_CHECKING:
    from features.train.fit import Training
    from features.train.start import Start

WEIGHTS, STATE = ".safetensors", ".state.pt"
STATE_KEYS = {"network", "optimizer", "schedule", "settings", "curve"}
STATE_MAY_HAVE = STATE_KEYS | {"average", "best", "learner"}
CARD_KEYS = {"name", "weights_sha256", "architecture", "preprocessing", "recipe", "curve", "test", "versions"}


def settings_of(
    start: "Start", images: ImageSet, test_images: ImageSet | None, recipe: Recipe, spec: Mapping[str, str]
) -> dict[str, Any]:
    """All that a trained network depends on. test_images: None of a training that has none. spec: what its file says
    beside that: family and licence.
    """
    head = HEADS.need(recipe.head) if OBJECTIVES.need(recipe.objective).labels else None
    made_of = replace(start.architecture, classes=None if head is None else head.logits(images.class_names))
    digests = {"images_digest": images.digest}
    digests |= {} if test_images is None else {"test_images_digest": test_images.digest}
    begun = {"from": start.key} if start.key else {}
    return {**_flat(recipe.settings(), asdict(made_of)), **digests, **begun, "images": images.name, **spec}


def _flat(recipe: Mapping[str, Any], architecture: Mapping[str, Any]) -> dict[str, Any]:
    """On one level. The input's channels follow from the images, and are known only when they are looked at."""
    return {**recipe, **{name: value for name, value in architecture.items() if name != "in_channels"}}


def _settings_in(state: Mapping[str, Any]) -> dict[str, Any]:
    told = json.loads(state["settings"])
    digests = {"images_digest": told["images"], "test_images_digest": told.get("test_images")}
    begun = {"from": told["from"]} if "from" in told else {}
    return {**_flat(told["recipe"], told["architecture"]), **digests, **begun}


def _is_of(told: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Whether a state's settings are those of a run, which may tell more. What neither tells is as by default."""
    usual = completed({"from": None, **{each.name: each.default for each in fields(Architecture)[10:]}})
    before, wanted = json.loads(json.dumps([{**usual, **told}, {**usual, **settings}]))
    return before == {name: wanted.get(name) for name in before}


def read_state(path: Path) -> dict[str, Any]:
    """What a run kept of itself. Raises FeatureError if it is damaged, or nothing of the kind."""
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # a damaged file raises anything from KeyError to UnpicklingError
        raise FeatureError(f"{path} is damaged: {error}. Delete it to start the run anew.") from error
    if not isinstance(state, dict) or not STATE_KEYS <= state.keys() <= STATE_MAY_HAVE:
        raise FeatureError(f"{path} is not the state of a training run. Choose another name or folder.")
    return state


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Keep what a run can be gone on with, whole or not at all. Raises FeatureError if it cannot be written."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    with TRAINING.errors(path.parent):
        files.write_whole(path, buffer.getvalue())


def state_file(claim: Claim) -> Path:
    """Where the state of a claimed run is kept, which begins with that of an earlier one that trained alike."""
    kept, shown = claim.kept / f"{claim.name}{STATE}", claim.folder / f"{claim.name}{STATE}"
    if shown.exists() and not kept.exists() and _is_of(_settings_in(read_state(shown)), claim.settings):
        with claim.errors():
            files.write_whole(kept, shown.read_bytes())
    return kept


def publish(training: "Training", start: "Start", images: ImageSet, name: str, licence: str, folder: Path) -> Path:
    """Write a trained network as NAME.safetensors, which tells its own architecture, preprocessing and classes.

    start: where it began, whose family it has. images: those it learned from.
    """
    source = f"trained on {images.name} ({len(images):,} images) with this project"
    if start.source is not None:
        source += f", from {start.source.spec.name} ({start.source.spec.source})"
    spec = ModelSpec(
        name=name,
        family=start.family,
        architecture=training.architecture,
        preprocessing=training.preprocessing,
        class_names=images.class_names if training.architecture.classes is not None else (),
        source=source,
        licence=licence,
        multilabel=training.outputs is Outputs.MULTILABEL,
    )
    path = folder / f"{name}{WEIGHTS}"
    filling.save(training.network, path, card.describe(spec), training.untouched)
    return path


def licence_of(start: "Start", wanted: str | None) -> str:
    """The licence of the weights: the one given, else that of those they began with."""
    if wanted is not None or start.source is None:
        return wanted or "unspecified"
    return start.source.spec.licence or "unspecified"


def card_of(training: "Training", start: "Start", weights: Path, evaluation: Evaluation | None) -> dict[str, Any]:
    """What stands in NAME.json: every setting, the curve, and the scores of the weights' file as it was written.

    evaluation: None for a network without a head.
    """
    source = start.source
    begun = None if source is None else {"name": source.spec.name, "weights_sha256": source.digest, "key": source.key}
    return {
        "name": weights.stem,
        "weights_sha256": files.digest_of(weights),
        "architecture": asdict(training.architecture),
        "preprocessing": training.preprocessing.settings(),
        "recipe": asdict(training.recipe),
        "from": begun,
        "head": training.told,
        "epoch": training.epoch,
        "curve": training.curve,
        "test": None if evaluation is None else evaluation.as_dict(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        },
    }


def _earlier(folder: Path, name: str) -> Held | None:
    """A training of before cards told their kind, finished or not; its settings stand in its state."""
    state, weights, told = (folder / f"{name}{ending}" for ending in (STATE, WEIGHTS, ".json"))
    settings: dict[str, Any] | None = None
    content = read_json(told)
    described = _metadata(weights) if weights.exists() else None
    if (content is not None and not content.keys() >= CARD_KEYS) or (weights.exists() and described is None):
        return None
    if state.exists():
        try:
            settings = _settings_in(read_state(state))
        except (FeatureError, KeyError, TypeError, ValueError, AttributeError):
            return None
        settings |= {} if described is None else {key: described[key] for key in ("family", "licence")}
    names = frozenset(path.name for path in (state, weights, told) if path.exists())
    complete = content is not None and weights.exists() and content["weights_sha256"] == files.digest_of(weights)
    return Held(settings, names, complete, content or {}, partial=True) if names else None


def _metadata(weights: Path) -> Mapping[str, str] | None:
    """What a weights file of this program says of itself; None of another's."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError):
        return None
    return metadata if card.is_described(metadata) else None


TRAINING = Kind("training", "trained networks", endings=(WEIGHTS, STATE), spare=(STATE,), earlier=_earlier)
