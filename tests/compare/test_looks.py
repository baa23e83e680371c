"""Where two networks look, against maps that are enlarged and ranked by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torchvision.models.resnet import BasicBlock

from features.compare import looks as module
from features.compare.looks import looks
from features.compare.sights import Settings
from features.datasets import ImageSet
from features.errors import DatasetError, FeatureError, ImageError
from features.networks.memory import model_of
from features.networks.preprocessing import Preprocessing
from features.progress import finish
from features.rasters import enlarge
from features.saliency import ClassTarget, Explainer, Tap
from tests.random_networks import Narrow, drawn

N = 10
PIXELS = np.random.default_rng(0).integers(0, 256, (N, 48, 48, 3), dtype=np.uint8)
NAMES = ("ant", "bee", "cow")


def images(pixels=PIXELS, bad=(), labels=None):
    def opened(number):
        if number in bad:
            raise ImageError("damaged")
        return Image.fromarray(pixels[number])

    ids = tuple(f"{number}.png" for number in range(len(pixels)))
    names = NAMES if labels is not None else ()
    return ImageSet("noise", ids, labels, names, "0" * 64, opened)


def model(seed, crop=48, classes=NAMES):
    net = drawn(Narrow, seed, block=BasicBlock, layers=[1, 1, 1, 1], num_classes=3)
    made = model_of(net, preprocessing=Preprocessing(48, crop, (0.5,) * 3, (0.25,) * 3))
    return replace(made, spec=replace(made.spec, class_names=classes, name=f"net {seed}"))


@pytest.fixture(scope="module")
def models():
    return model(0), model(1), model(1, crop=32)


@pytest.fixture(scope="module")
def told(models):
    return finish(looks(models[0], models[1], images(), range(N), Settings(stage="layer2")))


def maps_of(model, stage, rows=range(N)):
    pixels = torch.stack([model.spec.preprocessing.framed(Image.fromarray(PIXELS[row])) for row in rows])
    maps = Explainer(model).maps(pixels, [ClassTarget()] * len(pixels), taps=[Tap(stage)])
    return maps.maps[Tap(stage)], maps.logits.argmax(1)


def test_maps_are_compared_as_they_lie_over_the_picture(models, told):
    (one, said), (other, said_too) = (maps_of(each, "layer2") for each in models[:2])
    for row in range(N):
        first, second = (enlarge(values[row], (112, 112)).ravel() for values in (one, other))
        assert told.correlations[row] == pytest.approx(stats.spearmanr(first, second).statistic, abs=1e-4)
        top = [{*np.argsort(values)[-round(0.15 * 112**2) :].tolist()} for values in (first, second)]
        assert told.ious[row] == pytest.approx(len(top[0] & top[1]) / len(top[0] | top[1]), abs=0.01)
    np.testing.assert_array_equal(told.same_class, said == said_too)
    assert told.predicted[0] == tuple(NAMES[index] for index in said)


def test_networks_of_other_cuts_are_compared_in_what_both_see(models, monkeypatch):
    monkeypatch.setattr(module, "SIDE", 224)
    told = finish(looks(models[0], models[2], images(), range(N), Settings(stage="layer1")))
    (one, _), (other, _) = (maps_of(each, "layer1") for each in (models[0], models[2]))
    for row in range(N):
        whole = enlarge(one[row], (336, 336))[56:280, 56:280].ravel()  # the middle 32 of 48 pixels
        cut = enlarge(other[row], (224, 224)).ravel()
        assert told.correlations[row] == pytest.approx(stats.spearmanr(whole, cut).statistic, abs=1e-4)


def test_a_network_looks_where_it_looks_itself(models):
    told = finish(looks(models[0], models[0], images(), range(N)))
    np.testing.assert_allclose(told.correlations, 1)
    np.testing.assert_allclose(told.ious, 1)
    assert told.same_class.all()
    assert told.overall.correlation.value == pytest.approx(1)
    assert told.overall.chance_correlation < 0.9


def test_of_one_picture_many_times_chance_is_what_is_measured(models):
    same = images(np.repeat(PIXELS[:1], 5, axis=0))
    told = finish(looks(models[0], models[1], same, range(5)))
    np.testing.assert_allclose(told.chance_correlations, np.broadcast_to(told.correlations[:, None], (5, 4)), atol=1e-6)
    assert told.overall.beyond_correlation.value == pytest.approx(0, abs=1e-6)
    assert told.overall.beyond_iou.value == pytest.approx(0, abs=1e-6)


def test_chance_is_of_other_images_alone(models):
    one, other = (maps_of(each, "layer2", range(3))[0] for each in models[:2])
    told = finish(looks(models[0], models[1], images(PIXELS[:3]), range(3), Settings(stage="layer2")))
    for row in range(3):
        first = enlarge(one[row], (112, 112)).ravel()
        wanted = [
            stats.spearmanr(first, enlarge(other[at], (112, 112)).ravel()).statistic for at in range(3) if at != row
        ]
        np.testing.assert_allclose(np.sort(told.chance_correlations[row]), np.sort(wanted), atol=1e-4)


def test_a_map_that_is_the_same_everywhere_is_counted_and_compares_with_nothing(models):
    blind = model(2)
    with torch.no_grad():
        blind.network.classifier.weight.zero_()
    told = finish(looks(models[0], blind, images(), range(N)))
    assert told.n_constant == (0, N)
    assert np.isnan(told.correlations).all()
    assert np.isnan(told.ious).all()
    assert len(told.differing) == 0
    content = json.loads(json.dumps(told.as_dict(), allow_nan=False))
    assert content["overall"]["iou"] == {"value": None, "low": None, "high": None, "n": 0}
    assert content["n_constant_beside"] == N


def test_images_on_which_they_agree_are_ordered_by_how_little_the_maps_do(told):
    alike = told.correlations[told.differing]
    assert told.same_class[told.differing].all()
    assert len(alike) == told.same_class.sum()
    assert (np.diff(alike) >= 0).all()
    assert told.as_dict()["differing"] == [told.ids[row] for row in told.differing]


def test_classes_are_those_of_the_labels(models):
    labels = np.arange(N) % 3
    told = finish(looks(models[0], models[1], images(labels=labels), range(N)))
    assert [(each.name, each.n_images) for each in told.by_class] == [("ant", 4), ("bee", 3), ("cow", 3)]
    assert told.by_class[1].correlation.value == pytest.approx(told.correlations[labels == 1].mean())
    assert told.by_class[1].n_same_class == told.same_class[labels == 1].sum()
    assert told.class_table()["iou value"].tolist() == pytest.approx([told.ious[labels == k].mean() for k in range(3)])
    assert told.table()["label"].tolist() == [NAMES[label] for label in labels]


def test_the_same_class_is_known_by_the_labels_whatever_networks_call_it(models):
    other = replace(models[0], spec=replace(models[0].spec, class_names=("Ant ", "BEE", "cow")))
    told = finish(looks(models[0], other, images(labels=np.arange(N) % 3), range(N)))
    assert told.same_class.all()


def test_the_true_class_can_be_explained(models):
    labels = np.arange(N) % 3
    told = finish(looks(models[0], models[1], images(labels=labels), range(N), Settings(of="true", stage="layer2")))
    pixels = torch.stack([models[0].spec.preprocessing.framed(Image.fromarray(each)) for each in PIXELS])
    taps = [Tap("layer2")]
    one, other = (
        Explainer(each).maps(pixels, [ClassTarget(int(label)) for label in labels], taps=taps).maps[taps[0]]
        for each in models[:2]
    )
    wanted = stats.spearmanr(*(enlarge(each[4], (112, 112)).ravel() for each in (one, other))).statistic
    assert told.correlations[4] == pytest.approx(wanted, abs=1e-4)
    with pytest.raises(DatasetError, match="no labels"):
        finish(looks(models[0], models[1], images(), range(N), Settings(of="true")))


def test_a_part_of_many_images_is_drawn_and_told(models):
    labels = np.arange(N) % 2
    settings = Settings(n_images=4)
    told = finish(looks(models[0], models[1], images(labels=labels), range(2, N), settings))
    assert (len(told), told.n_asked) == (4, 8)
    assert [*told.ids] == [f"{row}.png" for row in told.rows]
    assert (told.rows >= 2).all()
    assert [each.n_images for each in told.by_class] == [2, 2]
    again = finish(looks(models[0], models[1], images(labels=labels), range(2, N), settings))
    np.testing.assert_array_equal(again.correlations, told.correlations)


def test_images_that_cannot_be_read_are_left_out_and_told(models):
    told = finish(looks(models[0], models[1], images(bad={3}), range(N)))
    assert (len(told), [each.id for each in told.rejected]) == (N - 1, ["3.png"])
    assert 3 not in told.rows
    with pytest.raises(DatasetError, match="None of the 1 images"):
        finish(looks(models[0], models[1], images(bad={3}), [3]))


def test_one_image_has_no_chance_beside_it(models):
    told = finish(looks(models[0], models[1], images(), [5]))
    assert told.chance_ious.shape == (1, 0)
    json.dumps(told.as_dict(), allow_nan=False)


def test_maps_of_pixels_are_compared_too(models):
    told = finish(looks(models[0], models[0], images(), [5, 6], Settings(method="occlusion")))
    np.testing.assert_allclose(told.correlations, 1)
    assert told.provenance[0].settings["stage"] == "input"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(method="ledger"), "no map that can be compared"),
        (Settings(method="gaze"), "gaze"),
        (Settings(of="likely"), "predicted or true"),
        (Settings(stage="layer9"), "layer9"),
    ],
)
def test_settings_that_cannot_be_are_refused(models, settings, said):
    with pytest.raises(FeatureError, match=said):
        finish(looks(models[0], models[1], images(), range(N), settings))
