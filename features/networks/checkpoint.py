"""A file of weights, recognised: the networks in it, what is known of each, and the one that is taken."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from os.path import commonprefix
from pathlib import Path

from features import files
from features.errors import WeightsError
from features.networks import containers, hub_configs, inference, norms, pickled
from features.networks.architecture import Architecture
from features.networks.blobs import as_paths
from features.networks.choices import has_same_tensors
from features.networks.containers import Inert, TensorRecord
from features.networks.containers.tensors import need_bounds
from features.networks.flatten import tensors_of, unwrapped
from features.networks.inert_modules import Modules, modules_of
from features.networks.inference import Inferred, way_out
from features.networks.layers import COUNTER, STATISTICS, Layer
from features.networks.parts import Part, is_called, may_be_timms, parts_of
from features.networks.spellings import FLAT_WEIGHTS, MADE, PARAMETRIZED, TRAINING

LISTED = 12
MESSAGE = 480  # characters


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A weights file, read.

    format: as of containers.Content. records: every tensor in it by its name. metadata: what the file says of itself,
    as strings. digest: hexadecimal SHA-256 of the file. wanted: the name of the part to take, None for the main one;
    head: of its head, None for the first.
    values: what lies in it beside tensors, as plain values. modules: those of networks that were pickled whole.
    """

    path: Path
    format: str
    records: Mapping[str, TensorRecord]
    metadata: Mapping[str, str]
    digest: str
    wanted: str | None = None
    values: object = None
    head: str | None = None
    modules: Modules | None = None

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Every residual network in it, the main one first."""
        try:
            return tuple(parts_of(self.records, self.head))
        except WeightsError as error:
            raise refusal(self.path, str(error)) from error

    @cached_property
    def part(self) -> Part:
        """The network that is taken. Raises WeightsError if there is none, or none that is understood."""
        if not self.parts:
            raise refusal(self.path, _no_network(self.records) if self.records else _no_tensors(self.values))
        chosen = choose(self.path, self.parts, self.wanted)
        if self.head is not None and not is_called(chosen.head_name, self.head):
            known = ", ".join(map(repr, chosen.heads[:LISTED])) or "none"
            raise refusal(
                self.path, f"no head at {self.head[:80]!r}; those of this network: {known}. Choose one with --head"
            )
        try:
            need_understood(chosen)
        except WeightsError as error:
            raise refusal(self.path, str(error)) from error
        return chosen

    @cached_property
    def inferred(self) -> Inferred:
        """What the layers of the network that is taken tell of it. Raises WeightsError as `part`."""
        try:
            return self.inferred_of(self.part)
        except WeightsError as error:
            raise refusal(self.path, str(error)) from error

    def inferred_of(self, part: Part) -> Inferred:
        """As `inferred`, of any of the networks in the file."""
        inferred = inference.infer(part)
        return inferred if self.modules is None else pickled.applied(inferred, part, self.modules)

    @cached_property
    def has_open_norms(self) -> bool:
        """Whether the norms of the network that is taken keep no statistics, and nothing tells that they are group
        norms. Raises WeightsError for instance norms."""
        try:
            return norms.are_open(self.part, self.parts)
        except WeightsError as error:
            raise refusal(self.path, str(error)) from error

    def need_no_batch_norms(self, said: str = "") -> None:
        """Raise WeightsError where open norms are told to be batch norms, or too narrow to be taken for group norms.

        said: what is known to say so, in words.
        """
        if not self.has_open_norms:
            return
        said = said or norms.batch_norms_told_by(self.part, self.parts, self.modules)
        if said or self.inferred.architecture.norm_groups != norms.GROUPS:
            why = f"they are told by {said}" if said else f"and {norms.GROUPS} groups do not divide all their widths"
            raise refusal(self.path, f"{norms.LOST}, {why}. {norms.WAYS_OUT}")


def read(path: Path, part: str | None = None, head: str | None = None) -> Checkpoint:
    """Read a file of weights without ever running code from it.

    Takes what torch.save writes (state dicts, training states, whole networks, TorchScript) and safetensors, whatever
    the file is called, the index of one in several files or any of these, and a folder in which timm or Hugging Face
    saved one. part, head: the names of the network, and
    of its head, to take where there are several; None takes the main network, and the first head.
    Raises WeightsError, in one sentence of at most 500 characters, for everything else.
    """
    path = _followed(Path(path))
    content = containers.read(path)
    path = content.path
    try:
        tensors = tensors_of(content)
        need_bounds(tensors, sum(each.stat().st_size for each in content.files))
        modules = modules_of(content, tensors)
        records = as_paths(tensors if modules is not None else unwrapped(tensors))
    except WeightsError as error:
        raise refusal(path, str(error)) from error
    return Checkpoint(
        path, content.format, records, content.metadata, digest_of(content.files), part, content.values, head,
        modules,
    )  # fmt: skip


def _followed(path: Path) -> Path:
    """The file of weights that a path names, or that is in the folder that it names."""
    try:
        path = path.expanduser()
    except RuntimeError as error:  # nobody's home
        raise WeightsError(f"There is no file {path}. Give the path of a file of weights.") from error
    return (hub_configs.weights_in(path) or path) if files.is_folder(path) else path


def digest_of(paths: Sequence[Path]) -> str:
    """Hexadecimal SHA-256 of a file; of several, of their digests."""
    if len(paths) == 1:
        return files.digest_of(paths[0])
    return hashlib.sha256("".join(map(files.digest_of, paths)).encode()).hexdigest()


def choose(path: Path, parts: Sequence[Part], name: str | None) -> Part:
    """The part of a name, or of its end alone, or the main one. Raises WeightsError with the names that there are."""
    if name is None:
        return parts[0]
    named = [part for part in parts if part.name == name] or [part for part in parts if part.name.endswith(f".{name}")]
    if len(named) != 1:
        known = ", ".join(repr(part.name) for part in parts[:LISTED])
        raise refusal(path, f"no network at {name[:80]!r}; those that were found: {known}. Choose one with --part")
    return named[0]


# Of a layer's tensors: what convolutions and norms have, and how weight normalisation spells a weight.
OWN_NAMES = {"weight", "bias", *STATISTICS, COUNTER, *(name for pair in PARAMETRIZED for name in pair)}


def need_understood(part: Part) -> None:
    """Raises WeightsError for a network with layers whose place is not known, since it would be read wrong."""
    if part.faulty:
        raise WeightsError(
            f"tensors that are no plain numbers: {listing(part.faulty)}. Save the network dense and in floating point"
        )
    if part.gap:
        raise WeightsError(f"a residual network with {part.gap} alone. Save the complete network")
    if not part.stem:
        raise WeightsError(
            "a residual network without its first convolution, or with one that leads elsewhere. Save the complete "
            f"network. {way_out(part.may_be_timms)}"
        )
    if part.going_on:
        raise WeightsError(
            f"a residual network whose outputs go on into {part.going_on[0]!r}, and tensors do not tell what lies "
            "between. Save it with its head in one Sequential, as network.fc"
        )
    if part.between:
        raise WeightsError(
            f"a residual network with {part.between[0]!r}, which may lie between its features and its head, and "
            "tensors do not tell. Save it with its head in one Sequential, as network.fc, or without what is no part; "
            "of a network with a recurrent layer or a learned pool, save the body alone"
        )
    if part.before:
        raise WeightsError(
            f"a residual network with {part.before[0]!r}, which may lie before its first convolution, and tensors do "
            "not tell. Save the network without it, and give what it does to the pixels with --mean and --std"
        )
    odd = list(_odd_layers(part))
    inside = (f"{layer.name}.{own}" for _, layer, names in odd for own in names)
    if made := list(filter(MADE.search, (*part.unexplained, *inside))):
        raise WeightsError(_made(made))
    if part.unexplained:
        raise WeightsError(
            "a residual network with layers that are not understood, so that it would be read wrong: "
            f"{listing(part.unexplained)}. {way_out(part.may_be_timms)}"
        )
    if odd:
        where, layer, names = odd[0]
        raise WeightsError(
            "layers with parts that are not understood, so that they would be read wrong: "
            f"{where}{', '.join(names[:3])} at {layer.name or 'the block itself'}. {way_out(part.may_be_timms)}"
        )


def _odd_layers(part: Part) -> Iterator[tuple[str, Layer, list[str]]]:
    """Layers with tensors that convolutions, norms and linear layers do not have: where, which, and these tensors."""
    for number, stage in enumerate(part.stages, start=1):
        for index, block in enumerate(stage):
            where = f"stage {number} block {index}: "
            yield from ((where, layer, sorted(layer.tensors)) for layer in block.others)
            for layer in (*block.convs, *block.shortcut):
                if layer.tensors.keys() - OWN_NAMES:
                    yield where, layer, sorted(layer.tensors)
    for layer in (*part.stem, *part.stem_pool, *part.last, *part.head):
        if names := sorted(layer.tensors.keys() - OWN_NAMES):
            yield "", layer, names


def check(checkpoint: Checkpoint, wanted: Architecture) -> Architecture:
    """The architecture to build for a checkpoint that is said to be `wanted`.

    What layers do not tell is taken from there. The classifier may have another number of classes (a fine-tuned
    network) or be missing; all else must agree. Raises WeightsError with what differs.
    """
    if wanted.builder:
        return replace(wanted, classes=_classes_as_timm_has_them(checkpoint.records))
    if wanted.norm == "batch":
        checkpoint.need_no_batch_norms("the network's name")
    told, untold = checkpoint.inferred.architecture, checkpoint.inferred.untold
    taken = {choice.field: getattr(wanted, choice.field) for choice in untold}
    if "shortcut" in taken and taken["shortcut"] == "projection":
        del taken["shortcut"]  # which its layers do tell
    if not has_same_tensors(told, wanted.norm):
        taken.pop("norm", None)
    if told.pooled_features != wanted.pooled_features:  # a network with another head is called by its body's name
        taken.pop("head_pool", None)
    if told.head_widths or told.classes is None:
        taken.pop("head_activation", None)
    told = replace(told, **taken)
    need_same(checkpoint, told, wanted)
    return told


def _classes_as_timm_has_them(records: Mapping[str, TensorRecord]) -> int | None:
    """The width of the classifier in a file of timm's, None where there is none."""
    heads = [record for name, record in records.items() if f".{name}".endswith((".fc.weight", ".head.weight"))]
    linear = [record.shape[0] for record in heads if len(record.shape) in (2, 4)]
    return linear[0] if linear else None


