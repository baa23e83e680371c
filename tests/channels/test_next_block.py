"""Who reads a channel, by weights that are folded by hand and by what the network computes."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from features import channels, residual
from features.errors import FeatureError
from features.networks import architecture, canonical
from features.progress import finish
from tests.channels.made import drawn_model, model_of
from tests.networks.unusual import BASIC
from tests.random_networks import randomise


def by_hand(conv, norm):
    """(O, C) norms of a convolution's weights times the norm's scale, of one group."""
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()  # (O,)
    return (conv.weight * scale[:, None, None, None]).square().sum((2, 3)).sqrt().numpy()


def test_norms_are_those_of_the_weights_with_the_norm_behind_them_folded_in():
    model = drawn_model(architecture.cifar(8, "projection"))
    made = channels.readers(model, "layer1")
    blocks = dict(model.network.blocks())
    branch, projection = blocks["layer2.0"].branch, blocks["layer2.0"].shortcut
    np.testing.assert_allclose(made.branch, by_hand(branch.conv1, branch.bn1), rtol=1e-4)
    np.testing.assert_allclose(made.projection, by_hand(projection[0], projection[1]), rtol=1e-4)
    wanted = np.sqrt(np.square(made.branch).sum(0) + np.square(made.projection).sum(0))
    np.testing.assert_allclose(made.strengths, wanted, rtol=1e-5)
    assert (made.layer, made.block, made.shortcut) == ("layer1.0", "layer2.0", "projection")
    assert (made.passed == -1).all()
    order, norms = made.of(3, 5)
    assert order.tolist() == np.argsort(-made.branch[:, 3])[:5].tolist()
    np.testing.assert_array_equal(norms, made.branch[order, 3])


def test_channels_of_other_groups_are_not_read():
    conv = nn.Conv2d(8, 12, 3, padding=1, groups=4, bias=False)
    branch = nn.Sequential(OrderedDict(conv1=randomise(conv), conv2=nn.Conv2d(12, 8, 1)))
    block = canonical.ResidualBlock(nn.Identity(), branch, nn.ReLU())
    network = canonical.ResidualNetwork(
        nn.Sequential(nn.Conv2d(3, 8, 1)), {"layer1": [block]}, canonical.make_head(nn.Linear(8, 2))
    )
    made = channels.readers(model_of(canonical.freeze(network), BASIC), "stem")
    assert made.branch.shape == (12, 8)
    x = torch.rand(1, 8, 6, 6)
    with torch.no_grad():
        for channel in range(8):
            other = x.clone()
            other[:, channel] += 1
            changed = (conv(other) - conv(x)).abs().amax((0, 2, 3)).numpy() > 1e-5
            np.testing.assert_array_equal(made.branch[:, channel] > 0, changed)


@pytest.mark.parametrize(("kind", "passed"), [("identity", 0), ("padding", 8)])
def test_shortcuts_without_weights_hand_a_channel_on(kind, passed):
    depth = 14 if kind == "identity" else 8
    made = channels.readers(drawn_model(architecture.cifar(depth)), "layer1.0")
    assert made.shortcut == kind
    assert made.projection is None
    np.testing.assert_array_equal(made.passed, np.arange(16) + passed)


def test_what_nothing_reads_has_no_strength():
    model = drawn_model(architecture.cifar(8, "projection"))
    block = dict(model.network.blocks())["layer2.0"]
    with torch.no_grad():
        block.branch.conv1.weight[:, 5] = 0
        block.shortcut[0].weight[:, 5] = 0
    strengths = channels.readers(model, "layer1.0").strengths
    assert np.flatnonzero(strengths == 0).tolist() == [5]


def test_the_last_layer_is_read_by_the_head_alone():
    model = drawn_model(BASIC)
    with pytest.raises(FeatureError, match="read by the head"):
        channels.readers(model, model.network.stage_names[-1])
    with pytest.raises(FeatureError, match="no layer layer9"):
        channels.readers(model, "layer9")
    with pytest.raises(FeatureError, match="channels from 0 to 7, but got 8"):
        channels.readers(model, "stem").of(8)


@pytest.mark.parametrize(("kind", "layer", "without"), [
    ("padding", "layer1.0", "layer2.0"), ("none", "layer1.0", "layer2.0"), ("padding", "stem", "layer1.0"),
])  # fmt: skip
def test_a_block_that_was_left_out_reads_nothing(kind, layer, without):
    intact = drawn_model(architecture.cifar(8, kind))
    model = residual.lesioned(intact, residual.without(without))
    assert channels.reader_of(intact, layer) == without
    assert channels.reader_of(model, layer) is None
    assert channels.reader_of(intact, "layer3") is None
    with pytest.raises(FeatureError, match=f"No convolution of {without} reads {layer}: its branch has been left out"):
        channels.readers(model, layer)


def test_a_projection_still_reads_where_the_branch_beside_it_was_left_out():
    intact = drawn_model(architecture.cifar(8, "projection"))
    made = channels.readers(residual.lesioned(intact, residual.without("layer2.0")), "layer1.0")
    whole = channels.readers(intact, "layer1.0")
    np.testing.assert_array_equal(made.projection, whole.projection)
    np.testing.assert_allclose(made.strengths, np.sqrt(np.square(whole.projection, dtype=np.float64).sum(0)))
    assert made.branch.shape == (0, 16)
    assert made.of(3)[0].tolist() == []


@pytest.mark.parametrize("kind", ["padding", "projection", "none"])
@pytest.mark.parametrize("block", ["layer1.0", "layer2.0", "layer3.0"])
def test_all_that_is_told_of_channels_is_told_of_a_network_with_a_lesion(kind, block, tiny_images):
    model = residual.lesioned(drawn_model(architecture.cifar(8, kind), 32), residual.without(block))
    told = finish(channels.responses(model, tiny_images, ["stem", "layer1", "layer2", "layer3"], 2))
    for layer in told.layers:
        known = channels.evidence(told, model, layer.name)
        assert channels.RANKINGS["mean"].of(known).values.shape == (layer.n_channels,)
        assert len(channels.excitations(model, tiny_images, layer.name, layer.top, 1)) == 2
        assert channels.RANKINGS["read"].can_rank(known) == (channels.reader_of(model, layer.name) is not None)
    assert finish(channels.sweep(model, tiny_images, block, [0])).agreement.shape == (1,)
    assert channels.without(model, block, [0]).variant == f"without {block}, without channel 0 of {block}"
