"""The catalogue, against torchvision's own lists."""

from dataclasses import replace

import pytest
from torchvision import models

from features.errors import FeatureError
from features.networks import catalogue
from features.networks.architecture import cifar


def test_every_name_in_the_catalogue_is_unique_and_means_its_entry():
    names = [entry.name for entry in catalogue.entries()]
    assert len(set(names)) == len(names)
    for entry in catalogue.entries():
        assert catalogue.spec(entry.name) == entry


@pytest.mark.parametrize("name", catalogue.TORCHVISION)
def test_a_torchvision_name_means_torchvisions_best_weights(name):
    best = models.get_model_weights(name).DEFAULT
    entry = catalogue.spec(name)
    assert entry.url == best.url
    assert entry.class_names == tuple(best.meta["categories"])
    assert len(entry.class_names) == entry.architecture.classes == 1000


@pytest.mark.parametrize(("name", "version"), [("resnet50-v1", "V1"), ("resnet50-v2", "V2"), ("resnet50", "V2")])
def test_one_set_of_weights_can_be_asked_for(name, version):
    assert catalogue.spec(name).url == models.ResNet50_Weights[f"IMAGENET1K_{version}"].url


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("resnet20-cifar", cifar(20)),
        ("resnet56-cifar-b", cifar(56, "projection")),
        ("plain110-cifar", cifar(110, "none")),
        ("resnet1202-cifar", cifar(1202)),
        ("resnet8-cifar", cifar(8)),
    ],
)
def test_cifar_networks_of_every_depth_have_a_name(name, wanted):
    assert catalogue.spec(name).architecture == wanted


@pytest.mark.parametrize("name", ["resnet", "resnet51", "vgg16", "", "resnet20", "plain20-cifar-b", "resnet50-v3"])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(FeatureError):
        catalogue.spec(name)


def test_an_unknown_names_error_says_where_the_names_are():
    with pytest.raises(FeatureError, match=r"no network called 'vgg16'.*features models.*resnet18-v1"):
        catalogue.spec("vgg16")


def test_a_depth_that_is_not_6n_plus_2_is_refused():
    with pytest.raises(FeatureError, match="6n\\+2"):
        catalogue.spec("resnet21-cifar")


@pytest.mark.parametrize(("name", "family"), [("resnet18", "ResNet"), ("resnext50_32x4d", "ResNeXt")])
def test_entries_name_their_family_source_and_licence(name, family):
    entry = catalogue.spec(name)
    assert entry.family == family
    assert entry.source.startswith("torchvision ")
    assert "BSD" in entry.licence


def test_the_names_that_can_be_chosen_are_all_that_torchvision_has_weights_for():
    theirs = {
        f"{name}-v{weights.name[-1]}" for name in catalogue.TORCHVISION for weights in models.get_model_weights(name)
    }
    assert {name for name in catalogue.names() if not name.endswith("-fashion")} == theirs
    assert set(catalogue.names()) == {entry.name for entry in catalogue.entries() if entry.file or entry.url}


def test_a_checkpoint_can_be_read_as_every_architecture_that_is_listed():
    assert len(catalogue.architectures()) == len(set(catalogue.architectures()))
    assert {catalogue.spec(name).architecture for name in catalogue.architectures()} >= set(
        catalogue.TORCHVISION.values()
    )


@pytest.mark.parametrize("name", catalogue.TORCHVISION)
@pytest.mark.parametrize("classes", [1000, 7, None])
def test_the_family_of_an_architecture_is_that_of_the_network_that_has_it(name, classes):
    shape = replace(catalogue.TORCHVISION[name], classes=classes)
    assert catalogue.family_of(shape) == catalogue.spec(name).family


def test_an_architecture_of_no_network_has_no_family():
    assert catalogue.family_of(cifar(20)) is None
