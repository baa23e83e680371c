"""Norms that keep no statistics: batch norms that lost them are refused, group norms are read where that is said."""

import pytest
import torch
from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

from features.errors import WeightsError
from features.networks import zoo
from tests.random_networks import Narrow, drawn


@pytest.fixture(scope="module")
def batch():
    return drawn(Narrow, block=BasicBlock, layers=[1, 1, 1, 1], num_classes=5)


@pytest.fixture(scope="module")
def group():
    return drawn(
        ResNet, block=BasicBlock, layers=[1, 1, 1, 1], num_classes=5, norm_layer=lambda width: nn.GroupNorm(4, width)
    )


@torch.inference_mode()
def need_equal(network, source) -> None:
    x = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network(x), source(x), rtol=1e-5, atol=1e-5)


def named(name: str):
    return lambda key: key.replace("bn", name)


@pytest.mark.parametrize("told", ["", "?as=resnet18"])
def test_the_parameters_of_batch_norms_alone_are_refused_with_the_way_out(told, batch, tmp_path):
    torch.save({"model": dict(batch.named_parameters())}, tmp_path / "net.pt")
    with pytest.raises(WeightsError, match=r"no running statistics.*torch\.save\(model\.state_dict") as caught:
        zoo.load(f"{tmp_path / 'net.pt'}{told}")
    assert "--norm-groups" in str(caught.value)
    assert len(str(caught.value)) < 500


def test_statistics_of_another_network_in_the_file_say_nothing(batch, tmp_path):
    torch.save({"model": dict(batch.named_parameters()), "ema": batch.state_dict()}, tmp_path / "net.pt")
    with pytest.raises(WeightsError, match="no running statistics"):
        zoo.load(f"{tmp_path / 'net.pt'}?part=model")
    need_equal(zoo.load(f"{tmp_path / 'net.pt'}?part=ema").network, batch)


def test_group_norms_are_read_where_a_person_says_so(group, tmp_path):
    torch.save(group.state_dict(), tmp_path / "net.pt")
    with pytest.raises(WeightsError, match="no running statistics"):
        zoo.load(weights=tmp_path / "net.pt")
    need_equal(zoo.load(f"{tmp_path / 'net.pt'}?norm-groups=4").network, group)


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
