"""How networks are named and described on the command line, and what becomes of what their files do not say."""

import json
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from features.__main__ import _parser, main
from features.commands.common import named
from features.networks import card, filling, naming
from features.networks.architecture import Architecture, cifar
from features.networks.canonical import build, published_name
from features.store import open_features
from tests.random_networks import randomise

pytestmark = pytest.mark.slow

QUICK = "--precision fp32 --device cpu --engine torch --stages layer3 --out"


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "net.safetensors"
    filling.save(randomise(build(cifar(8, classes=3))), path, {})
    return path


def run(line: str, capsys) -> tuple[int, str, str]:
    status = main(line.split())
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("way", ["--weights {net} --range signed --shortcut-padding end",
                                 "--model {net}?range=signed&shortcut-padding=end"])  # fmt: skip
def test_what_is_said_of_a_file_is_taken_and_kept_in_the_provenance(way, net, tiny_folder, tmp_path, capsys):
    status, _, errors = run(f"extract {tiny_folder} {way.format(net=net)} {QUICK} {tmp_path / 'out'}", capsys)
    assert status == 0
    assert "--range" not in errors
    assert "--stem-pool" in errors
    told = open_features(tmp_path / "out").provenance
    assert told.preprocessing.mean == (0.5, 0.5, 0.5)
    assert "zeros after the old channels" in told.network
    assert any("--stem-pool" in guess for guess in told.assumed)


def test_a_pool_that_may_follow_a_small_stem_is_told_before_all_other_options_and_kept(tiny_folder, tmp_path, capsys):
    small = Architecture("basic", (1, 1, 1, 1), (4, 8, 16, 32), (4, 8, 16, 32), "cifar", 4, classes=3)
    state = randomise(build(small)).state_dict()
    path = tmp_path / "net.pth"
    torch.save({published_name(key): value for key, value in state.items()}, path)
    status, _, errors = run(f"extract {tiny_folder} --weights {path} {QUICK} {tmp_path / 'out'}", capsys)
    assert status == 0
    first, *_ = (line for line in errors.splitlines() if line.startswith("assumed") and "--" in line)
    assert "no pool after the stem, where many of its kind have max-pool after the stem (--stem-pool max)" in first
    first, *_ = (guess for guess in open_features(tmp_path / "out").provenance.assumed if "--" in guess)
    assert "--stem-pool max" in first
    _, out, _ = run(f"inspect {path}", capsys)
    first, *_ = (line for line in out.splitlines() if line.startswith("  assumed"))
    assert "--stem-pool max" in first
    _, _, errors = run(f"evaluate {tiny_folder} --weights {path} --stem-pool max --match order --limit 3", capsys)
    assert "--stem-pool" not in errors


def test_the_two_ways_of_naming_are_the_same_network(net, tiny_folder, tmp_path, capsys):
    first = f"extract {tiny_folder} --weights {net} --range signed {QUICK} {tmp_path / 'out'}"
    assert run(first, capsys)[0] == 0
    assert run(f"extract {tiny_folder} --model {net}?range=signed {QUICK} {tmp_path / 'out'}", capsys)[0] == 0
    status, _, errors = run(f"extract {tiny_folder} --model {net}?range=unit {QUICK} {tmp_path / 'out'}", capsys)
    assert status == 2
    assert "of another run" in errors


def test_a_part_is_chosen_by_its_name(tiny_folder, tmp_path, capsys):
    states = {}
    for name, depth in (("online_encoder.net", 8), ("target_encoder.net", 14)):
        network = randomise(build(cifar(depth, classes=None)))
        states |= {f"{name}.{published_name(key)}": value for key, value in network.state_dict().items()}
    torch.save({"state_dict": states}, tmp_path / "byol.ckpt")
    for part, blocks in (("", 3), (" --part target_encoder.net", 6)):
        status, out, errors = run(f"residual {tiny_folder} --weights {tmp_path / 'byol.ckpt'}{part}", capsys)
        assert status == 0, errors
        assert sum(line.startswith("layer") for line in out.splitlines()) == blocks
    status, _, errors = run(f"residual {tiny_folder} --weights {tmp_path / 'byol.ckpt'} --part encoder", capsys)
    assert status == 2
    assert "'state_dict.online_encoder.net', 'state_dict.target_encoder.net'" in errors


