"""Stitched networks of which the answer is known."""

import json
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import r2_score
from torch import nn
from torchvision.models.resnet import BasicBlock

from features.compare.stitching import Stitches, running, stitched
from features.datasets import ImageSet, labels, open_images
from features.errors import DatasetError, FeatureError, ImageError
from features.networks import zoo
from features.networks.card import Outputs
from features.networks.memory import model_of
from features.networks.preprocessing import Preprocessing
from features.predictions import Predictions
from features.progress import finish
from features.residual import lesioned, parse
from features.similarity import similarity
from tests.random_networks import Narrow, drawn

N = 60
PIXELS = np.random.default_rng(0).integers(0, 256, (N, 6, 6, 3), dtype=np.uint8)
SEEN = Preprocessing(96, 96, (0.5,) * 3, (0.25,) * 3)  # maps of 24, 12, 6 and 3 at a side
FEW = Stitches(n_fitted=30, n_told=30)
STAGES = ("layer1", "layer2", "layer3", "layer4")


def opened(number):
    return Image.fromarray(PIXELS[number]).resize((96, 96))


def images(opener=opened, n=N):
    return ImageSet("noise", tuple(f"{number}.png" for number in range(n)), None, (), "0" * 64, opener)


class Kept:
    """A judge that keeps what it is given, and calls right what is class 0."""

    def __init__(self):
        self.calls = []

    def __call__(self, logits, rows):
        self.calls.append((logits, rows))
        return logits.argmax(1) == 0

    def of(self, number, n_kinds):
        """Logits (n, K) and rows (n,) of the intact network (0) or of a joint, of all batches."""
        calls = self.calls[number::n_kinds]
        return np.concatenate([logits for logits, _ in calls]), np.concatenate([rows for _, rows in calls])


def net_of(seed, classes=5):
    return drawn(Narrow, seed, block=BasicBlock, layers=[1, 2, 1, 1], num_classes=classes)


@pytest.fixture(scope="module")
def nets():
    return [net_of(seed) for seed in (0, 1)]


@pytest.fixture(scope="module")
def models(nets):
    return [model_of(net, SEEN, name=name) for net, name in zip(nets, ("one", "other"), strict=True)]


def run(first, second, settings=FEW, images=None, judges=None):
    """What stitching tells, and the two judges."""
    judges = judges or (Kept(), Kept())
    return finish(
        stitched(first, second, globals()["images"]() if images is None else images, judges, settings)
    ), judges


def relative(one, other):
    return np.abs(one - other).max() / np.abs(other).max()


def need_no_loss(told, judges, tolerance=2e-3):
    for judge in judges:
        intact, rows = judge.of(0, 5)
        for number in range(1, 5):
            logits, same_rows = judge.of(number, 5)
            np.testing.assert_array_equal(rows, same_rows)
            assert relative(logits, intact) < tolerance
    for joint in told.joints:
        assert joint.explained == pytest.approx(1, abs=1e-4)
        assert joint.change.n_images == 30
        assert joint.change.difference == 0


def turned(model, matrix, stage="layer2", behind="layer3"):
    """The same function, with a stage's output multiplied by a matrix (C, C) and the next stage undoing it first."""
    network = deepcopy(model.network)
    turn = nn.Conv2d(*matrix.shape, 1, bias=False)
    turn.weight.data = matrix[:, :, None, None].clone()
    last, first = network.stages[stage][-1], network.stages[behind][0]
    last.activation = nn.Sequential(nn.ReLU(), turn)
    for layer in (first.branch[0], first.shortcut[0]):
        layer.weight.data = torch.einsum("oihw,ij->ojhw", layer.weight.data, torch.linalg.inv(matrix))
    return replace(model, network=network.eval().requires_grad_(False), digest="1" * 64)


def test_a_network_with_itself_loses_nothing(models):
    told, judges = run(models[0], models[0])
    need_no_loss(told, judges)
    assert [(joint.giver, joint.receiver, joint.stage, joint.into) for joint in told.joints] == [
        (*names, stage, stage) for stage in STAGES for names in (("one (1)", "one (2)"), ("one (2)", "one (1)"))
    ]
    assert [joint.n_positions for joint in told.joints[::2]] == [30 * side**2 for side in (24, 12, 6, 3)]
    assert [joint.n_unknowns for joint in told.joints[::2]] == [17, 33, 65, 129]
    assert [joint.is_lower_bound for joint in told.joints[::2]] == [False, False, False, True]


def test_a_network_with_a_lesion_loses_nothing_before_it(models):
    told, (_, judge) = run(lesioned(models[0], parse("without:layer2.1")), models[0])
    first, back, behind, _ = told.joints[:4]
    assert (first.stage, behind.stage) == ("layer1", "layer2")
    assert first.explained == pytest.approx(1, abs=1e-4)
    assert behind.explained < 0.999
    assert relative(judge.of(1, 5)[0], judge.of(0, 5)[0]) < 2e-3
    assert back.intact.hits == back.accuracy.hits


