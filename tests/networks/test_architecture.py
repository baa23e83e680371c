import json
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, batch_norm, conv2d, linear, pad, relu
from torchvision import models

from features.errors import FeatureError
from features.networks.architecture import Architecture, cifar, imagenet
from features.networks.canonical import build, published_name
from features.networks.catalogue import TORCHVISION
from tests.networks.unusual import BASIC, UNUSUAL
from tests.random_networks import randomise


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def empty(architecture: Architecture) -> nn.Module:
    with torch.device("meta"):
        return build(architecture)


# --- sizes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("depth", "millions", "digits"), [(20, 0.27, 2), (32, 0.46, 2), (44, 0.66, 2), (56, 0.85, 2), (110, 1.7, 1)]
)
@pytest.mark.parametrize("shortcut", ["padding", "none"])
def test_cifar_networks_have_the_parameters_of_he_et_al_table_6(depth, millions, digits, shortcut):
    assert round(count(empty(cifar(depth, shortcut))) / 1e6, digits) == millions


@pytest.mark.parametrize("depth", [8, 14, 20, 56, 110])
def test_the_parameters_of_a_cifar_network_follow_the_closed_form(depth):
    n = (depth - 2) // 6
    convolutions = 9 * (3 * 16 + 2 * n * 16**2 + 16 * 32 + (2 * n - 1) * 32**2 + 32 * 64 + (2 * n - 1) * 64**2)
    normalisation = 2 * (16 + 2 * n * (16 + 32 + 64))
    wanted = convolutions + normalisation + 64 * 10 + 10
    projections = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert count(empty(cifar(depth))) == wanted
    assert count(empty(cifar(depth, "projection"))) == wanted + projections


@pytest.mark.parametrize("name", TORCHVISION)
def test_imagenet_networks_have_the_parameters_that_torchvision_publishes(name):
    (*_, weights) = models.get_model_weights(name)
    assert count(empty(TORCHVISION[name])) == weights.meta["num_params"]


@pytest.mark.parametrize("name", TORCHVISION)
def test_imagenet_networks_have_torchvisions_tensors_name_for_name(name):
    with torch.device("meta"):
        wanted = {key: tensor.shape for key, tensor in models.get_model(name).state_dict().items()}
    ours = {published_name(key): tensor.shape for key, tensor in empty(TORCHVISION[name]).state_dict().items()}
    assert ours == wanted


@pytest.mark.parametrize(
    ("architecture", "depth"),
    [
        *((TORCHVISION[f"resnet{depth}"], depth) for depth in (18, 34, 50, 101, 152)),
        (TORCHVISION["resnext50_32x4d"], 50),
        (TORCHVISION["wide_resnet101_2"], 101),
        *((cifar(depth), depth) for depth in (8, 20, 110)),
    ],
)
def test_the_depth_is_the_number_in_the_networks_name(architecture, depth):
    assert architecture.depth == depth


@pytest.mark.parametrize("architecture", [imagenet("basic", (1, 1, 1, 1)), imagenet("bottleneck", (1, 2, 1, 1))])
def test_the_depth_counts_convolutions_on_the_longest_path_and_the_classifier(architecture):
    network = empty(architecture)
    branches = [module for _, block in network.blocks() for module in block.branch]
    assert architecture.depth == sum(isinstance(module, nn.Conv2d) for module in branches) + 2


# --- meaning ---------------------------------------------------------------------------------------------------------