@pytest.mark.parametrize("way", ["--weights {path} --head fc_sex", "--model {path}?head=fc_sex"])
def test_a_head_is_chosen_by_its_name_and_kept_in_the_provenance(way, tiny_folder, tmp_path, capsys):
    state = {published_name(key): value for key, value in randomise(build(cifar(8, classes=3))).state_dict().items()}
    state = {key.replace("fc.", "fc_age."): value for key, value in state.items()}
    path = tmp_path / "two.pth"
    torch.save(state | {"fc_sex.weight": torch.randn(2, 64), "fc_sex.bias": torch.randn(2)}, path)
    stages = QUICK.replace("layer3", "layer3,logits")
    status, _, errors = run(f"extract {tiny_folder} {way.format(path=path)} {stages} {tmp_path / 'out'}", capsys)
    assert status == 0, errors
    features = open_features(tmp_path / "out")
    assert features.provenance.weights == "file two.pth, head fc_sex"
    assert features.read("logits", 0, 1).shape[1] == 2
    status, out, _ = run(f"inspect {path} --head fc_sex", capsys)
    assert "heads: fc_age, fc_sex; fc_sex is taken" in out
    assert "2 classes" in out
    assert "left aside: fc_age.bias, fc_age.weight" in out
    assert "--head fc_sex --out DIR" in out


def test_a_lesion_is_part_of_a_name(net, tiny_folder, tmp_path, capsys):
    status, _, _ = run(
        f"extract {tiny_folder} --model {net}?lesion=without:layer3.0 {QUICK} {tmp_path / 'out'}", capsys
    )
    assert status == 0
    assert open_features(tmp_path / "out").provenance.variant == "without layer3.0"
    status, _, errors = run(f"extract {tiny_folder} --model {net}?lesion=layer3.0 {QUICK} {tmp_path / 'no'}", capsys)
    assert status == 2
    assert "Wanted without:BLOCK" in errors


def test_inspect_tells_what_a_file_is_taken_for_and_the_command_that_uses_it(net, tiny_folder, capsys):
    status, out, _ = run(f"inspect {net} --images {tiny_folder}", capsys)
    assert status == 0
    assert "taken as: basic blocks 1-1-1" in out
    assert "tested by the statistics of its norms" in out
    assert f"--weights {net}" in out


@pytest.mark.parametrize("said", ["", "?part=student", "?part=student&stem-pool=max"])
def test_the_command_that_inspect_tells_can_be_pasted_into_a_shell(said, net, tiny_folder, tmp_path, capsys):
    """Whatever signs a file's name has; through a shell, it names the network that was inspected."""
    odd = tmp_path / "it's a file & more?.pt"
    torch.save({"student": load_file(net), "teacher": load_file(net)}, odd)
    assert main(["inspect", f"{str(odd).replace('?', '%3F')}{said}" if said else str(odd)]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("use it: ")]
    echo = "python() { printf '%s\\n' \"$@\"; }; " + line.removeprefix("use it: ")
    words = subprocess.run(["sh", "-c", echo], capture_output=True, text=True, check=True).stdout.splitlines()
    assert words[:4] == ["-m", "features", "extract", "SOURCE"]
    options = named(_parser().parse_args(words[2:]))
    assert options.weights == odd
    assert options.part == ("student" if said else None)
    assert dict(options.settings) == ({"stem-pool": "max"} if "max" in said else {})


