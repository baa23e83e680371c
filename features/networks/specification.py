"""What a file of one's own is: what it says itself, what its tensors tell, what was said of it, and what is assumed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from features.errors import FeatureError, WeightsError
from features.networks import (
    buffers,
    card,
    catalogue,
    checkpoint,
    filling,
    heads,
    hub_configs,
    inference,
    norms,
    parts,
    signatures,
    trials,
    verdicts,
    written,
)
from features.networks.architecture import Architecture
from features.networks.canonical import ResidualNetwork, build, freeze
from features.networks.card import ModelSpec
from features.networks.checkpoint import Checkpoint
from features.networks.choices import CHOICES, Choice
from features.networks.hypotheses import Verdict
from features.networks.naming import NetworkName
from features.networks.parts import is_called
from features.networks.preprocessing import Preprocessing
from features.networks.settings import anew, applied
from features.networks.written import Written

if TYPE_CHECKING:
    from PIL.Image import Image

Pictures = Callable[[], Sequence["Image"]]
NORMS = frozenset({"norm", "norm_groups"})  # either of which says that norms are no batch norms
MEANS = {1: ((0.449,), (0.226,))}  # ImageNet's, averaged over its channels


def of_file(
    file: Checkpoint, named: NetworkName, pictures: Pictures | None = None
) -> tuple[ModelSpec, ResidualNetwork, Verdict | None]:
    """What a file of weights is, the network that it fills, and what its statistics said.

    pictures: some of the images that it will be shown, on which is tested what nothing tells; asked for only then.
    Raises WeightsError if the file does not fit what it is said to be, FeatureError for settings that do not go with
    it.
    """
    name = named.name
    if file.head is not None and (card.is_described(file.metadata) or str(name).startswith(catalogue.TIMM)):
        raise FeatureError("A head is chosen only where a network is read from its tensors. Leave --head away.")
    if card.is_described(file.metadata):
        spec, known, batch_norms = _self_described(file, named), None, ""
    else:
        name = name or hub_configs.name_beside(file.path)
        spec, known, batch_norms = _told(file, replace(named, name=name), is_said=named.name is not None)
        taken = _taken(file)
        spec = replace(spec, taken=taken, source=", ".join(filter(None, (spec.source, taken))))
    spec, chosen = applied(replace(spec, file=file.path), named.settings)
    if known is not None and not spec.architecture.builder and NORMS.isdisjoint(known | chosen):
        file.need_no_batch_norms(batch_norms)
    network = filling.load(file, spec.architecture)
    if known is None:
        return spec, network, None
    settled = known | chosen
    verdict = _verdict(file, spec, network, settled, pictures)
    if verdict is not None and verdict.settings:
        architecture = spec.architecture
        spec, _ = applied(spec, verdict.settings)
        if spec.architecture != architecture:
            network = rebuilt(network, spec.architecture)
    return replace(spec, assumed=tuple(_assumed(file, spec, name, settled, verdict))), network, verdict


def _taken(file: Checkpoint) -> str:
    """Which of several networks and heads is taken, in words; '' for the main one with its first head."""
    words = []
    if file.wanted is not None and not (file.parts and is_called(file.parts[0].name, file.wanted)):
        words.append(f"part {file.wanted}")
    if file.head is not None and file.part.head_name != file.part.heads[0]:
        words.append(f"head {file.part.head_name}")
    return ", ".join(words)


def rebuilt(network: ResidualNetwork, architecture: Architecture) -> ResidualNetwork:
    """The same weights in a network that leaves no other trace in them."""
    with torch.device("meta"):
        made = build(architecture)
    made.load_state_dict(network.state_dict(), assign=True)
    return freeze(made)


def said_of_itself(path: Path, metadata: Mapping[str, str]) -> ModelSpec:
    """What a file of our own says that it is. Raises WeightsError, naming the file and what to do."""
    try:
        return card.described(metadata)
    except FeatureError as error:
        reason = str(error).rstrip(".")
        raise checkpoint.refusal(
            path, f"what it says of itself cannot be understood: {reason}. Copy it again, or save it anew"
        ) from error


def _self_described(file: Checkpoint, named: NetworkName) -> ModelSpec:
    """What a file says that it is, once its tensors and the name that the user gave it (if any) agree."""
    entry = said_of_itself(file.path, file.metadata)
    if named.name is not None:
        wanted = anew(catalogue.spec(named.name), named.settings)
        checkpoint.need_same(file, entry.architecture, wanted.architecture)
    return entry


def _told(file: Checkpoint, named: NetworkName, is_said: bool) -> tuple[ModelSpec, frozenset[str], str]:
    """What a file is by its tensors, by what is written in or beside it, and by a name; and which fields are known.

    is_said: whether a person gave the name, whose classes are then the network's. Last, what says that its norms are
    batch norms.
    """
    name = named.name
    if name is None:
        architecture = file.inferred.architecture
        told, source = _written(file, architecture), f"file {file.path.name}"
        known = told.known | file.inferred.told
        large = architecture.stem != "cifar"
        preprocessing = catalogue.IMAGENET_PREPROCESSING if large else catalogue.CIFAR_PREPROCESSING
        preprocessing = _of_channels(preprocessing, architecture.in_channels)
        preprocessing = replace(preprocessing, **signatures.pixels_of(file.part, architecture))
        usual = signatures.usual_of(file.part, architecture)
        architecture = replace(architecture, **{name: usual[name] for name in usual.keys() - known})
        if "stride_at" not in known and _is_likely_caffes(file, architecture, told):
            architecture = replace(architecture, stride_at="first")
        architecture, preprocessing = written.applied(told, architecture, preprocessing)
        names, family = told.class_names, catalogue.family_of(architecture) or "ResNet (read from the file)"
    else:
        entry = anew(catalogue.spec(name), named.settings)
        architecture, source = checkpoint.check(file, entry.architecture), f"file {file.path.name}"
        told = _written(file, architecture)
        # Of torchvision's networks, the name is that of an architecture: whoever changed a stride keeps it.
        is_whole = name not in catalogue.TORCHVISION
        # Everybody calls their own option A by the same name, and a network with another head by its body's name.
        all_choices = frozenset(choice.field for choice in CHOICES) - {"shortcut_padding"}
        all_choices -= {"head_pool"} if architecture.head_pool != entry.architecture.head_pool else set()
        architecture = replace(architecture, head_pool=told.architecture.get("head_pool", architecture.head_pool))
        known = told.known | (all_choices if is_whole else frozenset())
        preprocessing = entry.preprocessing if is_whole else catalogue.IMAGENET_PREPROCESSING
        preprocessing = _of_channels(preprocessing, architecture.in_channels)
        _, preprocessing = written.applied(told, architecture, preprocessing)
        same = is_said and architecture.classes == entry.architecture.classes
        names, family = told.class_names or (entry.class_names if same else ()), entry.family
    spec = ModelSpec(
        hub_configs.title_of(file.path), family, architecture, preprocessing, names,
        file.metadata.get("source", source), "the file's own", multilabel=told.multilabel,
    )  # fmt: skip
    return spec, known, told.batch_norms


def _is_likely_caffes(file: Checkpoint, architecture: Architecture, told: Written) -> bool:
    """Whether detectron2's file keeps a deviation of 1, as its networks that began with MSRA's weights."""
    ones = [255 * value for value in told.pixels.get("std", ())]
    plain = architecture.block == "bottleneck" and architecture.groups == 1 and architecture.antialias == "none"
    return plain and file.part.title == "detectron2" and bool(ones) and all(abs(each - 1) < 1e-3 for each in ones)


def _written(file: Checkpoint, architecture: Architecture) -> Written:
    """What is written of a network in its file or beside it, and what its tensors keep of its pixels."""
    where = (file.wanted or "") if architecture.builder else file.part.name
    stored = buffers.pixels_of(file.records, where, architecture.in_channels)
    try:
        return written.read(file.path, file.values, architecture, stored)
    except WeightsError as error:
        raise checkpoint.refusal(file.path, str(error)) from error


def _of_channels(preprocessing: Preprocessing, channels: int) -> Preprocessing:
    if preprocessing.channels == channels:
        return preprocessing
    mean, std = MEANS.get(channels, ((0.0,) * channels, (1.0,) * channels))
    return replace(preprocessing, mean=mean, std=std)


def _verdict(
    file: Checkpoint,
    spec: ModelSpec,
    network: ResidualNetwork,
    settled: frozenset[str],
    pictures: Pictures | None,
) -> Verdict | None:
    """What statistics say of what is open; kept, so that no other images change it. None if it was not tested."""
    if spec.architecture.builder:  # which says it all
        return None
    is_open = {choice.field for choice in _untold(file, spec)} | {"mean", "std"}
    is_open -= settled
    key = verdicts.key_of(file, spec, is_open)
    verdict = verdicts.kept(key)
    if verdict is not None or pictures is None or not is_open:
        return verdict
    verdict = trials.judge(
        spec, network, lambda architecture: rebuilt(network, architecture), is_open.__contains__, pictures()
    )
    if verdict.fits:
        verdicts.keep(key, verdict)
    return verdict


def _of_head(file: Checkpoint, spec: ModelSpec, settled: frozenset[str]) -> Iterator[str]:
    """What no option sets: which layers belong together, and what the head is."""
    if spec.architecture.norm == "none":
        yield "no norms: theirs are folded into the convolutions"
    if spec.architecture.norm == "batch" and inference.may_have_norms_before_or_behind(file.part):
        yield f"norms {'before' if spec.architecture.preactivation else 'behind'} their convolutions"
    if not spec.architecture.preactivation and spec.architecture.stem_norm is False:
        yield "no activation between the first convolution and the blocks, since there is no norm"
    if not all(block.numbered for stage in file.part.stages for block in stage):
        yield "the layers of a block in the file's order, since their names have no numbers"
    if spec.architecture.classes is not None and written.HEAD not in settled:
        if heads.has_no_bias(inference.head_layers(file.part)):
            yield "a head of inner products, though without a bias it may be one of cosines"
        if file.part.projections:
            yield f"{checkpoint.listing(file.part.projections)} as a projection beside the head, not before it"
        if len(file.part.heads) > 1 and file.head is None:
            yield f"of the heads {checkpoint.listing(file.part.heads)} the first (--head)"
    elif spec.architecture.classes is None and (left := [*sorted(file.part.linear), *file.part.dense]):
        takes = " (--head takes one)" if file.part.heads else ""
        yield f"no head: {checkpoint.listing(left)} are left aside{takes}"


def _as_usual(spec: ModelSpec, settled: frozenset[str]) -> Iterator[str]:
    """What no option sets and few networks have otherwise."""
    if spec.architecture.classes is not None and written.HEAD not in settled:
        yield "nothing between the pool over space and the head, nor behind it"
        if spec.architecture.head_widths:
            yield "the layers of the head one after the other, none gone around"
        if spec.architecture.head_start == "layer":
            yield "a layer norm before the head, of epsilon 1e-5"
    if spec.architecture.attention != "none":
        yield "channel attention of means alone, with a sigmoid, at the end of each branch"


def _of_others(file: Checkpoint) -> Iterator[str]:
    """Which network is taken of several, and what stands beside it that may change its inputs or outputs."""
    whole = [part for part in file.parts if part.stem and not part.gap]
    if len(whole) > 1 and file.wanted is None:
        names = checkpoint.listing([repr(part.name) for part in whole])
        yield f"of the networks {names} that at {file.part.name!r} (--part)"
    if beside := parts.beside(file.part, file.parts):
        yield f"{checkpoint.listing(beside)} beside the network as no part of it"


def _of_copies(file: Checkpoint, architecture: Architecture) -> Iterator[str]:
    """Which network is taken of several that timm builds, and what else stands in it."""
    whole, rest = filling.networks_in(file, architecture)
    if len(whole) > 1 and file.wanted is None:
        yield f"of the networks {checkpoint.listing(list(map(repr, whole)))} that at {whole[0]!r} (--part)"
    if rest:
        yield f"{checkpoint.listing(rest)} beside the network as no part of it"


def _takes_open_norms(file: Checkpoint, spec: ModelSpec, settled: frozenset[str]) -> bool:
    """Whether norms are taken for group norms though nothing tells that they are no batch norms."""
    return not spec.architecture.builder and NORMS.isdisjoint(settled) and file.has_open_norms


def _untold(file: Checkpoint, spec: ModelSpec) -> tuple[Choice, ...]:
    """What tensors do not tell; nothing of a network that another library builds by its name."""
    return () if spec.architecture.builder else file.inferred.untold


def _assumed(
    file: Checkpoint, spec: ModelSpec, name: str | None, settled: frozenset[str], verdict: Verdict | None
) -> Iterator[str]:
    """What nothing tells, in words with the options that set it; what was tested and told apart is no assumption.

    The gravest comes first: that the images do not fit at all, then what may be another network than was meant.
    """
    if verdict is not None and verdict.nearer:
        yield (
            "all that follows, though the statistics of its norms are nearer with "
            f"{' and '.join(map(str, verdict.nearer))}; that does not fit either, so these images may be of another "
            "kind than it was trained on"
        )
    elif verdict is not None and verdict.fits_badly:
        yield (
            f"that these images are of the kind that it was trained on: what its norms are given is {verdict.nats:.2g} "
            "nats from their statistics, and nothing else that was tried fits"
        )
    yield from _of_copies(file, spec.architecture) if spec.architecture.builder else _of_others(file)
    if _takes_open_norms(file, spec, settled):
        yield norms.TAKEN
        settled |= NORMS
    tested = verdict.settled if verdict is not None else ()
    untold = [choice for choice in _untold(file, spec) if choice.field not in (*settled, *tested)]
    doubtful = [choice for choice in untold if choice.doubt(spec.architecture)]
    yield from (choice.doubt(spec.architecture) for choice in doubtful)
    if name is None:
        yield from _of_head(file, spec, settled)
    yield from _of_pixels(spec, name, settled, tested)
    if rest := [choice for choice in untold if choice not in doubtful]:
        yield ", ".join(f"{choice.words(spec.architecture)} ({choice.option})" for choice in rest)
    if name is None:
        yield from _as_usual(spec, settled)
    if verdict is not None and not verdict.has_statistics:
        yield "all this without a test, since its norms keep no statistics of their training"


def _of_pixels(spec: ModelSpec, name: str | None, settled: frozenset[str], tested: Sequence[str]) -> Iterator[str]:
    """What was done to pixels, with the options that set it."""
    same_as = "" if name in (None, *catalogue.TORCHVISION) else f" of {name}"
    if not {"mean", "std"} <= settled:
        exact = "the exact mean, deviation and order of colours of " if "mean" in tested else ""
        options = "--range, --mean, --std, --channel-order, --resize, --crop"
        yield f"{exact}the input{same_as}, {spec.preprocessing.describe()} ({options})"
    elif not {"crop", "resize"} <= settled:
        yield f"the size of the input{same_as}, {spec.preprocessing.describe_size()} (--resize, --crop)"
    if {"mean", "std"} <= settled and "channel_order" not in settled and spec.preprocessing.channels == 3:
        yield f"colours in the order {spec.preprocessing.channel_order.upper()}{same_as} (--channel-order)"
