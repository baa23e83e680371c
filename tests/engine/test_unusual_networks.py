"""Every form of block through the fast engine and the analyses that stand on it, against plain PyTorch and autograd."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from features import engine, faithfulness, residual, saliency
from features.datasets import ImageSet
from features.engine import FastNetwork, forward
from features.engine.plan import LOGITS, POOLED
from features.errors import FeatureError
from features.evaluate import evaluate
from features.networks import zoo
from features.networks.architecture import Architecture
from features.networks.canonical import ResidualNetwork, build, freeze
from features.networks.card import ModelSpec
from features.networks.modules import ChannelNorm
from features.networks.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from features.predictions import class_logits
from features.progress import finish
from features.residual import lesioned, lesions, without
from features.saliency import BRANCH, SHORTCUT, SUM, ClassTarget, Explainer, StageTarget, Tap, ledger
from tests.networks.unusual import BASIC, BOTTLENECK, PREACTIVATION, UNUSUAL
from tests.random_networks import randomise

pytestmark = pytest.mark.slow

SIDE = 24
PIXELS = Preprocessing(SIDE, SIDE, IMAGENET_MEAN, IMAGENET_STD)
RGB = {name: architecture for name, architecture in UNUSUAL.items() if architecture.in_channels == 3}
CPU = torch.device("cpu")
# Analyses begin behind the stem and walk its blocks: one form of each kind of what they meet there.
BLOCKS = (
    "stride in the first 1x1", "dilated from its first block on", "7x7 stem", "zeros at the end", "plain",
    "pooled shortcuts", "blurred", "SiLU", "pre-activation", "pre-activation without a last norm",
    "pre-activation with raw projections", "pre-activation with padded shortcuts", "group norms",
    "layer norms", "instance norms and standardised weights",
    "SkipInit", "Fixup", "biases without norms", "squeeze-and-excitation", "efficient channel attention", "groups",
    "head of two layers",
    "pre-activation with a head of two layers", "one logit", "one logit of two layers", "maxima",
    "maxima mixed with averages", "maxima before averages", "averages before maxima", "pre-activation with maxima",
    "maxima before averages before a head of two layers",
    "pre-activation with averages before maxima and a head of two layers",
)  # fmt: skip


def network_of(architecture: Architecture) -> ResidualNetwork:
    return freeze(randomise(build(architecture)))


def model_of(architecture: Architecture, network: ResidualNetwork | None = None) -> zoo.Model:
    spec = ModelSpec("drawn", "", architecture, PIXELS, (), "", "")
    return zoo.Model(network or network_of(architecture), spec, "0" * 64)


def frozen_norms(network: ResidualNetwork) -> ResidualNetwork:
    """The same network with torchvision's frozen BatchNorms."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                made = FrozenBatchNorm2d(child.num_features, child.eps)
                made.load_state_dict({key: value for key, value in child.state_dict().items() if "num_" not in key})
                setattr(parent, name, made)
    return network


def pixels(number: int = 2, side: int = SIDE) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (number, 3, side, side), dtype=torch.uint8, generator=generator)


def images(number: int = 6) -> ImageSet:
    values = np.random.default_rng(1).integers(0, 256, (number, SIDE, SIDE, 3), dtype=np.uint8)
    ids = tuple(f"{index}.png" for index in range(number))
    return ImageSet("noise", ids, None, (), "0" * 64, lambda index: Image.fromarray(values[index]))


def plain(model: zoo.Model, batch: Tensor) -> dict[str, Tensor]:
    with torch.inference_mode():
        return dict(model.network.walk(PIXELS.scaled(batch)))


def close(found: Tensor | np.ndarray, wanted: Tensor | np.ndarray, tolerance: float = 1e-4) -> None:
    found, wanted = (np.asarray(values, np.float64) for values in (found, wanted))
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * max(abs(wanted).max(), 1e-30))


@pytest.fixture(scope="module", params=RGB, ids=str)
def model(request: pytest.FixtureRequest) -> zoo.Model:
    """Of every form."""
    return model_of(RGB[request.param])


of_blocks = pytest.mark.parametrize("model", BLOCKS, indirect=True)


