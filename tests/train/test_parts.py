"""Which parts learn and how fast, and that a frozen part is as it was to the last bit, in every file."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from features.errors import FeatureError
from features.networks import zoo
from features.networks.architecture import cifar
from features.networks.canonical import build
from features.train import export
from features.train.parts import Parts
from features.train.recipe import Recipe
from features.train.start import Start
from tests.random_networks import randomise
from tests.train.runs import ONE_STEP, source, squares, trained

TWO = replace(ONE_STEP, epochs=2, batch_size=6, learning_rate=0.05)
PARTS = ("stem.", "stages.layer1.", "stages.layer2.", "stages.layer3.", "head.")


def parts(recipe: Recipe) -> Parts:
    return Parts(randomise(build(cifar(8, classes=3))), recipe)


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    """The parts of a network some tensor of which is another."""
    names = [name for name, tensor in before.items() if not torch.equal(tensor, after[name])]
    return {part for part in PARTS for name in names if name.startswith(part)}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("freeze", "learning"),
    [
        ("", {*PARTS}),
        ("stem,layer1", {"stages.layer2.", "stages.layer3.", "head."}),
        ("layer2", {*PARTS} - {"stages.layer2."}),  # through which gradients pass
        ("all-but-head", {"head."}),
        ("stem, layer1, layer2, layer3", {"head."}),
        ("head", {*PARTS} - {"head."}),
    ],
)
def test_a_frozen_part_is_bit_equal_in_weights_statistics_average_state_and_file(freeze, learning, tmp_path):
    start = Start.of(source())
    recipe = replace(TWO, freeze=freeze, ema_decay=0.9, held_back=0.34, keep="best", weight_decay=0.1)
    found = trained(tmp_path, recipe, start=start)
    before = start.source.network.state_dict()
    assert changed(before, found.network.state_dict()) == learning
    state = export.read_state(tmp_path / "run.pt")
    for kept in (state["network"], state["average"]["network"], state["best"]):
        assert changed(before, kept) == learning
    path = export.publish(found, start, squares(), "net", "CC0", tmp_path)
    assert changed(before, zoo.load(weights=path).network.state_dict()) == learning


@pytest.mark.usefixtures("here")
def test_what_is_unfrozen_later_is_frozen_until_then(tmp_path):
    start = Start.of(source())
    recipe = replace(TWO, epochs=3, freeze="all-but-head", unfreeze_epochs=1, warmup_epochs=0, schedule="constant")
    before, learned = start.source.network.state_dict(), []
    for epochs in (1, 2, 3):
        found = trained(tmp_path, replace(recipe, epochs=epochs), f"{epochs}.pt", start=start)
        learned.append(changed(before, found.network.state_dict()))
    assert learned == [{"head."}, {"stages.layer3.", "head."}, {"stages.layer2.", "stages.layer3.", "head."}]


def test_a_part_more_learns_every_so_many_epochs_the_last_one_first():
    made = parts(Recipe(freeze="all-but-head", unfreeze_epochs=2))
    assert [made.frozen_in(epoch) for epoch in (0, 1, 2, 4, 6, 8, 50)] == [
        ("stem", "layer1", "layer2", "layer3"),
        ("stem", "layer1", "layer2", "layer3"),
        ("stem", "layer1", "layer2"),
        ("stem", "layer1"),
        ("stem",),
        (),
        (),
    ]


def test_what_lies_before_the_first_learning_part_runs_without_a_graph():
    made = parts(Recipe(freeze="stem,layer1"))
    seen = {}
    for name, part in made.modules.items():
        part.register_forward_hook(lambda _, given, out, name=name: seen.update({name: out.requires_grad}))
    made.logits(torch.randn(2, 3, 12, 12))
    assert seen == {"stem": False, "layer1": False, "layer2": True, "layer3": True, "head": True}


def test_gradients_pass_a_frozen_part_that_others_stand_before():
    made = parts(Recipe(freeze="layer2"))
    made.logits(torch.randn(2, 3, 12, 12)).sum().backward()
    assert made.network.stem[0].weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in made.modules["layer2"].parameters())


def test_the_logits_are_those_of_the_network_whatever_is_frozen():
    pixels = torch.randn(3, 3, 12, 12)
    network = randomise(build(cifar(8, classes=3))).eval()
    wanted = network(pixels)
    made = Parts(network, Recipe(freeze="stem,layer1"))
    made.network.eval()
    torch.testing.assert_close(made.logits(pixels), wanted, rtol=0, atol=0)
    assert torch.equal(made.modules["head"].fc(made.features(pixels)), wanted)


@pytest.mark.usefixtures("here")
def test_frozen_statistics_stay_and_the_norms_weights_learn(tmp_path):
    start = Start.of(source())
    found = trained(tmp_path, replace(TWO, norm_statistics="frozen"), start=start)
    before, after = start.source.network.state_dict(), found.network.state_dict()
    kept = [name for name, _ in start.source.network.named_buffers()]
    assert kept
    assert all(torch.equal(before[name], after[name]) for name in kept)
    assert not torch.equal(before["stem.bn1.weight"], after["stem.bn1.weight"])


def test_each_stage_learns_at_its_share_of_the_next_ones_rate():
    made = parts(Recipe(learning_rate=0.1, stage_decay=0.5))
    rates = {id(parameter): group["lr"] for group in made.groups() for parameter in group["params"]}
    for depth, name in enumerate(("head", "layer3", "layer2", "layer1", "stem")):
        found = {rates[id(parameter)] for parameter in made.modules[name].parameters()}
        assert list(found) == pytest.approx([0.1 / 2**depth])


@pytest.mark.parametrize("architecture", [cifar(8), replace(cifar(8, "projection"), preactivation=True)])
def test_every_parameter_is_in_one_group(architecture):
    network = build(architecture)
    made = Parts(network, Recipe(stage_decay=0.5, weight_decay_on="weights"))
    grouped = [parameter for group in made.groups() for parameter in group["params"]]
    assert len(grouped) == len({*map(id, grouped)})  # norms of pre-activation are shared with their shortcuts
    assert {*map(id, grouped)} == {*map(id, network.parameters())}


def test_norms_and_biases_are_not_decayed_where_weights_alone_are():
    made = parts(Recipe(weight_decay=0.1, weight_decay_on="weights"))
    decays = {id(parameter): group["weight_decay"] for group in made.groups() for parameter in group["params"]}
    for module in made.network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            weight = isinstance(module, nn.Conv2d | nn.Linear) and name == "weight"
            assert decays[id(parameter)] == (0.1 if weight else 0.0)


def test_without_differences_all_parameters_are_one_group():
    (group,) = parts(Recipe()).groups()
    assert (group["lr"], group["weight_decay"]) == (0.1, 5e-4)


@pytest.mark.parametrize(
    ("freeze", "text"),
    [
        ("layer4", r"no part 'layer4' to freeze\. Its parts are stem, layer1, layer2, layer3, head"),
        ("stem,layer1,layer2,layer3,head", "Every part of the network is to be frozen"),
    ],
)
def test_parts_that_cannot_be_frozen_are_refused(freeze, text):
    with pytest.raises(FeatureError, match=text):
        parts(Recipe(freeze=freeze))