# What fine-tuning changes.
OWN = ("classes", "in_channels", "head_pool", "head_start", "head_widths", "head_activation")


def need_same(checkpoint: Checkpoint, told: Architecture, wanted: Architecture) -> None:
    """Raise WeightsError with what differs between two architectures, head and input channels apart."""
    differs = [
        f"{field.name} is {getattr(told, field.name)}, not {getattr(wanted, field.name)}"
        for field in fields(Architecture)
        if field.name not in OWN and told.resolved(field.name) != wanted.resolved(field.name)
        if getattr(told, field.name) != getattr(wanted, field.name)  # else it follows from another field
    ]
    if differs:
        raise refusal(
            checkpoint.path,
            f"the weights are of another network: {'; '.join(differs)}. Leave --model away to have it recognised",
        )


def _no_tensors(values: object) -> str:
    """What a file without tensors has in their place, and what to do."""
    if isinstance(values, Inert) and values.name.startswith("__torch__."):
        return (
            "a frozen TorchScript network, whose weights are constants of its program. Save it before "
            "torch.jit.freeze, or torch.save(model.state_dict(), ...)"
        )
    return "no tensors. Save torch.save(model.state_dict(), ...)"


def _made(names: Sequence[str]) -> str:
    return (
        "weights that are made of others by pruning, quantisation, adapters (LoRA) or a norm of the weight: "
        f"{listing(names[:3])}. Merge them before saving (prune.remove, merge_and_unload, remove_parametrizations)"
    )


