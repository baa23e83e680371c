import argparse
import hashlib
import os
import pickle
import re
import zipfile
from collections import OrderedDict, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from features import files
from features.errors import WeightsError
from features.networks import checkpoint, filling
from features.networks.architecture import Architecture, cifar
from features.networks.canonical import build, published_name
from features.networks.catalogue import TORCHVISION
from features.networks.containers import Inert, TensorRecord
from tests.random_networks import ONE_OF_EACH_KIND, drawn, randomise

BOTTLENECK = Architecture("bottleneck", (2, 1), (4, 8), (16, 32), "imagenet", 8, groups=2, classes=5)
SMALL = {
    "bottleneck": BOTTLENECK,
    "option A": cifar(8),
    "option B": cifar(14, "projection"),
    "grey": cifar(8, in_channels=1, classes=3),
    "headless": cifar(8, classes=None),
    "no max-pool": replace(BOTTLENECK, stem="cifar", groups=1),
}


def network_of(architecture: Architecture = BOTTLENECK):
    return randomise(build(architecture)).eval()


def state_of(network) -> dict[str, torch.Tensor]:
    """The network's tensors under torchvision's names."""
    return {published_name(name): tensor for name, tensor in network.state_dict().items()}


def in_memory(state, name="net.pth") -> checkpoint.Checkpoint:
    """As if a state dict had been read from a file."""
    records = {
        key: TensorRecord(
            tuple(tensor.shape), tensor.dtype, lambda tensor=tensor: tensor,
            "" if tensor.layout == torch.strided and not tensor.is_meta else "sparse",
        )
        for key, tensor in state.items()
    }  # fmt: skip
    return checkpoint.Checkpoint(Path(name), "torch", records, {}, "")


def logits(network, channels: int = 3) -> torch.Tensor:
    with torch.inference_mode():
        return network(torch.randn(2, channels, 32, 32, generator=torch.Generator().manual_seed(0)))


def read_and_load(path: Path):
    file = checkpoint.read(path)
    return filling.load(file, file.inferred.architecture)


@pytest.fixture(scope="module")
def network():
    return network_of()


@pytest.fixture(scope="module")
def state(network):
    return state_of(network)


# --- what is read ----------------------------------------------------------------------------------------------------


def test_torchvisions_state_dicts_are_recognised(torchvision_network):
    name, source = torchvision_network
    file = in_memory(source.state_dict())
    assert file.inferred.architecture == checkpoint.check(file, TORCHVISION[name]) == TORCHVISION[name]


@pytest.mark.parametrize("torchvision_network", ONE_OF_EACH_KIND, indirect=True)
def test_torchvisions_state_dicts_give_bit_equal_logits(torchvision_network):
    name, source = torchvision_network
    file = in_memory(source.state_dict())
    loaded = filling.load(file, checkpoint.check(file, TORCHVISION[name]))
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(loaded(x), source(x))


@pytest.mark.parametrize("architecture", SMALL.values(), ids=SMALL)
def test_an_architecture_is_read_from_its_tensors_alone(architecture, tmp_path):
    network = network_of(architecture)
    torch.save(state_of(network), tmp_path / "net.pth")
    file = checkpoint.read(tmp_path / "net.pth")
    assert file.inferred.architecture == architecture
    loaded = filling.load(file, architecture)
    assert torch.equal(logits(loaded, architecture.in_channels), logits(network, architecture.in_channels))


def prefixed(prefix):
    return lambda state: {prefix + name: tensor for name, tensor in state.items()}


def wrapped(key):
    return lambda state: {"epoch": 3, "arch": "resnet", "optimizer": {"lr": 0.1}, key: state}


def renamed(old, new):
    return lambda state: {name.replace(old, new): tensor for name, tensor in state.items()}


