"""Heads of every usual form give the logits of the module that wrote them, and what is no head is left aside."""

import copy
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torchvision.models.resnet import BasicBlock

from features.errors import FeatureError, WeightsError
from features.networks import card, checkpoint, filling, zoo
from tests.random_networks import Narrow, drawn

WIDTH = 128


@pytest.fixture(scope="module")
def trunk():
    return drawn(Narrow, block=BasicBlock, layers=[1, 1, 1, 1], num_classes=7)


def trained(head: nn.Module) -> nn.Module:
    """A head with drawn weights and statistics, as training would leave them."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for layer in head.modules():
            if isinstance(layer, nn.BatchNorm1d):
                if layer.affine:
                    layer.weight.uniform_(0.5, 1.5, generator=generator)
                    layer.bias.normal_(0, 0.2, generator=generator)
                layer.running_mean.normal_(0, 0.5, generator=generator)
                layer.running_var.uniform_(0.5, 2, generator=generator)
            elif isinstance(layer, nn.LayerNorm):
                layer.weight.uniform_(0.5, 1.5, generator=generator)
                layer.bias.normal_(0, 0.2, generator=generator)
    return head.eval()


def with_head(trunk: nn.Module, head: nn.Module) -> nn.Module:
    network = copy.deepcopy(trunk)
    network.fc = trained(head)
    return network


def pixels() -> Tensor:
    return torch.randn(4, 3, 48, 48, generator=torch.Generator().manual_seed(0))


def read(state: dict[str, Tensor], folder: Path):
    torch.save(state, folder / "net.pth")
    return checkpoint.read(folder / "net.pth")


@torch.inference_mode()
def need_logits(file: checkpoint.Checkpoint, wanted: Tensor) -> None:
    network = filling.load(file, file.inferred.architecture)
    torch.testing.assert_close(network(pixels()), wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


def norm(width: int = WIDTH) -> nn.Module:
    return nn.BatchNorm1d(width)


def dense(inputs: int = WIDTH, outputs: int = 5, bias: bool = True) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias)


def weight_norm(layer: nn.Linear) -> nn.Module:
    parametrizations.weight_norm(layer)
    with torch.no_grad():
        layer.parametrizations.weight.original0.mul_(1.7)  # so that length and direction both matter
    return layer


HEADS = {
    "linear": (dense, ()),
    "without bias": (lambda: dense(bias=False), ()),
    "one logit": (lambda: dense(outputs=1), ()),
    "many logits": (lambda: dense(outputs=300), ()),
    "dropout, linear": (lambda: nn.Sequential(nn.Dropout(), dense()), ()),
    "linear alone in a Sequential": (lambda: nn.Sequential(dense()), ()),
    "flatten, dropout, linear": (lambda: nn.Sequential(nn.Flatten(), nn.Dropout(), dense()), ()),
    "norm, linear": (lambda: nn.Sequential(norm(), dense()), ()),
    "layer norm, linear": (lambda: nn.Sequential(nn.LayerNorm(WIDTH), dense()), ()),
    "layer norm, dropout, linear, ReLU, linear": (
        lambda: nn.Sequential(nn.LayerNorm(WIDTH), nn.Dropout(), dense(WIDTH, 64), nn.ReLU(), dense(64, 5)), (64,),
    ),
    "norm, dropout, linear without bias": (lambda: nn.Sequential(norm(), nn.Dropout(), dense(bias=False)), ()),
    "norm without weights, linear": (lambda: nn.Sequential(nn.BatchNorm1d(WIDTH, affine=False), dense()), ()),
    "linear, norm": (lambda: nn.Sequential(dense(), norm(5)), ()),
    "weight norm": (lambda: weight_norm(dense()), ()),
    "two linear layers": (lambda: nn.Sequential(dense(WIDTH, 64), dense(64, 5)), ()),
    "linear, ReLU, linear": (lambda: nn.Sequential(dense(WIDTH, 64), nn.ReLU(), dense(64, 5)), (64,)),
    "linear, ReLU, dropout, linear": (
        lambda: nn.Sequential(dense(WIDTH, 64), nn.ReLU(), nn.Dropout(), dense(64, 5)), (64,),
    ),
    "linear, norm, ReLU, linear": (
        lambda: nn.Sequential(dense(WIDTH, 64, False), norm(64), nn.ReLU(), dense(64, 5)), (64,),
    ),
    "linear, norm, ReLU, dropout, linear": (
        lambda: nn.Sequential(dense(WIDTH, 64), norm(64), nn.ReLU(), nn.Dropout(), dense(64, 5)), (64,),
    ),
    "linear, ReLU, norm, linear": (
        lambda: nn.Sequential(dense(WIDTH, 64), nn.ReLU(), norm(64), dense(64, 5)), (64,),
    ),
    "norm, dropout, linear, ReLU, norm, dropout, linear": (
        lambda: nn.Sequential(
            norm(), nn.Dropout(), dense(WIDTH, 64, False), nn.ReLU(), norm(64), nn.Dropout(), dense(64, 5, False)
        ), (64,),
    ),
    "three layers": (
        lambda: nn.Sequential(
            dense(WIDTH, 64), nn.ReLU(), nn.Dropout(), dense(64, 32), norm(32), nn.ReLU(), dense(32, 5)
        ), (64, 32),
    ),
    "layers with names": (
        lambda: nn.Sequential(
            OrderedDict([("fc1", dense(WIDTH, 64)), ("relu", nn.ReLU()), ("fc2", dense(64, 5)), ("out", nn.Softmax(1))])
        )[:3], (64,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", HEADS)
def test_a_head_gives_the_logits_of_its_module(kind, trunk, tmp_path):
    make, widths = HEADS[kind]
    network = with_head(trunk, make())
    file = read(network.state_dict(), tmp_path)
    assert file.inferred.architecture.head_widths == widths
    assert file.part.head_name == "fc"
    with torch.inference_mode():
        need_logits(file, network(pixels()))


@pytest.mark.parametrize("kind", [nn.LayerNorm, nn.BatchNorm1d])
def test_a_norm_that_fits_only_before_the_linear_layer_comes_before_it(kind, trunk, tmp_path):
    network = with_head(trunk, nn.Sequential(kind(WIDTH), dense()))
    state = {
        name.replace("fc.0.", "head.norm.").replace("fc.1.", "head.fc."): value
        for name, value in network.state_dict().items()
    }
    with torch.inference_mode():
        need_logits(read(state, tmp_path), network(pixels()))


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_a_layer_norm_that_is_an_attribute_before_the_head_is_read_with_it(prefix, trunk, tmp_path):
    network = with_head(trunk, nn.Sequential(nn.LayerNorm(WIDTH), dense()))
    state = {}
    for name, value in network.state_dict().items():
        state[name.replace("fc.0.", "norm.").replace("fc.1.", "head.") if "fc." in name else prefix + name] = value
    torch.save(state, tmp_path / "net.pth")
    model = zoo.load(weights=tmp_path / "net.pth")
    assert "layer norm before the head" in model.spec.architecture.describe()
    assert any("epsilon 1e-5" in guess for guess in model.spec.assumed)
    with torch.inference_mode():
        wanted = network(pixels())
        torch.testing.assert_close(model.network(pixels()), wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(norm(), nn.ReLU(), dense()),
        lambda: nn.Sequential(norm(), nn.ReLU(), dense(WIDTH, 64), nn.ReLU(), dense(64, 5)),
        lambda: nn.Sequential(nn.BatchNorm1d(WIDTH, affine=False), nn.ReLU(), nn.Dropout(), dense(bias=False)),
    ],
)
def test_an_activation_between_norm_and_head_is_assumed_away_and_can_be_said(make, trunk, tmp_path):
    network = with_head(trunk, make())
    torch.save(network.state_dict(), tmp_path / "net.pth")
    assumed = zoo.load(weights=tmp_path / "net.pth").spec.assumed
    assert any("no activation between norm and linear layer of the head (--head-start)" in guess for guess in assumed)
    model = zoo.load(f"{tmp_path / 'net.pth'}?head-start=activation")
    assert not any("--head-start" in guess for guess in model.spec.assumed)
    filling.save(model.network, tmp_path / "own.safetensors", card.describe(model.spec))
    with torch.inference_mode():
        wanted = network(pixels())
        torch.testing.assert_close(model.network(pixels()), wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))
        torch.testing.assert_close(zoo.load(weights=tmp_path / "own.safetensors").network(pixels()), wanted, rtol=0.1,
                                   atol=0.01 * float(wanted.abs().max()))  # in half precision  # fmt: skip


def test_a_norm_right_before_the_head_leaves_no_room_for_an_activation(trunk, tmp_path):
    file = read(with_head(trunk, nn.Sequential(norm(), dense())).state_dict(), tmp_path)
    assert "head_start" not in {choice.field for choice in file.inferred.untold}


def test_a_head_that_may_go_around_its_layers_is_refused(trunk, tmp_path):
    block = nn.Sequential(dense(WIDTH, 64), nn.ReLU(), dense(64, WIDTH))
    head = nn.ModuleDict({"block": block, "out": dense()})
    state = {name: value for name, value in trunk.state_dict().items() if not name.startswith("fc.")}
    state |= {f"head.{name}": value for name, value in head.state_dict().items()}
    with pytest.raises(WeightsError, match="a head, head, that may go around some of its layers"):
        _ = read(state, tmp_path).inferred


def test_weight_norm_of_older_pytorch_is_read(trunk, tmp_path):
    network = with_head(trunk, weight_norm(dense()))
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    state = {}
    for name, value in network.state_dict().items():
        for new, older in old.items():
            name = name.replace(new, older)
        state[name] = value
    assert {"fc.weight_g", "fc.weight_v"} <= state.keys()
    with torch.inference_mode():
        need_logits(read(state, tmp_path), network(pixels()))


def test_a_head_without_a_bias_may_be_one_of_cosines_which_is_told(trunk, tmp_path):
    for bias in (True, False):
        torch.save(with_head(trunk, dense(bias=bias)).state_dict(), tmp_path / "net.pth")
        assumed = zoo.load(weights=tmp_path / "net.pth").spec.assumed
        assert any("cosines" in guess for guess in assumed) is not bias


@pytest.mark.parametrize("name", ["arcface", "metric_fc", "margin.linear", "cos_head"])
def test_a_head_of_angles_is_left_aside_and_told(name, trunk, tmp_path):
    state = renamed(with_head(trunk, dense(bias=False)).state_dict(), name)
    torch.save({f"backbone.{key}" if not key.startswith(name) else key: each for key, each in state.items()},
               tmp_path / "net.pth")  # fmt: skip
    model = zoo.load(weights=tmp_path / "net.pth")
    assert model.network.classifier is None
    assert any(f"no head: {name.split('.')[0]}" in guess for guess in model.spec.assumed)


def test_a_1x1_convolution_as_a_head_is_linear(trunk, tmp_path):
    network = with_head(trunk, dense())
    state = network.state_dict()
    state["fc.weight"] = state["fc.weight"][:, :, None, None]
    with torch.inference_mode():
        need_logits(read(state, tmp_path), network(pixels()))


@pytest.mark.parametrize("names", [("fc1", "fc2"), ("linear1", "linear2"), ("fc", "fc2"), ("dense1", "dense2")])
def test_layers_that_are_attributes_are_one_head_with_an_activation_between(names, trunk, tmp_path):
    network = with_head(trunk, nn.Sequential(dense(WIDTH, 64), nn.ReLU(), dense(64, 5)))
    state = {
        name.replace("fc.0.", f"{names[0]}.").replace("fc.2.", f"{names[1]}."): value
        for name, value in network.state_dict().items()
    }
    file = read(state, tmp_path)
    assert "head_activation" in {choice.field for choice in file.inferred.untold}
    with torch.inference_mode():
        need_logits(file, network(pixels()))


def test_a_norm_that_is_an_attribute_beside_the_head_is_read_with_it(trunk, tmp_path):
    network = with_head(trunk, nn.Sequential(norm(), dense()))
    state = {
        name.replace("fc.0.", "bn.").replace("fc.1.", "fc."): value for name, value in network.state_dict().items()
    }
    file = read(state, tmp_path)
    assert not file.inferred.architecture.preactivation
    with torch.inference_mode():
        need_logits(file, network(pixels()))


def test_a_norm_beside_the_network_and_its_head_is_read_with_them(trunk, tmp_path):
    """Re-identification's BNNeck (Luo et al. 2019, arXiv:1903.07071)."""
    network = with_head(trunk, nn.Sequential(norm(), dense(bias=False)))
    names = {"fc.0.": "bottleneck.", "fc.1.": "classifier."}
    state = {}
    for name, value in network.state_dict().items():
        state[names[name[:5]] + name[5:] if name.startswith("fc.") else f"base.{name}"] = value
    file = read(state, tmp_path)
    assert file.part.name == "base"
    with torch.inference_mode():
        need_logits(file, network(pixels()))


