"""Maps of one picture: the network's own, parts that add up, and evidence equal to autograd's."""

import numpy as np
import pytest
import torch
from PIL import Image

from features import channels
from features.channels.maps import ORDERS, PARTS
from features.errors import FeatureError
from features.networks import architecture
from tests.channels.made import drawn_model
from tests.networks.unusual import BASIC, BOTTLENECK, PREACTIVATION, UNUSUAL

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
PICTURE = Image.fromarray(PIXELS)
NETWORKS = {
    "basic": BASIC,
    "bottleneck": BOTTLENECK,
    "pre-activation": PREACTIVATION,
    **{
        name: UNUSUAL[name]
        for name in (
            "plain",
            "zeros on both sides",
            "SiLU",
            "squeeze-and-excitation",
            "group norms",
            "maxima",
            "one logit",
            "head of two layers",
            "layer norm before the head",
            "activation before the head",
        )
    },
}
of_every_network = pytest.mark.parametrize("network", NETWORKS)


def parts_of(model, layer):
    """The block's shortcut, branch and output in the network itself, (C, H, W) each."""
    with torch.no_grad():
        x = model.network.stem(model.spec.preprocessing(PICTURE)[None])
        for name, block in model.network.blocks():
            shortcut, branch = block.parts(x)
            x = block(x)
            if name == layer:
                return shortcut[0].numpy(), branch[0].numpy(), x[0].numpy()
    raise KeyError(layer)


def by_autograd(model, layer, part, index):
    """(C,): the sum over positions of value times gradient, by PyTorch's graph of the plain network."""
    network = model.network
    with torch.enable_grad():
        x = network.stem(model.spec.preprocessing(PICTURE)[None])
        if layer == channels.STEM:
            x = chosen = x.detach().requires_grad_()
        for name, block in network.blocks():
            if name != layer:
                x = block(x)
                continue
            shortcut, branch = (each.detach().requires_grad_() for each in block.parts(x))
            total = shortcut + branch
            x = block.activation(total)
            chosen = {"shortcut": shortcut, "branch": branch, "sum": total, "output": x}[part]
            chosen.retain_grad()
        logits = network.head(x)[0]
        if len(logits) == 1:
            logits = torch.stack([-logits[0], logits[0]])
        logits[index].backward()
    return (chosen.grad * chosen.detach())[0].sum((1, 2)).numpy()