@pytest.mark.parametrize("kind", ["permuted", "invertible"])
def test_what_a_linear_map_undoes_is_stitched_without_loss_though_cka_may_see_a_difference(models, kind, random):
    if kind == "permuted":
        matrix = torch.eye(32)[torch.from_numpy(random.permutation(32))]
    else:
        turn, _ = np.linalg.qr(random.normal(size=(32, 32)))
        matrix = torch.from_numpy(turn * np.geomspace(0.2, 5, 32) @ turn.T).float()
    other = turned(models[0], matrix)
    told, judges = run(models[0], other)
    need_no_loss(told, judges)
    maps = [
        np.concatenate([values.permute(0, 2, 3, 1).reshape(-1, 32).numpy() for values in walked(model, range(20))])
        for model in (models[0], other)
    ]
    cka = similarity(*maps, "cka")
    assert cka == pytest.approx(1) if kind == "permuted" else cka < 0.9


def walked(model, rows, stage="layer2"):
    """One map (1, C, H, W) of each image after a stage."""
    for row in rows:
        with torch.no_grad():
            yield dict(model.network.walk(model.spec.preprocessing(opened(row))[None]))[stage]


def test_a_giver_of_constant_features_leaves_no_more_than_chance(models):
    net = net_of(0)
    with torch.no_grad():
        net.conv1.weight[:] = 0
    told, (_, judge) = run(model_of(net, SEEN, name="constant"), models[1])
    for number in range(1, 5):
        logits, _ = judge.of(number, 5)
        np.testing.assert_allclose(logits, logits[:1].repeat(30, 0), atol=1e-3 * np.abs(logits).max())
    assert all(joint.accuracy.value in (0, 1) for joint in told.joints if joint.giver == "constant")
    back = [joint for joint in told.joints if joint.receiver == "constant"]
    assert all(joint.change.difference == 0 for joint in back)


def test_what_is_explained_and_said_is_as_of_least_squares_by_numpy(models, nets, monkeypatch):
    monkeypatch.setattr(running, "best_ridge", lambda *_: 1e-9)
    told, (_, judge) = run(*models)
    _, told_rows = judge.of(0, 5)
    fitted_rows = [row for row in range(N) if row not in told_rows]
    known, wanted = ([torch.cat([*walked(model, rows)]) for rows in (fitted_rows, told_rows)] for model in models)
    x, y = (values[0].permute(0, 2, 3, 1).reshape(-1, 32).double().numpy() for values in (known, wanted))
    weights = np.linalg.lstsq(np.hstack([x, np.ones((len(x), 1))]), y, rcond=None)[0]
    x, y = (values[1].permute(0, 2, 3, 1).reshape(-1, 32).double().numpy() for values in (known, wanted))
    mapped = np.hstack([x, np.ones((len(x), 1))]) @ weights
    joint = told.joints[2]
    assert (joint.giver, joint.receiver, joint.stage) == ("one", "other", "layer2")
    assert joint.explained == pytest.approx(r2_score(y, mapped, multioutput="variance_weighted"), abs=1e-3)
    with torch.no_grad():
        maps = torch.from_numpy(mapped).float().view(len(told_rows), 12, 12, 32).permute(0, 3, 1, 2)
        right = nets[1].fc(nets[1].layer4(nets[1].layer3(maps)).mean((2, 3)))
    logits, _ = judge.of(2, 5)
    assert relative(logits, right.numpy()) < 1e-2
    assert joint.accuracy.hits == (right.argmax(1) == 0).sum()


def test_networks_by_themselves_say_what_they_say_of_these_images(models, nets):
    told, judges = run(*models)
    for net, judge in zip(nets, judges, strict=True):
        logits, rows = judge.of(0, 5)
        with torch.no_grad():
            wanted = net(torch.stack([SEEN(opened(row)) for row in rows])).numpy()
        assert relative(logits, wanted) < 1e-3
    intact = [joint.intact.hits for joint in told.joints]
    assert intact == [(judges[number].of(0, 5)[0].argmax(1) == 0).sum() for number in (1, 0)] * 4


def test_batches_of_any_size_give_the_same(models, monkeypatch):
    tables = []
    for size in (4, 30):
        monkeypatch.setattr(running, "_at_once", lambda side, size=size: size)
        tables.append(run(*models)[0].table())
    np.testing.assert_allclose(tables[0]["explained"], tables[1]["explained"], atol=1e-3)
    assert tables[0]["accuracy"].tolist() == tables[1]["accuracy"].tolist()
    assert tables[0]["ridge"].tolist() == tables[1]["ridge"].tolist()


