import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.functional import relu
from torchvision import models
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.resnet import BasicBlock, Bottleneck

from features.devices import device_of
from features.errors import FeatureError
from features.networks.architecture import cifar
from features.networks.canonical import (
    NoShortcut,
    PaddedShortcut,
    ResidualBlock,
    build,
    canonical,
    freeze,
    make_branch,
    make_head,
    own_copy,
)
from features.networks.recognition import architecture_of
from tests.random_networks import ONE_OF_EACH_KIND, drawn


def pictures(count: int = 2, side: int = 64, channels: int = 3) -> torch.Tensor:
    return torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def source() -> nn.Module:
    return drawn(models.resnet18)


# --- the conversion is exact -----------------------------------------------------------------------------------------


@torch.inference_mode()
def test_canonical_logits_are_bit_equal_to_torchvisions(torchvision_network):
    _, network = torchvision_network
    x = pictures(1)
    wanted = network(x)
    assert wanted.isfinite().all()
    assert torch.equal(canonical(network)(x), wanted)


def test_canonical_shares_every_parameter_and_buffer(torchvision_network):
    _, network = torchvision_network

    def storages(module):
        return sorted(tensor.data_ptr() for tensor in module.state_dict().values())

    assert storages(canonical(network)) == storages(network)


def test_canonical_is_bit_equal_in_train_mode_and_moves_the_same_running_statistics():
    one, other = drawn(models.resnet18).train(), drawn(models.resnet18).train()
    assert torch.equal(canonical(one)(pictures()), other(pictures()))
    assert torch.equal(one.bn1.running_mean, other.bn1.running_mean)
    assert one.bn1.num_batches_tracked == 1


def test_training_the_canonical_network_trains_its_source(source):
    network = canonical(source)
    assert {id(p) for p in network.parameters()} == {id(p) for p in source.parameters()}


@pytest.mark.parametrize("training", [True, False])
def test_canonical_leaves_every_mode_as_it_was(training):
    source = models.resnet18().train(training)
    source.layer2.eval()
    before = {name: module.training for name, module in source.named_modules()}
    network = canonical(source)
    assert {name: module.training for name, module in source.named_modules()} == before
    assert network.training is training
    assert not network.stages["layer2"][0].branch.bn1.training


def test_canonical_leaves_requires_grad_as_it_was():
    source = models.resnet18()
    source.conv1.requires_grad_(False)
    network = canonical(source)
    assert [name for name, p in network.named_parameters() if not p.requires_grad] == ["stem.conv1.weight"]


@torch.inference_mode()
@pytest.mark.parametrize("norm", ["frozen", "batch"])
def test_canonical_reads_the_body_of_a_detectors_backbone(norm):
    settings = {} if norm == "frozen" else {"norm_layer": nn.BatchNorm2d}
    backbone = drawn(resnet_fpn_backbone, backbone_name="resnet18", weights=None, trainable_layers=5, **settings)
    wanted = backbone.body(pictures())
    walked = dict(canonical(backbone.body).walk(pictures()))
    assert list(walked) == ["stem", "layer1", "layer2", "layer3", "layer4", "logits"]
    for number, tensor in wanted.items():
        assert torch.equal(walked[f"layer{int(number) + 1}"], tensor)


@torch.inference_mode()
def test_canonical_reads_the_dilated_body_of_an_fcn():
    fcn = drawn(models.segmentation.fcn_resnet50, weights=None, weights_backbone=None, aux_loss=True)
    wanted = fcn.backbone(pictures())
    walked = dict(canonical(fcn.backbone).walk(pictures()))
    assert torch.equal(walked["layer3"], wanted["aux"])
    assert torch.equal(walked["layer4"], wanted["out"])
    assert walked["layer4"].shape[-1] == 64 // 8  # dilation in the place of two strides


@torch.inference_mode()
def test_the_logits_of_a_body_without_a_classifier_are_its_pooled_features():
    body = drawn(resnet_fpn_backbone, backbone_name="resnet18", weights=None).body
    network = canonical(body)
    assert network.classifier is None
    assert torch.equal(network(pictures()), nn.AdaptiveAvgPool2d(1)(body(pictures())["3"]).flatten(1))


