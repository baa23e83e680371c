"""Which stages are stitched, over how many images, and what that costs."""

import pytest
import torch
from torchvision.models.resnet import BasicBlock, ResNet, resnet50

from features.compare.stitching import Stitches, planned
from features.compare.stitching.planning import BOUNDED, LEAST, LEAST_TOLD, MOST
from features.errors import FeatureError
from features.networks import catalogue, zoo
from features.networks.canonical import canonical
from features.networks.memory import model_of
from features.networks.preprocessing import Preprocessing
from features.shares import Share
from tests.random_networks import Narrow, drawn


def narrow(side, layers=(1, 1, 1, 1)):
    net = drawn(Narrow, block=BasicBlock, layers=[*layers], num_classes=3)
    return model_of(net, Preprocessing(side, side, (0.5,) * 3, (0.25,) * 3), name=f"narrow at {side}")


@pytest.fixture(scope="module")
def two_resnet50s():
    with torch.device("meta"):
        network = canonical(resnet50(weights=None))
    model = zoo.Model(network, catalogue.spec("resnet50"), "0" * 64)
    return model, model


def test_two_resnet50s_on_1000_images_cost_an_eighth_of_running_them(two_resnet50s):
    plan = planned(*two_resnet50s, 1000)
    alone = 4_089_184_256  # multiply-adds of torchvision's table, 4.09 G
    assert plan.forward == 2 * alone
    assert 0.1 < plan.macs / (1000 * plan.forward) < 0.13
    assert 25 <= plan.n_fitted <= 60
    assert 20 <= plan.n_told <= 60
    assert [each.resolution for each in plan.partners] == [(56, 56), (28, 28), (14, 14), (7, 7)]
    assert [each.widths for each in plan.partners] == [(256,) * 2, (512,) * 2, (1024,) * 2, (2048,) * 2]
    assert plan.partners[-1].tails[0] == 2048 * 1000  # the classifier


def test_more_images_are_stitched_of_a_larger_set_up_to_a_limit(two_resnet50s):
    few, many, most = (planned(*two_resnet50s, n) for n in (BOUNDED, 5000, 1_000_000))
    assert few.n_fitted < many.n_fitted
    assert few.n_told < many.n_told
    assert (most.n_fitted, most.n_told) == (MOST, MOST)


@pytest.mark.parametrize("n", [200, 500, BOUNDED - 1])
def test_of_a_small_set_enough_are_counted_and_the_fit_is_determined(two_resnet50s, n):
    plan = planned(*two_resnet50s, n)
    assert plan.n_told == LEAST_TOLD
    assert plan.n_fitted == min(84, 0.4 * n)  # of 7 x 7 positions: 2 * 2,049 / 49
    low, high = Share(LEAST_TOLD // 2, LEAST_TOLD).interval
    assert high - low < 0.2


def test_why_so_many_are_stitched_is_told(two_resnet50s):
    (note,) = planned(*two_resnet50s, 200).notes
    assert note.startswith("Of 200 images, maps are fitted on 80 and counted on 100 others: 200% of the multiply-adds")
    (note,) = planned(*two_resnet50s, 1000).notes
    assert "so few that intervals are wide: as many as cost 12% of running both networks over all." in note
    (note,) = planned(*two_resnet50s, 60).notes
    assert "fitted on 24 and counted on 36 others, which are all there are" in note
    assert planned(*two_resnet50s, 200, Stitches(n_fitted=20, n_told=30)).notes == ()


def test_small_networks_are_stitched_on_more_images():
    plan = planned(narrow(32), narrow(32), 1000)
    assert (plan.n_fitted, plan.n_told) == (400, MOST)


@pytest.mark.parametrize("n", [3, 4, 10, 25])
def test_of_a_small_set_all_images_are_used(n):
    plan = planned(narrow(32), narrow(32), n)
    assert plan.n_fitted + plan.n_told == n
    assert plan.n_fitted >= LEAST


def test_numbers_that_were_asked_for_are_kept():
    plan = planned(narrow(32), narrow(32), 100, Stitches(n_fitted=7, n_told=90))
    assert (plan.n_fitted, plan.n_told) == (7, 90)


@pytest.mark.parametrize("settings", [Stitches(n_fitted=1), Stitches(n_told=0), Stitches(60, 60)])
def test_numbers_that_cannot_be_are_refused(settings):
    with pytest.raises(FeatureError, match="Wanted at least 2 and 1, together no more than there are"):
        planned(narrow(32), narrow(32), 100, settings)
    with pytest.raises(FeatureError, match="of 2 images"):
        planned(narrow(32), narrow(32), 2)


def test_stages_are_matched_by_the_size_of_their_maps_and_those_alone_are_told():
    """At 48 px the sides are 12, 6, 3, 2, at 32 px 8, 4, 2, 1."""
    plan = planned(narrow(48), narrow(32), 100)
    assert [(each.stages, each.resolution) for each in plan.partners] == [(("layer4", "layer3"), (2, 2))]
    assert [(each.network, each.stage) for each in plan.unmatched] == [
        (0, "layer1"), (0, "layer2"), (0, "layer3"), (1, "layer1"), (1, "layer2"), (1, "layer4"),
    ]  # fmt: skip
    assert plan.unmatched[0].reason == "no stage of the other network has maps of 12 x 12"


def test_of_several_stages_of_one_size_the_first_goes_with_the_first():
    class Dilated(ResNet):
        def __init__(self):
            super().__init__(BasicBlock, [1, 1, 1, 1], 3)
            for layer in (self.layer3[0].conv1, self.layer3[0].downsample[0]):
                layer.stride = (1, 1)

    dilated = model_of(drawn(Dilated), Preprocessing(64, 64, (0.5,) * 3, (0.25,) * 3))
    plan = planned(dilated, narrow(64), 100)
    assert [each.stages for each in plan.partners] == [("layer1",) * 2, ("layer2",) * 2, ("layer4", "layer3")]
    assert [(each.network, each.stage, each.reason) for each in plan.unmatched] == [
        (0, "layer3", "the other network has fewer stages with maps of 8 x 8"),
        (1, "layer4", "no stage of the other network has maps of 2 x 2"),
    ]


def test_networks_without_maps_of_one_size_are_refused():
    with pytest.raises(FeatureError, match=r"No stage of narrow at 96 \(layer1 24 x 24, .*\) has maps as large as"):
        planned(narrow(96), narrow(64), 100)
