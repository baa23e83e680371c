"""What can be said of a network that its weights do not tell, and the one way to name a network with it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from features.errors import FeatureError
from features.networks import catalogue, naming
from features.networks.architecture import cifar, imagenet
from features.networks.card import ModelSpec, Outputs
from features.networks.naming import NetworkName
from features.networks.settings import SETTINGS, applied

SPEC = ModelSpec("net", "", imagenet("bottleneck", (3, 4, 6, 3)), catalogue.IMAGENET_PREPROCESSING, (), "", "")


def said(*settings, spec=SPEC):
    return applied(spec, settings)[0]


def test_every_setting_gives_back_what_was_said():
    cases = {
        "stride-at": "first", "stem-pool": "none", "stem-stride": "1", "stem-padding": "2", "strides": "1,2,2,1",
        "dilation": "1,1,2,4", "shortcut-pool": "average", "activation": "silu", "epsilon": "0.001",
        "mean": "0.1,0.2,0.3", "std": "0.4,0.5,0.6", "channel-order": "bgr", "resize": "232", "crop": "192",
        "interpolation": "bicubic", "outputs": "multilabel", "range": "signed", "antialias": "blur",
    }  # fmt: skip
    for setting in SETTINGS:
        if setting.name in cases:
            assert setting.value(setting.chosen(SPEC, cases[setting.name])) == cases[setting.name]


def test_fields_that_were_said_are_told():
    assert applied(SPEC, (("range", "signed"), ("stride-at", "first")))[1] == {"mean", "std", "stride_at"}


@pytest.mark.parametrize(
    ("settings", "value", "wanted"),
    [
        ((("range", "unit"),), 128, 128 / 255),
        ((("range", "signed"),), 128, 2 * 128 / 255 - 1),
        ((("range", "bytes"),), 128, 128),
        ((("range", "bytes"), ("mean", "100")), 128, 28),
        ((("mean", "100"), ("range", "bytes")), 128, 28),  # in whatever order they are given
        ((("range", "signed"), ("mean", "0.25"), ("std", "0.5")), 128, (2 * 128 / 255 - 1 - 0.25) / 0.5),
        ((("mean", "0.5"), ("std", "0.25")), 128, (128 / 255 - 0.5) / 0.25),
    ],
)
def test_a_pixel_becomes_what_the_settings_say(settings, value, wanted):
    picture = Image.fromarray(np.full((300, 300, 3), value, np.uint8))
    assert said(*settings).preprocessing(picture).numpy() == pytest.approx(wanted, abs=2e-5 * max(1, abs(wanted)))


def test_colours_come_in_the_order_that_is_said_and_are_shown_as_they_are():
    picture = Image.new("RGB", (256, 256), (10, 20, 30))
    plain, turned = said(("range", "bytes")), said(("range", "bytes"), ("channel-order", "bgr"))
    assert plain.preprocessing(picture)[:, 0, 0].tolist() == pytest.approx([10, 20, 30], abs=1e-3)
    assert turned.preprocessing(picture)[:, 0, 0].tolist() == pytest.approx([30, 20, 10], abs=1e-3)
    assert (turned.preprocessing.visible(picture) == plain.preprocessing.visible(picture)).all()


def test_the_mean_of_bgr_is_in_the_networks_order():
    picture = Image.new("RGB", (256, 256), (10, 20, 30))
    taken = said(("range", "bytes"), ("channel-order", "bgr"), ("mean", "30,20,10")).preprocessing
    assert taken(picture).abs().max() < 1e-3


def test_labels_of_which_any_number_holds():
    assert said(("outputs", "multilabel")).outputs is Outputs.MULTILABEL
    assert said(("outputs", "multiclass")).outputs is Outputs.MULTICLASS


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ((("colour", "red"),), "no setting called 'colour'.*stride-at"),
        ((("stride-at", "end"),), "--stride-at is 'end'. Wanted one of middle, first"),
        ((("mean", "0.1,0.2"),), "Wanted 3 numbers"),
        ((("mean", "a,b,c"),), "Wanted 3 numbers"),
        ((("std", "0"),), "stds above 0"),
        ((("std", "nan"),), "stds above 0"),
        ((("crop", "9999"),), "sides from 1 to 1024"),
        ((("crop", "big"),), "--crop is 'big'. Wanted as 224"),
        ((("range", "half"),), "Wanted one of unit, signed, bytes"),
        ((("strides", "1,2"),), "strides"),
        ((("norm-groups", "4"),), "changes nothing"),
    ],
)
def test_what_cannot_be_is_refused_by_name(settings, text):
    with pytest.raises(FeatureError, match=text):
        applied(SPEC, settings)


def test_a_grey_network_has_no_order_of_colours():
    grey = replace(SPEC, architecture=cifar(8, in_channels=1))
    grey = replace(grey, preprocessing=replace(catalogue.CIFAR_PREPROCESSING, mean=(0.5,), std=(0.2,)))
    with pytest.raises(FeatureError, match="bgr"):
        said(("channel-order", "bgr"), spec=grey)


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        NetworkName("resnet50"),
        NetworkName("timm:resnet50d.ra2_in1k"),
        NetworkName(None, Path("weights/mine.pth")),
        NetworkName("resnet50", Path("mine.pth"), part="encoder_q"),
        NetworkName(None, Path("mine.pth"), head="fc_age"),
        NetworkName(None, Path("~/a b/mine=1&2?.pth"), lesion="scaled:0.5:layer3.1,layer3.2"),
        NetworkName(None, Path("m.pth"), classes=Path("names.txt"), settings=(("range", "bytes"), ("mean", "1,2,3"))),
        NetworkName("resnet20-fashion", lesion="without:layer3.1"),
    ],
    ids=str,
)
def test_a_name_is_read_as_it_was_written(name):
    assert naming.parse(str(name)) == name


def test_a_file_is_one_whatever_signs_its_name_has(tmp_path):
    odd = tmp_path / "net?part=1&x.pth"
    odd.write_bytes(b"")
    assert naming.parse(str(odd)) == NetworkName(weights=odd)


def test_a_file_without_an_ending_is_no_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert naming.parse("resnet18") == NetworkName("resnet18")
    (tmp_path / "resnet18").write_bytes(b"")
    assert naming.parse("resnet18") == NetworkName(weights=Path("resnet18"))
    assert naming.parse("./resnet34").weights == Path("resnet34")


@pytest.mark.parametrize(
    ("text", "told"),
    [("mine.pth?colour=red", "'colour', which says nothing"), ("resnet18?as=resnet34", "is a name already")],
)
def test_names_that_cannot_be_are_refused(text, told):
    with pytest.raises(FeatureError, match=told):
        naming.parse(text)