VARIANTS = {
    "bare": dict,
    **{f"prefix {prefix}": prefixed(prefix) for prefix in ("module.", "model.", "backbone.", "encoder.")},
    "two prefixes": prefixed("module.encoder."),
    **{f"under {key}": wrapped(key) for key in ("state_dict", "model", "model_state_dict", "net")},
    "wrapped and prefixed": lambda state: wrapped("state_dict")(prefixed("module.")(state)),
    "head called linear": renamed("fc.", "linear."),
    "head called classifier": renamed("fc.", "classifier."),
    "projections called shortcut": renamed(".downsample.", ".shortcut."),
    "everything at once": lambda state: wrapped("net")(
        prefixed("module.")(renamed("fc.", "linear.")(renamed(".downsample.", ".shortcut.")(state)))
    ),
    "without counters": lambda state: {key: value for key, value in state.items() if "num_batches" not in key},
    "parameters with gradients": lambda state: {
        key: torch.nn.Parameter(value) if value.is_floating_point() else value for key, value in state.items()
    },
    "channels last": lambda state: {
        key: value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value
        for key, value in state.items()
    },
    "double precision": lambda state: {key: value.double() for key, value in state.items()},
}


@pytest.mark.parametrize(
    ("variant", "name"),
    [*((variant, "net.pt") for variant in VARIANTS), *(("bare", name) for name in ("net.pth", "net.th", "NET.PTH"))],
)
def test_every_spelling_of_a_checkpoint_gives_the_same_network(variant, name, network, state, tmp_path):
    torch.save(VARIANTS[variant](state), tmp_path / name)
    loaded = read_and_load(tmp_path / name)
    assert torch.equal(logits(loaded), logits(network))


@pytest.mark.parametrize("variant", ["bare", "two prefixes", "head called linear", "projections called shortcut"])
def test_safetensors_take_the_same_spellings(variant, network, state, tmp_path):
    save_file(VARIANTS[variant](state), tmp_path / "net.safetensors")
    assert torch.equal(logits(read_and_load(tmp_path / "net.safetensors")), logits(network))


def test_files_older_than_pytorch_1_6_are_read(network, state, tmp_path):
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert not zipfile.is_zipfile(tmp_path / "old.pth")
    assert torch.equal(logits(read_and_load(tmp_path / "old.pth")), logits(network))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_half_precision_is_widened_to_fp32_exactly(kind, suffix, state, tmp_path):
    half = {name: tensor.to(kind) for name, tensor in state.items() if tensor.is_floating_point()}
    path = tmp_path / f"half{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(half, path)
    found = state_of(read_and_load(path))
    for name, tensor in half.items():
        assert found[name].dtype == torch.float32
        assert torch.equal(found[name], tensor.float())


def test_a_loaded_network_is_frozen_in_eval_mode_and_owns_its_memory(state):
    file = in_memory(state)
    network = filling.load(file, BOTTLENECK)
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    theirs = {tensor.data_ptr() for tensor in state.values()}
    assert not theirs & {tensor.data_ptr() for tensor in network.state_dict().values()}


def test_the_digest_is_the_files_sha256(state, tmp_path):
    torch.save(state, tmp_path / "net.pth")
    assert (
        checkpoint.read(tmp_path / "net.pth").digest == hashlib.sha256((tmp_path / "net.pth").read_bytes()).hexdigest()
    )


# --- what is refused -------------------------------------------------------------------------------------------------


