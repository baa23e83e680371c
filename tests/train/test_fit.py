"""Training on small coloured squares: single steps by hand, interruptions, refusals and what is written."""

import hashlib
import json
import multiprocessing
import platform
import random
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from features import files
from features.errors import FeatureError, ImageError
from features.evaluate import evaluate
from features.networks import card, zoo
from features.networks.architecture import Architecture, cifar
from features.networks.canonical import ResidualNetwork, build, freeze
from features.networks.card import ModelSpec
from features.progress import finish
from features.train import augment, export, fit, measuring
from features.train.recipe import Recipe
from features.train.start import Start
from tests.train.runs import BEGUN, EVERYTHING, NAMES, ONE_STEP, same_weights, squares, trained, without_seconds
from tests.train.test_augment import loaded


@pytest.mark.slow
@pytest.mark.parametrize(("n_images", "batch_size"), [(12, 4), (11, 4), (13, 4)])
def test_the_run_follows_the_schedule_down_to_zero_however_many_images_are_left_over(n_images, batch_size, tmp_path):
    recipe = replace(EVERYTHING, epochs=3, batch_size=batch_size, warmup_epochs=1.0, learning_rate=0.08)
    found = trained(tmp_path, recipe, images=squares(n_images))
    # After 1 epoch of warm-up there are 2 of falling: the peak, the half, zero.
    assert [point["learning_rate"] for point in found.curve] == pytest.approx([0.08, 0.04, 0])


# --- one step --------------------------------------------------------------------------------------------------------


