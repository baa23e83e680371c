"""Files as people have them: one entry for each spelling of a network's names, nesting, and what lies beside it."""

import copy
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock, Bottleneck

from features.errors import WeightsError
from features.networks import checkpoint, filling, zoo
from tests.random_networks import Narrow, drawn, randomise

State = dict[str, Tensor]
WIDTH = 128  # of the last stage of basic blocks


@pytest.fixture(scope="module")
def networks():
    return {
        "basic": drawn(Narrow, block=BasicBlock, layers=[1, 2, 1, 1], num_classes=7),
        "bottleneck": drawn(Narrow, block=Bottleneck, layers=[1, 2, 1, 1], num_classes=7),
    }


def opened(content: Any, folder, **settings):
    torch.save(content, folder / "net.pth")
    file = checkpoint.read(folder / "net.pth")
    return file, filling.load(file, file.inferred.architecture, **settings)


def pixels(channels: int = 3, side: int = 48) -> Tensor:
    return torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def need_equal(network, source: nn.Module, head: bool) -> None:
    """Equal logits, or equal features where the file's head is none."""
    if head:
        assert torch.equal(network(pixels()), source(pixels()))
        return
    assert network.classifier is None
    trunk = nn.Sequential(*list(source.children())[:-1])
    assert torch.equal(network(pixels()), trunk(pixels()).flatten(1))


# --- how layers are called -------------------------------------------------------------------------------------------

NAMED = re.compile(r"layer(\d)\.(\d+)\.(conv\d|bn\d|downsample\.[01])\.(.+)")


def in_blocks(name: str, block: Callable[[int, str], str], layers: Mapping[str, str], others: Mapping[str, str]) -> str:
    """A name of torchvision's in another spelling. block: stage from 1, and block -> path. layers: inside a block."""
    match = NAMED.match(name)
    if match is not None:
        return f"{block(int(match[1]), match[2])}.{layers.get(match[3], match[3])}.{match[4]}"
    first, _, rest = name.partition(".")
    return f"{others.get(first, first)}.{rest}"


RESIDUAL_FUNCTION = {
    "conv1": "residual_function.0", "bn1": "residual_function.1", "conv2": "residual_function.3",
    "bn2": "residual_function.4", "conv3": "residual_function.6", "bn3": "residual_function.7",
    "downsample.0": "shortcut.0", "downsample.1": "shortcut.1",
}  # fmt: skip
D2 = {f"bn{n}": f"conv{n}.norm" for n in (1, 2, 3)} | {"downsample.0": "shortcut", "downsample.1": "shortcut.norm"}
SHORTCUTS = {"downsample.0": "shortcut.0", "downsample.1": "shortcut.1"}
HUGGING_FACE = {f"conv{n}": f"layer.{n - 1}.convolution" for n in (1, 2, 3)}
HUGGING_FACE |= {f"bn{n}": f"layer.{n - 1}.normalization" for n in (1, 2, 3)}
HUGGING_FACE |= {"downsample.0": "shortcut.convolution", "downsample.1": "shortcut.normalization"}
BARE = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}


def bare(name: str, before: str = "", head: str = "10") -> str:
    """As nn.Sequential(*network.children()) calls it."""
    first, _, rest = name.partition(".")
    return f"{before}{BARE[first]}.{rest}" if first in BARE else f"{head}.{rest}"


