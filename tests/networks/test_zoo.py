import hashlib
import io
import json
from dataclasses import asdict, replace
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torchvision import models

from features import files
from features.errors import FeatureError, WeightsError
from features.networks import card, catalogue, download, filling, zoo
from features.networks.architecture import Architecture, cifar
from features.networks.canonical import build, published_name
from features.networks.card import ModelSpec
from features.networks.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from tests.random_networks import drawn, randomise

RESNET18_FILE = "resnet18-f37072fd.pth"  # as torchvision's documentation spells it


@pytest.fixture(autouse=True)
def torch_home(tmp_path, monkeypatch) -> Path:
    """An empty TORCH_HOME, and a network that never answers."""
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(download, "urlopen", no_network)
    return tmp_path / "torch" / "hub" / "checkpoints"


def no_network(request, timeout):
    raise URLError("Name or service not known")


@pytest.fixture(scope="module")
def own_resnet50_network():
    return build(catalogue.TORCHVISION["resnet50"]).eval()


@pytest.fixture(scope="module")
def own_resnet50(own_resnet50_network, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("own") / "mine.safetensors"
    filling.save(own_resnet50_network, path, {})
    return path


@pytest.fixture(scope="module")
def resnet18():
    return drawn(models.resnet18)


def pixels(side: int = 64, channels: int = 3) -> torch.Tensor:
    return torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(0))


def logits(network, side: int = 64, channels: int = 3) -> torch.Tensor:
    with torch.inference_mode():
        return network(pixels(side, channels))


def stored(path: Path, architecture: Architecture, seed: int = 0):
    """A drawn network, written under torchvision's names."""
    network = randomise(build(architecture), seed).eval()
    state = {published_name(name): tensor for name, tensor in network.state_dict().items()}
    torch.save(state, path)
    return network


# --- weights by name -------------------------------------------------------------------------------------------------


def test_a_file_that_torchvision_left_in_torch_home_is_loaded(torch_home, resnet18):
    torch_home.mkdir(parents=True)
    torch.save(resnet18.state_dict(), torch_home / RESNET18_FILE)
    assert catalogue.spec("resnet18").file == torch_home / RESNET18_FILE
    model = zoo.load("resnet18")
    assert torch.equal(logits(model.network), logits(resnet18))
    assert model.digest == files.digest_of(torch_home / RESNET18_FILE)
    assert model.spec.class_name(0) == "tench"


def test_without_a_network_the_error_names_the_address_and_the_place(torch_home):
    assert catalogue.spec("resnet18").file is None
    with pytest.raises(WeightsError) as caught:
        zoo.load("resnet18")
    text = str(caught.value)
    assert "Name or service not known" in text
    assert f"https://download.pytorch.org/models/{RESNET18_FILE}" in text
    assert str(torch_home / RESNET18_FILE) in text


def test_weights_are_fetched_with_their_checksum_and_only_once(torch_home, resnet18, monkeypatch):
    content = io.BytesIO()
    torch.save(resnet18.state_dict(), content)
    name = f"resnet18-{hashlib.sha256(content.getvalue()).hexdigest()[:8]}.pth"
    spec = replace(catalogue.spec("resnet18"), url=f"https://download.pytorch.org/models/{name}")
    monkeypatch.setattr(
        catalogue, "spec", lambda _: replace(spec, file=torch_home / name if (torch_home / name).exists() else None)
    )
    calls = []

    def answer(request, timeout):
        calls.append(request.full_url)
        return io.BytesIO(content.getvalue())

    monkeypatch.setattr(download, "urlopen", answer)
    for _ in range(2):
        assert torch.equal(logits(zoo.load("resnet18").network), logits(resnet18))
    assert calls == [spec.url]


def test_a_download_with_a_wrong_checksum_is_refused(monkeypatch):
    monkeypatch.setattr(download, "urlopen", lambda request, timeout: io.BytesIO(b"another file"))
    with pytest.raises(WeightsError, match=rf"{RESNET18_FILE} could not be fetched: invalid hash value"):
        zoo.load("resnet18")