@torch.inference_mode()
def test_a_block_that_stands_twice_in_a_stage_is_walked_twice():
    source = drawn(models.resnet18)
    source.layer1 = nn.Sequential(source.layer1[0], source.layer1[0])
    assert torch.equal(canonical(source)(pictures()), source(pictures()))


@torch.inference_mode()
@pytest.mark.parametrize("activation", [nn.SiLU, nn.GELU, nn.LeakyReLU])
def test_a_network_with_other_activations_stays_exact(activation):
    source = drawn(models.resnet18)
    for module in source.modules():
        if isinstance(module, nn.ReLU | BasicBlock) or module is source:
            module.relu = activation()
    assert torch.equal(canonical(source)(pictures()), source(pictures()))


@torch.inference_mode()
@pytest.mark.parametrize("replaced", [(False, False, True), (False, True, True), (True, True, True)])
def test_dilation_in_the_place_of_strides_stays_exact(replaced):
    layers = [2, 2, 2, 2]
    source = drawn(models.ResNet, block=Bottleneck, layers=layers, replace_stride_with_dilation=replaced)
    network = canonical(source)
    assert torch.equal(network(pictures()), source(pictures()))
    dilations = architecture_of(network).dilations
    assert dilations[-1] == 2 ** sum(replaced)


@torch.inference_mode()
@pytest.mark.parametrize("backbone", ["resnet50", "resnet101"])
def test_the_bodies_of_segmentation_networks_are_read(backbone):
    source = drawn(getattr(models.segmentation, f"deeplabv3_{backbone}"), weights=None, weights_backbone=None).backbone
    walked = dict(canonical(source).walk(pictures()))
    assert torch.equal(walked["layer4"], source(pictures())["out"])


@torch.inference_mode()
def test_a_network_with_group_norms_stays_exact():
    source = drawn(models.resnet18, norm_layer=lambda width: nn.GroupNorm(8, width))
    network = canonical(source)
    assert torch.equal(network(pictures()), source(pictures()))
    assert architecture_of(network).norm_groups == 8


@torch.inference_mode()
def test_a_network_whose_max_pool_was_taken_out_stays_exact():
    source = drawn(models.resnet18)
    source.maxpool = nn.Identity()
    assert torch.equal(canonical(source)(pictures(side=32)), source(pictures(side=32)))


# --- what cannot be converted exactly is refused ---------------------------------------------------------------------


def changed(**parts: nn.Module) -> nn.Module:
    source = models.resnet18()
    for name, part in parts.items():
        source.add_module(name, part)
    return source


def with_block(**parts: nn.Module) -> nn.Module:
    source = models.resnet18()
    for name, part in parts.items():
        source.layer2[1].add_module(name, part)
    return source


def with_tied_convolutions() -> nn.Module:
    source = models.resnet18()
    source.layer1[0].conv2 = source.layer1[0].conv1
    return source


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (models.alexnet, "AlexNet has features, avgpool, classifier"),
        (models.densenet121, "DenseNet has"),
        (lambda: nn.ReLU(), "ReLU has no parts"),
        (lambda: changed(attention=nn.Conv2d(64, 64, 1)), "attention"),
        (lambda: changed(relu=nn.PReLU()), "'relu' is PReLU"),
        (lambda: changed(avgpool=nn.LPPool2d(2, 7)), "'avgpool' is LPPool2d"),
        (lambda: with_block(relu=nn.PReLU()), "'relu' is PReLU"),
        (lambda: changed(avgpool=nn.AdaptiveAvgPool2d(2)), "one average over space"),
        (lambda: with_block(squeeze=nn.Conv2d(128, 128, 1)), "BasicBlock has .*squeeze"),
        (with_tied_convolutions, "This kind of block is not supported"),
        (lambda: changed(layer3=nn.Sequential(nn.Conv2d(128, 256, 3))), "Conv2d has "),
    ],
    ids=[
        "alexnet",
        "densenet",
        "no parts",
        "extra",
        "act",
        "pool",
        "block act",
        "pool size",
        "SE",
        "tied",
        "conv stage",
    ],
)
def test_other_layouts_are_refused_with_what_was_found(make, text):
    with torch.device("meta"):
        source = make()
    with pytest.raises(FeatureError, match=text):
        canonical(source)


