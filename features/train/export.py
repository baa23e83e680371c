"""What a training leaves: NAME.safetensors, NAME.json beside it, and NAME.state.pt, from which it goes on."""

import io
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, replace
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
from features.networks.card import ModelSpec
from features.train.recipe import Recipe

if TYPE_CHECKING:
    from features.train.fit import Training

WEIGHTS, STATE = ".safetensors", ".state.pt"
STATE_KEYS = {"network", "optimizer", "schedule", "settings", "curve"}
CARD_KEYS = {"name", "weights_sha256", "architecture", "preprocessing", "recipe", "curve", "test", "versions"}


def settings_of(
    architecture: Architecture, images: ImageSet, test_images: ImageSet, recipe: Recipe, spec: Mapping[str, str]
) -> dict[str, Any]:
    """All that a trained network depends on. spec: what its file says beside that: family and licence."""
    made_of = replace(architecture, classes=len(images.class_names))
    digests = {"images_digest": images.digest, "test_images_digest": test_images.digest}
    return {**_flat(asdict(recipe), asdict(made_of)), **digests, "images": images.name, **spec}


def _flat(recipe: Mapping[str, Any], architecture: Mapping[str, Any]) -> dict[str, Any]:
    """On one level. The input's channels follow from the images, and are known only when they are looked at."""
    return {**recipe, **{name: value for name, value in architecture.items() if name != "in_channels"}}


def _settings_in(state: Mapping[str, Any]) -> dict[str, Any]:
    told = json.loads(state["settings"])
    digests = {"images_digest": told["images"], "test_images_digest": told.get("test_images")}
    return {**_flat(told["recipe"], told["architecture"]), **digests}


def read_state(path: Path) -> dict[str, Any]:
    """What a run kept of itself. Raises FeatureError if it is damaged, or nothing of the kind."""
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # a damaged file raises anything from KeyError to UnpicklingError
        raise FeatureError(f"{path} is damaged: {error}. Delete it to start the run anew.") from error
    if not isinstance(state, dict) or state.keys() != STATE_KEYS:
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
    if shown.exists() and not kept.exists():
        told = json.loads(json.dumps(_settings_in(read_state(shown))))
        if told == {name: claim.settings.get(name) for name in told}:
            with claim.errors():
                files.write_whole(kept, shown.read_bytes())
    return kept


def publish(training: "Training", images: ImageSet, name: str, family: str, licence: str, folder: Path) -> Path:
    """Write a trained network as NAME.safetensors, which tells its own architecture, preprocessing and classes.

    images: those it learned from. family: of the catalogue's entry whose architecture it has.
    """
    spec = ModelSpec(
        name=name,
        family=family,
        architecture=training.architecture,
        preprocessing=training.preprocessing,
        class_names=images.class_names,
        source=f"trained on {images.name} ({len(images):,} images) with this project",
        licence=licence,
    )
    path = folder / f"{name}{WEIGHTS}"
    filling.save(training.network, path, card.describe(spec))
    return path


def card_of(training: "Training", weights: Path, evaluation: Evaluation) -> dict[str, Any]:
    """What stands in NAME.json: every setting, the curve, and the scores of the weights' file as it was written."""
    return {
        "name": weights.stem,
        "weights_sha256": files.digest_of(weights),
        "architecture": asdict(training.architecture),
        "preprocessing": training.preprocessing.settings(),
        "recipe": asdict(training.recipe),
        "curve": training.curve,
        "test": evaluation.as_dict(),
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
