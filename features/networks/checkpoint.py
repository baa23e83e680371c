"""A file of weights, recognised: the networks in it, what is known of each, and the canonical network that it fills."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from torch import Tensor

from features import files
from features.errors import WeightsError
from features.networks import containers, inference
from features.networks.architecture import Architecture
from features.networks.canonical import ResidualNetwork, build, freeze
from features.networks.containers import TensorRecord
from features.networks.containers.tensors import need_bounds
from features.networks.flatten import tensors_of
from features.networks.inference import Inferred, infer
from features.networks.layers import COUNTER
from features.networks.parts import Part, parts_of

LISTED = 12
MESSAGE = 480  # characters


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A weights file, recognised.

    format: as of containers.Content. parts: every residual network in it, the main one first; part: the chosen one.
    inferred: its architecture, as far as layers tell it, and what they do not. names: of all tensors, before they are
    sorted. metadata: what the file says of itself, as strings. digest: hexadecimal SHA-256 of the file.
    """

    path: Path
    format: str
    parts: tuple[Part, ...]
    part: Part
    inferred: Inferred
    names: tuple[str, ...]
    metadata: Mapping[str, str]
    digest: str

    @property
    def tensors(self) -> dict[str, TensorRecord]:
        """The chosen network's tensors under torchvision's names ('layer1.0.conv1.weight', ..., 'fc.weight')."""
        return {name: layer.tensors[own] for name, (layer, own) in inference.published(self.part).items()}


def read(path: Path, part: str | None = None) -> Checkpoint:
    """Recognise a file of weights without ever running code from it.

    Takes what torch.save writes (state dicts, training states, whole networks, TorchScript) and safetensors, whatever the
    file is called, and finds the residual networks in it. part: the name of the one to take; None takes the main one.
    Raises WeightsError, in one sentence of at most 500 characters, for everything else.
    """
    path = Path(path).expanduser()
    content = containers.read(path)
    try:
        records = tensors_of(content)
        need_bounds(records, path.stat().st_size)
        parts = tuple(parts_of(records))
        if not parts:
            raise WeightsError(_no_network(records))
        chosen = choose(parts, part)
        _need_explained(chosen)
        inferred = infer(chosen)
    except WeightsError as error:
        raise WeightsError(_told(path, str(error))) from error
    return Checkpoint(
        path, content.format, parts, chosen, inferred, tuple(records), content.metadata, files.digest_of(path)
    )


def choose(parts: Sequence[Part], name: str | None) -> Part:
    """The part of a name, or the main one. Raises WeightsError with the names that there are."""
    if name is None:
        return parts[0]
    named = [part for part in parts if part.name == name]
    if not named:
        known = ", ".join(repr(part.name) for part in parts[:LISTED])
        raise WeightsError(f"no network at {name!r:.80}; those that were recognised: {known}. Name one with --part")
    return named[0]


def _need_explained(part: Part) -> None:
    if part.unexplained:
        raise WeightsError(
            f"a residual network with layers that are not understood, so that it would be read wrong: "
            f"{_listing(part.unexplained)}. Name what it is with --model timm:NAME if it is one of timm's"
        )
    strange = [
        f"stage {number} block {index}: {', '.join(sorted(layer.tensors)[:3])} at {layer.name or 'the block itself'}"
        for number, stage in enumerate(part.stages, start=1)
        for index, block in enumerate(stage)
        for layer in block.others
    ]
    if strange:
        raise WeightsError(f"blocks with parts that are not understood, so that they would be read wrong: {strange[0]}")


def _no_network(records: Mapping[str, TensorRecord]) -> str:
    if not records:
        return "no tensors. Save torch.save(model.state_dict(), ...)"
    odd = [name for name, record in records.items() if record.fault]
    if odd:
        return f"{records[odd[0]].fault} tensors ({_listing(odd)}), where plain numbers are read. Save it in floating point"
    return (
        f"{len(records):,} tensors, but no residual network among them: wanted stages of blocks with two or three "
        f"convolutions and norms, and got {_listing(list(records))}"
    )


def _told(path: Path, reason: str) -> str:
    name = path.name[:80]
    text = reason if reason.startswith((path.name, "There is")) else f"{name}: {reason}"
    text = text if text.endswith(".") else f"{text}."
    return text if len(text) <= MESSAGE else f"{text[: MESSAGE - 4]} ..."


def check(checkpoint: Checkpoint, wanted: Architecture) -> Architecture:
    """The architecture to build for a checkpoint that is said to be `wanted`.

    What layers do not tell is taken from there. The classifier may have another number of classes (a fine-tuned network)
    or be missing; all else must agree. Raises WeightsError with what differs.
    """
    told = checkpoint.inferred.architecture
    taken = {name: getattr(wanted, name) for name in checkpoint.inferred.assumed if name != "shortcut"}
    if wanted.shortcut == "none" and told.shortcut == "padding":
        taken["shortcut"] = "none"  # the two have the same tensors
    told = replace(told, **taken)
    need_same(checkpoint, told, wanted)
    return told


def need_same(checkpoint: Checkpoint, told: Architecture, wanted: Architecture) -> None:
    """Raise WeightsError with what differs between two architectures, classes and input channels apart."""
    differs = [
        f"{field.name} is {getattr(told, field.name)}, not {getattr(wanted, field.name)}"
        for field in fields(Architecture)
        if field.name not in ("classes", "in_channels") and getattr(told, field.name) != getattr(wanted, field.name)
    ]
    if differs:
        raise WeightsError(
            _told(
                checkpoint.path,
                f"it is of another network: {'; '.join(differs)}. Leave --model away to have it recognised",
            )
        )


