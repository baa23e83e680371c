"""The folder of channels holds what was measured, with the patches in the pictures' own pixels."""

import json

import pandas as pd
import pytest

from features.__main__ import main
from features.channels import RANKINGS, excitations, responses
from features.commands.channels import SHOWN
from features.datasets import open_images
from features.networks import zoo
from features.progress import finish


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("channels") / "out"
    line = f"channels sample --limit 40 --model resnet20-fashion --layers layer2.1,layer3 --top 3 --out {out}"
    assert main(line.split()) == 0
    return out


def test_every_channel_has_a_row_and_its_extreme_images(folder):
    table, extremes = (pd.read_parquet(folder / f"{name}.parquet") for name in ("channels", "extremes"))
    assert table["layer"].value_counts().to_dict() == {"layer3.2": 64, "layer2.1": 32}
    assert len(extremes) == 96 * 2 * 3
    images, model = open_images("sample").sample(40), zoo.load("resnet20-fashion")
    told = finish(responses(model, images, ["layer2.1", "layer3"], 3))
    shown = excitations(model, images, "layer3", told.layer("layer3").top, 7)
    mine = extremes[(extremes["layer"] == "layer3.2") & (extremes["channel"] == 7) & (extremes["kind"] == "highest")]
    assert mine["id"].tolist() == [each.id for each in shown]
    assert mine["value"].tolist() == pytest.approx([each.value for each in shown], rel=1e-4)
    for row, each in zip(mine.itertuples(), shown, strict=True):
        assert (row.left, row.top, row.right, row.bottom) == pytest.approx(each.patch.box)
    assert json.loads((folder / "channels.json").read_text())["n_images"] == 40


def test_classes_and_readers_are_told_of_every_channel(folder):
    classes, readers = (pd.read_parquet(folder / f"{name}.parquet") for name in ("classes", "readers"))
    assert len(classes) == 96 * 10
    assert classes["auroc"].between(0, 1).all()
    assert {*readers["layer"]} == {"layer2.1"}  # the head reads the other
    assert len(readers) == 32 * 8


def test_a_layer_that_no_block_reads_has_no_readers_and_is_told(tmp_path, capsys):
    """A block whose branch was left out reads nothing, as nothing reads the last block."""
    out = tmp_path / "out"
    network = "resnet20-fashion?lesion=without:layer2.1"
    assert (
        main(f"channels sample --limit 12 --model {network} --layers layer2.0,layer2,layer3 --out {out}".split()) == 0
    )
    printed = capsys.readouterr().out
    assert "layer2.0: 32 channels" in printed
    assert printed.count("no convolution reads them, since the next branch has been left out") == 1
    assert {*pd.read_parquet(out / "readers.parquet")["layer"]} == {"layer2.2"}
    read_by = {each["name"]: each["read_by"] for each in json.loads((out / "channels.json").read_text())["layers"]}
    assert read_by == {"layer2.0": None, "layer2.2": "layer3.0", "layer3.2": None}


@pytest.mark.slow
def test_lesions_and_another_network_are_told_beside_the_answers(tmp_path, capsys):
    out = tmp_path / "out"
    line = f"channels sample --limit 30 --layers layer1 --lesions --rank lost --against plain20-fashion --out {out}"
    assert main(line.split()) == 0
    printed = capsys.readouterr().out
    assert "accuracy lost without it" in printed
    assert "beside plain20-fashion: the channels most alike" in printed
    lesions, alike = (pd.read_parquet(out / f"{name}.parquet") for name in ("lesions", "alike"))
    assert lesions["channel"].tolist() == list(range(16))
    assert len(alike) == 2 * 16
    facts = json.loads((out / "channels.json").read_text())
    assert facts["against"]["networks"] == ["resnet20-fashion", "plain20-fashion"]
    assert facts["lesions"][0]["n_channels"] == 16
    assert main(line.split()) == 0
    assert "is complete already" in capsys.readouterr().out


@pytest.mark.parametrize("order", RANKINGS)
def test_every_order_can_be_printed_or_says_what_it_needs(order, tmp_path, capsys):
    more = {"lost": " --lesions", "class-auroc": " --class Bag", "class-difference": " --class Bag"}
    line = f"channels sample --limit 12 --layers layer3 --rank {order}{more.get(order, '')} --out {tmp_path / 'out'}"
    if order == "logit":
        line += " --class Bag"
    assert main(line.split()) == 0
    printed = capsys.readouterr().out
    if order == "read":
        assert "needs a block whose convolutions read the layer" in printed
    else:
        assert RANKINGS[order].title in printed
        assert len(printed.splitlines()) == 4 + SHOWN + 2


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("--rank lost", "Add --lesions"),
        ("--rank logit", "Name one: --class NAME"),
        ("--class Bag", "--class belongs to an order about a class: --rank class-auroc or class-difference or logit"),
        ("--rank class-auroc --class cow", "a class of Fashion-MNIST sample, which has none called 'cow'"),
        ("--rank logit --class cow", "a class of resnet20-fashion, which has none called 'cow'"),
        ("--rank beauty", "no order of channels called 'beauty'"),
        ("--against resnet20-fashion --cluster ray", "A cluster reads answers only"),
        ("--lesions --cluster ray", "A cluster reads answers only"),
        ("--workers 2", "belong to --cluster ray"),
        ("--against resnet20-fashion?lesion=what", "Wanted without:BLOCK"),
    ],
)
def test_what_does_not_go_together_is_said_before_anything_is_measured(asked, said, tmp_path, capsys):
    assert main(f"channels sample {asked} --out {tmp_path / 'out'}".split()) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