def renamed(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.replace("fc.", f"{name}."): value for key, value in state.items()}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("fc1", "fc2"),
        ("heads.0", "heads.1"),
        ("head_age", "head_sex"),
        ("fc", "fc_aux"),
        ("classifier1", "classifier2"),
    ],
)
def test_of_two_heads_beside_each_other_the_first_is_taken_and_the_other_listed(first, second, trunk, tmp_path):
    network = with_head(trunk, dense())
    other = {f"{second}.weight": torch.randn(3, WIDTH), f"{second}.bias": torch.randn(3)}
    file = read(renamed(network.state_dict(), first) | other, tmp_path)
    assert file.part.head_name == first
    assert set(other) <= set(file.part.left)
    with torch.inference_mode():
        need_logits(file, network(pixels()))


HEADS_APART = {"fc_age": 3, "fc_sex": 2}


def with_two_heads(trunk: nn.Module, folder: Path, prefix: str = "") -> Path:
    """A file of one body and a head for ages and one for sexes."""
    state = {prefix + name: value for name, value in trunk.state_dict().items() if not name.startswith("fc.")}
    for name, outputs in HEADS_APART.items():
        state |= {f"{name}.{own}": value for own, value in dense(WIDTH, outputs).state_dict().items()}
    torch.save(state, folder / "two.pth")
    return folder / "two.pth"


