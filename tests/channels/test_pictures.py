"""The files of filters, of one image's maps and of activation maximisation."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from features.__main__ import main
from features.channels import filters
from features.channels.pictures import named_channels
from features.datasets import open_images
from features.errors import FeatureError
from features.networks import zoo

LINE = "channels sample --limit 20 --model resnet20-fashion --layers stem,layer3"


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "mine.png"
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory, image):
    out = tmp_path_factory.mktemp("channels") / "out"
    more = f"--image {image} --maps-by evidence --target Bag --steps 3 --seed 5"
    more += " --maximise layer3:4,layer3.2:4,layer1.0:2"
    assert main(f"{LINE} {more} --out {out}".split()) == 0
    return out


def size_of(path):
    with Image.open(path) as picture:
        return picture.size


def test_filters_come_with_every_run(folder):
    table = pd.read_parquet(folder / "filters.parquet")
    made = filters(zoo.load("resnet20-fashion"))
    assert table["frequency"].tolist() == made.waves.frequency.tolist()
    assert size_of(folder / "filters.png")[0] > 8 * 3


def test_maps_are_arrays_and_sheets_and_the_table_says_where_each_is(folder):
    table = pd.read_parquet(folder / "maps.parquet")
    for layer, shape in (("stem", (16, 28, 28)), ("layer3.2", (64, 7, 7))):
        values = np.load(folder / "maps" / f"{layer}.npy")
        assert values.shape == shape
        mine = table[table["layer"] == layer]
        np.testing.assert_allclose(mine["maximum"], values.max((1, 2)))
        first = mine.sort_values("place")
        assert (np.diff(first["evidence"]) <= 0).all()
        assert size_of(folder / "maps" / f"{layer}.png")[0] == 16 * 56 + 15 * 2


def test_pictures_that_were_sought_come_with_all_that_made_them(folder):
    told = json.loads((folder / "maximised.json").read_text())
    assert [(row["layer"], row["channel"], row["seed"]) for row in told] == [("layer3.2", 4, 5), ("layer1.0", 2, 5)]
    assert told[0]["times_highest"] > 0
    assert told[1]["times_highest"] is None  # its layer was not measured
    assert len(told[0]["curve"]) == 3
    assert np.load(folder / "maximised" / "layer3.2-4.npy").shape == (1, 28, 28)
    assert size_of(folder / told[0]["file"]) == (224, 224)


def test_an_image_of_the_set_is_named_by_its_id_and_parts_of_blocks_leave_out_the_stem(tmp_path, capsys):
    out = tmp_path / "out"
    image = open_images("sample").sample(20).ids[3]
    assert main([*LINE.split(), "--image", image, "--maps-of", "branch", "--out", str(out)]) == 0
    assert [path.name for path in sorted((out / "maps").iterdir())] == ["layer3.2-branch.npy", "layer3.2-branch.png"]
    table = pd.read_parquet(out / "maps.parquet")
    assert table.sort_values("place")["maximum"].is_monotonic_decreasing


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("--image nothing.png", "no id among the 20 images"),
        ("--maximise layer3", "Wanted channels as layer3.1:5"),
        ("--maximise layer9:1", "no layer layer9"),
        ("--maximise layer3:64", "from 0 to 63, but got 64"),
        ("--goal edge", "no goal called 'edge'"),
        ("--maps-by beauty", "no order of maps called 'beauty'"),
        ("--maps-of twig", "no part of a block called 'twig'"),
        ("--maps-by evidence", "needs --image"),
        ("--layers stem --image {image} --maps-of branch", "The stem has no branch, only an output"),
        ("--target Bag", "--target is of the maps of an image"),
        ("--image {image} --target norm:layer3", "Channels are evidence of classes"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_measured(tmp_path, capsys, image, more, said):
    assert main(f"{LINE} {more.format(image=image)} --out {tmp_path / 'out'}".split()) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_channels_are_named_by_their_layer_each_once():
    assert named_channels("layer3.1:5, layer4:0,layer3.1:5") == [("layer3.1", 5), ("layer4", 0)]
    for text in ("", "layer3.1:" + "9" * 5000):
        with pytest.raises(FeatureError, match="several with commas") as told:
            named_channels(text)
        assert len(str(told.value)) < 200