SPELLINGS: dict[str, Callable[[str], str]] = {
    "torchvision, timm": lambda name: name,
    "kuangliu": lambda name: in_blocks(name, lambda s, b: f"layer{s}.{b}", SHORTCUTS, {"fc": "linear"}),
    "weiaicunzai": lambda name: in_blocks(
        name, lambda s, b: f"conv{s + 1}_x.{b}", RESIDUAL_FUNCTION, {"conv1": "conv1.0", "bn1": "conv1.1"}
    ),
    "Hugging Face": lambda name: in_blocks(
        name,
        lambda s, b: f"resnet.encoder.stages.{s - 1}.layers.{b}",
        HUGGING_FACE,
        {
            "conv1": "resnet.embedder.embedder.convolution",
            "bn1": "resnet.embedder.embedder.normalization",
            "fc": "classifier.1",
        },
    ),
    "detectron2's classifier": lambda name: in_blocks(
        name, lambda s, b: f"res{s + 1}.{b}", D2, {"conv1": "stem.conv1", "bn1": "stem.conv1.norm", "fc": "linear"}
    ),
    "MMPretrain": lambda name: f"head.{name}" if name.startswith("fc.") else f"backbone.{name}",
    "Cadene": lambda name: name.replace("fc.", "last_linear."),
    "stages with words": lambda name: re.sub(r"^layer(\d)", r"stage\1", name),
    "bare Sequential": bare,
    "Sequential of body and head": lambda name: bare(name, "0.", "1.2"),
    "Sequential of body and head under a name": lambda name: bare(name, "model.0.", "model.1.0"),
    "stem in the place of a stage": lambda name: re.sub(
        r"^(conv1|bn1)", lambda m: f"layer0.{int(m[1] == 'bn1')}", name
    ),
    "stem and stages in a Sequential each": lambda name: re.sub(
        r"^(conv1|bn1|layer(\d))", lambda m: f"{m[2]}" if m[2] else f"0.{int(m[1] == 'bn1')}", name
    ),
    "encoders of U-Nets": lambda name: re.sub(r"^layer(\d)", r"encoder\1", name),
    "stages in capitals": lambda name: re.sub(r"^layer(\d)", r"Res_Layer\1", name),
    "stage and block in one word": lambda name: re.sub(r"^layer(\d)\.(\d)", r"block\1_\2", name),
    "norms and projections in other words": lambda name: name.replace("bn", "batch_norm").replace(
        "downsample", "i_downsample"
    ),
    "stem in a Sequential": lambda name: re.sub(r"^(conv1|bn1)", lambda m: f"stem.{int(m[1] == 'bn1')}", name),
}