@pytest.mark.parametrize("prefix", ["", "backbone."])
@torch.inference_mode()
def test_either_of_two_heads_is_taken_by_its_name(prefix, trunk, tmp_path):
    path = with_two_heads(trunk, tmp_path, prefix)
    state = torch.load(path)
    features = nn.Sequential(*list(trunk.children())[:-1])(pixels()).flatten(1)
    models = {name: zoo.load(f"{path}?head={name}") for name in HEADS_APART}
    for name, model in models.items():
        wanted = features @ state[f"{name}.weight"].T + state[f"{name}.bias"]
        torch.testing.assert_close(model.network(pixels()), wanted, rtol=1e-5, atol=1e-4)
        assert not any("(--head)" in guess for guess in model.spec.assumed)
    assert models["fc_sex"].spec.source == "file two.pth, head fc_sex"
    assert len({model.key for model in models.values()}) == 2
    unnamed = zoo.load(weights=path)
    assert any("fc_age, fc_sex the first (--head)" in guess for guess in unnamed.spec.assumed)
    assert unnamed.key == models["fc_age"].key


def test_a_head_that_is_not_there_is_refused_with_those_that_are(trunk, tmp_path):
    path = with_two_heads(trunk, tmp_path)
    with pytest.raises(WeightsError, match=r"no head at 'fc_race'; those of this network: 'fc_age', 'fc_sex'.*--head"):
        zoo.load(f"{path}?head=fc_race")
    with pytest.raises(FeatureError, match="chosen of a file of weights"):
        zoo.load("resnet20-cifar?head=fc")