def test_a_folder_of_results_does_not_hide_the_network_that_it_is_called_after(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resnet50").mkdir()
    assert naming.parse("resnet50") == naming.NetworkName("resnet50")
    (tmp_path / "resnet50" / "model.safetensors").touch()
    assert naming.parse("resnet50").weights == Path("resnet50")


def test_two_files_for_one_network_are_refused(net, tiny_folder, capsys):
    status, _, errors = run(f"evaluate {tiny_folder} --model {net} --weights {net}", capsys)
    assert status == 2
    assert "Two files of weights" in errors


def test_many_labels_are_evaluated_one_by_one(net, tiny_folder, tmp_path, capsys):
    (tmp_path / "names.txt").write_text("cat\ndog\nfox\n")
    line = f"evaluate {tiny_folder} --weights {net} --classes {tmp_path / 'names.txt'} --outputs multilabel --json"
    status, out, errors = run(line, capsys)
    assert status == 0, errors
    assert 0 <= json.loads(out)["mean_average_precision"] <= 1


@pytest.mark.parametrize("told", ["{net}", "resnet20-cifar?lesion=without:layer3.1", "{net}?part=x"])
def test_training_takes_an_architecture_by_its_name_alone(told, net, tiny_folder, tmp_path, capsys):
    line = f"train {tiny_folder} --test {tiny_folder} --name a --out {tmp_path / 'out'} --model {told.format(net=net)}"
    status, _, errors = run(line, capsys)
    assert status == 2
    assert "training draws all weights anew. Name an architecture" in errors


def test_inspect_of_a_name_says_what_tells_of_it(capsys):
    status, _, errors = run("inspect resnet20-fashion", capsys)
    assert status == 2
    assert "`python -m features models` tells" in errors


def test_inspect_of_a_network_that_is_not_understood_fails_with_the_reason(tmp_path, capsys):
    state = {published_name(key): value for key, value in randomise(build(cifar(8))).state_dict().items()}
    torch.save(state | {"layer1.0.alpha": torch.zeros(1)}, tmp_path / "net.pth")
    status, out, errors = run(f"inspect {tmp_path / 'net.pth'}", capsys)
    assert status == 2
    assert "not understood" in out
    assert "layer1.0.alpha" in errors or "alpha at the block" in errors


def test_inspect_of_a_file_that_describes_itself_wrongly_names_it_and_says_what_to_do(tmp_path, capsys):
    said = dict.fromkeys(card.METADATA, "[]")
    filling.save(randomise(build(cifar(8, classes=3))), tmp_path / "mine.safetensors", said)
    status, _, errors = run(f"inspect {tmp_path / 'mine.safetensors'}", capsys)
    assert status == 2
    assert errors.startswith("inspect: mine.safetensors: what it says of itself cannot be understood: its architecture")
    assert errors.endswith("Copy it again, or save it anew.\n")


def test_inspect_takes_what_is_said_of_a_file(net, capsys):
    status, out, _ = run(f"inspect {net} --stem-pool max --range signed", capsys)
    assert status == 0
    assert "max-pool after the stem" in out.partition("taken as:")[2]
    assert "std 0.5 0.5 0.5" in out or "std 0.500 0.500 0.500" in out
    (line,) = [line for line in out.splitlines() if line.startswith("use it: ")]
    assert "stem-pool=max" in line
    assert "range=signed" in line


@pytest.mark.parametrize(("head", "classes"), [("class_classifier", 3), ("domain_classifier", 2)])
def test_inspect_of_one_of_two_heads_of_unknown_names_tells_that_one(head, classes, tmp_path, capsys):
    state = {published_name(key): value for key, value in randomise(build(cifar(8, classes=None))).state_dict().items()}
    for name, width in (("class_classifier", 3), ("domain_classifier", 2)):
        state |= {f"{name}.weight": torch.randn(width, 64), f"{name}.bias": torch.randn(width)}
    torch.save(state, tmp_path / "two.pth")
    status, out, _ = run(f"inspect {tmp_path / 'two.pth'}", capsys)
    assert (status, "none is taken" in out, "no head" in out) == (0, True, True)
    status, out, _ = run(f"inspect {tmp_path / 'two.pth'} --head {head}", capsys)
    assert status == 0
    assert f"heads: class_classifier, domain_classifier; {head} is taken" in out
    assert out.count(f"{classes} classes") == 2
    (left,) = [line for line in out.splitlines() if "left aside" in line]
    assert head not in left


def test_inspect_of_a_folder_that_names_its_network(tmp_path, capsys):
    timm = pytest.importorskip("timm")
    network = timm.create_model("skresnet18", pretrained=False, num_classes=3)
    timm.models.save_for_hf(network, str(tmp_path), safe_serialization=True)
    status, out, _ = run(f"inspect {tmp_path}", capsys)
    assert status == 0
    assert "built as timm:skresnet18" in out


@pytest.mark.parametrize("option", ["--part", "--head"])
def test_a_part_of_what_is_no_file_is_refused_before_anything_is_fetched(option, monkeypatch, capsys):
    monkeypatch.setattr("features.networks.zoo.fetch", lambda entry: pytest.fail("it was fetched"))
    assert main(["evaluate", "sample", "--model", "resnet50", option, "x"]) == 2
    assert "is chosen of a file of weights" in capsys.readouterr().err