@of_every_network
def test_branch_and_shortcut_are_the_block_s_and_add_up_to_the_sum(network):
    model = drawn_model(NETWORKS[network])
    made = {part: channels.feature_maps(model, PICTURE, "layer2.0", part).values for part in PARTS}
    shortcut, branch, output = parts_of(model, "layer2.0")
    for part, wanted in (("shortcut", shortcut), ("branch", branch), ("sum", shortcut + branch), ("output", output)):
        np.testing.assert_allclose(made[part], wanted, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(made["branch"] + made["shortcut"], made["sum"], rtol=1e-6, atol=1e-6)


def test_every_layer_s_maps_are_the_network_s_own():
    model = drawn_model(BOTTLENECK)
    with torch.no_grad():
        wanted = dict(model.network.trunk(model.spec.preprocessing(PICTURE)[None], blocks=True))
    for layer, values in wanted.items():
        made = channels.feature_maps(model, PICTURE, layer)
        np.testing.assert_allclose(made.values, values[0].numpy(), rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(made.maxima, made.values.reshape(len(made.values), -1).max(1))


@of_every_network
@pytest.mark.parametrize("part", PARTS)
def test_evidence_is_gradient_times_value_as_autograd_has_it(network, part):
    model = drawn_model(NETWORKS[network])
    for layer in ("layer1.0", "layer2.1" if network != "bottleneck" else "layer2.0"):
        made = channels.feature_maps(model, PICTURE, layer, part, channels.Logit(1))
        wanted = by_autograd(model, layer, part, 1)
        np.testing.assert_allclose(made.evidence, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())


def test_the_stem_s_evidence_is_autograd_s_too():
    model = drawn_model(BASIC)
    made = channels.feature_maps(model, PICTURE, "stem", logit=channels.Logit(2))
    wanted = by_autograd(model, "stem", "output", 2)
    np.testing.assert_allclose(made.evidence, wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("network", ["basic", "bottleneck", "SiLU"])
def test_in_the_last_stage_it_is_what_each_channel_adds_to_the_logit(network):
    model = drawn_model(NETWORKS[network])
    wanted = channels.of_picture(model, PICTURE)
    for index in range(5):
        made = channels.feature_maps(model, PICTURE, "layer2", logit=channels.Logit(index))
        np.testing.assert_allclose(made.evidence, wanted.values[index], rtol=1e-4, atol=1e-5)
        assert made.score == pytest.approx(wanted.logits[index], rel=1e-4, abs=1e-4)
    pair = channels.feature_maps(model, PICTURE, "layer2", logit=channels.Logit(3, 1))
    np.testing.assert_allclose(pair.evidence, wanted.values[3] - wanted.values[1], rtol=1e-4, atol=1e-5)
    assert pair.score == pytest.approx(wanted.logits[3] - wanted.logits[1], rel=1e-4, abs=1e-4)
    assert pair.logit == "3 against 1"


def test_evidence_of_branch_and_shortcut_add_up_to_that_of_the_sum():
    model, made = drawn_model(PREACTIVATION), {}
    for part in ("branch", "shortcut", "sum"):
        made[part] = channels.feature_maps(model, PICTURE, "layer2.0", part, channels.Logit()).evidence
    np.testing.assert_allclose(made["branch"] + made["shortcut"], made["sum"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("index", "against"), [(0, None), (1, None), (1, 0), (0, 1)])
def test_one_logit_speaks_for_the_second_class_and_against_the_first(index, against):
    model = drawn_model(UNUSUAL["one logit"])
    made = channels.feature_maps(model, PICTURE, "layer1.0", logit=channels.Logit(index, against))
    wanted = ((1 if index else -1) * (1 if against is None else 2)) * by_autograd(model, "layer1.0", "output", 1)
    np.testing.assert_allclose(made.evidence, wanted, rtol=1e-3, atol=1e-5)


def test_the_predicted_class_is_taken_where_none_is_named():
    model = drawn_model(BASIC)
    likeliest = int(channels.of_picture(model, PICTURE).logits.argmax())
    assert channels.feature_maps(model, PICTURE, "layer2", logit=channels.Logit()).logit == str(likeliest)


def test_each_order_has_every_channel_once_and_begins_with_its_largest():
    made = channels.feature_maps(drawn_model(BASIC), PICTURE, "layer2.0", "branch", channels.Logit(0))
    largest = {
        "maximum": made.values.max((1, 2)),
        "mean": np.abs(made.values).mean((1, 2)),
        "evidence": made.evidence,
        "against": -made.evidence,
        "index": -np.arange(16),
    }
    assert {*largest} == {*ORDERS}
    for name, key in largest.items():
        order = made.order(name)
        assert sorted(order) == list(range(16))
        assert (np.diff(key[order]) <= 0).all()


def test_the_table_has_a_row_for_each_channel_and_evidence_where_a_class_was_asked_for():
    model = drawn_model(BASIC)
    made = channels.feature_maps(model, PICTURE, "layer2", logit=channels.Logit(1))
    table = made.table()
    assert list(table) == ["layer", "part", "channel", "maximum", "minimum", "mean", "evidence"]
    assert table["maximum"][3] == made.need(3).max()
    assert "evidence" not in channels.feature_maps(model, PICTURE, "layer2").table()


def test_what_does_not_exist_is_refused():
    model = drawn_model(BASIC)
    plain = channels.feature_maps(model, PICTURE, "layer2")
    with pytest.raises(FeatureError, match="stem has no branch, only an output"):
        channels.feature_maps(model, PICTURE, "stem", "branch")
    with pytest.raises(FeatureError, match="no part of a block called 'twig'"):
        channels.feature_maps(model, PICTURE, "layer2", "twig")
    with pytest.raises(FeatureError, match="no layer layer9"):
        channels.feature_maps(model, PICTURE, "layer9")
    with pytest.raises(FeatureError, match="classes from 0 to 4, but got 5"):
        channels.feature_maps(model, PICTURE, "layer2", logit=channels.Logit(5))
    with pytest.raises(FeatureError, match="set against itself"):
        channels.feature_maps(model, PICTURE, "layer2", logit=channels.Logit(1, 1))
    with pytest.raises(FeatureError, match="No class was asked for"):
        plain.order("evidence")
    with pytest.raises(FeatureError, match="from 0 to 15, but got 16"):
        plain.need(16)
    with pytest.raises(FeatureError, match="no classifier"):
        channels.feature_maps(
            drawn_model(architecture.cifar(8, classes=None)), PICTURE, "layer2", logit=channels.Logit()
        )


def test_networks_without_a_classifier_have_maps_too():
    model = drawn_model(architecture.cifar(8, classes=None))
    assert channels.feature_maps(model, PICTURE, "layer2").evidence is None
