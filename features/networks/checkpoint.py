"""Reads and writes the tensors of a residual network, under the names that people's files really have."""

import hashlib
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from torch import Tensor

from features import files
from features.errors import WeightsError
from features.networks.architecture import Architecture
from features.networks.canonical import ResidualNetwork, build, freeze

SUFFIXES = (".pt", ".pth", ".th", ".safetensors")
WRAPPERS = ("state_dict", "model", "model_state_dict", "net")
PREFIXES = ("module.", "model.", "backbone.", "encoder.")
HEADS = ("linear", "classifier")
COUNTER = "num_batches_tracked"
LISTED = 12


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A weights file, read: tensors under torchvision's names ('layer1.0.conv1.weight', ..., 'fc.weight').

    metadata: what the file says of itself, as strings. digest: hexadecimal SHA-256 of the file.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    digest: str


def read(path: Path) -> Checkpoint:
    """Read a checkpoint without ever running code from it.

    Takes .safetensors, and .pt, .pth or .th through PyTorch's restricted unpickler: bare state dicts or dicts
    that hold one under 'state_dict', 'model', 'model_state_dict' or 'net'; any of the prefixes 'module.',
    'model.', 'backbone.', 'encoder.'; a head called 'fc', 'linear' or 'classifier'; projections called
    'downsample' or 'shortcut'.
    Raises WeightsError, with the reason, for everything else.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise WeightsError(f"There is no file {path}. Give the path of a {', '.join(SUFFIXES)} file.")
    if path.suffix.lower() not in SUFFIXES:
        raise WeightsError(f"{path.name} does not end in {', '.join(SUFFIXES)}. Save the weights as one of these.")
    metadata: Mapping[str, str] = {}
    if path.suffix.lower() == ".safetensors":
        state, metadata = _read_safetensors(path)
    else:
        state = _read_restricted(path)
    return Checkpoint(path, _published(state, path), metadata, files.digest_of(path))


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path.name} is not a whole safetensors file: {error}. Copy it again.") from error


def _read_restricted(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong is said below, without the library's own paths
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(f"{path.name} cannot be read: {error.strerror}. Check who may read it.") from error
    except Exception as error:  # a damaged or hostile file raises anything from KeyError to UnpicklingError
        # PyTorch's own message advises to switch the safety off, so only what it found is passed on.
        if not isinstance(error, pickle.UnpicklingError):
            raise WeightsError(
                f"{path.name} is damaged or not a PyTorch file ({type(error).__name__}). Copy or download it again."
            ) from error
        found = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it holds {found[1]}, which is code" if found else "PyTorch's safe reader cannot follow it"
        raise WeightsError(
            f"{path.name} cannot be read as plain tensors: {reason}. Files that would run code are refused. "
            "Save it again with torch.save(model.state_dict(), ...) or as safetensors."
        ) from error
    return _unwrap(content, path)


def _unwrap(content: object, path: Path) -> dict[str, Tensor]:
    if isinstance(content, Mapping):
        for key in WRAPPERS:
            inner = content.get(key)
            if isinstance(inner, Mapping) and any(isinstance(value, Tensor) for value in inner.values()):
                content = inner
                break
        odd = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
        if content and not odd:
            return {str(key): value for key, value in content.items()}
        found = f"a dict with {_listing(odd)} that are not tensors" if odd else "an empty dict"
    else:
        found = f"a {type(content).__name__}"
    raise WeightsError(
        f"{path.name} holds {found}. Wanted a state dict: names to tensors, bare or under {', '.join(WRAPPERS)}."
    )


def _published(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, tensor in state.items():
        new = _published_spelling(name)
        if new in tensors:
            raise WeightsError(
                f"{path.name} has two tensors for {new!r} once prefixes are removed ({name!r} is one). "
                "Save only the network that you want."
            )
        tensors[new] = tensor
    return tensors


def _published_spelling(name: str) -> str:
    """A tensor's name without wrappers' prefixes and with torchvision's words."""
    while name.startswith(PREFIXES):
        name = name.split(".", 1)[1]
    head, _, rest = name.partition(".")
    if head in HEADS:
        name = f"fc.{rest}"
    return name.replace(".shortcut.", ".downsample.")