def load(checkpoint: Checkpoint, architecture: Architecture) -> ResidualNetwork:
    """The network in canonical form with a checkpoint's weights in fp32, frozen, in eval mode, on the CPU.

    Raises WeightsError that lists every missing, unexpected, misshapen and unusable tensor.
    """
    with torch.device("meta"):
        network = build(architecture)
    empty = network.state_dict()
    records = checkpoint.tensors
    _need_fit(checkpoint, {published_name(name): tensor for name, tensor in empty.items()}, records, architecture)
    state = {}
    for name, tensor in empty.items():
        record = records.get(published_name(name))
        state[name] = _filled(tensor, None if record is None else record.load())
        _need_numbers(checkpoint, name, state[name])
    _absorb_biases(state, records)
    network.load_state_dict(state, assign=True)
    return freeze(network)


def _need_fit(
    checkpoint: Checkpoint,
    wanted: Mapping[str, Tensor],
    records: Mapping[str, TensorRecord],
    architecture: Architecture,
) -> None:
    counters = {name for name in wanted if name.endswith(COUNTER)}
    absorbed = {name for name in records if _is_absorbed(name, wanted)}
    shared = [name for name in wanted if name in records]
    problems = {
        "missing": sorted(wanted.keys() - records.keys() - counters),
        "unexpected": sorted(records.keys() - wanted.keys() - absorbed - {n for n in records if n.endswith(COUNTER)}),
        "misshapen": [
            f"{name} {records[name].shape}, not {tuple(wanted[name].shape)}"
            for name in shared
            if name not in counters and records[name].shape != tuple(wanted[name].shape)
        ],
        "unusable": [f"{n} ({_fault(records[n])})" for n in shared if n not in counters and _fault(records[n])],
    }
    if any(problems.values()):
        listing = "; ".join(f"{len(names)} {kind}: {_listing(names)}" for kind, names in problems.items() if names)
        raise WeightsError(
            _told(checkpoint.path, f"the tensors do not fit a network of {architecture.describe()}. {listing}")
        )


def _is_absorbed(name: str, wanted: Mapping[str, Tensor]) -> bool:
    """Whether a tensor is the bias of a convolution that a BatchNorm follows, which takes it into its mean."""
    return name.endswith(".bias") and name not in wanted and f"{name.removesuffix('bias')}weight" in wanted


def _norm_behind(name: str) -> str:
    """The norm behind a convolution in published names: conv2 -> bn2, downsample.0 -> downsample.1, conv1.0 -> conv1.1."""
    path, _, last = name.rpartition(".")
    if last.isdecimal():
        return f"{path}.{int(last) + 1}"
    return f"{path}.{last.replace('conv', 'bn')}".lstrip(".")


def _absorb_biases(state: dict[str, Tensor], records: Mapping[str, TensorRecord]) -> None:
    """Take the biases of convolutions into the means of the norms behind them: (x + b - mean) = (x - (mean - b))."""
    names = {published_name(name): name for name in state}
    for name, record in records.items():
        if _is_absorbed(name, {n: state[own] for n, own in names.items()}):
            mean = names.get(f"{_norm_behind(name.removesuffix('.bias'))}.running_mean")
            bias = record.load().float()
            if mean is not None:
                state[mean] = state[mean] - bias
            elif bias.any():
                raise WeightsError(f"{name} is a bias that no BatchNorm takes. Save the network with its norms.")


def _fault(record: TensorRecord) -> str:
    """Why a tensor cannot be numbers of a network, or '' if it can."""
    if record.is_plain:
        return ""
    return f"{record.fault or str(record.dtype).removeprefix('torch.')}, not dense floating-point numbers"


def _need_numbers(checkpoint: Checkpoint, name: str, values: Tensor) -> None:
    name = published_name(name)
    if not name.endswith(COUNTER) and not values.isfinite().all():
        raise WeightsError(_told(checkpoint.path, f"{name} is infinite or not a number. The weights are broken"))
    if name.endswith(".running_var") and (values < 0).any():
        raise WeightsError(_told(checkpoint.path, f"{name} has a variance below zero. The weights are broken"))


def _filled(empty: Tensor, values: Tensor | None) -> Tensor:
    """A tensor of its own with the file's values in the wanted precision; zero for a counter without any."""
    if values is None or values.shape != empty.shape:
        return torch.zeros(empty.shape, dtype=empty.dtype)
    # The memory layout of the file would choose other kernels, whose sums differ in the last digit.
    return values.detach().to(empty.dtype).clone(memory_format=torch.contiguous_format)


def published_name(name: str) -> str:
    """The name that a tensor of the canonical network has in files: torchvision's."""
    name = re.sub(r"^(stem|stages|head)\.", "", name)
    return name.replace(".branch.", ".").replace(".shortcut.", ".downsample.")


def save(network: ResidualNetwork, path: Path, metadata: Mapping[str, str]) -> str:
    """Write a network as safetensors and return the file's SHA-256.

    Convolution and classifier weights are stored in fp16, normalisation (small, and sensitive) in fp32.
    The file appears under its name only when it is whole.
    """
    from safetensors.torch import save as to_bytes

    tensors = {}
    for name, tensor in network.state_dict().items():
        if not name.endswith(COUNTER):
            kind = torch.float16 if tensor.ndim > 1 else torch.float32
            tensors[published_name(name)] = tensor.detach().cpu().to(kind).contiguous()
    data = to_bytes(tensors, dict(metadata))
    files.write_whole(path, data)
    return hashlib.sha256(data).hexdigest()


def _listing(names: Sequence[str]) -> str:
    rest = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(name[:60] for name in names[:LISTED]) + rest