def test_two_networks_of_one_file_are_not_taken_for_each_other(trunk, tmp_path):
    state = trunk.state_dict()
    torch.save({"student": state, "teacher": {name: value * 2 for name, value in state.items()}}, tmp_path / "net.pth")
    models = [zoo.load(f"{tmp_path / 'net.pth'}{part}") for part in ("", "?part=student", "?part=teacher")]
    assert models[0].key == models[1].key != models[2].key
    assert models[2].spec.source == "file net.pth, part teacher"


@pytest.mark.parametrize("name", ["projector", "projection_head", "predictor", "prototypes", "mlp_head", "head.proj"])
def test_a_projection_is_no_head(name, trunk, tmp_path):
    state = renamed(with_head(trunk, nn.Sequential(dense(WIDTH, 64), nn.ReLU(), dense(64, 5))).state_dict(), name)
    file = read(state, tmp_path)
    assert file.inferred.architecture.classes is None
    assert f"{name}.0.weight" in file.part.left


@pytest.mark.parametrize(("prefix", "further"), [("backbone.", "fc"), ("", "classifier"), ("model.net.", "head")])
def test_a_head_that_goes_on_under_another_name_is_refused_since_what_lies_between_is_not_told(
    prefix, further, trunk, tmp_path
):
    state = {prefix + name: value for name, value in trunk.state_dict().items()}
    state |= {f"{further}.weight": torch.randn(3, 7), f"{further}.bias": torch.randn(3)}
    with pytest.raises(WeightsError, match=f"outputs go on into '{further}'") as caught:
        _ = read(state, tmp_path).part
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("prefix", ["", "backbone."])
@pytest.mark.parametrize(
    ("name", "module"),
    [
        pytest.param("embedding", lambda width: nn.Linear(width, width), id="linear"),
        pytest.param("neck", lambda width: nn.Sequential(nn.Linear(width, 3), nn.Linear(3, width)), id="mlp"),
        pytest.param("feat", lambda width: nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width)), id="normed"),
        pytest.param("scaled", lambda width: nn.LayerNorm(width), id="layer-norm"),
        pytest.param("proj", lambda width: nn.Linear(width, width), id="projection"),
        pytest.param("head_proj", lambda width: nn.Linear(width, width), id="head's projection"),
        pytest.param("projector", lambda width: nn.Sequential(nn.Linear(width, 3), nn.Linear(3, width)), id="mlp2"),
        pytest.param("conv_head", lambda width: nn.Conv2d(width, width, 3), id="convolution"),
    ],
)  # fmt: skip
def test_layers_that_may_lie_before_the_head_are_refused_and_not_left_out(name, module, prefix, trunk, tmp_path):
    state = trunk.state_dict()
    width = state["fc.weight"].shape[1]
    state = {name if name.startswith("fc.") else prefix + name: value for name, value in state.items()}
    state |= {f"{name}.{own}": value for own, value in module(width).state_dict().items()}
    with pytest.raises(WeightsError, match=f"with '{name}', which may lie between.*one Sequential") as caught:
        _ = read(state, tmp_path).part
    assert len(str(caught.value)) < 500


