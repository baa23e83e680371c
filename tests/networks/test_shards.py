"""Networks in several files with an index of them: read as one file, or refused by name."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models.resnet import BasicBlock

from features.errors import WeightsError
from features.networks import checkpoint, zoo
from tests.random_networks import Narrow, drawn

INDEX = "model.safetensors.index.json"
NAMES = tuple(f"model-0000{number}-of-00002.safetensors" for number in (1, 2))


@pytest.fixture(scope="module")
def source():
    return drawn(Narrow, block=BasicBlock, layers=[1, 1, 1, 1], num_classes=5)


def write(folder: Path, state: dict[str, torch.Tensor], names=NAMES, index=INDEX) -> Path:
    """A state dict in two files, as `save_pretrained` writes it; the path of their index."""
    half = len(state) // 2
    parts = dict(list(state.items())[:half]), dict(list(state.items())[half:])
    for name, part in zip(names, parts, strict=True):
        save_file(part, folder / name) if name.endswith("safetensors") else torch.save(part, folder / name)
    weights = {key: name for name, part in zip(names, parts, strict=True) for key in part}
    (folder / index).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weights}))
    return folder / index


@torch.inference_mode()
def need_equal(path: Path, source: torch.nn.Module) -> None:
    x = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(zoo.load(weights=path).network(x), source(x), rtol=0, atol=0)


def test_a_network_in_several_files_is_read_by_its_index_its_folder_or_any_of_them(source, tmp_path):
    index = write(tmp_path, source.state_dict())
    digests = set()
    for path in (index, tmp_path, *(tmp_path / name for name in NAMES)):
        need_equal(path, source)
        digests.add(checkpoint.read(path).digest)
    assert len(digests) == 1


def test_files_of_torch_save_are_read_too(source, tmp_path):
    names = [name.replace("model-", "pytorch_model-").replace("safetensors", "bin") for name in NAMES]
    need_equal(write(tmp_path, source.state_dict(), names, "pytorch_model.bin.index.json"), source)


def test_other_numbers_in_any_of_the_files_are_another_network(source, tmp_path):
    index = write(tmp_path, source.state_dict())
    before = checkpoint.read(index).digest
    write(tmp_path, source.state_dict() | {"fc.bias": torch.zeros(5)})
    assert checkpoint.read(index).digest != before


def with_map(folder: Path, **changed: str) -> None:
    content = json.loads((folder / INDEX).read_text())
    content["weight_map"] |= {key.replace("__", "."): name for key, name in changed.items()}
    (folder / INDEX).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda folder: (folder / NAMES[1]).unlink(), "no such file lies beside it"),
        (lambda folder: with_map(folder, fc__bias="../secret.safetensors"), "no name of a file beside it"),
        (lambda folder: with_map(folder, fc__bias="/etc/passwd"), "no name of a file beside it"),
        (lambda folder: with_map(folder, fc__bias=".hidden"), "no name of a file beside it"),
        (lambda folder: with_map(folder, fc__bias=NAMES[0]), "'fc.bias', which model-00001-of-00002.safetensors lacks"),
        (lambda folder: with_map(folder, **{f"t{n}": f"{n}.bin" for n in range(200)}), "274 tensors in 202 files"),
        (lambda folder: with_map(folder, **{f"t{n}": NAMES[0] for n in range(30_000)}), "30,074 tensors in 2 files"),
        (lambda folder: (folder / INDEX).write_text("{" * 100_000), "cannot be understood"),
        (lambda folder: (folder / INDEX).write_text('{"weight_map": {"fc.bias": 1}}'), "cannot be understood"),
        (lambda folder: (folder / INDEX).write_bytes(b"\xff\xfe{}"), "cannot be understood"),
        (lambda folder: (folder / NAMES[1]).write_text("<html>"), "00002.safetensors is a web page"),
        (lambda folder: (folder / NAMES[1]).write_bytes((folder / NAMES[1]).read_bytes()[:5000]), "is not whole"),
    ],
)  # fmt: skip
def test_an_index_that_leads_elsewhere_or_lacks_something_is_refused(change, text, source, tmp_path):
    write(tmp_path, source.state_dict())
    change(tmp_path)
    for path in (tmp_path / INDEX, tmp_path / NAMES[0]):
        with pytest.raises(WeightsError, match=text) as caught:
            checkpoint.read(path)
        assert len(str(caught.value)) < 500
        assert str(caught.value).count(" is ") + str(caught.value).count(" holds ") <= 3


def test_a_link_out_of_the_folders_that_may_be_read_is_not_followed(source, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    index = write(tmp_path / "in", source.state_dict())
    (tmp_path / "in" / NAMES[1]).rename(tmp_path / NAMES[1])
    (tmp_path / "in" / NAMES[1]).symlink_to(tmp_path / NAMES[1])
    need_equal(index, source)
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path / "in"))
    with pytest.raises(WeightsError, match="no such file lies beside it"):
        checkpoint.read(index)


def test_a_part_without_its_index_is_refused_with_what_to_do(source, tmp_path):
    write(tmp_path, source.state_dict()).unlink()
    with pytest.raises(WeightsError, match="one part of a network in several files"):
        checkpoint.read(tmp_path / NAMES[0])