def first_gradients(
    recipe: Recipe, loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> tuple[ResidualNetwork, float, float]:
    """A new network with its gradients of the first batch, the loss and the accuracy there."""
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        network = build(cifar(8, classes=3))
    images = squares()
    ((pixels, labels),) = loaded(images, augment.measure(images), recipe, 0)
    logits = network(pixels)
    loss = loss_of(logits, labels)
    loss.backward()
    return network, loss.item(), (logits.argmax(1) == labels).double().mean().item()


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return -logits.log_softmax(1)[range(len(labels)), labels].mean()


def smoothed(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """A tenth of the weight is shared among all classes (Szegedy et al. 2016, section 7)."""
    return 0.9 * cross_entropy(logits, labels) - 0.1 * logits.log_softmax(1).mean()


@pytest.mark.parametrize(
    ("recipe", "loss_of", "step"),
    [
        (replace(ONE_STEP, momentum=0.0, weight_decay=0.0), cross_entropy, lambda w, g: w - 0.1 * g),
        # Nesterov's first step looks ahead by one more momentum; the decay is part of the gradient.
        (replace(ONE_STEP, weight_decay=0.01), cross_entropy, lambda w, g: w - 0.1 * 1.9 * (g + 0.01 * w)),
        (
            replace(ONE_STEP, momentum=0.0, weight_decay=0.0, label_smoothing=0.1, learning_rate=0.3, seed=3),
            smoothed,
            lambda w, g: w - 0.3 * g,
        ),
        # AdamW's first step is the gradient's sign; the decay stands apart (Loshchilov & Hutter 2019).
        (
            replace(ONE_STEP, optimizer="adamw", weight_decay=0.5, learning_rate=0.01),
            cross_entropy,
            lambda w, g: w * (1 - 0.01 * 0.5) - 0.01 * g / (g.abs() + 1e-8),
        ),
        # Half of the warm-up's two steps: half of the peak.
        (
            replace(ONE_STEP, momentum=0.0, weight_decay=0.0, warmup_epochs=1.0),
            cross_entropy,
            lambda w, g: w - 0.05 * g,
        ),
    ],
    ids=["plain", "nesterov and decay", "smoothing", "adamw", "warm-up"],
)
@pytest.mark.usefixtures("on_cpu")
def test_one_step_is_the_one_computed_by_hand(recipe, loss_of, step, tmp_path):
    network, loss, accuracy = first_gradients(recipe, loss_of)
    found = trained(tmp_path, recipe)
    learned = dict(found.network.named_parameters())
    for name, weight in network.named_parameters():
        assert weight.grad is not None
        # Rounding decides the sign of a gradient near zero, and AdamW's first step sees nothing but the sign.
        clear = weight.grad.abs() > 1e-3 * weight.grad.abs().max()
        wanted = step(weight.detach(), weight.grad)
        torch.testing.assert_close(learned[name][clear], wanted[clear], rtol=1e-4, atol=1e-6, msg=name)
    (point,) = found.curve
    assert point["epoch"] == 1
    assert point["train_loss"] == pytest.approx(loss, rel=1e-5)
    assert point["train_accuracy"] == pytest.approx(accuracy)


def test_loss_and_accuracy_of_an_epoch_are_means_over_its_images(tmp_path):
    recipe = replace(ONE_STEP, batch_size=5, learning_rate=1e-30, momentum=0.0, weight_decay=0.0)  # nothing moves
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(cifar(8, classes=3))  # in train mode, as fit's
    images = squares()
    losses, hits = [], []
    for pixels, labels in loaded(images, augment.measure(images), recipe, 0):  # of 5, 5 and 2 images
        logits = network(pixels).detach()
        losses += [cross_entropy(logits[i : i + 1], labels[i : i + 1]).item() for i in range(len(labels))]
        hits += (logits.argmax(1) == labels).tolist()
    (point,) = trained(tmp_path, recipe).curve
    assert point["train_loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert point["train_accuracy"] == pytest.approx(np.mean(hits))


@pytest.mark.usefixtures("on_cpu")
def test_bf16_trains_weights_in_fp32_with_nearly_the_same_loss(tmp_path):
    full, half = trained(tmp_path, ONE_STEP, "32.pt"), trained(tmp_path, replace(ONE_STEP, precision="bf16"), "16.pt")
    assert {parameter.dtype for parameter in half.network.parameters()} == {torch.float32}
    assert not same_weights(full.network, half.network)
    assert half.curve[0]["train_loss"] == pytest.approx(full.curve[0]["train_loss"], rel=0.05)  # 8 bits of mantissa


# --- a whole run -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> fit.Training:
    """A network that has learned to tell the colours apart."""
    recipe = Recipe(epochs=4, batch_size=8, learning_rate=0.05, crop_padding=1)
    return trained(tmp_path_factory.mktemp("learned"), recipe, images=squares(36), test_images=squares(30, seed=1))


@pytest.mark.slow
def test_classes_of_different_colours_are_learned(learned):
    assert learned.curve[-1]["train_accuracy"] > 0.95
    assert learned.curve[-1]["test_accuracy"] == 1
    assert learned.curve[-1]["train_loss"] < learned.curve[0]["train_loss"]
    assert [point["epoch"] for point in learned.curve] == [1, 2, 3, 4]
    assert all(point["seconds"] > 0 for point in learned.curve)


@pytest.mark.slow
def test_the_result_is_ready_for_analysis_and_fits_the_images(learned):
    assert not learned.network.training
    assert not any(parameter.requires_grad for parameter in learned.network.parameters())
    assert {parameter.device.type for parameter in learned.network.parameters()} == {"cpu"}
    assert learned.architecture == cifar(8, classes=3)
    assert learned.preprocessing == augment.measure(squares(36))


def test_grey_images_are_learned_in_one_channel(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1), dtype=np.uint8).repeat(3, axis=3)
    grey = replace(squares(), opener=lambda index: Image.fromarray(values[index]))
    found = trained(tmp_path, ONE_STEP, images=grey, test_images=grey.take([0, 1]))
    assert found.architecture.in_channels == found.preprocessing.channels == 1
    assert found.network(torch.zeros(1, 1, 8, 8)).shape == (1, 3)


@pytest.mark.usefixtures("on_cpu")
def test_test_images_that_cannot_be_read_count_as_wrong(monkeypatch, tmp_path):
    images = squares(30, seed=1)

    def opener(index: int) -> Image.Image:
        if index < 12:
            raise ImageError("torn")
        return images.open(index)

    monkeypatch.setattr(measuring, "TEST_BATCH", 4)  # so that there are batches without any image left
    found = trained(tmp_path, ONE_STEP, test_images=replace(images, opener=opener))
    pixels = torch.stack([found.preprocessing(images.open(index)) for index in range(30)])
    right = found.network(pixels).argmax(1).numpy() == images.labels  # (N,)
    assert right[:12].any()  # as they would be, could they be read
    assert right[12:].any()
    assert found.curve[-1]["test_accuracy"] == pytest.approx(right[12:].sum() / 30)


@pytest.mark.slow
@pytest.mark.usefixtures("on_cpu")
def test_test_images_change_nothing_in_the_network(tmp_path):
    one = trained(tmp_path, EVERYTHING, "one.pt")
    other = trained(tmp_path, EVERYTHING, "other.pt", test_images=squares(9, side=20, seed=5))
    assert same_weights(one.network, other.network)


@pytest.mark.slow
@pytest.mark.usefixtures("on_cpu")
@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine of one core
def test_the_seed_decides_the_outcome_and_the_number_of_workers_does_not(tmp_path):
    first = trained(tmp_path, EVERYTHING, "first.pt")
    same = trained(tmp_path, replace(EVERYTHING, workers=2), "same.pt")
    other = trained(tmp_path, replace(EVERYTHING, seed=1), "other.pt")
    assert same_weights(first.network, same.network)
    assert without_seconds(first) == without_seconds(same)
    assert not same_weights(first.network, other.network)


def test_every_batch_and_every_test_batch_is_reported(monkeypatch, tmp_path):
    monkeypatch.setattr(measuring, "TEST_BATCH", 4)
    task = fit.fit(BEGUN, squares(), squares(6, seed=1), EVERYTHING, tmp_path / "run.pt")
    reports = list(task)
    assert [(report.done, report.total, report.unit) for report in reports] == [
        *((done, 6, "batch") for done in (1, 2, 3)),
        *((done, 6, "test image") for done in (4, 6)),
        *((done, 6, "batch") for done in (4, 5, 6)),
        *((done, 6, "test image") for done in (4, 6)),
    ]
    assert reports[0].note.startswith("epoch 1 of 2, loss ")
    assert reports[-1].note.startswith("epoch 2 of 2")


def test_the_callers_random_numbers_and_images_are_left_alone(tmp_path):
    images = squares()
    labels = images.labels.copy()
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002 - what others may rely on
    trained(tmp_path, EVERYTHING, images=images)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.array_equal(np.random.get_state()[1], before[2][1])  # noqa: NPY002
    assert torch.is_grad_enabled()
    assert np.array_equal(images.labels, labels)


def test_a_single_image_left_over_does_not_break_a_network_that_ends_in_one_pixel(tmp_path):
    # 16 px are 4 after the stem and 1 after the last stage: BatchNorm cannot normalise one value per channel.
    narrow = Architecture("basic", (1, 1, 1), (4, 4, 4), (4, 4, 4), "imagenet", 4)
    found = trained(tmp_path, replace(EVERYTHING, batch_size=4), images=squares(13, side=16), architecture=narrow)
    assert len(found.curve) == 2


# --- interruptions ---------------------------------------------------------------------------------------------------


def interrupt(folder: Path, recipe: Recipe, note: str, name: str = "run.pt") -> None:
    """Run until a report says `note`, and no further."""
    task = fit.fit(BEGUN, squares(), squares(6, seed=1), recipe, folder / name)
    for report in task:
        if report.note.startswith(note):
            break
    else:
        pytest.fail(f"no report says {note}")
    task.close()


@pytest.mark.slow
@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize(
    ("optimizer", "note"), [("sgd", "epoch 1 of 2"), ("sgd", "epoch 2 of 2"), ("adamw", "epoch 2 of 2")]
)
def test_a_run_that_was_interrupted_ends_as_one_that_was_not(optimizer, note, tmp_path):
    recipe = replace(EVERYTHING, optimizer=optimizer, learning_rate=0.01)
    whole = trained(tmp_path, recipe, "whole.pt")
    interrupt(tmp_path, recipe, note)
    resumed = trained(tmp_path, recipe)
    assert same_weights(resumed.network, whole.network)
    assert without_seconds(resumed) == without_seconds(whole)


def test_only_the_epochs_that_are_missing_are_trained(tmp_path):
    interrupt(tmp_path, EVERYTHING, "epoch 2 of 2")
    reports = list(fit.fit(BEGUN, squares(), squares(6, seed=1), EVERYTHING, tmp_path / "run.pt"))
    assert reports[0].done == 4  # three batches an epoch
    assert reports[0].note.startswith("epoch 2 of 2")


@pytest.mark.usefixtures("on_cpu")
def test_a_finished_run_is_given_again_without_training(tmp_path):
    first = trained(tmp_path, EVERYTHING)
    assert not list(fit.fit(BEGUN, squares(), squares(6, seed=1), EVERYTHING, tmp_path / "run.pt"))
    again = trained(tmp_path, EVERYTHING)
    assert same_weights(first.network, again.network)
    assert again.curve == first.curve


def test_a_run_that_is_closed_early_leaves_no_worker_behind(tmp_path):
    task = fit.fit(BEGUN, squares(), squares(6, seed=1), EVERYTHING, tmp_path / "run.pt")
    next(task)
    assert multiprocessing.active_children()
    task.close()
    assert not multiprocessing.active_children()


def test_nothing_but_the_state_is_left_on_disk(tmp_path):
    trained(tmp_path, EVERYTHING)
    assert [path.name for path in tmp_path.iterdir()] == ["run.pt"]


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"recipe": replace(ONE_STEP, learning_rate=0.05)}, "learning_rate was 0.1 and is 0.05"),
        ({"recipe": replace(ONE_STEP, epochs=2, seed=4)}, "epochs was 1 and is 2; seed was 0 and is 4"),
        ({"architecture": cifar(8, "none")}, "shortcut was 'padding' and is 'none'"),
        ({"architecture": cifar(14)}, "blocks was [1, 1, 1] and is [2, 2, 2]"),
        ({"images": squares(seed=7)}, "the training images are others, or were written again"),
        ({"test_images": squares(6, seed=8)}, "the test images are others, or were written again"),
    ],
)
def test_going_on_with_other_settings_or_images_is_refused_with_what_differs(changed, text, tmp_path):
    trained(tmp_path, ONE_STEP)
    kept = (tmp_path / "run.pt").read_bytes()
    with pytest.raises(FeatureError) as caught:
        trained(tmp_path, **{"recipe": ONE_STEP, **changed})
    assert f"of a run with other settings: {text}. " in str(caught.value)
    assert (tmp_path / "run.pt").read_bytes() == kept