def he_et_al(state: dict[str, torch.Tensor], n: int, shortcut: str, x: torch.Tensor) -> torch.Tensor:
    """He et al. 2015, section 4.2, written once more with functions and the published tensor names."""

    def layer(x, conv, norm, stride=1, padding=1):
        x = conv2d(x, state[f"{conv}.weight"], stride=stride, padding=padding)
        statistics = (state[f"{norm}.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
        return batch_norm(x, *statistics)

    x = relu(layer(x, "conv1", "bn1"))
    for stage, width in enumerate((16, 32, 64), start=1):
        for index in range(n):
            name, stride = f"layer{stage}.{index}", 2 if stage > 1 and index == 0 else 1
            branch = relu(layer(x, f"{name}.conv1", f"{name}.bn1", stride))
            branch = layer(branch, f"{name}.conv2", f"{name}.bn2")
            if shortcut == "none":
                x = relu(branch)
            elif stride == 1:
                x = relu(x + branch)
            elif shortcut == "padding":
                x = relu(pad(x[:, :, ::2, ::2], (0, 0, 0, 0, width // 4, width // 4)) + branch)
            else:
                x = relu(layer(x, f"{name}.downsample.0", f"{name}.downsample.1", 2, 0) + branch)
    return linear(adaptive_avg_pool2d(x, 1).flatten(1), state["fc.weight"], state["fc.bias"])


@torch.inference_mode()
@pytest.mark.parametrize("depth", [8, 20])
@pytest.mark.parametrize("shortcut", ["padding", "projection", "none"])
def test_cifar_networks_compute_what_the_paper_says(depth, shortcut):
    network = randomise(build(cifar(depth, shortcut))).eval()
    state = {published_name(name): tensor for name, tensor in network.state_dict().items()}
    x = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(network(x), he_et_al(state, (depth - 2) // 6, shortcut, x))


@pytest.mark.parametrize("depth", [-4, 0, 2, 7, 18, 19, 21, 34])
def test_a_cifar_depth_that_is_not_6n_plus_2_is_refused(depth):
    with pytest.raises(FeatureError, match=f"6n\\+2 layers .* got depth {depth}"):
        cifar(depth)


@torch.inference_mode()
@pytest.mark.parametrize(("channels", "classes"), [(1, 10), (3, 100), (1, None)])
def test_channels_and_classes_are_the_ones_asked_for(channels, classes):
    network = build(cifar(8, in_channels=channels, classes=classes)).eval()
    assert network(torch.zeros(2, channels, 28, 28)).shape == (2, classes or 64)


@pytest.mark.parametrize(
    ("architecture", "side", "stages"),
    [(imagenet("basic", (1, 1, 1, 1)), 224, (56, 28, 14, 7)), (cifar(8), 32, (32, 16, 8))],
)
def test_the_stages_have_the_sides_of_the_papers_tables(architecture, side, stages):
    with torch.device("meta"):
        walked = dict(build(architecture).walk(torch.empty(2, 3, side, side)))
    assert tuple(x.shape[-1] for name, x in walked.items() if name.startswith("layer")) == stages


def test_new_weights_have_the_variance_of_he_et_al_2015():
    conv = build(imagenet("basic", (1, 1, 1, 1))).stages["layer4"][0].branch.conv1  # 256 -> 512
    assert conv.weight.mean().item() == pytest.approx(0, abs=1e-4)
    assert conv.weight.var().item() == pytest.approx(2 / (9 * 512), rel=0.01)  # fan-out; 1.2 million draws


def test_a_new_network_is_in_train_mode_and_the_seed_decides_its_weights():
    with torch.random.fork_rng():
        states = []
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            network = build(cifar(8))
            assert network.training
            states.append(network.stem.conv1.weight)
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


@pytest.mark.parametrize(
    ("architecture", "words"),
    [
        (TORCHVISION["resnet18"], ["basic blocks 2-2-2-2", "64-128-256-512", "imagenet stem 3->64", "1000 classes"]),
        (TORCHVISION["resnext50_32x4d"], ["bottleneck", "32 groups", "256-512-1024-2048"]),
        (cifar(20, "none", 1, 7), ["basic blocks 3-3-3", "cifar stem 1->16", "'none'", "7 classes"]),
        (cifar(20, classes=None), ["no head", "'padding'"]),
    ],
)
def test_the_description_names_what_fixes_the_shapes(architecture, words):
    assert all(word in architecture.describe() for word in words)


# --- what a network computes beside its shapes ------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "architecture"), UNUSUAL.items())
@torch.inference_mode()
def test_every_form_runs_and_puts_out_a_logit_per_class(name, architecture):
    network = randomise(build(architecture)).eval()
    logits = network(torch.randn(2, architecture.in_channels, 18, 18, generator=torch.Generator().manual_seed(1)))
    assert logits.shape == (2, architecture.classes), name
    assert logits.isfinite().all()


@pytest.mark.parametrize(
    ("field", "usual"),
    [
        ("strides", (1, 2)),
        ("dilations", (1, 1)),
        ("stem_stride", 1),
        ("stem_padding", 1),
        ("stem_pool", "none"),
        ("stem_norm", True),
        ("last_norm", False),
    ],
)
def test_what_is_given_as_it_would_be_by_default_counts_as_not_given(field, usual):
    given = replace(BASIC, **{field: usual})
    assert given == BASIC
    assert hash(given) == hash(BASIC)
    assert given.settings() == BASIC.settings()
    assert given.resolved(field) == usual


def test_the_pool_of_the_stem_follows_the_filter_against_aliasing():
    large = replace(BASIC, stem="imagenet")
    pools = {kind: replace(large, antialias=kind).resolved("stem_pool") for kind in ("none", "blur", "average")}
    assert pools == {"none": "max", "blur": "max-blur", "average": "average"}


@pytest.mark.parametrize("architecture", [*UNUSUAL.values(), *TORCHVISION.values(), cifar(20, "none")])
def test_an_architecture_is_made_again_of_its_settings(architecture):
    content = json.loads(json.dumps(architecture.settings()))
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
    assert Architecture(**settings) == architecture


@pytest.mark.parametrize("architecture", [TORCHVISION["resnext50_32x4d"], cifar(20, "padding", 1, 7)])
def test_the_settings_of_a_usual_network_are_the_ten_of_its_shapes(architecture):
    assert list(architecture.settings()) == [
        "block", "blocks", "inner", "outputs", "stem", "stem_width", "shortcut", "groups", "in_channels", "classes",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"block": "triple"}, "block was triple. Wanted one of 'basic', 'bottleneck'"),
        ({"blocks": ()}, "blocks was"),
        ({"blocks": (1, True)}, "blocks was"),
        ({"blocks": (1, 2.0)}, "blocks was"),
        ({"blocks": [1, 2]}, "blocks was"),
        ({"blocks": (1, 0)}, "blocks was"),
        ({"blocks": (900, 101)}, "at most 1,000 blocks"),
        ({"inner": (8,)}, "inner was"),
        ({"inner": (8, -16)}, "inner was"),
        ({"outputs": (8, 10**9)}, "outputs was"),
        ({"stem": "patches"}, "stem was patches"),
        ({"stem_width": True}, "stem_width was True"),
        ({"stem_width": 10**10}, "stem_width was"),
        ({"in_channels": 0}, "in_channels was 0. Wanted a whole number from 1 to 16"),
        ({"in_channels": 17}, "in_channels was 17"),
        ({"classes": 0}, "classes was 0"),
        ({"classes": "10"}, "classes was 10"),
        ({"groups": 2}, "groups are of bottlenecks"),
        ({"stride_at": "first"}, "first convolution has the stride in bottlenecks alone"),
        ({"stride_at": "last", "block": "bottleneck"}, "last convolution has the stride in basic blocks alone"),
        ({"block": "bottleneck", "widened_at": "last"}, "widened_at is of basic blocks"),
        ({"inner": (4, 4), "widened_at": "last"}, "as wide inside as their output"),
        ({"strides": (1, 2, 2)}, "strides was"),
        ({"strides": (1, 0)}, "strides was"),
        ({"dilations": (1, True)}, "dilations was"),
        ({"stem_padding": -1}, "stem_padding was -1"),
        ({"stem_pool": "min"}, "stem_pool was min"),
        ({"stem_widths": (8,)}, "stem_widths are of a deep stem"),
        ({"stem": "deep"}, "stem_widths are of a deep stem"),
        ({"activation": "sine"}, "activation was sine"),
        ({"preactivation": 1}, "preactivation was 1. Wanted true or false"),
        ({"bias": "no"}, "bias was no"),
        ({"norm": "group"}, "norm_groups do not divide"),
        ({"norm_groups": 4}, "norm_groups are of group norms"),
        ({"epsilon": float("nan")}, "epsilon was nan"),
        ({"epsilon": -1e-5}, "epsilon was"),
        ({"attention_widths": (4, 4)}, "attention_widths are of attention"),
        ({"attention": "eca", "attention_widths": (3, 4)}, "taps of eca are odd"),
        ({"shortcut_padding": "end"}, "shortcut_padding is of padded shortcuts"),
        ({"shortcut": "none", "shortcut_pool": "average"}, "shortcut_pool is of projections"),
        ({"shortcut_from": "input"}, "shortcut_from is of pre-activation"),
        ({"builder": 3}, "builder was 3"),
        ({"block": "x" * 10_000}, "xxx"),
    ],
)
def test_what_no_network_has_is_refused_in_a_short_sentence_that_names_it(changes, words):
    with pytest.raises(FeatureError, match=words) as caught:
        replace(BASIC, **changes)
    assert len(str(caught.value)) < 500


def test_an_architecture_that_only_another_library_builds_is_not_built_from_a_strangers_name():
    for builder in ("timm:hf-hub:someone/something", "timm:vit_base_patch16_224", "os:system", "code"):
        with pytest.raises(FeatureError):
            build(replace(BASIC, builder=builder))


@pytest.mark.parametrize("pool", ["none", "average"])
@torch.inference_mode()
def test_averages_in_the_place_of_strides_fit_the_shortcuts_at_odd_sides(pool):
    architecture = replace(BASIC, antialias="average", shortcut_pool=pool, shortcut="projection")
    network = build(architecture).eval()
    for side in (15, 16, 17):
        wanted = side // 2 if pool == "average" else -(-side // 2)
        assert dict(network.walk(torch.randn(1, 3, side, side)))["layer2"].shape[-1] == wanted