# --- forward ----------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def test_stages_features_and_logits_are_those_of_the_network(model):
    fast = FastNetwork(model.network, PIXELS, torch.float32, CPU)
    found, wanted = dict(fast.walk(pixels().to(memory_format=torch.channels_last))), plain(model, pixels())
    for name in ("stem", *model.network.stage_names, LOGITS):
        close(found[name], wanted[name])
    close(fast.classifier(found[POOLED]), wanted[LOGITS])


@torch.inference_mode()
def test_in_bf16_they_are_nearly_those(model):
    fast = FastNetwork(model.network, PIXELS, torch.bfloat16, CPU)
    found, wanted = dict(fast.walk(pixels().to(memory_format=torch.channels_last))), plain(model, pixels())
    for name in (*model.network.stage_names, LOGITS):
        one, other = found[name].float().flatten(1), wanted[name].flatten(1)
        assert float(torch.cosine_similarity(one, other).min()) > 0.995, name


@torch.inference_mode()
def test_the_input_of_a_block_is_left_as_it_was(model):
    fast = FastNetwork(model.network, PIXELS, torch.float32, CPU)
    x = fast.stem(pixels().to(memory_format=torch.channels_last))
    for _, block in fast.blocks():
        before = x.clone()
        output = forward.output(block, x)
        assert torch.equal(x, before)
        x = output


@pytest.mark.parametrize("name", ["biases", "pre-activation", "squeeze-and-excitation"])
@torch.inference_mode()
def test_frozen_norms_are_folded_like_others(name):
    architecture = RGB[name]
    model = model_of(architecture, frozen_norms(network_of(architecture)))
    fast = FastNetwork(model.network, PIXELS, torch.float32, CPU)
    close(dict(fast.walk(pixels()))[LOGITS], plain(model, pixels())[LOGITS])
    left = sum(isinstance(module, FrozenBatchNorm2d) for _, block in fast.blocks() for module in block.branch.modules())
    assert left == (sum(architecture.blocks) if name == "pre-activation" else 0)  # those that come before all else


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("group norms", nn.GroupNorm),
        ("layer norms", ChannelNorm),
        ("instance norms and standardised weights", nn.InstanceNorm2d),
    ],
)
def test_what_cannot_be_folded_is_not_folded(name, kind):
    network = network_of(RGB[name])
    fast = FastNetwork(network, PIXELS, torch.float32, CPU)
    counts = [sum(isinstance(module, kind) for module in each.modules()) for each in (network, fast)]
    assert counts[0] == counts[1] > 0


@pytest.mark.xdist_group("openvino")
@pytest.mark.parametrize(
    "architecture",
    [
        replace(BASIC, stem="deep", stem_widths=(6, 4), attention="se", attention_widths=(4, 4), activation="silu"),
        replace(BOTTLENECK, attention="eca", antialias="blur", classes=1, head_widths=(12,)),
        replace(PREACTIVATION, norm="group", norm_groups=4, head_widths=(12,), head_activation="gelu"),
        replace(BASIC, head_pool="max-average", head_widths=(12,)),
        replace(PREACTIVATION, head_pool="mixed"),
        UNUSUAL["layer norms"],
        UNUSUAL["instance norms and standardised weights"],
        UNUSUAL["Fixup"],
    ],
    ids=[
        "deep stem, SE, SiLU",
        "ECA, blur, one logit of two layers",
        "pre-activation, group norms, head of two layers",
        "maxima before averages, head of two layers",
        "pre-activation, maxima mixed with averages",
        "layer norms",
        "instance norms and standardised weights",
        "Fixup",
    ],
)
def test_openvino_reads_the_same(architecture):
    pytest.importorskip("openvino")
    model = model_of(architecture)
    plan = engine.choose(model.network, ("layer2", POOLED, LOGITS), precision="fp32", device="cpu", engine="openvino")
    found, wanted = engine.start(model.network, PIXELS, plan)(pixels()), plain(model, pixels())
    close(found[LOGITS], wanted[LOGITS], 1e-3)
    with torch.inference_mode():
        close(found[POOLED], model.network.pooled(wanted["layer2"]), 1e-3)
    close(found["layer2"], wanted["layer2"].mean((2, 3)), 1e-3)


# --- gradients and maps -----------------------------------------------------------------------------------------------


def of_classes(logits: Tensor) -> Tensor:
    """(N, K) what speaks for each class: its logit; of one logit, (N, 2) its negative for the first class, and it."""
    return logits if logits.shape[1] > 1 else torch.cat([-logits, logits], 1)


