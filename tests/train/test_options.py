"""Whole trainings with each option: killed and gone on with, the best epoch kept, other heads, no labels."""

import errno
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from features import datasets, files
from features.datasets import ImageSet
from features.errors import FeatureError
from features.evaluate import evaluate
from features.networks import zoo
from features.networks.card import Outputs
from features.progress import finish
from features.train import export, fit
from features.train.learner import Goal, Learner
from features.train.objectives import OBJECTIVES, Objective
from features.train.recipe import Recipe
from features.train.start import Start
from tests.train.runs import EVERYTHING, NAMES, same_weights, source, squares, trained, without_seconds

OPTIONS = {
    "accumulation and clipping": {"accumulate": 2, "clip_norm": 0.1, "weight_decay_on": "weights"},
    "average": {"ema_decay": 0.9},
    "held back": {"held_back": 0.3, "keep": "best", "ema_decay": 0.5},
    "frozen": {"freeze": "stem,layer1", "norm_statistics": "frozen", "stage_decay": 0.5},
    "unfrozen": {"freeze": "all-but-head", "unfreeze_epochs": 1},
    "mixing": {"mixup": 0.4, "cutmix": 1.0, "policy": "trivialaugment"},
    "balance": {"sampling": "balanced", "class_weights": "balanced", "policy": "randaugment"},
    "labels": {"head": "multi-label"},
    "one-cycle": {"schedule": "one-cycle"},
    "restarts": {"schedule": "restarts", "restart_epochs": 1},
    "multistep": {"schedule": "multistep", "milestones": "1,2"},
    "lamb": {"optimizer": "lamb", "learning_rate": 0.003},
    "lars": {"optimizer": "lars"},
    "bf16": {"precision": "bf16"},
}


def long_tailed() -> ImageSet:
    """10, 5 and 4 squares of three classes."""
    return squares(36).take([*range(0, 30, 3), *range(1, 14, 3), *range(2, 12, 3)])


def killed_after(epochs: int, folder: Path, recipe: Recipe, start: Start) -> None:
    """Run until the epoch after so many is under way, and no further."""
    task = fit.fit(start, long_tailed(), squares(6, seed=1), recipe, folder / "run.pt")
    for report in task:
        if report.unit == "batch" and report.note.startswith(f"epoch {epochs + 1} of"):
            break
    task.close()


@pytest.mark.slow
@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("option", OPTIONS)
def test_killed_in_any_epoch_and_gone_on_with_it_ends_as_an_undisturbed_run(option, tmp_path):
    recipe = replace(EVERYTHING, **{"epochs": 3, "warmup_epochs": 0.5, **OPTIONS[option]})
    start = Start.of(source())
    whole = trained(tmp_path, recipe, "whole.pt", start=start, images=long_tailed())
    for epochs in range(3):
        folder = tmp_path / str(epochs)
        folder.mkdir()
        killed_after(epochs, folder, recipe, start)
        resumed = trained(folder, recipe, start=start, images=long_tailed())
        assert same_weights(resumed.network, whole.network)
        assert without_seconds(resumed) == without_seconds(whole)
        assert resumed.epoch == whole.epoch


@pytest.mark.usefixtures("here")
def test_going_on_from_other_weights_is_refused(tmp_path):
    recipe = replace(EVERYTHING, epochs=1)
    trained(tmp_path, recipe, start=Start.of(source()))
    with pytest.raises(FeatureError, match="of a run with other settings: it starts from other weights"):
        trained(tmp_path, recipe, start=Start.of(replace(source(), digest="1" * 64)))


# --- the best epoch --------------------------------------------------------------------------------------------------

POINTS = [{"held_back_accuracy": accuracy, "held_back_loss": loss} for accuracy, loss in ((0.5, 1), (0.8, 2), (0.8, 1))]