def test_a_place_that_cannot_be_written_is_named(torch_home):
    torch_home.parent.parent.write_text("a file in the folder's place")
    with pytest.raises(WeightsError, match=str(torch_home / RESNET18_FILE)):
        zoo.load("resnet18")


def test_another_network_under_torchvisions_name_is_refused(torch_home):
    torch_home.mkdir(parents=True)
    stored(torch_home / RESNET18_FILE, cifar(8))
    with pytest.raises(WeightsError, match="of another network"):
        zoo.load("resnet18")


def test_a_name_without_weights_says_what_to_do():
    with pytest.raises(WeightsError, match=r"resnet20-cifar has no weights.*--weights FILE.*features train"):
        zoo.load("resnet20-cifar")


# --- weights from a file ---------------------------------------------------------------------------------------------


def test_a_file_of_a_known_trunk_is_recognised(resnet18, tmp_path):
    torch.save(resnet18.state_dict(), tmp_path / "mine.pth")
    model = zoo.load(weights=tmp_path / "mine.pth")
    assert torch.equal(logits(model.network), logits(resnet18))
    assert model.spec.name == "mine"
    assert model.spec.family == "ResNet"
    assert model.spec.preprocessing == catalogue.IMAGENET_PREPROCESSING
    assert model.spec.file == tmp_path / "mine.pth"


def test_a_file_of_an_unknown_trunk_is_read_all_the_same(tmp_path):
    shape = Architecture("basic", (1, 3), (8, 8), (8, 8), "imagenet", 8, classes=2)
    network = stored(tmp_path / "odd.pth", shape)
    model = zoo.load(weights=tmp_path / "odd.pth")
    assert "read from the file" in model.spec.family
    assert model.spec.architecture == shape
    assert model.spec.class_name(1) == "1"
    assert torch.equal(logits(model.network), logits(network))


@pytest.mark.parametrize(("channels", "side"), [(1, 32), (3, 32)])
def test_a_cifar_stem_is_shown_small_images_of_its_number_of_channels(channels, side, tmp_path):
    network = stored(tmp_path / "small.pth", cifar(8, in_channels=channels))
    model = zoo.load(weights=tmp_path / "small.pth")
    assert model.spec.preprocessing.crop == side
    assert model.spec.preprocessing.channels == channels
    assert torch.equal(logits(model.network, side, channels), logits(network, side, channels))


@pytest.mark.parametrize("channels", [2, 4, 12])
def test_a_network_of_any_number_of_channels_is_loaded_and_its_pixels_are_assumed(channels, tmp_path):
    network = stored(tmp_path / "satellite.pth", cifar(8, in_channels=channels))
    model = zoo.load(weights=tmp_path / "satellite.pth")
    assert model.spec.preprocessing.channels == channels
    assert any(f"{channels} channels scaled to [0, 1]" in guess for guess in model.spec.assumed)
    x = torch.randn(2, channels, 32, 32)
    with torch.inference_mode():
        assert torch.equal(model.network(x), network(x))


def test_a_file_with_another_number_of_classes_keeps_the_named_networks_preprocessing_and_not_its_classes(tmp_path):
    shape = replace(catalogue.TORCHVISION["resnet18"], classes=7)
    network = stored(tmp_path / "tuned.pth", shape)
    model = zoo.load("resnet18", tmp_path / "tuned.pth")
    assert model.spec.architecture == shape
    assert model.spec.preprocessing == catalogue.spec("resnet18").preprocessing
    assert model.spec.class_names == ()
    assert torch.equal(logits(model.network), logits(network))


def test_a_file_with_the_same_number_of_classes_keeps_the_named_networks_classes(resnet18, tmp_path):
    torch.save(resnet18.state_dict(), tmp_path / "mine.pth")
    assert zoo.load("resnet18", tmp_path / "mine.pth").spec.class_name(1) == "goldfish"


