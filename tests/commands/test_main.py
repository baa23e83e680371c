import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torchvision import models

from features import __main__ as command_line
from features import files
from features.commands import common, recipes
from features.commands import models as models_command
from features.evaluate import NOVELTY_SCORES
from features.networks import card, catalogue, filling, zoo
from features.networks.architecture import cifar
from features.networks.canonical import build
from features.networks.card import ModelSpec
from features.progress import Progress, Task
from tests.random_networks import randomise

COMMANDS = sorted(command_line._parser()._subparsers._group_actions[0].choices)
README = Path(__file__).parents[2] / "README.md"


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    """The command's exit status, standard output and standard error."""
    try:
        status = command_line.main([str(argument) for argument in arguments])
    except SystemExit as end:  # argparse ends the program itself for --help and for usage
        status = int(end.code or 0)
    return status, *capsys.readouterr()


@pytest.fixture
def weights(tmp_path) -> Path:
    """A drawn network for three classes, with their names."""
    network = randomise(build(cifar(8, classes=3))).eval()
    spec = ModelSpec("mine", "", cifar(8, classes=3), catalogue.CIFAR_PREPROCESSING, ("cat", "dog", "fox"), "", "")
    filling.save(network, tmp_path / "mine.safetensors", card.describe(spec))
    return tmp_path / "mine.safetensors"


# --- what every command owes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_all_its_options(command, capsys):
    status, text, errors = run(capsys, command, "--help")
    assert status == 0
    assert not errors
    assert f"python -m features {command}" in text
    parser = command_line._parser()._subparsers._group_actions[0].choices[command]
    assert parser.description in " ".join(text.split())
    for action in parser._actions:
        assert len(action.help.split("(default")[0].split()) >= 2, f"{action.dest} is not explained"


def test_the_command_lines_help_lists_every_command(capsys):
    status, text, _ = run(capsys, "--help")
    assert status == 0
    assert all(f"\n    {command}" in text for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_stands_in_the_readme(command):
    assert f"python -m features {command}" in README.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "arguments", [(), ("dance",), ("evaluate",), ("evaluate", "sample", "--limit", "0"), ("train", "x")]
)
def test_wrong_usage_gives_status_2_and_the_usage(arguments, capsys):
    status, text, errors = run(capsys, *arguments)
    assert status == 2
    assert not text
    assert errors.startswith("usage: python -m features")


def test_a_wrong_limit_is_explained(capsys):
    assert "wanted a whole number above 0, got -3" in run(capsys, "evaluate", "sample", "--limit", "-3")[2]


def test_an_address_of_no_known_kind_is_explained(capsys):
    status, _, errors = run(capsys, "info", "nosuchkind://bucket/folder")
    assert status == 2
    assert "nosuchkind://bucket/folder cannot be used" in errors


def test_an_interruption_gives_status_130(monkeypatch, capsys):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(models_command, "_models", interrupted)
    assert run(capsys, "models") == (130, "", "models: interrupted\n")


# --- models ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def listed() -> list[dict]:
    """What `models --json` prints; counting the layers of all networks takes seconds."""
    from contextlib import redirect_stdout
    from io import StringIO

    with redirect_stdout(StringIO()) as text:
        assert command_line.main(["models", "--json"]) == 0
    return json.loads(text.getvalue())


def test_models_lists_the_whole_catalogue_as_json(listed):
    assert [row["name"] for row in listed] == [entry.name for entry in catalogue.entries()]


@pytest.mark.parametrize("name", catalogue.TORCHVISION)
def test_models_states_torchvisions_published_parameters_and_operations(name, listed):
    row = next(row for row in listed if row["name"] == f"{name}-v1")
    published = models.get_model_weights(name).IMAGENET1K_V1.meta
    assert row["parameters"] == published["num_params"]
    assert row["gflops"] == pytest.approx(published["_ops"], abs=0.01)
    assert row["input_size"] == 224
    assert row["classes"] == 1000


def test_models_prints_a_table_with_one_line_per_network(capsys, monkeypatch):
    few = tuple(entry for entry in catalogue.entries() if entry.name in ("resnet18-v1", "plain20-cifar"))
    monkeypatch.setattr(catalogue, "entries", lambda: few)
    status, text, errors = run(capsys, "models")
    assert status == 0
    assert not errors
    header, rule, *rows = text.splitlines()
    assert header.split()[:5] == ["name", "family", "classes", "input", "parameters"]
    assert set(rule) == {"-", " "}
    assert [row.split()[0] for row in rows[:2]] == ["resnet18-v1", "plain20-cifar"]
    assert "11.69 M" in rows[0]  # torchvision's documentation: 11689512
    starts = [
        position for position, sign in enumerate(rule) if sign == "-" and rule[position - 1 : position] in ("", " ")
    ]
    assert all(row[position - 1 : position] in ("", " ") for row in rows[:2] for position in starts)