def with_gradients(model: zoo.Model, batch: Tensor, index: int) -> dict[Tap, tuple[Tensor, Tensor]]:
    """Tap -> its values and the gradient of a class's logit with respect to them, by a graph of the plain network."""
    x = model.network.stem(PIXELS.scaled(batch))
    kept: dict[Tap, Tensor] = {}
    parts: dict[str, tuple[Tensor, Tensor]] = {}
    x = x.detach().requires_grad_()
    for name, block in model.network.blocks():
        shortcut, branch = block.parts(x)
        parts[name] = shortcut.detach(), branch.detach()
        total = shortcut + branch
        x = block.activation(total) * 1  # a tensor of its own where the activation is the identity
        total.retain_grad()
        x.retain_grad()
        kept |= {Tap(name, SUM): total, Tap(name): x}
    of_classes(model.network.head(x))[:, index].sum().backward()
    found = {tap: (values.detach(), values.grad) for tap, values in kept.items()}
    for name, (shortcut, branch) in parts.items():
        gradient = found[Tap(name, SUM)][1]
        found |= {Tap(name, SHORTCUT): (shortcut, gradient), Tap(name, BRANCH): (branch, gradient)}
    return found


def test_grad_cam_of_every_block_is_that_of_autograd(model):
    explainer = Explainer(model)
    taps = [Tap(name) for name, _ in model.network.blocks()]
    found = explainer.maps(pixels(), [ClassTarget(1)] * 2, "gradcam", taps).maps
    wanted = with_gradients(model, pixels(), 1)
    for tap in taps:
        values, gradient = wanted[tap]
        close(found[tap], (values * gradient.mean((2, 3), keepdim=True)).sum(1))


@pytest.mark.parametrize("name", ["7x7 stem", "pre-activation", "squeeze-and-excitation"])
def test_maps_of_networks_with_frozen_norms_are_those_of_autograd(name):
    model = model_of(RGB[name], frozen_norms(network_of(RGB[name])))
    taps = [Tap(own, part) for own, _ in model.network.blocks() for part in (SUM, BRANCH)]
    found = Explainer(model).maps(pixels(), [ClassTarget(1)] * 2, "gradcam", taps).maps
    wanted = with_gradients(model, pixels(), 1)
    for tap in taps:
        share = wanted[Tap(tap.name, SUM)][1].mean((2, 3), keepdim=True)
        close(found[tap], (wanted[tap][0] * share).sum(1))


def test_maps_of_sums_branches_and_shortcuts_are_those_of_autograd(model):
    explainer = Explainer(model)
    taps = explainer.taps(saliency.BRANCHES)
    found = explainer.maps(pixels(), [ClassTarget(0)] * 2, "hirescam", taps).maps
    wanted = with_gradients(model, pixels(), 0)
    for tap in taps:
        values, gradient = wanted[tap]
        close(found[tap], (values * gradient).sum(1))


@of_blocks
def test_maps_of_a_stages_features_are_those_of_autograd(model):
    explainer = Explainer(model)
    found = explainer.maps(pixels(), [StageTarget("layer2")] * 2, "hirescam", [Tap("layer1")]).maps[Tap("layer1")]
    x = model.network.stem(PIXELS.scaled(pixels()))
    x = model.network.stages["layer1"](x).detach().requires_grad_()
    model.network.stages["layer2"](x).mean((2, 3)).norm(dim=1).sum().backward()
    close(found, (x * x.grad).sum(1).detach())


@of_blocks
def test_in_bf16_gradients_are_nearly_those(model):
    taps = [Tap("layer1")]
    one, other = (
        Explainer(model, precision).maps(pixels(), [ClassTarget(0)] * 2, "gradcam", taps).maps[taps[0]]
        for precision in ("fp32", "bf16")
    )
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.99


@of_blocks
def test_maps_of_every_class_are_weighted_by_the_gradients_of_the_logits(model):
    last = model.network.stages["layer2"](model.network.stages["layer1"](model.network.stem(PIXELS.scaled(pixels()))))
    maps = model.network.neck(last).detach().requires_grad_()  # (N, C, H, W)
    logits = of_classes(model.network.classifier(model.network.pool(maps).flatten(1)))
    wanted = []
    for index in range(logits.shape[1]):
        (gradient,) = torch.autograd.grad(logits[:, index].sum(), maps, retain_graph=True)
        wanted.append((maps * gradient.mean((2, 3), keepdim=True)).sum(1))
    close(Explainer(model).every_class(pixels()), torch.stack(wanted, 1).detach())