def test_a_file_of_another_network_than_the_named_one_is_refused(tmp_path):
    stored(tmp_path / "mine.pth", cifar(8))
    with pytest.raises(WeightsError, match=r"of another network: blocks is \(1, 1, 1\), not \(2, 2, 2, 2\)"):
        zoo.load("resnet18", tmp_path / "mine.pth")


@pytest.mark.parametrize("classes", [5, 0])
def test_a_network_that_timm_builds_may_have_other_classes(classes, tmp_path):
    import timm

    source = randomise(timm.create_model("skresnet18", num_classes=classes)).eval()
    state = {f"model.{name}": value for name, value in source.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "tuned.ckpt")
    model = zoo.load("timm:skresnet18", tmp_path / "tuned.ckpt")
    assert model.spec.architecture.classes == (classes or None)
    assert model.spec.class_names == ()
    with torch.inference_mode():
        torch.testing.assert_close(logits(model.network), source(pixels()), rtol=1e-4, atol=1e-4)


def test_of_several_networks_that_timm_builds_the_one_that_is_no_copy_is_taken_and_told(tmp_path):
    import timm

    source = randomise(timm.create_model("skresnet18", num_classes=3)).eval().state_dict()
    copy = {name: torch.zeros_like(value) for name, value in source.items()}
    gate = {"gate.weight": torch.ones(2, 2)}
    torch.save({"ema": copy, "model": source | gate}, tmp_path / "two.pth")
    model = zoo.load("timm:skresnet18", tmp_path / "two.pth")
    said = " ".join(model.spec.assumed)
    assert torch.equal(model.network.state_dict()["head.fc.weight"], source["fc.weight"])
    assert "of the networks 'model', 'ema' that at 'model' (--part)" in said
    assert "gate beside the network as no part of it" in said
    other = zoo.load("timm:skresnet18?part=ema", tmp_path / "two.pth")
    assert not other.network.state_dict()["head.fc.weight"].any()
    assert "of the networks" not in " ".join(other.spec.assumed)


def test_a_plain_network_is_loaded_as_one_when_it_is_named_so(tmp_path):
    network = stored(tmp_path / "plain.pth", cifar(8, "none"))
    model = zoo.load("plain8-cifar", tmp_path / "plain.pth")
    assert model.spec.architecture.shortcut == "none"
    assert torch.equal(logits(model.network, 32), logits(network, 32))


def test_a_network_without_a_head_is_loaded_and_says_so_when_logits_are_needed(tmp_path, tiny_model):
    stored(tmp_path / "trunk.pth", cifar(8, classes=None))
    with pytest.raises(FeatureError, match="trunk has no classifier, only features"):
        zoo.load(weights=tmp_path / "trunk.pth").need_classifier()
    tiny_model.need_classifier()


# --- class names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["a\nb\nc", "a\nb\nc\n", "a\r\nb\r\nc\r\n", " a \n\n b\n\nc"], ids=["unix", "newline", "dos", "blanks"]
)
def test_class_names_are_read_one_a_line(text, tmp_path):
    (tmp_path / "names.txt").write_bytes(text.encode())
    assert zoo.read_classes(tmp_path / "names.txt", 3) == ("a", "b", "c")


def test_class_names_are_given_to_the_network(tmp_path):
    stored(tmp_path / "net.pth", cifar(8, classes=2))
    (tmp_path / "names.txt").write_text("Hase\nIgel, männlich", encoding="utf-8")
    spec = zoo.load(weights=tmp_path / "net.pth", classes=tmp_path / "names.txt").spec
    assert [spec.class_name(index) for index in (0, 1)] == ["Hase", "Igel, männlich"]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_names_than_classes_is_refused(count, tmp_path):
    (tmp_path / "names.txt").write_text("name\n" * count)
    with pytest.raises(WeightsError, match=rf"names\.txt names {count} classes, but the network has 2"):
        zoo.read_classes(tmp_path / "names.txt", 2)