# --- evaluate --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_evaluate_prints_scores_of_a_folder_as_json(weights, tiny_folder, capsys):
    status, text, _ = run(capsys, "evaluate", tiny_folder, "--weights", weights, "--json")
    assert status == 0
    result = json.loads(text)
    assert result["n_images"] == 12
    assert result["accuracy"] == sum(result["confusion"][index][index] for index in range(3)) / 12
    assert [sum(row) for row in result["confusion"]] == [4, 4, 4]
    assert result["provenance"]["weights_sha256"] == files.digest_of(weights)


def test_evaluate_prints_a_table_with_every_class(weights, tiny_folder, capsys):
    status, text, _ = run(capsys, "evaluate", tiny_folder, "--weights", weights)
    assert status == 0
    assert text.startswith("mine on 12 images of tiny\n")
    assert [line.split()[0] for line in text.splitlines()[-3:]] == ["cat", "dog", "fox"]


@pytest.mark.slow
def test_evaluate_tells_of_calibration_retrieval_and_a_second_set(weights, tiny_folder, capsys):
    more = ("--retrieval", "--against", "sample", "--limit", "20")
    status, text, _ = run(capsys, "evaluate", tiny_folder, "--weights", weights, *more)
    assert status == 0
    for words in ("95 % interval of the accuracy", "expected calibration error", "retrieval: 12 queries", "AUROC"):
        assert words in text
    status, text, _ = run(capsys, "evaluate", tiny_folder, "--weights", weights, *more, "--json")
    result = json.loads(text)
    low, high = result["accuracy_interval"]
    assert low <= result["accuracy"] <= high
    assert list(result["retrieval"]) == ["stem", "layer1", "layer2", "layer3", "pool"]
    assert {each["score"] for each in result["novelty"]["scores"]} == {*NOVELTY_SCORES}


def test_evaluate_matches_labels_as_it_is_told(weights, tiny_folder, capsys):
    (tiny_folder / "cat").rename(tiny_folder / "zebra")
    (tiny_folder / "fox").rename(tiny_folder / "ape")
    assert run(capsys, "evaluate", tiny_folder, "--weights", weights, "--match", "name", "--json")[0] == 2
    status, text, _ = run(capsys, "evaluate", tiny_folder, "--weights", weights, "--match", "order", "--json")
    assert status == 0
    assert json.loads(text)["labels_matched"] == "by order"


def test_evaluate_takes_a_balanced_sample(weights, tiny_folder, capsys):
    _, text, _ = run(capsys, "evaluate", tiny_folder, "--weights", weights, "--limit", "6", "--json")
    assert [sum(row) for row in json.loads(text)["confusion"]] == [2, 2, 2]


def test_evaluate_names_the_images_it_left_out(weights, tiny_folder, capsys):
    (tiny_folder / "dog" / "2.png").write_bytes(b"torn")
    status, text, errors = run(capsys, "evaluate", tiny_folder, "--weights", weights, "--json")
    assert status == 0
    assert json.loads(text)["n_images"] == 11
    assert "left out: dog/2.png is not an image" in errors


def bad_weights(folder: Path) -> Path:
    (folder / "bad.pth").write_bytes(b"not weights")
    return folder / "bad.pth"


def headless(folder: Path) -> Path:
    filling.save(randomise(build(cifar(8, classes=None))), folder / "trunk.safetensors", {})
    return folder / "trunk.safetensors"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (lambda f, w: ["/no/such/folder", "--weights", w], "does not exist"),
        (lambda f, w: [f.parent / "mine.safetensors", "--weights", w], "is not a folder, a zip"),
        (lambda f, w: ["torchvision:Nothing", "--weights", w], "no image set called 'Nothing'"),
        (lambda f, w: ["torchvision:CIFAR10", "--data-root", f, "--weights", w], "Name its folder with --data-root"),
        (lambda f, w: [f, "--weights", f / "absent.pth"], "There is no file"),
        (lambda f, w: [f, "--weights", bad_weights(f.parent)], "bad.pth is no weights that are known here"),
        (lambda f, w: [f, "--weights", headless(f.parent)], "trunk has no classifier"),
        (lambda f, w: [f, "--weights", w, "--model", "resnet18"], "of another network"),
        (lambda f, w: [f, "--weights", w, "--classes", f / "absent.txt"], "cannot be read"),
        (lambda f, w: [f, "--model", "vgg16"], "no network called 'vgg16'"),
        (lambda f, w: [f, "--model", "resnet20-cifar"], "has no weights of its own"),
    ],
)
def test_a_users_mistake_gives_status_2_and_one_message_without_a_traceback(
    arguments, text, tiny_folder, weights, capsys
):
    status, output, errors = run(capsys, "evaluate", *arguments(tiny_folder, weights))
    assert status == 2
    assert not output
    assert errors.splitlines()[-1].startswith("evaluate: ")
    assert text in errors
    assert "Traceback" not in errors