def test_a_projection_of_self_supervised_training_is_told_to_be_none_of_the_head(trunk, tmp_path):
    state = {f"backbone.{name}": value for name, value in trunk.state_dict().items() if not name.startswith("fc.")}
    state |= {f"classifier.{own}": value for own, value in dense().state_dict().items()}
    state |= {f"projector.0.{own}": value for own, value in dense(WIDTH, WIDTH).state_dict().items()}
    state |= {f"momentum_projector.0.{own}": value for own, value in dense(WIDTH, WIDTH).state_dict().items()}
    torch.save(state, tmp_path / "net.pth")
    spec = zoo.load(weights=tmp_path / "net.pth").spec
    assert any("momentum_projector, projector as a projection beside the head" in guess for guess in spec.assumed)


@pytest.mark.parametrize(
    ("name", "module"),
    [("lstm", nn.LSTM(WIDTH, WIDTH)), ("rnn", nn.GRU(WIDTH, WIDTH // 2, bidirectional=True)),
     ("mixer", nn.MultiheadAttention(WIDTH, 4)), ("pool", nn.ParameterDict({"p": torch.tensor([3.0])})),
     ("gem", nn.ParameterDict({"p": torch.tensor(3.0)})),
     ("temporal", nn.Conv1d(WIDTH, WIDTH, 3)), ("scaled", nn.ParameterDict({"gamma": torch.ones(WIDTH)}))],
    ids=["LSTM", "GRU", "attention", "GeM", "GeM of no dimension", "convolution over time", "scale"],
)  # fmt: skip
def test_recurrent_layers_attention_and_learned_pools_beside_a_network_are_refused(name, module, trunk, tmp_path):
    state = trunk.state_dict()
    state = {key if key.startswith("fc.") else f"backbone.{key}": value for key, value in state.items()}
    state |= {f"{name}.{own}": value for own, value in module.state_dict().items()}
    with pytest.raises(WeightsError, match=f"with '{name}.*which may lie between.*save the body alone") as caught:
        _ = read(state, tmp_path).part
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_a_head_behind_a_projection_to_another_width_is_told_to_be_left_aside(prefix, trunk, tmp_path):
    state = {prefix + name: value for name, value in trunk.state_dict().items() if not name.startswith("fc.")}
    for name, layer in (("proj", dense(WIDTH, 64)), ("fc", dense(64, 5))):
        state |= {f"{name}.{own}": value for own, value in layer.state_dict().items()}
    torch.save(state, tmp_path / "net.pth")
    model = zoo.load(weights=tmp_path / "net.pth")
    assert model.network.classifier is None
    assert any("no head" in guess and "fc" in guess and "proj" in guess for guess in model.spec.assumed)


def test_a_head_of_no_plain_numbers_is_refused_and_not_left_aside(trunk, tmp_path):
    state = trunk.state_dict()
    state["fc.weight"] = state["fc.weight"].to_sparse()
    with pytest.raises(WeightsError, match=r"no plain numbers: fc\.weight \(sparse\).*Save the network dense"):
        _ = read(state, tmp_path).part


def test_a_pruned_head_is_refused_and_not_left_aside(trunk, tmp_path):
    network = with_head(trunk, dense())
    prune.random_unstructured(network.fc, "weight", 0.5)
    assert "fc.weight_mask" in network.state_dict()
    with pytest.raises(WeightsError, match=r"by pruning.*fc\.weight_mask, fc\.weight_orig"):
        _ = read(network.state_dict(), tmp_path).part


@pytest.mark.parametrize("prefix", ["", "feature."])
@pytest.mark.parametrize(("head", "classes"), [("class_classifier", 5), ("domain_classifier", 2)])
def test_heads_of_unknown_names_are_taken_where_a_person_says_which(head, classes, prefix, trunk, tmp_path):
    """As in domain-adversarial networks (Ganin et al. 2016, arXiv:1505.07818)."""
    body = {f"{prefix}{name}": value for name, value in trunk.state_dict().items() if not name.startswith("fc.")}
    heads = {
        "class_classifier": trained(nn.Sequential(dense(WIDTH, 32), norm(32), nn.ReLU(), dense(32, 5))),
        "domain_classifier": dense(outputs=2),
    }
    state = body | {f"{name}.{key}": value for name, each in heads.items() for key, value in each.state_dict().items()}
    file = read(state, tmp_path)
    assert file.part.heads == ("class_classifier", "domain_classifier")
    assert file.inferred.architecture.classes is None
    with torch.inference_mode():
        features = nn.Sequential(*list(trunk.children())[:-1])(pixels()).flatten(1)
        wanted = heads[head](features)
    need_logits(checkpoint.read(tmp_path / "net.pth", head=head), wanted)
    assert wanted.shape[1] == classes