def test_one_logit_may_have_the_names_of_both_of_its_classes(tmp_path):
    (tmp_path / "names.txt").write_text("healthy\nill")
    assert zoo.read_classes(tmp_path / "names.txt", 1) == ("healthy", "ill")
    stored(tmp_path / "net.pth", cifar(8, classes=1))
    assert zoo.load(weights=tmp_path / "net.pth", classes=tmp_path / "names.txt").spec.classes == ("healthy", "ill")


def test_class_names_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"absent\.txt cannot be read: .*No such file"):
        zoo.read_classes(tmp_path / "absent.txt", 2)
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WeightsError, match=r"binary\.txt cannot be read"):
        zoo.read_classes(tmp_path / "binary.txt", 2)


# --- files that describe themselves ----------------------------------------------------------------------------------

GREY = Preprocessing(28, 28, (0.286,), (0.353,))
OWN = ModelSpec("mine", "plain CIFAR network", cifar(8, "none", 1, 2), GREY, ("a", "b"), "my images", "CC0-1.0")


def saved(folder: Path, entry: ModelSpec = OWN, **changes: str) -> Path:
    network = randomise(build(entry.architecture)).eval()
    path = folder / f"{entry.name}.safetensors"
    filling.save(network, path, card.describe(entry) | changes)
    return path