class Hostile:
    """Pickles as a call that leaves a file behind."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("writer", ["torch", "torch before 1.6", "pickle"])
def test_a_file_that_would_run_code_is_refused_where_it_holds_no_weights_and_nothing_is_executed(writer, tmp_path):
    trace, path = tmp_path / "executed", tmp_path / "evil.pt"
    if writer == "pickle":
        path.write_bytes(pickle.dumps(Hostile(trace)))
    else:
        torch.save(Hostile(trace), path, _use_new_zipfile_serialization=writer == "torch")
    with pytest.raises(WeightsError, match=r"^evil\.pt.*torch\.save\(model\.state_dict\(\), \.\.\.\)") as caught:
        _ = checkpoint.read(path).part
    assert len(str(caught.value)) < 500
    assert not trace.exists()
    pickle.loads(pickle.dumps(Hostile(trace)))
    assert trace.exists()  # the trap works


@pytest.mark.parametrize("place", [lambda s, x: s | {"x": x}, lambda s, x: {"state_dict": s, "optimizer": [[[x]]]}])
@pytest.mark.parametrize("older", [False, True])
def test_weights_beside_what_would_run_code_are_read_and_nothing_is_executed(place, older, network, state, tmp_path):
    trace = tmp_path / "executed"
    content = place(state, Hostile(trace))
    torch.save(content, tmp_path / "net.pt", _use_new_zipfile_serialization=not older)
    assert torch.equal(logits(read_and_load(tmp_path / "net.pt")), logits(network))
    assert not trace.exists()


def test_a_grey_network_may_be_called_by_the_name_of_its_colour_twin(tmp_path):
    filling.save(randomise(build(cifar(8, in_channels=1))), tmp_path / "grey.safetensors", {})
    file = checkpoint.read(tmp_path / "grey.safetensors")
    assert checkpoint.check(file, cifar(8)) == cifar(8, in_channels=1)


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_a_whole_pickled_network_is_read_by_its_tensors(block, tmp_path):
    source = drawn(ResNet, block=block, layers=[1, 2, 1, 1], num_classes=5)
    torch.save(source, tmp_path / "whole.pth")
    file = checkpoint.read(tmp_path / "whole.pth")
    assert file.inferred.architecture.blocks == (1, 2, 1, 1)
    assert torch.equal(logits(filling.load(file, file.inferred.architecture)), logits(source))


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_is_read_by_its_tensors(tmp_path):
    source = drawn(ResNet, block=BasicBlock, layers=[1, 1, 1, 1], num_classes=5)
    torch.jit.save(torch.jit.trace(source, torch.zeros(1, 3, 32, 32)), tmp_path / "net.pt")
    assert torch.equal(logits(read_and_load(tmp_path / "net.pt")), logits(source))


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".th", ".safetensors"])
@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"<html>404</html>", b"version https://git-lfs.github.com/spec/v1\n", b"PK\x03\x04" + 40 * b"\0"],
    ids=["empty", "one byte", "web page", "LFS pointer", "half a zip"],
)
def test_files_that_are_no_weights_are_refused_by_name(suffix, data, tmp_path):
    path = tmp_path / f"strange{suffix}"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=f"strange{suffix}"):
        checkpoint.read(path)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_truncated_files_are_refused(share, suffix, state, tmp_path):
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(state, whole)
    data = whole.read_bytes()
    cut.write_bytes(data[: int(share * len(data))])
    with pytest.raises(WeightsError, match="cut"):
        _ = checkpoint.read(cut).part


@pytest.mark.parametrize(
    ("real", "said"),
    [(".pth", ".safetensors"), (".safetensors", ".pth"), (".pth", ".pth.tar"), (".pth", ".ckpt"), (".pth", ".bin"),
     (".pth", ".pkl"), (".safetensors", ".bin"), (".pth", "")],
)  # fmt: skip
def test_files_are_known_by_their_content_whatever_they_are_called(real, said, network, state, tmp_path):
    (save_file if real == ".safetensors" else torch.save)(state, tmp_path / "written")
    (tmp_path / "written").rename(tmp_path / f"net{said}")
    assert torch.equal(logits(read_and_load(tmp_path / f"net{said}")), logits(network))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([1, 2], "no tensors"),
        ("weights", "no tensors"),
        (torch.zeros(3), "1 tensors, but no residual network"),
        ({}, "no tensors"),
        ({"model": {"conv1.weight": np.zeros(3)}}, "1 tensors, but no residual network"),
        ({"epoch": 3, "lr": 0.1}, "no tensors"),
        ({"state_dict": {"epoch": 3}}, "no tensors"),
        ({"embeddings.weight": torch.zeros(3, 3)}, "no residual network.*got embeddings.weight"),
        (
            {"state_dict": {f"{number}.weight": torch.zeros(3, 3) for number in range(15)}},
            "15 tensors.*networks.canonical",
        ),
    ],
    ids=["list", "str", "tensor", "empty", "arrays", "numbers", "nested", "one tensor", "many"],
)
def test_contents_other_than_a_network_are_named(content, text, tmp_path):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=f"other.pth: .*{text}") as caught:
        _ = checkpoint.read(tmp_path / "other.pth").part
    assert len(str(caught.value)) < 500


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"There is no file .*/absent\.pth"):
        checkpoint.read(tmp_path / "absent.pth")


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "link to a device", "link to itself"])
def test_what_is_no_regular_file_is_refused_without_being_opened(kind, tmp_path):
    path = tmp_path / "net.pth"
    made = {
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "device": lambda: None,
        "link to a device": lambda: path.symlink_to("/dev/zero"),
        "link to itself": lambda: path.symlink_to(path),
    }
    made[kind]()
    with pytest.raises(WeightsError, match=r"is a folder|is a device or a pipe|cannot be followed"):
        checkpoint.read(Path("/dev/zero") if kind == "device" else path)


def test_of_a_network_with_and_without_a_prefix_in_one_file_the_whole_one_is_taken(network, state, tmp_path):
    torch.save({**state, "module.conv1.weight": state["conv1.weight"] + 1}, tmp_path / "twice.pth")
    with pytest.raises(WeightsError, match=r"layers that are not understood.*module\.conv1\.weight"):
        _ = checkpoint.read(tmp_path / "twice.pth").part


# --- hostile files ---------------------------------------------------------------------------------------------------


def rewritten(path: Path, members: dict[str, bytes]) -> Path:
    """A zip archive as torch.save writes it, whose directory of contents is somebody else's."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in {"version": b"3\n", "byteorder": b"little", **members}.items():
            file.writestr(f"archive/{name}", data)
    return path


