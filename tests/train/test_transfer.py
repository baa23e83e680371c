"""What a training takes over from weights that exist, and what it says of their head."""

from dataclasses import replace

import pytest
import torch

from features.errors import FeatureError
from features.networks.architecture import cifar
from features.networks.canonical import ResidualNetwork
from features.train.heads import HEADS
from features.train.start import Start
from tests.train.runs import NAMES, source, squares

SOFTMAX, LOGIT, LABELS = HEADS.values()


def begun(start: Start, names: tuple[str, ...] = NAMES, head=SOFTMAX) -> tuple[ResidualNetwork, str]:
    shape = start.shape(start.preprocessing(squares()), head, names)
    found = start.network(shape, head, names, seed=3)
    return found.network, found.told


def rows(network: ResidualNetwork) -> torch.Tensor:
    """(K, D + 1) the classifier's weights and bias."""
    return torch.cat([network.classifier.weight, network.classifier.bias[:, None]], 1).detach()


def trunk(network: ResidualNetwork) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in network.state_dict().items() if not name.startswith("head.fc")}


@pytest.mark.parametrize("names", [NAMES, ("ant", "fox"), ("ant", "bee", "cow", "emu"), ("fox", "Cat", "dog")])
def test_all_but_the_head_is_the_sources_to_the_last_bit(names):
    model = source()
    network, _ = begun(Start.of(model), names)
    wanted = trunk(model.network)
    assert trunk(network).keys() == wanted.keys()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in trunk(network).items())


def test_the_same_classes_keep_the_head():
    model = source()
    network, told = begun(Start.of(model))
    assert torch.equal(rows(network), rows(model.network))
    assert told == "The head of drawn was kept, since the classes are the same."


def test_classes_in_another_order_keep_their_rows():
    model = source()
    network, told = begun(Start.of(model), ("fox", "Cat", "dog"))  # case aside, as labels are matched
    assert torch.equal(rows(network), rows(model.network)[[2, 0, 1]])
    assert "was kept" in told


def test_rows_of_common_classes_are_kept_and_the_others_drawn():
    model = source()
    network, told = begun(Start.of(model), ("ant", "cat", "emu", "fox"))
    fresh, _ = begun(Start(model.spec.architecture), ("ant", "cat", "emu", "fox"))
    assert torch.equal(rows(network)[[1, 3]], rows(model.network)[[0, 2]])
    assert torch.equal(rows(network)[[0, 2]], rows(fresh)[[0, 2]])
    assert told == (
        "Of the head of drawn the rows of 2 common classes were kept (cat, fox); new: 2 (ant, emu), dropped: 1."
    )


def test_other_classes_drop_the_head():
    model = source()
    network, told = begun(Start.of(model), ("ant", "bee"))
    fresh, _ = begun(Start(model.spec.architecture), ("ant", "bee"))
    assert torch.equal(rows(network), rows(fresh))
    assert told == "The head of drawn with its 3 classes was dropped for a new one of 2."


def test_a_head_of_another_kind_is_dropped():
    network, told = begun(Start.of(source()), head=LABELS)
    assert not torch.equal(rows(network), rows(source().network))
    assert "was dropped" in told
    same, told = begun(Start.of(source(multilabel=True)), head=LABELS)
    assert torch.equal(rows(same), rows(source().network))
    assert "was kept" in told


@pytest.mark.parametrize(("names", "kept"), [(("cat", "dog"), True), (("dog", "cat"), False), (("cat", "emu"), False)])
def test_one_logit_is_kept_of_the_same_two_classes_in_their_order(names, kept):
    model = source(("cat", "dog"), cifar(8, classes=1))
    network, told = begun(Start.of(model), names, LOGIT)
    assert torch.equal(rows(network), rows(model.network)) == kept
    assert ("was kept" in told) == kept


def test_classes_without_names_are_taken_in_order_if_they_are_as_many_which_is_told():
    model = source((), cifar(8, classes=3))
    network, told = begun(Start.of(model))
    assert torch.equal(rows(network), rows(model.network))
    assert "does not name its classes, was kept in the order of cat, dog, fox" in told
    assert "was dropped" in begun(Start.of(model), ("cat", "dog"))[1]


def test_a_network_without_a_head_gets_one_and_an_objective_without_labels_drops_it():
    model = source((), cifar(8, classes=None))
    network, told = begun(Start.of(model))
    assert rows(network).shape == (3, 65)
    assert told == "drawn has no head; one of 3 classes was drawn."
    network, told = begun(Start.of(source()), (), None)
    assert network.classifier is None
    assert told == "The head of drawn with its 3 classes was dropped."


def test_a_head_of_several_layers_keeps_the_first_ones_with_common_rows():
    model = source(architecture=replace(cifar(8, classes=3), head_widths=(6,)))
    network, _ = begun(Start.of(model), ("fox", "emu"))
    given, found = model.network.state_dict(), network.state_dict()
    first, last = (
        [name for name in found if name.startswith("head.fc") and name.endswith("weight")][i] for i in (0, -1)
    )
    assert torch.equal(found[first], given[first])
    assert torch.equal(found[last][0], given[last][2])


def test_the_sources_preprocessing_is_kept():
    model = source()
    assert Start.of(model).preprocessing(squares(side=20)) == model.spec.preprocessing


def test_the_source_is_left_alone():
    model = source()
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    begun(Start.of(model), ("ant", "fox"))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.network.state_dict().items())


def test_a_network_of_other_planes_or_with_a_lesion_is_no_start():
    planes = replace(source().spec.preprocessing, mean=(0.5,) * 5, std=(0.5,) * 5)
    model = source(architecture=cifar(8, in_channels=5, classes=3))
    with pytest.raises(FeatureError, match=r"drawn takes images of 5 channels.*of 1 or 3"):
        Start.of(replace(model, spec=replace(model.spec, preprocessing=planes)))
    with pytest.raises(FeatureError, match=r"drawn is without layer3\.1, .* Leave the lesion away"):
        Start.of(replace(source(), variant="without layer3.1"))