@pytest.mark.parametrize(
    "damage",
    [lambda data: b"", lambda data: b"torn", lambda data: data[: len(data) // 2]],
    ids=["empty", "odd", "half"],
)
def test_a_damaged_state_is_refused(damage, tmp_path):
    trained(tmp_path, ONE_STEP)
    path = tmp_path / "run.pt"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FeatureError, match=r"run\.pt is damaged: .*Delete it"):
        trained(tmp_path, ONE_STEP)


class Trap:
    """What a hostile pickle does."""

    def __reduce__(self):
        return Path.touch, (Path("sprung"),)


def test_a_state_that_would_run_code_is_refused_and_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"settings": Trap()}, tmp_path / "run.pt")
    with pytest.raises(FeatureError, match=r"run\.pt is damaged"):
        trained(tmp_path, ONE_STEP)
    assert not Path("sprung").exists()


@pytest.mark.parametrize(
    "content",
    [build(cifar(8)).state_dict(), [1, 2], {"settings": "{}"}, {"settings": 3, "epoch": 1}],
    ids=["weights", "list", "settings alone", "another program's"],
)
def test_a_file_that_is_no_state_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "run.pt")
    with pytest.raises(FeatureError, match=r"run\.pt is not the state of a training run"):
        trained(tmp_path, ONE_STEP)


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"images": replace(squares(), labels=None, class_names=())}, "squares has no labels to learn from"),
        ({"test_images": replace(squares(), labels=None, class_names=())}, "squares has no labels to learn from"),
        (
            {"images": replace(squares(), labels=np.zeros(12, dtype=np.int64), class_names=("cat",))},
            "at least 2 classes to tell apart, but squares has 1",
        ),
        ({"test_images": replace(squares(), class_names=("ant", "bee", "cat"))}, "must have the same classes"),
        ({"test_images": replace(squares(), class_names=("fox", "dog", "cat"))}, "must have the same classes"),
        ({"test_images": replace(squares(), class_names=(*NAMES, "gnu"), name="more")}, "and more 4 (cat, dog, fox"),
        ({"test_images": squares()}, "squares was given to learn from and to be tested with"),
        ({"images": squares().take([0])}, "at least 2 images to learn from"),
        ({"images": squares().take([])}, "at least 2 images to learn from"),
        ({"test_images": squares().take([])}, "and 1 to test with, but squares has 12 and squares 0"),
    ],
)
def test_sets_that_cannot_be_learned_from_are_refused_before_anything_is_done(changed, text, tmp_path):
    with pytest.raises(FeatureError) as caught:
        trained(tmp_path, ONE_STEP, **changed)
    assert text in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_training_image_that_cannot_be_read_is_an_error(tiny_folder, tiny_images, tmp_path):
    (tiny_folder / "fox" / "3.png").write_bytes(b"torn")
    with pytest.raises(ImageError, match=r"^fox/3\.png is not an image") as caught:
        trained(tmp_path, ONE_STEP, images=tiny_images)
    assert "Traceback" not in str(caught.value)


