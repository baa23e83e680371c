"""Norms without statistics: taken for group norms, which is told, unless something says that they are batch norms."""

import argparse
import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

from features.__main__ import main
from features.errors import WeightsError
from features.networks import zoo
from tests.random_networks import Narrow, drawn


@pytest.fixture(scope="module")
def batch():
    return drawn(Narrow, block=BasicBlock, layers=[1, 1, 1, 1], num_classes=5)


def with_group_norms(groups: int) -> nn.Module:
    return drawn(
        ResNet, block=BasicBlock, layers=[1, 1, 1, 1], num_classes=5,
        norm_layer=lambda width: nn.GroupNorm(groups, width),
    )  # fmt: skip


@pytest.fixture(scope="module")
def group():
    return with_group_norms(4)


@pytest.fixture(scope="module")
def usual():
    return with_group_norms(32)


@torch.inference_mode()
def need_equal(network, source) -> None:
    x = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network(x), source(x), rtol=1e-5, atol=1e-5)


def named(name: str):
    return lambda key: key.replace("bn", name)


def told(model: zoo.Model) -> list[str]:
    return [guess for guess in model.spec.assumed if "--norm-groups" in guess]


@pytest.mark.parametrize("above", ["", "model"])
def test_bare_group_norms_are_taken_for_those_of_32_groups_which_is_told_first(above, usual, tmp_path):
    state = usual.state_dict()
    torch.save({above: state} if above else state, tmp_path / "net.pt")
    model = zoo.load(weights=tmp_path / "net.pt")
    need_equal(model.network, usual)
    assert told(model) == [model.spec.assumed[0]]
    assert "32 groups" in model.spec.assumed[0]
    assert "no running statistics" in model.spec.assumed[0]
    assert "save model.state_dict(), not its parameters()" in model.spec.assumed[0]
    said = zoo.load(f"{tmp_path / 'net.pt'}?norm-groups=32")
    assert not told(said)
    need_equal(said.network, usual)


def counted(state):
    return state | {"layer1.0.bn1.num_batches_tracked": torch.tensor(7)}


def called(state):
    return {key.replace("bn", "batch_norm"): value for key, value in state.items()}


@pytest.mark.parametrize(
    ("content", "by"),
    [
        (counted, "their counters of batches"),
        (called, "their name"),
        (lambda state: {"state_dict": state, "arch": "resnet18"}, "the name 'resnet18' in the file"),
        (lambda state: {"state_dict": state, "hyper_parameters": {"backbone": "resnet26t"}}, "the name 'resnet26t'"),
        (lambda state: {"net": state, "args": argparse.Namespace(norm="bn")}, "the setting 'bn'"),
        (lambda state: {"net": state, "cfg": {"norm_cfg": {"type": "SyncBN"}}}, "the setting 'SyncBN'"),
        (lambda state: {"net": state, "norm_layer": nn.BatchNorm2d}, "BatchNorm2d"),
    ],
)
def test_whatever_says_that_they_are_batch_norms_has_them_refused(content, by, usual, tmp_path):
    torch.save(content(usual.state_dict()), tmp_path / "net.pt")
    with pytest.raises(WeightsError, match=f"no running statistics.*told by .*{by}") as caught:
        zoo.load(weights=tmp_path / "net.pt")
    assert "--norm-groups" in str(caught.value)
    assert len(str(caught.value)) < 500
    need_equal(zoo.load(f"{tmp_path / 'net.pt'}?norm-groups=32").network, usual)


def test_a_setting_of_group_norms_says_nothing_of_batch_norms(usual, tmp_path):
    torch.save({"net": usual.state_dict(), "cfg": {"norm_cfg": {"type": "GN"}, "norm": "group"}}, tmp_path / "net.pt")
    need_equal(zoo.load(weights=tmp_path / "net.pt").network, usual)


@pytest.mark.parametrize(
    "config",
    [
        {"architecture": "resnet10t", "pretrained_cfg": {}},
        {"model_type": "resnet", "depths": [1, 1, 1, 1]},
    ],
)
def test_a_config_of_batch_norms_beside_them_has_them_refused(config, usual, tmp_path):
    state = usual.state_dict()
    if "architecture" in config:
        timm = pytest.importorskip("timm")
        state = dict(timm.create_model("resnet10t", num_classes=5).named_parameters())
    save_file({key: value.detach().contiguous() for key, value in state.items()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=r"no running statistics.*told by config\.json"):
        zoo.load(weights=tmp_path / "model.safetensors")


@pytest.mark.parametrize("told", ["", "?as=resnet18"])
def test_the_parameters_of_batch_norms_alone_are_refused_with_the_way_out(told, batch, tmp_path):
    torch.save({"model": dict(batch.named_parameters())}, tmp_path / "net.pt")
    with pytest.raises(WeightsError, match=r"no running statistics.*torch\.save\(model\.state_dict") as caught:
        zoo.load(f"{tmp_path / 'net.pt'}{told}")
    assert "--norm-groups" in str(caught.value)
    assert len(str(caught.value)) < 500


def test_batch_norms_of_another_network_in_the_file_say_what_these_are(usual, tmp_path):
    batch = drawn(ResNet, block=BasicBlock, layers=[1, 1, 1, 1], num_classes=5)
    torch.save({"model": dict(batch.named_parameters()), "ema": batch.state_dict()}, tmp_path / "net.pt")
    with pytest.raises(WeightsError, match=r"no running statistics.*told by the batch norms of the network at 'ema'"):
        zoo.load(f"{tmp_path / 'net.pt'}?part=model")
    need_equal(zoo.load(f"{tmp_path / 'net.pt'}?part=ema").network, batch)


def test_group_norms_are_read_where_a_person_says_so(group, tmp_path):
    torch.save(group.state_dict(), tmp_path / "net.pt")
    model = zoo.load(f"{tmp_path / 'net.pt'}?norm-groups=4")
    need_equal(model.network, group)
    assert not told(model)


@pytest.mark.parametrize("name", ["gn", "group_norm", "GroupNorm"])
def test_group_norms_are_read_where_their_names_say_so(name, group, tmp_path):
    state = {named(name)(key): value for key, value in group.state_dict().items()}
    torch.save(state, tmp_path / "net.pt")
    model = zoo.load(weights=tmp_path / "net.pt")
    assert model.spec.architecture.norm == "group"
    assert any("--norm-groups" in guess for guess in model.spec.assumed)


def test_group_norms_are_told_by_statistics_that_a_state_dict_keeps_beside_them(group, tmp_path):
    beside = {"projector.1.running_mean": torch.zeros(8), "projector.1.running_var": torch.ones(8)}
    torch.save(group.state_dict() | beside, tmp_path / "net.pt")
    assert zoo.load(weights=tmp_path / "net.pt").spec.architecture.norm == "group"


def test_instance_norms_are_refused_by_name(group, tmp_path):
    state = {named("in")(key): value for key, value in group.state_dict().items()}
    torch.save(state, tmp_path / "net.pt")
    with pytest.raises(WeightsError, match="has instance norms"):
        zoo.load(weights=tmp_path / "net.pt")


def test_inspect_tells_what_is_not_known_of_the_norms(usual, tmp_path, capsys):
    torch.save(usual.state_dict(), tmp_path / "net.pt")
    assert main(["inspect", str(tmp_path / "net.pt")]) == 0
    told = capsys.readouterr().out
    assert "its norms keep no running statistics: group norms, or batch norms without" in told
    assert "assumed: GroupNorm of 32 groups (--norm-groups)" in told
