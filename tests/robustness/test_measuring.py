"""Robustness of networks whose answers are known: what is counted, and errors as their paper defines them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from features.datasets import ImageSet
from features.errors import FeatureError
from features.networks import zoo
from features.networks.architecture import cifar
from features.networks.canonical import build, freeze
from features.networks.card import ModelSpec
from features.networks.preprocessing import Preprocessing
from features.progress import finish
from features.results import Provenance
from features.robustness import FAMILIES, NORMS, Attacked, Curve, Robustness, attacked, corrupted, robustness
from features.shares import Share
from tests.random_networks import randomise

SIDE = 16
PIXELS = Preprocessing(SIDE, SIDE, (0.5,) * 3, (0.5,) * 3)
NAMES = ("dark", "bright")


def images(number: int = 12) -> ImageSet:
    """Dark and bright noise by turns."""
    labels = np.arange(number) % 2
    random = np.random.default_rng(0)
    values = [random.integers(40 + 130 * label, 80 + 130 * label, (SIDE, SIDE, 3), np.uint8) for label in labels]
    ids = tuple(f"{index}.png" for index in range(number))
    return ImageSet("noise", ids, labels, NAMES, "0" * 64, lambda index: Image.fromarray(values[index]))


def model(**changes) -> zoo.Model:
    architecture = cifar(8, classes=2)
    network = freeze(randomise(build(architecture)))
    spec = ModelSpec("drawn", "", architecture, replace(PIXELS, **changes), NAMES, "", "")
    return zoo.Model(network, spec, "0" * 64)


def judging_brightness() -> zoo.Model:
    """A network that says 'bright' of what is brighter than the middle: its blocks hand on, its head compares."""
    made = model()
    network = build(made.spec.architecture)
    with torch.no_grad():
        for _, block in network.blocks():
            for layer in block.branch:
                if isinstance(layer, torch.nn.BatchNorm2d):
                    layer.weight.zero_()
                    layer.bias.zero_()
        network.stem.conv1.weight.zero_()
        network.stem.conv1.weight[0, :, 1, 1] = 1 / 3  # the mean over colours, where it is above 0
        network.stem.conv1.weight[1, :, 1, 1] = -1 / 3
        network.head.fc.weight.zero_()
        # Option A puts 8 and 16 zeros before the stem's channels.
        network.head.fc.weight[:, 24] = torch.tensor([-1.0, 1.0])
        network.head.fc.weight[:, 25] = torch.tensor([1.0, -1.0])
        network.head.fc.bias.zero_()
    return replace(made, network=freeze(network))


def told(clean: int, *errors: tuple[float, ...], seed: int = 0) -> Robustness:
    """Of 100 images, with so many right as they are, and so large a share wrong at every strength of each family."""
    curves = tuple(
        Curve(name, "", (1.0,) * 5, tuple(Share(round(100 * (1 - error)), 100) for error in each))
        for name, each in zip(FAMILIES, errors, strict=False)
    )
    return Robustness("net", Share(clean, 100), curves, seed, "by name", (), Provenance())


def test_what_no_corruption_changes_stays_right():
    result = finish(robustness(judging_brightness(), images()))
    assert result.clean == Share(12, 12)
    assert [curve.family for curve in result.curves] == list(FAMILIES)
    by_name = {curve.family: [share.hits for share in curve.shares] for curve in result.curves}
    for name in ("noise", "blur", "contrast", "jpeg"):  # which keep an image's mean brightness
        assert by_name[name] == [12] * 5
    assert result.curves[0].strengths == FAMILIES["noise"].small
    assert result.mean_error < 0.2


def test_the_corrupted_picture_is_the_one_that_the_network_is_shown():
    """Each count is that of a set of such pictures."""
    net, some = model(), images()
    result = finish(robustness(net, some, ["noise"]))
    for strength, share in zip(result.curves[0].strengths, result.curves[0].shares, strict=True):
        pixels = np.stack([net.spec.preprocessing.framed_array(some.open(row)) for row in range(len(some))])
        shown = torch.from_numpy(corrupted(pixels, FAMILIES["noise"], strength, some.ids))
        with torch.inference_mode():
            said = net.network(net.spec.preprocessing.scaled(shown)).argmax(1).numpy()
        assert share.hits == (said == some.labels).sum()


def test_an_image_is_corrupted_alike_in_every_subset():
    net, some = model(), images()
    whole = finish(robustness(net, some, ["noise", "shift"]))
    halves = [finish(robustness(net, some.take(rows), ["noise", "shift"])) for rows in (range(5), range(5, 12))]
    for number, curve in enumerate(whole.curves):
        hits = [sum(half.curves[number].shares[level].hits for half in halves) for level in range(5)]
        assert [share.hits for share in curve.shares] == hits


def test_corruption_errors_are_sums_over_a_baselines():
    net = told(90, (0.1, 0.2, 0.3, 0.4, 0.5), (0.2,) * 5)
    baseline = told(80, (0.4, 0.5, 0.6, 0.7, 0.8), (0.4,) * 5)
    assert net.corruption_errors(baseline) == pytest.approx({"noise": 1.5 / 3.0, "blur": 0.5})
    assert net.relative_errors(baseline) == pytest.approx({"noise": (1.5 - 0.5) / (3.0 - 1.0), "blur": 0.5 / 1.0})
    assert net.as_dict(baseline)["mean_corruption_error"] == pytest.approx(0.5)
    assert net.mean_error == pytest.approx((1.5 + 1.0) / 10)
    assert baseline.corruption_errors(baseline) == {"noise": 1, "blur": 1}


def test_without_a_baseline_errors_are_over_that_on_the_images_as_they_are():
    assert told(90, (0.2,) * 5).corruption_errors() == pytest.approx({"noise": 2})
    perfect = told(100, (0.2,) * 5)
    assert perfect.corruption_errors() == {"noise": None}
    assert perfect.as_dict()["mean_corruption_error"] is None


def test_errors_on_other_images_are_not_compared():
    with pytest.raises(FeatureError, match="Measure both on one set"):
        told(90, (0.2,) * 5).corruption_errors(told(90, (0.2,) * 5, seed=1))


def test_the_table_has_a_row_per_family_and_strength():
    table = told(90, (0.1, 0.2, 0.3, 0.4, 0.5)).table()
    assert table["accuracy"].tolist() == pytest.approx([0.9, 0.9, 0.8, 0.7, 0.6, 0.5])
    assert table["level"].tolist() == list(range(6))
    assert (table["low"] < table["accuracy"]).all()


@pytest.mark.parametrize("norm", NORMS)
def test_an_attack_of_radius_0_is_none_and_a_large_one_leaves_nothing_right(norm):
    result = finish(attacked(judging_brightness(), images(), norm, [0.0, 0.001, 40.0], steps=4))
    assert result.epsilons == (0.0, 0.001, 40.0)
    assert [share.hits for share in result.shares] == [12, 12, 0]


def test_an_attack_on_brightness_succeeds_where_the_brightness_is_crossed():
    """Noise is about 65 grey levels from the middle: a change by 40 does not cross it, one by 100 does."""
    result = finish(attacked(judging_brightness(), images(), "linf", [40 / 255, 100 / 255], steps=10))
    assert [share.hits for share in result.shares] == [12, 12, 0]


def test_an_attack_is_the_same_again():
    one, other = (finish(attacked(model(), images(), "l2", [0.5], steps=2)) for _ in range(2))
    assert one.shares == other.shares
    assert isinstance(one, Attacked)


def test_what_cannot_be_measured_is_refused_in_a_sentence():
    planes = replace(model().spec, preprocessing=Preprocessing(16, 16, (0.0,) * 5, (1.0,) * 5))
    with pytest.raises(FeatureError, match="sees 5 planes"):
        finish(robustness(replace(model(), spec=planes), images()))
    with pytest.raises(FeatureError, match=r"no corruption called 'fog'. Choose one of noise"):
        finish(robustness(model(), images(), ["fog"]))
    with pytest.raises(FeatureError, match="no norm of an attack called 'l1'"):
        finish(attacked(model(), images(), "l1"))
    with pytest.raises(FeatureError, match="one class each"):
        finish(attacked(replace(model(), spec=replace(model().spec, multilabel=True)), images()))
    with pytest.raises(FeatureError, match="radii above 0"):
        finish(attacked(model(), images(), "linf", [0.1], steps=0))