@of_blocks
def test_cam_of_every_class_sums_to_its_logit_without_the_bias(model):
    classifier = model.network.classifier
    if not isinstance(classifier, nn.Linear):
        return  # whose logits are no sums over space
    wanted = of_classes(plain(model, pixels())[LOGITS] - classifier.bias)
    if model.network.head_pool == "average":  # a maximum counts at its place alone, but its weight everywhere
        close(Explainer(model).every_class(pixels()).sum((2, 3)), wanted)
    cam = Explainer(model).maps(pixels(), [ClassTarget(1)] * 2, "cam").maps[Tap("layer2")]
    close(cam.sum((1, 2)), wanted[:, 1])


@of_blocks
def test_scores_of_other_pixels_are_logits(model):
    explainer = Explainer(model)
    walk = explainer.walk(pixels(), [ClassTarget(1)] * 2, {2: False}, down=False)
    close(explainer.scores(pixels(), walk.score), of_classes(plain(model, pixels())[LOGITS])[:, 1])


@pytest.mark.parametrize("name", ["head of two layers", "one logit of two layers", "one logit", "biases"])
def test_the_score_of_one_image_serves_others(name):
    model = model_of(RGB[name])
    explainer = Explainer(model)
    score = explainer.walk(pixels(1), [ClassTarget(1)], {2: False}, down=False).score
    close(explainer.scores(pixels(5), score), of_classes(plain(model, pixels(5))[LOGITS])[:, 1])


@of_blocks
def test_the_difference_of_two_classes_is_explained_by_that_of_their_gradients(model):
    found = Explainer(model).maps(pixels(), [ClassTarget(1, 0)] * 2, "hirescam", [Tap("layer1.0")])
    first, second = (with_gradients(model, pixels(), index)[Tap("layer1.0")] for index in (0, 1))
    close(found.maps[Tap("layer1.0")], (first[0] * (second[1] - first[1])).sum(1))
    logits = of_classes(plain(model, pixels())[LOGITS])
    close(found.scores, logits[:, 1] - logits[:, 0])


@pytest.mark.parametrize("name", [name for name in RGB if "head" in name or "layers" in name])
def test_a_ledger_of_a_head_of_several_layers_is_refused(name):
    with pytest.raises(FeatureError, match="its head has several layers"):
        ledger(Explainer(model_of(RGB[name])), pixels(), [ClassTarget(0)] * 2)


@pytest.mark.parametrize("name", ["head of two layers", "one logit of two layers", "group norms", "maxima"])
def test_the_probability_that_faithfulness_measures_is_the_plain_networks(name):
    model = model_of(RGB[name])
    explainer = Explainer(model)
    maps = explainer.maps(pixels(), [ClassTarget()] * 2, "gradcam", [Tap("layer2")])
    trial = faithfulness.trial_of(explainer, pixels(), maps, Tap("layer2"), steps=3)
    grey = explainer.mean_colour.expand(2, 3, SIDE, SIDE)
    for probability, batch in ((trial.full, pixels()), (trial.curves.deletion[:, -1], grey)):
        logits = class_logits(plain(model, batch)[LOGITS], model.spec.outputs)
        close(probability, logits.softmax(1).gather(1, torch.from_numpy(maps.class_ids)[:, None])[:, 0])


@pytest.mark.parametrize("name", ["head of two layers", "pre-activation with a head of two layers"])
def test_every_part_of_a_head_is_drawn_anew_for_the_randomisation_check(name):
    explainer = Explainer(model_of(RGB[name]))
    targets = [ClassTarget(0)] * 2
    found = finish(faithfulness.randomised(explainer, pixels(), targets, "gradcam", [Tap("layer1")]))
    ((_, other),) = faithfulness.drawn_anew(explainer, 0, ["head"])
    for name, tensor in other.model.network.head.named_parameters():
        assert not torch.equal(tensor, dict(explainer.model.network.head.named_parameters())[name]), name
    close(
        found.redrawn["head"].maps[Tap("layer1")],
        other.maps(pixels(), targets, "gradcam", [Tap("layer1")]).maps[Tap("layer1")],
    )


