"""Pickles that pickle.dump wrote: detectron2's model zoo, Caffe2's blobs, arrays and tensors, read as data alone."""

import pickle
import struct
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.models.resnet import BasicBlock, Bottleneck

from features.errors import WeightsError
from features.networks import checkpoint, filling, zoo
from tests.networks.test_spellings import SPELLINGS
from tests.random_networks import Narrow, drawn

NAMES = SPELLINGS["detectron2's classifier"]


@pytest.fixture(scope="module")
def network():
    return drawn(Narrow, block=Bottleneck, layers=[1, 2, 1, 1], num_classes=7)


@pytest.fixture(scope="module")
def arrays(network):
    return {name: value.numpy() for name, value in network.state_dict().items()}


@torch.inference_mode()
def logits(network, pixels: Tensor | None = None) -> Tensor:
    x = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(0)) if pixels is None else pixels
    return network(x)


def read_and_load(path):
    file = checkpoint.read(path)
    return file, filling.load(file, file.inferred.architecture)


def zoo_file(arrays: Mapping[str, Any]) -> dict[str, Any]:
    model = {NAMES(name): value for name, value in arrays.items() if not name.endswith("num_batches_tracked")}
    return {"model": model, "__author__": "detectron2", "matching_heuristics": True}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_detectron2s_model_zoo_gives_the_logits_of_its_source(protocol, network, arrays, tmp_path):
    path = tmp_path / "model_final_f10217.pkl"
    path.write_bytes(pickle.dumps(zoo_file(arrays), protocol))
    file, loaded = read_and_load(path)
    assert file.format == "pickle"
    assert torch.equal(logits(loaded), logits(network))


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("whole", [False, True])
def test_pickled_tensors_and_networks_give_the_logits_of_their_source(protocol, whole, tmp_path):
    source = drawn(Narrow, block=BasicBlock, layers=[1, 1, 1, 1], num_classes=7)
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(source if whole else source.state_dict(), protocol))
    assert torch.equal(logits(read_and_load(tmp_path / "net.pkl")[1]), logits(source))


def turned(array: np.ndarray) -> np.ndarray:
    """The same numbers in the other order of bytes, and of memory."""
    return np.asfortranarray(array.astype(array.dtype.newbyteorder(">")))


@pytest.mark.parametrize("change", [turned, np.float64, lambda array: array[...]], ids=["order", "double", "view"])
def test_arrays_of_other_layouts_are_the_same_numbers(change, network, arrays, tmp_path):
    kept = {name: change(value) for name, value in arrays.items() if value.ndim}
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(kept))
    assert torch.equal(logits(read_and_load(tmp_path / "net.pkl")[1]), logits(network))


@pytest.mark.parametrize("older", [False, True])
def test_arrays_in_files_of_torch_save_are_weights_too(older, network, arrays, tmp_path):
    torch.save({"state_dict": arrays}, tmp_path / "net.pt", _use_new_zipfile_serialization=not older)
    assert torch.equal(logits(read_and_load(tmp_path / "net.pt")[1]), logits(network))


# --- Caffe2's blobs --------------------------------------------------------------------------------------------------

TENSORS = {"weight": "w", "bias": "b"}


def blob(name: str) -> str:
    """As Caffe2 calls a tensor of torchvision's: 'layer1.0.bn1.weight' is 'res2_0_branch2a_bn_s'."""
    *path, own = name.split(".")
    norm = {"weight": "bn_s", "bias": "bn_b"}.get(own, own)
    if path[0] == "fc":
        return f"fc1000_{TENSORS[own]}"
    if len(path) == 1:
        return f"conv1_{TENSORS[own]}" if path[0] == "conv1" else f"res_conv1_{norm}"
    at = f"res{int(path[0][-1]) + 1}_{path[1]}"
    if path[2] == "downsample":
        return f"{at}_branch1_{'w' if path[3] == '0' else norm}"
    return f"{at}_branch2{'abc'[int(path[2][-1]) - 1]}_{'w' if path[2].startswith('conv') else norm}"


@pytest.fixture(scope="module")
def msra():
    """A network with the stride in the first 1x1, whose norms scale and shift alone, and its blobs."""
    source = drawn(Narrow, block=Bottleneck, layers=[1, 2, 1, 1], num_classes=7)
    for module in source.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.zero_()
            module.running_var.fill_(1 - module.eps)
        if isinstance(module, Bottleneck):
            module.conv1.stride, module.conv2.stride = module.conv2.stride, (1, 1)
    kept = {name: value.numpy() for name, value in source.state_dict().items() if "running" not in name}
    return source, {blob(name): value for name, value in kept.items() if not name.endswith("tracked")}


@pytest.mark.parametrize("nested", [False, True])
def test_msras_blobs_are_read_with_their_strides_and_pixels(nested, msra, tmp_path):
    source, blobs = msra
    blobs = blobs | {"conv1_w_momentum": blobs["conv1_w"]}
    (tmp_path / "R-50.pkl").write_bytes(pickle.dumps({"blobs": blobs} if nested else blobs, 2))
    file, loaded = read_and_load(tmp_path / "R-50.pkl")
    assert torch.equal(logits(loaded), logits(source))
    assert "stride_at" not in {choice.field for choice in file.inferred.untold}
    spec = zoo.load(weights=tmp_path / "R-50.pkl").spec
    assert spec.preprocessing.channel_order == "bgr"
    assert [255 * value for value in spec.preprocessing.mean] == pytest.approx([103.53, 116.28, 123.675])
    assert any("--channel-order" in guess or "--range" in guess for guess in spec.assumed)


