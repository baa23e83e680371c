"""Fills canonical networks with the weights of a file, and writes them to one."""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from features import files
from features.networks import card, heads, inference, spellings
from features.networks.architecture import Architecture
from features.networks.canonical import ResidualNetwork, build, freeze, published_name
from features.networks.checkpoint import Checkpoint, listing, refusal
from features.networks.containers import TensorRecord
from features.networks.layers import COUNTER

Records = Mapping[str, TensorRecord]


def load(checkpoint: Checkpoint, architecture: Architecture) -> ResidualNetwork:
    """The network in canonical form with a checkpoint's weights in fp32, frozen, in eval mode, on the CPU.

    Raises WeightsError that lists every missing, unexpected, misshapen and unusable tensor.
    """
    with torch.device("meta"):
        network = build(architecture)
    empty = network.state_dict()
    is_own = card.is_described(checkpoint.metadata)
    names = {name: published_name(name) for name in empty} if is_own else _names(architecture, empty)
    records = _records(checkpoint, architecture, names)
    biases = {} if architecture.builder else dict(_absorbed(records, names))
    _need_fit(checkpoint, {names[name]: tensor for name, tensor in empty.items()}, records, biases, architecture)
    state = {}
    for name, tensor in empty.items():
        state[name] = _filled(names[name], tensor, records)
        _need_numbers(checkpoint, names[name], state[name])
    own = {published: name for name, published in names.items()}
    for bias, mean in biases.items():  # x + b - mean = x - (mean - b)
        state[own[mean]] = state[own[mean]] - records[bias].load().float()
    network.load_state_dict(state, assign=True)
    return freeze(network)


def _names(architecture: Architecture, empty: Mapping[str, Tensor]) -> dict[str, str]:
    """Canonical name of every tensor -> its name in files: torchvision's, or timm's own of networks that it builds."""
    if architecture.builder:
        from features.networks.adapters.builders import names_in_timm

        return names_in_timm(architecture)
    return {name: published_name(name) for name in empty}


def _records(checkpoint: Checkpoint, architecture: Architecture, names: Mapping[str, str]) -> Records:
    """The file's tensors under these names: as they are in files of our own, else those of the part that is taken."""
    if card.is_described(checkpoint.metadata):
        return checkpoint.records
    if architecture.builder:
        return _prefixed(checkpoint, set(names.values()))
    part = checkpoint.part
    layers = inference.head_layers(part)
    return {
        **inference.published(part),
        **(heads.tensors(layers, architecture.head_start) if architecture.classes is not None else {}),
    }


def _prefixed(checkpoint: Checkpoint, wanted: set[str]) -> Records:
    """The tensors behind the one prefix that all wanted names have in a file."""
    prefix = next(iter(_prefixes(checkpoint, wanted)), "")
    return {
        name.removeprefix(prefix): record
        for name, record in checkpoint.records.items()
        if name.startswith(prefix) and name.removeprefix(prefix) in wanted
    }


def _prefixes(checkpoint: Checkpoint, wanted: set[str]) -> list[str]:
    """What lies before the wanted names in a file; whole networks first, of these first those that are no copy."""
    first = min(wanted)
    prefixes = [name[: -len(first)] for name in checkpoint.records if name == first or name.endswith(f".{first}")]
    if checkpoint.wanted is not None:
        prefixes = [prefix for prefix in prefixes if f".{prefix}".endswith(f".{checkpoint.wanted}.")]
    whole = [prefix for prefix in prefixes if _is_whole(prefix, wanted, checkpoint.records)]
    return sorted(whole, key=lambda prefix: bool(spellings.COPY.search(prefix))) or sorted(prefixes, key=len)


def _is_whole(prefix: str, wanted: set[str], records: Records) -> bool:
    return all(f"{prefix}{name}" in records for name in wanted if not name.endswith(COUNTER))


def networks_in(checkpoint: Checkpoint, architecture: Architecture) -> tuple[list[str], list[str]]:
    """Where whole networks of one that timm builds lie in a file, the one that is taken first; and what else lies in it
    under the same path."""
    with torch.device("meta"):
        names = set(_names(architecture, build(architecture).state_dict()).values())
    whole = [prefix for prefix in _prefixes(checkpoint, names) if _is_whole(prefix, names, checkpoint.records)]
    prefix, others = next(iter(whole), ""), tuple(each for each in whole[1:] if each)
    inside = (
        name.removeprefix(prefix) for name in checkpoint.records
        if name.startswith(prefix) and not name.startswith(others) and not spellings.TRAINING.search(name)
    )  # fmt: skip
    rest = dict.fromkeys(name.partition(".")[0] for name in inside if name not in names and not name.endswith(COUNTER))
    return [each.rstrip(".") for each in whole], list(rest)