def test_a_linear_layer_that_is_not_run_is_seen():
    source = drawn(models.resnet18, num_classes=3)
    source.layers = nn.Linear(3, 3)
    with pytest.raises(FeatureError, match="compute something else"):
        canonical(source)


# --- blocks ----------------------------------------------------------------------------------------------------------


def out_of_place(block: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """torchvision's block written without in-place operations: its shortcut and its branch."""
    shortcut = x if block.downsample is None else block.downsample(x)
    branch = relu(block.bn1(block.conv1(x)))
    branch = block.bn2(block.conv2(branch))
    if hasattr(block, "conv3"):
        branch = block.bn3(block.conv3(relu(branch)))
    return shortcut, branch


NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=(pytest.mark.gpu, NO_GPU))]


@torch.inference_mode()
@pytest.mark.parametrize("torchvision_network", ONE_OF_EACH_KIND, indirect=True)
@pytest.mark.parametrize("device", DEVICES)
def test_shortcut_and_branch_of_every_block_sum_to_its_pre_activation(torchvision_network, device):
    source = torchvision_network[1].to(device)
    blocks = [block for number in range(1, 5) for block in getattr(source, f"layer{number}")]
    network = canonical(source)
    x = network.stem(pictures().to(device))
    for block, (_, ours) in zip(blocks, network.blocks(), strict=True):
        before = x.clone()
        shortcut, branch = ours.parts(x)
        assert torch.equal(x, before)  # nothing was changed in place
        wanted_shortcut, wanted_branch = out_of_place(block, x)
        assert torch.equal(shortcut, wanted_shortcut)
        assert torch.equal(branch, wanted_branch)
        x = ours(x)
        assert torch.equal(x, relu(shortcut + branch))
        assert torch.equal(x, block(before))


def test_blocks_are_named_in_the_order_in_which_they_are_walked():
    names = [name for name, _ in canonical(models.resnet18()).blocks()]
    assert names == [f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)]


def test_a_projection_stands_where_torchvision_has_a_downsample():
    kinds = {name: block.shortcut_kind for name, block in canonical(models.resnet18()).blocks()}
    assert {name for name, kind in kinds.items() if kind == "projection"} == {"layer2.0", "layer3.0", "layer4.0"}
    assert set(kinds.values()) == {"projection", "identity"}


@pytest.mark.parametrize(
    ("shortcut", "first", "others"),
    [
        ("padding", "padding", "identity"),
        ("projection", "projection", "identity"),
        ("none", "none", "none"),
    ],
)
def test_the_kinds_of_shortcut_follow_the_architecture(shortcut, first, others):
    kinds = [block.shortcut_kind for _, block in build(cifar(14, shortcut)).blocks()]
    assert kinds == [others, others, first, others, first, others]


@pytest.mark.parametrize(("inputs", "outputs"), [(16, 32), (16, 19), (3, 64), (16, 16)])
@pytest.mark.parametrize("side", [8, 7])
def test_a_padding_shortcut_subsamples_and_puts_zeros_around_the_old_channels(inputs, outputs, side):
    x = pictures(side=side, channels=inputs)
    y = PaddedShortcut(inputs, outputs, 2)(x)
    before = (outputs - inputs) // 2
    assert y.shape == (2, outputs, 4, 4)
    assert torch.equal(y[:, before : before + inputs], x[:, :, ::2, ::2])
    assert y[:, :before].count_nonzero() == y[:, before + inputs :].count_nonzero() == 0


@pytest.mark.parametrize("side", [7, 8, 9])
@pytest.mark.parametrize("stride", [1, 2])
def test_an_absent_shortcut_is_zeros_of_the_branchs_shape(side, stride):
    branch = nn.Conv2d(4, 6, 3, stride, padding=1)
    x = pictures(side=side, channels=4)
    zeros = NoShortcut(6, stride)(x)
    assert zeros.shape == branch(x).shape
    assert not zeros.any()


