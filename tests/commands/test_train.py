"""Training from weights that exist and the search for a learning rate, at the command line."""

import json
from pathlib import Path

import pandas as pd
import pytest

from features.networks import card, filling, zoo
from features.networks.architecture import cifar
from features.networks.canonical import build
from features.networks.card import ModelSpec
from features.networks.preprocessing import Preprocessing
from tests.commands.test_main import run
from tests.random_networks import randomise
from tests.train.runs import loading_here

pytestmark = pytest.mark.usefixtures("here")
QUICK = ("--epochs", "1", "--batch-size", "6", "--warmup-epochs", "0")


@pytest.fixture
def here():
    with loading_here():
        yield


@pytest.fixture
def net(tmp_path) -> Path:
    """A network of cats, cows and dogs, of which the pictures of `tiny_folder` are cats, dogs and foxes."""
    shape, path = cifar(8, classes=3), tmp_path / "net.safetensors"
    spec = ModelSpec(
        "net",
        "CIFAR ResNet",
        shape,
        Preprocessing(16, 16, (0.5,) * 3, (0.25,) * 3),
        ("cat", "cow", "dog"),
        "",
        "CC0-1.0",
    )
    filling.save(randomise(build(shape)).eval(), path, card.describe(spec))
    return path


@pytest.fixture
def test_folder(tiny_folder, tmp_path) -> Path:
    """The same classes, other files."""
    folder = tmp_path / "held out"
    for picture in sorted(tiny_folder.rglob("0.png")):
        (folder / picture.parent.name).mkdir(parents=True)
        (folder / picture.parent.name / "9.png").write_bytes(picture.read_bytes())
    return folder


@pytest.mark.slow
def test_a_training_from_weights_tells_what_it_kept_and_its_file_where_it_began(
    net, tiny_folder, test_folder, tmp_path, capsys
):
    status, out, errors = run(
        capsys, "train", tiny_folder, "--test", test_folder, "--from", net, "--name", "mine", "--out", tmp_path / "out",
        "--freeze", "stem,layer1", *QUICK,
    )  # fmt: skip
    assert status == 0
    assert "Of the head of net the rows of 2 common classes were kept (cat, dog); new: 1 (fox), dropped: 1." in errors
    assert "test accuracy" in out
    told = json.loads((tmp_path / "out" / "mine.json").read_text())
    assert told["from"]["name"] == "net"
    assert told["from"]["weights_sha256"] == zoo.load(weights=net).digest
    assert told["settings"]["freeze"] == "stem,layer1"
    model = zoo.load(weights=tmp_path / "out" / "mine.safetensors")
    assert model.spec.class_names == ("cat", "dog", "fox")
    assert model.spec.licence == "CC0-1.0"
    assert model.spec.source.endswith("with this project, from net ()")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (("--model", "resnet20-cifar", "--from", "resnet20-fashion"), "Give one of the two"),
        (("--model", "a.pth"), "training draws all weights anew"),
        (("--from", "resnet20-fashion?lesion=without:layer3.1"), "Leave the lesion away"),
        (("--from", "resnet20-fashion", "--freeze", "layer9"), "no part 'layer9' to freeze"),
        (("--from", "no-such-net"), "no network called 'no-such-net'"),
        (("--head", "one-logit"), "A head of one logit parts two classes, but tiny has 3"),
        (("--unfreeze-epochs", "2"), "does nothing without freeze"),
    ],
)
def test_what_contradicts_itself_is_refused_in_one_sentence(given, text, tiny_folder, test_folder, tmp_path, capsys):
    status, _, errors = run(
        capsys, "train", tiny_folder, "--test", test_folder, "--name", "x", "--out", tmp_path / "out", *given
    )
    assert status == 2
    assert text in errors.splitlines()[-1]
    assert not (tmp_path / "out" / "x.json").exists()


@pytest.mark.slow
def test_a_search_for_a_learning_rate_leaves_losses_and_a_proposal(net, tiny_folder, tmp_path, capsys):
    line = ("find-lr", tiny_folder, "--from", net, "--out", tmp_path / "out", "--steps", "10", "--batch-size", "6")
    status, out, _ = run(capsys, *line)
    assert status == 0
    table = pd.read_csv(tmp_path / "out" / "find-lr.csv")
    assert [*table] == ["learning_rate", "loss", "smoothed_loss"]
    best = table["learning_rate"][table["smoothed_loss"].argmin()] / 10
    assert f"the proposal is --learning-rate {best:.2g}, a tenth" in out
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["proposal"] == pytest.approx(best)
