"""What a file of weights is said to hold: its networks, what is known of each, and what it is if it is none."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from features.errors import WeightsError
from features.networks import containers
from features.networks.catalogue import TORCHVISION
from features.networks.flatten import tensors_of
from features.networks.inspection import inspect


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return models.resnet18(num_classes=7)


@pytest.fixture(scope="module")
def state(network):
    return network.state_dict()


def test_a_network_is_described_with_what_its_tensors_do_not_tell(state, tmp_path):
    torch.save({"epoch": 3, "state_dict": state, "optimizer": {"state": {0: torch.zeros(2)}}}, tmp_path / "weights")
    found = inspect(tmp_path / "weights")
    (network,) = found.networks
    assert (found.format, found.n_tensors) == ("torch", len(state) + 1)
    assert network.part.name == "state_dict"
    assert network.problem == ""
    assert network.inferred.architecture == replace(TORCHVISION["resnet18"], classes=7)
    assert {"stem_pool", "strides", "dilations", "antialias"} <= {choice.field for choice in network.inferred.untold}


@pytest.mark.parametrize("legacy", [False, True])
def test_whole_networks_and_old_files_have_the_tensors_of_their_state_dict(legacy, network, tmp_path):
    torch.save(network, tmp_path / "a.pt", _use_new_zipfile_serialization=not legacy)
    records = tensors_of(containers.read(tmp_path / "a.pt"))
    assert set(records) == set(network.state_dict())
    for name, value in network.state_dict().items():
        assert torch.equal(records[name].load(), value), name


def test_several_networks_are_listed_the_main_one_before_copies_that_follow_it(state, tmp_path):
    torch.save({"teacher": state, "student": state, "optimizer": {"state": {0: {"x": torch.zeros(2)}}}}, tmp_path / "a")
    networks = inspect(tmp_path / "a").networks
    assert [(each.part.name, each.part.copy) for each in networks] == [("student", False), ("teacher", True)]


def test_a_safetensors_file_tells_its_metadata(state, tmp_path):
    save_file(state, tmp_path / "a.bin", {"source": "mine"})
    found = inspect(tmp_path / "a.bin")
    assert (found.format, found.metadata["source"]) == ("safetensors", "mine")


def test_what_is_not_understood_is_said_and_not_guessed(state, tmp_path):
    gated = state | {"layer1.0.alpha": torch.zeros(1)}
    torch.save({"model": gated, "ema": state}, tmp_path / "a.pth")
    networks = inspect(tmp_path / "a.pth").networks
    assert [each.part.name for each in networks] == ["model", "ema"]
    assert networks[0].inferred is None
    assert "not understood" in networks[0].problem
    assert networks[1].problem == ""


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"<!DOCTYPE html><html>404</html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5"),
        (b"\x1f\x8b" + bytes(99), "gzip"),
        (b"\x28\xb5\x2f\xfd" + bytes(99), "is compressed with Zstandard"),
        (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "is an XML document"),
        (b"<?xml version='1.0'?><!DOCTYPE html><html></html>", "is a web page"),
        (bytes(99), "zeros"),
        (b"hello", "no weights that are known"),
    ],
)
def test_other_files_are_called_by_their_name(content, told, tmp_path):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=told) as caught:
        inspect(tmp_path / "a.pth")
    assert len(str(caught.value)) < 500


def test_a_file_without_a_residual_network_is_refused(tmp_path):
    torch.save(nn.Linear(3, 3).state_dict(), tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="no residual network among them"):
        inspect(tmp_path / "a.pth")


def test_the_tensors_of_an_optimizer_are_counted_and_left_aside(state, tmp_path):
    content = {"model": state, "optimizer": {"state": {0: {"exp_avg": torch.zeros(2), "exp_avg_sq": torch.zeros(2)}}}}
    torch.save(content, tmp_path / "run.pt")
    found = inspect(tmp_path / "run.pt")
    assert found.summary() == f"torch, {len(state) + 2} tensors, of which 2 of its training (optimizer) are left aside"
    torch.save(state, tmp_path / "net.pt")
    assert inspect(tmp_path / "net.pt").summary() == f"torch, {len(state)} tensors"
