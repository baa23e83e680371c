"""The choices that leave no trace: each is a field, an option, and a difference in what is computed alone."""

from dataclasses import fields, replace

import pytest
import torch

from features.errors import FeatureError
from features.networks.architecture import Architecture, cifar
from features.networks.canonical import build, published_name
from features.networks.catalogue import TORCHVISION
from features.networks.choices import BY_FIELD, CHOICES, Choice
from tests.networks.unusual import BASIC, BOTTLENECK, UNUSUAL
from tests.random_networks import randomise


def test_every_choice_is_a_field_of_the_architecture_with_an_option_of_its_own():
    names = {field.name for field in fields(Architecture)}
    assert {choice.field for choice in CHOICES} <= names
    assert len({choice.option for choice in CHOICES}) == len(CHOICES)
    assert all(choice.option.startswith("--") and choice.meaning.endswith(".") for choice in CHOICES)


@pytest.mark.parametrize("architecture", [*UNUSUAL.values(), TORCHVISION["resnet50"], cifar(20)])
def test_what_a_network_has_can_be_written_and_read_back(architecture):
    for choice in CHOICES:
        if choice.matters(architecture) and (not choice.values or choice.value(architecture) in choice.values):
            assert choice.chosen(architecture, choice.value(architecture)) == architecture


def pairs() -> list[tuple[Architecture, Choice, Architecture]]:
    """(network, choice, the network with another value of it), for some networks in which the choice matters."""
    bases = [BASIC, BOTTLENECK, replace(BASIC, shortcut="padding"), replace(BASIC, preactivation=True)]
    bases += [replace(BASIC, norm="group", norm_groups=4), replace(BASIC, head_widths=(12,))]
    bases += [UNUSUAL["widened by the last convolution"]]
    # Of head_start, one of the two norms is taken into a linear layer.
    choices = [choice for choice in CHOICES if choice.field != "head_start"]
    return [(base, choice, other) for base in bases for choice in choices for other in choice.others(base)]


@pytest.mark.parametrize(("base", "choice", "other"), pairs(), ids=lambda each: getattr(each, "field", ""))
@torch.inference_mode()
def test_a_choice_leaves_the_tensors_as_they_are_and_changes_what_is_computed(base, choice, other):
    one, two = (randomise(build(each)).eval() for each in (base, other))
    tensors = [{published_name(name): tensor for name, tensor in each.state_dict().items()} for each in (one, two)]
    assert {name: tensor.shape for name, tensor in tensors[0].items()} == {
        name: tensor.shape for name, tensor in tensors[1].items()
    }
    one.load_state_dict({name: tensors[1][published_name(name)] for name in one.state_dict()})
    x = torch.randn(1, 3, 17, 17, generator=torch.Generator().manual_seed(0))
    # At odd sides pools differ at the border.
    x = x * 20 if "relu6" in (other.activation, other.head_activation) else x
    assert not torch.allclose(one(x), two(x), rtol=1e-3, atol=1e-3), choice.field


def test_every_choice_with_values_is_among_those_that_were_tried():
    tried = {choice.field for _, choice, _ in pairs()}
    assert tried == {choice.field for choice in CHOICES if choice.values} - {"first_dilation", "head_start", "scalars"}


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("stride_at", "end", "--stride-at is 'end'. Wanted one of middle, first, last"),
        ("strides", "a,b", "--strides is 'a,b'. Wanted whole numbers, as 1,2,2,1"),
        ("strides", "1,2,2", "strides was"),
        ("dilations", "1,0", "dilations was"),
        ("shortcut_padding", "end", "--shortcut-padding changes nothing"),
        ("norm_groups", "8", "--norm-groups changes nothing"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_what_does(field, text, words):
    with pytest.raises(FeatureError, match=words):
        BY_FIELD[field].chosen(BOTTLENECK, text)


@pytest.mark.parametrize(("name", "architecture"), UNUSUAL.items())
def test_whatever_is_not_usual_is_told(name, architecture):
    usual = replace(BASIC if architecture.block == "basic" else BOTTLENECK, preactivation=False)
    assert architecture.describe() != usual.describe(), name


def test_of_a_usual_network_nothing_is_told_beside_its_shapes():
    assert TORCHVISION["resnet50"].describe() == (
        "bottleneck blocks 3-4-6-3, inner channels 64-128-256-512, output channels 256-512-1024-2048, imagenet stem "
        "3->64, shortcut 'projection', 1000 classes"
    )


SMALL_STEM = replace(TORCHVISION["resnet18"], stem="cifar")


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (SMALL_STEM, ["--stem-pool max"]),
        (replace(SMALL_STEM, stem_pool="max"), []),
        (TORCHVISION["resnet18"], []),
        (TORCHVISION["resnet50"], ["--stride-at first"]),
        (replace(TORCHVISION["resnet50"], stride_at="first"), []),
        (TORCHVISION["resnext50_32x4d"], []),
        (replace(TORCHVISION["resnet50"], preactivation=True), []),
        (cifar(20), ["--shortcut-padding end"]),
        (cifar(20, "projection"), []),
        (replace(BASIC, preactivation=True), ["--shortcut-from input"]),
        (replace(BASIC, norm="group", norm_groups=4), ["--standardised yes"]),
    ],
)
def test_what_many_networks_of_the_same_tensors_have_otherwise_is_told_with_the_option_that_says_it(network, told):
    doubts = [doubt for choice in CHOICES if choice.matters(network) and (doubt := choice.doubt(network))]
    assert [doubt.rpartition("(")[2].rstrip(")") for doubt in doubts] == told
    for doubt in doubts:
        option, value = doubt.rpartition("(")[2].rstrip(")").split()
        (choice,) = (choice for choice in CHOICES if choice.option == option)
        assert choice.chosen(network, value) in choice.others(network)
        assert choice.values[value] in doubt
