"""The folder of channels holds what was measured, with the patches in the pictures' own pixels."""

import json

import pandas as pd
import pytest

from features.__main__ import main
from features.channels import excitations, responses
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