@pytest.mark.parametrize("name", ["pre-activation", "SiLU"])
def test_a_ledger_that_would_not_be_exact_is_refused(name):
    with pytest.raises(FeatureError, match="no sum over blocks"):
        ledger(Explainer(model_of(RGB[name])), pixels(), [ClassTarget(0)] * 2)


@pytest.mark.parametrize(
    "name",
    [
        "group norms", "squeeze-and-excitation", "blurred", "stride in the first 1x1", "maxima",
        "maxima mixed with averages", "maxima before averages", "averages before maxima",
    ],
)  # fmt: skip
def test_the_ledger_of_other_blocks_sums_to_the_logit(name):
    model = model_of(RGB[name])
    found = ledger(Explainer(model), pixels(), [ClassTarget(0)] * 2)
    close(found.values.sum(1) + found.biases, plain(model, pixels())[LOGITS][:, 0])


@pytest.mark.parametrize(
    "name",
    [
        "pre-activation", "squeeze-and-excitation", "pre-activation with a head of two layers", "one logit",
        "maxima before averages",
    ],
)  # fmt: skip
def test_integrated_gradients_sum_to_the_difference_of_the_scores(name):
    model = model_of(RGB[name])
    explainer = Explainer(model)
    found = finish(saliency.explain(explainer, pixels(1), [ClassTarget(0)], "integrated-gradients"))
    ((_, values),) = found.maps.items()
    grey = explainer.mean_colour.expand(1, 3, SIDE, SIDE)
    logits = of_classes(plain(model, torch.cat([pixels(1).float(), grey]))[LOGITS])[:, 0]
    assert float(values.sum()) == pytest.approx(float(logits[0] - logits[1]), rel=0.02, abs=0.02)


# --- statistics, paths and lesions ------------------------------------------------------------------------------------


@of_blocks
def test_norms_and_sparsity_of_branches_are_those_of_a_plain_loop(model):
    found = finish(residual.statistics(model, images()))
    batch = torch.stack([PIXELS.framed(images().open(row)) for row in range(6)])
    x = plain(model, batch)["stem"]
    with torch.inference_mode():
        for index, (_, block) in enumerate(model.network.blocks()):
            shortcut, branch = block.parts(x)
            x = block.activation(shortcut + branch)
            parts = {residual.SHORTCUT: shortcut, residual.BRANCH: branch, residual.OUTPUT: x}
            for part, values in parts.items():
                close(found.norms[part][:, index], values.flatten(1).norm(dim=1), 1e-3)
            close(found.sparsities[:, index], (x == 0).float().flatten(1).mean(1), 1e-3)


@of_blocks
def test_the_head_on_the_last_block_is_as_right_as_the_network(model):
    batch = torch.stack([PIXELS.framed(images().open(row)) for row in range(6)])
    predicted = class_logits(plain(model, batch)[LOGITS], model.spec.outputs).argmax(1).numpy()
    names = tuple(model.spec.class_name(index) for index in range(max(2, model.spec.architecture.classes)))
    given = np.where(np.arange(6) < 4, predicted, 1 - np.minimum(predicted, 1))  # four are right
    labelled = replace(images(), labels=given.astype(np.int64), class_names=names)
    named = replace(model, spec=replace(model.spec, class_names=names))
    assert finish(residual.statistics(named, labelled)).head_accuracy[-1] == pytest.approx(4 / 6)
    assert finish(evaluate(named, labelled)).accuracy == pytest.approx(4 / 6)


@of_blocks
def test_a_block_left_out_is_left_out_everywhere(model):
    names = [name for name, _ in model.network.blocks()]
    for name in names:
        other = lesioned(model, without(name))
        x = plain(model, pixels())["stem"]
        with torch.inference_mode():
            for own, block in model.network.blocks():
                shortcut, branch = block.parts(x)
                gone = branch * 0 if own == name else branch
                kept = x if own == name and block.shortcut_kind == "none" and x.shape == branch.shape else shortcut
                if own == name and block.shortcut_kind == "none" and x.shape != branch.shape:
                    break  # a plain network's block that changes the shape hands on its input padded with zeros
                x = block.activation(kept + gone)
            else:
                close(plain(other, pixels())[LOGITS], model.network.head(x))
        fast = FastNetwork(other.network, PIXELS, torch.float32, CPU)
        with torch.inference_mode():
            close(dict(fast.walk(pixels()))[LOGITS], plain(other, pixels())[LOGITS])