def infer(checkpoint: Checkpoint) -> Architecture:
    """The architecture that a checkpoint's names and shapes describe.

    Two things leave no trace in tensors. Strides and padding are taken to be torchvision's (and the max-pool
    to follow a 7x7 stem); a network that changes its width without any projection is taken to have padding
    shortcuts (option A), not to be a plain one.
    Raises WeightsError if the tensors are not those of a residual network.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in checkpoint.tensors.items()}
    blocks = _count_blocks(shapes)
    stem = shapes.get("conv1.weight", ())
    if not blocks or len(stem) != 4:
        raise WeightsError(
            f"{checkpoint.path.name} does not look like a ResNet: wanted conv1.weight, layer1.0.conv1.weight, ..., "
            f"but got {_listing(list(shapes))}. Only residual networks laid out as torchvision's can be read."
        )
    bottleneck = "layer1.0.conv3.weight" in shapes
    middle, last = ("conv2", "conv3") if bottleneck else ("conv1", "conv2")
    firsts = [f"layer{number}.0" for number in range(1, len(blocks) + 1)]
    try:
        inner = tuple(shapes[f"{first}.{middle}.weight"][0] for first in firsts)
        outputs = tuple(shapes[f"{first}.{last}.weight"][0] for first in firsts)
        group = shapes["layer1.0.conv2.weight"][1] if bottleneck else inner[0]  # channels in a group
    except (KeyError, IndexError) as error:
        raise WeightsError(
            f"{checkpoint.path.name} has a stage without whole first block: {error} is missing or has no shape. "
            "Save the complete network."
        ) from error
    widths = (*stem[:2], *inner, *outputs, group)
    groups = 0 if 0 in widths else inner[0] // group
    if not groups or any(width % groups for width in inner):
        raise WeightsError(
            f"{checkpoint.path.name} has impossible widths: stem {stem}, 3x3 convolutions {inner} with {group} "
            f"channels a group, outputs {outputs}. Save the complete network."
        )
    fc = shapes.get("fc.weight")
    if fc is not None and len(fc) != 2:
        raise WeightsError(
            f"The head of {checkpoint.path.name} has shape {fc}. Wanted one linear layer (classes, width)."
        )
    return Architecture(
        block="bottleneck" if bottleneck else "basic",
        blocks=blocks,
        inner=inner,
        outputs=outputs,
        stem="imagenet" if stem[2] == 7 else "cifar",
        stem_width=stem[0],
        shortcut="projection" if any(".downsample." in name for name in shapes) else "padding",
        groups=groups,
        in_channels=stem[1],
        classes=None if fc is None else fc[0],
    )


def _count_blocks(shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """Blocks per stage, from names 'layer1.0.conv1.weight' on, as far as they run without a gap."""
    counts: list[int] = []
    while f"layer{len(counts) + 1}.0.conv1.weight" in shapes:
        stage, index = f"layer{len(counts) + 1}", 0
        while f"{stage}.{index}.conv1.weight" in shapes:
            index += 1
        counts.append(index)
    return tuple(counts)


def check(checkpoint: Checkpoint, wanted: Architecture) -> Architecture:
    """The architecture to build for a checkpoint that is said to be `wanted`.

    The classifier may have another number of classes (a fine-tuned network) or be missing; all else must agree.
    Raises WeightsError with what differs.
    """
    found = infer(checkpoint)
    if wanted.shortcut == "none" and found.shortcut == "padding":
        found = replace(found, shortcut="none")  # the two have the same tensors
    need_same(checkpoint, found, wanted)
    return found


def need_same(checkpoint: Checkpoint, found: Architecture, wanted: Architecture) -> None:
    """Raise WeightsError with what differs between two architectures, classes and input channels apart."""
    differs = [
        f"{field.name} is {getattr(found, field.name)}, not {getattr(wanted, field.name)}"
        for field in fields(Architecture)
        if field.name not in ("classes", "in_channels") and getattr(found, field.name) != getattr(wanted, field.name)
    ]
    if differs:
        raise WeightsError(
            f"{checkpoint.path.name} is of another network: {'; '.join(differs)}. "
            "Leave --model away to have it recognised."
        )


def load(checkpoint: Checkpoint, architecture: Architecture) -> ResidualNetwork:
    """The network in canonical form with a checkpoint's weights in fp32, frozen, in eval mode, on the CPU.

    Raises WeightsError that lists every missing, unexpected, misshapen and unusable tensor.
    """
    with torch.device("meta"):
        network = build(architecture)
    empty = network.state_dict()
    problems = _problems({published_name(name): tensor for name, tensor in empty.items()}, checkpoint.tensors)
    if any(problems.values()):
        listing = "; ".join(f"{len(names)} {kind}: {_listing(names)}" for kind, names in problems.items() if names)
        raise WeightsError(
            f"The tensors of {checkpoint.path.name} do not fit a network of {architecture.describe()}. {listing}. "
            "Save the network itself, without optimizer, projection or second copies."
        )
    state = {name: _filled(tensor, checkpoint.tensors.get(published_name(name))) for name, tensor in empty.items()}
    network.load_state_dict(state, assign=True)
    return freeze(network)


def _problems(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> dict[str, list[str]]:
    counters = {name for name in wanted if name.endswith(COUNTER)}
    shared = [name for name in wanted if name in found]
    return {
        "missing": sorted(wanted.keys() - found.keys() - counters),
        "unexpected": sorted(found.keys() - wanted.keys()),
        "misshapen": [
            f"{name} {tuple(found[name].shape)}, not {tuple(wanted[name].shape)}"
            for name in shared
            if found[name].shape != wanted[name].shape
        ],
        "unusable": [
            f"{name} ({reason})" for name in shared if name not in counters and (reason := _fault(name, found[name]))
        ],
    }


def _fault(name: str, tensor: Tensor) -> str:
    """Why a tensor cannot be what its name says, or '' if it can."""
    if tensor.is_meta or tensor.layout != torch.strided or not tensor.is_floating_point():
        return f"{str(tensor.dtype).removeprefix('torch.')}, not dense floating-point numbers"
    if not tensor.to(torch.float32).isfinite().all():
        return "infinite or not a number"
    return "a variance below zero" if name.endswith(".running_var") and (tensor < 0).any() else ""


def _filled(empty: Tensor, values: Tensor | None) -> Tensor:
    """A tensor of its own with the file's values in the wanted precision; zero for a counter without any."""
    if values is None:
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


def _listing(names: list[str]) -> str:
    rest = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + rest