def test_detectron2s_networks_of_msras_weights_are_assumed_to_have_msras_strides(msra, tmp_path):
    source, _ = msra
    kept = zoo_file({name: value.numpy() for name, value in source.state_dict().items()})
    kept["model"] |= {"pixel_mean": np.float32([[[103.53]], [[116.28]], [[123.675]]]),
                      "pixel_std": np.ones((3, 1, 1), np.float32)}  # fmt: skip
    (tmp_path / "model_final.pkl").write_bytes(pickle.dumps(kept))
    model = zoo.load(weights=tmp_path / "model_final.pkl")
    assert torch.equal(logits(model.network), logits(source))
    assert model.spec.preprocessing.channel_order == "bgr"
    assert any("first 1x1 convolution (--stride-at)" in guess for guess in model.spec.assumed)
    other = zoo.load(f"{tmp_path / 'model_final.pkl'}?stride-at=middle")
    assert other.spec.architecture.stride_at == "middle"


# --- what is refused -------------------------------------------------------------------------------------------------


def array_of(shape: bytes, kind: bytes = b"f4", data: bytes = b"C\x04" + bytes(4)) -> bytes:
    """A pickle of one array under the name 'conv1.weight', of parts that need not fit."""
    return (
        b"\x80\x03}X\x0c\0\0\0conv1.weightcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R(K\x01"
        + shape + b"cnumpy\ndtype\nX" + struct.pack("<I", len(kind)) + kind + b"K\0K\x01\x87R"
        b"(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89" + data + b"tbs."
    )  # fmt: skip


LONG = 90 << 20
REFUSED = {
    "an array of more numbers than bytes": (array_of(b"J\xff\xff\xff\x7f\x85"), "which do not fit"),
    "a negative side": (array_of(b"J\xff\xff\xff\xff\x85"), "no numbers"),
    "a boolean side": (array_of(b"\x88\x85"), "no numbers"),
    "sides without end": (array_of(b"(" + b"K\x01" * 99 + b"t"), "no numbers"),
    "objects": (array_of(b"K\x01\x85", b"O8"), "'O8' numbers"),
    "a text for numbers": (array_of(b"K\x01\x85", data=b"X\x04\0\0\0" + "\u20ac?".encode()), "do not fit"),
    "half a file": (array_of(b"K\x01\x85")[:-20], "damaged directory|breaks off"),
    "two pickles": (pickle.dumps({}) * 2, "something behind it"),
    "more bytes than there are": (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"x.", "damaged directory"),
    "a long text of wide letters": (
        b"\x80\x04\x8d" + struct.pack("<Q", LONG) + b"\xf0\x9f\x98\x80" * (LONG // 4) + b".", "a text of 90.0 MiB",
    ),
    "a storage that is none": (
        b"\x80\x02ctorch.storage\n_load_from_bytes\nX\x04\0\0\0abcd\x85R.", "in a form that is not known",
    ),
    "joblib's": (b"\x80\x04\x8c\x14joblib.numpy_pickle\x8c\x11NumpyArrayWrapper\x93)\x81.".replace(b"\x14", b"\x13"),
                 "joblib.load"),
    "no weights": (pickle.dumps({"model": {"epoch": 3}}), r"no tensors.*torch\.save\(model\.state_dict"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_pickles_that_do_not_hold_what_they_say_are_refused_in_a_sentence(kind, tmp_path):
    data, text = REFUSED[kind]
    (tmp_path / "net.pkl").write_bytes(data)
    began = time.process_time()
    with pytest.raises(WeightsError, match=text) as caught:
        _ = checkpoint.read(tmp_path / "net.pkl").part
    assert str(caught.value).startswith("net.pkl")
    assert len(str(caught.value)) < 500
    assert time.process_time() - began < 3


def test_one_array_under_many_names_takes_no_more_memory_than_its_file_allows(tmp_path):
    shared = np.zeros(1 << 20, np.uint8)
    (tmp_path / "net.pkl").write_bytes(pickle.dumps({f"k{number}": shared for number in range(100)}))
    with pytest.raises(WeightsError, match=r"would take 400 MiB in a file of 1\.0 MiB"):
        checkpoint.read(tmp_path / "net.pkl")


class Hostile:
    def __init__(self, trace) -> None:
        self.trace = trace

    def __reduce__(self):
        return type(self.trace).touch, (self.trace,)


def test_weights_beside_what_would_run_code_are_read_and_nothing_is_executed(network, arrays, tmp_path):
    (tmp_path / "net.pkl").write_bytes(pickle.dumps({"model": arrays, "hook": Hostile(tmp_path / "executed")}))
    assert torch.equal(logits(read_and_load(tmp_path / "net.pkl")[1]), logits(network))
    assert not (tmp_path / "executed").exists()
