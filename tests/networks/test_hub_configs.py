"""Folders that timm and transformers save are read as these libraries read them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from features.errors import WeightsError
from features.networks import hub_configs, memory, zoo
from features.networks.architecture import Architecture
from features.networks.canonical import build, published_name
from features.networks.preprocessing import Preprocessing
from tests.random_networks import randomise

WIDTHS = {"depths": [1, 1], "hidden_sizes": [32, 64], "embedding_size": 16, "num_labels": 3}
BASIC, BOTTLENECK = WIDTHS | {"layer_type": "basic"}, WIDTHS | {"layer_type": "bottleneck"}
CONVNEXT, VIT, CLIP = "ConvNextImageProcessorPil", "ViTImageProcessorPil", "CLIPImageProcessorPil"


@pytest.fixture(scope="module")
def pictures():
    """A wide one and a tall one, whose margins are odd."""
    noise = np.random.default_rng(0)
    return [Image.fromarray(noise.integers(0, 256, (*size, 3), np.uint8)) for size in ((60, 91), (87, 64))]


def shown(model, pixels):
    with torch.inference_mode():
        return dict(model.network.walk(pixels))["logits"]


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers")


def saved_by_transformers(transformers, folder, settings, processor=None, **processing):
    """Its own network, with statistics that are not the initial ones, in a folder that it writes itself."""
    network = transformers.ResNetForImageClassification(transformers.ResNetConfig(**settings))
    randomise(network).eval().save_pretrained(folder)
    if processor is not None:
        getattr(transformers, processor)(**processing).save_pretrained(folder)
    return network


@pytest.mark.parametrize(
    "settings",
    [
        BASIC,
        BASIC | {"downsample_in_first_stage": True, "downsample_in_bottleneck": True},
        BOTTLENECK,
        BOTTLENECK | {"downsample_in_bottleneck": True},
        BOTTLENECK | {"downsample_in_first_stage": True},
        BOTTLENECK | {"num_channels": 4},
    ],
    ids=lambda settings: " ".join(str(value) for value in settings.values() if not isinstance(value, list)),
)
def test_a_folder_of_hugging_faces_has_its_logits_and_nothing_of_it_is_assumed(transformers, settings, tmp_path):
    network = saved_by_transformers(transformers, tmp_path, settings)
    pixels = torch.randn(2, settings.get("num_channels", 3), 64, 64)
    model = zoo.load(weights=tmp_path)  # the folder
    with torch.inference_mode():
        np.testing.assert_array_equal(shown(model, pixels), network(pixels).logits)
    assert not any("--stride" in guess or "--stem" in guess or "head" in guess for guess in model.spec.assumed)
    assert model.spec.name == tmp_path.name


@pytest.mark.parametrize(
    ("processor", "processing"),
    [
        pytest.param(CONVNEXT, {"size": {"shortest_edge": 50}}, id="a part of the shorter side"),
        pytest.param(CONVNEXT, {"size": {"shortest_edge": 50}, "crop_pct": 0.9, "resample": 2}, id="another part"),
        pytest.param(CONVNEXT, {"size": {"shortest_edge": 384}}, id="squeezed from 384 px on"),
        pytest.param(VIT, {"size": {"height": 48, "width": 48}}, id="squeezed"),
        pytest.param(CLIP, {"size": {"shortest_edge": 53}, "crop_size": {"height": 48, "width": 48}}, id="cut"),
        pytest.param(CLIP, {"size": {"shortest_edge": 53}, "crop_size": 48, "resample": 0}, id="nearest"),
        pytest.param(CONVNEXT, {"size": {"shortest_edge": 50}, "do_normalize": False}, id="not normalised"),
        pytest.param(CONVNEXT, {"size": {"shortest_edge": 50}, "rescale_factor": 1 / 127.5, "image_mean": [1.0] * 3,
                                "image_std": [1.0, 2.0, 3.0]}, id="rescaled from -1 to 1"),
    ],
)  # fmt: skip
def test_pictures_become_what_hugging_faces_processor_makes_of_them(
    transformers, processor, processing, pictures, tmp_path
):
    saved_by_transformers(transformers, tmp_path, BASIC, processor, **processing)
    theirs = getattr(transformers, processor).from_pretrained(tmp_path)(pictures, return_tensors="pt")["pixel_values"]
    model = zoo.load(weights=tmp_path)
    ours = torch.stack([model.spec.preprocessing(picture) for picture in pictures])
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert not any("--mean" in guess or "--crop" in guess for guess in model.spec.assumed)


def test_a_frame_that_is_no_square_of_one_size_is_assumed_and_mean_and_deviation_are_not(transformers, tmp_path):
    saved_by_transformers(transformers, tmp_path, BASIC, CONVNEXT, do_resize=False, image_mean=[0.1, 0.2, 0.3])
    spec = zoo.load(weights=tmp_path).spec
    assert spec.preprocessing.mean == (0.1, 0.2, 0.3)
    assert any(guess.startswith("the size of the input") for guess in spec.assumed)
    assert not any("--mean" in guess for guess in spec.assumed)


def test_labels_and_what_logits_say_are_hugging_faces(transformers, tmp_path):
    labels = {0: "cat", 1: "dog", 2: "eel"}
    settings = BASIC | {"id2label": labels, "problem_type": "multi_label_classification"}
    saved_by_transformers(transformers, tmp_path, settings)
    spec = zoo.load(weights=tmp_path).spec
    assert (spec.class_names, spec.outputs) == (("cat", "dog", "eel"), "multilabel")


def test_labels_that_nobody_gave_are_no_names(transformers, tmp_path):
    saved_by_transformers(transformers, tmp_path, BASIC)
    assert zoo.load(weights=tmp_path).spec.class_names == ()


def test_an_activation_that_only_sums_have_is_refused_and_read_from_memory(transformers, tmp_path):
    network = saved_by_transformers(transformers, tmp_path, BASIC | {"hidden_act": "silu"})
    with pytest.raises(WeightsError, match=r"hidden_act='silu'.* features\.networks\.memory\.model_of"):
        zoo.load(weights=tmp_path)
    pixels = torch.randn(1, 3, 64, 64)
    model = memory.model_of(network, Preprocessing(64, 64, (0.5,) * 3, (0.5,) * 3))
    with torch.inference_mode():
        np.testing.assert_array_equal(shown(model, pixels), network(pixels).logits)


def test_a_number_is_no_class(transformers, tmp_path):
    network = saved_by_transformers(transformers, tmp_path, BASIC | {"num_labels": 1, "problem_type": "regression"})
    with pytest.raises(WeightsError, match="Save it without its head"):
        zoo.load(weights=tmp_path)
    network.resnet.save_pretrained(tmp_path / "body")
    assert zoo.load(weights=tmp_path / "body").spec.architecture.classes is None


def test_a_config_of_another_network_says_nothing(tmp_path):
    small = Architecture("basic", (1, 1), (8, 16), (8, 16), "imagenet", 8, classes=3)
    state = {published_name(name): tensor for name, tensor in build(small).state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "resnet", "depths": [9], "hidden_act": "silu"}))
    assert zoo.load(weights=tmp_path).spec.architecture.activation == "relu"


# --- timm -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def timm():
    return pytest.importorskip("timm")


def saved_by_timm(timm, folder, name, config=None, data=None, **arguments):
    network = randomise(timm.create_model(name, pretrained=False, **{"num_classes": 3} | arguments)).eval()
    timm.models.save_for_hf(network, str(folder), dict(config or {}), safe_serialization="both", data_config=data)
    return network


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("resnet18", {}),
        ("resnet18", {"act_layer": "silu"}),
        ("resnet18", {"norm_layer": "groupnorm"}),
        ("resnet18", {"block_args": {"attn_layer": "se"}}),
        ("resnet18", {"drop_rate": 0.5, "drop_path_rate": 0.1}),
        ("resnet26", {"avg_down": True, "stem_type": "deep", "stem_width": 32}),
        ("resnet26", {"output_stride": 8}),
        ("resnet26", {"cardinality": 2, "base_width": 32}),
        ("resnetblur18", {}),
        ("skresnet18", {}),
        ("resnetv2_50", {"output_stride": 16}),
    ],
    ids=str,
)
def test_a_folder_of_timms_has_its_logits_with_whatever_arguments_it_was_made(timm, name, arguments, tmp_path):
    network = saved_by_timm(timm, tmp_path, name, **arguments)
    pixels = torch.randn(1, 3, 96, 96)
    for weights in (tmp_path, tmp_path / "pytorch_model.bin"):
        with torch.inference_mode():
            np.testing.assert_allclose(shown(zoo.load(weights=weights), pixels), network(pixels), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "data",
    [
        {"input_size": (3, 48, 48), "crop_pct": 0.9, "interpolation": "bilinear", "mean": (0.1, 0.2, 0.3)},
        {"input_size": (3, 48, 48), "crop_pct": 1.0, "crop_mode": "squash"},
        {"input_size": (3, 48, 48), "crop_pct": 0.8, "crop_mode": "squash", "interpolation": "nearest"},
        {"test_input_size": (3, 56, 56), "test_crop_pct": 0.95, "interpolation": "lanczos"},
    ],
    ids=lambda data: " ".join(map(str, data.values())),
)
def test_pictures_become_what_timms_transform_makes_of_them(timm, data, pictures, tmp_path):
    saved_by_timm(timm, tmp_path, "resnet18", data=data)
    theirs = timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    settings = timm.data.resolve_model_data_config(theirs, use_test_size=True)
    transform = timm.data.create_transform(**settings, is_training=False)
    ours = zoo.load(weights=tmp_path).spec.preprocessing
    for picture in pictures:
        np.testing.assert_array_equal(ours(picture), transform(picture))


def test_a_frame_that_is_not_cut_here_leaves_timms_mean(timm, tmp_path):
    saved_by_timm(timm, tmp_path, "resnet18", data={"crop_mode": "border", "mean": (0.1, 0.2, 0.3)})
    spec = zoo.load(weights=tmp_path).spec
    assert spec.preprocessing.mean == (0.1, 0.2, 0.3)
    assert any(guess.startswith("the size of the input") for guess in spec.assumed)


@pytest.mark.parametrize("names", [["cat", "dog", "eel"], {"0": "cat", "1": "dog", "2": "eel"}], ids=["list", "dict"])
def test_labels_are_timms(timm, names, tmp_path):
    saved_by_timm(timm, tmp_path, "resnet18", {"label_names": names})
    spec = zoo.load(weights=tmp_path).spec
    assert spec.class_names == ("cat", "dog", "eel")
    assert not any("no head" in guess for guess in spec.assumed)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"global_pool": "max", "replace_stem_pool": True}, "timm makes it as resnet18 with replace_stem_pool=True"),
        ({"replace_stem_pool": True}, "timm makes it as resnet18 with replace_stem_pool=True"),
        ({"block_reduce_first": 2}, "memory.model_of"),
    ],
    ids=str,
)
def test_what_no_file_is_read_as_is_refused(timm, arguments, said, tmp_path):
    name = "resnet18" if "block_reduce_first" not in arguments else "resnet26"
    saved_by_timm(timm, tmp_path, name, **arguments)
    with pytest.raises(WeightsError, match=said):
        zoo.load(weights=tmp_path)


@pytest.mark.parametrize(
    "arguments", [{"stem_width": 10**9}, {"pretrained": True}, {"checkpoint_path": "x"}, {"act_layer": [1]}], ids=str
)
def test_arguments_that_timm_should_not_be_asked_about_are_not_handed_on(timm, arguments, tmp_path, monkeypatch):
    saved_by_timm(timm, tmp_path, "resnet18")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_args": arguments}))
    asked = []
    from features.networks.adapters import builders

    plain = builders.make
    monkeypatch.setattr(builders, "make", lambda *a, **b: (asked.append(b.get("arguments")), plain(*a, **b))[1])
    with pytest.raises(WeightsError, match="timm makes it as resnet18 with"):
        zoo.load(weights=tmp_path)
    assert not any(asked)


def test_the_head_of_a_pool_that_is_no_mean_can_be_left_away(timm, tmp_path):
    network = saved_by_timm(timm, tmp_path, "resnet18", global_pool="max", num_classes=0)
    pixels = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        wanted = nn.functional.adaptive_avg_pool2d(network.forward_features(pixels), 1).flatten(1)
    np.testing.assert_allclose(dict(zoo.load(weights=tmp_path).network.walk(pixels))["logits"], wanted, rtol=1e-5)


def test_a_config_that_names_a_network_of_a_thousand_classes_does_not_name_them(timm, tmp_path):
    saved_by_timm(timm, tmp_path, "skresnet18", num_classes=1000)
    assert zoo.load(weights=tmp_path).spec.class_names == ()


def test_a_folder_without_weights_is_refused(tmp_path):
    assert hub_configs.weights_in(tmp_path) is None
    with pytest.raises(WeightsError, match="is a folder"):
        zoo.load(weights=tmp_path)
