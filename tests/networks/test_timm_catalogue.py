"""timm's networks by name, against timm's own settings and transforms."""

import subprocess
import sys

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config
from timm.models import get_pretrained_cfg

from features.errors import FeatureError, WeightsError
from features.networks import catalogue, download, hub, timm_catalogue
from features.networks.anatomy import anatomy
from features.networks.canonical import build
from features.progress import finish

URL = "https://huggingface.co/timm/resnet50d.ra2_in1k/resolve/main/model.safetensors"


@pytest.fixture(autouse=True)
def empty_caches(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    timm_catalogue.spec.cache_clear()
    yield
    timm_catalogue.spec.cache_clear()


def test_a_name_means_timms_default_weights_and_a_tag_those_of_the_tag():
    default, tagged = catalogue.spec("timm:resnet50d"), catalogue.spec("timm:resnet50d.a1_in1k")
    assert default.name == f"timm:{get_pretrained_cfg('resnet50d').architecture}.ra2_in1k"
    assert tagged.name == "timm:resnet50d.a1_in1k"
    assert default.architecture == tagged.architecture
    assert default.url == URL
    assert default.file is None


@pytest.mark.parametrize(
    "name", ["resnet18.a1_in1k", "resnet18.tv_in1k", "resnet50d", "resnetv2_50x1_bit", "resnet50.bt_in1k"]
)
def test_pictures_are_prepared_as_timm_prepares_them_for_its_tests(name):
    preprocessing = catalogue.spec(f"timm:{name}").preprocessing
    config = get_pretrained_cfg(name).to_dict()
    transform = create_transform(**resolve_data_config({}, pretrained_cfg=config, use_test_size=True))
    pixels = np.random.default_rng(0).integers(0, 256, (301, 402, 3), dtype=np.uint8)
    for picture in (Image.fromarray(pixels), Image.fromarray(pixels.transpose(1, 0, 2))):
        torch.testing.assert_close(preprocessing(picture), transform(picture), rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"crop_mode": "border"}, "by 'border'"),
        ({"input_size": (3, 224, 160)}, "to 224 x 160 px"),
    ],
)
def test_a_way_to_cut_that_is_not_known_here_is_refused_by_name(config, words):
    with pytest.raises(FeatureError, match=words):
        timm_catalogue.preprocessing_of(config)


def test_what_a_config_leaves_out_is_as_timm_has_it():
    preprocessing = timm_catalogue.preprocessing_of({})
    assert (preprocessing.resize, preprocessing.crop, preprocessing.interpolation) == (256, 224, "bicubic")


def test_class_names_are_imagenets_and_of_a_network_with_other_classes_unknown():
    entry = catalogue.spec("timm:resnet18")
    assert entry.class_names[:2] == ("tench, Tinca tinca", "goldfish, Carassius auratus")
    assert len(entry.class_names) == entry.architecture.classes == 1000
    assert len(catalogue.spec("timm:resnetaa50d.sw_in12k").class_names) == 11821
    assert catalogue.spec("timm:resnet50.bamboo").architecture.classes is None


@pytest.mark.parametrize(
    ("name", "family", "licence"),
    [
        ("timm:seresnet50", "SE-ResNet", "apache-2.0 (timm); trained on ImageNet"),
        ("timm:resnext50_32x4d", "ResNeXt", "apache-2.0"),
        ("timm:resnetv2_50", "ResNet v2", "apache-2.0"),
        ("timm:resnet18.fb_swsl_ig1b_ft_in1k", "ResNet", "cc-by-nc-4.0"),
        ("timm:seresnet18", "SE-ResNet", ""),
    ],
)
def test_family_and_licence_are_told(name, family, licence):
    entry = catalogue.spec(name)
    assert entry.family == family
    assert entry.licence.startswith(licence)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("timm:resnet51", "no network called 'resnet51'"),
        ("timm:vit_base_patch16_224", "no network called"),
        ("timm:hf-hub:someone/something", "no network called"),
        ("timm:resnet50d.nothing", "no weights 'nothing' of resnet50d: a1_in1k"),
        ("timm:", "no network called ''"),
    ],
)
def test_names_that_timm_does_not_have_are_refused(name, words):
    with pytest.raises(FeatureError, match=words):
        catalogue.spec(name)


@pytest.mark.slow
def test_every_name_that_is_listed_has_weights_and_can_be_built():
    names = catalogue.timm_names()
    assert {"timm:resnet50.a1_in1k", "timm:resnetv2_50x1_bit.goog_in21k", "timm:skresnet18.ra_in1k"} <= set(names)
    own = sorted({name.removeprefix("timm:").split(".")[0] for name in names})
    for name in own[::6]:
        entry = catalogue.spec(f"timm:{name}")
        with torch.device("meta"):
            ours, theirs = (
                build(entry.architecture),
                timm.create_model(name, num_classes=entry.architecture.classes or 0),
            )
        assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters()), name
        assert anatomy(entry.architecture, 64).parameters == sum(p.numel() for p in theirs.parameters()), name


def test_weights_that_were_put_by_hand_are_found():
    place = hub.by_hand(URL)
    assert place.name == "resnet50d.ra2_in1k.safetensors"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"weights")
    assert download.cached(URL) == place
    assert catalogue.spec("timm:resnet50d").file == place


def test_weights_in_the_hubs_own_cache_are_found(tmp_path):
    repository = tmp_path / "hub" / "models--timm--resnet50d.ra2_in1k"
    file = repository / "snapshots" / "0" / "model.safetensors"
    file.parent.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0")
    file.write_bytes(b"weights")
    assert download.cached(URL) == file
    assert catalogue.spec("timm:resnet50d").file == file


def test_weights_that_cannot_be_fetched_say_from_where_and_where_to(monkeypatch):
    def refuse(*arguments):
        raise OSError("no network here")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
    with pytest.raises(WeightsError, match="no network here") as caught:
        finish(download.fetch(URL, 97.8))
    assert URL in str(caught.value)
    assert str(hub.by_hand(URL)) in str(caught.value)


def test_weights_are_fetched_by_the_hubs_client_and_megabytes_reported(monkeypatch, tmp_path):
    def fetch(repository, file):
        assert (repository, file) == ("timm/resnet50d.ra2_in1k", "model.safetensors")
        return str(tmp_path / "model.safetensors")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetch)
    reports = []
    assert finish(download.fetch(URL, 97.8), reports.append) == tmp_path / "model.safetensors"
    assert all((report.total, report.unit) == (98, "MB") for report in reports)


def test_neither_the_catalogues_names_nor_its_other_entries_import_timm():
    code = (
        "import sys; from features.networks import catalogue; catalogue.names(); catalogue.spec('resnet20-cifar');"
        "assert not {'timm', 'torch', 'transformers'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