@pytest.mark.parametrize("kind", ["basic", "bottleneck"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_layers_gives_equal_logits(spelling, kind, networks, tmp_path):
    state = {SPELLINGS[spelling](name): value for name, value in networks[kind].state_dict().items()}
    need_equal(opened(state, tmp_path)[1], networks[kind], head=True)


PREFIXES = [
    "module.", "net.", "resnet.", "base.", "cnn.", "model_ft.", "encoder_q.", "base_encoder.", "online_encoder.net.",
    "student.", "teacher.", "image_encoder.", "feature_extractor.", "body.", "backbone.0.", "_orig_mod.",
    "_forward_module.", "_fsdp_wrapped_module.", "model_ema.", "module.model_ema.module.", "model._orig_mod.module.",
    "_fsdp_wrapped_module._orig_mod.", "module.encoder.backbone.", "trunk.", "visual.", "layer4.", "0.", "a.b.c.d.e.f.",
]  # fmt: skip
OF_ENCODERS = ("encoder_q.", "base_encoder.", "online_encoder.net.")  # in which fc is a projection


@pytest.mark.parametrize("prefix", PREFIXES)
def test_every_prefix_and_stack_of_prefixes_gives_the_same_network(prefix, networks, tmp_path):
    state = {prefix + name: value for name, value in networks["basic"].state_dict().items()}
    file, network = opened({"state_dict": state, "epoch": 3}, tmp_path)
    need_equal(network, networks["basic"], head=prefix not in OF_ENCODERS)
    assert file.part.name == f"state_dict.{prefix}".rstrip(".")


# --- what lies beside it ---------------------------------------------------------------------------------------------


def before(prefix: str, state: Mapping[str, Tensor]) -> State:
    return {prefix + name: value for name, value in state.items()}


def other(state: Mapping[str, Tensor]) -> State:
    """The same names with other numbers: a copy that follows the network's training."""
    return {name: value * 2 if value.is_floating_point() else value for name, value in state.items()}


def linear(name: str, outputs: int, inputs: int) -> State:
    return {f"{name}.weight": torch.randn(outputs, inputs), f"{name}.bias": torch.randn(outputs)}


def norm(name: str, width: int) -> State:
    state = {f"{name}.{own}": torch.rand(width) + 0.5 for own in ("weight", "bias", "running_mean", "running_var")}
    return state | {f"{name}.num_batches_tracked": torch.tensor(7)}


def mlp(name: str, *widths: int) -> State:
    """Linear, batch norm, ReLU, ..., Linear."""
    state: State = {}
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        state |= linear(f"{name}.{3 * number}", outputs, inputs)
        state |= norm(f"{name}.{3 * number + 1}", outputs) if number < len(widths) - 2 else {}
    return state


def trunk(state: Mapping[str, Tensor]) -> State:
    return {name: value for name, value in state.items() if not name.startswith("fc.")}


def frozen_detectron2(state: Mapping[str, Tensor]) -> State:
    named = {SPELLINGS["detectron2's classifier"](name): value for name, value in trunk(state).items()}
    return {name: value for name, value in named.items() if not name.endswith("num_batches_tracked")}


def deepspeed(state: State) -> dict[str, Any]:
    return {"module": state, "ds_config": {"zero": 1}, "lr_scheduler": {"last_epoch": 3}, "global_steps": 7}


@dataclass(frozen=True)
class Beside:
    """A file that holds more than a network. make: of its state dict. part: where the network lies. left: something
    that is left aside. head: whether it has a classifier. parts: how many networks there are."""

    make: Callable[[State], Any]
    part: str
    left: str = ""
    head: bool = False
    parts: int = field(default=1)


FILES = {
    "MoCo v1": Beside(
        lambda s: {"state_dict": before("module.encoder_q.", trunk(s)) | linear("module.encoder_q.fc", 128, WIDTH)
                   | before("module.encoder_k.", other(trunk(s))) | linear("module.encoder_k.fc", 128, WIDTH)
                   | {"module.queue": torch.randn(128, 64), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}},
        "state_dict.module.encoder_q", "state_dict.module.queue", parts=2,
    ),
    "MoCo v2": Beside(
        lambda s: before("module.encoder_q.", trunk(s)) | linear("module.encoder_q.fc.0", WIDTH, WIDTH)
        | linear("module.encoder_q.fc.2", 64, WIDTH) | before("module.encoder_k.", other(trunk(s))),
        "module.encoder_q", "module.encoder_q.fc.2.weight", parts=2,
    ),
    "MoCo v3": Beside(
        lambda s: before("module.momentum_encoder.", other(trunk(s))) | before("module.base_encoder.", trunk(s))
        | mlp("module.base_encoder.fc", WIDTH, 64, 32) | mlp("module.predictor", 32, 64, 32),
        "module.base_encoder", "module.predictor.0.weight", parts=2,
    ),
    "BYOL": Beside(
        lambda s: before("target_encoder.net.", other(s)) | before("online_encoder.net.", s)
        | mlp("online_encoder.projector", WIDTH, 64, 32) | mlp("online_predictor", 32, 64, 32),
        "online_encoder.net", "online_encoder.projector.0.weight", parts=2,
    ),
    "SimSiam": Beside(
        lambda s: before("module.encoder.", trunk(s)) | mlp("module.encoder.fc", WIDTH, WIDTH, WIDTH, 64)
        | mlp("module.predictor", 64, 32, 64),
        "module.encoder", "module.encoder.fc.0.weight",
    ),
    "SwAV": Beside(
        lambda s: before("module.", trunk(s)) | mlp("module.projection_head", WIDTH, 64, 32)
        | {"module.prototypes.weight": torch.randn(30, 32)},
        "module", "module.prototypes.weight",
    ),
    "DINO": Beside(
        lambda s: {"teacher": before("backbone.", other(trunk(s))) | linear("head.mlp.0", 64, WIDTH),
                   "student": before("module.backbone.", trunk(s)) | linear("module.head.mlp.0", 64, WIDTH)
                   | {"module.head.last_layer.weight_g": torch.ones(9, 1),
                      "module.head.last_layer.weight_v": torch.randn(9, 64)}},
        "student.module.backbone", "student.module.head.mlp.0.weight", parts=2,
    ),
    "VICReg": Beside(
        lambda s: {"model": before("module.backbone.", trunk(s)) | mlp("module.projector", WIDTH, 64, 64)},
        "model.module.backbone", "model.module.projector.0.weight",
    ),
    "solo-learn": Beside(
        lambda s: {"state_dict": before("backbone.", trunk(s)) | before("momentum_backbone.", other(trunk(s)))
                   | {f"classifier.{name[3:]}": value for name, value in s.items() if name.startswith("fc.")}
                   | mlp("projector", WIDTH, 64, 32), "hyper_parameters": {"method": "byol"}},
        "state_dict.backbone", "state_dict.projector.0.weight", head=True, parts=2,
    ),
    "Lightly": Beside(
        lambda s: {bare(name, "backbone."): value for name, value in trunk(s).items()}
        | mlp("projection_head.layers", WIDTH, 64, 32),
        "backbone", "projection_head.layers.0.weight",
    ),
    "MMDetection": Beside(
        lambda s: {"meta": {"epoch": 12}, "state_dict": before("backbone.", trunk(s))
                   | {"neck.lateral_convs.0.conv.weight": torch.randn(8, 64, 1, 1),
                      "bbox_head.cls_convs.0.conv.weight": torch.randn(8, 8, 3, 3)}},
        "state_dict.backbone", "state_dict.bbox_head.cls_convs.0.conv.weight",
    ),
    "MMSegmentation": Beside(
        lambda s: {"state_dict": before("backbone.", trunk(s))
                   | {"decode_head.conv_seg.weight": torch.randn(5, 8, 1, 1)}
                   | {"auxiliary_head.convs.0.conv.weight": torch.randn(8, 256, 3, 3)}},
        "state_dict.backbone", "state_dict.decode_head.conv_seg.weight",
    ),
    "detectron2 with FPN": Beside(
        lambda s: {"model": before("backbone.bottom_up.", frozen_detectron2(s))
                   | {"backbone.fpn_lateral2.weight": torch.randn(8, 64, 1, 1),
                      "proposal_generator.rpn_head.conv.weight": torch.randn(8, 8, 3, 3),
                      "pixel_mean": torch.zeros(3, 1, 1)}},
        "model.backbone.bottom_up", "model.backbone.fpn_lateral2.weight",
    ),
    "torchvision's detectors": Beside(
        lambda s: before("backbone.body.", trunk(s))
        | {"backbone.fpn.inner_blocks.0.0.weight": torch.randn(8, 64, 1, 1),
           "rpn.head.conv.0.0.weight": torch.randn(8, 8, 3, 3)},
        "backbone.body", "rpn.head.conv.0.0.weight",
    ),
    "averaged copy": Beside(
        lambda s: {"state_dict_ema": other(s), "state_dict": s, "epoch": 3}, "state_dict", head=True, parts=2
    ),
    "AveragedModel": Beside(
        lambda s: {"n_averaged": torch.tensor(3)} | before("module.", s), "module", "n_averaged", head=True
    ),
    "DeepSpeed": Beside(deepspeed, "module", head=True),
    "fastai": Beside(
        lambda s: {"model": {bare(name, "0."): value for name, value in trunk(s).items()} | norm("1.2", 2 * WIDTH)
                   | {"1.4.weight": torch.randn(96, 2 * WIDTH)} | norm("1.6", 96) | {"1.8.weight": torch.randn(10, 96)},
                   "opt": {}},
        "model.0", "model.1.4.weight",
    ),
    "Lightning with metrics and a weighted loss": Beside(
        lambda s: {"state_dict": before("model.", s)
                   | {"criterion.weight": torch.ones(7), "train_acc.tp": torch.ones(7)},
                   "callbacks": {}, "loops": {}},
        "state_dict.model", "state_dict.criterion.weight", head=True,
    ),
    "optimizer beside it": Beside(
        lambda s: {"net": s, "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}},
        "net", head=True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_the_network_is_found_beside_what_else_is_in_a_file(kind, networks, tmp_path):
    about = FILES[kind]
    file, network = opened(about.make(networks["basic"].state_dict()), tmp_path)
    assert file.part.name == about.part
    assert not about.left or about.left in file.part.left
    assert len(file.parts) == about.parts
    need_equal(network, networks["basic"], about.head)


WRAPPED = {
    "checkpointed blocks": lambda name: re.sub(r"^(layer\d\.\d)\.", r"\1._checkpoint_wrapped_module.", name),
    "compiled stages": lambda name: re.sub(r"^(layer\d)\.", r"\1._orig_mod.", name),
    "sharded blocks in a sharded network": lambda name: (
        "_fsdp_wrapped_module."
        + re.sub(r"^(layer\d\.\d)\.", r"\1._fsdp_wrapped_module._checkpoint_wrapped_module.", name)
    ),
    "a sharded head": lambda name: re.sub(r"^fc\.", "fc._fsdp_wrapped_module.", name),
    "a sharded shortcut": lambda name: name.replace("downsample.", "downsample._fsdp_wrapped_module."),
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_what_wraps_layers_is_no_part_of_their_names(kind, networks, tmp_path):
    state = {WRAPPED[kind](name): value for name, value in networks["basic"].state_dict().items()}
    need_equal(opened(state, tmp_path)[1], networks["basic"], head=True)


def test_a_running_average_without_dots_in_its_names_is_left_aside(networks, tmp_path):
    state = networks["basic"].state_dict()
    average = {f"model_ema.{name.replace('.', '')}": value for name, value in state.items()}
    for prefix in ("", "model."):
        need_equal(opened(before(prefix, state) | average, tmp_path)[1], networks["basic"], head=True)


def test_of_a_detector_whose_last_stage_sees_regions_the_body_is_read(networks, tmp_path):
    state = frozen_detectron2(trunk(networks["basic"].state_dict()))
    parted = {f"{'roi_heads.' if name.startswith('res5') else 'backbone.'}{name}": state[name] for name in state}
    file, network = opened({"model": parted}, tmp_path)
    assert (file.part.name, len(file.parts)) == ("model.backbone", 2)
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted = nn.Sequential(*list(networks["basic"].children())[:-3])(x)
        torch.testing.assert_close(dict(network.walk(x))["layer3"], wanted, rtol=1e-4, atol=1e-4)


def test_another_of_several_networks_is_taken_by_its_name(networks, tmp_path):
    state = networks["basic"].state_dict()
    torch.save({"student": state, "teacher": other(state)}, tmp_path / "dino.pth")
    file = checkpoint.read(tmp_path / "dino.pth", "teacher")
    weight = dict(filling.load(file, file.inferred.architecture).named_parameters())["stem.conv1.weight"]
    assert torch.equal(weight, state["conv1.weight"] * 2)
    with pytest.raises(WeightsError, match=r"no network at 'tutor'.*'student', 'teacher'.*--part"):
        _ = checkpoint.read(tmp_path / "dino.pth", "tutor").part


# --- networks of other forms -----------------------------------------------------------------------------------------


class PreActivationBlock(nn.Module):
    """Norm and activation before each convolution, the projection after the first of them, as kuangliu has it."""

    def __init__(self, inputs: int, outputs: int, stride: int, deep: bool) -> None:
        super().__init__()
        kernels = (1, 3, 1) if deep else (3, 3)
        widths = (inputs, outputs // 4, outputs // 4, outputs) if deep else (inputs, outputs, outputs)
        for number, kernel in enumerate(kernels):
            width, following = widths[number : number + 2]
            step = stride if number == len(kernels) // 2 - (not deep) else 1
            self.add_module(f"bn{number + 1}", nn.BatchNorm2d(width))
            self.add_module(f"conv{number + 1}", nn.Conv2d(width, following, kernel, step, kernel // 2, bias=False))
        self.number = len(kernels)
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        activated = functional.relu(self.bn1(x))
        shortcut = self.shortcut(activated) if hasattr(self, "shortcut") else x
        y = self.conv1(activated)
        for number in range(2, self.number + 1):
            y = getattr(self, f"conv{number}")(functional.relu(getattr(self, f"bn{number}")(y)))
        return shortcut + y


class PreActivationNetwork(nn.Module):
    """kuangliu's: a 3x3 stem without norm, no norm before the head."""

    def __init__(self, deep: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        widths = (8, 16, 32, 64)
        for stage, (inputs, outputs) in enumerate(pairwise(widths), start=1):
            first = PreActivationBlock(inputs, outputs, 1 if stage == 1 else 2, deep)
            self.add_module(f"layer{stage}", nn.Sequential(first, PreActivationBlock(outputs, outputs, 1, deep)))
        self.linear = nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.linear(x.mean((2, 3)))


@pytest.mark.parametrize("deep", [False, True])
def test_kuanglius_pre_activation_networks_are_read_from_their_tensors(deep, tmp_path):
    source = randomise(PreActivationNetwork(deep)).eval()
    file, network = opened({"net": before("module.", source.state_dict()), "acc": 95.1}, tmp_path)
    assert file.inferred.architecture.preactivation
    with torch.inference_mode():
        torch.testing.assert_close(network(pixels(side=32)), source(pixels(side=32)), rtol=1e-5, atol=1e-5)


class WideNetwork(nn.Module):
    """Wide ResNets as their best-known code has them: the last norm is called bn1, the projection convShortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        widths = (8, 16, 32)
        for stage, (inputs, outputs) in enumerate(pairwise(widths), start=1):
            blocks = [PreActivationBlock(inputs, outputs, stage, False), PreActivationBlock(outputs, outputs, 1, False)]
            self.add_module(f"block{stage}", nn.Sequential(OrderedDict(layer=nn.Sequential(*blocks))))
        self.bn1 = nn.BatchNorm2d(widths[-1])
        self.fc = nn.Linear(widths[-1], 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(functional.relu(self.bn1(self.block2(self.block1(self.conv1(x))))).mean((2, 3)))


def test_wide_networks_with_their_last_norm_are_read_from_their_tensors(tmp_path):
    source = randomise(WideNetwork()).eval()
    state = {name.replace("shortcut.0", "convShortcut"): value for name, value in source.state_dict().items()}
    file, network = opened({"state_dict": state, "best_prec1": 96.0}, tmp_path)
    assert file.inferred.architecture.resolved("last_norm")
    with torch.inference_mode():
        torch.testing.assert_close(network(pixels(side=32)), source(pixels(side=32)), rtol=1e-5, atol=1e-5)


class AttentionPool(nn.Module):
    """What CLIP has in the place of average pooling and a head; only its tensors are of interest here."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.randn(50, width))
        for name in ("k_proj", "q_proj", "v_proj", "c_proj"):
            self.add_module(name, nn.Linear(width, width))


class ClipBlock(nn.Module):
    """All convolutions of stride 1; an average pool before the last, and before the projection, has the stride."""

    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, planes, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False), nn.BatchNorm2d(planes)
        self.avgpool = nn.AvgPool2d(stride)
        self.conv3, self.bn3 = nn.Conv2d(planes, planes * 4, 1, bias=False), nn.BatchNorm2d(planes * 4)
        self.downsample = None
        if stride > 1 or inputs != planes * 4:
            self.downsample = nn.Sequential()
            self.downsample.add_module("-1", nn.AvgPool2d(stride))
            self.downsample.add_module("0", nn.Conv2d(inputs, planes * 4, 1, bias=False))
            self.downsample.add_module("1", nn.BatchNorm2d(planes * 4))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.avgpool(functional.relu(self.bn2(self.conv2(y))))
        shortcut = x if self.downsample is None else self.downsample(x)
        return functional.relu(self.bn3(self.conv3(y)) + shortcut)


class ClipTrunk(nn.Module):
    """CLIP's visual ResNet without its attention: three convolutions and an average pool, then the stages."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv3, self.bn3 = nn.Conv2d(4, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(ClipBlock(8, 8, 1), ClipBlock(32, 8, 1))
        self.layer2 = nn.Sequential(ClipBlock(32, 16, 2))
        self.attnpool = AttentionPool(64)

    def forward(self, x: Tensor) -> Tensor:
        for conv, batch_norm in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            x = functional.relu(batch_norm(conv(x)))
        return self.layer2(self.layer1(functional.avg_pool2d(x, 2)))


@pytest.mark.parametrize("side", [48, 60])  # of which the second leaves an odd side to the last stage
def test_clips_visual_trunk_is_read_and_its_attention_pool_left_aside(side, tmp_path):
    source = randomise(ClipTrunk()).eval()
    text = linear("transformer.resblocks.0.mlp.c_fc", 8, 8) | {"logit_scale": torch.tensor(1.0)}
    file, network = opened(before("visual.", source.state_dict()) | text, tmp_path)
    assert "visual.attnpool.k_proj.weight" in file.part.left
    with torch.inference_mode():
        features = dict(network.walk(pixels(side=side)))["layer2"]
        assert torch.equal(features, source(pixels(side=side)))


def test_a_deep_stem_is_read_with_the_norm_behind_each_of_its_convolutions(tmp_path):
    """MMSegmentation's ResNetV1c: the stem in one Sequential, no norm called bn1."""
    source = drawn(Narrow, block=Bottleneck, layers=[1, 1, 1, 1], num_classes=7)
    convs = [(3, 8, 2), (8, 8, 1), (8, 16, 1)]
    stem = [[nn.Conv2d(i, o, 3, s, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU()] for i, o, s in convs]
    source.conv1, source.bn1, source.relu = (
        nn.Sequential(*(layer for group in stem for layer in group)),
        nn.Identity(),
        nn.Identity(),
    )
    randomise(source).eval()
    state = {re.sub(r"^conv1\.", "stem.", name): value for name, value in source.state_dict().items()}
    need_equal(opened({"state_dict": before("backbone.", trunk(state))}, tmp_path)[1], source, head=False)


class LateBlock(nn.Sequential):
    """Two 3x3 convolutions, of which the second widens and has the stride; `shortcut` is option A."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, inputs, 3, padding=1, bias=False), nn.BatchNorm2d(inputs), nn.ReLU(),
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        self.stride, self.more = stride, (outputs - inputs) // 2

    def shortcut(self, x: Tensor) -> Tensor:
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more, self.more))


class LateStage(nn.Module):
    """Its last block widens; it has a template of its blocks and a norm beside them, which are never run."""

    def __init__(self, inputs: int, outputs: int, n_blocks: int, stride: int) -> None:
        super().__init__()
        self.conv_block = LateBlock(inputs, inputs, 1)
        self.residual_block = nn.ModuleList([LateBlock(inputs, inputs, 1) for _ in range(n_blocks - 1)])
        self.bn = nn.BatchNorm2d(outputs)
        self.final_block = LateBlock(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        for block in (*self.residual_block, self.final_block):
            x = functional.relu(block(x) + block.shortcut(x))
        return x


class LateNetwork(nn.Module):
    """As fattorib's CIFAR networks are built and called."""

    def __init__(self, n_blocks: int) -> None:
        super().__init__()
        self.first_layer, self.bn = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.first_block = LateStage(16, 32, n_blocks, 2)
        self.second_block = LateStage(32, 64, n_blocks, 2)
        self.third_block = LateStage(64, 64, n_blocks, 1)
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn(self.first_layer(x)))
        return self.fc(self.third_block(self.second_block(self.first_block(x))).mean((2, 3)))


@pytest.mark.parametrize("n_blocks", [1, 2, 3])
def test_stages_whose_last_block_widens_in_its_last_convolution_are_read(n_blocks, tmp_path):
    source = randomise(LateNetwork(n_blocks)).eval()
    file, network = opened(source.state_dict(), tmp_path)
    architecture = file.inferred.architecture
    assert architecture.blocks == ((n_blocks - 1, n_blocks, n_blocks + 1) if n_blocks > 1 else (1, 1, 1))
    assert (architecture.widened_at, architecture.stride_at, architecture.shortcut) == ("last", "last", "padding")
    assert "first_block.conv_block.0.weight" in file.part.left
    for side in (32, 30):
        with torch.inference_mode():
            wanted = source(pixels(side=side))
            torch.testing.assert_close(network(pixels(side=side)), wanted, rtol=1e-5, atol=1e-5)


def in_one_list(state: Mapping[str, Tensor], blocks: list[int], name: str) -> State:
    """torchvision's names with all blocks in one list."""
    before = [sum(blocks[:stage]) for stage in range(len(blocks))]
    return {
        re.sub(r"layer(\d)\.(\d+)", lambda m: f"{name}.{before[int(m[1]) - 1] + int(m[2])}", key): value
        for key, value in state.items()
    }


@pytest.mark.parametrize("kind", ["basic", "bottleneck"])
@pytest.mark.parametrize("name", ["blocks", "layers", "model.residual_blocks", "body"])
def test_blocks_in_one_list_are_parted_where_their_width_changes(name, kind, networks, tmp_path):
    source = networks[kind]
    file, network = opened(in_one_list(source.state_dict(), [1, 2, 1, 1], name), tmp_path)
    assert file.inferred.architecture.blocks == (1, 2, 1, 1)
    assert "strides" in {choice.field for choice in file.inferred.untold}
    need_equal(network, source, head=True)


def test_blocks_of_one_width_in_one_list_are_refused(networks, tmp_path):
    state = {name: value for name, value in networks["basic"].state_dict().items() if "layer" not in name}
    for number in range(3):
        for own in ("conv1", "conv2"):
            state[f"blocks.{number}.{own}.weight"] = torch.randn(16, 16, 3, 3)
        state |= norm(f"blocks.{number}.bn1", 16) | norm(f"blocks.{number}.bn2", 16)
    state["fc.weight"] = torch.randn(7, 16)
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match="one list and of one width, so that nothing tells where strides lie"):
        _ = checkpoint.read(tmp_path / "net.pth").inferred


def test_stages_that_hold_a_list_of_blocks_are_read(networks, tmp_path):
    source = networks["basic"]
    state = {re.sub(r"(layer\d)\.", r"\1.blocks.", name): value for name, value in source.state_dict().items()}
    need_equal(opened(state, tmp_path)[1], source, head=True)


def test_layers_without_numbers_run_in_the_order_of_the_file(networks, tmp_path):
    source = networks["basic"]
    words = {"conv1": "inner_conv", "bn1": "inner_norm", "conv2": "exit_conv", "bn2": "exit_norm"}
    state = {
        in_blocks(name, lambda s, b: f"layer{s}.{b}", words, {}): value for name, value in source.state_dict().items()
    }
    need_equal(opened(state, tmp_path)[1], source, head=True)
    torch.save(state, tmp_path / "words.pth")
    torch.save(source.state_dict(), tmp_path / "numbers.pth")
    said = {name: "; ".join(zoo.load(weights=tmp_path / f"{name}.pth").spec.assumed) for name in ("words", "numbers")}
    assert "in the file's order, since their names have no numbers" in said["words"]
    assert "file's order" not in said["numbers"]


def test_norms_without_numbers_run_in_the_order_of_the_file_too(networks, tmp_path):
    source = networks["basic"]
    words = {"bn1": "norm_start", "bn2": "norm_end"}
    state = {
        in_blocks(name, lambda s, b: f"layer{s}.{b}", words, {}): value for name, value in source.state_dict().items()
    }
    need_equal(opened(state, tmp_path)[1], source, head=True)
    assert "in the file's order" in "; ".join(zoo.load(weights=tmp_path / "net.pth").spec.assumed)


def test_a_shortcut_without_a_norm_is_refused_by_name(networks, tmp_path):
    state = {
        name.replace("downsample.0", "downsample"): value for name, value in networks["basic"].state_dict().items()
        if "downsample.1" not in name
    }  # fmt: skip
    with pytest.raises(WeightsError, match=r"a convolution and no norm, downsample\. Build it in Python"):
        opened(state, tmp_path)


@pytest.mark.parametrize("names", [("original0", "original1"), ("weight_g", "weight_v")])
def test_weight_norm_along_another_side_is_refused_though_its_sizes_agree(names, networks, tmp_path):
    source = copy.deepcopy(networks["basic"])
    nn.utils.parametrizations.weight_norm(source.layer1[0].conv1, dim=1)
    state = source.state_dict()
    if names[0] == "weight_g":
        for number, name in enumerate(names):
            state[f"layer1.0.conv1.{name}"] = state.pop(f"layer1.0.conv1.parametrizations.weight.original{number}")
    with pytest.raises(WeightsError, match="weight norm along another side"):
        opened(state, tmp_path)


def test_more_networks_than_anybody_has_are_refused_at_once(tmp_path):
    state = {}
    for number in range(300):
        for own in ("1", "2"):
            state[f"net{number}.layer1.0.conv{own}.weight"] = torch.zeros(2, 2, 3, 3)
            state |= norm(f"net{number}.layer1.0.bn{own}", 2)
    torch.save(state, tmp_path / "many.pth")
    began = time.process_time()
    with pytest.raises(WeightsError, match=r"many\.pth: more than 48 residual networks\. Save the one"):
        _ = checkpoint.read(tmp_path / "many.pth").part
    assert time.process_time() - began < 10


class OneWidth(nn.Module):
    """Blocks of one width without projections, norms behind their convolutions or before them."""

    def __init__(self, first: str, last: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        for name in (first, last):
            self.add_module(name, nn.BatchNorm2d(8)) if name else None
        for stage in (1, 2):
            self.add_module(f"layer{stage}", nn.Sequential(BasicBlock(8, 8)))
        self.fc = nn.Linear(8, 5)


def test_of_blocks_of_one_width_it_is_told_that_norms_may_lie_before_their_convolutions(networks, tmp_path):
    for name, source in (("one", randomise(OneWidth("bn1", ""))), ("several", networks["basic"])):
        torch.save(source.state_dict(), tmp_path / "net.pth")
        said = "; ".join(zoo.load(weights=tmp_path / "net.pth").spec.assumed)
        assert ("norms behind their convolutions" in said) == (name == "one")


def test_a_first_norm_and_a_last_one_of_the_same_width_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="nothing tells which is which"):
        opened(randomise(OneWidth("bn1", "bn")).state_dict(), tmp_path)


def test_a_stem_without_a_norm_is_told_to_have_no_activation(networks, tmp_path):
    for without in (True, False):
        state = {
            name: value for name, value in networks["basic"].state_dict().items()
            if not (without and name.startswith("bn1."))
        }  # fmt: skip
        torch.save(state, tmp_path / "net.pth")
        said = "; ".join(zoo.load(weights=tmp_path / "net.pth").spec.assumed)
        assert ("no activation between the first convolution and the blocks" in said) == without