def _no_network(records: Mapping[str, TensorRecord]) -> str:
    odd = [name for name, record in records.items() if record.fault]
    if odd:
        return (
            f"{records[odd[0]].fault} tensors ({listing(odd)}), where plain numbers are read. Save it in floating point"
        )
    made = [name for name in records if MADE.search(name)]
    if made:
        return _made(made)
    if any(map(FLAT_WEIGHTS.search, records)):
        return (
            "weights of many layers in one tensor, as FSDP has them. Save the whole network's: get_model_state_dict("
            "model, options=StateDictOptions(full_state_dict=True)) of torch.distributed.checkpoint.state_dict"
        )
    if all(map(TRAINING.search, records)):
        return "an optimizer's state alone. Give the file of the network's weights, which lies beside it"
    if all(name.rpartition(".")[2].isdecimal() for name in records):
        return (
            f"a list of {len(records):,} tensors without names, so that nothing tells which is which. Save them with "
            "their names: torch.save(model.state_dict(), ...)"
        )
    shared = commonprefix(list(records)).rpartition(".")[0]  # noqa: RUF071 (it is cut at a dot)
    names = (name.removeprefix(f"{shared}.") for name in records)
    return (
        f"{len(records):,} tensors, but no residual network among them: wanted stages of blocks with two or three "
        f"convolutions and norms, and got {listing(list(records)[:6])}. {way_out(may_be_timms(names))}"
    )


def refusal(path: Path, reason: str) -> WeightsError:
    """A refusal in one sentence of at most 500 characters, beginning with the file's name."""
    name = path.name[:80]
    text = reason if reason.startswith((path.name, name)) else f"{name}: {reason}"
    text = printable(text if text.endswith(".") else f"{text}.")
    return WeightsError(text if len(text) <= MESSAGE else f"{text[: MESSAGE - 4]} ...")


def listing(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    rest = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return printable(", ".join(name[:60] for name in names[:LISTED])) + rest


def printable(text: str) -> str:
    """A text without the line ends and signals to a terminal that names in a file may hold."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