@pytest.mark.parametrize(
    "entry",
    [
        OWN,
        replace(OWN, class_names=()),
        replace(OWN, architecture=cifar(14, "projection", 1, None), class_names=()),
        ModelSpec(
            "r", "ResNeXt", cifar(8), Preprocessing(232, 224, IMAGENET_MEAN, IMAGENET_STD, "bicubic"), (), "", ""
        ),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_what_a_file_says_of_itself_is_read_back_whole(entry, named, tmp_path):
    path = saved(tmp_path, entry)
    wanted = replace(entry, file=path)
    assert zoo.load(weights=path).spec == wanted


def test_a_file_that_describes_itself_may_be_named_as_what_it_is(tmp_path):
    entry = replace(OWN, architecture=cifar(8), preprocessing=catalogue.CIFAR_PREPROCESSING, class_names=())
    assert zoo.load("resnet8-cifar", saved(tmp_path, entry)).spec.source == "my images"


def test_a_plain_network_that_describes_itself_may_not_be_named_as_a_residual_one(tmp_path):
    entry = replace(OWN, architecture=cifar(8, "none"), preprocessing=catalogue.CIFAR_PREPROCESSING, class_names=())
    with pytest.raises(WeightsError, match="shortcut is none, not padding"):
        zoo.load("resnet8-cifar", saved(tmp_path, entry))


def stated(**changes: object) -> str:
    return json.dumps(asdict(OWN.architecture) | changes)


def seen(**changes: object) -> str:
    return json.dumps(asdict(GREY) | changes)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"architecture": "resnet20"}, "architecture: JSON is malformed"),
        ({"architecture": "{}"}, "architecture: .*missing required field `block`"),
        ({"architecture": "[]"}, "architecture: Expected `object`, got `array`"),
        ({"architecture": "[" * 100_000 + "]" * 100_000}, "architecture: Expected `object`"),
        ({"architecture": stated(stem={"a": [1]})}, "Expected `str`, got `object`"),
        ({"architecture": stated(colour="red")}, "unknown field `colour`"),
        ({"architecture": stated(blocks=[2, 2, 2])}, r"do not fit a network of basic blocks 2-2-2.* missing"),
        ({"architecture": stated(blocks="many")}, "Expected `array`, got `str`"),
        ({"architecture": stated(blocks=[1.0, 1, 1])}, "Expected `int`, got `float`"),
        ({"architecture": stated(blocks=[[1], 1, 1])}, "Expected `int`, got `array`"),
        ({"architecture": stated(groups=True)}, "Expected `int`, got `bool`"),
        ({"architecture": stated(classes="2")}, "got `str`"),
        ({"architecture": stated(classes=-2), "classes": "[]"}, "classes was -2"),
        ({"architecture": stated(classes=10**30), "classes": "[]"}, "Wanted a whole number from 1 to 1,048,576"),
        ({"architecture": stated(classes=3)}, "2 class names for 3 classes"),
        ({"preprocessing": "null"}, "preprocessing: Expected `object`, got `null`"),
        ({"preprocessing": json.dumps(asdict(catalogue.CIFAR_PREPROCESSING))}, "3 means for 1 channels"),
        ({"preprocessing": seen(std=[0])}, "stds above 0"),
        ({"preprocessing": seen(std=[1e-300])}, "stds above 0"),
        ({"preprocessing": seen(std=[1e300 * 1e300])}, "preprocessing: JSON is malformed"),
        ({"preprocessing": seen(mean=["x"])}, "Expected `float`, got `str`"),
        ({"preprocessing": seen(crop="all")}, "Expected `int`, got `str`"),
        ({"preprocessing": seen(crop=True)}, "Expected `int`, got `bool`"),
        ({"preprocessing": seen(crop=28.5)}, "Expected `int`, got `float`"),
        ({"preprocessing": seen(crop=-1)}, "Wanted sides from 1 to 1024 px"),
        ({"preprocessing": seen(resize=4096, crop=4096)}, "Wanted sides from 1 to 1024 px"),
        ({"preprocessing": seen(interpolation=["bilinear"])}, "Expected `str`, got `array`"),
        ({"classes": json.dumps(["only one"])}, "1 class names for 2 classes"),
        ({"classes": "7"}, "classes: Expected `array`, got `int`"),
        ({"classes": json.dumps("ab")}, "classes: Expected `array`, got `str`"),
        ({"classes": json.dumps(["a", None])}, "classes: Expected `str`, got `null`"),
        ({"classes": json.dumps(["a", "b" * 1_000])}, "classes: Expected `str` of length <= 200"),
        ({"name": "n" * 1_000}, "name: Expected `str` of length <= 200"),
        ({"name": "a\x1b[31mred"}, "name: Expected printable letters alone"),
        ({"source": "two\nlines"}, "source: Expected printable letters alone"),
    ],
)
def test_a_file_that_describes_itself_wrongly_is_refused_by_name_in_a_sentence(changes, text, tmp_path):
    with pytest.raises(WeightsError, match=rf"^mine\.safetensors.*{text}") as caught:
        zoo.load(weights=saved(tmp_path, **changes))
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("metadata", [{}, {"format": "pt"}, {"architecture": "resnet18"}])
def test_metadata_of_other_programs_is_passed_over(metadata, tmp_path):
    network = randomise(build(cifar(8))).eval()
    filling.save(network, tmp_path / "theirs.safetensors", metadata)
    assert zoo.load(weights=tmp_path / "theirs.safetensors").spec.architecture == cifar(8)


def test_bundled_networks_stand_first_and_are_loaded_by_name(tmp_path, monkeypatch):
    path = saved(tmp_path)
    monkeypatch.setattr(catalogue, "BUNDLED", tmp_path)
    monkeypatch.setattr(catalogue, "DEFAULT", "mine")
    catalogue._bundled.cache_clear()
    try:
        assert catalogue.entries()[0] == replace(OWN, file=path)
        assert torch.equal(logits(zoo.load("mine").network, 28, 1), logits(zoo.load(weights=path).network, 28, 1))
        assert zoo.load().spec.name == "mine"
    finally:
        catalogue._bundled.cache_clear()


@pytest.mark.skipif(not (catalogue.BUNDLED / f"{catalogue.DEFAULT}.safetensors").is_file(), reason="not trained yet")
def test_the_bundled_default_is_loaded_without_a_network():
    model = zoo.load()
    assert model.spec.name == catalogue.DEFAULT
    assert len(model.spec.class_names) == model.spec.architecture.classes == 10