def test_a_branch_is_rectified_between_its_pairs_and_not_after_the_last():
    pairs = [(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)) for _ in range(3)]
    names = [name for name, _ in make_branch(pairs).named_children()]
    assert names == ["conv1", "bn1", "relu1", "conv2", "bn2", "relu2", "conv3", "bn3"]


def test_a_block_whose_branch_is_zero_rectifies_its_input():
    block = ResidualBlock(nn.Identity(), make_branch([(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))] * 2), nn.ReLU()).eval()
    nn.init.zeros_(block.branch.bn2.weight)
    assert torch.equal(block(pictures()), relu(pictures()))


# --- the whole network -----------------------------------------------------------------------------------------------


@torch.inference_mode()
def test_walking_ends_in_the_logits_and_every_step_follows_from_the_one_before(tiny_model):
    network = tiny_model.network
    steps = list(network.walk(pictures(side=32)))
    assert [name for name, _ in steps] == ["stem", *network.stage_names, "logits"]
    for (_, x), (name, y) in pairwise(steps[:-1]):
        assert torch.equal(network.stages[name](x), y)
    assert torch.equal(steps[-1][1], network(pictures(side=32)))


@torch.inference_mode()
def test_the_logits_are_a_linear_function_of_the_mean_over_space(tiny_model):
    *_, (_, last), (_, logits) = tiny_model.network.walk(pictures(side=32))
    fc = tiny_model.network.classifier
    torch.testing.assert_close(logits, last.mean((2, 3)) @ fc.weight.T + fc.bias)


def test_the_classifier_is_the_linear_layer_at_the_end(source):
    assert canonical(source).classifier is source.fc


def test_a_head_without_a_classifier_only_pools():
    x = pictures()
    torch.testing.assert_close(make_head(None)(x), x.mean((2, 3)))


def test_a_frozen_network_is_in_eval_mode_without_gradients_and_is_the_same_object():
    network = build(cifar(8))
    assert freeze(network) is network
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_the_device_is_where_the_parameters_lie():
    assert device_of(build(cifar(8))) == torch.device("cpu")
    with torch.device("meta"):
        assert device_of(build(cifar(8))) == torch.device("meta")


def test_threads_that_share_a_network_get_what_one_alone_gets(tiny_model):
    batches = [pictures(count, side=32) for count in (1, 2, 3, 4) * 4]
    with torch.inference_mode():
        wanted = [tiny_model.network(batch) for batch in batches]

    def run(batch):
        with torch.inference_mode():
            return dict(tiny_model.network.walk(batch))["logits"]

    with ThreadPoolExecutor(4) as pool:
        for found, alone in zip(pool.map(run, batches), wanted, strict=True):
            torch.testing.assert_close(found, alone)


def test_torchvisions_block_gives_a_hook_the_blocks_output_in_the_branchs_place():
    """Why there are no hooks: the addition and the last ReLU are in place."""
    block = BasicBlock(4, 4).eval()
    kept = []
    block.bn2.register_forward_hook(lambda *call: kept.append(call[2]))
    with torch.inference_mode():
        output = block(pictures(channels=4))
    assert torch.equal(kept[0], output)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_a_copy_is_frozen_in_eval_mode_and_without_hooks_that_cannot_be_copied(mode):
    network = build(cifar(8)).train()
    lock = threading.Lock()
    network.stem.register_forward_hook(lambda *_, held=lock: 1 / 0)
    network.stages["layer1"][0].register_forward_pre_hook(_Held(lock))
    with mode():
        copied = own_copy(network)
    assert not copied.training
    assert not any(parameter.requires_grad for parameter in copied.parameters())
    x = torch.rand(2, 3, 32, 32, requires_grad=True)
    copied(x).sum().backward()  # whatever mode it was made in
    assert x.grad.abs().sum() > 0
    assert network.training
    assert len(network.stem._forward_hooks) == 1
    with torch.no_grad():
        copied.stem[0].weight.zero_()
    assert network.stem[0].weight.abs().sum() > 0


class _Held:
    """A hook that holds what cannot be copied."""

    def __init__(self, held: object) -> None:
        self.held = held

    def __call__(self, *_: object) -> None:
        raise AssertionError("a copy called it")
