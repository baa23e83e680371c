"""Hypotheses are run with as little as tells them apart, and told as if each had been run on all pictures."""

from dataclasses import replace

import pytest
import torch

from features.networks import fingerprint, hypotheses, trials
from features.networks.architecture import Architecture
from features.networks.canonical import build, freeze
from features.networks.settings import applied
from tests.networks.test_hypotheses import BOTTLENECK, given, photographs, rebuilt, trained_like
from tests.random_networks import randomise

pytestmark = pytest.mark.slow

SMALL = Architecture("bottleneck", (1, 1, 2, 2), (4, 4, 8, 8), (8, 12, 16, 24), "imagenet", 8, classes=3)
TWICE = (("strides", "1,2,1,1"), ("dilation", "1,1,2,4"))


@pytest.fixture(scope="module", params=[(), (("range", "signed"),), (("stride-at", "first"),)])
def judged(request):
    """What is assumed of a network, the network, what was tested on which pictures, and every run that this took."""
    truth, assumed = given(BOTTLENECK, request.param), given(BOTTLENECK)
    network = rebuilt(trained_like(truth.architecture, truth.preprocessing))(assumed.architecture)
    pictures, runs, run = photographs(8, seed=2), [], fingerprint.run

    def counted(network, pixels, best=None, begun=None):
        trace = run(network, pixels, best, begun)
        runs.append((network, len(pixels), float(pixels.double().sum()), trace.whole))
        return trace

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fingerprint, "run", counted)
        verdict = trials.judge(assumed, network, rebuilt(network), lambda field: True, pictures)
    return assumed, network, verdict, pictures, runs


def test_what_was_run_in_parts_is_told_as_if_it_had_been_run_on_all_pictures(judged):
    assumed, network, verdict, pictures, _ = judged
    for tested in verdict.structures:
        if tested.whole and "dilation" not in dict(tested.hypothesis.settings):  # of which two grids stand for all
            settings = (*verdict.pixels[0].hypothesis.settings, *tested.hypothesis.settings)
            taken = applied(assumed, settings)[0]
            batch = fingerprint.scaled_batch(pictures, taken.preprocessing)
            alone = fingerprint.run(rebuilt(network)(taken.architecture), batch)
            assert tested.nats == pytest.approx(alone.nats, rel=1e-3, abs=1e-6)


def test_nothing_that_fits_better_on_all_pictures_is_given_up(judged):
    assumed, network, verdict, pictures, _ = judged
    batch = fingerprint.scaled_batch(pictures, applied(assumed, verdict.pixels[0].hypothesis.settings)[0].preprocessing)
    every = {
        way: fingerprint.run(rebuilt(network)(applied(assumed, way.settings)[0].architecture), batch).nats
        for way in (hypotheses.AS_GIVEN, *hypotheses.structures_of(assumed, lambda field: True))
    }
    assert min(every.values()) == pytest.approx(verdict.nats, abs=1e-4)


def test_no_run_to_the_end_is_made_twice(judged):
    whole = [run[:3] for run in judged[-1] if run[3]]
    assert len(whole) == len(set(whole))


def test_a_dilated_network_has_the_maps_of_the_strided_one_and_of_its_rotation_on_grids_in_each_other():
    torch.manual_seed(0)
    network = freeze(randomise(build(SMALL)))
    dilated = applied(given(SMALL), TWICE)[0].architecture
    assert trials.is_dilated(SMALL, dilated)
    outputs = {}
    for name, each in (
        ("strided", network), ("dilated", rebuilt(network)(dilated)),
        ("rotated", fingerprint.rotate_kernels(rebuilt(network)(SMALL))),
    ):  # fmt: skip
        x = torch.randn(2, 12, 16, 16, generator=torch.Generator().manual_seed(0))  # what the second stage puts out
        x = fingerprint.rotated(x) if name == "rotated" else x
        for stage in list(each.stages.values())[2:]:
            x = stage(x)
        outputs[name] = x
    assert outputs["dilated"].shape == (2, 24, 16, 16)
    torch.testing.assert_close(outputs["strided"], outputs["dilated"][:, :, ::4, ::4])
    rotated = fingerprint.rotated(outputs["rotated"])
    torch.testing.assert_close(rotated, outputs["dilated"][:, :, 3::4, 3::4])


@pytest.mark.parametrize(
    "settings",
    [
        (("strides", "1,2,2,1"),),  # without dilation
        (("strides", "1,2,1,1"), ("dilation", "1,1,2,2")),
        (*TWICE, ("first-dilation", "own")),
        (*TWICE, ("stride-at", "first")),
        (*TWICE, ("antialias", "blur")),
    ],
)
def test_other_networks_are_no_dilated_ones(settings):
    assert not trials.is_dilated(SMALL, applied(given(SMALL), settings)[0].architecture)


def test_two_grids_tell_nearly_what_all_of_a_dilated_network_tell(monkeypatch):
    truth = replace(given(SMALL), preprocessing=replace(given(SMALL).preprocessing, resize=224, crop=224))
    network = trained_like(applied(truth, TWICE)[0].architecture, truth.preprocessing, 16)
    network = rebuilt(network)(SMALL)
    told = {}
    for least in (trials.LARGE, 10**6):  # by two grids, by all
        monkeypatch.setattr(trials, "LARGE", least)
        verdict = trials.judge(truth, network, rebuilt(network), lambda field: True, photographs(6, side=224))
        told[least] = next(each.nats for each in verdict.structures if each.hypothesis.settings == TWICE)
    assert told[28] == pytest.approx(told[10**6], rel=0.2, abs=0.001)


def test_further_images_and_places_are_those_of_one_norm():
    norm, x = torch.nn.BatchNorm2d(3), torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 + 1
    whole = fingerprint.observed(norm, x)
    images = fingerprint.observed(norm, x[:2]).with_images(fingerprint.observed(norm, x[2:]))
    places = fingerprint.observed(norm, x[:, :, :4]).with_places(fingerprint.observed(norm, x[:, :, 4:]))
    assert whole.nats == pytest.approx(images.nats, rel=1e-5)
    assert whole.nats == pytest.approx(places.nats, rel=1e-5)
