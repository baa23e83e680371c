"""What files of weights, and files beside them, say of their networks in words."""

import json

import pytest
import torch
from safetensors.torch import save_file

from features.networks import catalogue, filling, zoo
from features.networks.architecture import Architecture
from features.networks.canonical import build, published_name
from tests.random_networks import randomise

SMALL = Architecture("bottleneck", (1, 1, 1, 1), (4, 4, 8, 8), (16, 16, 32, 32), "imagenet", 8, classes=3)
CONFIG = {"model_type": "resnet", "depths": [1, 1, 1, 1], "id2label": {"0": "cat", "1": "dog", "2": "eel"}}
PROCESSOR = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25], "size": {"shortest_edge": 224},
             "crop_pct": 0.875, "resample": 3}  # fmt: skip


@pytest.fixture(scope="module")
def state():
    network = randomise(build(SMALL)).eval()
    return {published_name(name): tensor for name, tensor in network.state_dict().items()}


def spec_of(folder, state, name="model.safetensors", **files):
    save_file(state, folder / name)
    for file, content in files.items():
        (folder / f"{file}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return zoo.load(weights=folder / name).spec


def test_without_it_the_same_weights_are_taken_as_usual_and_that_is_told(state, tmp_path):
    spec = spec_of(tmp_path, state)
    assert (spec.architecture.stride_at, spec.class_names) == ("middle", ())
    assert any("--stride-at" in guess for guess in spec.assumed)
    assert any("--mean" in guess for guess in spec.assumed)


UNFIT = ["no JSON", "[1]", {"model_type": "bert"}, CONFIG | {"id2label": {"0": "cat"}}, CONFIG | {"id2label": "cats"},
         {"pretrained_cfg": 3, "architecture": 4}]  # fmt: skip


@pytest.mark.parametrize("config", UNFIT)
def test_a_config_that_does_not_fit_says_nothing_and_is_no_reason_to_refuse(config, state, tmp_path):
    assert spec_of(tmp_path, state, config=config).class_names == ()


def test_a_config_of_another_file_in_the_folder_is_not_read(state, tmp_path):
    assert spec_of(tmp_path, state, "mine.safetensors", config=CONFIG).class_names == ()


def test_hyper_parameters_say_classes_and_pixels(state, tmp_path):
    path = tmp_path / "last.ckpt"
    torch.save(
        {
            "state_dict": state,
            "hyper_parameters": {"arch": "resnet50", "class_names": ["cat", "dog", "eel"], "lr": 0.1,
                                 "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]},
        },
        path,
    )  # fmt: skip
    spec = zoo.load(weights=path).spec
    assert spec.class_names == ("cat", "dog", "eel")
    assert spec.preprocessing.mean == pytest.approx((0.485, 0.456, 0.406))
    assert spec.preprocessing.std == pytest.approx((0.229, 0.224, 0.225))


@pytest.mark.parametrize(
    ("mean", "std", "wanted", "order"),
    [
        pytest.param([103.53, 116.28, 123.675], [1.0] * 3, (0.406, 0.456, 0.485), "bgr", id="Caffe's"),
        pytest.param([123.675, 116.28, 103.53], [58.395, 57.12, 57.375], (0.485, 0.456, 0.406), "rgb", id="bytes"),
        pytest.param([0, 0, 0], [255, 255, 255], (0, 0, 0), "rgb", id="bytes-scaled-to-1"),
    ],
)
def test_pixels_that_a_script_kept_are_taken_in_their_own_units_and_order(mean, std, wanted, order, state, tmp_path):
    path = tmp_path / "net.pt"
    torch.save({"model": state, "args": {"mean": mean, "std": std}}, path)
    spec = zoo.load(weights=path).spec
    assert spec.preprocessing.mean == pytest.approx(wanted, abs=1e-3)
    assert spec.preprocessing.std == pytest.approx([value / 255 for value in std])
    assert spec.preprocessing.channel_order == order
    assert not any("--mean" in guess for guess in spec.assumed)
    assert any("--channel-order" in guess for guess in spec.assumed) == (order == "rgb")


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        pytest.param([1.5, -3.0, 0.2], [9.0, 2.0, 1.0], id="of-other-numbers"),
        pytest.param([0.0] * 3, [1.0] * 3, id="of-pixels-of-no-known-range"),
    ],
)
def test_a_mean_that_says_nothing_of_pixels_leaves_them_assumed(mean, std, state, tmp_path):
    path = tmp_path / "net.pt"
    torch.save({"model": state, "target": {"mean": mean, "std": std}}, path)
    spec = zoo.load(weights=path).spec
    assert spec.preprocessing == zoo.load(weights=_bare(state, tmp_path)).spec.preprocessing
    assert any("--mean" in guess for guess in spec.assumed)


def test_a_mean_without_a_deviation_beside_it_says_nothing_of_pixels(state, tmp_path):
    path = tmp_path / "net.pt"
    torch.save({"model": state, "erasing": {"mean": [0.1, 0.2, 0.3]}, "noise": {"std": [0.1, 0.1, 0.1]}}, path)
    spec = zoo.load(weights=path).spec
    assert spec.preprocessing == zoo.load(weights=_bare(state, tmp_path)).spec.preprocessing


def test_a_name_of_he_et_als_networks_does_not_say_where_option_a_has_its_zeros(tmp_path):
    network = build(catalogue.spec("resnet20-cifar").architecture)
    path = _bare({published_name(name): tensor for name, tensor in network.state_dict().items()}, tmp_path)
    assert any("--shortcut-padding" in guess for guess in zoo.load("resnet20-cifar", path).spec.assumed)


def _bare(state, folder):
    torch.save(state, folder / "bare.pt")
    return folder / "bare.pt"


def test_numbers_of_classes_say_their_order(state, tmp_path):
    path = tmp_path / "net.pt"
    torch.save({"model": state, "class_to_idx": {"dog": 1, "eel": 2, "cat": 0}}, path)
    assert zoo.load(weights=path).spec.class_names == ("cat", "dog", "eel")


def test_a_name_that_a_script_kept_settles_no_choice(state, tmp_path):
    path = tmp_path / "net.pt"
    torch.save({"model": state, "args": {"arch": "resnet50"}}, path)
    assert any("--stride-at" in guess for guess in zoo.load(weights=path).spec.assumed)


def test_a_file_of_our_own_needs_no_word_from_others(state, tmp_path):
    entry = zoo.load("resnet20-fashion")
    from features.networks import card

    filling.save(entry.network, tmp_path / "model.safetensors", card.describe(entry.spec))
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    assert zoo.load(weights=tmp_path / "model.safetensors").spec.class_names == entry.spec.class_names