def _need_fit(
    checkpoint: Checkpoint,
    wanted: Mapping[str, Tensor],
    records: Records,
    biases: Mapping[str, str],
    architecture: Architecture,
) -> None:
    counters = {name for name in (*wanted, *records) if name.endswith(COUNTER)}
    shared = [name for name in wanted if name in records and name not in counters]
    problems = {
        "missing": sorted(name for name in wanted.keys() - records.keys() - counters if not _implied(name, records)),
        "unexpected": sorted(records.keys() - wanted.keys() - biases.keys() - counters),
        "misshapen": [
            f"{name} {records[name].shape}, not {tuple(wanted[name].shape)}"
            for name in shared
            if _trimmed(records[name].shape) != _trimmed(tuple(wanted[name].shape))
        ],
        "unusable": [f"{name} ({_fault(records[name])})" for name in shared if _fault(records[name])],
    }
    if any(problems.values()):
        lists = "; ".join(f"{len(names)} {kind}: {listing(names)}" for kind, names in problems.items() if names)
        raise refusal(checkpoint.path, f"the tensors do not fit a network of {architecture.describe()}. {lists}")


def _trimmed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without sides of 1 at its end: a linear layer's is that of a 1x1 convolution."""
    return _trimmed(shape[:-1]) if shape and shape[-1] == 1 else shape


def _implied(name: str, records: Records) -> bool:
    """Whether a tensor that is not in the file has its usual value: a bias of 0, or what no norm in the file has."""
    path, _, own = name.rpartition(".")
    if f"{path}.running_mean" not in records and f"{path}.running_var" not in records:
        return own == "bias" and f"{path}.weight" in records
    norms = (other.removesuffix("running_mean") for other in records if other.endswith("running_mean"))
    return own in ("weight", "bias") and not any(f"{norm}{own}" in records for norm in norms)


def _absorbed(records: Records, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Biases of convolutions without one here, each with the mean of the batch norm right behind, which takes it."""
    wanted = set(names.values())
    for name in records:
        path, _, own = name.rpartition(".")
        if own == "bias" and name not in wanted and f"{path}.weight" in wanted:
            means = (f"{norm}.running_mean" for norm in _norms_behind(path))
            mean = next((mean for mean in means if mean in wanted), None)
            if mean is not None:
                yield name, mean


def _norms_behind(path: str) -> tuple[str, ...]:
    """What the norm behind a convolution may be called: conv2 -> bn2, downsample.0 -> downsample.1, conv1.6 -> bn1."""
    outer, _, last = path.rpartition(".")
    if last.isdecimal():
        return f"{outer}.{int(last) + 1}", outer.replace("conv", "bn")
    return (f"{outer}.{last.replace('conv', 'bn')}".lstrip("."),)


def _fault(record: TensorRecord) -> str:
    """Why a tensor cannot be numbers of a network, or '' if it can."""
    if record.is_plain:
        return ""
    return f"{record.fault or str(record.dtype).removeprefix('torch.')}, not dense floating-point numbers"


def _need_numbers(checkpoint: Checkpoint, name: str, values: Tensor) -> None:
    if not name.endswith(COUNTER) and not values.isfinite().all():
        raise refusal(checkpoint.path, f"{name} is infinite or not a number. The weights are broken")
    if name.endswith(".running_var") and (values < 0).any():
        raise refusal(checkpoint.path, f"{name} has a variance below zero. The weights are broken")


def _filled(name: str, empty: Tensor, records: Records) -> Tensor:
    """A tensor of its own with the file's values in the wanted precision, or what they usually are."""
    record = records.get(name)
    if record is None or name.endswith(COUNTER):  # which changes nothing that is computed
        usual = float(name.endswith(".weight"))  # of a norm
        return torch.full(empty.shape, usual, dtype=empty.dtype)
    # The memory layout of the file would choose other kernels, whose sums differ in the last digit.
    values = record.load().detach().to(empty.dtype).reshape(empty.shape)
    return values.clone(memory_format=torch.contiguous_format)


def save(
    network: ResidualNetwork, path: Path, metadata: Mapping[str, str], exact: Collection[str] = frozenset()
) -> str:
    """Write a network as safetensors and return the file's SHA-256.

    Convolution and classifier weights are stored in fp16, normalisation (small, and sensitive) in fp32. exact: names in
    the network of tensors that keep every bit: those of them that fp16 would round are stored in fp32.
    The file appears under its name only when it is whole.
    """
    from safetensors.torch import save as to_bytes

    tensors = {}
    for name, tensor in network.state_dict().items():
        if not name.endswith(COUNTER):
            rounded = tensor.ndim > 1 and (name not in exact or torch.equal(tensor.half().float(), tensor))
            kind = torch.float16 if rounded else torch.float32
            tensors[published_name(name)] = tensor.detach().cpu().to(kind).contiguous()
    data = to_bytes(tensors, dict(metadata))
    files.write_whole(path, data)
    return hashlib.sha256(data).hexdigest()