def expanded(state: dict[str, torch.Tensor], width: int) -> dict[str, torch.Tensor]:
    return state | {"layer2.0.conv1.weight": torch.zeros(1).expand(width, width, 3, 3)}


HOSTILE = {
    "a tensor of stride 0": (lambda s, p: torch.save(expanded(s, 20_000), p), "MiB in a file of"),
    "a long name": (lambda s, p: torch.save(s | {"k" * 25_000: torch.zeros(1)}, p), "a name of 25,000 letters"),
    "many tensors": (
        lambda s, p: torch.save(s | {f"k{n}": torch.zeros(1).expand(1) for n in range(20_001)}, p), "at most 20,000",
    ),
    "deep nesting": (lambda s, p: rewritten(p, {"data.pkl": b"\x80\x02" + b"]" * 999 + b"a" * 998 + b"."}), "nested"),
    "a million entries": (
        lambda s, p: rewritten(p, {"data.pkl": b"\x80\x02" + b"]" * 1_000_001 + b"."}), "more than 1,000,000 entries",
    ),
    "many names of classes": (
        lambda s, p: rewritten(p, {"data.pkl": b"\x80\x02" + b"cmade\nUp\n" * 300_001 + b"."}),
        "more than 300,000 names",
    ),
    "an entry of no checkpoint": (lambda s, p: rewritten(p, {"data.pkl": b"\x80\x05\x97."}), "state_dict alone"),
    "a directory that expands": (lambda s, p: rewritten(p, {"data.pkl": bytes(1 << 26)}), "contents of 64 MiB"),
    "itself inside": (lambda s, p: torch.save(recursive(), p), "nested more deeply"),
}  # fmt: skip


def recursive() -> dict[str, object]:
    content: dict[str, object] = {}
    content["model"] = content
    return content


LARGE = ("many tensors", "a million entries", "many names of classes")  # to write, and to refuse


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind in LARGE)) for kind in HOSTILE])
def test_a_file_that_asks_for_too_much_is_refused_in_one_short_sentence(kind, state, tmp_path):
    make, text = HOSTILE[kind]
    make(state, tmp_path / "net.pt")
    with pytest.raises(WeightsError, match=text) as caught:
        _ = checkpoint.read(tmp_path / "net.pt").part
    assert str(caught.value).startswith("net.pt")
    assert len(str(caught.value)) < 500


