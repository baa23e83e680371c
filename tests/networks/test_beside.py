"""What stands before, behind and beside a network in a file: refused where it would be read wrong, told otherwise."""

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models.resnet import BasicBlock

from features.errors import WeightsError
from features.networks import zoo
from tests.random_networks import Narrow, drawn


@pytest.fixture(scope="module")
def source():
    return drawn(Narrow, block=BasicBlock, layers=[1, 1, 1, 1], num_classes=7)


def loaded(content, folder, name=""):
    torch.save(content, folder / "net.pth")
    return zoo.load(f"{folder / 'net.pth'}{name}")


def under(prefix, state):
    return {f"{prefix}{name}": value for name, value in state.items()}


def said(model) -> str:
    return " | ".join(model.spec.assumed)


@pytest.mark.parametrize(
    "own",
    ["temperature", "logit_scale", "alpha", "log_prior", "prompt"],
    ids=["T", "scale", "alpha", "prior", "prompt"],
)
def test_what_may_change_inputs_or_outputs_is_told(own, source, tmp_path):
    value = {"log_prior": torch.zeros(7), "prompt": torch.zeros(1, 3, 64, 64)}.get(own, torch.tensor([1.7]))
    assert f"{own} beside the network" in said(loaded(under("model.", source.state_dict()) | {own: value}, tmp_path))
    assert "beside the network" not in said(loaded(under("model.", source.state_dict()), tmp_path))


@pytest.mark.parametrize(
    "module",
    [nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 3, 3))],
    ids=["norm", "colours", "filters"],
)
@pytest.mark.parametrize("name", ["data_bn", "normalizer", "preprocess", "transformer"])
def test_layers_from_pixels_to_pixels_are_refused(name, module, source, tmp_path):
    state = under("model.", source.state_dict()) | under(f"{name}.", module.state_dict())
    with pytest.raises(WeightsError, match=f"'{name}', which may lie before its first convolution"):
        loaded(state, tmp_path)


def test_weights_of_a_loss_of_three_classes_are_no_layer_of_pixels(source, tmp_path):
    state = under("model.", source.state_dict()) | {"criterion.weight": torch.ones(3)}
    loaded(state, tmp_path)


@pytest.mark.parametrize("own", ["sigma", "scale", "coral_bias", "lora_A", "parametrizations.weight.0._u"])
def test_a_head_with_more_tensors_than_a_linear_layer_is_refused(own, source, tmp_path):
    with pytest.raises(WeightsError, match=f"(?:not understood|made of others).*{own}"):
        loaded(source.state_dict() | {f"fc.{own}": torch.ones(2)}, tmp_path)


@pytest.mark.parametrize("copy", ["old_model", "avg_model", "ref_model", "frozen", "previous_net", "shadow"])
def test_of_several_networks_the_one_that_is_no_copy_is_taken_and_told(copy, source, tmp_path):
    state = {name: torch.zeros_like(value) for name, value in source.state_dict().items()}
    model = loaded(under(f"{copy}.", state) | under("model.", source.state_dict()), tmp_path)
    assert torch.equal(model.network.state_dict()["stem.conv1.weight"], source.conv1.weight)
    assert f"of the networks 'model', '{copy}' that at 'model' (--part)" in said(model)
    chosen = loaded(under(f"{copy}.", state) | under("model.", source.state_dict()), tmp_path, f"?part={copy}")
    assert "of the networks" not in said(chosen)


def test_averages_in_forms_of_their_own_are_left_aside(source, tmp_path):
    state = under("model.", source.state_dict())
    flat = {f"model_ema.{name.replace('.', '')}": value for name, value in source.state_dict().items()}
    listed = {"net": state, "ema": {"decay": 0.9, "shadow_params": list(source.state_dict().values())}}
    for content in (state | flat, listed):
        assert "beside the network" not in said(loaded(content, tmp_path))


def test_one_length_for_a_whole_weight(source, tmp_path):
    state = {name: value for name, value in source.state_dict().items() if name != "fc.weight"}
    weight = source.fc.weight.detach()
    model = loaded(state | {"fc.weight_v": weight * 3, "fc.weight_g": weight.norm()}, tmp_path)
    torch.testing.assert_close(model.network.classifier.state_dict().popitem(last=False)[1], weight)
    with pytest.raises(WeightsError, match="weight norm along another side"):
        loaded(state | {"fc.weight_v": weight, "fc.weight_g": torch.ones(1, weight.shape[1])}, tmp_path)


