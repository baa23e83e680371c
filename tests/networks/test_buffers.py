"""Mean and deviation that a network keeps among its tensors are known, as far as they are those of pixels."""

import pytest
import torch
from torch import Tensor
from torchvision.models.resnet import BasicBlock, ResNet

from features.networks import zoo
from tests.random_networks import drawn

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)
PLACES = {
    "RobustBench": ("model.", "normalize.mean", "normalize.std"),
    "MadryLab's robustness": ("module.model.", "module.normalizer.new_mean", "module.normalizer.new_std"),
    "mu and sigma beside the layers": ("", "mu", "sigma"),
    "mean and std beside the layers": ("net.", "net.mean", "net.std"),
    "first of a Sequential": ("1.", "0.mean", "0.std"),
    "detectron2": ("backbone.bottom_up.", "pixel_mean", "pixel_std"),
    "MMDetection": ("backbone.", "data_preprocessor.mean", "data_preprocessor.std"),
}


@pytest.fixture(scope="module")
def state():
    return drawn(ResNet, block=BasicBlock, layers=[1, 1, 1, 1], num_classes=7).state_dict()


def spec_of(state: dict[str, Tensor], folder):
    torch.save(state, folder / "net.pth")
    return zoo.load(weights=folder / "net.pth").spec


@pytest.mark.parametrize("shape", [(3,), (3, 1, 1), (1, 3, 1, 1)])
@pytest.mark.parametrize("kind", PLACES)
def test_mean_and_deviation_among_the_tensors_are_known(kind, shape, state, tmp_path):
    prefix, mean, std = PLACES[kind]
    own = {mean: torch.tensor(MEAN).reshape(shape), std: torch.tensor(STD).reshape(shape)}
    spec = spec_of({prefix + name: value for name, value in state.items()} | own, tmp_path)
    assert spec.preprocessing.mean == pytest.approx(MEAN)
    assert spec.preprocessing.std == pytest.approx(STD)
    assert not any("--mean" in guess for guess in spec.assumed)
    assert any("--channel-order" in guess for guess in spec.assumed)


def test_those_of_bytes_in_the_order_of_caffe_are_taken_as_that(state, tmp_path):
    own = {"pixel_mean": torch.tensor([103.53, 116.28, 123.675]), "pixel_std": torch.ones(3)}
    spec = spec_of({f"backbone.{name}": value for name, value in state.items()} | own, tmp_path)
    assert spec.preprocessing.mean == pytest.approx((0.406, 0.456, 0.485), abs=1e-6)
    assert spec.preprocessing.std == pytest.approx((1 / 255,) * 3)
    assert spec.preprocessing.channel_order == "bgr"


@pytest.mark.parametrize(
    "own",
    [
        {"normalize.mean": torch.tensor([-3.0, 900.0, 2.0]), "normalize.std": torch.ones(3)},
        {"normalize.mean": torch.zeros(3), "normalize.std": torch.ones(3)},
        {"normalize.mean": torch.tensor(MEAN), "normalize.std": torch.zeros(3)},
        {"normalize.mean": torch.tensor(MEAN)},
        {"normalize.mean": torch.rand(4), "normalize.std": torch.rand(4)},
        {"teacher.normalize.mean": torch.tensor(MEAN), "teacher.normalize.std": torch.tensor(STD)},
    ],
    ids=["far from pixels", "of nothing", "no deviation", "no deviation at all", "four", "of another network"],
)
def test_what_is_none_of_its_pixels_is_not_taken(own, state, tmp_path):
    spec = spec_of({f"net.{name}": value for name, value in state.items()} | own, tmp_path)
    assert any("--mean" in guess for guess in spec.assumed)


def test_the_nearest_of_several_pairs_is_taken(state, tmp_path):
    own = {"mean": torch.full((3,), 0.5), "std": torch.full((3,), 0.5)}
    own |= {"student.normalize.mean": torch.tensor(MEAN), "student.normalize.std": torch.tensor(STD)}
    spec = spec_of({f"student.net.{name}": value for name, value in state.items()} | own, tmp_path)
    assert spec.preprocessing.mean == pytest.approx(MEAN)