@pytest.mark.slow
def test_a_storage_that_expands_far_beyond_its_file_is_refused(tmp_path):
    torch.save({"conv1.weight": torch.zeros(1 << 26)}, tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as file:
        members = {name.partition("/")[2]: file.read(name) for name in file.namelist()}
    with pytest.raises(WeightsError, match=r"bomb\.pt holds a storage that expands to 0\.2 GiB"):
        checkpoint.read(rewritten(tmp_path / "bomb.pt", members))


# --- what does not fit -----------------------------------------------------------------------------------------------


def without(*names):
    return lambda state: {name: tensor for name, tensor in state.items() if name not in names}


def having(**tensors):
    return lambda state: {**state, **{name.replace("__", "."): tensor for name, tensor in tensors.items()}}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (without("bn1.weight"), "1 missing: bn1.weight"),
        (without("bn1.running_mean", "bn1.bias"), "2 missing: bn1.bias, bn1.running_mean"),
        (without("layer1.0.downsample.0.weight"), "1 missing: layer1.0.downsample.0.weight"),
        (having(extra__weight=torch.zeros(2)), "not understood, so that it would be read wrong: extra.weight"),
        (having(layer1__0__gain=torch.zeros(2)), "stage 1 block 0: gain at the block itself"),
        (having(layer2__2__conv1__weight=torch.zeros(4, 4, 1, 1)), "blocks 0, 2 in stage 2 alone"),
        (having(fc__bias=torch.zeros(7)), r"1 misshapen: fc.bias \(7,\), not \(5,\)"),
        (having(layer1__0__bn1__bias=torch.zeros(9)), r"1 misshapen: layer1.0.bn1.bias \(9,\), not \(4,\)"),
        (having(bn1__weight=torch.full((8,), torch.nan)), r"bn1.weight is infinite or not a number"),
        (having(bn1__bias=torch.full((8,), torch.inf)), r"bn1.bias is infinite"),
        (having(bn1__running_var=-torch.ones(8)), r"bn1.running_var has a variance below zero"),
        (having(bn1__bias=torch.full((8,), 1e300, dtype=torch.float64)), "bn1.bias is infinite"),
        (having(bn1__bias=torch.ones(8, dtype=torch.int8)), r"1 unusable: bn1.bias \(int8"),
        (having(bn1__bias=torch.ones(8, dtype=torch.complex64)), r"1 unusable: bn1.bias \(complex64"),
        (having(bn1__bias=torch.ones(8).to_sparse()), r"no plain numbers: bn1.bias \(sparse"),
        (having(conv1__weight=torch.ones(8, 3, 7, 7, device="meta")), r"no plain numbers: conv1.weight \(sparse"),
    ],
)
def test_tensors_that_do_not_fit_are_listed(change, text, state):
    file = in_memory(change(state))
    with pytest.raises(WeightsError, match=f"net.pth: .*{text}") as caught:
        filling.load(file, BOTTLENECK)
    assert len(str(caught.value)) < 500


def test_all_kinds_of_misfit_are_listed_at_once(state):
    changed = having(bn1__bias=torch.zeros(9), layer1__0__bn1__weight=torch.ones(4, dtype=torch.int8))
    file = in_memory(changed(without("layer2.0.bn1.running_var")(state)))
    with pytest.raises(WeightsError, match=r"1 missing: .*1 misshapen: .*1 unusable: "):
        filling.load(file, BOTTLENECK)


def test_a_long_list_is_cut_with_the_number_of_the_rest():
    names = [f"layer1.{number}.conv1.weight" for number in range(15)]
    assert checkpoint.listing(names).endswith("layer1.11.conv1.weight and 3 more")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda state: {"embeddings.weight": torch.zeros(3, 3)}, "no residual network.*embeddings.weight"),
        (without("conv1.weight"), "without its first convolution"),
        (without("layer1.0.conv1.weight"), "without its first convolution"),
        (having(conv1__weight=torch.zeros(3)), "without its first convolution"),
        (having(conv1__weight=torch.zeros(0, 3, 7, 7)), "without its first convolution"),
        (without("layer1.0.conv2.weight"), "blocks of convolutions 1-1, 1-3-1"),
        (without("layer2.0.conv3.weight"), "blocks of convolutions 1-3, 1-3-1"),
        (having(layer1__0__conv2__weight=torch.tensor(1.0)), "stage 1 block 0: weight at conv2"),
        (having(layer1__0__conv2__weight=torch.zeros(4, 0, 3, 3)), "groups differ"),
        (having(layer1__0__conv2__weight=torch.zeros(4, 8, 3, 3)), "groups differ"),
        (having(layer2__0__conv2__weight=torch.zeros(7, 2, 3, 3)), "norms that are as wide as neither"),
        (having(layer2__0__downsample__0__weight=torch.zeros(32, 9, 1, 1)), r"shortcut of shape \(32, 9, 1, 1\)"),
    ],
)
def test_tensors_that_describe_no_residual_network_are_refused(change, text, state):
    with pytest.raises(WeightsError, match=text) as caught:
        _ = in_memory(change(state)).inferred
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("architecture", "wanted", "text"),
    [
        (cifar(8), cifar(14), r"blocks is \(1, 1, 1\), not \(2, 2, 2\)"),
        (cifar(8), cifar(8, "projection"), "shortcut is padding, not projection"),
        (cifar(8, "projection"), cifar(8, "none"), "shortcut is projection, not none"),
        (cifar(8), TORCHVISION["resnet18"], "blocks is .*; inner is .*; stem is cifar, not imagenet"),
        (BOTTLENECK, replace(BOTTLENECK, groups=1), "groups is 2, not 1"),
    ],
)
def test_weights_of_another_network_than_the_named_one_are_refused_with_what_differs(architecture, wanted, text):
    file = in_memory(state_of(network_of(architecture)))
    with pytest.raises(WeightsError, match=f"net.pth: the weights are of another network: .*{text}"):
        checkpoint.check(file, wanted)


