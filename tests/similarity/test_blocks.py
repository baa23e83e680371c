"""CKA of networks' blocks against features that torchvision's own modules put out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models.resnet import BasicBlock

from features.datasets import ImageSet
from features.errors import DatasetError, FeatureError, ImageError
from features.networks.memory import model_of
from features.networks.preprocessing import Preprocessing
from features.progress import finish
from features.similarity import Batching, similarity
from features.similarity.blocks import between_blocks
from tests.random_networks import Narrow, drawn

N = 40
PIXELS = np.random.default_rng(0).integers(0, 256, (N, 48, 48, 3), dtype=np.uint8)
SIDES = {"left": 48, "right": 32}


def opened(number):
    if number == 7:
        raise ImageError("damaged")
    return Image.fromarray(PIXELS[number])


def images(n=N, opener=lambda number: Image.fromarray(PIXELS[number])):
    return ImageSet("noise", tuple(f"{number}.png" for number in range(n)), None, (), "0" * 64, opener)


@pytest.fixture(scope="module")
def nets():
    return {
        "left": drawn(Narrow, 0, block=BasicBlock, layers=[2, 1, 1, 1], num_classes=3),
        "right": drawn(Narrow, 1, block=BasicBlock, layers=[1, 1, 1, 1], num_classes=3),
    }


@pytest.fixture(scope="module")
def models(nets):
    sides = {name: Preprocessing(side, side, (0.5,) * 3, (0.25,) * 3) for name, side in SIDES.items()}
    return {name: model_of(net, preprocessing=sides[name]) for name, net in nets.items()}


def plain(net, preprocessing, rows):
    """Block -> (N, C): the means over positions of what torchvision's modules put out."""
    made = {}
    framed = torch.stack([preprocessing.framed(Image.fromarray(PIXELS[row])) for row in rows])
    with torch.no_grad():
        x = (framed.float() / 255 - 0.5) / 0.25
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        for stage in ("layer1", "layer2", "layer3", "layer4"):
            for number, block in enumerate(getattr(net, stage)):
                x = block(x)
                made[f"{stage}.{number}"] = x.mean((2, 3)).numpy()
    return made


def test_blocks_of_two_networks_are_compared_each_on_its_own_pixels(nets, models):
    found = finish(between_blocks(models["left"], models["right"], images(), Batching(batch=16)))
    x, y = (plain(nets[name], models[name].spec.preprocessing, range(N)) for name in SIDES)
    assert (found.rows, found.columns, found.n_images) == (tuple(x), tuple(y), N)
    assert found.spread.n_batches == 3
    whole = finish(between_blocks(models["left"], None, images(), Batching(batch=16))).values
    np.testing.assert_allclose(np.diag(whole), 1, atol=1e-9)


def test_of_one_batch_it_is_cka_of_all_images(nets, models, monkeypatch):
    monkeypatch.setattr("features.similarity.blocks.with_batch", lambda batching, n_images: batching)
    found = finish(between_blocks(models["left"], models["right"], images(), Batching(batch=N)))
    x, y = (plain(nets[name], models[name].spec.preprocessing, range(N)) for name in SIDES)
    wanted = [[similarity(one, other, "cka") for other in y.values()] for one in x.values()]
    np.testing.assert_allclose(found.values, wanted, atol=1e-3)
    assert found.left.images_digest == "0" * 64
    assert (found.left.model, found.right.model) == (models["left"].spec.name, models["right"].spec.name)


def test_images_that_cannot_be_read_are_left_out_of_both(nets, models, monkeypatch):
    monkeypatch.setattr("features.similarity.blocks.with_batch", lambda batching, n_images: batching)
    found = finish(between_blocks(models["left"], models["right"], images(opener=opened), Batching(batch=N)))
    rows = [row for row in range(N) if row != 7]
    x, y = (plain(nets[name], models[name].spec.preprocessing, rows) for name in SIDES)
    wanted = [[similarity(one, other, "cka") for other in y.values()] for one in x.values()]
    np.testing.assert_allclose(found.values, wanted, atol=1e-3)
    assert (found.n_images, found.right.settings["n_rejected"]) == (N - 1, 1)


def test_no_images_and_too_few_are_refused(models):
    with pytest.raises(DatasetError):
        finish(between_blocks(models["left"], None, replace(images(), ids=())))
    with pytest.raises(FeatureError, match="got 3"):
        finish(between_blocks(models["left"], None, images(3)))


def test_a_network_that_puts_out_nan_is_refused_with_the_block(nets, models):
    broken = drawn(Narrow, 1, block=BasicBlock, layers=[1, 1, 1, 1], num_classes=3)
    with torch.no_grad():
        broken.layer3[0].bn2.bias[:] = torch.nan
    model = model_of(broken, preprocessing=models["right"].spec.preprocessing)
    with pytest.raises(FeatureError, match=r"layer3.0 of the second network holds NaN"):
        finish(between_blocks(models["left"], model, images()))