def test_images_that_cannot_be_read_are_left_out_of_both_and_told(models):
    def damaged(number):
        if number % 5 == 0:
            raise ImageError("damaged")
        return opened(number)

    told, judges = run(*models, images=images(damaged))
    assert {each.id for each in told.rejected} == {f"{number}.png" for number in range(0, N, 5)}
    assert told.n_fitted + told.n_told == 48
    for judge in judges:
        rows = judge.of(0, 5)[1]
        assert len(rows) == told.n_told == told.joints[0].change.n_images
        assert (rows % 5).all()


def test_where_none_can_be_read_the_reason_is_told(models):
    def damaged(number):
        raise ImageError("not a picture")

    with pytest.raises(DatasetError, match="not a picture"):
        run(*models, images=images(damaged))


def test_networks_that_see_other_sizes_are_stitched_where_maps_are_of_one_size(models, nets):
    """At 48 px maps are of 12, 6, 3 and 2 at a side."""
    smaller = model_of(nets[1], replace(SEEN, resize=48, crop=48), name="smaller")
    told, (judge, smaller_judge) = run(models[0], smaller)
    assert [(joint.stage, joint.into) for joint in told.joints[::2]] == [
        ("layer2", "layer1"), ("layer3", "layer2"), ("layer4", "layer3"),
    ]  # fmt: skip
    assert [(each.network, each.stage) for each in told.unmatched] == [(0, "layer1"), (1, "layer4")]
    assert "see different cuts" in told.notes[0]
    logits, rows = smaller_judge.of(0, 4)
    with torch.no_grad():
        wanted = nets[1](torch.stack([smaller.spec.preprocessing(opened(row)) for row in rows])).numpy()
    assert relative(logits, wanted) < 1e-3
    np.testing.assert_array_equal(rows, judge.of(0, 4)[1])


def test_a_network_of_labels_is_judged_by_whoever_calls(models):
    many = replace(models[1], spec=replace(models[1].spec, multilabel=True))
    truth = np.random.default_rng(1).integers(0, 2, (N, 5)).astype(bool)

    def judge(logits, rows):
        return Predictions.of(logits, tuple("abcde"), Outputs.MULTILABEL).correct(truth[rows])

    told, _ = run(many, many, judges=(judge, judge))
    assert all(joint.accuracy == joint.intact for joint in told.joints)
    keen, _ = run(many, many, judges=(lambda logits, rows: truth[rows].all(1) | True,) * 2)
    assert all(joint.accuracy.value == 1 for joint in keen.joints)


def test_trained_networks_keep_most_at_the_last_stage():
    models, sample = [zoo.load(f"{name}20-fashion") for name in ("resnet", "plain")], open_images("sample").sample(160)
    truth = labels.match_labels(models[0].spec, sample)

    def judge(logits, rows):
        return logits.argmax(1) == truth.truth(rows)

    told, _ = run(*models, Stitches(80, 80), sample, (judge, judge))
    last = told.joints[-2:]
    assert all(joint.accuracy.value > joint.intact.value - 0.1 for joint in last)
    assert all(0.4 < joint.explained < 0.9 for joint in last)
    assert all(joint.accuracy.value > 0.4 for joint in told.joints)


def test_results_can_be_written(models):
    told, _ = run(*models)
    content = json.loads(json.dumps(told.as_dict(), allow_nan=False))
    assert [each["stage"] for each in content["joints"][::2]] == [*STAGES]
    assert content["first"]["model"] == "one"
    table = told.table()
    assert len(table) == 8
    assert (table["low"] <= table["accuracy"]).all()
    assert (table["difference"] == table["accuracy"] - table["intact"]).all()


def test_nan_is_refused_with_the_network_that_makes_it(models):
    net = net_of(1)
    with torch.no_grad():
        net.layer3[0].bn2.bias[:] = torch.nan
    with pytest.raises(FeatureError, match="broken puts out NaN"):
        run(models[0], model_of(net, SEEN, name="broken"))


def test_a_network_without_a_classifier_is_refused(models):
    net = net_of(1)
    net.fc = nn.Identity()
    with pytest.raises(FeatureError, match="has no classifier"):
        run(models[0], model_of(net, SEEN))


def test_it_reports_as_it_goes_and_can_be_stopped(models):
    task = stitched(*models, images(), (Kept(), Kept()), FEW)
    assert next(task).total == N
    task.close()
    reports = []
    finish(stitched(*models, images(), (Kept(), Kept()), FEW), reports.append)
    assert {report.note for report in reports} == {"fitting", "solving", "counting"}
    done = [report.done / report.total for report in reports]
    assert done == sorted(done)
    assert max(done) <= 1