@pytest.mark.parametrize("classes", [3, None])
def test_another_number_of_classes_than_the_named_networks_is_no_difference(classes):
    file = in_memory(state_of(network_of(cifar(8, classes=classes))))
    assert checkpoint.check(file, cifar(8)) == cifar(8, classes=classes)


def test_a_plain_network_is_built_where_one_is_named_for_its_tensors_are_those_of_option_a():
    plain = network_of(cifar(8, "none"))
    file = in_memory(state_of(plain))
    assert file.inferred.architecture.shortcut == "padding"
    loaded = filling.load(file, checkpoint.check(file, cifar(8, "none")))
    assert torch.equal(logits(loaded), logits(plain))


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", SMALL.values(), ids=SMALL)
def test_what_is_saved_is_read_back(architecture, tmp_path):
    network, path = network_of(architecture), tmp_path / "net.safetensors"
    digest = filling.save(network, path, {"name": "net", "note": "zwölf"})
    file = checkpoint.read(path)
    assert file.digest == digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert file.metadata == {"name": "net", "note": "zwölf"}
    loaded = state_of(filling.load(file, architecture))
    for name, tensor in state_of(network).items():
        if tensor.ndim > 1:
            assert torch.equal(loaded[name], tensor.half().float())
        elif tensor.is_floating_point():
            assert torch.equal(loaded[name], tensor)
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.safetensors"]


def test_saving_a_read_network_again_writes_the_same_bytes(network, tmp_path):
    first = filling.save(network, tmp_path / "one.safetensors", {"a": "1"})
    again = filling.save(read_and_load(tmp_path / "one.safetensors"), tmp_path / "two.safetensors", {"a": "1"})
    assert again == first


def test_saved_names_are_torchvisions(network, state, tmp_path):
    filling.save(network, tmp_path / "net.safetensors", {})
    saved = load_file(tmp_path / "net.safetensors")
    assert saved.keys() == {name for name in state if "num_batches_tracked" not in name}
    assert {"conv1.weight", "layer1.0.conv3.weight", "layer2.0.downsample.1.bias", "fc.bias"} <= saved.keys()


def test_saving_changes_neither_the_network_nor_its_mode(tmp_path):
    network = network_of().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    filling.save(network, tmp_path / "net.safetensors", {})
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"old")

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        files.write_whole(path, b"new")
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("older", [False, True])
def test_what_training_scripts_keep_beside_the_weights_is_no_reason_to_refuse_them(older, network, state, tmp_path):
    beside = {
        "best_acc": np.float64(0.9), "history": np.zeros(3), "names": np.array(["a", "b"]), "where": tmp_path,
        "args": argparse.Namespace(lr=0.1), "counts": defaultdict(int, a=1), "order": OrderedDict(a=1),
        "kind": re.IGNORECASE, "optimizer": torch.optim.SGD(network.parameters(), 0.1).state_dict(), "when": {1, 2},
    }  # fmt: skip
    torch.save({"state_dict": state, **beside}, tmp_path / "net.pth", _use_new_zipfile_serialization=not older)
    assert torch.equal(logits(read_and_load(tmp_path / "net.pth")), logits(network))


def test_a_frozen_torchscript_network_is_refused_with_what_to_do(tmp_path):
    state = Inert("__torch__.torchvision.models.resnet.ResNet")
    with pytest.raises(WeightsError, match=r"a frozen TorchScript network.*before torch\.jit\.freeze"):
        _ = checkpoint.Checkpoint(tmp_path / "net.pt", "torch", {}, {}, "", values=state).part