def test_a_loss_that_is_no_number_ends_the_run_and_is_not_kept(tmp_path):
    with pytest.raises(FeatureError, match=r"The loss is (nan|inf) in epoch 1, .* Lower the learning rate"):
        trained(tmp_path, replace(EVERYTHING, learning_rate=1e30, warmup_epochs=0))
    assert not list(tmp_path.iterdir())


# --- what is written -------------------------------------------------------------------------------------------------


def publish(training: fit.Training, folder: Path, family: str = "CIFAR ResNet") -> Path:
    return export.publish(training, Start(cifar(8), family), squares(36), "colours", "CC0-1.0", folder)


def test_a_published_network_tells_what_it_is(learned, tmp_path):
    path = publish(learned, tmp_path)
    assert path == tmp_path / "colours.safetensors"
    model = zoo.load(weights=path)
    assert model.spec == ModelSpec(
        name="colours",
        family="CIFAR ResNet",
        architecture=learned.architecture,
        preprocessing=learned.preprocessing,
        class_names=NAMES,
        source="trained on squares (36 images) with this project",
        licence="CC0-1.0",
        file=path,
    )
    assert model.digest == hashlib.sha256(path.read_bytes()).hexdigest()


@torch.inference_mode()
def test_a_published_network_says_the_same_up_to_fp16(learned, tmp_path):
    images = squares(6, seed=1)
    pixels = torch.stack([learned.preprocessing(images.open(index)) for index in range(6)])
    rounded = build(learned.architecture)
    rounded.load_state_dict(
        {
            name: tensor.half().float() if tensor.ndim > 1 else tensor
            for name, tensor in learned.network.state_dict().items()
        }
    )
    found = zoo.load(weights=publish(learned, tmp_path)).network(pixels)
    torch.testing.assert_close(found, freeze(rounded)(pixels), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found, learned.network(pixels), rtol=0.01, atol=0.01)  # fp16 has 11 bits