def test_evaluate_says_what_it_assumed_of_a_file_without_a_description(tiny_folder, tmp_path, capsys):
    filling.save(randomise(build(cifar(8, classes=3))), tmp_path / "bare.safetensors", {})
    status, text, errors = run(capsys, "evaluate", tiny_folder, "--weights", tmp_path / "bare.safetensors", "--json")
    assert status == 0
    assert json.loads(text)["n_images"] == 12
    assert "assumed, since bare does not say: the input" in errors


def test_evaluate_says_when_no_label_is_a_class_of_the_network(tiny_folder, weights, capsys):
    for name in ("cat", "dog", "fox"):
        (tiny_folder / name).rename(tiny_folder / f"a {name} of another kind")
    status, text, errors = run(capsys, "evaluate", tiny_folder, "--weights", weights, "--json")
    assert status == 0
    assert json.loads(text)["labels_matched"] == "by order"
    assert "a dog of another kind as dog" in errors


@pytest.mark.slow
def test_output_that_nobody_reads_is_no_error(weights):
    reader, writer = os.pipe()
    os.close(reader)  # as `head` does once it has seen enough
    command = [sys.executable, "-m", "features", "inspect", str(weights)]
    done = subprocess.run(command, cwd=README.parent, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_list_of_no_networks_is_refused(capsys, tmp_path):
    status, _, errors = run(capsys, "faithfulness", "sample", "--model", ",", "--out", tmp_path / "out")
    assert (status, errors) == (
        2,
        "faithfulness: No network is named. Name at least one with --model, or leave it away.\n",
    )


# --- train -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["sample", "--name", "x"], "Name them with --test SOURCE"),
        (["/no/train", "--test", "/no/test", "--name", "x"], "'/no/train' does not exist"),
        (["sample", "--test", "sample", "--name", "a/b"], "Give a name without folders"),
        (["sample", "--test", "sample", "--name", ""], "Give a name without folders"),
        (["sample", "--test", "sample", "--name", ".."], "Give a name without folders"),
        (["sample", "--test", "sample", "--name", "manifest"], "manifest.json would say that the whole folder"),
    ],
)
def test_training_on_nothing_is_refused(arguments, text, capsys, tmp_path):
    status, _, errors = run(capsys, "train", *arguments, "--out", tmp_path)
    assert status == 2
    assert errors.startswith("train: ")
    assert text in errors


@pytest.mark.slow
def test_training_leaves_weights_that_evaluate_agrees_with_and_a_card(tiny_folder, tmp_path, capsys):
    out, held_back = tmp_path / "out", tmp_path / "held back"
    shutil.copytree(tiny_folder, held_back, copy_function=shutil.copy)
    settings = ["--epochs", "1", "--batch-size", "4", "--precision", "fp32", "--licence", "CC0-1.0"]
    status, text, _ = run(
        capsys,
        "train",
        tiny_folder,
        "--test",
        held_back,
        "--model",
        "resnet8-cifar",
        "--name",
        "net",
        "--out",
        out,
        *settings,
    )
    assert status == 0
    assert "on 12 images" in text
    spec = zoo.load(weights=out / "net.safetensors").spec
    assert spec.class_names == ("cat", "dog", "fox")
    assert spec.licence == "CC0-1.0"
    status, text, _ = run(capsys, "evaluate", held_back, "--weights", out / "net.safetensors", "--json")
    assert json.loads(text)["confusion"] == card.read_card(spec)["test"]["confusion"]


@pytest.mark.parametrize(
    ("source", "test", "wanted"),
    [
        ("torchvision:CIFAR10", None, ("torchvision:CIFAR10:train", "torchvision:CIFAR10:test")),
        ("torchvision:CIFAR10:test", None, ("torchvision:CIFAR10:train", "torchvision:CIFAR10:test")),
        ("a", "b", ("a", "b")),
        ("torchvision:CIFAR10:train", "b", ("torchvision:CIFAR10:train", "b")),
    ],
)
def test_a_torchvision_set_brings_its_own_held_out_images(source, test, wanted):
    assert recipes._splits(source, test) == wanted


# --- the bar ---------------------------------------------------------------------------------------------------------