def test_the_best_epoch_has_the_most_right_then_the_lower_loss_then_comes_first():
    assert fit.best_epoch(POINTS) == 3
    assert fit.best_epoch(POINTS[:2]) == 2
    assert fit.best_epoch([POINTS[1], *POINTS]) == 4
    assert fit.best_epoch([POINTS[2], *POINTS]) == 1
    assert fit.best_epoch([]) == 0


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_the_best_epochs_network_is_kept_and_training_stops_when_none_is_better(tmp_path):
    recipe = replace(EVERYTHING, epochs=12, held_back=0.4, keep="best", patience=2, learning_rate=0.2, warmup_epochs=0)
    found = trained(tmp_path, recipe, images=squares(18))
    best = fit.best_epoch(found.curve)
    assert found.epoch == best
    assert len(found.curve) == min(12, best + 2)
    assert len(found.curve) < 12  # else the seed shows nothing
    until = trained(tmp_path, replace(recipe, epochs=12, patience=0), "all.pt", images=squares(18))
    assert without_seconds(until)[: len(found.curve)] == without_seconds(found)
    state = export.read_state(tmp_path / "run.pt")
    assert all(torch.equal(each, state["best"][name]) for name, each in found.network.state_dict().items())


@pytest.mark.usefixtures("here")
def test_the_test_set_chooses_nothing(tmp_path):
    recipe = replace(EVERYTHING, epochs=3, held_back=0.4, keep="best", patience=1)
    one = trained(tmp_path, recipe, "one.pt", images=squares(18))
    other = trained(tmp_path, recipe, "other.pt", images=squares(18), test_images=squares(9, seed=4))
    assert same_weights(one.network, other.network)
    assert one.epoch == other.epoch


# --- heads -----------------------------------------------------------------------------------------------------------


def pets(n_images: int, seed: int = 0) -> ImageSet:
    """Squares of two classes."""
    images = squares(n_images * 3 // 2, seed=seed)
    return replace(images.take(np.flatnonzero(images.labels < 2).tolist()), class_names=NAMES[:2])


def many(n_images: int, seed: int = 0) -> ImageSet:
    """Squares of three colours, with the labels 'cat', and 'dog' of all that are no cat."""
    images = squares(n_images, seed=seed)
    sets = np.stack([images.labels == 0, images.labels != 0], 1)
    return replace(images, labels=None, label_sets=sets, class_names=NAMES[:2])


@pytest.mark.slow
@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("head", "made", "outputs"),
    [
        ("one-logit", pets, Outputs.BINARY),
        ("multi-label", many, Outputs.MULTILABEL),
        ("multi-label", squares, Outputs.MULTILABEL),
    ],
)
def test_a_head_learns_and_its_file_says_what_its_logits_mean(head, made, outputs, tmp_path):
    recipe = Recipe(epochs=5, batch_size=8, learning_rate=0.05, crop_padding=1, head=head)
    start, images, test = Start(source().spec.architecture), made(36), made(30, seed=1)
    found = trained(tmp_path, recipe, start=start, images=images, test_images=test)
    assert found.curve[-1]["test_accuracy"] > 0.9
    model = zoo.load(weights=export.publish(found, start, images, "net", "CC0", tmp_path))
    assert model.spec.outputs is outputs
    assert model.spec.class_names == images.class_names
    assert finish(evaluate(model, test)).accuracy == pytest.approx(found.curve[-1]["test_accuracy"], abs=0.04)


# --- from weights that exist -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_weights_that_exist_are_worth_ten_points_on_ten_images_a_class(seed, tmp_path):
    sample, model = datasets.open_images("sample"), zoo.load("resnet20-fashion")
    order = np.random.default_rng(seed).permutation(len(sample))
    rows = np.concatenate([order[sample.labels[order] == label][:20] for label in range(10)])  # (200,)
    given = {
        "images": sample.take(rows[np.arange(200) % 20 < 10]),
        "test_images": sample.take(rows[np.arange(200) % 20 >= 10]),
    }
    recipe = Recipe(epochs=5, batch_size=20, seed=seed)
    begun = trained(tmp_path, replace(recipe, learning_rate=0.01), "from.pt", start=Start.of(model), **given)
    anew = trained(tmp_path, recipe, "anew.pt", start=Start(model.spec.architecture), **given)
    assert begun.curve[-1]["test_accuracy"] >= anew.curve[-1]["test_accuracy"] + 0.1


# --- without labels --------------------------------------------------------------------------------------------------