def test_a_published_network_keeps_the_family_that_it_is_given(learned, tmp_path):
    assert zoo.load(weights=publish(learned, tmp_path, "ResNeXt")).spec.family == "ResNeXt"


@pytest.mark.slow
def test_the_card_has_every_setting_the_curve_and_the_scores_of_the_file(learned, tmp_path):
    weights = publish(learned, tmp_path)
    evaluation = finish(evaluate(zoo.load(weights=weights), squares(30, seed=1)))
    card = json.loads(json.dumps(export.card_of(learned, BEGUN, weights, evaluation)))
    assert card["name"] == "colours"
    assert card["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert Recipe(**card["recipe"]) == learned.recipe
    assert card["architecture"] == json.loads(json.dumps(asdict(learned.architecture)))
    assert card["preprocessing"]["mean"] == list(learned.preprocessing.mean)
    assert card["curve"] == list(learned.curve)
    assert card["versions"] == {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
    }
    assert card["test"]["accuracy"] == 1
    assert [(row["name"], row["support"], row["f1"]) for row in card["test"]["per_class"]] == [
        (name, 10, 1) for name in NAMES
    ]
    assert card["test"]["provenance"]["weights_sha256"] == card["weights_sha256"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["colours.safetensors"]


def test_the_catalogue_finds_the_card_beside_the_weights_until_they_change(learned, tmp_path):
    weights = publish(learned, tmp_path)
    model = zoo.load(weights=weights)
    told = json.loads(json.dumps(export.card_of(learned, BEGUN, weights, finish(evaluate(model, squares(30, seed=1))))))
    (tmp_path / "colours.json").write_text(json.dumps(told), encoding="utf-8")
    assert card.read_card(model.spec) == told
    other = replace(learned, network=freeze(build(learned.architecture)))
    publish(other, tmp_path)
    assert files.digest_of(weights) != model.digest
    assert card.read_card(model.spec) is None