def test_a_card_beside_the_weights_is_read_if_it_speaks_of_them(tmp_path):
    path = saved(tmp_path)
    entry = zoo.load(weights=path).spec
    assert card.read_card(entry) is None
    written = {"weights_sha256": files.digest_of(path), "test": {"accuracy": 0.5}}
    path.with_suffix(".json").write_text(json.dumps(written))
    assert card.read_card(entry) == written


@pytest.mark.parametrize("text", ["", "[1, 2]", "{}", "\xff", '{"weights_sha256": "of other weights"}'])
def test_other_json_beside_the_weights_is_no_card(text, tmp_path):
    path = saved(tmp_path)
    path.with_suffix(".json").write_bytes(text.encode("latin-1"))
    assert card.read_card(zoo.load(weights=path).spec) is None


def test_a_network_without_weights_has_no_card(tiny_model):
    assert card.read_card(tiny_model.spec) is None


# --- readings of one file --------------------------------------------------------------------------------------------


def without_description(folder: Path, architecture: Architecture) -> Path:
    filling.save(randomise(build(architecture)), folder / "bare.safetensors", {})
    return folder / "bare.safetensors"


def test_what_a_file_does_not_say_is_named_as_assumed(tmp_path):
    guesses = zoo.load(weights=without_description(tmp_path, cifar(8))).spec.assumed
    assert "--shortcut-padding end" in guesses[0]  # what changes what the network computes is told first
    assert "mean 0.485 0.456 0.406" in guesses[1]
    assert "option A" in guesses[2]


def test_of_a_named_network_the_input_is_assumed_and_of_one_that_describes_itself_nothing(tmp_path):
    padding, guess = zoo.load("resnet8-cifar", without_description(tmp_path, cifar(8))).spec.assumed
    assert guess.startswith("the input of resnet8-cifar, shorter side to 32 px")
    assert "--shortcut-padding" in padding
    assert not zoo.load(weights=saved(tmp_path)).spec.assumed


@pytest.mark.parametrize(
    ("name", "resize", "said"),
    [
        (None, 256, "the input, shorter side to 256 px"),
        ("resnet50", 256, "the input, shorter side to 256 px"),  # which of torchvision's two it does not say
        ("resnet50-v1", 256, "the input of resnet50-v1, shorter side to 256 px"),
        ("resnet50-v2", 232, "the input of resnet50-v2, shorter side to 232 px"),
    ],
)
def test_own_weights_get_the_usual_preprocessing_unless_a_set_of_weights_is_named(name, resize, said, own_resnet50):
    spec = zoo.load(name, own_resnet50).spec
    assert (spec.preprocessing.resize, spec.preprocessing.crop) == (resize, 224)
    assert any(guess.startswith(said) for guess in spec.assumed)
    assert catalogue.spec("resnet50").preprocessing.resize == 232  # torchvision's own best weights keep theirs


def test_own_weights_that_tell_their_preprocessing_get_it_whatever_they_are_named(tmp_path, own_resnet50_network):
    bicubic = Preprocessing(240, 224, IMAGENET_MEAN, IMAGENET_STD, "bicubic")
    entry = ModelSpec("told", "ResNet", catalogue.TORCHVISION["resnet50"], bicubic, (), "mine", "")
    filling.save(own_resnet50_network, tmp_path / "told.safetensors", card.describe(entry))
    spec = zoo.load("resnet50", tmp_path / "told.safetensors").spec
    assert spec.preprocessing == bicubic
    assert not spec.assumed


def test_assumed_grey_statistics_are_named_too(tmp_path):
    _, pixels, *_ = zoo.load("resnet8-cifar", without_description(tmp_path, cifar(8, in_channels=1))).spec.assumed
    assert "grey" in pixels
    assert "mean 0.449" in pixels


def test_two_readings_of_one_file_have_two_keys_and_one_digest(tmp_path):
    path = without_description(tmp_path, cifar(8))
    one, other = zoo.load("resnet8-cifar", path), zoo.load("plain8-cifar", path)
    assert one.digest == other.digest
    assert one.key != other.key
    assert one.key == zoo.load("resnet8-cifar", path).key