def test_progress_goes_to_standard_error_and_the_result_comes_back(capsys):
    def work() -> Task[int]:
        for done in (1, 2):
            yield Progress(done, 2, "image")
        for done in (1, 2, 3):
            yield Progress(done, 3, "epoch", "loss 0.1")
        return 7

    assert common.show(work()) == 7
    output, errors = capsys.readouterr()
    assert not output
    assert "image" in errors
    assert "epoch" in errors


@pytest.mark.slow
def test_the_command_line_runs_as_a_module_and_json_stands_alone_on_standard_output(weights, tiny_folder):
    done = subprocess.run(
        [sys.executable, "-m", "features", "evaluate", tiny_folder, "--weights", weights, "--json"],
        cwd=README.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["n_images"] == 12
    assert torch.__version__ in done.stdout


# --- extract and info -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_extract_writes_a_folder_that_info_describes(capsys, tiny_folder, tmp_path):
    out = tmp_path / "features"
    arguments = ("extract", str(tiny_folder), "--out", str(out), "--stages", "stem,layer3", "--precision", "fp32")
    arguments += ("--engine", "torch")
    status, text, errors = run(capsys, *arguments)
    assert status == 0
    assert "12 rows, 0 images rejected" in text
    assert "12 images of tiny: stem 16, layer3 64; fp32" in errors
    status, text, _ = run(capsys, "info", str(out))
    assert status == 0
    assert "12 (12 rows, 0 images rejected)" in text
    assert "64 float32" in text
    status, text, _ = run(capsys, "info", str(out), "--json")
    assert json.loads(text)["shapes"] == {"stem": [16], "layer3": [64]}
    before = (out / "manifest.json").read_bytes()
    assert "12 rows, 0 images rejected" in run(capsys, *arguments)[1]
    assert (out / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (("--out", "{folder}/out"), "lies inside"),
        (("--out", "x", "--workers", "2"), "belong to --cluster ray"),
        (("--out", "x", "--device", "meta"), "Wanted 'auto', 'cpu' or 'cuda'"),
        (("--out", "x", "--cluster", "ray", "--format", "npy"), "A cluster writes Parquet"),
    ],
)
def test_extract_says_what_cannot_be_before_it_begins(extra, said, capsys, tiny_folder):
    arguments = [text.format(folder=tiny_folder) for text in extra]
    status, _, errors = run(capsys, "extract", tiny_folder, "--batch-size", "auto", *arguments)
    assert status == 2
    assert said in errors


def test_convert_goes_from_a_format_to_another(capsys, tiny_folder, tmp_path):
    run(capsys, "extract", str(tiny_folder), "--out", str(tmp_path / "a"), "--format", "npy", "--precision", "fp32",
        "--engine", "torch")  # fmt: skip
    status, text, errors = run(capsys, "convert", tmp_path / "a", "--format", "tensorboard", "--out", tmp_path / "b")
    assert status == 0
    assert "sprite" not in errors
    assert "12 rows, 0 images rejected as tensorboard" in text
    assert "features as tensorboard" in run(capsys, "info", tmp_path / "b")[1]
    (tiny_folder / "cat" / "0.png").unlink()
    status, _, errors = run(capsys, "convert", tmp_path / "a", "--format", "tensorboard", "--out", tmp_path / "c")
    assert status == 0
    assert "no sprite" in errors
    status, _, errors = run(capsys, "convert", tmp_path / "a", "--format", "hdf5", "--out", tmp_path / "d")
    assert status == 2
    assert "Wanted one of parquet, npy, npz, safetensors, tensorboard" in errors


def test_extract_goes_past_a_bad_image_unless_it_is_told_to_be_strict(capsys, tiny_folder, tmp_path):
    (tiny_folder / "dog" / "0.png").write_bytes(b"")
    arguments = ("extract", str(tiny_folder), "--out", str(tmp_path / "features"), "--engine", "torch")
    status, text, _ = run(capsys, *arguments)
    assert status == 0
    assert "11 rows, 1 images rejected" in text
    status, _, errors = run(capsys, *arguments, "--strict")
    assert status == 2
    assert "rejected.parquet" in errors


def test_extract_with_a_stage_that_does_not_exist_names_those_that_do(capsys, tiny_folder, tmp_path):
    status, _, errors = run(capsys, "extract", str(tiny_folder), "--out", str(tmp_path / "x"), "--stages", "layer7")
    assert status == 2
    assert "layer7" in errors
    assert "stem, layer1, layer2, layer3, pool, logits" in errors


def test_training_into_a_file_is_refused_before_any_work(capsys, tiny_folder, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, errors = run(capsys, "train", tiny_folder, "--test", "sample", "--name", "x", "--out", tmp_path / "file")
    assert status == 2
    assert str(tmp_path / "file") in errors
