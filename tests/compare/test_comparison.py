"""Networks on the same images: what is said equals what each evaluation says by itself."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from features.__main__ import main
from features.compare import Agreement, compare, holm, mcnemar
from features.compare.export import as_dict
from features.compare.pair import corrected
from features.datasets import open_images
from features.errors import DatasetError, FeatureError
from features.evaluate import evaluate
from features.networks import zoo
from features.networks.canonical import published_name
from features.progress import finish
from features.residual import lesioned, parse
from tests.test_many_labels import network


@pytest.fixture(scope="module")
def images():
    return open_images("sample").sample(60)


@pytest.fixture(scope="module")
def models():
    model = zoo.load("resnet20-fashion")
    return [model, zoo.load("plain20-fashion"), lesioned(model, parse("without:layer2.1"))]


@pytest.fixture(scope="module")
def told(models, images):
    return finish(compare(models, images))


def test_json_holds_every_pairs_p_value_by_itself_and_among_all(told):
    rows = as_dict(told)["pairs"]
    assert [row["p_value"] for row in rows] == [mcnemar(row["first_only"], row["second_only"]) for row in rows]
    assert [row["p_value_among_all"] for row in rows] == holm([row["p_value"] for row in rows])


def test_epochs_of_one_training_are_told_apart_in_names_and_notes(tmp_path, images):
    for number, name in enumerate(("resnet20-fashion", "plain20-fashion"), start=1):
        (tmp_path / f"epoch{number}").mkdir()
        network = zoo.load(name).network
        state = {published_name(key): values for key, values in network.state_dict().items()}
        torch.save(state, tmp_path / f"epoch{number}" / "checkpoint.pth")
    names = [f"{tmp_path}/epoch1/checkpoint.pth", f"{tmp_path}/epoch2/checkpoint.pth?as=plain20-cifar"]
    models = [zoo.load(name) for name in names]
    told = finish(compare(models, images))
    called = ["checkpoint (epoch1)", "checkpoint (epoch2)"]
    assert [each.name for each in told.contenders] == called
    assert told.common.notes[0].startswith(", ".join(called) + ": Labels matched in order (uncertain). Each does not")
    assert [each["file_bytes"] for each in as_dict(told)["networks"]] == [
        model.spec.file.stat().st_size for model in models
    ]
    assert {"checkpoint (epoch1) pred", "checkpoint (epoch2) pred"} <= {*told.table().columns}


def test_each_network_is_told_as_its_evaluation_tells_it(told, models, images):
    for each, model in zip(told.contenders, models, strict=True):
        alone = finish(evaluate(model, images))
        assert each.accuracy == alone.accuracy_share
        ours = each.evaluation
        assert (ours.macro_precision, ours.macro_recall, ours.macro_f1) == pytest.approx(
            (alone.macro_precision, alone.macro_recall, alone.macro_f1)
        )
        assert ours.calibration.temperature.value == pytest.approx(alone.calibration.temperature.value, rel=1e-3)
        np.testing.assert_array_equal(each.correct, alone.correct)
        assert each.calibration_error == pytest.approx(alone.calibration.equal_width.error, abs=1e-5)
        assert each.parameters == sum(values.numel() for values in model.network.parameters())


def test_every_pair_is_counted_image_by_image(told):
    assert [(pair.first, pair.second) for pair in told.pairs] == [
        (told.contenders[one].name, told.contenders[other].name) for one, other in ((0, 1), (0, 2), (1, 2))
    ]
    first, second = told.contenders[0], told.contenders[2]
    counted = told.pairs[1].agreement
    assert counted.first_only == (first.correct & ~second.correct).sum()
    assert counted.churn == pytest.approx((first.predictions.predicted != second.predictions.predicted).mean())
    assert told.pairs[1].similarity.values[0, 0] == pytest.approx(1)  # the lesion lies behind the stem
    assert told.pairs[1].similarity.rows == told.pairs[1].similarity.columns == first.blocks
    assert len(first.blocks) == 10


def test_the_best_is_better_than_each_other_by_more_than_chance(told):
    first, _, third = told.contenders

    def pairs(*counts):
        return corrected(
            [
                replace(pair, agreement=Agreement(100, *count, 20))
                for pair, count in zip(told.pairs, counts, strict=True)
            ]
        )

    assert replace(told, pairs=pairs((40, 5), (30, 2), (3, 3))).best is first
    assert replace(told, pairs=pairs((40, 5), (2, 30), (5, 40))).best is third
    assert replace(told, pairs=pairs((40, 5), (10, 9), (30, 2))).best is None
    assert replace(told, pairs=pairs((16, 3), (40, 2), (0, 0))).best is first
    assert replace(told, pairs=pairs((14, 4), (14, 4), (3, 3))).best is None  # p = 0.031 each, of three


def test_the_table_has_a_row_for_every_image_and_the_networks_side_by_side(told):
    table = told.table()
    assert table["id"].tolist() == [*told.ids]
    assert len({*table.columns}) == 3 + 3 * 3
    assert {*table["class"]} <= {*told.common.names}
    np.testing.assert_array_equal(
        table["class"] == table[f"{told.contenders[0].name} pred"], told.contenders[0].correct
    )
    for each in told.contenders:
        assert table[f"{each.name} correct"].mean() == pytest.approx(each.accuracy.value)


def test_one_network_twice_agrees_in_everything(models, images):
    told = finish(compare([models[0], models[0]], images))
    assert [each.name for each in told.contenders] == ["resnet20-fashion (1)", "resnet20-fashion (2)"]
    counted = told.pairs[0].agreement
    assert (counted.difference, counted.p_value, counted.churn) == (0, 1, 0)
    np.testing.assert_allclose(np.diag(told.pairs[0].similarity.values), 1)


def test_networks_of_many_labels_are_told_by_their_average_precision(tmp_path):
    from sklearn.metrics import average_precision_score

    random, names = np.random.default_rng(1), ("ant", "bee", "cat")
    holds = random.random((40, 3)) < 0.5
    lines = ["path,label"]
    for number, has in enumerate(holds):
        Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8)).save(tmp_path / f"{number:02}.png")
        lines.append(f"{number:02}.png,{';'.join(name for name, there in zip(names, has, strict=True) if there)}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    images = open_images(str(tmp_path / "list.csv"))
    models = [network(True, names), replace(network(True, names), digest="1" * 64, variant="another")]
    told = finish(compare(models, images))
    wanted = finish(evaluate(models[0], images))
    assert told.contenders[0].evaluation.mean_average_precision == pytest.approx(wanted.mean_average_precision)
    assert told.contenders[0].as_dict()["mean_average_precision"] == pytest.approx(
        average_precision_score(holds, probabilities_of(models[0], images), average="macro"), abs=1e-6
    )
    assert {"label ant", "label bee"} <= {each.slice.by for each in told.pairs[0].slices}


def probabilities_of(model, images):
    import torch

    with torch.inference_mode():
        pixels = torch.stack([model.spec.preprocessing(images.open(row)) for row in range(len(images))])
        return model.network(pixels).sigmoid().numpy()


def test_pairs_that_differ_by_themselves_may_not_among_many(told):
    among = corrected([replace(told.pairs[0], agreement=Agreement(80, 15, 4, 1))] * 10)
    assert among[0].agreement.p_value < 0.05 < among[0].p_value
    assert not among[0].differs
    assert corrected(among[:1])[0].differs


def test_what_makes_no_sense_is_refused(models, images):
    with pytest.raises(FeatureError, match="2 to 10 networks are compared, but 1 is named"):
        finish(compare(models[:1], images))
    with pytest.raises(DatasetError, match="no labels"):
        finish(compare(models, replace(images, labels=None, class_names=())))


def test_images_that_one_cannot_read_are_left_out_of_all_and_told(tmp_path, models):
    for number in range(6):
        folder = tmp_path / "images" / ("Bag" if number % 2 else "Coat")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((28, 28), 40 * number, np.uint8)).save(folder / f"{number}.png")
    whole = (folder / "5.png").read_bytes()
    (folder / "5.png").write_bytes(whole[:-30])
    told = finish(compare(models[:2], open_images(str(tmp_path / "images"))))
    assert len(told.ids) == 5
    assert [each.id for each in told.rejected] == ["Bag/5.png"]


def test_the_command_writes_what_it_prints(tmp_path, capsys):
    out = tmp_path / "out"
    line = f"compare sample --limit 60 --models resnet20-fashion,plain20-fashion --out {out}"
    assert main(line.split()) == 0
    said = capsys.readouterr().out
    assert "plain20-fashion beside resnet20-fashion" in said
    assert "McNemar p = " in said
    table = pd.read_parquet(out / "images.parquet")
    assert len(table) == 60
    assert f"{table['plain20-fashion correct'].mean():.2%}" in said
    assert {"by", "name", "difference", "low", "high"} <= {*pd.read_parquet(out / "slices.parquet").columns}
    assert (pd.read_parquet(out / "similarity.parquet")["value"] <= 1 + 1e-9).all()
    assert main(line.split()) == 0
    assert "complete already" in capsys.readouterr().out
    assert main([*line.split(), "--seed", "1"]) == 2
    assert "--replace" in capsys.readouterr().err


def test_weights_are_those_of_the_networks_in_their_order(tmp_path, capsys):
    from features.networks import catalogue

    file = catalogue.spec("resnet20-fashion").file
    line = f"compare sample --limit 20 --with none --weights {file} --models resnet20-fashion,plain20-fashion"
    assert main([*line.split(), "--out", str(tmp_path / "a")]) == 2
    assert "2 networks and 1 files of weights" in capsys.readouterr().err
    line = f"compare sample --limit 20 --with none --weights {file},{catalogue.spec('plain20-fashion').file}"
    assert main([*line.split(), "--out", str(tmp_path / "b")]) == 0
    names = pd.read_parquet(tmp_path / "b" / "classes.parquet")["network"].unique()
    assert len(names) == 2


def test_what_cannot_be_compared_is_refused_before_a_network_is_loaded(tmp_path, capsys):
    line = "compare sample --limit 20 --models plain20-fashion?lesion=without:layer2.1,layer2.0"
    assert main([*line.split(), "--out", str(tmp_path / "a")]) == 2
    assert "1 is named" in capsys.readouterr().err
    line = "compare sample --limit 20 --models plain20-fashion?lesion=without:layer2.1,resnet20-fashio"
    assert main([*line.split(), "--out", str(tmp_path / "a")]) == 2
    assert "--models A --models B" in capsys.readouterr().err
    line = "compare sample --limit 20 --models resnet20-fashion,plain20-fashion --with all,none"
    assert main([*line.split(), "--out", str(tmp_path / "a")]) == 2
    assert "stand alone behind --with" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*line.split()[:-2], "--seed", "-1", "--out", str(tmp_path / "a")])
