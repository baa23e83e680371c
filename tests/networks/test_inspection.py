"""What is found in files of weights, whatever they are called and however their networks are spelled and nested."""

import argparse
import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from features.errors import WeightsError
from features.networks import containers
from features.networks.flatten import tensors_of
from features.networks.inspection import inspect


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return models.resnet18(num_classes=7)


@pytest.fixture(scope="module")
def state(network):
    return network.state_dict()


def only(path):
    """The one network in a file, understood."""
    (network,) = inspect(path).networks
    assert network.problem == ""
    return network


def weiaicunzai(name: str) -> str:
    layers = {"conv1": "residual_function.0", "bn1": "residual_function.1", "conv2": "residual_function.3",
              "bn2": "residual_function.4"}  # fmt: skip
    name = re.sub(r"^(conv1|bn1)\.", lambda m: f"conv1.{int(m[1] == 'bn1')}.", name)
    return re.sub(
        r"^layer(\d)\.(\d)\.(conv1|bn1|conv2|bn2|downsample)\.",
        lambda m: f"conv{int(m[1]) + 1}_x.{m[2]}.{layers.get(m[3], 'shortcut')}.",
        name,
    )


def detectron2(name: str) -> str:
    name = re.sub(r"^layer(\d)", lambda m: f"res{int(m[1]) + 1}", name)
    name = re.sub(r"^conv1\.", "stem.conv1.", name)
    name = re.sub(r"^bn1\.", "stem.conv1.norm.", name)
    name = re.sub(r"\.bn(\d)\.", r".conv\1.norm.", name)
    return name.replace("downsample.0.", "shortcut.").replace("downsample.1.", "shortcut.norm.")


def hugging_face(name: str) -> str:
    part = {"conv1": "layer.0.convolution", "bn1": "layer.0.normalization", "conv2": "layer.1.convolution",
            "bn2": "layer.1.normalization", "downsample.0": "shortcut.convolution",
            "downsample.1": "shortcut.normalization"}  # fmt: skip
    match = re.match(r"layer(\d)\.(\d+)\.(conv1|bn1|conv2|bn2|downsample\.0|downsample\.1)\.(.+)", name)
    if match:
        return f"resnet.encoder.stages.{int(match[1]) - 1}.layers.{match[2]}.{part[match[3]]}.{match[4]}"
    stem = {"conv1": "convolution", "bn1": "normalization"}
    first, _, rest = name.partition(".")
    return f"resnet.embedder.embedder.{stem[first]}.{rest}" if first in stem else f"classifier.1.{rest}"


SPELLINGS = {
    "torchvision": lambda name: name,
    "under prefixes": lambda name: f"module.encoder.backbone.{name}",
    "compiled": lambda name: f"_orig_mod.{name}",
    "kuangliu": lambda name: name.replace("downsample", "shortcut").replace("fc.", "linear."),
    "mmpretrain": lambda name: f"head.{name}" if name.startswith("fc.") else f"backbone.{name}",
    "weiaicunzai": weiaicunzai,
    "detectron2": detectron2,
    "hugging face": hugging_face,
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_network_is_found_however_its_layers_are_called(spelling, state, tmp_path):
    torch.save({SPELLINGS[spelling](name): value for name, value in state.items()}, tmp_path / "a.pth")
    structure = only(tmp_path / "a.pth").structure
    assert (structure.block, structure.blocks, structure.outputs) == ("basic", (2, 2, 2, 2), (64, 128, 256, 512))
    assert (structure.stem, structure.stem_width, structure.in_channels) == ("imagenet", 64, 3)
    assert (structure.shortcut, structure.classes) == ("projection", 7)


@pytest.mark.parametrize("name", ["model_best.pth.tar", "epoch=9.ckpt", "pytorch_model.bin", "weights.pkl", "weights"])
def test_files_are_known_by_their_content(name, state, tmp_path):
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / name)
    assert only(tmp_path / name).part.name == "state_dict"


def test_what_lies_beside_the_weights_is_skipped_and_never_run(state, tmp_path):
    extra = {"args": argparse.Namespace(lr=0.1), "acc": np.float64(0.9), "history": np.zeros(3), "where": tmp_path}
    torch.save({"net": state, **extra}, tmp_path / "a.pth")
    assert only(tmp_path / "a.pth").part.name == "net"


class Touch:
    """A pickle that would make a file if anything in it ran."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_nothing_in_a_file_is_run(state, tmp_path):
    torch.save({"net": state, "x": Touch(tmp_path / "ran")}, tmp_path / "a.pth")
    assert only(tmp_path / "a.pth").structure.classes == 7
    assert not (tmp_path / "ran").exists()


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
    torch.save(state | {"maxpool.0.weight": torch.zeros(64, 64, 3, 3)}, tmp_path / "a.pth")
    (network,) = inspect(tmp_path / "a.pth").networks
    assert network.structure is None
    assert "maxpool.0.weight" in network.problem
    gated = state | {"layer1.0.alpha": torch.zeros(1)}
    torch.save(gated, tmp_path / "b.pth")
    assert "not understood" in inspect(tmp_path / "b.pth").networks[0].problem


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"<!DOCTYPE html><html>404</html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5"),
        (b"\x1f\x8b" + bytes(99), "gzip"),
        (bytes(99), "zeros"),
        (b"hello", "no weights that are known"),
    ],
)
def test_other_files_are_called_by_their_name(content, told, tmp_path):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=told) as caught:
        inspect(tmp_path / "a.pth")
    assert len(str(caught.value)) < 500


def test_half_a_download_is_refused(state, tmp_path):
    torch.save(state, tmp_path / "a.pth")
    data = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "a.pth").write_bytes(data[: len(data) // 2])
    with pytest.raises(WeightsError, match="not whole"):
        inspect(tmp_path / "a.pth")


def test_a_file_cannot_ask_for_far_more_memory_than_it_is_large(tmp_path):
    torch.save({"conv1.weight": torch.zeros(1).expand(50_000, 50_000)}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="MiB in a file of"):
        inspect(tmp_path / "a.pth")


def test_folders_and_other_networks_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="is a folder"):
        inspect(tmp_path)
    torch.save(nn.Linear(3, 3).state_dict(), tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="no residual network among them"):
        inspect(tmp_path / "a.pth")