def test_arrays_and_parts_of_files_are_called_what_they_are(source, tmp_path):
    arrays = {name: value.numpy() for name, value in source.state_dict().items()}
    np.savez(tmp_path / "net.npz", **arrays)
    shard = tmp_path / "pytorch_model-00001-of-00002.bin"
    torch.save(source.state_dict(), shard)
    (tmp_path / "distributed").mkdir()
    (tmp_path / "distributed" / "__0_0.distcp").write_bytes(b"")
    for path, words in (
        (tmp_path / "net.npz", "NumPy's arrays.*from_numpy"), (shard, "one part of a network in several files"),
        (tmp_path / "distributed", "a folder of a network in several files"),
    ):  # fmt: skip
        with pytest.raises(WeightsError, match=words):
            zoo.load(str(path))


def test_weights_that_are_made_of_others_are_refused_with_how_to_merge_them(source, tmp_path):
    pruned = {name.replace("conv1.weight", "conv1.weight_orig"): value for name, value in source.state_dict().items()}
    with pytest.raises(WeightsError, match=r"weight_orig.*Merge them before saving"):
        loaded(pruned, tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: {"model": {"_fsdp_wrapped_module._flat_param": torch.zeros(9)}}, "as FSDP has .*full_state_dict"),
        (lambda s: list(s.values()), "a list of 74 tensors without names.*state_dict"),
        (lambda s: {"optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}}, "an optimizer's state alone"),
        (lambda s: {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []}, "an optimizer's state alone"),
        (
            lambda s: s | {f"{name}.weight_fake_quant.scale": torch.ones(1) for name in ("conv1", "layer1.0.conv1")},
            "made of others by pruning, quantisation.*weight_fake_quant",
        ),
    ],
)  # fmt: skip
def test_what_holds_no_network_says_what_it_holds_and_what_to_save(change, words, source, tmp_path):
    with pytest.raises(WeightsError, match=words) as caught:
        loaded(change(source.state_dict()), tmp_path)
    assert "features.networks.canonical" not in str(caught.value)


def test_the_items_of_a_state_dict_are_read_as_one(source, tmp_path):
    model = loaded(list(source.state_dict().items()), tmp_path)
    assert torch.equal(model.network.state_dict()["stem.conv1.weight"], source.conv1.weight)


def test_adapters_inside_a_layer_are_named_as_such(source, tmp_path):
    state = source.state_dict() | {"layer1.0.conv1.lora_A": torch.zeros(2, 9)}
    with pytest.raises(WeightsError, match=r"adapters \(LoRA\).*conv1\.lora_A.*merge_and_unload"):
        loaded(state, tmp_path)


@pytest.mark.parametrize(("name", "classes"), [("cls", 7), ("score_layer", 7), ("toplayer", None), ("bridge", None)])
def test_a_convolution_beside_the_features_is_a_head_only_by_its_name(name, classes, source, tmp_path):
    state = {key: value for key, value in source.state_dict().items() if not key.startswith("fc.")}
    state = under("body.", state) | {f"{name}.weight": torch.randn(7, 128, 1, 1)}
    assert loaded(state, tmp_path).spec.architecture.classes == classes


def test_names_send_no_signals_to_a_terminal(source, tmp_path):
    with pytest.raises(WeightsError) as caught:
        loaded(source.state_dict() | {"\n\x1b[31mevil": torch.ones(3)}, tmp_path)
    assert "evil" in str(caught.value)
    assert str(caught.value).isprintable()
    model = loaded(under("model.", source.state_dict()) | {"\n\x1b[31mevil": torch.ones(1)}, tmp_path)
    assert "evil" in said(model)
    assert said(model).isprintable()


@pytest.mark.parametrize("name", ["decoder", "memory", "neck.gru", "transformer"])
@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_a_recurrent_layer_that_may_lie_before_the_head_is_refused_whatever_it_is_called(
    prefix, name, source, tmp_path
):
    own = source.state_dict()
    head = {key: own.pop(key) for key in ("fc.weight", "fc.bias")}
    width = head["fc.weight"].shape[1]
    state = under(prefix, own) | under(f"{name}.", nn.LSTM(width, width).state_dict()) | head
    with pytest.raises(WeightsError, match=f"'{name}', which may lie between"):
        loaded(state, tmp_path)


def test_a_recurrent_layer_that_makes_other_features_than_the_head_takes_is_left_aside(source, tmp_path):
    loaded(source.state_dict() | under("decoder.", nn.LSTM(9, 5).state_dict()), tmp_path)


@pytest.mark.parametrize("name", ["attention2.fc.{}", "gates.1.fc.{}"])
def test_linear_layers_that_may_gate_a_stage_are_refused(name, source, tmp_path):
    gate = {name.format("0.weight"): torch.ones(4, 32), name.format("2.weight"): torch.ones(32, 4)}
    if name.startswith("gates"):
        gate |= {"gates.0.fc.0.weight": torch.ones(4, 16), "gates.0.fc.2.weight": torch.ones(16, 4)}
    for prefix in ("", "net."):
        with pytest.raises(WeightsError, match="not understood.*" + name.split(".")[0]):
            loaded(under(prefix, source.state_dict() | gate), tmp_path)