class Small(Learner):
    """Features near 1 through a layer of its own: as an objective without labels has a projection head."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.projection = nn.Linear(features, 4)
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, parts, pixels, targets):
        one, other = pixels
        difference = self.projection(parts.features(one)) - self.projection(parts.features(other))
        return Goal(difference.square().mean() + (self.projection.weight - 1).square().mean())

    def stepped(self, parts):
        self.steps += 1


class Twice(nn.Module):
    """Two views of a picture."""

    def __init__(self, transform: nn.Module) -> None:
        super().__init__()
        self.transform = transform

    def forward(self, picture):
        return self.transform(picture), self.transform(picture)


@pytest.fixture
def small(monkeypatch):
    entry = Objective(
        "small",
        "small",
        "",
        False,
        lambda parts, sets, recipe: Small(parts.network.stages["layer3"][-1].shape[1]),
        lambda preprocessing, recipe: Twice(OBJECTIVES["labels"].transform(preprocessing, recipe)),
    )
    monkeypatch.setitem(OBJECTIVES._entries, "small", entry)
    recipe = replace(EVERYTHING, epochs=3)
    object.__setattr__(recipe, "objective", "small")  # which is no choice of recipes
    return recipe


@pytest.mark.usefixtures("here")
def test_an_objective_without_labels_has_views_a_head_of_its_own_and_leaves_a_network_without_one(small, tmp_path):
    images = replace(squares(), labels=None, class_names=())
    start = Start(source().spec.architecture)
    found = trained(tmp_path, small, start=start, images=images, test_images=replace(images, digest="1" * 64))
    assert found.network.classifier is None
    assert found.curve[-1]["train_loss"] < found.curve[0]["train_loss"]
    assert "test_accuracy" not in found.curve[0]
    state = export.read_state(tmp_path / "run.pt")
    assert {*state["learner"]} == {"projection.weight", "projection.bias", "steps"}
    assert state["learner"]["steps"] == 9
    model = zoo.load(weights=export.publish(found, start, images, "net", "CC0", tmp_path))
    assert model.network.classifier is None


@pytest.mark.usefixtures("here")
def test_what_a_learner_keeps_is_gone_on_with(small, tmp_path):
    images = replace(squares(), labels=None, class_names=())
    given = {"images": images, "test_images": replace(images, digest="1" * 64)}
    whole = trained(tmp_path, small, "whole.pt", **given)
    task = fit.fit(Start(source().spec.architecture), *given.values(), small, tmp_path / "run.pt")
    for report in task:
        if report.note.startswith("epoch 3"):
            break
    task.close()
    assert same_weights(trained(tmp_path, small, **given).network, whole.network)


# --- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_a_loss_that_is_no_number_leaves_the_last_whole_epoch(monkeypatch, tmp_path):
    class Bad(Learner):
        def forward(self, parts, pixels, targets):
            batches.append(1)
            return Goal(parts.logits(pixels).mean() * (float("nan") if len(batches) > 4 else 1), 0)

    batches: list[int] = []
    entry = replace(OBJECTIVES["labels"], learner=lambda *_: Bad())
    monkeypatch.setitem(OBJECTIVES._entries, "labels", entry)
    with pytest.raises(FeatureError, match=r"The loss is nan in epoch 2, .* up to epoch 1 is kept in .*run\.pt"):
        trained(tmp_path, EVERYTHING)
    assert len(export.read_state(tmp_path / "run.pt")["curve"]) == 1


@pytest.mark.usefixtures("here")
def test_a_full_disk_leaves_the_last_whole_epoch_and_the_run_goes_on_from_it(monkeypatch, tmp_path):
    written, write = [], files.write_whole

    def full(path, data, *more, **options):
        written.append(path)
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data, *more, **options)

    whole = trained(tmp_path, EVERYTHING, "whole.pt")
    with monkeypatch.context() as patch:
        patch.setattr(files, "write_whole", full)
        with pytest.raises(FeatureError, match=r"cannot be written to .*: No space left on device. Make room"):
            trained(tmp_path, EVERYTHING)
    assert len(export.read_state(tmp_path / "run.pt")["curve"]) == 1
    assert same_weights(trained(tmp_path, EVERYTHING).network, whole.network)