@of_blocks
def test_a_sweep_agrees_with_networks_that_have_the_lesions(model):
    wanted = lesions.each(model.network)
    found = finish(residual.sweep(model, images(), wanted))
    batch = torch.stack([PIXELS.framed(images().open(row)) for row in range(6)])
    intact = class_logits(plain(model, batch)[LOGITS], model.spec.outputs).argmax(1)
    for index, lesion in enumerate(wanted):
        changed = class_logits(plain(lesioned(model, lesion), batch)[LOGITS], model.spec.outputs).argmax(1)
        assert found.agreement[index] == pytest.approx(float((changed == intact).float().mean()))


@of_blocks
def test_gradients_along_all_paths_are_those_of_autograd(model):
    if any(block.shortcut_kind == "none" for _, block in model.network.blocks()):
        return  # one path leads through a plain network
    found = finish(residual.paths(model, images(3)))
    assert np.isfinite(found.single).all()
    x = plain(model, torch.stack([PIXELS.framed(images(3).open(row)) for row in range(3)]))["stem"]
    x = x.clone().requires_grad_()
    y = x
    for _, block in model.network.blocks():  # the path of all shortcuts: branches as they are, but without gradients
        shortcut, branch = block.parts(y)
        y = block.activation(shortcut + branch.detach())
    logits = class_logits(model.network.head(y), model.spec.outputs).double()
    nn.functional.cross_entropy(logits, logits.argmax(1), reduction="sum").backward()
    close(found.single[0], x.grad.flatten(1).norm(dim=1).mean(), 1e-3)
    close(found.together[0], found.single[0], 1e-4)


def test_grouped_blocks_of_one_shape_can_change_places():
    model = model_of(replace(BASIC, blocks=(3, 2), antialias="blur"))
    pairs = [lesion.swaps[0] for lesion in lesions.neighbours(model.network)]
    assert pairs == [("layer1.0", "layer1.1"), ("layer1.1", "layer1.2")]


# --- any number of channels -------------------------------------------------------------------------------------------


class Planes(Preprocessing):
    """Of any number of channels."""

    def __post_init__(self) -> None:
        pass


def planes(channels: int, architecture: Architecture) -> tuple[zoo.Model, Tensor]:
    """A network of so many channels, and pixels (2, C, S, S) for it."""
    values = [tuple(start + 0.01 * index for index in range(channels)) for start in (0.4, 0.2)]
    shape = replace(architecture, in_channels=channels)
    spec = ModelSpec("drawn", "", shape, Planes(SIDE, SIDE, *values), (), "", "")
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (2, channels, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    return zoo.Model(network_of(shape), spec, "0" * 64), pixels


@pytest.mark.parametrize("channels", [1, 2, 4, 5, 16])
@pytest.mark.parametrize("name", ["7x7 stem", "deep stem", "pre-activation", "group norms"])
@torch.inference_mode()
def test_networks_of_any_number_of_channels_are_run_and_explained(name, channels):
    model, batch = planes(channels, RGB[name])
    wanted = dict(model.network.walk(model.spec.preprocessing.scaled(batch)))
    plan = engine.choose(model.network, precision="fp32", device="cpu", engine="torch")
    found = engine.start(model.network, model.spec.preprocessing, plan)(batch)
    close(found[LOGITS], wanted[LOGITS])
    cam = Explainer(model).maps(batch, [ClassTarget(1)] * 2, "cam").maps[Tap("layer2")]
    close(cam.sum((1, 2)), wanted[LOGITS][:, 1] - model.network.classifier.bias[1])
    other = lesioned(model, without("layer1.0"))
    fast = FastNetwork(other.network, model.spec.preprocessing, torch.float32, CPU)
    close(dict(fast.walk(batch))[LOGITS], other.network(model.spec.preprocessing.scaled(batch)))


@pytest.mark.parametrize("method", [each.name for each in saliency.METHODS.values() if each.name != "ledger"])
@pytest.mark.parametrize("name", ["pre-activation with a head of two layers", "squeeze-and-excitation", "SiLU"])
def test_every_method_makes_maps_of_other_forms_and_channels(name, method):
    model, batch = planes(2, RGB[name])
    found = finish(saliency.explain(Explainer(model), batch[:1], [ClassTarget(0)], method))
    for values in found.maps.values():
        assert np.isfinite(values).all()
        assert abs(values).max() > 0
